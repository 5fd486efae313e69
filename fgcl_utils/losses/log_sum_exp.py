"""The only quadratic part of the loss: for each anchor, the log-sum-exp over all other rows.

Nothing of the size N × N is kept: similarities come in tiles, and come again for the gradient.
They are symmetric, so a tile above the diagonal serves its rows and, transposed, its columns: one
product and one exponential a pair.
"""

import math

import torch
from torch import Tensor
from torch.nn.functional import pad

from fgcl_utils.losses.matrices import product
from fgcl_utils.losses.ranks import Ranks

# On a CPU a tile stays in a core's cache; elsewhere it keeps the device busy (64 MiB).
TILE_ROWS = {"cpu": 512}
TILE_ROWS_ELSEWHERE = 4096
# exp(s) = 2^(s·LOG2E), and powers of two take a quarter of the time in torch on a CPU.
LOG2E = 1 / math.log(2)
# While |s| is below this, exp(s) needs no shift: N · e^60 times a loss scale of 2^16 is still
# well inside float32, whose range is e^±87.
UNSHIFTED = 60.0


class LogSumExpOfOthers:
    """log Σ_{k≠i} exp(zᵢ·zₖ) for each anchor i, with its gradient.

    Parameters
    ----------
    z : Tensor (M, D) with M ≥ 2, float32 or float64
        The anchors, which are columns for each other, then rows that are columns only.
    n_anchors : int
    bound : float
        Of the rows' squared length, hence of the similarities.
    ranks : Ranks
        The processes that hold the same z and divide the tiles among them.

    Attributes
    ----------
    value : Tensor (n_anchors,)
    """

    def __init__(self, z: Tensor, n_anchors: int, bound: float, ranks: Ranks):
        self.n_anchors, self.ranks = n_anchors, ranks
        self.unshifted = bound <= UNSHIFTED
        self.tile_rows = TILE_ROWS.get(z.device.type, TILE_ROWS_ELSEWHERE)
        value = z.new_full((n_anchors,), 0.0 if self.unshifted else -torch.inf)
        parts = value.split(self.tile_rows)
        for i, j, tile in self._tiles(z):
            if self.unshifted:
                parts[i].add_(tile.sum(1))
                if i < j < len(parts):
                    parts[j].add_(tile.sum(0))
            else:
                torch.logaddexp2(parts[i], _log2_sum_exp2(tile, 1), out=parts[i])
                if i < j < len(parts):
                    torch.logaddexp2(parts[j], _log2_sum_exp2(tile, 0), out=parts[j])
        self.value = ranks.log_sum_exp(value.log_() if self.unshifted else value.div_(LOG2E))

    def gradient(self, z: Tensor, weights: Tensor) -> Tensor:
        """∂/∂z of Σᵢ weightsᵢ valueᵢ over the anchors: (n_anchors, D)."""
        gradient = torch.zeros_like(z[: self.n_anchors])
        parts, rows = gradient.split(self.tile_rows), self._blocks(z)
        log2_value = self.value * LOG2E
        if self.unshifted:
            weights = weights * (-log2_value).exp2_()
        no_anchors = (0, len(z) - self.n_anchors)
        weights = self._blocks(pad(weights, no_anchors))
        log2_value = self._blocks(pad(log2_value, no_anchors, value=torch.inf))
        for i, j, tile in self._tiles(z):
            # d valueᵢ/d sᵢⱼ is the softmax of row i, and sᵢⱼ also stands in row j.
            if self.unshifted:
                pull = (weights[i][:, None] + weights[j]).mul_(tile)
            else:
                pull = (tile - log2_value[i][:, None]).exp2_().mul_(weights[i][:, None])
                pull.addcmul_(tile.sub_(log2_value[j]).exp2_(), weights[j])
            parts[i].add_(product(pull, rows[j]))
            if i < j < len(parts):
                parts[j].add_(product(pull.transpose(0, 1), rows[i]))
        return self.ranks.sum(gradient)

    def _blocks(self, rows):
        """Tile-sized blocks of the anchors, then of the other rows."""
        anchors, others = rows[: self.n_anchors], rows[self.n_anchors :]
        return anchors.split(self.tile_rows) + (others.split(self.tile_rows) if len(others) else ())

    def _tiles(self, z):
        """This rank's tiles on and above the diagonal: i, j and s · LOG2E, or exp(s) unshifted."""
        rows = self._blocks(z)
        n_blocks = -(-self.n_anchors // self.tile_rows)
        pairs = [(i, j) for i in range(n_blocks) for j in range(i, len(rows))]
        for i, j in pairs[self.ranks.rank :: self.ranks.size]:
            tile = product(rows[i] * LOG2E, rows[j].T)
            if self.unshifted:
                tile.exp2_()
            if i == j:
                tile.fill_diagonal_(0.0 if self.unshifted else -torch.inf)
            yield i, j, tile


def _log2_sum_exp2(tile, dim):
    """log₂ Σ 2^t along a dimension; −∞ where nothing but −∞ is summed."""
    largest = tile.amax(dim, keepdim=True).clamp_(min=torch.finfo(tile.dtype).min)
    return (tile - largest).exp2_().sum(dim).log2_().add_(largest.squeeze(dim))
