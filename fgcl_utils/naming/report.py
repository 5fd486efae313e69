"""The answers as one page, which needs no server and no network.

For each photo: the answer in words and what it rests on, the likeliest classes, the nearest known
photos side by side, and its place on the finished map of the run's test photos. The page has no
script; its content-security policy lets none in, and no request out.
"""

import base64
import hashlib
import html
import io
import string
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from fgcl_utils import projection, runs
from fgcl_utils.datasets import ImageError, open_rgb
from fgcl_utils.files import cache_dir, written_aside
from fgcl_utils.methods import METHODS
from fgcl_utils.naming.identifier import BATCH, named_images
from fgcl_utils.naming.network import dataset_of, fingerprint_of, settings_of
from fgcl_utils.naming.words import WARNING, grounds

_HERE = Path(__file__).parent
MOST = 300  # photos on a page: it stays below 20 MB
PHOTO, NEAR = 224, 96  # pixels of the shorter side
PLACED_BY = 7  # neighbours on the map
SIDE = 200  # of the map's square, in its own units


class Map(NamedTuple):
    """The finished map of a run's test photos."""

    embedding: np.ndarray  # (N, D)
    plane: np.ndarray  # (N, 2), within 0 … SIDE
    names: list[str]  # (N,), of the coarsest level

    def place(self, vectors):
        """Where embeddings (M, D) fall: the medians of their nearest test photos; (M, 2)."""
        cosines = projection.unit_rows(vectors, "photos") @ self.embedding.T  # (M, N)
        nearest = np.argsort(-cosines, axis=1)[:, :PLACED_BY]
        return np.median(self.plane[nearest], axis=1)


def map_of(folder, data_root=None):
    """The map that the study of a finished run shows: its methods, one seed, one shared start."""
    from fgcl_utils.figures import METHOD_NAMES  # here: it brings seaborn and plotly

    folder, (settings, method) = Path(folder), settings_of(folder)
    dataset = dataset_of(folder, data_root)
    beside = {m: folder.parents[1] / m / folder.name for m in METHODS}
    found = {
        m: runs.load_embeddings(other)
        for m, other in beside.items()
        if runs.finished(other) and fingerprint_of(other) == dataset.fingerprint
    }
    # By the same names and rows as the explorer's, whose map is then in the cache already.
    rows = {METHOD_NAMES[m]: projection.unit_rows(a["test"], m) for m, a in found.items()}
    planes = projection.project(rows, settings.map_method, 0, cache_dir() / "maps")
    plane = planes[METHOD_NAMES[method]]
    low, span = plane.min(axis=0), np.ptp(plane, axis=0).max() or 1
    names = dataset.table[dataset.levels[-1]].iloc[found[method]["test_index"]].tolist()
    plane = 8 + (plane - low) / span * (SIDE - 16)
    return Map(rows[METHOD_NAMES[method]], plane, names)


def write(path, identifier, images, answers, shown_map=None, title="What is on these photos?"):
    """Write the page.

    Parameters
    ----------
    path : path
    identifier : Identifier
    images : sequence or mapping
        As of `Identifier.identify`; the first `MOST` are shown.
    answers : sequence of dict
        Theirs, as of `Identifier.answers`.
    shown_map : Map, optional
    title : str
    """
    images = [image for _, image in named_images(images)]
    pairs = list(islice(zip(images, answers, strict=True), MOST))
    readable = [image for image, answer in pairs if not answer["problem"]]
    squares = [square for square, _ in map(identifier.read, readable)]
    places = iter([None] * len(squares))
    if shown_map is not None and squares:
        batches = [np.stack(squares[i : i + BATCH]) for i in range(0, len(squares), BATCH)]
        places = iter(shown_map.place(np.concatenate([*map(identifier.embed, batches)])))
    articles = [
        _unreadable(answer)
        if answer["problem"]
        else _article(identifier, image, answer, next(places))
        for image, answer in pairs
    ]
    style = (_HERE / "report.css").read_text("utf-8")
    left_out = len(answers) - len(pairs)
    about = identifier.about
    text = string.Template((_HERE / "report.html").read_text("utf-8")).substitute(
        title=html.escape(title),
        style=style,
        style_hash=f"'sha256-{base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()}'",
        warning=html.escape(WARNING),
        about=html.escape(
            f"Answers of the run {about['run']} on {about['dataset']} data. Its probabilities are "
            f"calibrated on validation photos, by {identifier.namer.rule}."
        ),
        map="" if shown_map is None else _points(shown_map),
        photos="\n".join(articles),
        footer=f"{left_out:,} more photos were named and are not shown." if left_out else "",
    )
    with written_aside(path) as aside:
        aside.write_text(text, encoding="utf-8", errors="replace")
    return Path(path)


