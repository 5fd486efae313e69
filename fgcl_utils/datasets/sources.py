"""What describes the images of each source: one reader a source, each returns one table.

The table's index says where each row came from ("photos.csv, line 7"), so that every check can name
the place to mend. It is dropped when all checks have passed.
"""

import csv
import itertools
import os
import posixpath
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

import pandas as pd

from fgcl_utils.datasets.checks import (
    SOURCE_SPLITS,
    SPLIT_NAMES,
    is_inside,
    leaves_root,
    listed,
)

DATASETS = ("synthetic", "grocery", "df20_mini", "csv", "folder")
_IMAGE_SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff"}

ROOT_HINT = {
    "grocery": "data_root is a clone of github.com/marcusklasson/GroceryStoreDataset.",
    "df20_mini": "data_root is the folder with DF20-Mini's metadata CSV files and its images.",
    "csv": "data_root is a CSV file, or the folder that holds it.",
    "folder": "data_root is a folder of genus/species/*.jpg or "
    "{train,val,test}/genus/species/*.jpg.",
}


def check_arguments(dataset, data_root, **options):
    if dataset not in DATASETS:
        raise ValueError(f"unknown dataset {dataset!r}; there are {', '.join(DATASETS)}.")
    used = {
        "synthetic": {"dials"},
        "csv": {"columns", "metadata", "group_by"},
        "df20_mini": {"metadata", "group_by"},
    }
    for option, value in options.items():
        if value is not None and option not in used.get(dataset, ()):
            takers = " and ".join(repr(name) for name in used if option in used[name])
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


def read(dataset, data_root, columns, metadata, group_by):
    """The folder that image paths are relative to, and the table as the source has it.

    Raises
    ------
    FileNotFoundError, ValueError
        If there is nothing to read, or no row can be told from another.
    """
    root = Path(data_root).expanduser()
    if not root.exists():
        raise FileNotFoundError(f"data_root {str(root)!r} does not exist. {ROOT_HINT[dataset]}")
    if dataset != "csv" and not root.is_dir():
        raise ValueError(f"data_root {str(root)!r} is a file. {ROOT_HINT[dataset]}")
    if dataset == "grocery":
        root, table = read_grocery(root)
    elif dataset == "df20_mini":
        table = read_df20_mini(root, metadata, group_by)
    elif dataset == "csv":
        root, table = read_csv(root, columns or {}, metadata, group_by)
    else:
        table = read_folder(root)
    if table.empty:
        raise ValueError(f"data_root {str(root)!r} holds no images. {ROOT_HINT[dataset]}")
    return root, table


def read_grocery(root):
    """The clone's dataset/{train,val,test}.txt: path, class id, coarse id; names in classes.csv."""
    if (root / "dataset" / "classes.csv").is_file():
        root = root / "dataset"
    fine, fine_id, coarse = "Class Name (str)", "Class ID (int)", "Coarse Class Name (str)"
    classes = _csv_table(_file(root, "classes.csv", "grocery"), [fine, fine_id, coarse])
    names = {row[fine_id]: (row[fine], row[coarse]) for row in classes.to_dict("records")}
    rows, index = [], []
    for split in SOURCE_SPLITS:
        for line, cells in _csv_records(_file(root, f"{split}.txt", "grocery")):
            where = f"{split}.txt, line {line}"
            if len(cells) != 3 or cells[1] not in names:
                raise ValueError(
                    f"{root / where}: expected 'image path, class id, coarse class id' with a "
                    f"class id of classes.csv, found {listed(cells, ', ', 5)!r}."
                )
            rows.append((cells[0], *names[cells[1]], split))
            index.append(where)
    return root, pd.DataFrame(
        rows, index, columns=["image", "species", "genus", "split"], dtype=str
    )


_GROUP_BY_MEND = " group_by names one of these."
_DF20_MINI_COLUMNS = ["image_path", "scientificName", "class_id", "species", "genus", "gbifID"]


def read_df20_mini(root, metadata, group_by):
    """The published metadata, one CSV file a split; `group_by` asks for another split than that."""
    parts = []
    observation = group_by or "gbifID"
    for split, path in _df20_mini_files(root, metadata).items():
        header = _csv_header(path)
        has_only_id = "class_id" in header and "scientificName" not in header
        label = "class_id" if has_only_id else "scientificName"
        _check_has_columns(header, ["image_path", label, "genus"], path)
        if group_by is not None:
            _check_has_columns(header, [group_by], path, _GROUP_BY_MEND)
        known = {*_DF20_MINI_COLUMNS, observation}.intersection(header)
        parts.append(_csv_table(path, sorted(known)).assign(split=split))
    raw = pd.concat(parts).fillna("")
    table = pd.DataFrame(
        {
            "image": _paths_below(root, raw["image_path"]),
            "species": raw["scientificName"] if "scientificName" in raw else _class_names(raw),
            "genus": raw["genus"],
        }
    )
    if group_by is None:
        table["split"] = raw["split"]
    if observation in raw:
        table["observation"] = raw[observation]
    return table


