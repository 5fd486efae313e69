"""The losses equal a slow loop written from the formula, whichever way they are computed."""

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
    slow_losses,
)
from torch.nn.functional import normalize

from fgcl_utils.losses import (
    HierarchicalContrastiveLoss,
    ProjectionQueue,
    SupConLoss,
    backward_in_chunks,
    log_sum_exp,
    matrices,
    tiles_or_kernels,
)

way, rng = loss_ways.way, loss_ways.rng


@st.composite
def batches(draw):
    n, dim, n_levels = draw(st.integers(1, 24)), draw(st.integers(1, 8)), draw(st.integers(1, 5))
    finest = draw(st.lists(st.integers(0, draw(st.integers(0, 40))), min_size=n, max_size=n))
    weights = draw(st.lists(st.floats(0, 1), min_size=n_levels - 1, max_size=n_levels - 1))
    projections = torch.from_numpy(
        np.random.default_rng(draw(st.integers(0, 99))).standard_normal((n, dim))
    )
    return {
        "projections": projections,
        "labels": nested_labels(torch.tensor(finest), n_levels),
        "weights": (1.0, *sorted(weights, reverse=True)),
        "temperature": draw(st.floats(0.02, 2)),
        "normalization": draw(st.sampled_from(["pair", "level"])),
    }


@SLOW_BUT_FINE
@given(batch=batches())
def test_equals_the_slow_loop_in_value_and_gradient(way, batch):
    weights, temperature, normalization = (
        batch["weights"],
        batch["temperature"],
        batch["normalization"],
    )
    loss = HierarchicalContrastiveLoss(weights, temperature, normalization, "none")
    slow = partial(
        slow_losses, weights=weights, temperature=temperature, normalization=normalization
    )
    value, gradient = loss_and_gradient(loss, batch["projections"], batch["labels"])
    slow_value, slow_gradient = loss_and_gradient(slow, batch["projections"], batch["labels"])
    torch.testing.assert_close(value, slow_value, rtol=1e-10, atol=1e-10)
    scale = max(1.0, slow_gradient.abs().max().item())
    torch.testing.assert_close(gradient / scale, slow_gradient / scale, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("normalization", ["pair", "level"])
def test_gradient_matches_finite_differences(way, normalization, rng):
    labels = nested_labels(torch.randint(0, 6, (12,), generator=rng), 3)
    projections = torch.randn(12, 4, dtype=torch.float64, generator=rng).requires_grad_()
    loss = HierarchicalContrastiveLoss((1, 0.5, 0.1), 0.2, normalization, "none")
    assert torch.autograd.gradcheck(lambda z: loss(z, labels), projections)


def test_gradient_of_the_temperature_matches_finite_differences(way, rng):
    labels = torch.randint(0, 4, (12,), generator=rng)
    projections = torch.randn(12, 4, dtype=torch.float64, generator=rng)
    loss = SupConLoss(0.2, learnable_temperature=True).double()
    loss(projections, labels).backward()

    def value(log_scale):
        return SupConLoss(math.exp(-log_scale))(projections, labels)

    x, step = loss.log_scale.item(), 1e-5
    slope = (value(x + step) - value(x - step)) / (2 * step)
    torch.testing.assert_close(loss.log_scale.grad, slope, rtol=1e-7, atol=1e-9)


def test_learnt_temperature_stays_in_its_range_and_can_leave_the_border():
    loss = SupConLoss(0.01, learnable_temperature=True)
    with torch.no_grad():
        loss.log_scale.add_(5)
    projections = torch.tensor([[1.0, 0], [0.6, 0.8], [0, 1]])
    loss(projections, torch.tensor([0, 0, 1])).backward()
    assert loss.temperature == pytest.approx(0.01)
    assert loss.log_scale.grad.abs() > 0


def test_reductions_agree(rng):
    labels = torch.tensor([0, 0, 0, 1, 1, 2])
    projections = torch.randn(6, 4, generator=rng)
    each = SupConLoss(reduction="none")(projections, labels)
    assert each[5] == 0
    torch.testing.assert_close(SupConLoss(reduction="sum")(projections, labels), each.sum())
    torch.testing.assert_close(SupConLoss()(projections, labels), each.sum() / 5)
    zero = SupConLoss(anchors_without_positives="zero")(projections, labels)
    torch.testing.assert_close(zero, each.mean())


def test_levels_of_equal_weight_are_the_coarser_level_alone(way, rng):
    labels = nested_labels(torch.randint(0, 12, (30,), generator=rng), 2)
    projections = torch.randn(30, 8, dtype=torch.float64, generator=rng)
    both = HierarchicalContrastiveLoss((1, 1), normalization="pair")(projections, labels)
    torch.testing.assert_close(both, SupConLoss()(projections, labels[:, 1]))
    finest = HierarchicalContrastiveLoss((1, 0))(projections, labels)
    torch.testing.assert_close(finest, SupConLoss()(projections, labels[:, 0]))


@SLOW_BUT_FINE
@given(batch=batches(), seed=st.integers(0, 99))
def test_order_and_length_do_not_matter(way, batch, seed):
    loss = HierarchicalContrastiveLoss(
        batch["weights"], batch["temperature"], batch["normalization"], "none"
    )
    z, labels = batch["projections"], batch["labels"]
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(z), generator=generator)
    lengths = torch.rand(len(z), 1, dtype=z.dtype, generator=generator) + 0.1
    torch.testing.assert_close(
        loss(z, labels)[order], loss((z * lengths)[order], labels[order]), rtol=1e-9, atol=1e-9
    )


