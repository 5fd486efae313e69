"""Features that somebody already has: arrays from a file, and the table that says what they are of.

A file holds one array or several, such as those of several networks, with a row an image. Rows are
those of the table, in its order, unless both have a column of names (``image``) to join them by.
"""

import posixpath
import unicodedata
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from safetensors import SafetensorError, safe_open

from fgcl_utils.datasets.checks import Problem, listed
from fgcl_utils.datasets.tables import csv_header, csv_table
from fgcl_utils.files import readable
from fgcl_utils.projection import float_rows

_MEND = "save the features again"


def read_features(path, key="image") -> dict[str, np.ndarray]:
    """The arrays of a file, each float32 (N, D) and finite.

    Parameters
    ----------
    path : path
        - .npy: one array, which is called as the file is;
        - .npz: every array of two dimensions; others, such as labels, are left out;
        - .safetensors: likewise; bfloat16 and float16 are fine;
        - .parquet: every column of lists is an array; columns of single floats are one array
          together, which is called as the file is. Whole numbers and text are no features.
    key : str
        The array or column with the names of the rows, which is no feature; see `read_rows`.

    Raises
    ------
    FileNotFoundError, ValueError
        If there are no features in the file, or what is there cannot be: the array and its first
        such row are named.
    """
    return _read(path, key)[0]


def read_rows(features, table, key="image"):
    """Features and the rows of a table that they are of.

    Rows are joined by `key` if both have it; features of an image that is not in the table are left
    out. Else row i of both is one image.

    Parameters
    ----------
    features : path, or dict of str to (N, D) array
        As `read_features` takes and returns it.
    table : path or DataFrame
        .csv, .tsv or .parquet.
    key : str
        A column of the table, and an array of an .npz or a column of a .parquet.

    Returns
    -------
    features : dict of str to float32 (M, D) array
    table : DataFrame
        M rows in the table's order, with its columns, RangeIndex; of a file, every cell is a str.

    Raises
    ------
    FileNotFoundError, ValueError
        If one of them cannot be read, or rows have no partner or several; they are named.
    """
    if isinstance(features, Mapping):
        what = "features"
        arrays, names = {m: float_rows(x, f"features {m!r}") for m, x in features.items()}, None
    else:
        what = Path(features).name
        arrays, names = _read(features, key)
    about = "the table" if isinstance(table, pd.DataFrame) else Path(table).name
    table = table if isinstance(table, pd.DataFrame) else _read_table(table)
    if not len(table):
        raise ValueError(f"{about} has no rows")
    if names is not None and key in table:
        rows = _partners(table, names, key, what)
        arrays = {name: array[rows] for name, array in arrays.items()}
    for name, array in arrays.items():
        if len(array) != len(table):
            raise ValueError(
                f"{what}: {name!r} has {len(array)} rows and {about} {len(table)}. Row i of both "
                f"has to be one image, or both have to have its name: an array or column {key!r} "
                "(.npz, .parquet)"
            )
    return arrays, table.reset_index(drop=True)


def _read(path, key):
    """The file's features, and the names of its rows (N,) or None."""
    path = Path(path)
    read = _READERS.get(path.suffix.lower())
    if read is None:
        known = ", ".join(_READERS)
        raise ValueError(f"{path}: features are read from {known}. np.save(…, features) writes one")
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist, or is a folder")
    with readable(path, _MEND):
        arrays, names = read(path, key)
    if not arrays:
        raise ValueError(f"{path} holds no array of two dimensions, a row an image: {_MEND}")
    arrays = {name: float_rows(array, f"{path}: {name!r}") for name, array in arrays.items()}
    n_rows = {name: len(array) for name, array in arrays.items()}
    n_rows |= {} if names is None else {key: len(names)}
    if len({*n_rows.values()}) > 1:
        each = listed([f"{name!r} has {n}" for name, n in n_rows.items()], ", ")
        raise ValueError(f"{path}: of rows {each}. Row i of each has to be one image")
    return arrays, names


def _read_npy(path, key):
    return {path.stem: np.load(path, mmap_mode="r", allow_pickle=False)}, None


