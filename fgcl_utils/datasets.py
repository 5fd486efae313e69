"""Every source of images as one table: image, species, genus, split.

`load_dataset` reads a source and checks it; the `ImageDataset` it returns hands out labels, square
images for training (decoded once into a memory-mapped cache) and single photos for looking at.

A reader below returns a table whose index says where each row came from ("photos.csv, line 7"), so
that every check can name the place to mend. The index is dropped when all checks have passed.
"""

import csv
import hashlib
import io
import os
import posixpath
import shutil
import unicodedata
import warnings
import zlib
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath, PureWindowsPath
from uuid import uuid4

import numpy as np
import pandas as pd
from PIL import Image, ImageOps
from tqdm import tqdm

from fgcl_utils import synthetic
from fgcl_utils.taxonomy import Taxonomy

DATASETS = ("synthetic", "grocery", "df20_mini", "csv", "folder")
SPLITS = ("train", "val", "test")

_SPLIT_NAMES = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev"), "val"),
    **dict.fromkeys(("test", "testing"), "test"),
}
_IMAGE_SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff"}
_DECODING = 1  # part of the cache's key: raise it when square_image() changes what it returns


class ImageError(ValueError):
    """An image is missing or cannot be decoded; the message lists all of them."""


@dataclass(frozen=True, eq=False)
class ImageDataset:
    """A checked table of images with nested labels.

    Parameters
    ----------
    name : str
        One of `DATASETS`.
    data_root : Path or None
        Folder that the table's image paths are relative to; None for synthetic.
    table : DataFrame
        Columns image, species, genus, split (train, val or test), one row per image; df20_mini
        adds observation (photos of one find share it). RangeIndex.
    taxonomy : Taxonomy
        Levels species and genus.
    labels : ndarray of int64, shape (N, 2)
        Species and genus codes of every row.
    cache_dir : Path
        Decoded images go to ``cache_dir/images``.
    dials : synthetic.Dials or None
        Settings of the rendered images; None for photos.
    """

    name: str
    data_root: Path | None
    table: pd.DataFrame = field(repr=False)
    taxonomy: Taxonomy = field(repr=False)
    labels: np.ndarray = field(repr=False)
    cache_dir: Path = field(repr=False)
    dials: synthetic.Dials | None = None

    def __len__(self):
        return len(self.table)

    def indices(self, split: str) -> np.ndarray:
        """Row numbers of a split, int64, ascending; empty if the data has no such images."""
        if split not in SPLITS:
            raise ValueError(f"unknown split {split!r}; there are {', '.join(SPLITS)}.")
        return np.flatnonzero(self.table["split"] == split)

    def images(self, image_size: int) -> np.ndarray:
        """All images as squares: the shorter side resized to `image_size`, centre-cropped.

        The first call decodes (or renders) every image into a file of the cache, named after
        what it was made from; later calls open that file.

        Returns
        -------
        memmap of uint8, shape (N, image_size, image_size, 3)
            Read-only; ``images[rows]`` is an array in memory.

        Raises
        ------
        ImageError
            If images cannot be decoded; all of them are listed.
        OSError
            If the disk is too full for the cache file.
        """
        if image_size < 1:
            raise ValueError(f"image_size must be at least 1 pixel, not {image_size}.")
        key = self._source_hash(with_times=True)[:16]
        path = self.cache_dir / "images" / f"{self.name}-{key}-{image_size}.npy"
        if not path.exists():
            with _new_array(path, (len(self), image_size, image_size, 3)) as pixels:
                fill = self._decode_into if self.dials is None else self._render_into
                fill(pixels)
        return np.load(path, mmap_mode="r")

    def photo(self, i: int, size: int) -> Image.Image:
        """Image `i` in RGB, upright and uncropped, its shorter side at most `size` pixels.

        Raises
        ------
        ImageError
            If the file is gone or cannot be decoded.
        """
        if self.dials is not None:
            return Image.fromarray(synthetic.render(self.dials, np.array([i]), size)[0])
        name = self.table["image"].iloc[i]
        try:
            image = open_rgb(self.data_root / name, size)
        except Exception as error:  # as in _decode_into
            raise ImageError(f"{self.data_root / name} cannot be read: {error}") from error
        scale = min(1, size / min(image.size))
        shape = [max(1, round(side * scale)) for side in image.size]
        return image.resize(shape, Image.Resampling.LANCZOS, reducing_gap=3)

    @cached_property
    def fingerprint(self) -> str:
        """Hex hash of the table and what its images are made from; equal on another machine."""
        text = self.table.to_csv(index=False) + self._source_hash(with_times=False)
        return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()

    def summary(self) -> dict:
        """What a run folder records about its data; JSON-serialisable."""
        counts = self.table["split"].value_counts()
        per_species = self.table["species"].value_counts().sort_index()
        return {
            "name": self.name,
            "data_root": None if self.data_root is None else str(self.data_root),
            "dials": None if self.dials is None else asdict(self.dials),
            "fingerprint": self.fingerprint,
            "n_images": {split: int(counts.get(split, 0)) for split in SPLITS},
            "levels": list(self.taxonomy.levels),
            "species": list(self.taxonomy.names[0]),
            "genus": list(self.taxonomy.names[1]),
            "images_per_species": {name: int(n) for name, n in per_species.items()},
        }

    def _source_hash(self, with_times: bool) -> str:
        """Hash of everything the pixels depend on.

        Files are known by name and size; the cache adds their times, which another machine's
        copy does not share. Rendered images are known by their dials and the first few of them.
        """
        digest = hashlib.sha256(f"decoding {_DECODING}".encode())
        if self.dials is not None:
            few = synthetic.render(self.dials, np.arange(min(6, len(self))), 32)
            digest.update(repr(self.dials).encode() + few.tobytes())
            return digest.hexdigest()
        if with_times:
            digest.update(os.fsencode(self.data_root.resolve()))
        for name in self.table["image"]:
            status = os.stat(self.data_root / name)
            time = status.st_mtime_ns if with_times else ""
            digest.update(f"{name}\0{status.st_size}\0{time}\n".encode(errors="surrogateescape"))
        return digest.hexdigest()

    def _decode_into(self, pixels):
        """Fill `pixels` (N, S, S, 3) from the files, in threads: Pillow lets go of the GIL."""

        def decode(i):
            try:
                pixels[i] = square_image(self.data_root / names[i], pixels.shape[1])
            # Pillow's decoders raise OSError, SyntaxError, ValueError, struct.error,
            # DecompressionBombError and others: whatever it was, the file goes on the list.
            except Exception as error:
                return f"{names[i]}: {error}"

        names = self.table["image"].tolist()
        pool = ThreadPoolExecutor(os.cpu_count())
        try:
            jobs = pool.map(decode, range(len(names)))
            failures = [text for text in _progress(jobs, "decoding", pixels) if text]
        finally:
            pool.shutdown(cancel_futures=True)  # Ctrl-C ends at once, not after the last image
        if failures:
            raise ImageError(
                f"{len(failures)} of {len(names)} images under {self.data_root} cannot be read:\n"
                + _listed(failures)
                + "\nReplace these files or take them out of the table."
            )

    def _render_into(self, pixels):
        rows = np.arange(len(pixels))
        for start in _progress(range(0, len(pixels), 256), "rendering", pixels):
            batch = rows[start : start + 256]
            pixels[batch] = synthetic.render(self.dials, batch, pixels.shape[1])


