"""What the explorer is given describes one set of points, or one error says what does not."""

import numpy as np
import pandas as pd


def numbers_of(what, arrays):
    """Arrays or tensors, also of bfloat16, as arrays that NumPy computes with; None stays None.

    Raises
    ------
    ValueError
        If one holds anything but real numbers, or rows of different lengths.
    """
    if arrays is None:
        return None
    return {name: _numbers(f"{what}[{name!r}]", array) for name, array in arrays.items()}


def _numbers(what, array):
    is_complex = getattr(array, "is_complex", None)  # of a tensor
    if hasattr(array, "detach") and not is_complex():
        array = array.detach().float().cpu().numpy()
    try:
        array = np.asarray(array)
    except ValueError:
        raise ValueError(f"{what} has rows of different lengths") from None
    if array.dtype.kind == "c":
        raise ValueError(f"{what} holds complex numbers; give its real part, or its absolute value")
    if array.dtype.kind in "fiu":
        return array
    try:
        return array.astype(np.float32)
    except (TypeError, ValueError):
        raise ValueError(f"{what} holds {array.dtype}; expected are numbers") from None


def check_points(embeddings, table, levels, of_points, train, train_table, steps, k):
    """Refuse what does not fit together.

    Parameters
    ----------
    embeddings, table, levels, train, train_table, steps, k
        As `EmbeddingExplorer` takes them.
    of_points : dict of str to (dict of str to array, or None)
        Its further arrays: planes, outliers and neighbours.

    Raises
    ------
    ValueError
    """
    _check_steps(embeddings, steps)
    if not isinstance(k, int | np.integer) or k < 1:
        raise ValueError(f"k is {k!r}; it has to be a whole number of neighbours, 1 at least")
    if not isinstance(table, pd.DataFrame):
        raise ValueError(f"the table is a {type(table).__name__}; give a pandas DataFrame")
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


def _check_steps(embeddings, steps):
    """At most 8 methods, and every slider goes through its method and embeddings of its own."""
    further = []
    for method, own in steps.items():
        if lacking := [name for name in [method, *own.values()] if name not in embeddings]:
            raise ValueError(f"steps: embeddings has no {lacking[0]!r}; it has {list(embeddings)}")
        if list(own.values()).count(method) != 1:
            raise ValueError(f"one of steps[{method!r}] has to be {method!r} itself")
        further += [name for name in own.values() if name != method]
    if twice := [name for name in further if further.count(name) > 1 or name in steps]:
        raise ValueError(f"embedding {twice[0]!r} is a step of two sliders, or has one itself")
    n_methods = len(embeddings) - len(further)
    if not 1 <= n_methods <= 8:
        raise ValueError(f"the explorer shows 1 to 8 methods, and there are {n_methods}")
    if len(embeddings) > 16:
        raise ValueError(
            f"with steps, the explorer holds 16 embeddings at most, not {len(embeddings)}"
        )


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
    for name, near in neighbours.items():
        own = np.flatnonzero((near == np.arange(len(near))[:, None]).any(axis=1))
        if len(own):
            raise ValueError(
                f"neighbours[{name!r}] has {len(own)} points among their own neighbours, the first "
                f"is row {own[0]}; leave each point itself out"
            )


def _wrong(what, name, array, expected):
    return ValueError(f"{what}[{name!r}] has shape {np.shape(array)}; expected is {expected}")


def page_at(path, standalone):
    """The file that the page is written to, and for a folder of shards the folder's ``index.html``.

    Raises
    ------
    ValueError
        If a folder is where the page would be, or a file where one of its folders would be.
    """
    if standalone:
        page = path / "explorer.html" if path.is_dir() else path
        folders = page.parents
    else:
        folder = path.with_suffix("") if path.suffix == ".html" else path
        page = folder / "index.html"
        folders = (folder / "shards", *page.parents)
    if page.is_dir():
        raise ValueError(f"{page} is a folder, so the page cannot be written there: rename it")
    if blocking := [at for at in folders if at.exists() and not at.is_dir()]:
        raise ValueError(
            f"{blocking[0]} is a file, so {page} cannot be written below it: choose another place"
        )
    return page
