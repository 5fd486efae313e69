"""The losses of a large batch, in memory O(N·D): class sums, and similarities tile by tile."""

import torch
from torch import Tensor

from fgcl_utils.losses.positives import Positives
from fgcl_utils.losses.ranks import Ranks
from fgcl_utils.losses.tiles_or_kernels import log_sum_exp_of_others


class TiledLosses:
    """ℓᵢ = log Σ_{k≠i} exp(zᵢ·zₖ) − zᵢ·mᵢ of the anchors, with its gradient.

    Parameters
    ----------
    z : Tensor (M, D), float32 or float64
        The anchors, which are columns for each other, then rows that are columns only.
    labels : Tensor (M, L), integer
        Nested, finest level first.
    n_anchors : int
    level_weights : tuple of L floats
    normalization : {"pair", "level"}
    per_length : Tensor (M, 1)
        What z was multiplied by: z / per_length are the projections.
    dtype : torch.dtype
        Of the projections.
    bound : float
        Of the rows' squared length.
    ranks : Ranks
        The processes that hold the same z and divide the tiles among them.

    Attributes
    ----------
    value : Tensor (n_anchors,)
        0 where no positive exists.
    exist : Tensor (n_anchors,), bool
        Whether an anchor has a positive whose weight is not 0.

    Raises
    ------
    ValueError
        If the labels are not nested.
    """

    def __init__(
        self,
        z: Tensor,
        labels: Tensor,
        n_anchors: int,
        level_weights: tuple[float, ...],
        normalization: str,
        per_length: Tensor,
        dtype: torch.dtype,
        bound: float,
        ranks: Ranks,
    ):
        self.positives = Positives(labels, n_anchors, level_weights, normalization, z.dtype)
        self.others = log_sum_exp_of_others(z, per_length, dtype, n_anchors, bound, ranks)
        self.exist = self.positives.exist
        self.value = (self.others.value - self.positives.similarity(z)).mul_(self.exist)

    def gradient(self, z: Tensor, weights: Tensor) -> Tensor:
        """∂/∂z of Σᵢ weightsᵢ valueᵢ over the anchors: (n_anchors, D)."""
        gradient = self.others.gradient(z, weights)
        self.positives.add_gradient(gradient, z, -weights)
        return gradient
