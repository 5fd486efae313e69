"""The loss of level blocks is the weighted sum of its levels' losses, and so is its cosine."""

import itertools
import math
from functools import partial

import loss_ways
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from loss_ways import (
    HARD_CASES,
    SLOW_BUT_FINE,
    WAYS,
    Largest,
    force,
    in_two_processes,
    loss_and_gradient,
    nested_labels,
    slow_blocks,
)
from torch.nn.functional import cosine_similarity

from fgcl_utils.losses import (
    LevelBlocksLoss,
    ProjectionQueue,
    SupConLoss,
    backward_in_chunks,
    level_blocks,
    log_sum_exp,
)

way, rng = loss_ways.way, loss_ways.rng


@st.composite
def batches(draw):
    n, n_levels = draw(st.integers(1, 16)), draw(st.integers(1, 4))
    each = partial(st.lists, min_size=n_levels, max_size=n_levels)
    dims, temperatures = draw(each(st.integers(1, 5))), draw(each(st.floats(0.02, 2)))
    weights = draw(each(st.floats(0, 3)).filter(any))
    finest = draw(st.lists(st.integers(0, 12), min_size=n, max_size=n))
    random = np.random.default_rng(draw(st.integers(0, 99)))
    projections = torch.from_numpy(random.standard_normal((n, sum(dims))))
    return projections, nested_labels(torch.tensor(finest), n_levels), dims, weights, temperatures


@SLOW_BUT_FINE
@given(batch=batches())
def test_equals_the_slow_loop_in_value_and_gradient(way, batch):
    projections, labels, *settings = batch
    value, gradient = loss_and_gradient(LevelBlocksLoss(*settings, "none"), projections, labels)
    slow = partial(slow_blocks, labels=labels)
    slow_value, slow_gradient = loss_and_gradient(
        lambda z: slow(z, dims=settings[0], weights=settings[1], temperatures=settings[2]),
        projections,
    )
    torch.testing.assert_close(value, slow_value, rtol=1e-10, atol=1e-10)
    scale = max(1.0, slow_gradient.abs().max().item())
    torch.testing.assert_close(gradient / scale, slow_gradient / scale, rtol=1e-10, atol=1e-10)


@pytest.fixture
def batch(rng):
    """Levels that differ in the number of anchors without positives: 20 samples, blocks 5 + 3."""
    species = torch.randint(0, 14, (20,), generator=rng)
    projections = torch.randn(20, 8, dtype=torch.float64, generator=rng)
    return projections, nested_labels(species, 2)


DIMS, WEIGHTS, TEMPERATURES = (5, 3), (1.0, 0.2), (0.1, 0.3)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("lonely", ["ignore", "zero"])
def test_is_the_weighted_sum_of_the_levels_losses(way, batch, reduction, lonely):
    projections, labels = batch
    options = {"reduction": reduction, "anchors_without_positives": lonely}
    loss = LevelBlocksLoss(DIMS, WEIGHTS, TEMPERATURES, **options)
    fine = SupConLoss(0.1, **options)(projections[:, :5], labels[:, 0])
    coarse = SupConLoss(0.3, **options)(projections[:, 5:], labels[:, 1])
    torch.testing.assert_close(loss(projections, labels), fine + 0.2 * coarse)


def test_one_level_is_supcon(way, batch):
    projections, labels = batch
    loss = LevelBlocksLoss((8,), (1,), 0.2)
    found = loss_and_gradient(loss, projections, labels[:, 0])
    torch.testing.assert_close(found, loss_and_gradient(SupConLoss(0.2), projections, labels[:, 0]))


def test_levels_need_not_be_nested_nor_weights_fall(way, batch, rng):
    projections, _ = batch
    labels = torch.randint(0, 5, (20, 2), generator=rng)
    found = LevelBlocksLoss(DIMS, (0.2, 1), TEMPERATURES, "none")(projections, labels)
    slow = slow_blocks(projections, labels, DIMS, (0.2, 1), TEMPERATURES)
    torch.testing.assert_close(found, slow)


def test_a_level_of_weight_zero_has_no_gradient(batch):
    _, gradient = loss_and_gradient(LevelBlocksLoss(DIMS, (1, 0)), *batch)
    assert gradient[:, :5].any(1).all()
    assert not gradient[:, 5:].any()


def test_gradient_matches_finite_differences(way, batch):
    projections, labels = (rows[:8] for rows in batch)
    loss = LevelBlocksLoss(DIMS, WEIGHTS, TEMPERATURES, "none")
    assert torch.autograd.gradcheck(lambda z: loss(z, labels), projections.requires_grad_())


