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
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from fgcl_utils import metrics, projection
from fgcl_utils.datasets import open_rgb
from fgcl_utils.explorer import page
from fgcl_utils.explorer.checks import check_points, numbers_of, page_at
from fgcl_utils.explorer.columns import further_columns
from fgcl_utils.explorer.steps import steps_of
from fgcl_utils.files import written_aside
from fgcl_utils.taxonomy import Taxonomy, checked_levels, plural

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
        One embedding a method; row i belongs to row i of `table`. At most 8 methods. Arrays or
        tensors.
    table : DataFrame
        Columns image and `levels`, one row per point. An empty cell or −1 is a name that is not
        known: such a photo is shown as not named at this level, and is no outlier there.
    levels : sequence of str
        Names of the nested label levels, finest first, 1 to 8. Outliers are judged at every level
        above the finest, the second one at first; with one level, at this one.
    columns : sequence of str, optional
        Further columns of the table to colour and filter by, see `columns.further_columns`; by
        default all that can be. Their values are in the page: () leaves them out.
    photos : callable, optional
        ``photos(i, size)`` returns point i as a PIL image whose shorter side is about `size`;
        `ImageDataset.photo` is one, given the rows. Default: the files ``data_root / image``.
    data_root : path, optional
        Folder of the photos where `photos` is not given. With neither, the page has no photos.
    train : dict of str to (M, D) float array, optional
        Training embeddings, for the class centroids. Default: centroids of the points shown.
    train_table : DataFrame, optional
        Columns `levels`, one row per training row; needed with `train`.
    planes : dict of str to (N, 2) float array, optional
        Maps to show; those of `projection.project` by default.
    outliers : dict of str to (N,) bool array, optional
        Points to ring, where they come from another rule than the nearest class centroid; of the
        second level.
    neighbours : dict of str to (N, k) int array, optional
        Nearest first, where they have been searched already: the exact search here takes minutes
        in the hundred thousands.
    steps : dict of str to (dict of str to str), optional
        Methods that have a slider, such as one of level blocks whose shares move: the method, a
        label for each step in order, and the step's name in `embeddings` (and in all that is given
        with them). One step is the method itself; the others are no methods of their own. At most
        16 embeddings in all.
    k : int
        Neighbours listed for a point.
    method : {"tsne", "umap"}
        Of the map.
    seed : int
        Of the map.
    cache_dir : path, optional
        Where finished maps are kept, see `projection.project`.
    map_note : str, optional
        One sentence on how the planes were made, shown in the page's help.
    title : str

    Attributes
    ----------
    methods : list of str
        The embeddings without the further steps of sliders.
    planes, outliers : dict of str to array
        Each method's map (N, 2), and its outliers (N,) of the level that is judged at first.
    outliers_at : dict of str to dict
        Such `outliers` for each level that is judged.
    quality : dict of str to dict
        How far each map can be trusted, see `projection.quality`; {} below three points.
    unreadable : list of str
        Names of photos that could not be read, once saved.

    Raises
    ------
    ValueError
        If the parts do not describe the same points, or the levels are not nested; the message
        names what differs.
    """

    def __init__(
        self,
        embeddings: Mapping[str, np.ndarray],
        table: pd.DataFrame,
        *,
        levels: Sequence[str] = ("species", "genus"),
        columns: Sequence[str] | None = None,
        photos: Callable[[int, int], Image.Image] | None = None,
        data_root: str | Path | None = None,
        train: Mapping[str, np.ndarray] | None = None,
        train_table: pd.DataFrame | None = None,
        planes: Mapping[str, np.ndarray] | None = None,
        outliers: Mapping[str, np.ndarray] | None = None,
        neighbours: Mapping[str, np.ndarray] | None = None,
        steps: Mapping[str, Mapping[str, str]] | None = None,
        k: int = 12,
        method: str = "tsne",
        seed: int = 0,
        cache_dir: str | Path | None = None,
        map_note: str | None = None,
        title: str = "Embedding explorer",
    ):
        embeddings, train = numbers_of("embeddings", embeddings), numbers_of("train", train)
        planes = numbers_of("planes", planes)
        of_points = {"planes": planes, "outliers": outliers, "neighbours": neighbours}
        self.levels = checked_levels(levels)
        self._steps = {m: dict(of_method) for m, of_method in (steps or {}).items()}
        check_points(embeddings, table, self.levels, of_points, train, train_table, self._steps, k)
        further = {name for m, own in self._steps.items() for name in own.values() if name != m}
        self.methods = [name for name in embeddings if name not in further]
        self.table = table.reset_index(drop=True)
        self.title = title
        self.map_note = map_note or _map_note(planes, method)
        self.path = None
        self.unreadable = []
        self._photos = photos or (data_root and _file_photos(self.table["image"], data_root))
        self._further = further_columns(self.table, self.levels, columns)
        self.taxonomy, self._labels, train_labels = _encoded_names(
            table, train_table if train else None, self.levels
        )

        # Those of methods come first, then the further steps of sliders.
        self._names = [*self.methods, *(name for name in embeddings if name in further)]
        self._embeddings = {m: projection.unit_rows(embeddings[m], m) for m in self._names}
        planes = planes or self._projected(method, seed, cache_dir)
        self._planes = {m: np.asarray(planes[m], dtype=np.float32) for m in self._names}
        self.neighbours = {
            m: np.asarray(neighbours[m]) if neighbours else projection.nearest_neighbours(x, k)
            for m, x in self._embeddings.items()
        }
        k_quality = min(12, (len(self.table) - 1) // 2)
        self._quality = {
            m: projection.quality(x, self._planes[m], k_quality) if k_quality else {}
            for m, x in self._embeddings.items()
        }

        judged = self.levels[1:] or self.levels
        if outliers:
            self._nearest = None
            given = {m: np.asarray(outliers[m], dtype=bool) for m in self._names}
            self._outliers_at = {judged[0]: given}
        else:
            source = (embeddings, self._labels) if train is None else (train, train_labels)
            self._nearest = {
                level: self._nearest_classes(level, *source, embeddings) for level in self.levels
            }
            self._outliers_at = {
                level: {m: self._differs(level, near) for m, near in self._nearest[level].items()}
                for level in judged
            }
        self.planes, self.quality = self._of_methods(self._planes), self._of_methods(self._quality)
        self.outliers_at = {l: self._of_methods(of) for l, of in self._outliers_at.items()}
        self.outliers = self.outliers_at[judged[0]]
        self._rules = [
            _outlier_rule(l, bool(outliers), train is not None) for l in self.outliers_at
        ]

    @classmethod
    def from_study(cls, study, dataset, *, sliders=True, **options):
        """The test split of finished runs, with centroids from their training split.

        Methods are named as in the figures, levels as in the data set.

        Parameters
        ----------
        study : dict of str to dict
            Method → finished run with its ``embeddings``, as `runs.load_study` returns it.
        dataset : ImageDataset
            What they were trained on.
        sliders : bool
            Whether level blocks get a slider for what each level counts for. It takes the run's
            ``folder``, and four more maps. Not where `options` give the methods' maps, outliers or
            neighbours.
        **options
            Further parameters of the class, such as `title`.
        """
        from fgcl_utils.figures import METHOD_NAMES  # here: it brings seaborn and plotly

        arrays = {METHOD_NAMES.get(m, m): run["embeddings"] for m, run in study.items()}
        steps = {}
        sliders = sliders and not {"planes", "outliers", "neighbours"} & options.keys()
        for method, run in study.items() if sliders else ():
            name = METHOD_NAMES.get(method, method)
            for label, at_shares in steps_of(run, dataset.levels).items():
                step = name if at_shares is None else f"{name}, {label}"
                steps.setdefault(name, {})[label] = step
                arrays.setdefault(step, at_shares)
        first = next(iter(arrays.values()))
        for name, other in arrays.items():
            if not np.array_equal(other["test_index"], first["test_index"]):
                raise ValueError(f"{name}'s run has another test split than {next(iter(arrays))}'s")
        shown = first["test_index"]
        return cls(
            {name: a["test"] for name, a in arrays.items()},
            dataset.table.iloc[shown],
            levels=dataset.levels,
            photos=lambda i, size: dataset.photo(int(shown[i]), size),
            train={name: a["train"] for name, a in arrays.items()},
            train_table=dataset.table.iloc[first["train_index"]],
            steps=steps,
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
            The HTML file, or a folder that is there, for ``explorer.html`` in it; for a folder of
            shards that folder, where the page is ``index.html`` ("explorer.html" then names the
            folder "explorer").
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

        Raises
        ------
        ValueError
            If a folder is where the page would be, or a file where a folder would be.
        """
        path = Path(path)
        if standalone is None:
            standalone = len(self.table) <= ONE_FILE_POINTS
        self.path = page_at(path, standalone)
        if standalone:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._save_file(size_mb * 1e6)
        else:
            (self.path.parent / "shards").mkdir(parents=True, exist_ok=True)
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
        affordable = VECTOR_BYTES // (len(self._names) * len(self.table))
        return min(embedding.shape[1], max(LEAST_DIMENSIONS, affordable))

    @property
    def _index_type(self):
        return "<u2" if len(self.table) <= 2**16 else "<u4"

    def _facts(self, i, vectors):
        """Neighbours under each method, scale and vector under each method, name of the image."""
        name = str(self.table["image"].iloc[i]).encode(errors="replace")
        near = [self.neighbours[m][i].astype(self._index_type).tobytes() for m in self._names]
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
        outlier = np.any(list(self.outliers.values()), axis=0)  # at the level that opens
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
        maps = []
        for name, x in self._embeddings.items():
            centre, half = _frame(self._planes[name])
            about = {"dimensions": x.shape[1], "stored_dimensions": self._stored_dimensions(x)}
            maps.append(about | {"centre": centre, "half": half} | self._quality[name])
        return {
            "title": self.title,
            "map_note": self.map_note,
            "points": len(self.table),
            "maps": maps,
            "methods": [self._slider(name) for name in self.methods],
            "levels": [
                {"name": name, "plural": plural(name), "names": names}
                for name, names in zip(self.levels, self.taxonomy.names, strict=True)
            ],
            "parents": self.taxonomy.parent_codes,
            "paths": self._paths[0].tolist(),
            "judged": [self.levels.index(level) for level in self.outliers_at],
            "outlier_rules": self._rules,
            "has_nearest": self._nearest is not None,
            "columns": [about for about, _ in self._further],
            "index_bytes": int(self._index_type[-1]),
            "neighbours": next(iter(self.neighbours.values())).shape[1],
            "standalone": standalone,
            "shard_size": {kind: SHARD_SIZE[kind] for kind in kinds},
            "unreadable": {"count": len(self.unreadable), "names": self.unreadable[:200]},
        }

    def _slider(self, method):
        """What the page is told of a method: its maps, a label for each, which it opens with."""
        own = self._steps.get(method, {"": method})
        maps = [self._names.index(name) for name in own.values()]
        start = list(own.values()).index(method)
        return {"name": method, "maps": maps, "steps": list(own), "start": start}

    def _columns(self):
        """Positions, labels, nearest classes or outlier bits, further columns, one by one."""
        parts = []
        for plane in self._planes.values():
            centre, half = _frame(plane)
            parts.append(np.round((plane - centre) / half * 32767).astype("<i2"))
        paths, places = self._paths
        parts.append(places.astype("<u2" if len(paths) <= 2**16 else "<u4"))
        for of_level in (self._nearest or {}).values():
            parts += [near.astype("<u2") for near in of_level.values()]
        if not self._nearest:
            [given] = self._outliers_at.values()
            bits = sum(out.astype(np.uint16) << b for b, out in enumerate(given.values()))
            parts.append(bits.astype("<u2"))
        parts += [codes.astype("<u2") for _, codes in self._further]
        return b"".join(part.tobytes() for part in parts)

    @cached_property
    def _paths(self):
        """The labels that occur (P, L), finest first, and each point's place among them (N,)."""
        return np.unique(self._labels, axis=0, return_inverse=True)

    def _nearest_classes(self, level, source, labels, embeddings):
        """Class of the nearest centroid at a level, dict of (N,) codes."""
        labels = labels[:, self.levels.index(level)]
        return {m: metrics.nearest_centroid(source[m], labels, embeddings[m]) for m in self._names}

    def _projected(self, method, seed, cache_dir):
        """The methods' maps, and those of sliders' steps, each started from the one beside it."""
        planes = projection.project(
            {m: self._embeddings[m] for m in self.methods}, method, seed, cache_dir
        )
        for m, own in self._steps.items():
            names = list(own.values())
            at = names.index(m)
            for way in (names[at::-1], names[at:]):
                ways = {name: self._embeddings[name] for name in way[1:]}
                if ways:
                    planes |= projection.project_on(planes[m], ways, method, seed, cache_dir)
        return planes

    def _of_methods(self, arrays):
        return {m: arrays[m] for m in self.methods}

    def _differs(self, level, nearest):
        """Which nearest classes are not their points' own; a point of unknown class has none."""
        labels = self._labels[:, self.levels.index(level)]
        return (nearest != labels) & (labels >= 0)


def _encoded_names(table, train_table, levels):
    """The taxonomy of both tables, and the codes of each, (N, L); None for no table."""
    cells = pd.concat([_names(t, levels) for t in (table, train_table) if t is not None])
    named = (cells != "").any(axis=1).to_numpy()
    taxonomy = Taxonomy.from_table(cells[named] if named.any() else cells, levels)
    labels = taxonomy.encode(cells)
    return taxonomy, labels[: len(table)], None if train_table is None else labels[len(table) :]


def _names(table, levels):
    """The levels' cells as text, empty where there is no name; the index tells rows in errors."""
    cells = table[list(levels)]
    return cells.astype(str).mask(cells.isna() | cells.isin([-1]), "")


def _map_note(planes, method):
    if planes is not None:
        return "The map was given by whoever made this page."
    kind = {"tsne": "t-SNE", "umap": "UMAP"}.get(method)
    return f"The map is a {kind}; every method's starts from one shared layout."


def _outlier_rule(level, given, from_train):
    if given:
        return "Outliers were marked by whoever made this page."
    source = "the training images" if from_train else "the images shown"
    return (
        f"An image is an outlier if the nearest {level} centroid is not that of its own {level} "
        f"(cosine, in the original space, centroids of {source})."
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
