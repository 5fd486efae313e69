"""What else a table says of its photos, coded so that the map can be coloured by it."""

import numpy as np
import pandas as pd

from fgcl_utils.taxonomy import RESERVED

MOST_COLUMNS = 24  # that are taken unasked
MOST_VALUES = 1000  # of a category
LEAST_NUMBERS = 13  # different ones, or they are a category's values, such as years
STEPS = 65_534  # of a ramp; one more stands for no value


def further_columns(table, levels, names=None):
    """Columns that can colour the map besides the levels.

    Parameters
    ----------
    table : DataFrame
    levels : sequence of str
    names : sequence of str, optional
        Those that are wanted. By default all, at most 24, that hold numbers or a category: 2 to
        1,000 different values, two photos to a value on average. What names the photo or its split
        is none of them.

    Returns
    -------
    list of (dict, (N,) uint16 array)
        What the page is told of a column, and a code a photo. Numbers have a ``low`` and a
        ``high`` and codes from 0 to 65,534 between them, other columns a list of ``values`` and
        their places in it. 65,535 is no value.

    Raises
    ------
    ValueError
        If a column that is wanted is not there, or cannot colour a map.
    """
    if names is None:
        once = table.columns[~table.columns.duplicated(keep=False)]
        coded = [(name, _coded(table[name])) for name in once if name not in (*levels, *RESERVED)]
        coded = [pair for pair in coded if pair[1]][:MOST_COLUMNS]
    else:
        if missing := [name for name in names if name not in table.columns]:
            raise ValueError(
                f"the table has no column {missing[0]!r} to colour by; it has {list(table.columns)}"
            )
        coded = [(name, _coded(table[name])) for name in names]
        if unfit := [name for name, column in coded if not column]:
            raise ValueError(
                f"column {unfit[0]!r} cannot colour the map, having "
                f"{table[unfit[0]].astype(str).nunique()} different values: choose one that holds "
                f"numbers or 2 to {MOST_VALUES} values, two photos a value on average"
            )
    return [({"name": str(name)} | about, codes) for name, (about, codes) in coded]


def _coded(cells):
    """What is told of a column, and its codes; None if it cannot colour a map."""
    text = cells.astype(str)
    given = (cells.notna() & (text != "")).to_numpy()
    numbers = pd.to_numeric(text[given], errors="coerce").to_numpy(dtype=float)
    are_numbers = len(numbers) > 0 and np.isfinite(numbers).all()
    codes = np.full(len(cells), STEPS + 1, dtype=np.uint16)
    if are_numbers and len(np.unique(numbers)) >= LEAST_NUMBERS:
        low, high = float(numbers.min()), float(numbers.max())
        codes[given] = np.round((numbers - low) / (high - low) * STEPS)
        return {"low": low, "high": high}, codes
    values = text[given].unique().tolist()
    if not 2 <= len(values) <= min(MOST_VALUES, max(2, given.sum() // 2)):
        return None
    values.sort(key=float if are_numbers else str)
    codes[given] = pd.Index(values).get_indexer(text[given])
    return {"values": values}, codes
