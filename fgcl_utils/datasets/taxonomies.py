"""The levels above a class, where the images' own table or folders do not say them.

``taxonomy`` is a CSV file with a row a class, or ``binomial``: the genus is the first word of
``Amanita muscaria``, ``amanita-muscaria``, ``Amanita_muscaria``.
"""

import re
from itertools import pairwise
from pathlib import Path

import pandas as pd

from fgcl_utils.datasets.checks import Problem, in_one_spelling
from fgcl_utils.datasets.tables import check_has_columns, csv_header, csv_table
from fgcl_utils.files import resolve
from fgcl_utils.taxonomy import Taxonomy

_BINOMIAL = re.compile(r"([^\s_-]+)[\s_-]+\S")
# "Amanita sp." is a genus without a species; "Amanita sp. 07" is a species with a number.
_GENUS_ONLY = re.compile(r"(.*[^\s_-])[\s_-]+(?:sp|spp|spec|indet)\.?")


def with_taxonomy(table, levels, taxonomy, root, columns):
    """Fill the levels above each image's class, and take out images whose class is not there.

    Parameters
    ----------
    table : DataFrame
        Some of the levels as columns, from the finest up; empty where a label stops early.
    taxonomy : str or path
        ``binomial``, or a file relative to the project's root or to `root`.
    columns : mapping
        A level's name to the file's column, where they differ.

    Returns
    -------
    table, problems
        The table with all levels; at most one `Problem`.

    Raises
    ------
    FileNotFoundError, ValueError
        If the taxonomy cannot be used at all.
    """
    if str(taxonomy) == "binomial":
        return _binomial(table, levels)
    return _looked_up(table, levels, read_taxonomy(path_of(taxonomy, root), levels, columns))


def path_of(taxonomy, root) -> Path:
    places = [resolve(taxonomy), root / Path(taxonomy).expanduser()]
    for path in places:
        if path.is_file():
            return path
    raise FileNotFoundError(
        f"taxonomy {str(taxonomy)!r} does not exist; it was looked for as {places[0]} and "
        f"{places[1]}. It is a CSV file with a row a class, or the word 'binomial'."
    )


def read_taxonomy(path, levels, columns) -> pd.DataFrame:
    """The file's columns that are levels, finest first, each class once.

    The first column is the finest level where none is called so.
    """
    header = csv_header(path)
    names = {level: columns.get(level, level) for level in levels}
    names = {level: name if name in header else level for level, name in names.items()}
    if names[levels[0]] not in header and header[0] not in names.values():
        names[levels[0]] = header[0]
    lowest = next((l for l, level in enumerate(levels) if names[level] in header), 0)
    names = {level: names[level] for level in levels[lowest:]}
    mend = (
        " A taxonomy has a row a class: its name, then the levels above it, in columns that are "
        f"called as the levels are ({', '.join(levels)})."
    )
    check_has_columns(header, names.values(), path, mend)
    if len(names) < 2:
        raise ValueError(f"{path} says nothing above {levels[lowest]!r}.{mend}")
    table = csv_table(path, [*names.values()]).set_axis([*names], axis=1)
    table = table.apply(in_one_spelling)
    classes = levels[lowest]
    is_double = table.duplicated(classes, keep=False) & (table[classes] != "")
    double = table[is_double].groupby(classes, sort=True)
    if len(double):
        where = [f"{name}: " + ", ".join(rows.index) for name, rows in double]
        mend = "Keep one row of each class, or use different names."
        raise Problem(f"{len(double)} classes stand twice in the taxonomy", where, mend).error()
    Taxonomy.from_table(table, tuple(names))  # a genus under two families is told with its lines
    return table


def _looked_up(table, levels, taxonomy):
    lowest, *above = taxonomy.columns
    missing = [level for level in levels[: levels.index(lowest) + 1] if level not in table]
    if missing:
        raise ValueError(
            f"the taxonomy says what lies above {lowest!r}, and the images have no {missing[0]!r}."
        )
    table = table.assign(**{lowest: in_one_spelling(table[lowest])})
    parents = taxonomy[taxonomy[lowest] != ""].set_index(lowest)
    table = _with_genera_of_names(table, lowest, above[0], parents)
    known = table[lowest] != ""
    for level in above:
        own = table[level] if level in table else ""
        table[level] = table[lowest].map(parents[level]).where(known, own).fillna("")
    # A label that stops early begins at one of the levels above.
    for child, parent in pairwise(above):
        of = taxonomy.drop_duplicates(child).set_index(child)[parent]
        gap = (table[parent] == "") & (table[child] != "")
        table.loc[gap, parent] = in_one_spelling(table.loc[gap, child]).map(of).fillna("")
    return _without(
        table,
        known & ~table[lowest].isin(parents.index),
        lowest,
        "are not in the taxonomy",
        "Add a row for each, spelled as the images have it, or drop these images.",
    )


def _with_genera_of_names(table, lowest, above, parents):
    """ "Amanita sp." needs no row of its own where the taxonomy knows Amanita."""
    genera = {*parents[above]}
    matches = {name: _GENUS_ONLY.fullmatch(name) for name in {*table[lowest]} - {*parents.index}}
    genus_of = {name: m[1] for name, m in matches.items() if m and m[1] in genera}
    if not genus_of:
        return table
    own = table[above] if above in table else ""
    genus = table[lowest].map(genus_of).fillna(own)
    return table.assign(
        **{above: genus, lowest: table[lowest].replace(dict.fromkeys(genus_of, ""))}
    )


def _binomial(table, levels):
    if len(levels) != 2:
        raise ValueError(
            f"taxonomy 'binomial' gives one level above the class, and levels are "
            f"{', '.join(levels)}: give two levels, or the file of a taxonomy."
        )
    finest, genus = levels
    words = {name: _BINOMIAL.match(name) for name in table[finest].unique()}
    first = table[finest].map({name: match[1] if match else "" for name, match in words.items()})
    own = table[genus] if genus in table else ""
    known = table[finest] != ""
    return _without(
        table.assign(**{genus: first.where(known, own)}),
        known & (first == ""),
        finest,
        "are one word, and taxonomy 'binomial' takes the first of two for the genus",
        "Rename them, give the file of a taxonomy, or write 'Amanita sp.' for a genus alone.",
    )


def _without(table, bad, level, what, mend):
    if not bad.any():
        return table, []
    classes = table.loc[bad, level].drop_duplicates()
    places = [name if where == name else f"{name} ({where})" for where, name in classes.items()]
    return table[~bad], [Problem(f"{len(classes)} {level} names {what}", places, mend)]


def without_genus_only_names(table, levels):
    """Empty the finest level where its name says that nobody knew it: "Amanita sp."."""
    if len(levels) == 1:
        return table
    names = table[levels[0]].unique()
    stops = [name for name in names if _GENUS_ONLY.fullmatch(name)]
    return table.assign(**{levels[0]: table[levels[0]].replace(dict.fromkeys(stops, ""))})


def with_homonyms_apart(table, levels):
    """Tell apart what has one name under two parents, as "Prunella (Lamiaceae)".

    In whole trees of life this happens: Prunella is a genus of plants and one of birds.
    """
    table = table.copy()
    for child, parent in reversed([*pairwise(levels)]):
        pairs = table.loc[table[child] != "", [child, parent]].drop_duplicates()
        double = table[child].isin(pairs[child][pairs.duplicated(child)])
        table.loc[double, child] += " (" + table.loc[double, parent] + ")"
    return table
