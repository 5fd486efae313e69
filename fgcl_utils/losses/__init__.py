"""Supervised contrastive losses for any number of nested label levels, exact and memory-linear.

==================  ===========================================================================
`contrastive`       the two losses, what they accept and how they are normalised: start here
`direct`            small batches: the formula as it stands
`tiled`             large batches, put together from the next
`positives`         the mean of an anchor's positives, from sums over classes
`choice`            which of the next two is faster here
`others`            the log-sum-exp over everybody else, from symmetric tiles
`fused`             the same in kernels for GPUs
`blocks`            large matrices block by block, products by the faster library
`ranks`             the batch of all processes, as if one held it
`large_batch`       batches beyond memory: in chunks, or with a queue of past batches
==================  ===========================================================================
"""

from fgcl_utils.losses.contrastive import HierarchicalContrastiveLoss, SupConLoss
from fgcl_utils.losses.large_batch import ProjectionQueue, backward_in_chunks

__all__ = ["HierarchicalContrastiveLoss", "ProjectionQueue", "SupConLoss", "backward_in_chunks"]
