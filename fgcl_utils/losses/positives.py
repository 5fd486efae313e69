"""The mean of each anchor's positives, without an N × N mask.

Labels are nested, so the positives that share level l with an anchor and nothing finer are its
class at level l less its class at level l − 1, and sums over them are differences of class sums.
Whatever depends on the class alone is kept in tables with one row a finest class, so that further
levels cost next to nothing.
"""

import itertools

import torch
from torch import Tensor

from fgcl_utils.losses.matrices import row_blocks


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
        self.code, self.parents, sizes = nested_classes(labels)
        self.anchor_code = self.code[:n_anchors]
        # How many positives share a level and nothing finer, for members of each class: L of (C,)
        within = [torch.ones_like(sizes[0]), *sizes]
        numbers = [(n - finer).to(dtype) for finer, n in itertools.pairwise(within)]
        # Without positives at a level its coefficient is 0: w / total would be large and cancel.
        weights = [w * n.clamp(max=1) for w, n in zip(level_weights, numbers, strict=True)]
        if normalization == "level":
            weights = [w / n.clamp(min=1) for w, n in zip(weights, numbers, strict=True)]
        total = sum(w * n for w, n in zip(weights, numbers, strict=True))  # (C,)
        self.exist = (total > 0).index_select(0, self.anchor_code)
        total = torch.threshold(total, 0.0, 1.0)  # 1 where it is 0
        coefficients = [w / total for w in weights]
        self.own = coefficients[0].index_select(0, self.anchor_code)[:, None]
        # A class sum holds those of the finer levels, so each level adds the difference only.
        steps = [c - coarser for c, coarser in itertools.pairwise([*coefficients, 0.0])]
        self.steps = [step[:, None] for step in steps]

    def similarity(self, z: Tensor) -> Tensor:
        """Σⱼ cᵢⱼ zᵢ·zⱼ for each anchor (n_anchors,), of all rows z (M, D); 0 without positives."""
        sums = z.new_zeros(len(self.steps[0]), z.shape[1]).index_add_(0, self.code, z)  # (C, D)
        self.means = sums * self.steps[0]  # (C, D), the anchor itself still in them
        for (parent, n_classes), step in zip(self.parents, self.steps[1:], strict=True):
            self.means.addcmul_(_sums(sums, parent, n_classes), step)
        return torch.cat(
            [
                self.means.index_select(0, code).addcmul_(rows, own, value=-1).mul_(rows).sum(1)
                for code, own, rows in row_blocks(
                    self.anchor_code, self.own, z[: len(self.anchor_code)]
                )
            ]
        )

    def add_gradient(self, gradient: Tensor, z: Tensor, weights: Tensor) -> None:
        """Add ∂/∂z of Σᵢ weightsᵢ similarityᵢ over the anchors to `gradient` (n_anchors, D)."""
        blocks = self.anchor_code, z[: len(self.anchor_code)], weights[:, None]
        # As a positive, a sample is drawn to the anchors that it attracts: class sums again.
        sums = torch.zeros_like(self.means)
        for code, rows, weight in row_blocks(*blocks):
            sums.index_add_(0, code, rows * weight)
        pulls = sums * self.steps[0]  # (C, D)
        for (parent, n_classes), step in zip(self.parents, self.steps[1:], strict=True):
            pulls += _sums(sums * step, parent, n_classes)
        for part, own, code, rows, weight in row_blocks(gradient, self.own, *blocks):
            # As an anchor, to its positives.
            part.addcmul_(self.means.index_select(0, code), weight)
            part.add_(pulls.index_select(0, code))
            # Both sums held the sample itself.
            part.addcmul_(rows, own * weight, value=-2)


def _sums(rows, parent, n_classes):
    """For each row the sum over the rows of its class."""
    sums = rows.new_zeros(n_classes, *rows.shape[1:]).index_add_(0, parent, rows)
    return sums.index_select(0, parent)


def nested_classes(labels: Tensor):
    """Consecutive codes of the finest classes, and where these lie at each coarser level.

    Parameters
    ----------
    labels : Tensor (M, L), integer

    Returns
    -------
    code : Tensor (M,), int64
        The finest class of each row, 0 … C − 1.
    parents : list of L − 1 pairs (Tensor (C,) of int64, int)
        For each finest class its class at that level; the number of classes there.
    sizes : list of L Tensors (C,), int64
        The number of rows in those classes.

    Raises
    ------
    ValueError
        If two rows share a class but not the coarser class above it.
    """
    _, code, size = labels[:, 0].unique(return_inverse=True, return_counts=True)
    parents, sizes = [], [size]
    if labels.shape[1] == 1:
        return code, parents, sizes
    example = _examples(code, len(size))
    table = labels.index_select(0, example)  # (C, L): the labels of one row of each finest class
    _check(table.index_select(0, code), labels, example.index_select(0, code))
    for level in range(1, labels.shape[1]):
        names, parent = table[:, level].unique(return_inverse=True)
        above = table[:, level + 1 :]
        other = _examples(parent, len(names)).index_select(0, parent)
        _check(above.index_select(0, other), above, example.index_select(0, other), example)
        parents.append((parent, len(names)))
        sizes.append(_sums(size, parent, len(names)))
    return code, parents, sizes


def _examples(code, n_classes):
    """For each class the position of one of its members."""
    positions = torch.arange(len(code), device=code.device)
    return torch.empty(n_classes, dtype=code.dtype, device=code.device).scatter_(0, code, positions)


def _check(expected, labels, others, rows=None):
    """Raise if a class member's coarser labels differ from those of its class's example."""
    if torch.equal(expected, labels):
        return
    k = int((expected != labels).any(1).nonzero()[0])
    raise not_nested(*sorted([int(others[k]), k if rows is None else int(rows[k])]))


def not_nested(first: int, second: int) -> ValueError:
    """The error that names two samples which contradict each other."""
    return ValueError(
        f"labels are not nested: samples {first} and {second} share a class but not the coarser "
        "class above it; each class must lie in one class of the next level (finest level first)"
    )
