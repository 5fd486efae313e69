"""The interactive map: every point is a photo, every method one press away.

`EmbeddingExplorer` writes a page that needs no server and makes no request: one HTML file for up
to 5,000 points, a folder with script shards above. What the page shows as *outlier* and as
*neighbour* is computed here, in the original space; the map only places the points.

The page, in `page/`, draws the map itself, in one WebGL context. Plotly's WebGL bundle would do,
but it builds code from strings, which the page's content-security policy forbids on purpose, holds
two contexts, and weighs more than everything else in the file.
"""

import base64
import html
import io
import os
import re
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from fgcl_utils import metrics, projection
from fgcl_utils.datasets import open_rgb
from fgcl_utils.explorer import page
from fgcl_utils.files import written_aside

ONE_FILE_POINTS = 5000
THUMB_BOX, THUMB_QUALITY = (96, 96), 60  # about 2 kB each
PHOTO_SIZE, PHOTO_QUALITY = 224, 70  # the shorter side; about 8 kB each
SHARD_SIZE = {"facts": 250, "thumb": 250, "photo": 50}  # points a shard
BLOCK = 250  # points encoded at a time; a multiple of every shard size
VECTOR_BYTES = 600_000  # for the vectors in one file that pins' distances are computed from
LEAST_DIMENSIONS = 48  # of these vectors, however many points there are


