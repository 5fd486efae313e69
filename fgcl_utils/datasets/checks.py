"""What every row has to pass before it is part of a data set.

A check takes out the rows that cannot be used and says so in a `Problem`. `load_dataset` raises the
first one; the checker (``python -m fgcl_utils.datasets check``) goes on and lists them all.
"""

import os
import posixpath
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from fgcl_utils.taxonomy import Taxonomy

SOURCE_SPLITS = ("train", "val", "test")  # that a source may have
SPLIT_NAMES = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev"), "val"),
    **dict.fromkeys(("test", "testing"), "test"),
}


class ImageError(ValueError):
    """An image is missing or cannot be decoded; the message lists all of them."""


@dataclass(frozen=True)
class Problem:
    """What is wrong, where, and how to mend it.

    Parameters
    ----------
    what : str
        A sentence without its full stop.
    where : sequence
        The rows, files or names in question; may be empty.
    mend : str
        What to do.
    kind : type
        The exception to raise; a Warning where the data can be used all the same.
    """

    what: str
    where: Sequence = ()
    mend: str = ""
    kind: type[Exception] = ValueError

    def text(self, most=20) -> str:
        """The message, with the first `most` places."""
        if not len(self.where):
            return f"{self.what}. {self.mend}" if self.mend else self.what
        return f"{self.what}:\n{listed(self.where, most=most)}\n{self.mend}".rstrip()

    def error(self) -> Exception:
        return self.kind(self.text())


def screen(table, root, levels):
    """Take out the rows of a source's table that cannot be used.

    A label may stop early: a row needs a name at the coarsest level, and at those between it and
    the finest that the row has.

    Returns
    -------
    table : DataFrame
        The others: labels in one spelling, images as they are spelled on disk, splits under our
        names.
    problems : list of Problem
        What was wrong with those taken out, a problem of each kind.
    """
    problems, n = [], len(table)

    def take_out(bad, what, mend, kind=ValueError, value="image"):
        nonlocal table
        bad = np.asarray(bad, dtype=bool)
        if bad.any():
            rows = [
                name if where == name else f"{where}: {name or repr(name)}"
                for where, name in table.loc[bad, value].items()
            ]
            problems.append(Problem(f"{bad.sum()} {what}", rows, mend, kind))
            table = table[~bad]

    fill = "Fill these cells or drop the rows."
    take_out(table["image"] == "", "rows have no image", fill)
    enough = f" A {levels[1]} alone is enough." if len(levels) > 1 else ""
    is_unknown = (table[[*levels]] == "").all(axis=1)
    take_out(is_unknown, f"rows have no {levels[0]}", fill + enough)
    for finer, level in enumerate(levels[1:], 1):
        gap = (table[level] == "") & (table[[*levels[:finer]]] != "").any(axis=1)
        take_out(gap, f"rows have no {level}", fill)
    take_out(
        [not all(map(is_unicode, names)) for names in table[["image", *levels]].values],
        "names of files or folders are not UTF-8",
        "Rename these (convmv does many at once).",
    )
    table = table.assign(
        **{level: in_one_spelling(table[level]) for level in levels},
        **dict(zip(("image", "place"), located(root, table["image"]), strict=True)),
    )
    inside = "Paths are relative to data_root; let data_root be the folder that holds them all."
    take_out(table["place"] == "outside", f"images lie outside data_root {root}", inside)
    take_out(
        table["place"] == "linked",
        f"images lie outside data_root {root}, where a link leads",
        inside,
    )
    take_out(
        table["place"] == "missing",
        f"of {n} images do not exist under {root}",
        "Paths are relative to data_root: correct data_root or these rows.",
        ImageError,
    )
    table = table.drop(columns="place")
    if "split" in table and not (table["split"] == "").all():
        take_out(
            ~table["split"].str.lower().isin(SPLIT_NAMES),
            "rows have a split that is not train, val or test",
            "Correct these cells; leave out the whole column for a random split.",
            value="split",
        )
        table = table.assign(split=table["split"].str.lower().map(SPLIT_NAMES))
    table, more = _nested(table, levels)
    table, again = _once_each(table)
    return table, problems + more + again


