"""What the tests of the losses share: every way to compute one, forced; and the slow loop."""

import os

import pytest
import torch
from hypothesis import HealthCheck, settings
from torch.nn.functional import normalize
from torch.utils._python_dispatch import TorchDispatchMode

from fgcl_utils.losses import contrastive, log_sum_exp, matrices, tiles_or_kernels

# Every way a batch can be computed, forced upon small ones: the direct form; class sums with tiles,
# one or many of them; the same with the shift that low temperatures need. And the kernels for GPUs,
# where Triton's interpreter runs them on the CPU: tests/test_fused_loss.py sees to that.
TILES = {"DIRECT_PAIRS": 1, "TILE_ROWS": {"cpu": 5}, "ROWS": 7}
HOMES = {
    "DIRECT_PAIRS": contrastive,
    "TILE_ROWS": log_sum_exp,
    "UNSHIFTED": log_sum_exp,
    "ROWS": matrices,
    "fused_is_faster": tiles_or_kernels,
}
WAYS = {
    "direct": {"DIRECT_PAIRS": 10**9},
    "one tile": {"DIRECT_PAIRS": 1},
    "tiles": TILES,
    "tiles, shifted": TILES | {"UNSHIFTED": 0.0},
}
if os.environ.get("TRITON_INTERPRET") == "1":
    WAYS["fused"] = {"DIRECT_PAIRS": 1, "fused_is_faster": lambda *_: True}
SLOW_BUT_FINE = settings(
    deadline=None,
    max_examples=40,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@pytest.fixture(params=WAYS)
def way(request, monkeypatch):
    force(request.param, monkeypatch.setattr)
    return request.param


def force(way, setattr=setattr):
    for name, value in WAYS[way].items():
        setattr(HOMES[name], name, value)


@pytest.fixture
def rng():
    return torch.Generator().manual_seed(0)


def slow_losses(z, labels, weights, temperature, normalization, past=None):
    """ℓ of each anchor, by loops over pairs as the formula reads; 0 without positives.

    `past` holds projections and labels of columns that are no anchors. Rows whose coarsest label
    is −1 are neither anchors nor columns.
    """
    z = normalize(z, dim=1)
    columns, column_labels = z, labels
    if past is not None:
        columns = torch.cat([z, normalize(past[0], dim=1)])
        column_labels = torch.cat([labels, past[1]])
    losses = []
    for i in range(len(z)):
        rest = [j for j in range(len(columns)) if j != i and column_labels[j, -1] != -1]
        levels = [finest_shared_level(labels[i], column_labels[j]) for j in rest]
        w = [0.0 if level is None else weights[level] for level in levels]
        if normalization == "level":
            w = [x / levels.count(level) for x, level in zip(w, levels, strict=True)]
        if sum(w) == 0 or labels[i, -1] == -1:
            losses.append(z.sum() * 0)
            continue
        s = columns[rest] @ z[i] / temperature
        log_softmax = s - s.logsumexp(0)
        # Divided first: the inverse of a subnormal sum, in a gradient, would be infinite.
        shares = torch.tensor([x / sum(w) for x in w], dtype=z.dtype)
        losses.append(-(shares * log_softmax).sum())
    return torch.stack(losses)


def slow_blocks(z, labels, dims, weights, temperatures, past=None):
    """Σₗ aₗ ℓᵢ of each anchor, level by level."""
    total = z.sum(1) * 0
    for level, block in enumerate(z.split(dims, 1)):
        own = labels[:, level : level + 1]
        of_past = None
        if past is not None:
            of_past = past[0].split(dims, 1)[level], past[1][:, level : level + 1]
        losses = slow_losses(block, own, (1.0,), temperatures[level], "pair", of_past)
        total = total + weights[level] * losses
    return total


def finest_shared_level(a, b):
    """The finest level at which both classes are known and the same."""
    shared = ((a == b) & (a != -1)).tolist()
    return shared.index(True) if True in shared else None


def nested_labels(finest, n_levels):
    """Labels (N, n_levels) whose coarser classes join the finer ones by threes."""
    return torch.stack([finest // 3**level + 100 * level for level in range(n_levels)], 1)


def loss_and_gradient(loss, projections, *arguments):
    projections = projections.detach().requires_grad_()
    value = loss(projections, *arguments)
    value.sum().backward()
    return value.detach(), projections.grad


HARD_CASES = {
    "one sample": (torch.ones(1, 4), [0]),
    "two of one class": (torch.eye(2, 4), [0, 0]),
    "no positives": (torch.eye(4), [0, 1, 2, 3]),
    "one anchor without positives": (torch.eye(4), [0, 0, 0, 1]),
    "one class": (torch.eye(4), [0, 0, 0, 0]),
    "duplicates": (torch.ones(6, 4), [0, 0, 1, 1, 2, 3]),
    "zero vectors": (torch.zeros(4, 4), [0, 0, 1, 1]),
    "one zero vector": (torch.eye(5, 4), [0, 0, 1, 1, 1]),
    "tiny vectors": (torch.eye(4) * 1e-30, [0, 0, 1, 1]),
    "long vectors": (torch.eye(4) * 1e15, [0, 0, 1, 1]),
    "opposite vectors": (torch.tensor([[1.0, 0], [1, 0], [-1, 0], [-1, 0]]), [0, 1, 0, 1]),
}


class Largest(TorchDispatchMode):
    """The number of elements of the largest tensor that was made meanwhile."""

    numel = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        out = function(*args, **(kwargs or {}))
        for tensor in out if isinstance(out, (tuple, list)) else [out]:
            if isinstance(tensor, torch.Tensor):
                self.numel = max(self.numel, tensor.numel())
        return out


def in_two_processes(results_of, folder):
    """What `results_of(rank)` returns on each of two ranks of a process group."""
    torch.multiprocessing.spawn(_run_rank, (results_of, str(folder)), nprocs=2)
    return [torch.load(folder / f"{rank}.pt") for rank in range(2)]


def _run_rank(rank, results_of, folder):
    os.environ |= {"GLOO_SOCKET_IFNAME": "lo"}
    torch.set_num_threads(1)
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2
    )
    torch.save(results_of(rank), f"{folder}/{rank}.pt")
    torch.distributed.destroy_process_group()
