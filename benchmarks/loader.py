"""How many images a second reach the model, and how many it can take.

    python benchmarks/loader.py --photos ~/data/GroceryStoreDataset

Photos are the JPEG files below a folder; without one, rendered fungi are stored as JPEGs of 348 px.
Raw means what training would do without the cache: decode, resize and augment every photo in every
epoch. Loader processes have one thread each. Prints tables and writes results/loader.json.
"""

import argparse
import json
import math
import os
import tempfile
import time
from pathlib import Path

import numpy as np
import psutil
import torch
import torchvision
from PIL import Image
from provenance import provenance
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.data import DataLoader, default_collate
from torch.utils.flop_counter import FlopCounterMode
from torchvision.transforms import v2

from fgcl_utils.datasets import pixels, synthetic
from fgcl_utils.models import build_encoder, placed
from fgcl_utils.views import DeviceViews, TwoViews, make_views

try:
    import kornia  # compared where it is installed; nothing else needs it
except ImportError:
    kornia = None

ROOT = Path(__file__).parents[1]
SIZES = (96, 224)
BATCH = 64
MODELS = ("vit_demo_patch8_64", "tf_efficientnet_lite0")
MODEL_BATCH = 16
H100_PEAK = 989e12  # dense bfloat16 operations a second, NVIDIA's data sheet of the H100 SXM


class Undecoded:
    """Photos that look like an array of squares (N, S, S, 3) and are decoded when asked for."""

    def __init__(self, files, size, decode=pixels.square_image):
        self.files, self.size, self.decode = files, size, decode
        self.shape = (len(files), size, size, 3)

    def __getitem__(self, row):
        return self.decode(self.files[row], self.size)


# --- the photos -------------------------------------------------------------------------------


