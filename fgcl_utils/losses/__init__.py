"""Supervised contrastive losses for any number of nested label levels, exact and memory-linear.

==================  ===========================================================================
`contrastive`       SupCon and its hierarchical form, how they are normalised: start here
`blocks`            a block of dimensions a level, and their embedding
`batch`             what the losses accept, and all that a loss is computed on
`direct`            small batches: the formula as it stands
`tiled`             large batches, put together from the next
`positives`         the mean of an anchor's positives, from sums over classes
`log_sum_exp`       the log-sum-exp over all other rows, from symmetric tiles
`kernels`           the same in fused kernels for GPUs
`tiles_or_kernels`  which of these two is faster here
`matrices`          large matrices block by block, products by the faster library
`ranks`             the batch of all processes, as if one held it
`large_batch`       batches beyond memory: in chunks, or with a queue of past batches
==================  ===========================================================================
"""

from fgcl_utils.losses.blocks import LevelBlocksLoss, level_blocks
from fgcl_utils.losses.contrastive import HierarchicalContrastiveLoss, SupConLoss
from fgcl_utils.losses.large_batch import ProjectionQueue, backward_in_chunks

__all__ = [
    "HierarchicalContrastiveLoss",
    "LevelBlocksLoss",
    "ProjectionQueue",
    "SupConLoss",
    "backward_in_chunks",
    "level_blocks",
]
