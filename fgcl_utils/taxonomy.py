"""Nested label levels, finest first: every species belongs to one genus, every genus to one family.

A table of names becomes integer codes here, and this is where the nesting is checked. Everything
after it (sampling, losses, metrics) sees only the codes. A label may stop early: a photo known to
its genus alone has no species, which is an empty cell in the table and the code −1.
"""

from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import pandas as pd

MOST_LEVELS = 8
_PLURALS = {
    "species": "species",
    "genus": "genera",
    "family": "families",
    "order": "orders",
    "class": "classes",
    "phylum": "phyla",
    "kingdom": "kingdoms",
}
RESERVED = ("image", "split", "observation")  # the other columns of a data set's table


def checked_levels(levels) -> tuple[str, ...]:
    """`levels` as a tuple, if they can be the names of nested levels, finest first.

    Raises
    ------
    ValueError
        If they are not 1 to 8 different names, or one of them names another column.
    """
    example = "levels are 1 to 8 different names, finest first, such as [species, genus, family]"
    if isinstance(levels, str) or not all(isinstance(n, str) and n.strip() for n in levels):
        raise ValueError(f"levels={levels!r}: {example}.")
    levels = tuple(levels)
    if not 1 <= len(levels) <= MOST_LEVELS or len({*levels}) < len(levels):
        raise ValueError(f"levels={list(levels)!r}: {example}.")
    if taken := [name for name in levels if name in RESERVED]:
        raise ValueError(
            f"a level cannot be called {taken[0]!r}, which is another column of the table: choose "
            "another name, and map it with columns where the file calls it so."
        )
    return levels


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
            Holds the columns in `levels`, filled with names, or empty from the finest level up
            where a label stops early. Its index names the rows in errors.
        levels : sequence of str
            Columns to use, finest first.

        Raises
        ------
        ValueError
            If a column is missing, the table or a whole level is empty, a row has no name at a
            level above one that it has or at none, or a class has two parents.
        """
        levels = tuple(levels)
        _check_cells(table, levels)
        names = tuple(
            tuple(sorted(table[level][_is_known(table[level])].unique())) for level in levels
        )
        parent_codes = []
        for l, (child, parent) in enumerate(pairwise(levels)):
            pairs = table.loc[_is_known(table[child]), [child, parent]].drop_duplicates()
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
        """Integer codes of a table's rows, int64 of shape (N, L).

        In [0, n_classes) per level, −1 where the cell is empty.

        Raises
        ------
        ValueError
            If the table lacks a level's column or holds a name the taxonomy does not know.
        """
        _check_columns(table, self.levels)
        labels = np.empty((len(table), len(self.levels)), dtype=np.int64)
        for l, (level, names) in enumerate(zip(self.levels, self.names, strict=True)):
            labels[:, l] = pd.Index(names).get_indexer(table[level])
            unknown = table[level][(labels[:, l] < 0) & _is_known(table[level])]
            if len(unknown):
                raise ValueError(
                    f"{len(unknown)} rows hold a {level} that the taxonomy does not know, first "
                    f"{unknown.iloc[0]!r} ({_row(unknown.index[0])}). "
                    "Build the taxonomy from a table that holds every class."
                )
        return labels


def plural(level: str) -> str:
    """The word for several classes of a level: species, genera, families, "variant classes"."""
    return _PLURALS.get(level, f"{level} classes")


def finest_known(labels: np.ndarray) -> np.ndarray:
    """The finest level at which each row of codes (N, L) is known; int64 (N,), L if none."""
    return np.where((labels < 0).all(1), labels.shape[1], (labels >= 0).argmax(1))


def _is_known(cells):
    return cells.notna() & (cells != "")


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
    is_known = pd.Series(False, table.index)  # at a finer level
    for l, level in enumerate(levels):
        known = _is_known(table[level])
        if not known.any():
            raise ValueError(f"no row has a {level}: leave this level out.")
        # Every row needs the coarsest level, and the others from the finest that it has.
        empty = table.index[~known & (is_known | (l == len(levels) - 1))]
        if len(empty):
            shown = ", ".join(map(_row, empty[:20])) + (", ..." if len(empty) > 20 else "")
            raise ValueError(
                f"{len(empty)} rows have no {level}: {shown}. Fill these cells or drop the rows."
            )
        is_known |= known


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
