"""Supervised contrastive loss and its hierarchical form, for labels of any number of levels.

For projections zᵢ of unit length and pair weights wᵢⱼ, each anchor i with a positive contributes

    ℓᵢ = −Σⱼ wᵢⱼ log( exp(zᵢ·zⱼ/τ) / Σ_{k≠i} exp(zᵢ·zₖ/τ) ) / Σⱼ wᵢⱼ
       = log Σ_{k≠i} exp(zᵢ·zₖ/τ) − zᵢ·mᵢ/τ

where wᵢⱼ is the weight of the finest level that i and j share, and mᵢ the weighted mean of i's
positives. The second line is what is computed: mᵢ from class sums (`positives`), the first term
from symmetric tiles (`others`).
"""

import torch
from torch import Tensor, nn

from fgcl_utils.losses.others import log_sum_exp_of_others
from fgcl_utils.losses.positives import mean_similarity_to_positives


class HierarchicalContrastiveLoss(nn.Module):
    """Contrastive loss with graded positives: same species, same genus, same family, …

    Parameters
    ----------
    level_weights : sequence of float
        Weight of a positive that shares level l but nothing finer, finest level first; positive
        first, never rising, never negative.
    temperature : float
        τ > 0.
    normalization : {"pair", "level"}
        "pair": every positive counts by its weight (the formula above). "level": the positives of
        each level are averaged first and the levels mixed by their weights, so that a weight means
        the same whatever the batch holds.
    reduction : {"mean", "sum", "none"}
        "mean" is over the anchors that have a positive; "none" gives one value an anchor, 0 where
        it has none.
    """

    def __init__(
        self, level_weights=(1.0, 0.3), temperature=0.1, normalization="pair", reduction="mean"
    ):
        super().__init__()
        self.level_weights = tuple(float(weight) for weight in level_weights)
        self.temperature = float(temperature)
        self.normalization = normalization
        self.reduction = reduction

    def forward(self, projections: Tensor, labels: Tensor) -> Tensor:
        """Loss of a batch: projections (N, D) of any float dtype, labels (N,) or (N, L)."""
        labels = labels.reshape(len(labels), -1)
        if labels.shape[1] != len(self.level_weights):
            raise ValueError(
                f"labels have {labels.shape[1]} levels, level_weights {len(self.level_weights)}"
            )
        with torch.autocast(projections.device.type, enabled=False):
            z = nn.functional.normalize(
                projections.to(torch.promote_types(projections.dtype, torch.float32)), dim=1
            )
            z = z * self.temperature**-0.5  # so that products are similarities over temperature
            attraction, has_positive = mean_similarity_to_positives(
                z, labels, self.level_weights, self.normalization
            )
            repulsion = log_sum_exp_of_others(z, 1 / self.temperature)
            losses = torch.where(has_positive, repulsion - attraction, 0.0)
        if self.reduction == "none":
            return losses
        total = losses.sum()
        return total / has_positive.sum().clamp(min=1) if self.reduction == "mean" else total


class SupConLoss(HierarchicalContrastiveLoss):
    """Supervised contrastive loss (Khosla et al., 2020): one level, every positive alike."""

    def __init__(self, temperature=0.1, **options):
        super().__init__((1.0,), temperature, **options)
