"""Augmentation: two views of one image.

All three methods see the same views. What a view looks like is decided by (seed, epoch, index of
the image) alone, so it does not depend on the batch, on the number of loader processes or on the
rank that draws it, and an interrupted run resumes with the views it would have seen.
"""

import numpy as np
import torch
from torch.utils.data import Dataset
from torchvision.transforms import v2


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

    def set_epoch(self, epoch):
        self._epoch.fill_(epoch)

    def __len__(self):
        return len(self.indices)

    def __getitem__(self, i):
        """Two float (3, S, S) views in [0, 1] of the `i`-th image, and `i`."""
        row = int(self.indices[i])
        image = torch.from_numpy(np.array(self.images[row])).permute(2, 0, 1)  # (3, S, S)
        key = np.random.SeedSequence([self.seed, int(self._epoch), row]).generate_state(1)
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(int(key[0]))
            return self.transform(image), self.transform(image), i