def load_dataset(
    dataset: str = "synthetic",
    data_root: str | Path | None = None,
    *,
    columns: Mapping[str, str] | None = None,
    metadata: str | Mapping[str, str] | None = None,
    dials: synthetic.Dials | None = None,
    split_seed: int = 0,
    cache_dir: str | Path = ".cache",
) -> ImageDataset:
    """Read a source of images into one checked table.

    Parameters
    ----------
    dataset : {"synthetic", "grocery", "df20_mini", "csv", "folder"}
        - synthetic: rendered fungi, no file needed;
        - grocery: a clone of the Grocery Store dataset (Klasson et al., WACV 2019);
        - df20_mini: DF20-Mini with its published metadata (Picek et al., WACV 2022); a class is
          a ``scientificName``, since ``species`` is blank or a synonym in some rows;
        - csv: a table with columns image, species, genus and perhaps split;
        - folder: ``genus/species/*.jpg`` or ``{train,val,test}/genus/species/*.jpg``.
    data_root : path
        Where the files are. For csv the file itself, or the folder that holds it.
    columns : mapping, csv only
        Our column name to the file's, such as ``{"image": "path", "genus": "family"}``.
    metadata : str or mapping, csv and df20_mini only
        The CSV file's name where data_root holds several; for df20_mini one a split,
        ``{"train": "...csv", "test": "...csv"}``. Relative to data_root.
    dials : synthetic.Dials, synthetic only
        What to render; ``Dials()`` by default.
    split_seed : int
        Seed of the split, where the source has none: 70 % train, 10 % val, 20 % test of every
        species. A split that the source has is taken as it is.
    cache_dir : path
        Decoded images go to ``cache_dir/images``.

    Raises
    ------
    FileNotFoundError
        If data_root or a file that describes the data does not exist.
    ImageError
        If images are missing; all of them are listed.
    ValueError
        If the data is not usable: the message names the file, the row and the mend.
    """
    _check_arguments(dataset, data_root, columns=columns, metadata=metadata, dials=dials)
    root = None
    if dataset == "synthetic":
        dials = synthetic.Dials() if dials is None else dials
        table = synthetic.make_table(dials)
    else:
        root = Path(data_root).expanduser()
        if not root.exists():
            raise FileNotFoundError(
                f"data_root {str(root)!r} does not exist. {_ROOT_HINT[dataset]}"
            )
        if dataset != "csv" and not root.is_dir():
            raise ValueError(f"data_root {str(root)!r} is a file. {_ROOT_HINT[dataset]}")
        if dataset == "grocery":
            root, table = _read_grocery(root)
        elif dataset == "df20_mini":
            table = _read_df20_mini(root, metadata)
        elif dataset == "csv":
            root, table = _read_table(root, columns or {}, metadata)
        else:
            table = _read_folder(root)
        table = _tidy(table, dataset, root)
        table["image"] = _existing_files(root, table["image"])
        _check_no_duplicates(table)
    taxonomy = Taxonomy.from_table(table)
    table["split"] = _splits(table, split_seed)
    _check_splits(table)
    kept = ["image", "species", "genus", "split", *table.columns.intersection(["observation"])]
    table = table[kept].reset_index(drop=True)
    labels = taxonomy.encode(table)
    return ImageDataset(dataset, root, table, taxonomy, labels, Path(cache_dir), dials)


