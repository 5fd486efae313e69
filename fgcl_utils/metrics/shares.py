"""The shares of level blocks: what each gives, and which to take.

A method in level blocks gives every sample a unit vector z_l a level. Its embedding is
(√w₁ z₁, ..., √w_L z_L) with shares w ≥ 0 that sum to 1, so that the cosine of two samples is the
w-weighted mean of the blocks' cosines. Shares are chosen after training, by looking at validation
photos or at the question asked.
"""

from itertools import product

import numpy as np
import pandas as pd
from sklearn.utils import gen_batches

from fgcl_utils.metrics.centroids import class_sums, unit

TOLERANCE = 0.01  # of the finest level's accuracy, which the fewest outliers may cost
BLOCK = 2**21  # cosines of a block of samples to all centroids, 16 MiB


def choose_shares(
    train_blocks, train_labels, val_blocks, val_labels, grid=None, levels=("species", "genus")
):
    """Shares with the fewest coarse outliers at hardly any cost for the finest level.

    Of a grid of shares, those are taken with the fewest outliers on validation samples, over all
    levels above the finest, among those whose accuracy at the finest level is there at most one
    point below its maximum. Of equally good ones, the most accurate; then the one with the
    largest finest share. Without validation samples all shares are equal.

    Parameters
    ----------
    train_blocks, train_labels, levels
        As in `share_curve`.
    val_blocks, val_labels
        As `blocks` and `labels` there; None, or empty, without validation samples.
    grid : float array (G, L), optional
        As in `share_curve`.

    Returns
    -------
    shares : tuple of L floats
    curve : DataFrame or None
        `share_curve` on the validation samples, None without any.
    """
    if val_labels is None or not (np.asarray(val_labels) >= 0).any():
        return (1 / len(levels),) * len(levels), None
    curve = share_curve(train_blocks, train_labels, val_blocks, val_labels, grid, levels)
    finest, *coarser = levels
    accuracy = curve[f"{finest}_accuracy"]
    accurate = curve[~(accuracy < accuracy.max() - TOLERANCE - 1e-9)]  # all where it is unknown
    outliers = accurate[[f"{level}_outliers" for level in coarser]].sum(axis=1)
    # lexsort: its last key decides first.
    order = np.lexsort((-accurate[f"{finest}_share"], -accurate[f"{finest}_accuracy"], outliers))
    best = accurate.iloc[order[0]]
    return tuple(float(best[f"{level}_share"]) for level in levels), curve


