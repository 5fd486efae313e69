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
from pathlib import Path, PureWindowsPath

import numpy as np

from fgcl_utils.taxonomy import Taxonomy

SOURCE_SPLITS = ("train", "val", "test")  # that a source may have
SPLIT_NAMES = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev"), "val"),
    **dict.fromkeys(("test", "testing"), "test"),
}


# What systems leave in folders of photos: thumbnails, bins, other systems' notes.
_LITTER = {
    *("__macosx", "network trash folder", "temporary items"),
    *("$recycle.bin", "recycler", "system volume information", "thumbs.db", "desktop.ini"),
    *("lost+found", "lost.dir", "__pycache__"),
    *("@eadir", "@tmp", "@recycle", "@recently-snapshot", "#recycle", "#snapshot", "~snapshot"),
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
    # A folder's names come as objects; those that are left can be texts.
    table = table.astype(dict.fromkeys(["image", *levels], str))
    table = table.assign(
        **{level: in_one_spelling(table[level]) for level in levels},
        place="inside",
    )
    if root is not None:  # there are photos
        table["image"], table["place"] = located(root, table["image"])
    problems += _one_class_to_a_person(table, levels)
    inside = "Paths are relative to data_root; let data_root be the folder that holds them all."
    take_out(table["place"] == "outside", f"images lie outside data_root {root}", inside)
    take_out(
        table["place"] == "linked",
        f"images lie outside data_root {root}, where a link leads",
        inside,
    )
    take_out(
        table["place"] == "closed",
        "images are in folders that may not be opened",
        "Give yourself the permission (on Linux and macOS: chmod -R u+rX FOLDER).",
        ImageError,
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


def _one_class_to_a_person(table, levels):
    """Names of a level that differ in what readers overlook."""
    found = []
    for level in levels:
        names = table[level][table[level] != ""].drop_duplicates()
        alike = [group for _, group in names.groupby(names.map(_as_read)) if len(group) > 1]
        if alike:
            found.append(
                Problem(
                    f"{len(alike)} {level} names are spelled in several ways",
                    [" = ".join(f"{n!r} ({at})" for at, n in group.items()) for group in alike],
                    "Each spelling counts as a class of its own: keep one of each.",
                    UserWarning,
                )
            )
    return found


def _as_read(name):
    """Equal for names that are one to a reader.

    That is in any case and Unicode form, with any blanks, hyphens and underscores between words,
    and whatever characters without a width are in it.
    """
    text = unicodedata.normalize("NFKC", name).casefold()
    shown = "".join(c for c in text if unicodedata.category(c) != "Cf")
    return " ".join(re.split(r"[\s_\-\u2010-\u2015\u2212]+", shown)).strip() or name


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


def is_litter(name):
    """Whether a file or folder is hidden, or was left there by a system: no image, and no class."""
    return name.startswith(".") or name.casefold() in _LITTER


def leaves_root(name):
    return _LEAVES_ROOT.match(name) is not None


def located(root, images):
    """The images as they are spelled on disk, relative to `root`, and where each one is.

    A name stands for the file that is called so, else for the one whose name differs in case or
    Unicode form only, else for the one that it is with slashes for backslashes. An absolute path
    may lead into `root`.

    The second list holds "inside", "missing", "outside" (its path leaves `root`), "linked" (it
    leaves through a link) or "closed" (its folder may not be opened). One listing a folder instead
    of one look a file: 36,000 looks take minutes on network disks.
    """
    tops = [os.path.join(top(root), "") for top in (os.path.abspath, os.path.realpath)]
    folders = _Folders(root)

    def look(name):
        inner = _below(tops, name)
        return (name, "outside") if inner is None else folders.look(inner)

    found = []
    for name in images:
        spelled, place = look(name)
        if place in ("missing", "outside") and not os.path.isabs(name):
            windows = PureWindowsPath(name)
            if windows.anchor:  # from the top of a drive
                place = "outside"
            elif "\\" in name:
                spelled, place = look(windows.as_posix())
        found.append((spelled if place in ("inside", "linked") else name, place))
    return [name for name, _ in found], [place for _, place in found]


def _below(tops, name):
    """`name` relative to one of `tops`, with slashes and without dots; None if it leaves them."""
    is_plain = os.sep == "/" and name[:1] != "/" and name[-1:] not in ("/", ".")
    if is_plain and "//" not in name and "./" not in name:
        return name  # as most are; the rest takes seconds for 300,000 names
    for top in tops:
        path = os.path.normpath(os.path.join(top, name))
        if path.startswith(top):
            return path.removeprefix(top).replace(os.sep, "/")
    return None


class _Folders:
    """The folders below `root`, each listed once."""

    def __init__(self, root):
        self._root = root
        self._listings = {}  # of each folder its files and its folders, or None where it is closed
        self._alike = {}

    def look(self, name):
        """A file's name as it is spelled on disk, and its place."""
        folder, _, file = name.rpartition("/")
        folder = self._spelled(folder)
        if folder is None:
            return name, "missing"
        listing = self._listing(folder)
        if listing is None:
            return name, "closed"
        file = self._only(folder, "files", file)
        if file is None:
            return name, "missing"
        return f"{folder}/{file}" if folder else file, listing["files"][file]

    def _spelled(self, folder):
        """A folder's name as it is spelled on disk; None if there is no such folder."""
        if not folder or self._listing(folder) != _NOTHING:
            return folder
        spelled = ""
        for part in folder.split("/"):
            part = self._only(spelled, "folders", part)
            if part is None:
                return None
            spelled = posixpath.join(spelled, part)
        return spelled

    def _only(self, folder, kind, wanted):
        """`wanted` if there is one in the folder that is called so, else the only one like it."""
        names = (self._listing(folder) or _NOTHING)[kind]
        if wanted in names:
            return wanted
        if (folder, kind) not in self._alike:
            groups = self._alike[folder, kind] = {}
            for name in names:
                groups.setdefault(alike(name), []).append(name)
        found = self._alike[folder, kind].get(alike(wanted), ())
        return found[0] if len(found) == 1 else None

    def _listing(self, folder):
        if folder not in self._listings:
            self._listings[folder] = _listing(self._root, folder)
        return self._listings[folder]


_NOTHING = {"files": {}, "folders": {}}


def _listing(root, folder):
    """Names of a folder's files and folders and their places; None if it may not be opened."""
    listing = {"files": {}, "folders": {}}
    try:
        inside = is_inside(root, root / folder)
        for entry in os.scandir(root / folder):
            is_here = inside and (not entry.is_symlink() or is_inside(root, entry))
            kind = "files" if entry.is_file() else "folders"
            listing[kind][entry.name] = "inside" if is_here else "linked"
    except PermissionError:
        return None
    except (OSError, ValueError):  # no such folder, or a null character: its images are missing
        pass
    return listing


def alike(name):
    """Equal for the names that a file may go by: in any case and Unicode form."""
    return unicodedata.normalize("NFC", name).casefold()


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