def test_every_level_learns_its_temperature(way, batch):
    projections, labels = batch
    loss = LevelBlocksLoss(DIMS, WEIGHTS, TEMPERATURES, learnable_temperature=True).double()
    assert loss.temperatures == pytest.approx(TEMPERATURES)
    loss(projections, labels).backward()
    for level, block in enumerate(projections.split(DIMS, 1)):
        alone = SupConLoss(TEMPERATURES[level], learnable_temperature=True).double()
        alone(block, labels[:, level]).backward()
        torch.testing.assert_close(
            loss.levels[level].log_scale.grad, WEIGHTS[level] * alone.log_scale.grad
        )


@SLOW_BUT_FINE
@given(batch=batches(), seed=st.integers(0, 99))
def test_order_and_lengths_of_blocks_do_not_matter(way, batch, seed):
    z, labels, *settings = batch
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(z), generator=generator)
    lengths = torch.rand(len(z), len(settings[0]), dtype=z.dtype, generator=generator) + 0.1
    stretched = z * lengths.repeat_interleave(torch.tensor(settings[0]), 1)
    loss = LevelBlocksLoss(*settings, "none")
    torch.testing.assert_close(
        loss(z, labels)[order], loss(stretched[order], labels[order]), rtol=1e-9, atol=1e-9
    )


@pytest.mark.parametrize("case", HARD_CASES)
@pytest.mark.parametrize("temperature", [0.001, 0.01, 0.1, 10.0])
def test_never_nan(way, case, temperature):
    projections, labels = HARD_CASES[case]
    labels = torch.tensor(labels)
    twice = torch.cat([projections, projections], 1), torch.stack([labels, labels // 2], 1)
    loss = LevelBlocksLoss([projections.shape[1]] * 2, (1, 0.2), temperature)
    if case != "one sample" or way == "direct":
        value, gradient = loss_and_gradient(loss, *twice)
        assert value.isfinite().all()
        assert gradient.isfinite().all()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_low_precision_inputs_at_low_temperature(way, dtype, rng):
    labels = nested_labels(torch.randint(0, 12, (60,), generator=rng), 2)
    projections = torch.randn(60, 48, generator=rng).to(dtype)
    loss = LevelBlocksLoss((32, 16), WEIGHTS, (0.01, 0.02))
    value, gradient = loss_and_gradient(loss, projections, labels)
    exact_value, exact_gradient = loss_and_gradient(loss, projections.double(), labels)
    assert value.dtype == torch.float32
    assert gradient.dtype == dtype
    torch.testing.assert_close(value.double(), exact_value, rtol=1e-5, atol=0)
    error = (gradient.double() - exact_gradient).norm() / exact_gradient.norm()
    assert error < 1e-2


def test_autocast_changes_nothing(way, batch):
    loss = LevelBlocksLoss(DIMS, WEIGHTS)
    plain = loss_and_gradient(loss, *batch)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        under_autocast = loss_and_gradient(loss, *batch)
    torch.testing.assert_close(under_autocast, plain, rtol=0, atol=0)


def test_memory_is_linear(rng):
    n, dims = 3000, (20, 12)
    labels = nested_labels(torch.randint(0, 50, (n,), generator=rng), 2)
    with Largest() as largest:
        loss_and_gradient(LevelBlocksLoss(dims, WEIGHTS), torch.randn(n, sum(dims)), labels)
    assert largest.numel <= max(n * sum(dims), log_sum_exp.TILE_ROWS["cpu"] ** 2)


def test_chunks_have_the_gradient_of_the_batch(batch, rng):
    inputs, labels = batch
    model = torch.nn.Linear(8, 8).double()
    loss = LevelBlocksLoss(DIMS, WEIGHTS, TEMPERATURES, learnable_temperature=True)
    parameters = [*model.parameters(), *loss.parameters()]
    whole = loss(model(inputs), labels)
    expected = torch.autograd.grad(whole, parameters)
    value = backward_in_chunks(model, loss, inputs, labels, chunk_size=7)
    torch.testing.assert_close(value, whole.detach())
    for parameter, gradient in zip(parameters, expected, strict=True):
        torch.testing.assert_close(parameter.grad, gradient, rtol=1e-6, atol=1e-10)


def test_a_queue_adds_columns_without_gradient(way, batch):
    projections, labels = batch
    queue = ProjectionQueue(size=9, dim=8, n_levels=2).double()
    queue.add(projections[:9].flip(1), labels[:9])
    past = queue.contents()
    loss = LevelBlocksLoss(DIMS, WEIGHTS, TEMPERATURES, "none")
    slow = partial(slow_blocks, dims=DIMS, weights=WEIGHTS, temperatures=TEMPERATURES, past=past)
    ours = loss_and_gradient(loss, projections, labels, past)
    torch.testing.assert_close(ours, loss_and_gradient(slow, projections, labels))


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"block_dims": ()}, "block_dims"),
        ({"block_dims": (5, 0)}, "block_dims"),
        ({"block_dims": (5, 2.5)}, "block_dims"),
        ({"level_weights": (1,)}, "level_weights"),
        ({"level_weights": (1, -0.1)}, "level_weights"),
        ({"level_weights": (0, 0)}, "level_weights"),
        ({"level_weights": (1, math.nan)}, "level_weights"),
        ({"level_weights": (1, math.inf)}, "level_weights"),
        ({"temperatures": (0.1,)}, "temperatures"),
        ({"temperatures": (0.1, 0)}, "temperature"),
        ({"temperatures": 2, "learnable_temperature": True}, "temperature"),
        ({"reduction": "average"}, "'mean', 'sum', 'none'"),
        ({"anchors_without_positives": "skip"}, "'ignore', 'zero'"),
    ],
)
def test_wrong_settings_are_refused(arguments, named):
    with pytest.raises(ValueError, match=named):
        LevelBlocksLoss(**{"block_dims": DIMS, "level_weights": WEIGHTS} | arguments)


