"""What describes the images of each source: one reader a source, each returns one table.

The table's index says where each row came from ("photos.csv, line 7"), so that every check can name
the place to mend. It is dropped when all checks have passed.
"""

import posixpath
from collections import Counter
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

import pandas as pd

from fgcl_utils.datasets import exports, published, taxonomies
from fgcl_utils.datasets.checks import SPLIT_NAMES, ImageError, Problem, listed
from fgcl_utils.datasets.tables import (
    check_has_columns,
    csv_header,
    csv_table,
    image_files,
    images_below,
    is_image_name,
    walk,
)
from fgcl_utils.taxonomy import RESERVED, checked_levels

DEFAULT_LEVELS = ("species", "genus")
_FIRST = ("synthetic", "grocery", "df20_mini", "csv", "folder")
DATASETS = (*_FIRST, *list(published.LEVELS)[2:], "features")
ROOT_HINT = {
    "csv": "data_root is a CSV file, or the folder that holds it.",
    "folder": "data_root is a folder of class/*.jpg or {train,val,test}/class/*.jpg with a "
    "taxonomy, of genus/species/*.jpg or {train,val,test}/genus/species/*.jpg, or deeper for more "
    "levels.",
    "features": "data_root is a CSV file with a row for each row of features.",
    **published.ROOT_HINT,
}
_TAKES = {
    "synthetic": {"dials"},
    "csv": {"taxonomy", "columns", "metadata", "group_by"},
    "folder": {"taxonomy"},
    "df20_mini": {"metadata", "group_by"},
    "features": {"taxonomy", "columns", "group_by"},
}


def checked_arguments(dataset, data_root, levels, **options) -> tuple[str, ...]:
    """The levels to read, if the arguments fit together."""
    if dataset not in DATASETS:
        raise ValueError(f"unknown dataset {dataset!r}; there are {', '.join(DATASETS)}.")
    for option, value in options.items():
        if value is not None and option not in _TAKES.get(dataset, ()):
            takers = " and ".join(repr(name) for name in _TAKES if option in _TAKES[name])
            raise ValueError(
                f"{option} is for dataset {takers}, not for {dataset!r}: leave it out."
            )
    has_root = data_root not in (None, "")
    if dataset == "synthetic" and has_root:
        raise ValueError(
            f"dataset 'synthetic' is rendered and reads no data_root ({str(data_root)!r} given). "
            f"To read files, set dataset to one of {', '.join(DATASETS[1:])}."
        )
    if dataset != "synthetic" and not has_root:
        raise ValueError(f"dataset {dataset!r} needs data_root. {ROOT_HINT[dataset]}")
    return levels_of(dataset, levels)


def levels_of(dataset, levels) -> tuple[str, ...]:
    """Names of the levels that a data set has if `levels` are asked for.

    The field's data sets have levels of their own, such as variant, family and manufacturer.

    Raises
    ------
    ValueError
        If `levels` are not 1 to 8 different names, or the data set has others.
    """
    return published.levels_of(dataset, checked_levels(levels), DEFAULT_LEVELS)


def read(dataset, data_root, columns, metadata, group_by, levels=DEFAULT_LEVELS, taxonomy=None):
    """What a source says of its images.

    Returns
    -------
    root : Path or None
        The folder that image paths are relative to; None of a table without photos.
    table : DataFrame
        Columns image, the levels, perhaps split and observation, then others of a csv.
    problems : list of Problem
        What had to be left out.

    Raises
    ------
    FileNotFoundError, ValueError
        If there is nothing to read, or no row can be told from another.
    """
    root = Path(data_root).expanduser()
    if not root.exists():
        raise FileNotFoundError(f"data_root {str(root)!r} does not exist. {ROOT_HINT[dataset]}")
    if dataset != "csv" and root.is_dir() == (dataset == "features"):
        kind = "a folder" if root.is_dir() else "a file"
        raise ValueError(f"data_root {str(root)!r} is {kind}. {ROOT_HINT[dataset]}")
    problems = []
    if dataset == "csv":
        root, table, problems = read_csv(root, columns or {}, metadata, group_by, levels, taxonomy)
    elif dataset == "features":
        _check_columns(columns or {}, levels)
        table = _read_one_csv(root, columns or {}, group_by, levels, taxonomy, has_photos=False)
    elif dataset == "folder":
        table = read_folder(root, levels, taxonomy)
    else:
        root, table = published.read(dataset, root, levels, metadata, group_by)
    if table.empty:
        raise ValueError(f"data_root {str(root)!r} holds no images. {ROOT_HINT[dataset]}")
    if taxonomy is not None:
        table, more = taxonomies.with_taxonomy(table, levels, taxonomy, root, columns or {})
        problems = problems + more
    if dataset in ("csv", "folder", "features"):
        table = taxonomies.without_genus_only_names(table, levels)
    first = ["image", *levels]
    root = None if dataset == "features" else root
    return root, table[[*first, *table.columns.difference(first, sort=False)]], problems