def open_rgb(path: str | Path, shorter_side: int) -> Image.Image:
    """Decode a photo to upright RGB, at `shorter_side` or more pixels where it has them.

    A JPEG is decoded straight to a half, quarter or eighth of its size where that is enough.
    Transparency is laid on white, and 16-bit greys keep their upper 8 bits.
    """
    with Image.open(path) as image:
        # Twice the pixels wanted, so that the final resize still antialiases properly.
        image.draft("RGB", (2 * shorter_side, 2 * shorter_side))
        image = ImageOps.exif_transpose(image)
        if image.mode in ("F", "I") or image.mode.startswith("I;16"):
            grey = np.asarray(image, dtype=np.float64)
            grey = grey / 257 if image.mode.startswith("I;16") or grey.max() > 255 else grey
            image = Image.fromarray(grey.clip(0, 255).round().astype(np.uint8))
        elif image.has_transparency_data:
            image = image.convert("RGBA")
            image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
        return image.convert("RGB")


def square_image(path: str | Path, size: int) -> np.ndarray:
    """The centre square of a photo, resized with antialiasing; uint8 (size, size, 3)."""
    image = open_rgb(path, size)
    side = min(image.size)
    left, top = (image.width - side) / 2, (image.height - side) / 2
    # Crop and resize in one step: a 1 × 5000 strip never becomes size × 5000 size.
    box = (left, top, left + side, top + side)
    square = image.resize((size, size), Image.Resampling.LANCZOS, box, reducing_gap=3)
    return np.asarray(square)


