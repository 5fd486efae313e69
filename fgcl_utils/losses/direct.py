"""The losses of a small batch, from all similarities at once: the formula as it stands.

Up to a few hundred rows this is the fastest way; for larger batches see `tiled`.
"""

import torch
from torch import Tensor

from fgcl_utils.losses.positives import not_nested


class DirectLosses:
    """ℓᵢ = −Σⱼ cᵢⱼ log softmaxⱼ≠ᵢ(zᵢ·zⱼ) of the anchors, with its gradient.

    Parameters, attributes and errors are those of `TiledLosses`. Every rank computes all of it.
    """

    def __init__(self, z: Tensor, labels: Tensor, n_anchors: int, level_weights, normalization):
        coefficients = _pair_weights(labels, n_anchors, level_weights, normalization, z.dtype)
        total = coefficients.sum(1, keepdim=True)
        self.exist = total[:, 0] > 0
        self.coefficients = coefficients.div_(torch.threshold(total, 0.0, 1.0))  # (N, M)

        similarities = z[:n_anchors] @ z.T  # (N, M)
        # Lowest on the diagonal, yet finite: its product with the coefficient 0 is 0.
        similarities.fill_diagonal_(torch.finfo(z.dtype).min / 4)
        self.log_softmax = similarities.log_softmax(1)
        # Fresh memory costs a small batch more than arithmetic: write where we can.
        products = torch.mul(self.coefficients, self.log_softmax, out=similarities)
        self.value = products.sum(1).neg_()

    def gradient(self, z: Tensor, weights: Tensor) -> Tensor:
        pull = self.log_softmax.exp().sub_(self.coefficients).mul_(weights[:, None])  # (N, M)
        # zᵢ·zⱼ stands in row i and, if j is an anchor too, in row j.
        anchors = pull[:, : len(weights)]
        anchors += anchors.T.clone()
        return pull @ z


def _pair_weights(labels, n_anchors, level_weights, normalization, dtype):
    """Weight of each pair of an anchor and a row, by the finest level they share: (N, M)."""
    shape = n_anchors, len(labels)
    weights, finer = None, None
    for level, weight in zip(labels.unbind(1), level_weights, strict=True):
        same = torch.empty(shape, dtype=dtype, device=labels.device)  # 1 or 0
        torch.eq(level[:n_anchors, None], level, out=same).fill_diagonal_(0.0)
        if finer is not None and not (finer <= same).all():
            raise not_nested(*(finer > same).nonzero()[0].tolist())
        if len(level_weights) == 1:
            return same  # whatever the weight is: only the proportions of weights count
        here = same if finer is None else same - finer
        if normalization == "level":
            here = here / here.sum(1, keepdim=True).clamp_(min=1)
        weights = here * weight if weights is None else weights.add_(here, alpha=weight)
        finer = same
    return weights