# --------------------------------------------------------------------------------- tables


def read_csv(root, columns, metadata, group_by, levels, taxonomy):
    """Tables with columns image, the levels, perhaps split and that of `group_by`; or an export."""
    _check_columns(columns, levels)
    root, files = _csv_files(root, metadata, taxonomy)
    parts, problems = [], []
    for split, path in files.items():
        header = csv_header(path)
        if columns.get("image", "image") not in header and exports.is_export(header):
            part, more = exports.read_export(path, root, levels, columns, group_by)
            problems += more
            lacking = [level for level in levels if level not in part]
            if lacking and taxonomy is None:
                check_has_columns(header, lacking, path, _mend(header, columns, lacking))
        else:
            part = _read_one_csv(path, columns, group_by, levels, taxonomy)
            part["image"] = images_below(root, part["image"])
        parts.append(part if split is None else part.assign(split=split))
    return root, pd.concat(parts).fillna(""), problems


def _check_columns(columns, levels):
    ours = ("image", *levels, "split")
    if unknown := {*columns} - {*ours}:
        raise ValueError(
            f"columns maps {', '.join(ours[:-1])} and split to the file's names, as in "
            f"columns={{'image': 'path'}}; it has no {', '.join(map(repr, sorted(unknown)))}."
        )


def _csv_files(root, metadata, taxonomy):
    """The folder of the images, and the table or the table of each split."""
    if isinstance(metadata, Mapping):
        if unknown := [name for name in metadata if name not in SPLIT_NAMES]:
            raise ValueError(
                "metadata of csv names one file, or one a split as in {'train': '...csv', "
                f"'test': '...csv'}}; {unknown[0]!r} is no split."
            )
        folder = root.parent if root.is_file() else root
        return folder, {SPLIT_NAMES[s]: _existing(folder / name) for s, name in metadata.items()}
    if metadata is not None:
        folder = root.parent if root.is_file() else root
        return folder, {None: _existing(folder / metadata)}
    if root.is_file():
        return root.parent, {None: root}
    if archive := exports.archive_table(root):
        return root, {None: archive}
    found = [f for f in sorted(root.iterdir()) if f.suffix.lower() in (".csv", ".tsv")]
    found = [f for f in found if f.is_file()]
    if taxonomy not in (None, "binomial") and len(found) > 1:
        of_classes = taxonomies.path_of(taxonomy, root)
        found = [f for f in found if not f.samefile(of_classes)]
    if len(found) != 1:
        names = listed([f.name for f in found], ", ")
        problem = f"{len(found)}: {names}" if found else "none"
        raise ValueError(
            f"data_root {str(root)!r} should hold one .csv or .tsv file and holds {problem}. Let "
            "data_root be the file itself, or name it: load_dataset(..., metadata='...csv')."
        )
    return root, {None: found[0]}


def _existing(path):
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist. {ROOT_HINT['csv']}")
    return path


def _read_one_csv(path, columns, group_by, levels, taxonomy, has_photos=True):
    header = csv_header(path)
    names = {column: columns.get(column, column) for column in ("image", *levels)}
    if not has_photos and "image" not in {*header, *columns}:
        del names["image"]
    if taxonomy is not None:  # it gives what the table does not have
        above = [level for level in levels[1:] if level not in columns]
        names = {c: name for c, name in names.items() if name in header or c not in above}
    if "split" in columns or "split" in header:
        names["split"] = columns.get("split", "split")
    lacking = [ours for ours, name in names.items() if name not in header]
    check_has_columns(header, names.values(), path, _mend(header, columns, lacking, taxonomy))
    if group_by is not None:
        check_has_columns(header, [group_by], path, published.GROUP_BY_MEND)
        names["observation"] = group_by
    taken = {*RESERVED, *levels}
    table = csv_table(path, list(names.values()), further=True)
    further = table.iloc[:, len(names) :]
    free = [name for name in further if name not in taken]
    table = table.iloc[:, : len(names)].set_axis(list(names), axis=1)
    if "image" not in table:
        table["image"] = [f"row {i}" for i in range(len(table))]
    return pd.concat([table, further[free]], axis=1)