# ---------------------------------------------------------------------------------- sources

_ROOT_HINT = {
    "grocery": "data_root is a clone of github.com/marcusklasson/GroceryStoreDataset.",
    "df20_mini": "data_root is the folder with DF20-Mini's metadata CSV files and its images.",
    "csv": "data_root is a CSV file, or the folder that holds it.",
    "folder": "data_root is a folder of genus/species/*.jpg or "
    "{train,val,test}/genus/species/*.jpg.",
}


def _check_arguments(dataset, data_root, **options):
    if dataset not in DATASETS:
        raise ValueError(f"unknown dataset {dataset!r}; there are {', '.join(DATASETS)}.")
    used = {"synthetic": {"dials"}, "csv": {"columns", "metadata"}, "df20_mini": {"metadata"}}
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
        raise ValueError(f"dataset {dataset!r} needs data_root. {_ROOT_HINT[dataset]}")


def _read_grocery(root):
    """The clone's dataset/{train,val,test}.txt: path, class id, coarse id; names in classes.csv."""
    if (root / "dataset" / "classes.csv").is_file():
        root = root / "dataset"
    fine, fine_id, coarse = "Class Name (str)", "Class ID (int)", "Coarse Class Name (str)"
    classes = _read_csv(_file(root, "classes.csv", "grocery"))
    _check_has_columns(classes, [fine, fine_id, coarse], root / "classes.csv")
    names = {row[fine_id]: (row[fine], row[coarse]) for row in classes.to_dict("records")}
    rows, index = [], []
    for split in SPLITS:
        for line, cells in _csv_records(_file(root, f"{split}.txt", "grocery")):
            where = f"{split}.txt, line {line}"
            if len(cells) != 3 or cells[1] not in names:
                raise ValueError(
                    f"{root / where}: expected 'image path, class id, coarse class id' with a "
                    f"class id of classes.csv, found {', '.join(cells)!r}."
                )
            rows.append((cells[0], *names[cells[1]], split))
            index.append(where)
    return root, pd.DataFrame(
        rows, index, columns=["image", "species", "genus", "split"], dtype=str
    )


_DF20_MINI_COLUMNS = ["image_path", "scientificName", "class_id", "species", "genus", "gbifID"]


def _read_df20_mini(root, metadata):
    """The published metadata as it is, one CSV file a split."""
    parts = []
    for split, path in _df20_mini_files(root, metadata).items():
        part = _read_csv(path)
        has_only_id = "class_id" in part and "scientificName" not in part
        label = "class_id" if has_only_id else "scientificName"
        _check_has_columns(part, ["image_path", label, "genus"], path)
        part = part[part.columns.intersection(_DF20_MINI_COLUMNS)]
        parts.append(part.assign(split=split))
    raw = pd.concat(parts).fillna("")
    table = pd.DataFrame(
        {
            "image": _paths_below(root, raw["image_path"]),
            "species": raw["scientificName"] if "scientificName" in raw else _class_names(raw),
            "genus": raw["genus"],
            "split": raw["split"],
        }
    )
    if "gbifID" in raw:
        table["observation"] = raw["gbifID"]
    return table


def _df20_mini_files(root, metadata):
    if metadata is not None:
        if not isinstance(metadata, Mapping) or not {"train", "test"} <= {*metadata} <= {*SPLITS}:
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
        return posixpath.join(*folders[file.casefold()], file) if not _leaves_root(name) else name

    return [path(name) for name in names]