class EmbeddingExplorer:
    """A map of the same photos under several methods.

    Parameters
    ----------
    embeddings : dict of str to (N, D) float array
        One embedding a method; row i belongs to row i of `table`. At most 8 methods.
    table : DataFrame
        Columns image, species, genus, one row per point.
    photos : callable, optional
        ``photos(i, size)`` returns point i as a PIL image whose shorter side is about `size`;
        `ImageDataset.photo` is one, given the rows. Default: the files ``data_root / image``.
    data_root : path, optional
        Folder of the photos where `photos` is not given. With neither, the page has no photos.
    train : dict of str to (M, D) float array, optional
        Training embeddings, for the genus centroids. Default: centroids of the points shown.
    train_table : DataFrame, optional
        Column genus, one row per training row; needed with `train`.
    planes : dict of str to (N, 2) float array, optional
        Maps to show; t-SNE from `projection.project` by default.
    outliers : dict of str to (N,) bool array, optional
        Points to ring, where they come from another rule than the nearest genus centroid.
    neighbours : dict of str to (N, k) int array, optional
        Nearest first, where they have been searched already: the exact search here takes minutes
        in the hundred thousands.
    k : int
        Neighbours listed for a point.
    seed : int
        Of the map.
    cache_dir : path, optional
        Where finished maps are kept, see `projection.project`.
    map_note : str
        One sentence on how the planes were made, shown in the page's help.
    title : str

    Raises
    ------
    ValueError
        If the parts do not describe the same points; the message names what differs.
    """

    def __init__(
        self,
        embeddings: Mapping[str, np.ndarray],
        table: pd.DataFrame,
        *,
        photos: Callable[[int, int], Image.Image] | None = None,
        data_root: str | Path | None = None,
        train: Mapping[str, np.ndarray] | None = None,
        train_table: pd.DataFrame | None = None,
        planes: Mapping[str, np.ndarray] | None = None,
        outliers: Mapping[str, np.ndarray] | None = None,
        neighbours: Mapping[str, np.ndarray] | None = None,
        k: int = 12,
        seed: int = 0,
        cache_dir: str | Path | None = None,
        map_note: str = "The map is a t-SNE; every method's starts from one shared layout.",
        title: str = "Embedding explorer",
    ):
        of_points = {"embeddings": embeddings, "planes": planes, "outliers": outliers}
        of_points["neighbours"] = neighbours
        _check(embeddings, table, of_points, train, train_table)
        self.methods = list(embeddings)
        self.table = table.reset_index(drop=True)
        self.title = title
        self.map_note = map_note
        self.path = None
        self.unreadable = []  # names of photos that could not be read, once saved
        self._photos = photos or (data_root and _file_photos(self.table["image"], data_root))

        self._embeddings = {m: projection.unit_rows(x, m) for m, x in embeddings.items()}
        if planes is None:
            planes = projection.project(self._embeddings, seed=seed, cache_dir=cache_dir)
        self.planes = {m: np.asarray(planes[m], dtype=np.float32) for m in self.methods}
        self.neighbours = neighbours or {
            m: projection.nearest_neighbours(x, k) for m, x in self._embeddings.items()
        }
        k_quality = min(12, (len(self.table) - 1) // 2)
        self.quality = {
            m: projection.quality(x, self.planes[m], k_quality) for m, x in self._embeddings.items()
        }
        self._genera, self._genus = np.unique(self.table["genus"].astype(str), return_inverse=True)
        self.nearest_genus = (
            None if outliers else self._nearest_genus(embeddings, train, train_table)
        )
        self.outliers = (
            {m: np.asarray(outliers[m], dtype=bool) for m in self.methods}
            if outliers
            else {m: near != self._genera[self._genus] for m, near in self.nearest_genus.items()}
        )
        self._rule = _outlier_rule(bool(outliers), train is not None)

    @classmethod
    def from_study(cls, study, dataset, *, method="tsne", cache_dir=None, **options):
        """The test split of finished runs, with centroids from their training split.

        Parameters
        ----------
        study : dict of str to dict
            Method → finished run with its ``embeddings``, as `runs.load_study` returns it.
        dataset : ImageDataset
            What they were trained on.
        method : {"tsne", "umap"}
            Of the map.
        cache_dir : path, optional
        **options
            Further parameters of the class, such as `title`.
        """
        from fgcl_utils.figures import METHOD_NAMES  # here: it brings seaborn and plotly

        arrays = {METHOD_NAMES.get(m, m): run["embeddings"] for m, run in study.items()}
        first = next(iter(arrays.values()))
        for name, other in arrays.items():
            if not np.array_equal(other["test_index"], first["test_index"]):
                raise ValueError(f"{name}'s run has another test split than {next(iter(arrays))}'s")
        shown = first["test_index"]
        test = {name: a["test"] for name, a in arrays.items()}
        if "planes" not in options:
            options["planes"] = projection.project(test, method, cache_dir=cache_dir)
        kind = {"tsne": "t-SNE", "umap": "UMAP"}[method]
        options.setdefault("map_note", f"The map is a {kind}; all methods share its start.")
        return cls(
            test,
            dataset.table.iloc[shown],
            photos=lambda i, size: dataset.photo(int(shown[i]), size),
            train={name: a["train"] for name, a in arrays.items()},
            train_table=dataset.table.iloc[first["train_index"]],
            **options,
        )

    def save(
        self,
        path: str | Path = "explorer.html",
        *,
        standalone: bool | None = None,
        size_mb: float = 10.0,
    ) -> Path:
        """Write the page.

        Parameters
        ----------
        path : path
            The HTML file; for a folder of shards that folder, where the page is ``index.html``
            ("explorer.html" then names the folder "explorer").
        standalone : bool, optional
            One file, or a folder. Default: one file up to 5,000 points.
        size_mb : float
            One file holds every 96 px thumbnail, compressed harder where many would not fit, and
            fills up with 224 px photos for the pins, outliers first, until it has this size. Pins
            without one show the thumbnail enlarged. A folder holds all.

        Returns
        -------
        Path
            The page to open.
        """
        path = Path(path)
        if standalone is None:
            standalone = len(self.table) <= ONE_FILE_POINTS
        if standalone:
            path.parent.mkdir(parents=True, exist_ok=True)
            self.path = path
            self._save_file(size_mb * 1e6)
        else:
            path = path.with_suffix("") if path.suffix == ".html" else path
            (path / "shards").mkdir(parents=True, exist_ok=True)
            self.path = path / "index.html"
            self._save_folder()
        return self.path

    def show(self, height: int = 780):
        """The saved page in an IPython IFrame; saved as explorer.html first if it never was.

        The frame's address is relative to the working directory, the notebook's.
        """
        from IPython.display import IFrame

        path = self.path or self.save()
        address = Path(os.path.relpath(path)).as_posix()
        return IFrame(address, "100%", height, extras=[f'title="{html.escape(self.title)}"'])

    def _repr_html_(self) -> str:
        return self.show()._repr_html_()

    # ------------------------------------------------------------------- what the page holds

    def _save_file(self, size):
        parts = list(self._blocks())
        records = {kind: [r for part in parts for r in part[kind]] for kind in SHARD_SIZE}
        photos = records.pop("photo")
        self._note_unreadable(map(bool, records["thumb"]))
        # base64 makes four bytes of three; an offset a photo, and some bytes around each shard
        bare = self._page(_inline({"facts": records["facts"]}), standalone=True, kinds=records)
        room = (size - len(bare)) * 3 / 4 - 12 * len(photos) - 500
        records["thumb"] = _thumbs_within(room, records["thumb"], photos)
        photos = self._photos_within(room - sum(map(len, records["thumb"])), photos)
        if any(photos):
            records["photo"] = photos
        _write(self.path, self._page(_inline(records), standalone=True, kinds=records))

    def _save_folder(self):
        self.path.unlink(missing_ok=True)  # it appears last, when all that it loads is there
        folder = self.path.parent / "shards"
        for stale in folder.glob("*.js"):
            if re.fullmatch(r"(facts|thumb|photo)-\d+", stale.stem):
                stale.unlink()
        readable = []
        for number, records in enumerate(self._blocks()):
            readable += map(bool, records["thumb"])
            for kind, data in records.items():
                first = number * BLOCK // SHARD_SIZE[kind]
                for name, shard in _shards(kind, data, first):
                    _write(folder / f"{name}.js", f'explorerShard("{name}","{_base64(shard)}")')
        self._note_unreadable(readable)
        _write(self.path, self._page("", standalone=False, kinds=SHARD_SIZE))

    def _blocks(self):
        """Records of `BLOCK` points at a time, kind → list of bytes: memory stays bounded."""
        vectors = [
            _stored_vectors(x, self._stored_dimensions(x)) for x in self._embeddings.values()
        ]
        with ThreadPoolExecutor(os.cpu_count()) as pool:  # Pillow lets go of the GIL
            for start in range(0, len(self.table), BLOCK):
                rows = range(start, min(start + BLOCK, len(self.table)))
                thumbs, photos = zip(*pool.map(self._encoded, rows), strict=True)
                facts = [self._facts(i, vectors) for i in rows]
                yield {"facts": facts, "thumb": list(thumbs), "photo": list(photos)}

    def _stored_dimensions(self, embedding):
        affordable = VECTOR_BYTES // (len(self.methods) * len(self.table))
        return min(embedding.shape[1], max(LEAST_DIMENSIONS, affordable))

    @property
    def _index_type(self):
        return "<u2" if len(self.table) <= 2**16 else "<u4"

    def _facts(self, i, vectors):
        """Neighbours under each method, scale and vector under each method, name of the image."""
        name = str(self.table["image"].iloc[i]).encode(errors="replace")
        near = [self.neighbours[m][i].astype(self._index_type).tobytes() for m in self.methods]
        return b"".join([*near, *(s[i].tobytes() + v[i].tobytes() for v, s in vectors), name])

    def _encoded(self, i):
        """WebP bytes of photo i at both sizes; empty where it cannot be read."""
        if self._photos is None:
            return b"", b""
        try:
            photo = self._photos(i, PHOTO_SIZE).convert("RGB")
        # Decoders and callers' functions raise anything: whatever it was, the photo goes on the
        # list of unreadable ones, and the map is made without it.
        except Exception:
            return b"", b""
        return _encodings(photo)

    def _photos_within(self, room, photos):
        """Keep photos while there is room in the file: outliers under any method first."""
        outlier = np.any(list(self.outliers.values()), axis=0)
        kept = [b""] * len(photos)
        for i in np.argsort(~outlier, kind="stable"):
            room -= len(photos[i])
            if room < 0:
                break
            kept[i] = photos[i]
        return kept

    def _note_unreadable(self, readable):
        if self._photos:
            names = self.table["image"].astype(str)
            self.unreadable = [name for name, ok in zip(names, readable, strict=True) if not ok]

    def _page(self, shards, standalone, kinds):
        return page.written(
            self.title, self._meta(standalone, kinds), self._columns(), shards, standalone
        )

    def _meta(self, standalone, kinds):
        species, genus_of_species = self._species_levels()
        methods = []
        for name in self.methods:
            centre, half = _frame(self.planes[name])
            x = self._embeddings[name]
            about = {"name": name, "dimensions": x.shape[1], "centre": centre, "half": half}
            about["stored_dimensions"] = self._stored_dimensions(x)
            methods.append(about | self.quality.get(name, {}))
        return {
            "title": self.title,
            "map_note": self.map_note,
            "outlier_rule": self._rule,
            "points": len(self.table),
            "methods": methods,
            "species": species,
            "genera": self._genera.tolist(),
            "genus_of_species": genus_of_species,
            "has_nearest": self.nearest_genus is not None,
            "index_bytes": int(self._index_type[-1]),
            "neighbours": next(iter(self.neighbours.values())).shape[1],
            "standalone": standalone,
            "shard_size": {kind: SHARD_SIZE[kind] for kind in kinds},
            "unreadable": {"count": len(self.unreadable), "names": self.unreadable[:200]},
        }

    def _columns(self):
        """Positions, species, nearest genera and outlier bits, one after the other."""
        parts = []
        for name in self.methods:
            centre, half = _frame(self.planes[name])
            parts.append(np.round((self.planes[name] - centre) / half * 32767).astype("<i2"))
        parts.append(self._species_codes().astype("<u2"))
        for near in (self.nearest_genus or {}).values():
            parts.append(np.searchsorted(self._genera, near).astype("<u2"))
        bits = sum(self.outliers[m].astype(np.uint8) << b for b, m in enumerate(self.methods))
        return b"".join(part.tobytes() for part in [*parts, bits.astype(np.uint8)])

    def _species_levels(self):
        """Names sorted within genus, and each one's genus code."""
        pairs = sorted(set(zip(self._genus.tolist(), self._species(), strict=True)))
        return [species for _, species in pairs], [genus for genus, _ in pairs]

    def _species_codes(self):
        names, genera = self._species_levels()
        code = {pair: c for c, pair in enumerate(zip(genera, names, strict=True))}
        pairs = zip(self._genus.tolist(), self._species(), strict=True)
        return np.array([code[pair] for pair in pairs])

    def _species(self):
        return self.table["species"].astype(str).tolist()

    def _nearest_genus(self, embeddings, train, train_table):
        """Name of the nearest genus centroid under each method, dict of (N,) str arrays."""
        source, table = (embeddings, self.table) if train is None else (train, train_table)
        genus = table["genus"].astype(str).to_numpy(dtype=str)
        return {m: metrics.nearest_centroid(source[m], genus, embeddings[m]) for m in self.methods}


def _check(embeddings, table, of_points, train, train_table):
    if not 1 <= len(embeddings) <= 8:
        raise ValueError(f"the explorer shows 1 to 8 methods, and there are {len(embeddings)}")
    missing = [name for name in ("image", "species", "genus") if name not in table.columns]
    if missing:
        raise ValueError(f"the table has no column {missing[0]!r}; it has {list(table.columns)}")
    if train is not None and train_table is None:
        raise ValueError("train embeddings need train_table, whose column genus labels their rows")
    for what, arrays in of_points.items():
        _check_rows(what, arrays, embeddings, table)
    _check_rows("train", train, embeddings, train_table)


def _check_rows(what, arrays, methods, table):
    """Every method has its array, with a row for each row of the table."""
    if arrays is None:
        return
    for name in methods:
        if name not in arrays:
            raise ValueError(f"{what} has no {name!r}; it has {list(arrays)}")
        if len(arrays[name]) != len(table):
            raise ValueError(
                f"{what}[{name!r}] has {len(arrays[name])} rows and its table {len(table)}; "
                "row i of both must be the same photo"
            )


def _outlier_rule(given, from_train):
    if given:
        return "Outliers were marked by whoever made this page."
    source = "the training photos" if from_train else "the photos shown"
    return (
        "A photo is an outlier if the nearest genus centroid is not its own genus's (cosine, in "
        f"the original space, centroids of {source})."
    )


def _file_photos(images, data_root):
    def photo(i, size):
        image = open_rgb(Path(data_root) / images[i], size)
        image.thumbnail(_box(image, size), reducing_gap=3)
        return image

    return photo


def _thumbs_within(room, thumbs, photos):
    """The thumbnails, compressed harder if they would not fit into `room` bytes."""

    def smaller(photo, quality):
        return _webp(Image.open(io.BytesIO(photo)), THUMB_BOX, quality) if photo else b""

    for quality in (45, 30, 15):
        if sum(map(len, thumbs)) <= room:
            break
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            thumbs = list(pool.map(smaller, photos, [quality] * len(photos)))
    return thumbs


def _box(image, shorter_side):
    """Size at which the shorter side is `shorter_side`, and the longer at most twice that."""
    scale = shorter_side / min(image.size)
    return tuple(min(round(side * scale), 2 * shorter_side) for side in image.size)


def _encodings(photo):
    """The thumbnail and the larger photo, as WebP bytes."""
    thumb = _webp(photo, THUMB_BOX, THUMB_QUALITY)
    return thumb, _webp(photo, _box(photo, PHOTO_SIZE), PHOTO_QUALITY)


def _webp(photo, box, quality):
    photo = photo.copy()
    photo.thumbnail(box, Image.Resampling.LANCZOS, reducing_gap=3)
    file = io.BytesIO()
    photo.save(file, "WEBP", quality=quality, method=4)
    return file.getvalue()


def _stored_vectors(embedding, dimensions):
    """Rows (N, D) as int8 (N, up to `dimensions`) and their float32 scales (N, 1).

    Wider embeddings are turned to their principal axes first; uncentred ones, since these keep
    inner products best. The page multiplies back: cosine distances are then right to about 0.01.
    """
    if embedding.shape[1] > dimensions:
        _, axes = np.linalg.eigh(embedding.T @ embedding)  # ascending; (D, D)
        embedding = embedding @ axes[:, -dimensions:]
    scale = np.abs(embedding).max(axis=1, keepdims=True) / 127  # (N, 1)
    whole = np.divide(embedding, scale, out=np.zeros_like(embedding), where=scale > 0)
    return np.round(whole).astype(np.int8), scale.astype("<f4")


def _frame(plane):
    """Centre and half width of the square around a map."""
    low, high = plane.min(axis=0).astype(float), plane.max(axis=0).astype(float)
    return ((low + high) / 2).tolist(), float((high - low).max() / 2) or 1.0


def _shards(kind, records, first=0):
    """Names and bytes of the shards that hold `records`: count + 1 offsets, then the records."""
    size = SHARD_SIZE[kind]
    for part, start in enumerate(range(0, len(records), size), first):
        data = records[start : start + size]
        offsets = np.cumsum([4 * (len(data) + 1), *map(len, data)]).astype("<u4")
        yield f"{kind}-{part}", b"".join([offsets.tobytes(), *data])


def _inline(records):
    """Script blocks that never run, one a shard."""
    return "\n".join(
        f'<script type="text/plain" id="{name}">{_base64(shard)}</script>'
        for kind, data in records.items()
        for name, shard in _shards(kind, data)
    )


def _base64(data):
    return base64.b64encode(data).decode()


def _write(path, text):
    with written_aside(path) as aside:
        aside.write_text(text, "utf-8", newline="\n")