def test_all_ways_agree_on_a_large_batch_in_float32(monkeypatch, rng):
    n = 1500  # beyond the direct form, and no multiple of a tile
    labels = nested_labels(torch.randint(0, 50, (n,), generator=rng), 3)
    projections = torch.randn(n, 16, generator=rng)
    loss = HierarchicalContrastiveLoss((1, 0.3, 0.1))
    value, gradient = loss_and_gradient(loss, projections, labels)
    force("direct", monkeypatch.setattr)
    exact_value, exact_gradient = loss_and_gradient(loss, projections.double(), labels)
    torch.testing.assert_close(value.double(), exact_value, rtol=1e-6, atol=0)
    torch.testing.assert_close(gradient.double(), exact_gradient, rtol=1e-4, atol=1e-8)


def test_memory_is_linear(monkeypatch, rng):
    n, dim = 3000, 32
    labels = nested_labels(torch.randint(0, 50, (n,), generator=rng), 2)
    with Largest() as largest:
        loss_and_gradient(HierarchicalContrastiveLoss(), torch.randn(n, dim), labels)
    assert largest.numel <= max(n * dim, log_sum_exp.TILE_ROWS["cpu"] ** 2)


# ---- equal to peers where the definitions coincide


def test_equals_pytorch_metric_learning(way, rng):
    peer = pytest.importorskip("pytorch_metric_learning.losses")
    labels = torch.arange(40) % 8  # every anchor has positives
    projections = torch.randn(40, 16, generator=rng)
    ours = loss_and_gradient(SupConLoss(0.1), projections, labels)
    theirs = loss_and_gradient(peer.SupConLoss(0.1), projections, labels)
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)


def test_equals_lightly_for_two_views_of_each_image(way, rng):
    peer = pytest.importorskip("lightly.loss")
    first, second = torch.randn(2, 20, 16, generator=rng)
    labels = torch.arange(20).repeat(2)
    ours = SupConLoss(0.2)(torch.cat([first, second]), labels)
    torch.testing.assert_close(ours, peer.NTXentLoss(0.2)(first, second), rtol=1e-5, atol=1e-6)


# ---- hard cases


@pytest.mark.parametrize("case", HARD_CASES)
@pytest.mark.parametrize("temperature", [0.001, 0.01, 0.1, 10.0])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_never_nan(way, case, temperature, reduction):
    projections, labels = HARD_CASES[case]
    loss = SupConLoss(temperature, reduction)
    if case != "one sample" or way == "direct":
        value, gradient = loss_and_gradient(loss, projections, torch.tensor(labels))
        assert value.isfinite().all()
        assert gradient.isfinite().all()


@pytest.mark.parametrize("case", ["one sample", "no positives"])
def test_without_any_positive_loss_and_gradient_are_zero(case):
    projections, labels = HARD_CASES[case]
    value, gradient = loss_and_gradient(SupConLoss(), projections, torch.tensor(labels))
    assert value == 0
    assert not gradient.any()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_low_precision_inputs_at_low_temperature(way, dtype, rng):
    labels = nested_labels(torch.randint(0, 12, (60,), generator=rng), 2)
    projections = normalize(torch.randn(60, 32, generator=rng)).to(dtype)
    loss = HierarchicalContrastiveLoss(temperature=0.01)
    value, gradient = loss_and_gradient(loss, projections, labels)
    exact_value, exact_gradient = loss_and_gradient(loss, projections.double(), labels)
    assert value.dtype == torch.float32
    assert gradient.dtype == dtype
    torch.testing.assert_close(value.double(), exact_value, rtol=1e-5, atol=0)
    error = (gradient.double() - exact_gradient).norm() / exact_gradient.norm()
    assert error < 1e-2