def _read_table(root, columns, metadata):
    """Any CSV file with columns image, species, genus and perhaps split."""
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
        found = sorted(f for f in root.iterdir() if f.suffix.lower() == ".csv")
        if len(found) != 1:
            problem = f"{len(found)}: {', '.join(f.name for f in found)}" if found else "none"
            raise ValueError(
                f"data_root {str(root)!r} should hold one .csv file and holds {problem}. Let "
                "data_root be the file itself, or name it: load_dataset(..., metadata='...csv')."
            )
        path = found[0]
    raw = _read_csv(path)
    names = {column: columns.get(column, column) for column in ("image", "species", "genus")}
    if "split" in columns or "split" in raw.columns:
        names["split"] = columns.get("split", "split")
    example = ", ".join(f"{ours!r}: '...'" for ours in names if names[ours] not in raw)
    mend = f" Say which ones to take: load_dataset(..., columns={{{example}}})."
    _check_has_columns(raw, names.values(), path, mend)
    return root, raw[list(names.values())].set_axis(list(names), axis=1)


def _read_folder(root):
    """genus/species/*.jpg, or the same below train, val and test."""
    images = [
        posixpath.join(folder, file)
        for folder, files in _walk(root)
        for file in files
        if PurePosixPath(file).suffix.lower() in _IMAGE_SUFFIXES
    ]
    images = pd.Series(sorted(images), dtype=str)
    parts = images.str.split("/")
    split = parts.str[0].str.lower().map(_SPLIT_NAMES)
    has_split = split.notna().any()
    depth = 4 if has_split else 3
    wrong = images[(parts.str.len() != depth) | (split.isna() if has_split else False)]
    if len(wrong):
        raise ValueError(
            f"{len(wrong)} images under {root} are not in a "
            f"{'split/' if has_split else ''}genus/species folder:\n"
            + _listed(wrong)
            + f"\nMove them. {_ROOT_HINT['folder']}"
        )
    table = pd.DataFrame(
        {"image": images, "species": parts.str[-2], "genus": parts.str[-3]}, dtype=str
    )
    if has_split:
        table["split"] = split
    return table.set_index(images.rename(None))


# ----------------------------------------------------------------------------- reading text


def _file(root, name, dataset):
    path = root / name
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist. {_ROOT_HINT[dataset]}")
    return path


