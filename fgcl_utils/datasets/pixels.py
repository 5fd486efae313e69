"""From a file to pixels, and the file that pixels are kept in."""

import os
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from pathlib import Path
from uuid import uuid4

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from fgcl_utils.datasets.checks import ImageError, printable
from fgcl_utils.progress import bar

VERSION = 1  # part of the cache's key: raise it when square_image() changes what it returns


# What the decoder may be: Pillow itself would go on to others, among them EPS, for which it starts
# Ghostscript on the file.
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF")

# A small file can unpack to gigabytes: Pillow refuses more pixels than twice this number.
if limit := os.environ.get("FGCL_MAX_PIXELS"):
    if not limit.isdecimal():
        raise ValueError(f"FGCL_MAX_PIXELS={limit!r} in the environment: a whole number of pixels.")
    Image.MAX_IMAGE_PIXELS = int(limit) // 2
_ONE_LARGE = threading.Lock()  # what is large after all is decoded one at a time


def open_rgb(path: str | Path, shorter_side: int) -> Image.Image:
    """Decode a photo to upright RGB, at `shorter_side` or more pixels where it has them.

    A JPEG is decoded straight to a half, quarter or eighth of its size where that is enough.
    Transparency is laid on white, 16-bit greys keep their upper 8 bits, and an animation is its
    first frame.

    Raises
    ------
    ImageError
        If the file cannot be read; the message names it.
    """
    try:
        with Image.open(path, formats=FORMATS) as image:
            # Twice the pixels wanted, so that the final resize still antialiases properly.
            image.draft("RGB", (2 * shorter_side, 2 * shorter_side))
            is_large = image.width * image.height > 2**25
            with _ONE_LARGE if is_large else nullcontext():
                return _upright_rgb(image)
    # Pillow's decoders raise OSError, SyntaxError, ValueError, struct.error, MemoryError,
    # DecompressionBombError and others: whatever it was, this file cannot be read.
    except Exception as error:
        raise ImageError(f"{printable(str(path))}: {_reason(path, error)}") from error


def _upright_rgb(image):
    image = ImageOps.exif_transpose(image)
    if image.mode in ("F", "I") or image.mode.startswith("I;16"):
        grey = np.nan_to_num(np.asarray(image, dtype=np.float64))
        grey = grey / 257 if image.mode.startswith("I;16") or grey.max() > 255 else grey
        image = Image.fromarray(grey.clip(0, 255).round().astype(np.uint8))
    elif image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("RGB")


def _reason(path, error):
    """Why an image cannot be read, and the mend where it is not to replace the file."""
    if isinstance(error, UnidentifiedImageError):
        if Path(path).stat().st_size == 0:
            return "the file is empty"
        return "not a JPEG, PNG, WebP, BMP, GIF or TIFF image, whatever its name says"
    if isinstance(error, Image.DecompressionBombError):
        return (
            f"{error} Shrink it; if you trust the file, raise the limit in the environment: "
            "FGCL_MAX_PIXELS=500000000"
        )
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__


def square_image(path: str | Path, size: int) -> np.ndarray:
    """The centre square of a photo, resized with antialiasing; uint8 (size, size, 3)."""
    return centre_square(open_rgb(path, size), size)


def centre_square(image: Image.Image, size: int) -> np.ndarray:
    side = min(image.size)
    left, top = (image.width - side) / 2, (image.height - side) / 2
    # Crop and resize in one step: a 1 × 5000 strip never becomes size × 5000 size.
    box = (left, top, left + side, top + side)
    square = image.resize((size, size), Image.Resampling.LANCZOS, box, reducing_gap=3)
    return np.asarray(square)


def in_threads(function, items):
    """``map(function, items)`` in threads, in order, since Pillow lets go of the GIL.

    A block of items at a time: 300,000 jobs in a queue would take more memory than their images.
    """
    pool = ThreadPoolExecutor(os.cpu_count())
    try:
        for start in range(0, len(items), 1024):
            yield from pool.map(function, items[start : start + 1024])
    finally:
        pool.shutdown(cancel_futures=True)  # Ctrl-C ends at once, not after the last image


def progress(steps, verb, pixels):
    n, size = pixels.shape[:2]
    text = f"{verb} {n:,} images at {size} px ({pixels.nbytes / 1e9:.2g} GB)"
    total = len(steps) if hasattr(steps, "__len__") else n
    return bar(steps, text, total, mininterval=0.5)


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