def _nested(table, levels):
    """Take out the classes that stand under two others; the taxonomy says which."""
    problems = []
    for child, parent in pairwise(levels):
        is_known = table[child] != ""
        try:
            if is_known.any():
                Taxonomy.from_table(table[is_known], (child, parent))
        except ValueError as error:
            n_parents = table.groupby(child)[parent].transform("nunique")
            table = table[~is_known | (n_parents == 1)]
            problems.append(Problem(str(error)))
    return table, problems


def _once_each(table):
    double = table[table.duplicated("image", keep=False)].sort_values("image", kind="stable")
    if double.empty:
        return table, []
    problem = Problem(
        f"{double['image'].nunique()} images stand in more than one row",
        [f"{where}: {name}" for where, name in double["image"].items()],
        "Keep one row of each: an image in two splits would be tested on what it learnt.",
    )
    return table.drop_duplicates("image"), [problem]


def is_unicode(name):
    """Names of files that are not UTF-8 come from the system as lone surrogates."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def in_one_spelling(names):
    """A column of names with each accented letter as one code point.

    The same letter can be stored in two ways (macOS folders use the longer one).
    """
    spelled = {name: unicodedata.normalize("NFC", name) for name in names.unique()}
    changed = {name: new for name, new in spelled.items() if new != name}
    return names.replace(changed) if changed else names


# An anchor or ".." at either kind of slash; pathlib takes half a minute for 300,000 names.
_LEAVES_ROOT = re.compile(r"[/\\]|.:|(.*[/\\])?\.\.([/\\]|\Z)", re.DOTALL)


def leaves_root(name):
    return _LEAVES_ROOT.match(name) is not None


def located(root, images):
    """The images as they are spelled on disk, relative to `root`, and where each one is.

    The second list holds "inside", "missing", "outside" (its path leaves `root`) or "linked" (it
    leaves through a link). One listing a folder instead of one look a file: 36,000 looks take
    minutes on network disks.
    """
    names = [
        name if leaves_root(name) else posixpath.normpath(name.replace("\\", "/"))
        for name in images
    ]
    inner = {posixpath.dirname(name) for name in names if not leaves_root(name)}
    folders = {folder: _listing(root, folder) for folder in inner}
    found, places = [], []
    for name in names:
        folder, file = posixpath.split(name)
        alike = folders.get(folder, {}).get(file.casefold(), {})
        spelled = file if file in alike else next(iter(alike)) if len(alike) == 1 else None
        if leaves_root(name):
            place = "outside"
        elif spelled is None:
            place = "missing"
        else:
            place = "inside" if alike[spelled] else "linked"
            name = posixpath.join(folder, spelled)
        found.append(name)
        places.append(place)
    return found, places


def _listing(root, folder):
    """A folder's files, by lower-case name: {name on disk: whether it leads inside root}."""
    listing = {}
    try:
        inside = is_inside(root, root / folder)
        for entry in os.scandir(root / folder):
            if entry.is_file():
                leads_inside = inside and (not entry.is_symlink() or is_inside(root, entry))
                listing.setdefault(entry.name.casefold(), {})[entry.name] = leads_inside
    except (OSError, ValueError):  # no such folder, or a null character: its images are missing
        pass
    return listing


def is_inside(root, path):
    return Path(os.path.realpath(path)).is_relative_to(os.path.realpath(root))


def listed(items, separator="\n", most=20):
    """The first `most` items and the number of those left out; long ones are cut."""
    items = [str(item) for item in items]
    shown = [item if len(item) <= 300 else item[:299] + "…" for item in items[:most]]
    more = [f"... and {len(items) - most} more"] if len(items) > most else []
    indent = "  " if separator == "\n" else ""
    return separator.join(indent + item for item in [*map(printable, shown), *more])


def printable(text):
    """The text with an escape in place of what shows nothing, or what a terminal would obey."""
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text
    )