def _mend(header, columns, lacking, taxonomy=None):
    example = ", ".join(f"{ours!r}: '...'" for ours in lacking)
    mend = f" Say which ones to take: load_dataset(..., columns={{{example}}})."
    if "image" in lacking or taxonomy is not None:
        return mend
    return (
        mend + " Or give the file of a taxonomy: taxonomy='classes.csv'; 'binomial' takes the "
        "genus from names like 'Amanita muscaria'."
    )


# -------------------------------------------------------------------------------- folders


def read_folder(root, levels, taxonomy):
    """Class folders, one level inside the next; or, with a taxonomy, the innermost one alone.

    All of it may lie below train, val and test.
    """
    # As objects: pyarrow, which pandas takes for texts where it is installed, refuses names that
    # are not UTF-8, and an error should say which they are.
    images = pd.Series(image_files(root), dtype=object)
    parts = images.str.split("/")
    split = parts.str[0].str.lower().map(SPLIT_NAMES)
    has_split = split.notna().any()
    n_folders = parts.str.len() - 1 - int(has_split)
    is_placed = n_folders >= 1 if taxonomy is not None else n_folders == len(levels)
    wrong = images[~is_placed | (split.isna() & has_split)]
    if len(wrong):
        wanted = "class" if taxonomy is not None else "/".join(reversed(levels))
        mend = f"Move them. {ROOT_HINT['folder']}"
        if (n_folders == 1).all():
            above = " and ".join(levels[1:])
            mend = (
                f"If these are class folders, a taxonomy has to say their {above}: taxonomy="
                f"'classes.csv', or 'binomial' for names like 'Amanita muscaria'; or read them "
                f"without a hierarchy, levels=[{levels[0]}]."
            )
        raise ValueError(
            f"{len(wrong)} images under {root} are not in a {'split/' if has_split else ''}"
            f"{wanted} folder:\n{listed(wrong)}\n{mend}"
        )
    n_levels = 1 if taxonomy is not None else len(levels)
    names = {level: parts.str[-2 - l] for l, level in enumerate(levels[:n_levels])}
    table = pd.DataFrame({"image": images, **names}, dtype=object)
    if has_split:
        table["split"] = split
    return table.set_index(images.rename(None))


def other_files(root):
    """How many files of which suffix `read_folder` does not take for images, commonest first."""
    files = (file for _, files in walk(root) for file in files if not is_image_name(file))
    return Counter(PurePosixPath(file).suffix.lower() for file in files).most_common()


def folders_without_images(root, images):
    """Problems of the folders that would be classes if an image in them could be read."""
    closed, barren = [], []
    contents = dict(walk(root, closed.append))
    inner = {posixpath.dirname(folder) for folder in contents}
    depth = max((image.count("/") for image in images), default=0)  # that of class folders
    for folder, files in contents.items():
        is_inner = folder in inner or folder.count("/") >= depth
        if is_inner or any(map(is_image_name, files)):
            continue
        suffixes = Counter(PurePosixPath(file).suffix.lower() for file in files)
        named = [f"{n} {suffix or 'without a suffix'}" for suffix, n in suffixes.most_common()]
        barren.append(f"{folder}: {listed(named, ', ', 5) or 'empty'}")
    found = [
        Problem(
            f"{len(closed)} folders may not be opened",
            [Path(error.filename).relative_to(root).as_posix() for error in closed],
            "Give yourself the permission (on Linux and macOS: chmod -R u+rX FOLDER).",
            ImageError,
        ),
        Problem(
            f"{len(barren)} folders hold no image that can be read, and make no class",
            barren,
            "Save their photos as JPEG, PNG or another kind that is read, or take them away.",
            UserWarning,
        ),
    ]
    return [problem for problem in found if problem.where]
