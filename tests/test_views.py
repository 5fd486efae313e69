"""Views depend on (seed, epoch, image) alone."""

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from fgcl_utils.views import TwoViews


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


def test_views_do_not_depend_on_the_subset_the_order_or_global_randomness(images):
    whole, part = TwoViews(images, np.arange(20)), TwoViews(images, np.array([7, 3]))
    expected = whole[3]
    torch.manual_seed(99)
    whole[11]
    assert torch.equal(part[1][0], expected[0])
    assert torch.equal(part[1][1], expected[1])


def test_drawing_views_leaves_global_randomness_alone(images):
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    TwoViews(images, np.arange(20))[0]
    assert torch.equal(torch.rand(3), expected)


def test_epoch_and_seed_change_the_views(images):
    views = TwoViews(images, np.arange(20), seed=0)
    before = views[0][0]
    views.set_epoch(1)
    assert not torch.equal(views[0][0], before)
    views.set_epoch(0)
    assert torch.equal(views[0][0], before)
    assert not torch.equal(TwoViews(images, np.arange(20), seed=1)[0][0], before)


def test_loader_processes_that_persist_see_the_next_epoch(images):
    views = TwoViews(images, np.arange(20))
    loader = DataLoader(views, batch_size=5, num_workers=1, persistent_workers=True)
    for epoch in (0, 1):
        views.set_epoch(epoch)
        drawn = torch.cat([first for first, _, _ in loader])
        assert torch.equal(drawn, torch.stack([views[i][0] for i in range(20)]))
