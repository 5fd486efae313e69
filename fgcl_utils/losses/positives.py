"""The mean of each anchor's positives, without an N × N mask.

Labels are nested, so the positives that share level l with an anchor and nothing finer are its
class at level l less its class at level l − 1, and sums over them are differences of class sums.
Whatever depends on the class alone is kept in tables with one row a finest class, so that further
levels cost next to nothing.
"""

import torch
from torch import Tensor


class Positives:
    """Who attracts whom, and how much: coefficients cᵢⱼ ≥ 0 that sum to one over i's positives.

    Parameters
    ----------
    labels : Tensor (M, L), integer
        Nested, finest level first; those of the anchors, then those of rows that only attract.
    n_anchors : int
    level_weights : tuple of L floats
    normalization : {"pair", "level"}
        Coefficients in proportion to the weights; or each level's weight divided among the
        positives of that level.
    dtype : torch.dtype
        Of the coefficients.

    Attributes
    ----------
    exist : Tensor (n_anchors,), bool
        Whether an anchor has a positive whose weight is not 0.

    Raises
    ------
    ValueError
        If two rows share a class but not the coarser class above it.
    """

    def __init__(self, labels: Tensor, n_anchors: int, level_weights, normalization: str, dtype):
        self.code, self.parents, sizes = _nested_classes(labels)
        self.anchor_code = self.code[:n_anchors]
        # How many positives share each level and nothing finer, for members of each class: (C, L)
        numbers = sizes.diff(dim=1, prepend=torch.ones_like(sizes[:, :1])).to(dtype)
        weights = torch.tensor([level_weights], dtype=dtype, device=labels.device)
        if normalization == "level":
            weights = torch.where(numbers > 0, weights / numbers, 0.0)
        total = (weights * numbers).sum(1, keepdim=True)
        self.exist = (total > 0).squeeze(1).index_select(0, self.anchor_code)

        coefficients = weights / total.masked_fill_(total == 0, 1.0)  # (C, L)
        self.own = coefficients[:, 0].index_select(0, self.anchor_code)[:, None]
        # A class sum at level l holds those of the finer levels, so it takes the difference.
        self.steps = torch.cat(
            [coefficients[:, :-1] - coefficients[:, 1:], coefficients[:, -1:]], 1
        )

    def similarity(self, z: Tensor) -> Tensor:
        """Σⱼ cᵢⱼ zᵢ·zⱼ for each anchor (n_anchors,), of all rows z (M, D); 0 without positives."""
        anchors = z[: len(self.anchor_code)]
        sums = z.new_zeros(len(self.steps), z.shape[1]).index_add_(0, self.code, z)  # (C, D)
        self.means = sums * self.steps[:, :1]  # (C, D), the anchor itself still in them
        for level, (parent, n_classes) in enumerate(self.parents, start=1):
            level_sums = sums.new_zeros(n_classes, sums.shape[1]).index_add_(0, parent, sums)
            self.means.addcmul_(level_sums.index_select(0, parent), self.steps[:, level, None])
        mean = self.means.index_select(0, self.anchor_code).addcmul_(anchors, self.own, value=-1)
        return mean.mul_(anchors).sum(1)

    def add_gradient(self, gradient: Tensor, z: Tensor, weights: Tensor) -> None:
        """Add ∂/∂z of Σᵢ weightsᵢ similarityᵢ over the anchors to `gradient` (n_anchors, D)."""
        anchors, weights = z[: len(self.anchor_code)], weights[:, None]
        # As an anchor: towards its positives.
        gradient.addcmul_(self.means.index_select(0, self.anchor_code), weights)
        # As a positive: towards the anchors that it attracts, again by class sums.
        sums = torch.zeros_like(self.means).index_add_(0, self.anchor_code, anchors * weights)
        pulls = sums * self.steps[:, :1]  # (C, D)
        for level, (parent, n_classes) in enumerate(self.parents, start=1):
            level_sums = sums.new_zeros(n_classes, sums.shape[1])
            level_sums.index_add_(0, parent, sums * self.steps[:, level, None])
            pulls += level_sums.index_select(0, parent)
        gradient.add_(pulls.index_select(0, self.anchor_code))
        # Both sums held the sample itself.
        gradient.addcmul_(anchors, self.own * weights, value=-2)


def _nested_classes(labels):
    """Consecutive codes of the finest classes, and where these lie at each coarser level.

    Returns
    -------
    code : Tensor (M,), int64
        The finest class of each row, 0 … C − 1.
    parents : list of L − 1 pairs (Tensor (C,) of int64, int)
        For each finest class its class at that level; the number of classes there.
    sizes : Tensor (C, L), int64
        The number of rows in those classes.
    """
    _, code, size = labels[:, 0].unique(return_inverse=True, return_counts=True)
    if labels.shape[1] == 1:
        return code, [], size[:, None]
    example = _examples(code, len(size))
    table = labels.index_select(0, example)  # (C, L): the labels of one row of each finest class
    _check(table.index_select(0, code), labels, example.index_select(0, code))

    parents, sizes = [], [size]
    for level in range(1, labels.shape[1]):
        names, parent = table[:, level].unique(return_inverse=True)
        above = table[:, level + 1 :]
        other = _examples(parent, len(names)).index_select(0, parent)
        _check(above.index_select(0, other), above, example.index_select(0, other), example)
        level_size = size.new_zeros(len(names)).index_add_(0, parent, size)
        parents.append((parent, len(names)))
        sizes.append(level_size.index_select(0, parent))
    return code, parents, torch.stack(sizes, 1)


def _examples(code, n_classes):
    """For each class the position of one of its members."""
    positions = torch.arange(len(code), device=code.device)
    return torch.empty(n_classes, dtype=code.dtype, device=code.device).scatter_(0, code, positions)


def _check(expected, labels, others, rows=None):
    """Raise if a class member's coarser labels differ from those of its class's example."""
    if torch.equal(expected, labels):
        return
    k = int((expected != labels).any(1).nonzero()[0])
    first, second = sorted([int(others[k]), k if rows is None else int(rows[k])])
    raise ValueError(
        f"labels are not nested: samples {first} and {second} share a class but not the coarser "
        "class above it; each class must lie in one class of the next level (finest level first)"
    )