def _read_npz(path, key):
    with np.load(path, allow_pickle=False) as file:
        arrays = {}
        for name in file.files:
            try:
                arrays[name] = file[name]
            except ValueError as error:
                raise ValueError(f"{name!r}: {error}") from error
    return _features_and_names(arrays, key)


def _read_safetensors(path, key):
    try:
        with safe_open(path, framework="pt") as file:  # NumPy has no bfloat16
            arrays = {name: file.get_tensor(name) for name in file.keys()}
    except SafetensorError as error:
        raise ValueError(str(error)) from error
    return _features_and_names(arrays, key)


def _features_and_names(arrays, key):
    names = arrays.pop(key, None)
    if names is not None and names.ndim != 1:
        raise ValueError(f"{key!r} has to hold a name for each row, not {names.shape}")
    deep = [name for name, array in arrays.items() if array.ndim > 2]
    if deep:
        raise ValueError(
            f"{deep[0]!r} has the shape {tuple(arrays[deep[0]].shape)}: of several vectors an "
            "image, such as patches, take the mean"
        )
    return {name: array for name, array in arrays.items() if array.ndim == 2}, names


def _read_parquet(path, key):
    table = _parquet(path)
    names = table.pop(key).to_numpy() if key in table else None
    lists = {name: _stacked(column, name) for name, column in table.items() if _is_lists(column)}
    floats = table.select_dtypes("float")
    if len(floats.columns):
        lists[path.stem] = floats.to_numpy()
    return lists, names


def _is_lists(column):
    return column.map(lambda cell: isinstance(cell, list | np.ndarray)).any()


def _stacked(column, name):
    sizes = [np.size(cell) if isinstance(cell, list | np.ndarray) else 0 for cell in column]
    odd = [i for i, size in enumerate(sizes) if size != sizes[0]]
    if odd:
        raise ValueError(
            f"{name!r} has {sizes[0]} numbers in row 0 and {sizes[odd[0]]} in row {odd[0]}"
        )
    return np.stack(list(column))


_READERS = {
    ".npy": _read_npy,
    ".npz": _read_npz,
    ".safetensors": _read_safetensors,
    ".parquet": _read_parquet,
}


def _parquet(path):
    try:
        table = pd.read_parquet(path)
    except ImportError:
        raise ValueError(
            f"{path}: Parquet is read with pyarrow, which is not installed: pip install pyarrow, "
            "or save it as .npy or .csv"
        ) from None
    return table.reset_index(drop=table.index.name is None)


def _read_table(path):
    """Every column of a table as text; the index says where each row is."""
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist, or is a folder")
    if path.suffix.lower() != ".parquet":
        return csv_table(path, csv_header(path))
    with readable(path, "save the table again"):
        table = _parquet(path)
    table = table.where(table.notna(), "").astype(str)
    return table.set_axis([f"{path.name}, row {i}" for i in range(len(table))])


def _partners(table, names, key, what):
    """For each row of the table that of its features."""
    of_features = pd.Series([_same(name) for name in names])
    of_table = table[key].map(_same)
    _once_each(of_features, key, f"{what}, ")
    _once_each(of_table, key)
    rows = pd.Index(of_features).get_indexer(of_table)
    lost = table[key][rows < 0]
    if len(lost):
        where = [f"{_row(at)}: {name}" for at, name in lost.items()]
        mend = f"Names in column {key!r} have to be those of {what}."
        raise Problem(f"{len(lost)} rows have no features in {what}", where, mend).error()
    return rows


def _once_each(names, key, where=""):
    double = names[names.duplicated(keep=False)].sort_values(kind="stable")
    if len(double):
        places = [f"{where}{_row(at)}: {name}" for at, name in double.items()]
        what = f"{double.nunique()} names in {key!r} stand in more than one row"
        raise Problem(what, places, "Keep one row of each.").error()


def _row(at):
    """Labels of rows are numbers, or say where they come from ("photos.csv, line 7")."""
    return at if isinstance(at, str) else f"row {at}"


def _same(name):
    """Equal for the ways of writing one path."""
    name = name.decode("utf-8", "replace") if isinstance(name, bytes) else str(name)
    return posixpath.normpath(unicodedata.normalize("NFC", name).replace("\\", "/"))
