"""Every source of images as one table: image, the levels of its label, split.

`load_dataset` reads a source and checks it; the `ImageDataset` it returns hands out labels, square
images for training (decoded once into a memory-mapped cache) and single photos for looking at.

The way of a photo: `sources` read what describes it (`published` the field's data sets, `exports`
those of GBIF and iNaturalist, `taxonomies` what lies above a class), `checks` make sure that it can
be used, `splits` say what it serves, `pixels` decode it.
"""

import hashlib
import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from fgcl_utils.datasets import checks, pixels, sources, splits, synthetic
from fgcl_utils.datasets.checks import ImageError
from fgcl_utils.datasets.pixels import open_rgb
from fgcl_utils.datasets.sources import DATASETS, DEFAULT_LEVELS
from fgcl_utils.datasets.splits import SPLITS
from fgcl_utils.taxonomy import Taxonomy, finest_known

__all__ = [
    "DATASETS",
    "SPLITS",
    "ImageDataset",
    "ImageError",
    "load_dataset",
    "open_rgb",
    "survey",
]


NO_PHOTO = np.uint8(225)  # the grey of a tile


@dataclass(frozen=True, eq=False)
class ImageDataset:
    """A checked table of images with nested labels.

    Parameters
    ----------
    name : str
        One of `DATASETS`.
    data_root : Path or None
        Folder that the table's image paths are relative to; None for synthetic images, and where
        there are no photos.
    table : DataFrame
        Columns image, the levels (species and genus by default; empty where a label stops early),
        split (train, val, test; unseen and unused for species held out), one row per image;
        df20_mini, exports and `group_by` add observation (photos of one find share it; a photo
        without one has its own name). Then what else a csv says of its images, under its own
        names: columns of at most 40 different short values. RangeIndex.
    taxonomy : Taxonomy
        The classes of each level.
    labels : ndarray of int64, shape (N, L)
        Codes of every row, finest level first; −1 where a label stops early.
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

    @property
    def levels(self) -> tuple[str, ...]:
        """Names of the label levels, finest first."""
        return self.taxonomy.levels

    @property
    def has_photos(self) -> bool:
        """Whether there is anything to see; otherwise every image is a plain tile."""
        return self.data_root is not None or self.dials is not None

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
        if not self.has_photos:
            return np.broadcast_to(NO_PHOTO, (len(self), image_size, image_size, 3))
        key = self._source_hash(with_times=True)[:16]
        path = self.cache_dir / "images" / f"{self.name}-{key}-{image_size}.npy"
        if not path.exists():
            with pixels.new_array(path, (len(self), image_size, image_size, 3)) as array:
                fill = self._decode_into if self.dials is None else self._render_into
                fill(array)
        return np.load(path, mmap_mode="r")

    def photo(self, i: int, size: int) -> Image.Image:
        """Image `i` in RGB, upright and uncropped, its shorter side at most `size` pixels.

        Raises
        ------
        ImageError
            If the file is gone or cannot be decoded.
        """
        if not self.has_photos:
            return Image.new("RGB", (size, size), (int(NO_PHOTO),) * 3)
        if self.dials is not None:
            return Image.fromarray(synthetic.render(self.dials, np.array([i]), size)[0])
        image = open_rgb(self.data_root / self.table["image"].iloc[i], size)
        scale = min(1, size / min(image.size))
        shape = [max(1, round(side * scale)) for side in image.size]
        return image.resize(shape, Image.Resampling.LANCZOS, reducing_gap=3)

    @cached_property
    def fingerprint(self) -> str:
        """Hex hash of the table and what its images are made from; equal on another machine."""
        known = [name for name in _columns(self.levels) if name in self.table]
        text = self.table[known].to_csv(index=False) + self._source_hash(with_times=False)
        return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()

    @cached_property
    def contents(self) -> dict[str, str]:
        """Of each class a hash of what samples of its files hold; empty for rendered images.

        Equal on another machine. Files are read once: the hashes are kept in ``cache_dir`` for as
        long as names, sizes and times stay.
        """
        if self.data_root is None:
            return {}
        key = self._source_hash(with_times=True)[:16]
        paths = [self.data_root / name for name in self.table["image"]]
        hashes = pixels.content_hashes(paths, self.cache_dir / "contents" / f"{key}.npy")
        rows = self.table.sort_values("image").groupby(self.taxonomy.levels[0]).groups
        return {name: hashlib.sha256(hashes[i]).hexdigest()[:16] for name, i in rows.items()}

    def replaced_since(self, summary: dict) -> list[str]:
        """Classes whose files hold something else than when `summary` was made, sorted.

        The fingerprint knows files by name and size alone: it stays when photos are replaced by
        others of the same size. A class that is new or gone is not among these, since that
        changes the fingerprint; nor is any where `summary` has no ``contents``.
        """
        then, now = summary.get("contents", {}), self.contents
        return sorted(name for name in now if then.get(name, now[name]) != now[name])

    def summary(self) -> dict:
        """What a run folder records about its data; JSON-serialisable."""
        counts = self.table["split"].value_counts()
        n_images = {split: 0 for split in SPLITS} | counts.to_dict()
        finest = self.levels[0]
        per_class = self.table[finest][self.table[finest] != ""].value_counts().sort_index()
        known_to = np.bincount(finest_known(self.labels), minlength=len(self.levels))
        return {
            "name": self.name,
            "data_root": None if self.data_root is None else str(self.data_root),
            "dials": None if self.dials is None else asdict(self.dials),
            "fingerprint": self.fingerprint,
            "contents": self.contents,
            "n_images": n_images,
            "levels": list(self.levels),
            "classes": dict(zip(self.levels, map(list, self.taxonomy.names), strict=True)),
            "images_by_finest_known_level": dict(zip(self.levels, known_to.tolist(), strict=True)),
            f"images_per_{finest}": {name: int(n) for name, n in per_class.items()},
            "leakage": splits.leakage(self.table),
        }

    def _source_hash(self, with_times: bool) -> str:
        """Hash of everything the pixels depend on.

        Files are known by name and size; the cache adds their times, which another machine's
        copy does not share. Rendered images are known by their dials and the first few of them.
        """
        digest = hashlib.sha256(f"decoding {pixels.VERSION}".encode())
        if self.dials is not None:
            few = synthetic.render(self.dials, np.arange(min(6, len(self))), 32)
            digest.update(repr(self.dials).encode() + few.tobytes())
        if self.data_root is None:
            return digest.hexdigest()
        if with_times:
            digest.update(os.fsencode(self.data_root.resolve()))
        for name in self.table["image"]:
            status = os.stat(self.data_root / name)
            # The second one tells of a file put in place of another with that one's own time.
            time = (status.st_mtime_ns, status.st_ctime_ns) if with_times else ""
            digest.update(f"{name}\0{status.st_size}\0{time}\n".encode(errors="surrogateescape"))
        return digest.hexdigest()

    def _decode_into(self, array):
        """Fill `array` (N, S, S, 3) from the files."""

        def decode(i):
            try:
                array[i] = pixels.square_image(self.data_root / names[i], array.shape[1])
            except ImageError as error:
                return str(error)

        names = self.table["image"].tolist()
        jobs = pixels.in_threads(decode, range(len(names)))
        failures = [text for text in pixels.progress(jobs, "decoding", array) if text]
        if failures:
            what = f"{len(failures)} of {len(names)} images under {self.data_root} cannot be read"
            mend = "Replace these files or take them out of the table."
            raise checks.Problem(what, failures, mend, ImageError).error()

    def _render_into(self, array):
        rows = np.arange(len(array))
        for start in pixels.progress(range(0, len(array), 256), "rendering", array):
            batch = rows[start : start + 256]
            array[batch] = synthetic.render(self.dials, batch, array.shape[1])


def load_dataset(
    dataset: str = "synthetic",
    data_root: str | Path | None = None,
    *,
    levels: Sequence[str] = DEFAULT_LEVELS,
    taxonomy: str | Path | None = None,
    columns: Mapping[str, str] | None = None,
    metadata: str | Mapping[str, str] | None = None,
    group_by: str | None = None,
    held_out_species: float = 0.0,
    dials: synthetic.Dials | None = None,
    split_seed: int = 0,
    cache_dir: str | Path = ".cache",
) -> ImageDataset:
    """Read a source of images into one checked table.

    Parameters
    ----------
    dataset : str
        - synthetic: rendered fungi, no file needed (levels species, genus, form);
        - csv: a table with columns image, the levels (or the finest and a taxonomy) and perhaps
          split; or an export of GBIF or iNaturalist as it comes, with its photos named after the
          records;
        - folder: class folders, ``genus/species/*.jpg`` or deeper for more levels, or
          ``class/*.jpg`` with a taxonomy; each also below train, val and test;
        - grocery: a clone of the Grocery Store dataset (Klasson et al., WACV 2019), with two
          levels under any names;
        - df20_mini: DF20-Mini with its published metadata (Picek et al., WACV 2022); a class is
          a ``scientificName``, since ``species`` is blank or a synonym in some rows. Above it
          genus, family, order, class, phylum, kingdom;
        - flowers102 (species, genus, family), fgvc_aircraft (variant, family, manufacturer),
          cub200 (species, genus, family), inat2021 (species to kingdom), stanford_cars (model,
          make), oxford_pets (breed, species): as published;
        - features: a table as for csv, of which there are features and no photos; the column image
          may be missing, too.
    data_root : path
        Where the files are. For csv the file itself, or the folder that holds it.
    levels : sequence of str
        The levels of a label, finest first, 1 to 8. A published data set has its own, to choose
        from; where neither species nor genus is among them, the default stands for all.
    taxonomy : str or path, csv and folder only
        Where the levels above a class come from: a CSV file with a row a class (its name, then
        the levels above it, by the names of their columns; the first column is the class if none
        is called so), relative to the project or to data_root; or ``binomial``: the genus is the
        first word of ``Genus species``, ``genus-species`` or ``genus_species``.
    columns : mapping, csv only
        Our column name to the file's, such as ``{"image": "path", "genus": "family"}``.
    metadata : str or mapping, csv and df20_mini only
        The CSV file's name where data_root holds several, or one a split,
        ``{"train": "...csv", "test": "...csv"}``. Relative to data_root.
    group_by : str, csv and df20_mini only
        A column of the source's own table, such as the id of an observation: rows with equal
        values fall on one side of our split, and the table keeps them as ``observation``. A split
        column of a csv stays as it is, with a warning if groups lie on both sides; for df20_mini
        (``group_by="gbifID"``) our split takes the place of the published one.
    held_out_species : float
        Share of the classes of the finest level, 0 to 0.5, that training never sees (open-set
        recognition): their test images form the split "unseen", their other images are "unused".
        Drawn by `split_seed`, evenly from the genera (the next level), each of which keeps two.
    dials : synthetic.Dials, synthetic only
        What to render; ``Dials()`` by default.
    split_seed : int
        Seed of the split, where the source has none (70 % train, 10 % val, 20 % test of every
        species, as nearly as groups allow), and of the species held out. A split that the source
        has is taken as it is.
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

    Notes
    -----
    A label may stop early: an empty cell at the finest level, or a name like "Amanita sp." there
    (csv and folder), says that the photo is known from the next level up only.
    """
    data, problems = survey(
        dataset,
        data_root,
        levels=levels,
        taxonomy=taxonomy,
        columns=columns,
        metadata=metadata,
        group_by=group_by,
        held_out_species=held_out_species,
        dials=dials,
        split_seed=split_seed,
        cache_dir=cache_dir,
    )
    for problem in problems:
        if not issubclass(problem.kind, Warning):
            raise problem.error()
    for problem in problems:
        warnings.warn(problem.error(), stacklevel=2)
    return data


def survey(
    dataset,
    data_root=None,
    *,
    levels=DEFAULT_LEVELS,
    taxonomy=None,
    columns=None,
    metadata=None,
    group_by=None,
    held_out_species=0.0,
    dials=None,
    split_seed=0,
    cache_dir=".cache",
) -> tuple[ImageDataset | None, list[checks.Problem]]:
    """The images of a source that can be used, and all the problems of it and of the others.

    Takes `load_dataset`'s parameters, and raises as it does where nothing can be read. The data
    set is None where no image is left.
    """
    options = {"taxonomy": taxonomy, "columns": columns, "metadata": metadata}
    options |= {"group_by": group_by, "dials": dials}
    levels = sources.checked_arguments(dataset, data_root, levels, **options)
    if not 0 <= held_out_species <= 0.5:
        raise ValueError(
            f"held_out_species={held_out_species}: the share of the species that training never "
            "sees, from 0 to 0.5."
        )
    root, problems = None, []
    if dataset == "synthetic":
        dials = synthetic.Dials() if dials is None else dials
        table = synthetic.make_table(dials, levels)
    else:
        root, table, problems = sources.read(
            dataset, data_root, columns, metadata, group_by, levels, taxonomy
        )
        table, more = checks.screen(table, root, levels)
        problems = problems + more
        if dataset == "folder":
            problems = sources.folders_without_images(root, table["image"]) + problems
        if table.empty:
            return None, problems
    if "observation" in table:  # an image without one stands for itself
        known = table["observation"] != ""
        table = table.assign(observation=table["observation"].where(known, table["image"]))
    classes = Taxonomy.from_table(table, levels)
    table = splits.with_split(table, split_seed, levels)
    if held_out_species and all(issubclass(problem.kind, Warning) for problem in problems):
        table, more = splits.hold_out(table, held_out_species, split_seed, levels)
        problems = problems + more
    problems = problems + splits.split_problems(table, levels) + splits.leakage_problems(table)
    known = [name for name in _columns(levels) if name in table]
    table = table[[*known, *table.columns.difference(known, sort=False)]].reset_index(drop=True)
    labels = classes.encode(table)
    data = ImageDataset(dataset, root, table, classes, labels, Path(cache_dir), dials)
    return data, problems


def _columns(levels):
    """Names of the columns that every table may have, in their order."""
    return ["image", *levels, "split", "observation"]
