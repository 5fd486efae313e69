"""Reading what describes images: text tables, and the files of a folder.

Rows keep where they stand ("photos.csv, line 7") as their index, for messages.
"""

import csv
import itertools
import os
import posixpath
import re
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from fgcl_utils.datasets.checks import alike, is_inside, is_litter, leaves_root, listed, located

IMAGE_SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff"}
# A further column of a table is kept if it is cheap: few different values, none of them long.
_MOST_COLUMNS, _MOST_VALUES, _LONGEST_VALUE = 32, 40, 60


# ------------------------------------------------------------------------------------- text


def csv_records(path) -> Iterator[tuple[int, list[str]]]:
    """Records of a CSV file with the line each begins on, blank lines left out.

    The csv module rather than pandas: it knows the true line numbers, which errors name, and
    holds one record at a time.
    """
    line = 1
    try:
        # -sig: Excel begins its files with a mark
        with path.open(encoding="utf-8-sig", newline="") as file:
            first_line = file.readline()
            said = re.match(r'"?sep=(.)"?[\r\n]', first_line)  # Excel obeys this line and hides it
            separator = said[1] if said else max(",;\t", key=first_line.count)
            # GBIF puts no quotes around cells, and its cells may hold any.
            is_gbif = separator == "\t" and "gbifID" in first_line
            quoting = csv.QUOTE_NONE if is_gbif else csv.QUOTE_MINIMAL
            first = 2 if said else 1
            if not said:
                file.seek(0)
            line = first
            reader = csv.reader(file, delimiter=separator, quoting=quoting, strict=True)
            for cells in reader:
                if any(map(str.strip, cells)):
                    yield line, cells
                line = first + reader.line_num
    except UnicodeDecodeError:
        # A guessed encoding would turn one species into another without a word: refuse.
        raise ValueError(
            f"{path}, line {_undecodable_line(path)}: not UTF-8 text. Save the file as UTF-8 (in "
            "Excel: 'CSV UTF-8')."
        ) from None
    except csv.Error as error:
        raise ValueError(
            f"{path}, line {line}: not readable as CSV ({error}). Look for a stray quote."
        ) from None


def _undecodable_line(path):
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            try:
                line.decode()
            except UnicodeDecodeError:
                return number


def csv_header(path) -> list[str]:
    for _, header in csv_records(path):
        return [name.strip() for name in header]
    raise ValueError(f"{path} is empty: its first line should hold the column names.")


def csv_table(path, columns, further=False) -> pd.DataFrame:
    """`columns` of a CSV file with a header; every cell a str: a species may be called NA.

    With `further`, the other columns that are cheap to keep follow. Nothing else of the file
    stays in memory, and equal cells share one string, so that a file of gigabytes can be read.
    """
    header = csv_header(path)
    check_has_columns(header, columns, path)
    places = [header.index(column) for column in columns]
    index, values, uneven = [], [[] for _ in columns], []
    rest = _FurtherColumns(header, columns if further else header)
    for line, cells in itertools.islice(csv_records(path), 1, None):
        if len(cells) != len(header):
            uneven.append(f"line {line}: {len(cells)}")
            continue
        index.append(f"{path.name}, line {line}")
        for column, place in zip(values, places, strict=True):
            column.append(sys.intern(cells[place].strip()))
        rest.add(cells)
    if uneven:
        raise ValueError(
            f"{path}: the header has {len(header)} cells, these lines have another number:\n"
            + listed(uneven)
            + "\nA cell that holds the separator needs quotes around it."
        )
    table = pd.DataFrame(dict(enumerate(values)), index, dtype=str).set_axis(columns, axis=1)
    return table.assign(**{name: pd.Series(v, index, dtype=str) for name, v in rest.kept()})


class _FurtherColumns:
    """The columns besides those in use, each as long as it stays cheap."""

    def __init__(self, header, used):
        free = [name for name in header if name and name not in used and header.count(name) == 1]
        self._columns = {
            name: (header.index(name), [], set()) for name in free if len(header) <= _MOST_COLUMNS
        }

    def add(self, cells):
        for name, (place, values, different) in [*self._columns.items()]:
            cell = sys.intern(cells[place].strip())
            values.append(cell)
            different.add(cell)
            if len(different) > _MOST_VALUES or len(cell) > _LONGEST_VALUE:
                del self._columns[name]

    def kept(self):
        """Those that tell something: more than one value, and values that rows share."""
        for name, (_, values, different) in self._columns.items():
            if 1 < len(different) <= len(values) / 2:
                yield name, values