def _article(identifier, image, answer, place):
    levels = identifier.levels
    shown = _photo(image)
    parts = [
        "<article><div>",
        f"<figure>{_image(shown, 'the photo')}"
        f"<figcaption>{html.escape(answer['image'])}</figcaption></figure>",
        "" if place is None else _place(place, levels[-1]),
        f"</div><div><h2>{html.escape(answer['answer'])}</h2>",
        f"<p>{html.escape(grounds(answer, identifier))}</p>",
        "".join(_candidates(level, answer) for level in levels[::-1]),
        '<p class="small">The nearest training photos, and their cosines:</p><div class="near">',
        *(_neighbour(identifier, near) for near in answer["neighbours"]),
        "</div></div></article>",
    ]
    return "".join(parts)


def _unreadable(answer):
    name, problem = html.escape(answer["image"]), html.escape(answer["problem"])
    return f"<article><div>{name}</div><div><h2>cannot be read</h2><p>{problem}</p></div></article>"


def _candidates(level, answer):
    rows = [
        f"<tr><th>{'' if place else html.escape(level)}</th><td>{html.escape(name)}</td>"
        f'<td><meter value="{p:.4f}"></meter></td><td class="number">{p:.1%}</td></tr>'
        for place, (name, p) in enumerate(answer[f"{level}_candidates"])
    ]
    return f"<table>{''.join(rows)}</table>"


def _neighbour(identifier, near):
    finest = next((near[level] for level in identifier.levels if near[level]), "")
    photo = ""
    if identifier.photo is not None:
        try:
            photo = _image(identifier.photo(near["row"], NEAR), "a training photo", NEAR)
        except (ImageError, OSError):  # it has moved since: its name is still evidence
            photo = ""
    caption = f"{html.escape(finest)}, {near['cosine']:.2f}"
    title = html.escape(near["image"], quote=True)
    return f'<figure title="{title}">{photo}<figcaption>{caption}</figcaption></figure>'


def _photo(image):
    if isinstance(image, str | Path):
        return open_rgb(image, PHOTO)
    return image if isinstance(image, Image.Image) else Image.fromarray(np.asarray(image))


def _image(photo, alt, side=PHOTO):
    photo = photo.convert("RGB")
    photo.thumbnail((2 * side, side) if photo.width > photo.height else (side, 2 * side))
    file = io.BytesIO()
    photo.save(file, "WEBP", quality=75)
    data = base64.b64encode(file.getvalue()).decode()
    return f'<img alt="{alt}" src="data:image/webp;base64,{data}">'


def _points(shown_map):
    """All test photos as circles, a group a class."""
    from fgcl_utils.figures import genus_styles  # here: it brings seaborn and plotly

    names, groups = np.array(shown_map.names), []
    for name, style in genus_styles(shown_map.names).items():
        circles = "".join(
            f'<circle cx="{x:.1f}" cy="{SIDE - y:.1f}" r="1.6"/>'
            for x, y in shown_map.plane[names == name]
        )
        label = html.escape(name)
        groups.append(f'<g fill="{style.color}" opacity=".6"><title>{label}</title>{circles}</g>')
    return "".join(groups)


def _place(place, level):
    x, y = place
    return (
        f'<figure><svg class="map" viewBox="0 0 {SIDE} {SIDE}" role="img" '
        f'aria-label="its place on the map"><use href="#map"/>'
        f'<circle class="new" cx="{x:.1f}" cy="{SIDE - y:.1f}" r="7"/></svg>'
        f"<figcaption>Its place among the test photos, coloured by {html.escape(level)}"
        "</figcaption></figure>"
    )
