"""The mean of each anchor's positives, without an N × N mask.

Labels are nested, so the positives of an anchor that share level l but nothing finer are the
anchor's class at level l less its class at level l − 1. Their sum is a difference of two class
sums, and everything that depends on the class alone is kept in one row a finest class.
"""

import torch
from torch import Tensor


def mean_similarity_to_positives(
    rows: Tensor, labels: Tensor, level_weights: tuple[float, ...], normalization: str
) -> tuple[Tensor, Tensor]:
    """Σ_j c_ij rows_i · rows_j with coefficients c_ij that sum to one over i's positives.

    Parameters
    ----------
    rows : Tensor (N, D), float32 or float64
    labels : Tensor (N, L), integer
        Nested, finest level first.
    level_weights : tuple of L floats
    normalization : {"pair", "level"}

    Returns
    -------
    similarity : Tensor (N,)
        0 where an anchor has no positive.
    has_positive : Tensor (N,), bool
    """
    finest, levels = nested_classes(labels)
    coefficients, has_positive = _coefficients(levels, level_weights, normalization, rows.dtype)

    n_classes = len(coefficients)
    sums = rows.new_zeros(n_classes, rows.shape[1]).index_add(0, finest, rows)  # (C, D)
    mean = torch.zeros_like(sums)  # (C, D): of the positives, the anchor itself still included
    steps = coefficients - torch.nn.functional.pad(coefficients, (0, 1))[:, 1:]  # (C, L)
    for step, (parent, _) in zip(steps.unbind(1), levels, strict=True):
        level_sums = torch.zeros_like(sums).index_add(0, parent, sums)
        mean = mean + step[:, None] * level_sums[parent]
    similarity = (rows * mean[finest]).sum(1) - coefficients[finest, 0] * rows.square().sum(1)
    return similarity, has_positive[finest]


def nested_classes(labels: Tensor) -> tuple[Tensor, list[tuple[Tensor, Tensor]]]:
    """Consecutive codes of the finest classes, and for each level their parents and sizes.

    Parameters
    ----------
    labels : Tensor (N, L), integer

    Returns
    -------
    finest : Tensor (N,), int64
        The finest class of each row, 0 … C − 1.
    levels : list of L pairs of Tensor (C,), int64
        For each finest class its class at that level and the number of rows in it.

    Raises
    ------
    ValueError
        If two rows share a class but not the coarser class above it.
    """
    finest, size = labels[:, 0].unique(return_inverse=True, return_counts=True)[1:]
    example = torch.empty_like(size)
    example[finest] = torch.arange(len(labels), device=labels.device)
    table = labels[example]  # (C, L): the labels of one row of each finest class
    if not torch.equal(table[finest], labels):
        row = int((table[finest] != labels).any(1).nonzero()[0])
        _raise_contradiction(labels, int(example[finest[row]]), row)

    parent = torch.arange(len(size), device=labels.device)
    levels = [(parent, size)]
    for level in range(1, labels.shape[1]):
        # The classes of this level are read from the table, C rows instead of N.
        parent = table[:, level].unique(return_inverse=True)[1]
        level_size = torch.zeros_like(size).index_add(0, parent, size)
        levels.append((parent, level_size[parent]))
        last = torch.empty_like(size)
        last[parent] = torch.arange(len(size), device=labels.device)
        above = table[:, level + 1 :]
        if not torch.equal(above[last[parent]], above):
            row = int((above[last[parent]] != above).any(1).nonzero()[0])
            _raise_contradiction(labels, int(example[last[parent[row]]]), int(example[row]))
    return finest, levels


def _coefficients(levels, level_weights, normalization, dtype):
    """Coefficient of one positive of each level, one row a finest class: (C, L), (C,)."""
    sizes = torch.stack([size for _, size in levels], 1)  # (C, L)
    positives = torch.diff(sizes, dim=1, prepend=torch.ones_like(sizes[:, :1])).to(dtype)
    weights = torch.tensor(level_weights, dtype=dtype, device=sizes.device)
    if normalization == "level":
        weights = weights * (positives > 0)
        per_pair = weights / positives.clamp(min=1)
    else:
        per_pair = weights.expand_as(positives)
    total = (per_pair * positives).sum(1, keepdim=True)  # (C, 1)
    has_positive = total > 0
    return per_pair / torch.where(has_positive, total, 1) * has_positive, has_positive.squeeze(1)


def _raise_contradiction(labels, first, second):
    raise ValueError(
        f"labels are not nested: samples {first} and {second} share a class but not the coarser "
        f"class above it (labels {labels[first].tolist()} and {labels[second].tolist()}, finest "
        "first); every class must lie in one class of the next level"
    )
