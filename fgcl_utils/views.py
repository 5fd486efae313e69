"""Augmentation: two views of one image.

All three methods see the same views. What a view looks like is decided by (seed, epoch, index of
the image) alone, so it does not depend on the batch, on the number of loader processes or on the
rank that draws it, and an interrupted run resumes with the views it would have seen.

On a CPU the loader makes the views. For a GPU, which would wait for them, it hands out the stored
pixels and what was drawn for them, and the GPU makes the views of the whole batch.
"""

import mmap
from contextlib import contextmanager
from functools import partial

import numpy as np
import torch
from torch.nn import functional as F
from torch.utils.data import Dataset
from torchvision.transforms import v2

_CONTRAST, _SATURATION = 1, 2  # torchvision's numbers; brightness is 0


def augmentation(image_size):
    """Random crop, flip and colour jitter of a uint8 (3, S, S) image to float [0, 1].

    Milder than SimCLR's: hue is left alone and there is no grey-scale, because colour tells
    species apart.
    """
    return v2.Compose(
        [
            v2.RandomResizedCrop(image_size, scale=(0.4, 1.0), antialias=True),
            v2.RandomHorizontalFlip(),
            v2.RandomApply([v2.ColorJitter(brightness=0.3, contrast=0.3, saturation=0.3)], p=0.8),
            v2.ToDtype(torch.float32, scale=True),
        ]
    )


def views_for(device, images, indices, seed=0):
    """The data set of views that suits a torch device: `DeviceViews` for CUDA, else `TwoViews`.

    Either is given to a ``DataLoader``, and its ``to_device`` gets the loader's batches.
    """
    kind = DeviceViews if torch.device(device).type == "cuda" else TwoViews
    return kind(images, indices, seed)


class TwoViews(Dataset):
    """Two augmented views of every training image.

    Parameters
    ----------
    images : uint8 array (N, S, S, 3)
        All images of the data set; may be memory-mapped.
    indices : int array (M,)
        Rows of `images` to draw from: the training split.
    seed : int
    """

    def __init__(self, images, indices, seed=0):
        self.images = images
        self.indices = indices
        self.seed = seed
        self.transform = augmentation(images.shape[1])
        # Shared, so that loader processes that outlive an epoch see the next one.
        self._epoch = torch.zeros((), dtype=torch.int64).share_memory_()

    def __getstate__(self):
        """What a loader process is sent under spawn: a memory map's file, not its pixels."""
        return self.__dict__ | {"images": _reopening(self.images)}

    def __setstate__(self, state):
        images = state["images"]
        self.__dict__.update(state, images=images() if isinstance(images, partial) else images)

    def set_epoch(self, epoch):
        self._epoch.fill_(epoch)

    def __len__(self):
        return len(self.indices)

    def __getitem__(self, i):
        """Two float (3, S, S) views in [0, 1] of the `i`-th image, and `i`."""
        image = self._pixels(i).permute(2, 0, 1)  # (3, S, S)
        with self._randomness(i):
            return self.transform(image), self.transform(image), i

    def to_device(self, batch, device):
        """Views and positions of a loader's batch, on `device`.

        Returns
        -------
        views : float32 tensor (2B, 3, S, S)
            In [0, 1], in channels-last layout: the first view of every image, then the second.
        positions : int64 tensor (B,)
            The images, as indices into `indices`.
        """
        first, second, positions = batch
        views = torch.cat([first, second])
        views = views.to(device, non_blocking=True, memory_format=torch.channels_last)
        return views, positions.to(device, non_blocking=True)

    def _pixels(self, i):
        """The `i`-th image in memory, uint8 (S, S, 3)."""
        return torch.from_numpy(np.array(self.images[int(self.indices[i])]))

    @contextmanager
    def _randomness(self, i):
        """Within it, what torch draws depends on (seed, epoch, row of the `i`-th image) alone."""
        entropy = [self.seed, int(self._epoch), int(self.indices[i])]
        key = np.random.SeedSequence(entropy).generate_state(1)
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(int(key[0]))
            yield