def _df20_mini_files(root, metadata):
    if metadata is not None:
        known = {"train", "test"}, {*SOURCE_SPLITS}
        if not isinstance(metadata, Mapping) or not known[0] <= {*metadata} <= known[1]:
            raise ValueError(
                "metadata of df20_mini names one file a split: "
                "metadata={'train': '...csv', 'test': '...csv'} ('val' may be added)."
            )
        return {split: _file(root, name, "df20_mini") for split, name in metadata.items()}
    files = {}
    for split in ("train", "test"):
        found = sorted(
            entry.name
            for entry in root.iterdir()
            if PurePosixPath(entry.name.lower()).match(f"*{split}*metadata*.csv")
        )
        if len(found) != 1:
            problem = (
                f"{len(found)} files match: {', '.join(found)}" if found else "no file matches"
            )
            raise ValueError(
                f"the {split} metadata of df20_mini is looked for as *{split}*metadata*.csv in "
                f"{root}, and {problem}. Leave one there, or name the files: "
                "load_dataset(..., metadata={'train': '...csv', 'test': '...csv'})."
            )
        files[split] = root / found[0]
    return files


def _class_names(raw):
    """Readable names where a release has only class_id: its first species name, and the id."""
    readable = raw["species"] if "species" in raw else pd.Series("", raw.index)
    readable = readable.where(readable != "", raw["genus"])
    first = readable.groupby(raw["class_id"]).transform("first")
    return (first + " (class " + raw["class_id"] + ")").where(raw["class_id"] != "", "")


def _paths_below(root, names):
    """Bare file names become paths relative to `root`, wherever below it the files are."""
    folders = {PurePosixPath(name).name.casefold(): set() for name in names}
    for folder, files in _walk(root):
        for file in files:
            if file.casefold() in folders:
                folders[file.casefold()].add(folder)
    double = {file: places for file, places in folders.items() if len(places) > 1}
    if double:
        places = " and ".join(repr(folder or ".") for folder in sorted(next(iter(double.values()))))
        raise ValueError(
            f"{len(double)} images are in more than one folder below {root}: {places}. Let "
            "data_root be a folder that holds one copy of the images and the metadata files."
        )

    def path(name):
        file = PurePosixPath(name).name
        return posixpath.join(*folders[file.casefold()], file) if not leaves_root(name) else name

    return [path(name) for name in names]


def read_csv(root, columns, metadata, group_by):
    """Any CSV file with columns image, species, genus, perhaps split and that of `group_by`."""
    unknown = set(columns) - {"image", "species", "genus", "split"}
    if unknown:
        raise ValueError(
            f"columns maps image, species, genus and split to the file's names, as in "
            f"columns={{'image': 'path'}}; it has no {', '.join(map(repr, sorted(unknown)))}."
        )
    if metadata is not None:
        if not isinstance(metadata, str | Path):
            raise ValueError("metadata of csv is the name of one file.")
        path = _file(root, metadata, "csv")
    elif root.is_file():
        path, root = root, root.parent
    else:
        found = sorted(f for f in root.glob("*.[cC][sS][vV]") if f.is_file())
        if len(found) != 1:
            names = listed([f.name for f in found], ", ")
            problem = f"{len(found)}: {names}" if found else "none"
            raise ValueError(
                f"data_root {str(root)!r} should hold one .csv file and holds {problem}. Let "
                "data_root be the file itself, or name it: load_dataset(..., metadata='...csv')."
            )
        path = found[0]
    header = _csv_header(path)
    names = {column: columns.get(column, column) for column in ("image", "species", "genus")}
    if "split" in columns or "split" in header:
        names["split"] = columns.get("split", "split")
    example = ", ".join(f"{ours!r}: '...'" for ours in names if names[ours] not in header)
    mend = f" Say which ones to take: load_dataset(..., columns={{{example}}})."
    _check_has_columns(header, names.values(), path, mend)
    if group_by is not None:
        _check_has_columns(header, [group_by], path, _GROUP_BY_MEND)
        names["observation"] = group_by
    return root, _csv_table(path, list(names.values())).set_axis(list(names), axis=1)


