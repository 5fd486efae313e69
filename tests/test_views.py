"""Views depend on (seed, epoch, image) alone."""

import pickle
from multiprocessing.reduction import ForkingPickler

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, default_collate

from fgcl_utils.views import DeviceViews, TwoViews, make_views, views_for

kinds = pytest.mark.parametrize("kind", [TwoViews, DeviceViews])


@pytest.fixture
def images():
    return np.random.default_rng(0).integers(0, 256, (20, 32, 32, 3), dtype=np.uint8)


def test_views_are_floats_in_the_unit_range_and_differ(images):
    first, second, position = TwoViews(images, np.arange(5, 15))[3]
    assert position == 3
    for view in (first, second):
        assert view.shape == (3, 32, 32)
        assert view.dtype == torch.float32
        assert 0 <= view.min() and view.max() <= 1
    assert not torch.equal(first, second)


def equal(sample, other):
    """Whether two samples of a data set of views are the same but for their position."""
    return all(torch.equal(a, b) for a, b in zip(sample[:-1], other[:-1], strict=True))


@kinds
def test_views_do_not_depend_on_the_subset_the_order_or_global_randomness(images, kind):
    whole, part = kind(images, np.arange(20)), kind(images, np.array([7, 3]))
    expected = whole[3]
    torch.manual_seed(99)
    whole[11]
    assert equal(part[1], expected)


@kinds
def test_drawing_views_leaves_global_randomness_alone(images, kind):
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    kind(images, np.arange(20))[0]
    assert torch.equal(torch.rand(3), expected)


@kinds
def test_epoch_and_seed_change_the_views(images, kind):
    views = kind(images, np.arange(20), seed=0)
    before = views[0]
    views.set_epoch(1)
    assert not equal(views[0], before)
    views.set_epoch(0)
    assert equal(views[0], before)
    assert not equal(kind(images, np.arange(20), seed=1)[0], before)


@kinds
def test_loader_processes_that_persist_see_the_next_epoch(images, kind):
    views = kind(images, np.arange(20))
    loader = DataLoader(views, batch_size=5, num_workers=1, persistent_workers=True)
    for epoch in (0, 1):
        views.set_epoch(epoch)
        drawn = torch.cat([sample for sample, _, _ in loader])
        assert torch.equal(drawn, torch.stack([views[i][0] for i in range(20)]))


def pickled(views):
    return bytes(ForkingPickler.dumps(views))


@kinds
def test_a_spawned_loader_process_is_sent_the_file_and_not_the_pixels(images, kind, tmp_path):
    np.save(tmp_path / "pixels.npy", images)
    views = kind(np.load(tmp_path / "pixels.npy", mmap_mode="r"), np.arange(20), seed=3)
    sent = pickled(views)
    assert len(sent) < 6000 < images.nbytes
    copy = pickle.loads(sent)
    assert isinstance(copy.images, np.memmap) and not copy.images.flags.writeable
    assert all(equal(copy[i], views[i]) for i in range(20))
    views.set_epoch(2)
    assert equal(copy[0], views[0])


@pytest.mark.parametrize("mode", ["r", "c"])
def test_other_arrays_are_sent_as_they_are(images, mode, tmp_path):
    np.save(tmp_path / "pixels.npy", images)
    whole = np.load(tmp_path / "pixels.npy", mmap_mode=mode)
    if mode == "c":
        whole[7] = 255 - whole[7]  # in memory only: the file does not know
    for part in (np.array(whole), whole[5:15], whole[::2]):
        copy = pickle.loads(pickled(TwoViews(part, np.arange(len(part)))))
        np.testing.assert_array_equal(copy.images, part)
    copy = pickle.loads(pickled(TwoViews(whole, np.arange(20))))
    np.testing.assert_array_equal(copy.images, whole)


def test_a_map_of_a_raw_file_in_another_order_is_opened_as_it_was(tmp_path):
    there = np.memmap(tmp_path / "raw", np.uint8, "w+", 64, (6, 8, 8, 3), "F")
    there[:] = np.random.default_rng(0).integers(0, 256, there.shape)
    copy = pickle.loads(pickled(TwoViews(there, np.arange(6))))
    assert copy.images.filename == there.filename
    np.testing.assert_array_equal(copy.images, there)


def test_spawned_loader_processes_draw_the_same_views(images, tmp_path):
    np.save(tmp_path / "pixels.npy", images)
    views = TwoViews(np.load(tmp_path / "pixels.npy", mmap_mode="r"), np.arange(20))
    loader = DataLoader(views, batch_size=10, num_workers=1, multiprocessing_context="spawn")
    drawn = torch.cat([sample for sample, _, _ in loader])
    assert torch.equal(drawn, torch.stack([views[i][0] for i in range(20)]))


# --- made on the device -----------------------------------------------------------------------


@pytest.mark.parametrize(("device", "kind"), [("cuda:1", DeviceViews), ("cpu", TwoViews)])
def test_the_device_decides_who_makes_the_views(images, device, kind):
    views = views_for(device, images, np.array([4, 2]), seed=3)
    assert type(views) is kind
    assert (views.seed, len(views)) == (3, 2)


def batch(views):
    return views.to_device(default_collate([views[i] for i in range(len(views))]), "cpu")


def test_the_device_makes_the_views_that_the_loader_would():
    """But for the loader's rounding to whole levels, after the crop and after each colour step."""
    rng = np.random.default_rng(1)
    # 200 images: every order of the colour steps, with and without them and the flip
    images = rng.integers(0, 256, (200, 24, 24, 3), dtype=np.uint8)
    indices = rng.permutation(200)
    by_loader, positions = batch(TwoViews(images, indices, seed=5))
    on_device, same_positions = batch(DeviceViews(images, indices, seed=5))
    assert torch.equal(positions, torch.arange(200)) and torch.equal(positions, same_positions)
    for views in (by_loader, on_device):
        assert views.shape == (400, 3, 24, 24) and views.dtype == torch.float32
        assert views.is_contiguous(memory_format=torch.channels_last)
        assert 0 <= views.min() and views.max() <= 1
    levels = 255 * (on_device - by_loader).abs()
    assert levels.max() < 7
    assert levels.mean() < 1.6


def test_views_of_a_batch_are_those_of_its_images(images):
    views = DeviceViews(images, np.arange(20))
    together, _ = batch(views)
    for i in (0, 7, 19):
        alone, _ = views.to_device(default_collate([views[i]]), "cpu")
        torch.testing.assert_close(alone, together[[i, 20 + i]])


def test_a_view_of_everything_unchanged_is_the_image(images):
    pixels = torch.from_numpy(images)
    whole = torch.tensor([0, 0, 32, 32, 0, 0, 0, 0, 1, 1, 1.0])
    mirrored = torch.tensor([0, 0, 32, 32, 1, 0, 0, 0, 1, 1, 1.0])
    views = make_views(pixels, torch.stack([whole, mirrored]).expand(20, 2, 11))
    expected = pixels.permute(0, 3, 1, 2) / 255
    torch.testing.assert_close(views, torch.cat([expected, expected.flip(3)]), atol=1e-4, rtol=0)