def _csv_records(path) -> Iterator[tuple[int, list[str]]]:
    """Records of a CSV file with the line each begins on, cells stripped, blank lines left out.

    The csv module rather than pandas: it knows the true line numbers, which errors name.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")  # -sig: Excel begins its files with a mark
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise ValueError(f"{path}, line {line}: not UTF-8 text. Save the file as UTF-8.") from None
    first_line = text.partition("\n")[0]
    separator = max(",;\t", key=first_line.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    line = 1
    try:
        for cells in reader:
            cells = [cell.strip() for cell in cells]
            if any(cells):
                yield line, cells
            line = reader.line_num + 1
    except csv.Error as error:
        raise ValueError(
            f"{path}, line {line}: not readable as CSV ({error}). Look for a stray quote."
        ) from None


def _read_csv(path) -> pd.DataFrame:
    """A CSV file with a header; every cell a str, since a species may be called NA or None."""
    records = list(_csv_records(path))
    if not records:
        raise ValueError(f"{path} is empty: its first line should hold the column names.")
    (_, header), *rows = records
    uneven = [f"line {line}: {len(cells)}" for line, cells in rows if len(cells) != len(header)]
    if uneven:
        raise ValueError(
            f"{path}: the header has {len(header)} cells, these lines have another number:\n"
            + _listed(uneven)
            + "\nA cell that holds the separator needs quotes around it."
        )
    index = [f"{path.name}, line {line}" for line, _ in rows]
    return pd.DataFrame([cells for _, cells in rows], index, columns=header, dtype=str)


def _check_has_columns(table, names, path, mend=""):
    present = list(table.columns)
    missing = [name for name in names if name not in present]
    if missing:
        raise ValueError(
            f"{path} has no column {', '.join(map(repr, missing))}; "
            f"it has {', '.join(map(repr, present))}.{mend}"
        )
    double = [name for name in names if present.count(name) > 1]
    if double:
        raise ValueError(f"{path} has the column {double[0]!r} twice: rename one of them.")


# ------------------------------------------------------------------------- checks and splits


def _tidy(table, dataset, root):
    """Check for emptiness; one spelling of each label, forward slashes in paths."""
    if table.empty:
        raise ValueError(f"data_root {str(root)!r} holds no images. {_ROOT_HINT[dataset]}")
    table = table.copy()
    no_image = table.index[table["image"] == ""]
    if len(no_image):
        raise ValueError(
            f"{len(no_image)} rows name no image:\n"
            + _listed(no_image)
            + "\nFill these cells or drop the rows."
        )
    for level in ("species", "genus"):
        # The same accented letter can be stored in two ways (macOS folders use the longer one).
        table[level] = [unicodedata.normalize("NFC", name) for name in table[level]]
    return table


def _leaves_root(name):
    windows = PureWindowsPath(name)  # parts at both kinds of slash
    return bool(windows.anchor) or ".." in windows.parts


def _existing_files(root, images):
    """The images as they are spelled on disk, relative to `root`, which none may leave.

    One listing a folder instead of one look a file: 36,000 looks take minutes on network disks.
    """
    _check_inside(root, [f"{at}: {name}" for at, name in images.items() if _leaves_root(name)])
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
    _check_inside(root, links)
    if missing:
        raise ImageError(
            f"{len(missing)} of {len(names)} images do not exist under {root}:\n"
            + _listed(missing)
            + "\nPaths are relative to data_root: correct data_root or these rows."
        )
    return found


def _listing(root, folder):
    """A folder's files, by lower-case name: {name on disk: whether it leads inside root}."""
    listing = {}
    try:
        inside = _is_inside(root, root / folder)
        for entry in os.scandir(root / folder):
            if entry.is_file():
                leads_inside = inside and (not entry.is_symlink() or _is_inside(root, entry))
                listing.setdefault(entry.name.casefold(), {})[entry.name] = leads_inside
    except (OSError, ValueError):  # no such folder, or a null character: its images are missing
        pass
    return listing


def _is_inside(root, path):
    return Path(os.path.realpath(path)).is_relative_to(os.path.realpath(root))


def _check_inside(root, outside):
    if outside:
        raise ValueError(
            f"{len(outside)} images lie outside data_root {root}:\n"
            + _listed(outside)
            + "\nPaths are relative to data_root; let data_root be the folder that holds them all."
        )


def _walk(root):
    """Pairs of a folder below `root` and its files' names; hidden ones are left out.

    Linked folders inside root are met at their own place; one that leads outside is refused.
    """
    for path, folders, files in os.walk(root):
        folders[:] = sorted(f for f in folders if not f.startswith((".", "__MACOSX")))
        links = [Path(path, f) for f in folders if Path(path, f).is_symlink()]
        _check_inside(root, [f"{link} (a link)" for link in links if not _is_inside(root, link)])
        folder = Path(path).relative_to(root).as_posix()
        yield "" if folder == "." else folder, [f for f in files if not f.startswith(".")]


def _check_no_duplicates(table):
    double = table[table.duplicated("image", keep=False)].sort_values("image", kind="stable")
    if len(double):
        raise ValueError(
            f"{double['image'].nunique()} images stand in more than one row:\n"
            + _listed([f"{where}: {name}" for where, name in double["image"].items()])
            + "\nKeep one row of each: an image in two splits would be tested on what it learnt."
        )