def test_projections_of_another_length_and_too_few_levels_are_refused(batch):
    projections, labels = batch
    loss = LevelBlocksLoss(DIMS, WEIGHTS)
    with pytest.raises(ValueError, match=r"\(N, 7\); they must be \(N, 8\)"):
        loss(projections[:, :7], labels)
    with pytest.raises(ValueError, match="labels have shape"):
        loss(projections, labels[:, 0])


# ---- the embedding


@pytest.mark.parametrize("shares", [(0.65, 0.35), (1, 0), (0.5, 0.5)])
def test_cosine_of_the_embedding_is_the_mean_of_the_blocks_cosines(shares, batch):
    projections, _ = batch
    embedding = level_blocks(projections, DIMS, shares)
    torch.testing.assert_close(embedding.norm(dim=1), torch.ones(20, dtype=torch.float64))
    first, second = projections[:10], projections[10:]
    expected = sum(
        share * cosine_similarity(a, b)
        for share, a, b in zip(shares, first.split(DIMS, 1), second.split(DIMS, 1), strict=True)
    )
    torch.testing.assert_close((embedding[:10] * embedding[10:]).sum(1), expected)


def test_embedding_has_a_gradient_and_leaves_zero_blocks_zero(batch):
    projections, _ = batch
    projections[0, :5] = 0
    _, gradient = loss_and_gradient(
        partial(level_blocks, block_dims=DIMS, shares=(1, 0)), projections
    )
    assert gradient.isfinite().all()
    assert not level_blocks(projections, DIMS, (0.5, 0.5))[0, :5].any()
    assert level_blocks(projections.half(), DIMS, (0.5, 0.5)).dtype == torch.float32


@pytest.mark.parametrize(
    ("shares", "named"),
    [((0.5,), "shares"), ((1.5, -0.5), "shares"), ((2, 1), "sum to 1"), ((math.nan, 1), "shares")],
)
def test_wrong_shares_are_refused(shares, named, batch):
    with pytest.raises(ValueError, match=named):
        level_blocks(batch[0], DIMS, shares)
    with pytest.raises(ValueError, match=r"they must be \(N, 8\)"):
        level_blocks(batch[0][:, 1:], DIMS, (0.5, 0.5))


# ---- many processes


SPLITS = [(11, 12), (0, 23)]
DIVIDED = [way for way in ("direct", "tiles", "fused") if way in WAYS]


def results_of(rank, split, way, reduction):
    """Loss, gradients of local projections and of the temperatures, on one rank's share."""
    force(way)
    generator = torch.Generator().manual_seed(0)
    labels = nested_labels(torch.randint(0, 9, (23,), generator=generator), 2)
    projections = torch.randn(23, 8, dtype=torch.float64, generator=generator)
    own = slice(sum(split[:rank]), sum(split[: rank + 1]))
    loss = LevelBlocksLoss(DIMS, WEIGHTS, TEMPERATURES, reduction, learnable_temperature=True)
    value, gradient = loss_and_gradient(loss.double(), projections[own], labels[own])
    return value, gradient, torch.stack([level.log_scale.grad for level in loss.levels])


def results_of_rank(rank):
    return {
        key: results_of(rank, *key)
        for key in itertools.product(SPLITS, DIVIDED, ("mean", "sum", "none"))
    }


def test_two_processes_equal_one(tmp_path):
    ranks = in_two_processes(results_of_rank, tmp_path)
    for split, way, reduction in ranks[0]:
        values, gradients, of_scales = zip(
            *[rank[split, way, reduction] for rank in ranks], strict=True
        )
        with pytest.MonkeyPatch.context() as patch:
            force(way, patch.setattr)
            value, gradient, of_scale = results_of(0, (23,), "direct", reduction)
        # The mean and the sum are computed on both ranks, the single losses on one each.
        times = 1 if reduction == "none" else 2
        for one in [torch.cat(values)] if reduction == "none" else values:
            torch.testing.assert_close(one, value, rtol=1e-9, atol=1e-9)
        close = partial(torch.testing.assert_close, rtol=1e-9, atol=1e-9)
        close(torch.cat(gradients), gradient * times)
        for one in of_scales:
            close(one * 2, of_scale * times)