without_onednn = pytest.mark.skipif(
    not hasattr(torch.ops.mkldnn, "_linear_pointwise"), reason="torch without oneDNN"
)


@without_onednn
@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 3, 2), (5, 1, 4), (17, 130, 6)])
def test_products_by_onednn_are_products(shape, rng, monkeypatch):
    monkeypatch.setattr(matrices, "ONEDNN_IS_FASTER", True)
    n, d, m = shape
    left, right = torch.randn(n, d, generator=rng), torch.randn(m, d, generator=rng)
    torch.testing.assert_close(matrices.product(left, right.T), left @ right.T)
    rows = torch.randn(n, m, generator=rng)
    torch.testing.assert_close(matrices.product(left.T, rows), left.T @ rows)


@without_onednn
@pytest.mark.parametrize("temperature", [0.1, 0.01])
@pytest.mark.parametrize("onednn", [True, False])
def test_single_precision_by_either_library(onednn, temperature, rng, monkeypatch):
    monkeypatch.setattr(matrices, "ONEDNN_IS_FASTER", onednn)
    force("tiles", monkeypatch.setattr)
    labels = nested_labels(torch.randint(0, 12, (61,), generator=rng), 2)
    projections = torch.randn(61, 16, generator=rng)
    loss = HierarchicalContrastiveLoss(temperature=temperature)
    value, gradient = loss_and_gradient(loss, projections, labels)
    exact_value, exact_gradient = loss_and_gradient(loss, projections.double(), labels)
    torch.testing.assert_close(value.double(), exact_value, rtol=1e-5, atol=0)
    error = (gradient.double() - exact_gradient).norm() / exact_gradient.norm()
    assert error < 1e-4


def test_autocast_changes_nothing(way, rng):
    labels = torch.randint(0, 6, (40,), generator=rng)
    projections = torch.randn(40, 16, generator=rng)
    plain = loss_and_gradient(SupConLoss(), projections, labels)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        under_autocast = loss_and_gradient(SupConLoss(), projections, labels)
    torch.testing.assert_close(under_autocast, plain, rtol=0, atol=0)


def test_projections_may_be_a_view(way, rng):
    labels = torch.randint(0, 6, (30,), generator=rng)
    columns = torch.randn(8, 30, dtype=torch.float64, generator=rng)
    found = loss_and_gradient(SupConLoss(), columns.T, labels)
    expected = loss_and_gradient(SupConLoss(), columns.T.contiguous(), labels)
    torch.testing.assert_close(found, expected)


def test_two_backward_passes_through_one_graph(way, rng):
    labels = torch.randint(0, 6, (30,), generator=rng)
    projections = torch.randn(30, 8, generator=rng).requires_grad_()
    value = SupConLoss()(projections, labels)
    [first] = torch.autograd.grad(value, projections, retain_graph=True)
    [second] = torch.autograd.grad(value, projections)
    torch.testing.assert_close(first, second, rtol=0, atol=0)


def test_compiled_step_is_the_same(rng):
    labels = torch.randint(0, 6, (30,), generator=rng)
    projections = torch.randn(30, 8, generator=rng)
    model, loss, compiled = torch.nn.Linear(8, 4), SupConLoss(), []

    def backend(graph, inputs):
        compiled.extend(node for node in graph.graph.nodes if node.op.startswith("call"))
        return graph

    step = torch.compile(lambda x: loss(model(x), labels), backend=backend)
    torch.testing.assert_close(step(projections), loss(model(projections), labels))
    assert len(compiled) == 1  # the layer: the loss is no part of it


# ---- what is refused


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"level_weights": ()}, "level_weights"),
        ({"level_weights": (0.3, 1.0)}, "level_weights"),
        ({"level_weights": (1.0, -0.1)}, "level_weights"),
        ({"level_weights": (0.0,)}, "level_weights"),
        ({"temperature": 0}, "temperature"),
        ({"temperature": -1}, "temperature"),
        ({"temperature": math.nan}, "temperature"),
        ({"temperature": 2, "learnable_temperature": True}, "temperature"),
        ({"normalization": "levels"}, "'pair', 'level'"),
        ({"reduction": "average"}, "'mean', 'sum', 'none'"),
    ],
)
def test_wrong_settings_are_refused(arguments, named):
    with pytest.raises(ValueError, match=named):
        HierarchicalContrastiveLoss(**arguments)