def share_curve(train_blocks, train_labels, blocks, labels, grid=None, levels=("species", "genus")):
    """Outliers and accuracy for every choice of shares, by the nearest centroid at every level.

    The same as `nearest_centroid` of the embedding for each choice in turn, but with one product
    a block: with s_lc the sum of z_l over class c, the cosine of a sample z to the centroid of c
    is Σ_l w_l z_l·s_lc / √(Σ_l w_l ‖s_lc‖²).

    Parameters
    ----------
    train_blocks, blocks : list of L float arrays (N, D_l)
        One a level, finest first, of training samples and of those that are judged. Rows are
        scaled to length one here.
    train_labels, labels : int array (N, L)
        Their classes; samples of unknown class (-1) are left out at this level.
    grid : float array (G, L), optional
        Choices of shares, each at least 0 and with sum 1; `share_grid` if not given.
    levels : sequence of L str
        Their names, finest first.

    Returns
    -------
    DataFrame
        One row a choice: ``<level>_share`` and ``<level>_accuracy`` for every level (NaN where no
        class is known), ``<level>_outliers`` for all but the finest.
    """
    train_labels, labels = np.asarray(train_labels), np.asarray(labels)
    grid = share_grid(len(levels)) if grid is None else np.asarray(grid, dtype=np.float64)
    _check(train_blocks, train_labels, grid, levels)
    _check(blocks, labels, grid, levels)
    classes = [np.unique(level[level >= 0]) for level in train_labels.T]
    if unknown := [name for name, c in zip(levels, classes, strict=True) if not len(c)]:
        raise ValueError(f"there are no training samples of a known {' or '.join(unknown)}")
    ends = np.cumsum([len(level) for level in classes])  # levels side by side, C classes in all
    sums = [
        np.concatenate([class_sums(block, level)[1] for level in train_labels.T])  # (C, D_l)
        for block in train_blocks
    ]
    squares = np.stack([(s**2).sum(axis=1) for s in sums])  # (L, C)
    lengths = np.maximum(np.sqrt(grid @ squares), 1e-12)  # (G, C)
    right = np.zeros((len(grid), len(levels)), dtype=np.int64)
    for rows in gen_batches(len(labels), max(1, BLOCK // ends[-1])):
        products = [unit(block[rows]) @ s.T for block, s in zip(blocks, sums, strict=True)]
        for g, shares in enumerate(grid):
            cosines = sum(w * p for w, p in zip(shares, products, strict=True)) / lengths[g]
            for l, part in enumerate(np.split(cosines, ends[:-1], axis=1)):  # (rows, C of l)
                nearest = classes[l][part.argmax(axis=1)]
                right[g, l] += (nearest == labels[rows, l]).sum()
    return _table(grid, right, (labels >= 0).sum(axis=0), levels)


def at_shares(blocks, block_dims, shares):
    """The embedding (√w₁ z₁, ..., √w_L z_L), of the dtype of the blocks.

    Parameters
    ----------
    blocks : float array (N, D)
        The blocks z₁, ..., z_L side by side, at any length: a run stores them at equal shares.
    block_dims : sequence of L int
        Their dimensions, with sum D.
    shares : sequence of L float

    Returns
    -------
    float array (N, D)
    """
    blocks = np.asarray(blocks)
    if len(block_dims) != len(shares) or sum(block_dims) != blocks.shape[1]:
        raise ValueError(
            f"blocks of {', '.join(map(str, block_dims))} dimensions and {len(shares)} shares do "
            f"not fit vectors of {blocks.shape[1]} dimensions"
        )
    parts = np.split(blocks, np.cumsum(block_dims)[:-1], axis=1)
    parts = [np.sqrt(w) * unit(part) for w, part in zip(shares, parts, strict=True)]
    return np.concatenate(parts, axis=1).astype(blocks.dtype)


def share_line(measures, levels, split="test"):
    """What a run in level blocks gives as its coarser levels count for more.

    Parameters
    ----------
    measures : dict
        Of a run, as in metrics.json; has ``share_curves``, a `share_curve` a split.
    levels : sequence of str
    split : {"test", "val"}

    Returns
    -------
    shares, outlier_rates, accuracies : lists of float
        Of all coarser levels together, which share evenly; at the second level; at the finest.
    """
    curve = pd.DataFrame(measures["share_curves"][split])
    finest, second = levels[:2]
    coarser = curve[[f"{level}_share" for level in levels[1:]]]
    even = coarser.sub(coarser.iloc[:, 0], axis=0).abs().max(axis=1) < 1e-9
    shares = coarser[even].sum(axis=1).round(9)
    rates = 1 - curve.loc[even, f"{second}_accuracy"]
    return shares.tolist(), rates.tolist(), curve.loc[even, f"{finest}_accuracy"].tolist()


def share_grid(n_levels):
    """Choices of shares, float (G, n_levels): even steps over all, the finest at least 0.1.

    Steps of 0.05 up to three levels, of 0.1 for four, of 0.2 for more. With two levels, the share
    of the coarser is 0, 0.05, ..., 0.9.
    """
    steps = 20 if n_levels < 4 else 10 if n_levels == 4 else 5
    least = max(1, steps // 10)
    coarser = product(range(steps - least + 1), repeat=n_levels - 1)
    return np.array([(steps - sum(c), *c) for c in coarser if sum(c) <= steps - least]) / steps


def _table(grid, right, known, levels):
    """The curve of counts `right` (G, L) out of `known` (L,)."""
    curve = pd.DataFrame(grid, columns=[f"{level}_share" for level in levels])
    for l, level in enumerate(levels):
        curve[f"{level}_accuracy"] = right[:, l] / known[l] if known[l] else np.nan
        if l:
            curve[f"{level}_outliers"] = known[l] - right[:, l]
    return curve


def _check(blocks, labels, grid, levels):
    n = len(levels)
    if labels.ndim != 2 or labels.shape[1] != n or len(blocks) != n or grid.shape[1:] != (n,):
        raise ValueError(
            f"there are {len(blocks)} blocks, labels of shape {labels.shape}, a grid of shape "
            f"{grid.shape} and {n} levels, {', '.join(levels)}: give a block and a column of "
            "labels and of the grid for each"
        )
    if sizes := {len(block) for block in blocks} - {len(labels)}:
        raise ValueError(f"there are {len(labels)} labels for blocks of {max(sizes)} samples")
    if grid.min() < 0 or np.abs(grid.sum(axis=1) - 1).max() > 1e-6:
        raise ValueError("shares must be at least 0 and sum to 1 in every row of the grid")
