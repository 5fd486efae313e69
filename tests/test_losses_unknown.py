"""Labels that stop early: what is unknown neither attracts nor, at its level, counts at all."""

import itertools
from functools import partial

import loss_ways
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from loss_ways import (
    SLOW_BUT_FINE,
    force,
    in_two_processes,
    loss_and_gradient,
    nested_labels,
    slow_blocks,
    slow_losses,
)

from fgcl_utils.losses import (
    HierarchicalContrastiveLoss,
    LevelBlocksLoss,
    ProjectionQueue,
    SupConLoss,
)

way, rng = loss_ways.way, loss_ways.rng
HCL = HierarchicalContrastiveLoss
OPTIONS = [
    {"reduction": reduction, "anchors_without_positives": lonely}
    for reduction in ("mean", "sum", "none")
    for lonely in ("ignore", "zero")
]


def forget(labels, n_unknown):
    """Labels with −1 at the `n_unknown` (N,) finest levels of each row."""
    levels = torch.arange(labels.shape[1])
    return labels.where(levels >= torch.as_tensor(n_unknown)[:, None], -1)


@st.composite
def batches(draw):
    """Projections (N, 4 · L), labels (N, L) of which any are unknown, and the same of a past."""
    n, n_past, n_levels = draw(st.integers(1, 16)), draw(st.integers(0, 6)), draw(st.integers(1, 4))
    rows = partial(st.lists, min_size=n + n_past, max_size=n + n_past)
    labels = nested_labels(torch.tensor(draw(rows(st.integers(0, 9)))), n_levels)
    labels = forget(labels, draw(rows(st.integers(0, n_levels))))
    random = np.random.default_rng(draw(st.integers(0, 99)))
    projections = torch.from_numpy(random.standard_normal((n + n_past, 4 * n_levels)))
    return projections[:n], labels[:n], (projections[n:], labels[n:])


def assert_equal_to(slow, loss, projections, labels, past):
    value, gradient = loss_and_gradient(loss, projections, labels, past)
    slow_value, slow_gradient = loss_and_gradient(slow, projections, labels)
    torch.testing.assert_close(value, slow_value, rtol=1e-10, atol=1e-10)
    scale = max(1.0, slow_gradient.abs().max().item())
    torch.testing.assert_close(gradient / scale, slow_gradient / scale, rtol=1e-10, atol=1e-10)


@SLOW_BUT_FINE
@given(batch=batches(), normalization=st.sampled_from(["pair", "level"]))
def test_in_one_space_equals_the_slow_loop(way, batch, normalization):
    weights = (1.0, 0.4, 0.2, 0.1)[: batch[1].shape[1]]
    slow = partial(
        slow_losses, weights=weights, temperature=0.1, normalization=normalization, past=batch[2]
    )
    assert_equal_to(slow, HCL(weights, 0.1, normalization, "none"), *batch)


@SLOW_BUT_FINE
@given(batch=batches())
def test_in_blocks_equals_the_slow_loop(way, batch):
    n_levels = batch[1].shape[1]
    settings = [4] * n_levels, (1.0, 0.2, 0.0, 0.5)[:n_levels], (0.1, 0.3, 0.2, 1.0)[:n_levels]
    slow = partial(
        slow_blocks, dims=settings[0], weights=settings[1], temperatures=settings[2], past=batch[2]
    )
    assert_equal_to(slow, LevelBlocksLoss(*settings, "none"), *batch)


@pytest.fixture
def batch(rng):
    """24 samples of two levels: species unknown for a third of them, genus too for some."""
    labels = nested_labels(torch.randint(0, 8, (24,), generator=rng), 2)
    n_unknown = torch.tensor([0, 0, 1, 0, 0, 2]).repeat(4)
    return torch.randn(24, 6, dtype=torch.float64, generator=rng), forget(labels, n_unknown)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_supcon_is_that_without_the_unknown_rows(way, batch, options):
    projections, labels = batch[0], batch[1][:, 0]
    known = labels >= 0
    loss = SupConLoss(**options)
    value, gradient = loss_and_gradient(loss, projections, labels)
    expected, of_known = loss_and_gradient(loss, projections[known], labels[known])
    if options["reduction"] == "none":
        assert not value[~known].any()
        value = value[known]
    torch.testing.assert_close(value, expected)
    torch.testing.assert_close(gradient[known], of_known)
    assert not gradient[~known].any()


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_a_row_of_which_nothing_is_known_is_left_out(way, batch, options):
    projections, labels = batch
    known = labels[:, 1] >= 0
    loss = HCL(**options)
    value, gradient = loss_and_gradient(loss, projections, labels)
    expected, of_known = loss_and_gradient(loss, projections[known], labels[known])
    torch.testing.assert_close(value[known] if value.ndim else value, expected)
    torch.testing.assert_close(gradient[known], of_known)
    assert not gradient[~known].any()


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("normalization", ["pair", "level"])
def test_in_one_space_an_unknown_class_is_one_of_its_own(way, batch, options, normalization):
    projections, labels = (rows[batch[1][:, 1] >= 0] for rows in batch)
    alone = labels.where(labels >= 0, 1000 + torch.arange(len(labels))[:, None])
    loss = HCL((1, 0.3), normalization=normalization, **options)
    torch.testing.assert_close(
        loss_and_gradient(loss, projections, labels), loss_and_gradient(loss, projections, alone)
    )


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_blocks_are_the_sum_of_their_levels(way, batch, options):
    projections, labels = batch
    loss = LevelBlocksLoss((4, 2), (1, 0.2), (0.1, 0.3), **options)
    fine = SupConLoss(0.1, **options)(projections[:, :4], labels[:, 0])
    coarse = SupConLoss(0.3, **options)(projections[:, 4:], labels[:, 1])
    torch.testing.assert_close(loss(projections, labels), fine + 0.2 * coarse)


