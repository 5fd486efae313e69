"""What the explorer is given describes one set of points, or one error says what does not."""

import numpy as np


def numbers_of(what, arrays):
    """Arrays or tensors, also of bfloat16, as arrays that NumPy computes with; None stays None.

    Raises
    ------
    ValueError
        If one holds anything but numbers.
    """
    if arrays is None:
        return None
    found = {}
    for name, array in arrays.items():
        if hasattr(array, "detach"):
            array = array.detach().float().cpu().numpy()
        array = np.asarray(array)
        if array.dtype.kind not in "fiu":
            try:
                array = array.astype(np.float32)
            except (TypeError, ValueError):
                raise ValueError(
                    f"{what}[{name!r}] holds {array.dtype}; expected are numbers"
                ) from None
        found[name] = array
    return found


def check_points(embeddings, table, levels, of_points, train, train_table):
    """Refuse what does not fit together.

    Parameters
    ----------
    embeddings, table, levels, train, train_table
        As `EmbeddingExplorer` takes them.
    of_points : dict of str to (dict of str to array, or None)
        Its further arrays: planes, outliers and neighbours.

    Raises
    ------
    ValueError
    """
    if not 1 <= len(embeddings) <= 8:
        raise ValueError(f"the explorer shows 1 to 8 methods, and there are {len(embeddings)}")
    _check_columns("the table", table, ("image", *levels))
    if not len(table):
        raise ValueError("the table has no rows, so there are no points to show")
    if train is not None and train_table is None:
        raise ValueError(
            f"train embeddings need train_table, whose columns {list(levels)} label their rows"
        )
    _check_rows("embeddings", embeddings, embeddings, table)
    for what, arrays in of_points.items():
        _check_rows(what, arrays, embeddings, table)
    _check_rows("train", train, embeddings, train_table)
    if train is not None:
        _check_columns("train_table", train_table, levels)
    _check_shapes(embeddings, of_points, train, len(table))


def _check_columns(what, table, names):
    missing = [name for name in names if name not in table.columns]
    if missing:
        raise ValueError(f"{what} has no column {missing[0]!r}; it has {list(table.columns)}")


def _check_rows(what, arrays, methods, table):
    """Every method has its array, with a row for each row of the table."""
    if arrays is None:
        return
    for name in methods:
        if name not in arrays:
            raise ValueError(f"{what} has no {name!r}; it has {list(arrays)}")
        rows = len(arrays[name]) if np.ndim(arrays[name]) else "no"
        if rows != len(table):
            raise ValueError(
                f"{what}[{name!r}] has {rows} rows and its table {len(table)}; "
                "row i of both must be the same photo"
            )


def _check_shapes(embeddings, of_points, train, n):
    for name, x in embeddings.items():
        if x.ndim != 2 or not x.shape[1]:
            raise _wrong("embeddings", name, x, "a row of numbers a point")
        if train is not None and train[name].shape[1:] != x.shape[1:]:
            raise _wrong("train", name, train[name], f"rows of {x.shape[1]}, as in embeddings")
        if train is not None and not np.isfinite(train[name]).all():
            raise ValueError(f"train[{name!r}] has values that are not finite")
    for name in embeddings:
        for what, shape in (("planes", (n, 2)), ("outliers", (n,))):
            given = of_points[what]
            if given and np.shape(given[name]) != shape:
                raise _wrong(what, name, given[name], f"shape {shape}")
        if of_points["planes"] and not np.isfinite(of_points["planes"][name]).all():
            raise ValueError(f"planes[{name!r}] has positions that are not finite numbers")
    if of_points["neighbours"]:
        _check_neighbours({name: np.asarray(of_points["neighbours"][name]) for name in embeddings})


def _check_neighbours(neighbours):
    first = next(iter(neighbours))
    for name, near in neighbours.items():
        if near.ndim != 2 or near.shape[1] != neighbours[first].shape[1]:
            raise _wrong("neighbours", name, near, f"as many a point as neighbours[{first!r}]")
        whole = near.dtype.kind in "iu"
        if not whole or (near.size and not 0 <= near.min() <= near.max() < len(near)):
            raise ValueError(
                f"neighbours[{name!r}] must hold row numbers of the table, 0 to {len(near) - 1}"
            )


def _wrong(what, name, array, expected):
    return ValueError(f"{what}[{name!r}] has shape {np.shape(array)}; expected is {expected}")