@pytest.mark.parametrize(
    ("projections", "labels", "error", "named"),
    [
        (torch.randn(4), torch.zeros(4, dtype=int), ValueError, "projections"),
        (torch.randn(4, 0), torch.zeros(4, dtype=int), ValueError, "projections"),
        (torch.randn(0, 4), torch.zeros(0, dtype=int), ValueError, "empty"),
        (torch.randn(4, 4), torch.zeros(3, dtype=int), ValueError, "labels"),
        (torch.randn(4, 4), torch.zeros(4, 2, dtype=int), ValueError, "level_weights"),
        (torch.randn(4, 4), torch.zeros(4), TypeError, "integers"),
        (torch.ones(4, 4, dtype=int), torch.zeros(4, dtype=int), TypeError, "floating"),
        (torch.tensor([[1.0], [math.nan]]), torch.zeros(2, dtype=int), ValueError, "NaN"),
        (torch.tensor([[1.0], [math.inf]]), torch.zeros(2, dtype=int), ValueError, "infinity"),
        (torch.tensor([[1.0, 0], [1e30, 1]]), torch.zeros(2, dtype=int), ValueError, "long"),
    ],
)
def test_wrong_batches_are_refused(projections, labels, error, named):
    with pytest.raises(error, match=named):
        SupConLoss()(projections, labels)


@SLOW_BUT_FINE
@given(batch=batches(), row=st.integers(0, 23), level=st.integers(1, 4))
def test_labels_that_are_not_nested_are_refused_by_naming_two_samples(way, batch, row, level):
    labels = batch["labels"]
    row, level = row % len(labels), min(level, labels.shape[1] - 1)
    labels[row, level] = 999 if level else labels[row, level]
    contradictions = {
        (i, j)
        for i in range(len(labels))
        for j in range(i + 1, len(labels))
        for finer, coarser in zip(labels.T[:-1], labels.T[1:], strict=True)
        if finer[i] == finer[j] and coarser[i] != coarser[j]
    }
    loss = HierarchicalContrastiveLoss(batch["weights"])
    if len(labels) == 1 or not contradictions:
        loss(batch["projections"], labels)
        return
    with pytest.raises(ValueError, match="not nested") as caught:
        loss(batch["projections"], labels)
    named = tuple(int(word) for word in str(caught.value).split() if word.isdigit())
    assert named in contradictions


# ---- batches beyond memory


@pytest.mark.parametrize("chunk_size", [1, 7, 32])
def test_chunks_have_the_gradient_of_the_batch(chunk_size, rng):
    labels = torch.randint(0, 6, (32,), generator=rng)
    inputs = torch.randn(32, 5, dtype=torch.float64, generator=rng)
    model = torch.nn.Sequential(torch.nn.Linear(5, 8), torch.nn.Tanh(), torch.nn.Linear(8, 4))
    model, loss = model.double(), SupConLoss(learnable_temperature=True)
    parameters = [*model.parameters(), *loss.parameters()]

    whole = loss(model(inputs), labels)
    expected = torch.autograd.grad(whole, parameters)
    value = backward_in_chunks(model, loss, inputs, labels, chunk_size)
    torch.testing.assert_close(value, whole.detach())
    for parameter, gradient in zip(parameters, expected, strict=True):
        torch.testing.assert_close(parameter.grad, gradient, rtol=1e-6, atol=1e-10)


def test_chunks_draw_the_same_dropout_twice(rng):
    torch.manual_seed(0)
    seen = []

    def embed(inputs):
        seen.append(torch.nn.functional.dropout(inputs, 0.5))
        return seen[-1]

    inputs = torch.randn(8, 4, generator=rng).requires_grad_()
    backward_in_chunks(embed, SupConLoss(), inputs, torch.arange(8) % 2, 3)
    for first, second in zip(seen[:3], seen[3:], strict=True):
        assert torch.equal(first, second)
    assert not torch.equal(seen[0], seen[1])