def find_photos(folder, n, temporary):
    """`n` JPEG files from all over a folder, or rendered ones."""
    if folder is None:
        squares = synthetic.render(synthetic.Dials(), np.arange(n), 348)
        files = [temporary / f"{i}.jpg" for i in range(n)]
        for file, square in zip(files, squares, strict=True):
            Image.fromarray(square).save(file, quality=90)
        return files
    files = sorted(file for file in folder.rglob("*") if file.suffix.lower() in (".jpg", ".jpeg"))
    if len(files) < n:
        raise SystemExit(f"{folder} holds {len(files)} JPEG files, {n} are needed: see --images")
    return files[:: len(files) // n][:n]


def described(files):
    sides = []
    for file in files:
        with Image.open(file) as image:
            sides.append(image.size)
    width, height = np.median(sides, axis=0).astype(int).tolist()
    kilobytes = np.mean([file.stat().st_size for file in files]) / 1000
    return {"n": len(files), "median_px": f"{width} × {height}", "mean_kb": round(kilobytes, 1)}


def cached(files, size, path):
    """The photos as `ImageDataset.images` keeps them."""
    with pixels.new_array(path, (len(files), size, size, 3)) as array:
        for i, file in enumerate(files):
            array[i] = pixels.square_image(file, size)
    return np.load(path, mmap_mode="r")


# --- what the loader delivers -----------------------------------------------------------------


def delivery(views, workers, repeats):
    """Images/s of the best of some epochs, and CPU ms an image over all of them."""
    loader = DataLoader(
        views, batch_size=BATCH, shuffle=True, num_workers=workers, persistent_workers=True
    )
    epoch(loader)  # starts the processes and fills the page cache
    before = cpu_seconds()
    seconds = [epoch(loader) for _ in range(repeats)]
    cpu = (cpu_seconds() - before) / (repeats * len(views))
    return len(views) / min(seconds), 1000 * cpu


def epoch(loader):
    began = time.perf_counter()
    for batch in loader:
        del batch
    return time.perf_counter() - began


def cpu_seconds():
    """Of this process and those of the loader."""
    itself = psutil.Process()
    times = [process.cpu_times() for process in (itself, *itself.children())]
    return sum(t.user + t.system for t in times)


def deliveries(files, workers, repeats, temporary):
    """Rows of [px, source, images/s with each number of processes, CPU ms, times raw]."""
    rows, n = [], np.arange(len(files))
    for size in SIZES:
        memory = cached(files, size, temporary / f"{size}.npy")
        sources = {
            "raw JPEG, views by the loader": TwoViews(Undecoded(files, size), n),
            "raw JPEG, views left to the device": DeviceViews(Undecoded(files, size), n),
            "cache, views by the loader": TwoViews(memory, n),
            "cache, views left to the device": DeviceViews(memory, n),
        }
        raw = None
        for name, views in sources.items():
            measured = [delivery(views, k, repeats) for k in workers]
            speeds, cpu = zip(*measured, strict=True)
            raw = raw or speeds
            times = speeds[-1] / raw[-1]
            rows.append([size, name, *map(round, speeds), round(cpu[0], 2), round(times, 1)])
            print(*rows[-1], sep=" | ", flush=True)
    return rows


# --- where the time goes: decoding ------------------------------------------------------------


def without_draft(file, size):
    with Image.open(file) as image:
        return pixels.centre_square(image.convert("RGB"), size)


def tight_draft(file, size):
    with Image.open(file) as image:
        image.draft("RGB", (size, size))
        return pixels.centre_square(image.convert("RGB"), size)


def bilinear(file, size):
    with Image.open(file) as image:
        image.draft("RGB", (size, size))
        return image.convert("RGB").resize((size, size), Image.Resampling.BILINEAR, reducing_gap=2)


def by_torchvision(file, size):
    image = torchvision.io.decode_jpeg(
        torchvision.io.read_file(str(file)), torchvision.io.ImageReadMode.RGB
    )
    return v2.functional.resize(image, [size, size], antialias=True)


DECODERS = {
    "ours: Pillow, draft at twice the size, Lanczos": pixels.square_image,
    "Pillow, no draft, Lanczos": without_draft,
    "Pillow, draft at the size, Lanczos": tight_draft,
    "Pillow, draft at the size, bilinear, reducing_gap 2": bilinear,
    "torchvision.io.decode_jpeg, bilinear": by_torchvision,
}


def enlarged(files, times, temporary):
    """The photos as large as a camera makes them."""
    folder = temporary / "enlarged"
    folder.mkdir()
    for i, file in enumerate(files):
        with Image.open(file) as image:
            large = image.convert("RGB").resize([times * side for side in image.size])
            large.save(folder / f"{i}.jpg", quality=90)
    return sorted(folder.iterdir())


def decodings(files, repeats, temporary):
    """Rows of [decoder, CPU ms a photo at each size, and at the largest from large photos]."""
    large = enlarged(files[: max(8, len(files) // 8)], 4, temporary)
    cases = [*((files, size) for size in SIZES), (large, SIZES[-1])]
    rows = []
    for name, decode in DECODERS.items():
        times = [
            fastest(lambda: [decode(f, size) for f in some], repeats) / len(some)  # noqa: B023
            for some, size in cases
        ]
        rows.append([name, *(round(1000 * t, 2) for t in times)])
        print(*rows[-1], sep=" | ", flush=True)
    return rows


def fastest(function, repeats):
    """CPU seconds of the best of some calls of one thread, after a first one."""
    seconds = []
    for _ in range(1 + repeats):
        began = time.process_time()
        function()
        seconds.append(time.process_time() - began)
    return min(seconds[1:])


# --- who makes the views on a device ----------------------------------------------------------


class Operations(TorchDispatchMode):
    """Counts the operations that torch is asked for: on a GPU, what it would have to launch."""

    count = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.count += 1
        return function(*args, **(kwargs or {}))


def makers(files, repeats):
    """Rows of [who, CPU ms an image at each size, operations a batch, drawn for each image?]."""
    rows = {}
    for size in SIZES:
        views = DeviceViews(Undecoded(files, size), np.arange(BATCH))
        batch, drawn, _ = default_collate([views[i] for i in range(BATCH)])
        for name, make in candidates(views, batch, drawn).items():
            milliseconds = round(1000 * fastest(make, repeats) / BATCH, 2)
            rows.setdefault(name, [name]).append(milliseconds)
            if size == SIZES[-1]:
                with Operations() as operations:
                    make()
                alone = "no: order of colour steps" if name == "kornia" else "yes"
                rows[name] += [operations.count, alone]
                print(*rows[name], sep=" | ", flush=True)
    return list(rows.values())


def candidates(views, batch, drawn):
    """Functions that make two views of every image of a batch (B, S, S, 3)."""
    images = batch.permute(0, 3, 1, 2).repeat(2, 1, 1, 1)  # uint8 (2B, 3, S, S)
    makers = {
        "torchvision v2, image by image": lambda: [views.transform(image) for image in images],
        "this package, the whole batch": lambda: make_views(batch, drawn),
    }
    if kornia:
        size = images.shape[-1]
        both = kornia.augmentation.AugmentationSequential(
            kornia.augmentation.RandomResizedCrop((size, size), scale=(0.4, 1.0)),
            kornia.augmentation.RandomHorizontalFlip(),
            kornia.augmentation.ColorJiggle(0.3, 0.3, 0.3, p=0.8),
        )
        makers["kornia"] = lambda: both(images.float() / 255)
    return makers


# --- what a model takes -----------------------------------------------------------------------


def appetites(threads, repeats):
    """Rows of [model, px, images/s with each number of threads], two views of every image."""
    rows = []
    for name in MODELS:
        for size in SIZES:
            model = placed(build_encoder(name, size), "cpu").train()
            views = torch.rand(2 * MODEL_BATCH, 3, size, size)
            views = views.to(memory_format=torch.channels_last)
            speeds = []
            for n in threads:
                torch.set_num_threads(n)
                seconds = [step(model, views) for _ in range(1 + repeats)]
                speeds.append(round(MODEL_BATCH / min(seconds[1:]), 1))
            rows.append([name, size, *speeds])
            print(*rows[-1], sep=" | ", flush=True)
    torch.set_num_threads(1)
    return rows


def step(model, views):
    """Seconds of one forward and backward pass."""
    began = time.perf_counter()
    model.zero_grad()
    model(views).square().mean().backward()
    return time.perf_counter() - began


def most_an_h100_takes():
    """Images/s in two views that ViT-B/16 could train on at 224 px if every operation were free
    of waiting: operations counted, divided by the peak of the data sheet."""
    model = build_encoder("vit_base_patch16_224", 224).train()
    views = torch.rand(2, 3, 224, 224)  # one image
    with FlopCounterMode(display=False) as counter:
        model(views).square().mean().backward()
    return H100_PEAK / counter.get_total_flops()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photos", type=Path, help="folder of JPEG files")
    parser.add_argument("--images", type=int, default=512)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--out", type=Path, default=ROOT / "results" / "loader.json")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    began, load = time.perf_counter(), os.getloadavg()[0]
    repeats, workers = arguments.repeats, arguments.workers
    with tempfile.TemporaryDirectory() as temporary:
        temporary = Path(temporary)
        files = find_photos(arguments.photos, arguments.images, temporary)
        photos = described(files) | {
            "of": arguments.photos.name if arguments.photos else "rendered"
        }
        delivered = deliveries(files, workers, repeats, temporary)
        decoded = decodings(files[: len(files) // 2], repeats, temporary)
        made = makers(files, repeats)
    taken = appetites(workers, repeats)
    bound = most_an_h100_takes()

    counted = [f"{k} process{'es' if k > 1 else ''}" for k in workers]
    tables = {
        "delivery": {
            "columns": ["px", "source", *(f"images/s, {c}" for c in counted), "CPU ms", "× raw"],
            "rows": delivered,
            "caption": "What the loader delivers: images a second, each in two views; CPU time an "
            "image with one process; and how many times raw JPEG with views by the loader.",
        },
        "decoders": {
            "columns": ["decoder", *(f"{s} px" for s in SIZES), f"{SIZES[-1]} px, photos × 4"],
            "rows": decoded,
            "caption": "CPU ms a photo from a JPEG file to a square, in one thread; the last "
            "column from the same photos with four times the side.",
        },
        "makers": {
            "columns": [
                *("views made by", *(f"{s} px" for s in SIZES), "operations a batch"),
                "drawn image by image",
            ],
            "rows": made,
            "caption": f"CPU ms an image of two views in batches of {BATCH} in one thread, and the "
            "number of operations that torch is asked for, each of which a GPU has to launch.",
        },
        "appetite": {
            "columns": ["model", "px", *(f"images/s, {k} threads" for k in workers)],
            "rows": taken,
            "caption": "What models take on this CPU: forward and backward of two views an image, "
            f"float32, batches of {MODEL_BATCH} images.",
        },
    }
    headline = {"h100_bound": round(bound)}
    for size in SIZES:
        raw, _, by_loader, for_device = (row for row in delivered if row[0] == size)
        headline |= {
            f"raw_{size}": raw[2],
            f"cache_loader_vs_raw_{size}": by_loader[-1],
            f"cache_device_vs_raw_{size}": for_device[-1],
            f"cache_device_per_core_{size}": round(1000 / for_device[-2]),
            f"growth_raw_{size}": round(raw[-3] / raw[2], 2),
            f"growth_cache_device_{size}": round(for_device[-3] / for_device[2], 2),
            f"views_share_{size}": round(100 * by_loader[-2] / raw[-2]),
            f"gb_36393_{size}": round(36_393 * 3 * size**2 / 1e9, 1),
            f"gb_295938_{size}": round(295_938 * 3 * size**2 / 1e9, 1),
        }
    headline["h100_cores"] = math.ceil(bound / headline[f"cache_device_per_core_{SIZES[-1]}"])
    packages = ["numpy", "pillow", "torch", "torchvision", "timm", "kornia"]
    about = provenance(
        began, packages, photos=photos, load_average=[round(load, 2), round(os.getloadavg()[0], 2)]
    )
    result = {"headline": headline, "tables": tables, "provenance": about}
    arguments.out.parent.mkdir(exist_ok=True)
    arguments.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