class DeviceViews(TwoViews):
    """The views of `TwoViews`, made on the device for a whole batch at once.

    Crops, flips and colours are those that `TwoViews` draws. The values differ by its rounding to
    whole levels, 1 of 255 on average.
    """

    def __getitem__(self, i):
        """The `i`-th image, uint8 (S, S, 3); float32 (2, 11), what was drawn for it; and `i`."""
        pixels = self._pixels(i)
        with self._randomness(i):
            drawn = torch.tensor([self._draw(pixels), self._draw(pixels)])
        return pixels, drawn, i

    def to_device(self, batch, device):
        """As `TwoViews.to_device`."""
        pixels, drawn, positions = (part.to(device, non_blocking=True) for part in batch)
        return make_views(pixels, drawn), positions

    def _draw(self, pixels):
        """What `self.transform` would draw for an image, in the same order: 11 numbers."""
        image = pixels.permute(2, 0, 1)
        crop, flip, jitter, _ = self.transform.transforms
        box = crop.make_params([image])
        drawn = [box["top"], box["left"], box["height"], box["width"]]
        drawn.append(float(torch.rand(1) < flip.p))
        if torch.rand(1) >= jitter.p:
            return [*drawn, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0]
        colour = jitter.transforms[0].make_params([image])
        factors = [colour[f"{name}_factor"] for name in ("brightness", "contrast", "saturation")]
        order = [step for step in colour["fn_idx"].tolist() if step < len(factors)]  # 3 is hue
        return [*drawn, *map(float, order), *(factors[step] for step in order)]


def make_views(pixels, drawn):
    """Two views of every image of a batch, on the device of `pixels`.

    Parameters
    ----------
    pixels : uint8 tensor (B, S, S, 3)
    drawn : float32 tensor (B, 2, 11)
        For each view: top, left, height and width of the crop in pixels; 1 to flip it, else 0;
        which colour steps come first, second and third (0 brightness, 1 contrast, 2 saturation);
        the factors of these steps, 1 for no change.

    Returns
    -------
    float32 tensor (2B, 3, S, S)
        In [0, 1], in channels-last layout: the first view of every image, then the second.
    """
    drawn = drawn.transpose(0, 1).flatten(0, 1)  # (2B, 11)
    images = pixels.permute(0, 3, 1, 2).float().div(255).repeat(2, 1, 1, 1)  # (2B, 3, S, S)
    views = _cropped(images, *drawn[:, :5].T[..., None])
    for step, factor in zip(drawn[:, 5:8].T, drawn[:, 8:].T, strict=True):
        views = _recoloured(views, step.view(-1, 1, 1, 1), factor.view(-1, 1, 1, 1))
    return views.contiguous(memory_format=torch.channels_last)


def _cropped(images, top, left, height, width, flip):
    """Crops (each (N, 1), in pixels) resized to the images' own size, mirrored where `flip`.

    A crop is never larger than the image, so there is nothing to antialias.
    """
    size = images.shape[-1]
    centres = (torch.arange(size, device=images.device) + 0.5) / size  # (S,)
    # The crop's own edge pixels continue beyond it, not the image's.
    y = top + torch.minimum((centres * height - 0.5).clamp(min=0), height - 1)  # (N, S)
    x = left + torch.minimum((centres * width - 0.5).clamp(min=0), width - 1)
    x = torch.where(flip > 0, x.flip(1), x)
    points = torch.stack(torch.broadcast_tensors(x[:, None, :], y[:, :, None]), -1)  # (N, S, S, 2)
    # align_corners: -1 and 1 are the centres of the first and the last pixel
    points = 2 * points / (size - 1) - 1
    return F.grid_sample(images, points, padding_mode="border", align_corners=True)


def _recoloured(views, step, factor):
    """Brightness, contrast or saturation changed by a factor; step and factor (N, 1, 1, 1).

    All three mix the image with another one: black, its mean grey, its grey-scale version.
    """
    red, green, blue = views.split(1, dim=1)
    grey = 0.2989 * red + 0.587 * green + 0.114 * blue  # torchvision's weights; (N, 1, S, S)
    other = torch.where(step == _SATURATION, grey, 0.0)
    other = torch.where(step == _CONTRAST, grey.mean((2, 3), keepdim=True), other)
    return torch.lerp(other, views, factor).clamp(0, 1)


def _reopening(images):
    """A call that maps the same file again; the array itself if it is no whole mapped file."""
    # The base of a part of a map is the map, and the part does not know where in the file it is.
    is_whole_file = isinstance(images, np.memmap) and isinstance(images.base, mmap.mmap)
    if not is_whole_file or images.filename is None or images.mode == "c":
        return images
    order = "C" if images.flags.c_contiguous else "F"
    return partial(
        np.memmap, images.filename, images.dtype, "r", images.offset, images.shape, order
    )
