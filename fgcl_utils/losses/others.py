"""The only quadratic part of the loss: for each anchor, the log-sum-exp over all other rows.

The similarities are symmetric, so a tile above the diagonal serves its rows and, transposed, its
columns: one product and one exponential a pair. Nothing of the size N × N is kept; the gradient
computes the tiles again.
"""

import torch
from torch import Tensor

from fgcl_utils.losses.ranks import Ranks

# Up to this many rows one tile holds everything (4 MiB), and is kept for the gradient.
ONE_TILE_ROWS = 1024
# Above, tiles that stay in a core's cache; elsewhere, tiles that keep the device busy (64 MiB).
TILE_ROWS = {"cpu": 384}
TILE_ROWS_ELSEWHERE = 4096
# While |s| is below this, exp(s) needs no shift: N · e^60 times a loss scale of 2^16 is still
# well inside float32, whose range is e^±87.
UNSHIFTED = 60.0


class LogSumExpOfOthers:
    """log Σ_{k≠i} exp(zᵢ·zₖ) for each anchor i, and its gradient.

    Parameters
    ----------
    z : Tensor (M, D), float32 or float64
        The anchors, which are columns for each other, then rows that are columns only.
    n_anchors : int
    bound : float
        Of the rows' squared length, hence of the similarities.
    ranks : Ranks
        The processes among which the tiles are divided.
    keep : bool
        Whether the gradient will be asked for.

    Attributes
    ----------
    value : Tensor (n_anchors,)
        −inf where there is no other row.
    """

    def __init__(self, z: Tensor, n_anchors: int, bound: float, ranks: Ranks, keep: bool):
        self.n_anchors, self.ranks = n_anchors, ranks
        self.unshifted = bound <= UNSHIFTED
        one_tile = len(z) <= ONE_TILE_ROWS
        self.tile_rows = (
            ONE_TILE_ROWS if one_tile else TILE_ROWS.get(z.device.type, TILE_ROWS_ELSEWHERE)
        )
        self.kept = {} if one_tile and keep else None

        if self.unshifted:
            sums = z.new_zeros(n_anchors)
            parts = sums.split(self.tile_rows)
            for i, j, tile in self._tiles(z):  # of exp(s)
                parts[i].add_(tile.sum(1))
                if i < j < len(parts):
                    parts[j].add_(tile.sum(0))
            value = sums.log_()
        else:
            value = z.new_full((n_anchors,), -torch.inf)
            parts = value.split(self.tile_rows)
            for i, j, tile in self._tiles(z):  # of s
                torch.logaddexp(parts[i], tile.logsumexp(1), out=parts[i])
                if i < j < len(parts):
                    torch.logaddexp(parts[j], tile.logsumexp(0), out=parts[j])
        self.value = ranks.log_sum_exp(value)

    def gradient(self, z: Tensor, weights: Tensor) -> Tensor:
        """∂/∂z of Σ_i weightsᵢ valueᵢ over the anchors (n_anchors, D): this rank's tiles' part."""
        gradient = torch.zeros_like(z[: self.n_anchors])
        if len(z) == 1:
            return gradient  # nobody else, and value is −inf
        columns_only = (0, len(z) - self.n_anchors)
        value = torch.nn.functional.pad(self.value, columns_only)
        weights = torch.nn.functional.pad(weights, columns_only)
        rows, parts = self._blocks(z), gradient.split(self.tile_rows)
        if self.unshifted:
            weights = self._blocks(weights * (-value).exp())
        else:
            weights, value = self._blocks(weights), self._blocks(value)
        scratch = z.new_empty(min(self.tile_rows, len(z)) ** 2)
        for i, j, tile in self._tiles(z):
            # d valueᵢ/d sᵢⱼ is the softmax of row i, and sᵢⱼ also stands in row j.
            if self.unshifted:
                pull = scratch[: tile.numel()].view_as(tile)
                torch.add(weights[i][:, None], weights[j], out=pull).mul_(tile)
            else:
                pull = (tile - value[i][:, None]).exp_().mul_(weights[i][:, None])
                if j < len(parts):
                    pull.addcmul_((tile - value[j]).exp_(), weights[j])
            parts[i].addmm_(pull, rows[j])
            if i < j < len(parts):
                parts[j].addmm_(pull.T, rows[i])
        return gradient

    def _blocks(self, rows):
        """Tile-sized blocks, those of anchors first; none has both kinds."""
        anchors, others = rows.split([self.n_anchors, len(rows) - self.n_anchors])
        blocks = anchors.split(self.tile_rows)
        return blocks + others.split(self.tile_rows) if len(others) else blocks

    def _tiles(self, z):
        """This rank's tiles (i, j, s or exp(s)) on and above the diagonal of the anchors."""
        rows = self._blocks(z)
        n_blocks = -(-self.n_anchors // self.tile_rows)
        pairs = [(i, j) for i in range(n_blocks) for j in range(i, len(rows))]
        buffer = z.new_empty(0 if self.kept else min(self.tile_rows, len(z)) ** 2)
        for i, j in pairs[self.ranks.rank :: self.ranks.size]:
            if self.kept:
                yield i, j, self.kept[i, j]
                continue
            tile = buffer[: len(rows[i]) * len(rows[j])].view(len(rows[i]), len(rows[j]))
            torch.mm(rows[i], rows[j].T, out=tile)
            if self.unshifted:
                tile.exp_()
            if i == j:
                tile.fill_diagonal_(0.0 if self.unshifted else -torch.inf)
            yield i, j, tile