LOSSES = {"one space": HCL((1, 0.3), reduction="none")}
LOSSES["blocks"] = LevelBlocksLoss((4, 2), (1, 0.2), reduction="none")


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
def test_gradient_matches_finite_differences(way, batch, loss):
    projections, labels = (rows[:8] for rows in batch)
    assert torch.autograd.gradcheck(lambda z: loss(z, labels), projections.requires_grad_())


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
def test_order_does_not_matter(way, batch, loss, rng):
    projections, labels = batch
    order = torch.randperm(len(labels), generator=rng)
    torch.testing.assert_close(
        loss(projections, labels)[order], loss(projections[order], labels[order])
    )


@pytest.mark.parametrize("n_known", [0, 1])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_where_next_to_nothing_is_known_loss_and_gradient_are_zero(way, batch, n_known, reduction):
    projections, labels = batch
    labels = forget(labels, [0] * n_known + [2] * (24 - n_known))
    for loss in (HCL(reduction=reduction), LevelBlocksLoss((4, 2), (1, 1), 0.1, reduction)):
        for past in (None, (projections, labels)):
            if n_known and past:
                continue  # two of a class
            value, gradient = loss_and_gradient(loss, projections, labels, past)
            assert not value.any()
            assert not gradient.any()


def test_a_queue_remembers_what_is_unknown(batch):
    projections, labels = batch
    queue = ProjectionQueue(size=24, dim=6, n_levels=2).double()
    queue.add(projections, labels)
    assert torch.equal(queue.contents()[1], labels)


HOLES = [
    ([[0, 1], [0, -1]], r"sample 1 has the labels \[0, -1\].*finer levels only"),
    ([[0, 1], [-100, 1]], r"sample 1 has the label -100.*−1 where the class is unknown"),
    ([[0, 1], [-1, -2]], "sample 1 has the label -2"),
]


@pytest.mark.parametrize(("labels", "named"), HOLES)
def test_unknown_above_known_is_refused(labels, named):
    labels, projections = torch.tensor(labels), torch.randn(2, 4)
    queue = ProjectionQueue(size=4, dim=4, n_levels=2)
    for door in (HCL(), LevelBlocksLoss((2, 2), (1, 1)), queue.add):
        with pytest.raises(ValueError, match=named):
            door(projections, labels)
    assert len(queue.contents()[0]) == 0
    past = torch.randn(1, 4), torch.zeros(1, 2, dtype=int)
    with pytest.raises(ValueError, match=named):
        HCL()(projections, labels, past)


def test_labels_that_are_not_nested_are_named_as_the_caller_counts_them(way):
    labels = torch.tensor([[-1, -1], [0, 0], [-1, -1], [0, 1]])
    with pytest.raises(ValueError, match="samples 1 and 3"):
        HCL()(torch.randn(4, 4), labels)


# ---- many processes


def results_of(rank, split, way, kind, reduction):
    force(way)
    generator = torch.Generator().manual_seed(0)
    labels = nested_labels(torch.randint(0, 8, (24,), generator=generator), 2)
    labels = forget(labels, torch.tensor([2, 2, 1, 0, 0, 0]).repeat(4))
    projections = torch.randn(24, 6, dtype=torch.float64, generator=generator)
    own = slice(sum(split[:rank]), sum(split[: rank + 1]))
    loss = {
        "one space": lambda: HCL(reduction=reduction),
        "blocks": lambda: LevelBlocksLoss((4, 2), (1, 0.2), (0.1, 0.3), reduction),
    }[kind]()
    return loss_and_gradient(loss, projections[own], labels[own])


def results_of_rank(rank):
    # Of the second split, the first rank has no row of which anything is known.
    keys = itertools.product([(11, 13), (2, 22)], ("direct", "tiles"), LOSSES, ("mean", "none"))
    return {key: results_of(rank, *key) for key in keys}


def test_two_processes_equal_one(tmp_path):
    ranks = in_two_processes(results_of_rank, tmp_path)
    for split, way, kind, reduction in ranks[0]:
        values, gradients = zip(*[rank[split, way, kind, reduction] for rank in ranks], strict=True)
        with pytest.MonkeyPatch.context() as patch:
            force(way, patch.setattr)
            value, gradient = results_of(0, (24,), "direct", kind, reduction)
        for one in [torch.cat(values)] if reduction == "none" else values:
            torch.testing.assert_close(one, value)
        # The mean is computed on both ranks, the single losses on one each.
        times = 1 if reduction == "none" else 2
        torch.testing.assert_close(torch.cat(gradients), gradient * times)