def read_folder(root):
    """genus/species/*.jpg, or the same below train, val and test."""
    images = [
        posixpath.join(folder, file)
        for folder, files in _walk(root)
        for file in files
        if PurePosixPath(file).suffix.lower() in _IMAGE_SUFFIXES
    ]
    images = pd.Series(sorted(images), dtype=str)
    parts = images.str.split("/")
    split = parts.str[0].str.lower().map(SPLIT_NAMES)
    has_split = split.notna().any()
    depth = 4 if has_split else 3
    wrong = images[(parts.str.len() != depth) | (split.isna() if has_split else False)]
    if len(wrong):
        raise ValueError(
            f"{len(wrong)} images under {root} are not in a "
            f"{'split/' if has_split else ''}genus/species folder:\n"
            + listed(wrong)
            + f"\nMove them. {ROOT_HINT['folder']}"
        )
    table = pd.DataFrame(
        {"image": images, "species": parts.str[-2], "genus": parts.str[-3]}, dtype=str
    )
    if has_split:
        table["split"] = split
    return table.set_index(images.rename(None))


def other_files(root):
    """How many files of which suffix `read_folder` does not take for images, commonest first."""
    suffixes = (PurePosixPath(file).suffix.lower() for _, files in _walk(root) for file in files)
    return Counter(suffix for suffix in suffixes if suffix not in _IMAGE_SUFFIXES).most_common()


def _walk(root):
    """Pairs of a folder below `root` and its files' names; hidden ones are left out.

    Linked folders inside root are met at their own place; one that leads outside is refused.
    """
    for path, folders, files in os.walk(root):
        folders[:] = sorted(f for f in folders if not f.startswith((".", "__MACOSX")))
        links = [Path(path, f) for f in folders if Path(path, f).is_symlink()]
        outside = [link for link in links if not is_inside(root, link)]
        if outside:
            raise ValueError(
                f"{len(outside)} folders are links that lead outside data_root {root}:\n"
                + listed(outside)
                + "\nPut the folders there instead, or let data_root be one that holds them all."
            )
        folder = Path(path).relative_to(root).as_posix()
        yield "" if folder == "." else folder, [f for f in files if not f.startswith(".")]


# ----------------------------------------------------------------------------- reading text


def _file(root, name, dataset):
    path = root / name
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist. {ROOT_HINT[dataset]}")
    return path


def _csv_records(path) -> Iterator[tuple[int, list[str]]]:
    """Records of a CSV file with the line each begins on, cells stripped, blank lines left out.

    The csv module rather than pandas: it knows the true line numbers, which errors name, and
    holds one record at a time.
    """
    line = 1
    try:
        # -sig: Excel begins its files with a mark
        with path.open(encoding="utf-8-sig", newline="") as file:
            first_line = file.readline()
            separator = max(",;\t", key=first_line.count)
            file.seek(0)
            reader = csv.reader(file, delimiter=separator, strict=True)
            for cells in reader:
                cells = [cell.strip() for cell in cells]
                if any(cells):
                    yield line, cells
                line = reader.line_num + 1
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


def _csv_header(path) -> list[str]:
    for _, header in _csv_records(path):
        return header
    raise ValueError(f"{path} is empty: its first line should hold the column names.")


def _csv_table(path, columns) -> pd.DataFrame:
    """`columns` of a CSV file with a header; every cell a str: a species may be called NA.

    Nothing else of the file stays in memory, and equal cells share one string, so that a file of
    gigabytes can be read.
    """
    header = _csv_header(path)
    _check_has_columns(header, columns, path)
    places = [header.index(column) for column in columns]
    index, values, uneven = [], [[] for _ in columns], []
    for line, cells in itertools.islice(_csv_records(path), 1, None):
        if len(cells) != len(header):
            uneven.append(f"line {line}: {len(cells)}")
            continue
        index.append(f"{path.name}, line {line}")
        for column, place in zip(values, places, strict=True):
            column.append(sys.intern(cells[place]))
    if uneven:
        raise ValueError(
            f"{path}: the header has {len(header)} cells, these lines have another number:\n"
            + listed(uneven)
            + "\nA cell that holds the separator needs quotes around it."
        )
    return pd.DataFrame(dict(enumerate(values)), index, dtype=str).set_axis(columns, axis=1)


def _check_has_columns(header, names, path, mend=""):
    missing = [name for name in names if name not in header]
    if missing:
        raise ValueError(
            f"{path} has no column {', '.join(map(repr, missing))}; "
            f"it has {listed(map(repr, header), ', ')}.{mend}"
        )
    double = [name for name in names if header.count(name) > 1]
    if double:
        raise ValueError(f"{path} has the column {double[0]!r} twice: rename one of them.")