def check_has_columns(header, names, path, mend=""):
    missing = [name for name in names if name not in header]
    if missing:
        raise ValueError(
            f"{path} has no column {', '.join(map(repr, missing))}; "
            f"it has {listed(map(repr, header), ', ')}.{mend}"
        )
    double = [name for name in names if header.count(name) > 1]
    if double:
        raise ValueError(f"{path} has the column {double[0]!r} twice: rename one of them.")


# ------------------------------------------------------------------------------------- files


def walk(root, on_closed=None):
    """Pairs of a folder below `root` and its files' names; hidden ones and litter are left out.

    Linked folders inside root are met at their own place; one that leads outside is refused.
    `on_closed` is called with the error of each folder that may not be opened.
    """
    for path, folders, files in os.walk(root, onerror=on_closed):
        folders[:] = sorted(f for f in folders if not is_litter(f))
        links = [Path(path, f) for f in folders if Path(path, f).is_symlink()]
        outside = [link for link in links if not is_inside(root, link)]
        if outside:
            raise ValueError(
                f"{len(outside)} folders are links that lead outside data_root {root}:\n"
                + listed(outside)
                + "\nPut the folders there instead, or let data_root be one that holds them all."
            )
        folder = Path(path).relative_to(root).as_posix()
        yield "" if folder == "." else folder, [f for f in files if not is_litter(f)]


def image_files(root) -> list[str]:
    """Paths of the image files below `root`, sorted; a file's suffix says that it is one."""
    return sorted(
        posixpath.join(folder, file)
        for folder, files in walk(root)
        for file in files
        if is_image_name(file)
    )


def is_image_name(name) -> bool:
    return posixpath.splitext(name)[1].lower() in IMAGE_SUFFIXES


def images_below(root, names) -> list[str]:
    """The images that a table names, each as a path below `root`.

    An absolute path inside `root` is made relative to it. A name without a suffix or without its
    folder stands for the one file below `root` whose path ends so. What is not found, or lies
    outside, stays as it is.

    Raises
    ------
    ValueError
        If a name stands for several files.
    """
    names = [_relative(root, name) for name in names]
    short = sorted({name for name in names if not ("/" in name and is_image_name(name))})
    places = dict(zip(short, located(root, short)[1], strict=True))
    lost = [name for name in short if name and places[name] == "missing"]
    if not lost:
        return names
    found = _endings(root, lost)
    double = [f"{name}: in {_where(paths)}" for name, paths in found.items() if len(paths) > 1]
    if double:
        raise ValueError(
            f"{len(double)} image names stand for several files below {root}:\n{listed(double)}\n"
            "Write their paths in the table, or let data_root be a folder that holds each once."
        )
    return [found[name][0] if found.get(name) else name for name in names]


def _where(paths):
    """The folders of files of one name; the files themselves where a folder holds several."""
    folders = {posixpath.dirname(path) or "." for path in paths}
    return listed(map(repr, sorted(folders if len(folders) == len(paths) else paths)), " and ", 3)


def _relative(root, name):
    if os.path.isabs(name):
        for folder in (root.absolute(), root.resolve()):
            if Path(name).is_relative_to(folder):
                return Path(name).relative_to(folder).as_posix()
    return name


def _endings(root, names):
    """For each name the files below `root` whose path ends in it, with or without a suffix."""
    wanted = defaultdict(list)
    for name in names:
        if not leaves_root(name):
            parts = tuple(alike(posixpath.normpath(name.replace("\\", "/"))).split("/"))
            wanted[parts[-1]].append((name, parts))
    found = {name: [] for name in names}
    for path in image_files(root):
        parts = tuple(alike(path).split("/"))
        for last in {parts[-1], posixpath.splitext(parts[-1])[0]}:
            for name, ends in wanted.get(last, ()):
                if parts[-len(ends) : -1] == ends[:-1]:
                    found[name].append(path)
    return found
