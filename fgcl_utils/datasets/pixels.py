"""From a file to pixels, and the file that pixels are kept in."""

import os
import shutil
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import numpy as np
from PIL import Image, ImageOps
from tqdm import tqdm

VERSION = 1  # part of the cache's key: raise it when square_image() changes what it returns


def open_rgb(path: str | Path, shorter_side: int) -> Image.Image:
    """Decode a photo to upright RGB, at `shorter_side` or more pixels where it has them.

    A JPEG is decoded straight to a half, quarter or eighth of its size where that is enough.
    Transparency is laid on white, and 16-bit greys keep their upper 8 bits.
    """
    with Image.open(path) as image:
        # Twice the pixels wanted, so that the final resize still antialiases properly.
        image.draft("RGB", (2 * shorter_side, 2 * shorter_side))
        image = ImageOps.exif_transpose(image)
        if image.mode in ("F", "I") or image.mode.startswith("I;16"):
            grey = np.asarray(image, dtype=np.float64)
            grey = grey / 257 if image.mode.startswith("I;16") or grey.max() > 255 else grey
            image = Image.fromarray(grey.clip(0, 255).round().astype(np.uint8))
        elif image.has_transparency_data:
            image = image.convert("RGBA")
            image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
        return image.convert("RGB")


def square_image(path: str | Path, size: int) -> np.ndarray:
    """The centre square of a photo, resized with antialiasing; uint8 (size, size, 3)."""
    image = open_rgb(path, size)
    side = min(image.size)
    left, top = (image.width - side) / 2, (image.height - side) / 2
    # Crop and resize in one step: a 1 × 5000 strip never becomes size × 5000 size.
    box = (left, top, left + side, top + side)
    square = image.resize((size, size), Image.Resampling.LANCZOS, box, reducing_gap=3)
    return np.asarray(square)


def progress(steps, verb, pixels):
    n, size = pixels.shape[:2]
    text = f"{verb} {n:,} images at {size} px ({pixels.nbytes / 1e9:.2g} GB)"
    total = len(steps) if hasattr(steps, "__len__") else n
    return tqdm(steps, text, total, mininterval=0.5)


@contextmanager
def new_array(path, shape):
    """A uint8 array in a new .npy file, which takes its name only when it is complete."""
    path.parent.mkdir(parents=True, exist_ok=True)
    size, free = int(np.prod(shape)), shutil.disk_usage(path.parent).free
    if size > 0.95 * free:
        raise OSError(
            f"the decoded images need {size / 1e9:.1f} GB in {path.parent}, which has "
            f"{free / 1e9:.1f} GB free. Clear space (old .npy files there may go), or choose a "
            "smaller image_size or another cache_dir."
        )
    aside = path.with_name(f"{path.stem}-{uuid4().hex[:8]}.partial")
    try:
        pixels = np.lib.format.open_memmap(aside, "w+", np.uint8, shape)
        yield pixels
        pixels.flush()
        os.replace(aside, path)
    finally:
        aside.unlink(missing_ok=True)
