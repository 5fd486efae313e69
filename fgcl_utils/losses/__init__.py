"""Supervised contrastive losses for any number of nested label levels, exact and memory-linear.

========================  ==========================================================
`contrastive`             the two losses and their formula: start reading here
`positives`               the mean of an anchor's positives, from sums over classes
`others`                  the log-sum-exp over everybody else, from symmetric tiles
`ranks`                   the batch of all processes, with exact gradients
`large_batch`             batches beyond memory: sub-batches, a queue of past batches
========================  ==========================================================
"""

from fgcl_utils.losses.contrastive import HierarchicalContrastiveLoss, SupConLoss

__all__ = ["HierarchicalContrastiveLoss", "SupConLoss"]
