"""Labels as users have them: names or numbers, some of them missing, one level or several."""

from itertools import pairwise

import numpy as np
import pandas as pd

from fgcl_utils.taxonomy import Taxonomy


def columns_of(y):
    """Labels (N,) or (N, L) of any type as L arrays (N,), finest level first.

    Raises
    ------
    ValueError
        If they have another shape, or hold infinity.
    """
    if y is None:
        raise ValueError("HeadTransformer requires y to be passed, but the target y is None")
    array = np.asarray(y)
    if array.dtype.kind in "OUS":  # numpy would turn [["a", -1]] into text
        array = np.asarray(y, dtype=object)
    if array.ndim not in (1, 2) or (array.ndim == 2 and not array.shape[1]):
        raise ValueError(
            f"labels have shape {array.shape}: y should be a 1d array, or of shape (N, L) with a "
            "column a level, finest first"
        )
    if array.dtype.kind == "f" and np.isinf(array).any():
        raise ValueError("Input y contains infinity: a label is a name or a number")
    return list(array.reshape(len(array), -1).T)


def classes_of(columns):
    """The classes of each level, sorted."""
    classes = []
    for l, column in enumerate(columns):
        try:
            classes.append(np.unique(column[_is_known(column)]))
        except TypeError:
            kinds = sorted({type(label).__name__ for label in column})
            raise ValueError(
                f"labels of level {l} are of several types ({', '.join(kinds)}): take one"
            ) from None
        if not len(classes[-1]):
            raise ValueError(f"no label of level {l} is known: leave this level out")
    return classes


def codes_of(columns, classes):
    """Positions in `classes`, int64 (N, L); −1 where a label is not known, or not among them."""
    codes = [pd.Index(c).get_indexer(column) for c, column in zip(classes, columns, strict=True)]
    return np.column_stack(codes).astype(np.int64)


def check_nested(columns, codes):
    """Raise ValueError unless every class lies in one class of the next level."""
    known = codes >= 0
    gaps = np.flatnonzero((known[:, :-1] & ~known[:, 1:]).any(axis=1))
    if len(gaps):
        labels = [column[gaps[0]] for column in columns]
        raise ValueError(
            f"{len(gaps)} labels are known at a level, but not above it, first that of row "
            f"{gaps[0]}: {labels}. Only the finer levels can be unknown"
        )
    for finer, (child, parent) in enumerate(pairwise(columns)):
        names = f"level {finer}", f"level {finer + 1}"
        pairs = pd.DataFrame(dict(zip(names, (child, parent), strict=True)))[known[:, finer]]
        Taxonomy.from_table(pairs, names)


def validation_rows(codes, fraction, seed):
    """Which rows to validate with, bool (N,): about `fraction` of each class, never all of one."""
    _, lineages = np.unique(codes, axis=0, return_inverse=True)
    lineages = lineages.reshape(-1)  # numpy 2.0 gives them a second axis
    order = np.random.default_rng(seed).permutation(len(codes))
    order = order[np.argsort(lineages[order], kind="stable")]  # class by class, shuffled inside
    candidates = order[np.diff(lineages[order], prepend=-1) == 0]  # without the first of each
    n_val = min(round(fraction * len(codes)), len(candidates))
    # Evenly along the line, so that every class gives its share.
    places = (np.arange(n_val) + 0.5) * (len(candidates) / max(1, n_val))
    chosen = np.zeros(len(codes), dtype=bool)
    chosen[candidates[places.astype(int)]] = True
    return chosen


def _is_known(column):
    return ~(pd.isna(column) | pd.Series(column).isin(["", -1]).to_numpy())
