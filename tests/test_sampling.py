"""Batches keep every image and give it company, whatever the labels look like."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.data import DataLoader, TensorDataset

from fgcl_utils.sampling import HierarchicalBatchSampler


@st.composite
def label_tables(draw):
    """Species counts with a tail from balanced to extreme, species spread over genera."""
    rng = np.random.default_rng(draw(st.integers(0, 999)))
    n_species, n_genera = draw(st.integers(1, 20)), draw(st.integers(1, 4))
    tail = draw(st.floats(0, 2))
    weights = np.arange(1, n_species + 1) ** -tail
    species = rng.choice(n_species, draw(st.integers(1, 300)), p=weights / weights.sum())
    return np.stack([species * 7, species % n_genera], 1)


@st.composite
def deep_label_tables(draw):
    """Up to four levels, with labels that stop early at any of them."""
    rng = np.random.default_rng(draw(st.integers(0, 999)))
    n_levels, n_images = draw(st.integers(2, 4)), draw(st.integers(1, 150))
    species = rng.integers(draw(st.integers(1, 40)), size=n_images)
    labels = np.stack([species // width for width in (1, 3, 6, 20)[:n_levels]], 1)
    stop = rng.integers(n_levels, size=n_images) * (rng.random(n_images) < draw(st.floats(0, 1)))
    labels[np.arange(n_levels) < stop[:, None]] = -1
    return labels


batch_sizes = st.integers(4, 80)


def long_tail(n_images=3000, n_species=60, n_genera=6):
    rng = np.random.default_rng(0)
    weights = 1 / np.arange(1, n_species + 1)
    species = rng.choice(n_species, n_images, p=weights / weights.sum())
    return np.stack([species, species % n_genera], 1)


@settings(deadline=None, derandomize=True)
@given(labels=label_tables(), batch_size=batch_sizes, epoch=st.integers(0, 3))
def test_every_image_once_an_epoch_in_batches_of_bounded_size(labels, batch_size, epoch):
    sampler = HierarchicalBatchSampler(labels, batch_size, seed=1)
    sampler.set_epoch(epoch)
    batches = list(sampler)
    assert len(batches) == len(sampler)
    assert max(map(len, batches)) <= batch_size
    assert sorted(i for batch in batches for i in batch) == list(range(len(labels)))


@settings(deadline=None, derandomize=True, max_examples=200)
@given(labels=label_tables(), batch_size=st.integers(9, 80))
def test_company_at_both_levels(labels, batch_size):
    n_images = Counter(labels[:, 0].tolist())
    genera = [set(labels[labels[:, 1] == genus, 0].tolist()) for genus in set(labels[:, 1])]
    for batch in HierarchicalBatchSampler(labels, batch_size):
        here = Counter(labels[batch, 0].tolist())
        assert all(n >= 2 or n_images[species] == 1 for species, n in here.items())
        for species in genera:
            if present := species & here.keys():
                alone = len(present) == 1 and len(species) > 1
                assert not alone or outnumbers(*present, species, n_images, batch_size)


def outnumbers(dominant, species, n_images, batch_size):
    """Whether bundles of the dominant species would exceed half a batch and nine images."""
    partners = [n_images[name] for name in species - {dominant}]
    n_bundles = sum(max(n // 2, 1) for n in partners)
    # Two or three images of a partner, then the dominant ones in groups of two, the last of three.
    room = max(batch_size // 2, 9) - 3
    return n_images[dominant] > n_bundles * (room - 2)


@settings(deadline=None, derandomize=True, max_examples=200)
@given(labels=deep_label_tables(), batch_size=st.integers(16, 80), epoch=st.integers(0, 2))
def test_labels_that_stop_early_have_company_where_they_are_known(labels, batch_size, epoch):
    """Every image meets another of a class that it is known to have, if the data hold one."""
    sampler = HierarchicalBatchSampler(labels, batch_size, seed=2)
    sampler.set_epoch(epoch)
    batches = list(sampler)
    assert sorted(i for batch in batches for i in batch) == list(range(len(labels)))
    assert len(batches) == len(sampler) and max(map(len, batches)) <= batch_size
    wanted = shared_level(labels, np.arange(len(labels)))
    for batch in batches:
        assert (shared_level(labels, batch) == wanted[batch]).all()


def shared_level(labels, rows):
    """For each row the finest level at which another of the rows has its class, L if none."""
    here = labels[rows]
    same = (here[:, None] == here[None]) & (here[:, None] >= 0)
    same[np.arange(len(rows)), np.arange(len(rows))] = False
    company = np.concatenate([same.any(1), np.ones((len(rows), 1), bool)], 1)
    return company.argmax(1)


@settings(deadline=None, derandomize=True)
@given(labels=label_tables(), batch_size=batch_sizes)
def test_an_unknown_species_is_one_more_species_of_its_genus(labels, batch_size):
    """The batches are those of labels in which it has a number."""
    stops = labels[:, 0] % 3 == 0
    partial = np.where(stops[:, None] & [True, False], -1, labels)
    numbered = np.where(stops[:, None] & [True, False], 1000 + labels[:, 1:], labels)
    batches = [list(HierarchicalBatchSampler(l, batch_size)) for l in (partial, numbered)]
    assert batches[0] == batches[1]


def test_coarser_levels_do_not_move_images_that_have_company():
    labels = long_tail()
    deep = np.concatenate([labels, labels[:, 1:] // 2, labels[:, 1:] // 4], 1)
    assert list(HierarchicalBatchSampler(deep, 64)) == list(HierarchicalBatchSampler(labels, 64))


def test_lone_genera_of_a_family_meet_in_new_pairs_each_epoch():
    labels = np.stack([np.arange(40), np.arange(40), np.arange(40) // 20], 1)
    sampler = HierarchicalBatchSampler(labels, 16)
    pairs = []
    for epoch in (0, 1):
        sampler.set_epoch(epoch)
        batches = list(sampler)
        assert all(min(Counter(labels[batch, 2].tolist()).values()) >= 2 for batch in batches)
        pairs.append({(i, j) for batch in batches for i in batch for j in batch if i < j})
    assert pairs[0] != pairs[1]


@pytest.mark.parametrize("batch_size", [32, 64, 128])
def test_a_long_tail_fills_its_batches_evenly(batch_size):
    labels = long_tail()
    sizes = [len(batch) for batch in HierarchicalBatchSampler(labels, batch_size)]
    assert len(sizes) <= 1.1 * len(labels) / batch_size + 1
    assert max(sizes) - min(sizes) <= max(batch_size // 2, 9)


def test_batches_depend_on_seed_and_epoch_alone():
    labels = long_tail()
    first, again = (HierarchicalBatchSampler(labels, 64, seed=3) for _ in range(2))
    list(first)  # drawing an epoch leaves no trace
    first.set_epoch(2)
    again.set_epoch(2)
    assert list(first) == list(again)
    other = HierarchicalBatchSampler(labels, 64, seed=4)
    other.set_epoch(2)
    assert list(other) != list(again)


def test_epochs_bring_new_neighbours():
    """Of the pairs that share a batch, few share one again in the next epoch."""
    labels = long_tail()
    sampler = HierarchicalBatchSampler(labels, 64)

    def pairs(epoch):
        sampler.set_epoch(epoch)
        return {(i, j) for batch in sampler for i in batch for j in batch if i < j}

    first, second = pairs(0), pairs(1)
    assert len(first & second) < 0.1 * len(first)


def test_batches_mix_genera():
    labels = long_tail()
    for batch in HierarchicalBatchSampler(labels, 64):
        assert len(set(labels[batch, 1])) >= 3


@settings(deadline=None, derandomize=True)
@given(labels=label_tables(), batch_size=batch_sizes, world_size=st.integers(2, 4))
def test_shares_of_all_ranks_make_the_batch_of_one_process(labels, batch_size, world_size):
    whole = list(HierarchicalBatchSampler(labels, batch_size))
    shares = [
        list(HierarchicalBatchSampler(labels, batch_size, rank=rank, world_size=world_size))
        for rank in range(world_size)
    ]
    for batch, *parts in zip(whole, *shares, strict=True):
        assert sorted(batch) == sorted(i for part in parts for i in part)
        assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_one_label_level_is_enough():
    labels = np.repeat(np.arange(10), 5)
    for batch in HierarchicalBatchSampler(labels, 16):
        assert min(Counter(labels[batch]).values()) >= 2


def test_loaders_take_it_for_a_batch_sampler():
    """torch, accelerate and Lightning yield its batches, each epoch's in turn."""
    import accelerate
    import torch

    labels = long_tail(300)
    sampler = HierarchicalBatchSampler(labels, 32)
    loader = DataLoader(TensorDataset(torch.arange(300)), batch_sampler=sampler)

    def epoch_of(loader):
        return [batch[0].tolist() for batch in loader]

    expected = []
    for epoch in range(2):
        sampler.set_epoch(epoch)
        expected.append(list(sampler))
    assert epoch_of(loader) == expected[1]
    prepared = accelerate.Accelerator(cpu=True).prepare(loader)
    assert [epoch_of(prepared), epoch_of(prepared)] == expected

    lightning = pytest.importorskip("pytorch_lightning")

    class Module(lightning.LightningModule):
        automatic_optimization = False
        seen = ()

        def training_step(self, batch, index):
            self.seen = (*self.seen, batch[0].tolist())

        def configure_optimizers(self):
            return None

    module = Module()
    trainer = lightning.Trainer(
        max_epochs=2,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(module, loader)
    assert list(module.seen) == [*expected[0], *expected[1]]


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"labels": []}, "labels"),
        ({"labels": [0.5, 1.5]}, "labels"),
        ({"labels": np.zeros((2, 2, 2), int)}, "labels"),
        ({"labels": [[0, 1], [-1, -1]]}, "row 1 of the labels is negative at every level"),
        ({"batch_size": 3}, "batch_size"),
        ({"batch_size": 4, "world_size": 8}, "world_size"),
        ({"rank": 2, "world_size": 2}, "rank"),
    ],
)
def test_bad_arguments_are_refused(arguments, named):
    with pytest.raises(ValueError, match=named):
        HierarchicalBatchSampler(**{"labels": [0, 0, 1, 1], "batch_size": 8} | arguments)
