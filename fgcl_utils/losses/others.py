"""The only quadratic part of the loss: for each row, the log-sum-exp over all other rows.

The similarities are symmetric, so a tile above the diagonal serves its rows and, transposed, its
columns: one product and one exponential a pair. Nothing of the size N × N is kept; the backward
pass computes the tiles again.
"""

import torch
from torch import Tensor

# Up to this many rows all similarities at once are faster than tiles, and still small (4 MiB).
DIRECT_ROWS = 1024
# A tile that stays in a core's cache; measured in benchmarks/loss.py.
TILE_ROWS = 384
# exp(s) needs no shift while |s| stays below this: e^±60, times N and a loss scale of 2^16, is
# well inside float32's e^±87.
SAFE_EXPONENT = 60.0


def log_sum_exp_of_others(rows: Tensor, largest: float) -> Tensor:
    """log Σ_{j≠i} exp(rows_i · rows_j) for each row i.

    Parameters
    ----------
    rows : Tensor (N, D), float32 or float64
    largest : float
        A bound of every row's squared length, hence of every similarity's magnitude.

    Returns
    -------
    Tensor (N,)
        Differentiable; −inf where there is no other row.
    """
    return _LogSumExpOfOthers.apply(rows, largest)


class _LogSumExpOfOthers(torch.autograd.Function):
    @staticmethod
    def forward(ctx, rows, largest):
        lse = rows.new_full(rows.shape[:1], -torch.inf)
        for i, j in _upper_tiles(len(rows)):
            tile = _similarities(rows, i, j)
            lse[i] = torch.logaddexp(lse[i], tile.logsumexp(1))
            if i != j:
                lse[j] = torch.logaddexp(lse[j], tile.logsumexp(0))
        ctx.save_for_backward(rows, lse)
        return lse

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad_lse):
        rows, lse = ctx.saved_tensors
        grad = torch.zeros_like(rows)
        for i, j in _upper_tiles(len(rows)):
            tile = _similarities(rows, i, j)
            # d lse_i / d s_ij is the softmax of row i, and s_ij also stands in row j.
            weight = grad_lse[i, None] * (tile - _finite(lse[i, None])).exp()
            weight += grad_lse[None, j] * (tile - _finite(lse[None, j])).exp()
            grad[i] += weight @ rows[j]
            if i != j:
                grad[j] += weight.T @ rows[i]
        return grad, None


def _upper_tiles(n_rows):
    blocks = [slice(k, min(k + TILE_ROWS, n_rows)) for k in range(0, n_rows, TILE_ROWS)]
    return [(i, j) for k, i in enumerate(blocks) for j in blocks[k:]]


def _similarities(rows, i, j):
    tile = rows[i] @ rows[j].T
    if i == j:
        tile.fill_diagonal_(-torch.inf)
    return tile


def _finite(lse):
    return lse.masked_fill(lse == -torch.inf, 0.0)
