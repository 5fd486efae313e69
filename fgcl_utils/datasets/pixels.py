"""From a file to pixels, and the file that pixels are kept in."""

import hashlib
import math
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
    Transparency is laid on white, and an animation is its first frame. Greys of more than 8 bits,
    or in floats, are scaled from the least of 1 (floats only), 8, 10, 12, 14 and 16 bits that holds
    the brightest pixel: files do not say how many of their bits a camera filled.

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
        image = Image.fromarray(_eight_bits(np.asarray(image, dtype=np.float64), image.mode))
    elif image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("RGB")


def _eight_bits(grey, mode):
    """Greys of any range as uint8."""
    grey = np.nan_to_num(grey, nan=0, posinf=0, neginf=0)
    brightest = grey.max()
    if mode == "F" and brightest < 2:  # resizing and sharpening lift white a little above 1
        white = 1
    else:
        white = next((2**b - 1 for b in (8, 10, 12, 14, 16) if brightest < 2**b), brightest)
    return (grey * (255 / white)).clip(0, 255).round().astype(np.uint8)


def _reason(path, error):
    """Why an image cannot be read, and the mend where it is not to replace the file."""
    if isinstance(error, UnidentifiedImageError):
        with open(path, "rb") as file:
            start = file.read(12)
        if not start:
            return "the file is empty"
        if start[:4] in (b"II*\0", b"MM\0*"):
            return "a TIFF of a kind that is not read, such as colour in floats; save it in 8 bits"
        if start[4:8] == b"ftyp" and start[8:12] in (b"heic", b"heix", b"mif1", b"msf1", b"avif"):
            return "a HEIC or AVIF photo, whatever its name says; save it as JPEG"
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


def content_hashes(paths, cache):
    """What files hold, as far as 4 kB at their beginning, middle and end tell; uint8 (N, 8).

    Read once and kept in the file `cache`, whose name has to change when a file may have changed.
    """
    if not cache.exists():
        with new_array(cache, (len(paths), 8)) as array:
            hashes = bar(in_threads(_content_hash, paths), "reading files", len(paths), delay=2)
            for i, digest in enumerate(hashes):
                array[i] = np.frombuffer(digest, np.uint8)
    return np.load(cache)


def _content_hash(path):
    digest, block = hashlib.blake2b(digest_size=8), 4096
    with open(path, "rb", buffering=0) as file:
        size = os.fstat(file.fileno()).st_size
        for start in (0, (size - block) // 2, size - block):
            file.seek(max(0, start))
            digest.update(file.read(block))
    return digest.digest()


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
def new_array(path, shape, dtype=np.uint8):
    """An array in a new .npy file, which takes its name only when it is complete."""
    path.parent.mkdir(parents=True, exist_ok=True)
    size, free = math.prod(shape) * np.dtype(dtype).itemsize, shutil.disk_usage(path.parent).free
    if size > 0.95 * free:
        raise OSError(
            f"the images need {size / 1e9:.1f} GB in {path.parent}, which has "
            f"{free / 1e9:.1f} GB free. Clear space (old .npy files there may go), or choose a "
            "smaller image_size or another cache_dir."
        )
    aside = path.with_name(f"{path.stem}-{uuid4().hex[:8]}.partial")
    try:
        pixels = np.lib.format.open_memmap(aside, "w+", dtype, shape)
        yield pixels
        pixels.flush()
        os.replace(aside, path)
    finally:
        aside.unlink(missing_ok=True)
