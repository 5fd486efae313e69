"""What every table has to pass before it is a data set."""

import os
import posixpath
import unicodedata
from pathlib import Path, PureWindowsPath


class ImageError(ValueError):
    """An image is missing or cannot be decoded; the message lists all of them."""


def tidy(table, root, hint):
    """Check for emptiness; one spelling of each label, forward slashes in paths."""
    if table.empty:
        raise ValueError(f"data_root {str(root)!r} holds no images. {hint}")
    table = table.copy()
    no_image = table.index[table["image"] == ""]
    if len(no_image):
        raise ValueError(
            f"{len(no_image)} rows name no image:\n"
            + listed(no_image)
            + "\nFill these cells or drop the rows."
        )
    for level in ("species", "genus"):
        # The same accented letter can be stored in two ways (macOS folders use the longer one).
        table[level] = [unicodedata.normalize("NFC", name) for name in table[level]]
    return table


def leaves_root(name):
    windows = PureWindowsPath(name)  # parts at both kinds of slash
    return bool(windows.anchor) or ".." in windows.parts


def existing_files(root, images):
    """The images as they are spelled on disk, relative to `root`, which none may leave.

    One listing a folder instead of one look a file: 36,000 looks take minutes on network disks.
    """
    check_inside(root, [f"{at}: {name}" for at, name in images.items() if leaves_root(name)])
    names = [posixpath.normpath(name.replace("\\", "/")) for name in images]
    folders = {folder: _listing(root, folder) for folder in set(map(posixpath.dirname, names))}
    found, missing, links = [], [], []
    for where, name in zip(images.index, names, strict=True):
        folder, file = posixpath.split(name)
        alike = folders[folder].get(file.casefold(), {})
        spelled = file if file in alike else next(iter(alike)) if len(alike) == 1 else None
        if spelled is None:
            missing.append(f"{where}: {name}")
        elif not alike[spelled]:
            links.append(f"{where}: {name} (through a link)")
        else:
            found.append(posixpath.join(folder, spelled))
    check_inside(root, links)
    if missing:
        raise ImageError(
            f"{len(missing)} of {len(names)} images do not exist under {root}:\n"
            + listed(missing)
            + "\nPaths are relative to data_root: correct data_root or these rows."
        )
    return found


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


def check_inside(root, outside):
    if outside:
        raise ValueError(
            f"{len(outside)} images lie outside data_root {root}:\n"
            + listed(outside)
            + "\nPaths are relative to data_root; let data_root be the folder that holds them all."
        )


def check_no_duplicates(table):
    double = table[table.duplicated("image", keep=False)].sort_values("image", kind="stable")
    if len(double):
        raise ValueError(
            f"{double['image'].nunique()} images stand in more than one row:\n"
            + listed([f"{where}: {name}" for where, name in double["image"].items()])
            + "\nKeep one row of each: an image in two splits would be tested on what it learnt."
        )


def listed(items, separator="\n", most=20):
    """The first `most` items and the number of those left out."""
    items = [str(item) for item in items]
    more = [f"... and {len(items) - most} more"] if len(items) > most else []
    indent = "  " if separator == "\n" else ""
    return separator.join(indent + item for item in items[:most] + more)
