"""Batches in which the losses find what they compare: several images of a species, and several
species of a genus.

A batch drawn at random from many species holds few pairs of one species. Here every image is still
seen once an epoch, but in company: two or three images of a species form a *group*, groups of
different species of a genus form a *bundle*, and bundles are dealt at random into batches of
nearly equal size.
"""

import heapq
from collections import Counter
from collections.abc import Iterator

import numpy as np
from torch.utils.data import Sampler

# Three species with three images each: the largest bundle of a genus that no species dominates.
_LARGEST_PLAIN_BUNDLE = 9
# Random bundles to try, before the batches of an epoch take the sizes that are known to fit.
_ATTEMPTS = 8


class HierarchicalBatchSampler(Sampler[list[int]]):
    """Every image once an epoch, in batches with company at its label levels.

    Species and genus stand for the two finest levels. Guaranteed in every batch of every epoch,
    for a ``batch_size`` of at least 9:

    * a species that is present has two images or more, unless the data hold only one of it;
    * a genus that is present has two species or more, unless the data hold only one species of
      it, or one species outnumbers the rest of its genus so far that its bundles would exceed
      half a batch (and nine images): then surplus groups of that species may stand alone.

    Images known to their genus only (label −1 for the species) count as one more species of it.
    With more levels and a ``batch_size`` of at least 16, every image meets another one of its
    class at the finest of its levels where the data hold one: an image that is alone in its genus
    meets such others of its family, or joins its family's smallest bundle, and so on upward.

    Guaranteed always: each image is in exactly one batch, no batch exceeds ``batch_size``, and
    the number of batches is the same in every epoch. Batches are of nearly equal size, so there
    is no small last one and nothing to drop.

    The batches depend on ``seed`` and the epoch alone. Call ``set_epoch`` before each epoch, as
    with torch's DistributedSampler; a run that resumes then sees the batches it would have seen.

    Parameters
    ----------
    labels : array-like of int, (N,) or (N, L)
        Finest level first, −1 at the finer levels where a label stops early. With one level, only
        the company within a species is arranged.
    batch_size : int
        Images in a batch at most, over all processes together.
    seed : int
    rank, world_size : int
        This process and the number of processes. Every rank yields its share of each batch, so
        all ranks yield the same number of batches; shares of one batch differ by one image at
        most. (Keep a loader with ``world_size`` > 1 out of ``accelerator.prepare`` and set
        Lightning's ``use_distributed_sampler=False``: they would divide the batches once more.)

    Raises
    ------
    ValueError
        If labels are not integers of shape (N,) or (N, L) with N ≥ 1 or a row is −1 at every
        level, ``batch_size`` is below 4 or below ``world_size``, or ``rank`` is outside the world.
    """

    drop_last = False  # read by Lightning and accelerate

    def __init__(
        self, labels, batch_size: int, seed: int = 0, rank: int = 0, world_size: int = 1
    ) -> None:
        labels = np.asarray(labels)
        if labels.ndim not in (1, 2) or labels.size == 0 or labels.dtype.kind not in "iu":
            raise ValueError(
                "labels must be integers of shape (N,) or (N, L) with N ≥ 1, "
                f"not {labels.dtype} of shape {labels.shape}"
            )
        if batch_size < max(4, world_size):
            raise ValueError(
                f"batch_size is {batch_size}: it must be at least 4 (two species with two images "
                f"each) and at least world_size, which is {world_size}"
            )
        if not 0 <= rank < world_size:
            raise ValueError(f"rank is {rank}, but ranks go from 0 to {world_size - 1}")
        self.batch_size = batch_size
        self.seed = seed
        self.rank = rank
        self.world_size = world_size
        self.epoch = 0

        labels = labels.reshape(len(labels), -1)
        if (unknown := (labels < 0).all(1)).any():
            raise ValueError(f"row {unknown.argmax()} of the labels is negative at every level")
        labels = _completed(labels)
        _, example, self._species, self._counts = np.unique(
            labels[:, 0], return_index=True, return_inverse=True, return_counts=True
        )
        self._of_species = labels[example]  # (species, L): what each belongs to
        genus = self._of_species[:, 1] if labels.shape[1] > 1 else np.arange(len(example))
        self._genera = [np.flatnonzero(genus == name) for name in np.unique(genus)]

        # The number of batches is fixed here by one set of bundles that fits into them.
        self._fitting_bundles = self._draw_bundles(np.random.default_rng(seed))
        self._n_batches = -(-len(labels) // batch_size)
        while not _deal(self._fitting_bundles, self._n_batches, batch_size):
            self._n_batches += 1

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch whose batches come next."""
        self.epoch = epoch

    @property
    def sampler(self) -> "HierarchicalBatchSampler":
        """Itself: Lightning calls ``set_epoch`` on a batch sampler's ``sampler``."""
        return self

    def __len__(self) -> int:
        return self._n_batches

    def __iter__(self) -> Iterator[list[int]]:
        for batch in self._batches(np.random.default_rng([self.seed, self.epoch])):
            yield batch[self.rank :: self.world_size].tolist()

    def _batches(self, rng):
        """The epoch's batches of all ranks: arrays of image indices."""
        for _ in range(_ATTEMPTS):
            bundles = self._draw_bundles(rng)
            if batches := _deal(bundles, self._n_batches, self.batch_size):
                break
        else:
            bundles = _permuted(self._fitting_bundles, rng)
            batches = _deal(bundles, self._n_batches, self.batch_size)
        batches = _permuted(batches, rng)

        # So far batches hold species; now each species hands out its images in random order.
        places = np.argsort(np.concatenate(batches), kind="stable")
        images = np.empty_like(places)
        images[places] = np.lexsort((rng.random(len(places)), self._species))
        return np.split(images, np.cumsum([len(batch) for batch in batches])[:-1])

    def _draw_bundles(self, rng):
        """Random bundles, each a list with one species code an image, in random order."""
        largest = max(self.batch_size // 2, _LARGEST_PLAIN_BUNDLE)
        bundles = []
        for genus in self._genera:
            groups = [
                group
                for species in rng.permutation(genus).tolist()
                for group in _in_twos([species] * int(self._counts[species]))
            ]
            for bundle in _bundles(groups, largest, rng):
                whole = [species for group in bundle for species in group]
                # Only where batch_size is below 9 can a plain bundle be too large for a batch.
                bundles += [whole] if len(whole) <= self.batch_size else bundle
        for level in range(2, self._of_species.shape[1]):
            bundles = _joined(bundles, self._of_species[:, level], self.batch_size, rng)
        return _permuted(bundles, rng)


def _completed(labels):
    """Labels (N, L) in which what is known from one level up only is a class of its own below."""
    labels = labels.astype(np.int64)
    for level in reversed(range(labels.shape[1] - 1)):
        unknown = labels[:, level] < 0
        offset = labels[:, level].max() + 1
        labels[unknown, level] = offset + labels[unknown, level + 1]
    return labels


def _joined(bundles, classes, largest, rng):
    """Give bundles of one image company of their class: each other, else its smallest bundle."""
    alone, others = {}, {}
    for bundle in bundles:
        (alone if len(bundle) == 1 else others).setdefault(classes[bundle[0]], []).append(bundle)
    for name, lone in alone.items():
        smallest = min(others.get(name, ()), key=len, default=None)
        if len(lone) > 1:
            together = _in_twos([species for [species] in _permuted(lone, rng)])
            others[name] = others.get(name, []) + together
        elif smallest is not None and len(smallest) < largest:
            smallest += lone[0]
        else:
            others.setdefault(name, []).append(lone[0])
    return [bundle for of_class in others.values() for bundle in of_class]


def _in_twos(images):
    """Groups of two, the odd one with the last two; images are given by their species."""
    groups = [images[k : k + 2] for k in range(0, len(images) - 1, 2)] or [[]]
    groups[-1] += images[len(images) - len(images) % 2 :]
    return groups


def _bundles(groups, largest, rng):
    """Join the groups of one genus, which come species by species, so that species meet."""
    half = len(groups) // 2
    [(dominant, n_dominant)] = Counter(group[0] for group in groups).most_common(1)
    if n_dominant <= half:
        # No species is longer than half the line: groups half a line apart differ in species.
        bundles = [[groups[k], groups[half + k]] for k in range(half)]
        if len(groups) % 2:
            bundles[rng.integers(half)].append(groups[-1])
        return bundles

    bundles = [[group] for group in groups if group[0] != dominant]
    alone = []
    for k, group in enumerate(group for group in groups if group[0] == dominant):
        bundle = bundles[k % len(bundles)] if bundles else []
        fits = bundle and sum(map(len, bundle)) + len(group) <= largest
        (bundle if fits else alone).append(group)
    return bundles + [[group] for group in alone]


def _deal(bundles, n_batches, batch_size):
    """Deal bundles into batches, largest first, each into the emptiest; [] if they do not fit."""
    batches = [[] for _ in range(n_batches)]
    emptiest = [(0, k) for k in range(n_batches)]
    for bundle in sorted(bundles, key=len, reverse=True):
        size, k = emptiest[0]
        if size + len(bundle) > batch_size:
            return []
        heapq.heapreplace(emptiest, (size + len(bundle), k))
        batches[k] += bundle
    return batches


def _permuted(items, rng):
    return [items[k] for k in rng.permutation(len(items))]