def _splits(table, seed):
    """The table's own split under our names, or a stratified one where it has none."""
    if "split" not in table or (table["split"] == "").all():
        return _stratified_split(table, seed)
    split = table["split"].str.lower().map(_SPLIT_NAMES)
    unknown = table["split"][split.isna()]
    if len(unknown):
        raise ValueError(
            f"{len(unknown)} rows have a split that is not train, val or test:\n"
            + _listed([f"{where}: {value!r}" for where, value in unknown.items()])
            + "\nCorrect these cells; leave out the whole column for a random split."
        )
    return split


def _stratified_split(table, seed):
    """70 % train, 10 % val, 20 % test of every species; few images go to train, test, val in turn.

    A species' images are sorted and shuffled by a seed of its own, so that neither the order of
    the rows nor another species moves an image to another split.
    """
    split = np.full(len(table), "train", dtype=object)
    image = table["image"].to_numpy(dtype=object)
    for species, rows in table.groupby("species").indices.items():
        rng = np.random.default_rng([seed, zlib.crc32(species.encode())])
        rows = rng.permutation(rows[np.argsort(image[rows])])
        n_test = max(1, round(0.2 * len(rows))) if len(rows) > 1 else 0
        n_val = int(0.1 * len(rows) + 0.5)
        split[rows[:n_test]] = "test"
        split[rows[n_test : n_test + n_val]] = "val"
    return split


def _check_splits(table):
    """Training and testing need images, and a genus centroid needs training images."""
    for split in ("train", "test"):
        if not (table["split"] == split).any():
            raise ValueError(
                f"the {split} split is empty: of {len(table)} images, "
                + ", ".join(f"{n} are {name}" for name, n in table["split"].value_counts().items())
                + ". Give some rows this split, or no split at all for a random one "
                "(which needs a species with two images)."
            )
    train, held_out = table[table["split"] == "train"], table[table["split"] != "train"]
    for level in ("genus", "species"):
        unseen = sorted(set(held_out[level]) - set(train[level]))
        if not unseen:
            continue
        where = held_out.index[held_out[level] == unseen[0]][0]
        text = (
            f"{len(unseen)} {level} names are in test or val but have no training image: "
            f"{_listed(unseen, ', ')} (the first at {where})."
        )
        if level == "genus":
            raise ValueError(
                text + " An outlier is told by its genus's training images: move some to train, "
                "or drop these rows."
            )
        warnings.warn(text + " Species accuracy counts them as errors.", stacklevel=3)


def _listed(items, separator="\n", most=20):
    """The first `most` items and the number of those left out."""
    items = [str(item) for item in items]
    more = [f"... and {len(items) - most} more"] if len(items) > most else []
    indent = "  " if separator == "\n" else ""
    return separator.join(indent + item for item in items[:most] + more)


# ------------------------------------------------------------------------------------ cache


def _progress(steps, verb, pixels):
    n, size = pixels.shape[:2]
    text = f"{verb} {n:,} images at {size} px ({pixels.nbytes / 1e9:.2g} GB)"
    total = len(steps) if hasattr(steps, "__len__") else n
    return tqdm(steps, text, total, mininterval=0.5)


@contextmanager
def _new_array(path, shape):
    """A uint8 array in a new .npy file, which takes its name only when it is complete."""
    path.parent.mkdir(parents=True, exist_ok=True)
    size, free = int(np.prod(shape)), shutil.disk_usage(path.parent).free
    if size > 0.95 * free:
        raise OSError(
            f"the decoded images need {size / 1e9:.1f} GB in {path.parent}, which has "
            f"{free / 1e9:.1f} GB free. Clear space (old .npy files there may go), or choose a "
            "smaller image_size or another cache_dir."
        )
    aside = path.with_name(f"{path.stem}-{uuid4().hex[:8]}.partial")
    try:
        pixels = np.lib.format.open_memmap(aside, "w+", np.uint8, shape)
        yield pixels
        pixels.flush()
        os.replace(aside, path)
    finally:
        aside.unlink(missing_ok=True)