@pytest.mark.parametrize("n_past", [0, 1, 17])
def test_memory_adds_columns_without_gradient(way, n_past, rng):
    labels = nested_labels(torch.randint(0, 6, (12,), generator=rng), 2)
    past_labels = nested_labels(torch.randint(0, 6, (n_past,), generator=rng), 2)
    projections = torch.randn(12, 4, dtype=torch.float64, generator=rng)
    past = torch.randn(n_past, 4, dtype=torch.float64, generator=rng), past_labels
    loss = HierarchicalContrastiveLoss(reduction="none")
    slow = partial(slow_losses, weights=(1, 0.3), temperature=0.1, normalization="level", past=past)
    ours = loss_and_gradient(loss, projections, labels, past)
    torch.testing.assert_close(ours, loss_and_gradient(slow, projections, labels))


def test_queue_holds_the_last_projections(rng):
    queue = ProjectionQueue(size=5, dim=2)
    assert len(queue.contents()[0]) == 0
    for n in (2, 2, 4, 9):
        labels = torch.randint(0, 99, (n,), generator=rng)
        everything = torch.cat([everything, labels]) if n != 2 else labels  # noqa: F821
        queue.add(labels[:, None].repeat(1, 2).float(), labels)
    projections, labels = queue.contents()
    assert sorted(labels[:, 0].tolist()) == sorted(everything[-5:].tolist())
    assert torch.equal(projections[:, 0].long(), labels[:, 0])

    copy = ProjectionQueue(size=5, dim=2)
    copy.load_state_dict(queue.state_dict())
    assert torch.equal(copy.contents()[0], projections)


# ---- many processes


def batch_of_two_ranks():
    generator = torch.Generator().manual_seed(0)
    labels = nested_labels(torch.randint(0, 9, (23,), generator=generator), 2)
    return torch.randn(23, 6, dtype=torch.float64, generator=generator), labels


SHARES = [(11, 12), (3, 20), (0, 23)]


def results_of(rank, share, way, reduction):
    """Loss, gradients of local projections and of the temperature, on one rank's share."""
    force(way)
    projections, labels = batch_of_two_ranks()
    start = sum(share[:rank])
    own = slice(start, start + share[rank])
    loss = HierarchicalContrastiveLoss(reduction=reduction, learnable_temperature=True).double()
    value, gradient = loss_and_gradient(loss, projections[own], labels[own])
    return value, gradient, loss.log_scale.grad


def results_of_rank(rank):
    results = {
        (share, way, reduction): results_of(rank, share, way, reduction)
        for share in SHARES
        for way in WAYS
        for reduction in ("mean", "sum", "none")
    }
    # What only one rank would choose is left to all.
    tiles_or_kernels.fused_is_faster = lambda *_: rank == 0
    tiles_or_kernels._fused = None
    share, reduction = SHARES[0], "mean"
    results[share, "tiles", reduction] = results_of(rank, share, "tiles", reduction)
    queue = ProjectionQueue(size=30, dim=6, n_levels=2)
    projections, labels = batch_of_two_ranks()
    own = slice(0, 5) if rank == 0 else slice(5, 23)
    queue.add(projections[own], labels[own])
    results["queue"] = queue.contents()[1]
    return results


def test_two_processes_equal_one(tmp_path):
    ranks = in_two_processes(results_of_rank, tmp_path)
    for share, way, reduction in (key for key in ranks[0] if key != "queue"):
        values, gradients, of_scale = zip(
            *[rank[share, way, reduction] for rank in ranks], strict=True
        )
        with pytest.MonkeyPatch.context() as patch:
            force(way, patch.setattr)
            value, gradient, scale_gradient = results_of(0, (23,), "direct", reduction)
        values = [torch.cat(values)] if reduction == "none" else values
        for one in values:
            torch.testing.assert_close(one, value, rtol=1e-9, atol=1e-9)
        # As DistributedDataParallel does: the average over ranks of what backward gave. The mean
        # and the sum are computed on both ranks, the single losses on one each.
        ranks_that_count = 1 if reduction == "none" else 2
        torch.testing.assert_close(
            torch.cat(gradients) / ranks_that_count, gradient, rtol=1e-9, atol=1e-9
        )
        for one in of_scale:
            torch.testing.assert_close(
                one * 2 / ranks_that_count, scale_gradient, rtol=1e-9, atol=1e-9
            )
    assert torch.equal(ranks[0]["queue"], batch_of_two_ranks()[1])
    assert torch.equal(ranks[1]["queue"], batch_of_two_ranks()[1])
