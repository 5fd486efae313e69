"""Nested label levels, finest first: every species belongs to one genus, every genus to one family.

A table of names becomes integer codes here, and this is where the nesting is checked. Everything
after it (sampling, losses, metrics) sees only the codes.
"""

from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import pandas as pd


@dataclass(frozen=True)
class Taxonomy:
    """Class names of every label level and the way up from each class to its parent.

    Parameters
    ----------
    levels : tuple of str
        Names of the levels, finest first, such as ``("species", "genus")``.
    names : tuple of tuple of str
        For each level its class names, sorted; a class's position is its code.
    parent_codes : tuple of tuple of int
        For each level but the last, the code of each class's parent one level up.
    """

    levels: tuple[str, ...]
    names: tuple[tuple[str, ...], ...]
    parent_codes: tuple[tuple[int, ...], ...] = field(repr=False)

    @classmethod
    def from_table(cls, table: pd.DataFrame, levels=("species", "genus")) -> "Taxonomy":
        """Read the taxonomy off a table with one row per image and one column per level.

        Parameters
        ----------
        table : DataFrame
            Holds the columns in `levels`, filled with names. Its index names the rows in errors.
        levels : sequence of str
            Columns to use, finest first.

        Raises
        ------
        ValueError
            If a column is missing, the table or a cell is empty, or a class has two parents.
        """
        levels = tuple(levels)
        _check_cells(table, levels)
        names = tuple(tuple(sorted(table[level].unique())) for level in levels)
        parent_codes = []
        for l, (child, parent) in enumerate(pairwise(levels)):
            pairs = table[[child, parent]].drop_duplicates()
            _check_one_parent(pairs, child, parent)
            parent_of = dict(zip(pairs[child], pairs[parent], strict=True))
            code = {name: i for i, name in enumerate(names[l + 1])}
            parent_codes.append(tuple(code[parent_of[name]] for name in names[l]))
        return cls(levels, names, tuple(parent_codes))

    @property
    def n_classes(self) -> tuple[int, ...]:
        """Number of classes of each level."""
        return tuple(len(names) for names in self.names)

    @property
    def parents(self) -> list[np.ndarray]:
        """``parents[l][code at level l]`` is the code at level l + 1; int64 arrays."""
        return [np.array(codes, dtype=np.int64) for codes in self.parent_codes]

    def encode(self, table: pd.DataFrame) -> np.ndarray:
        """Integer codes of a table's rows, int64 of shape (N, L), in [0, n_classes) per level.

        Raises
        ------
        ValueError
            If the table lacks a level's column or holds a name the taxonomy does not know.
        """
        _check_columns(table, self.levels)
        labels = np.empty((len(table), len(self.levels)), dtype=np.int64)
        for l, (level, names) in enumerate(zip(self.levels, self.names, strict=True)):
            labels[:, l] = pd.Index(names).get_indexer(table[level])
            unknown = table[level][labels[:, l] < 0]
            if len(unknown):
                raise ValueError(
                    f"{len(unknown)} rows hold a {level} that the taxonomy does not know, first "
                    f"{unknown.iloc[0]!r} ({_row(unknown.index[0])}). "
                    "Build the taxonomy from a table that holds every class."
                )
        return labels


def _check_columns(table, levels):
    missing = [level for level in levels if level not in table.columns]
    if missing:
        raise ValueError(
            f"the table has no column {', '.join(map(repr, missing))}; "
            f"its columns are {', '.join(map(repr, table.columns))}."
        )


def _check_cells(table, levels):
    _check_columns(table, levels)
    if table.empty:
        raise ValueError("the table is empty: a taxonomy needs at least one row.")
    for level in levels:
        empty = table.index[table[level].isna() | (table[level] == "")]
        if len(empty):
            shown = ", ".join(map(_row, empty[:20])) + (", ..." if len(empty) > 20 else "")
            raise ValueError(
                f"{len(empty)} rows have no {level}: {shown}. Fill these cells or drop the rows."
            )


def _check_one_parent(pairs, child, parent):
    """`pairs` are the distinct (child, parent) rows; a child seen twice has two parents."""
    double = pairs[pairs.duplicated(child, keep=False)].sort_values(child, kind="stable")
    if double.empty:
        return
    lines = [
        f"  {name!r}: " + ", ".join(f"{p!r} ({_row(where)})" for where, p in group[parent].items())
        for name, group in double.groupby(child, sort=True)
    ]
    more = [f"  ... and {len(lines) - 20} more"] if len(lines) > 20 else []
    raise ValueError(
        f"{len(lines)} {child} names stand under more than one {parent} (first row of each):\n"
        + "\n".join(lines[:20] + more)
        + f"\nEvery {child} belongs to one {parent}: correct the rows, or use two different names."
    )


def _row(where) -> str:
    """Index labels are row numbers, or say where they come from ("photos.csv, line 7")."""
    return where if isinstance(where, str) else f"row {where}"
