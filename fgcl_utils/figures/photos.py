"""Photos: of the genera, of the two views, of the species that are taken for each other."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import ImageOps

from fgcl_utils.datasets import load_dataset
from fgcl_utils.figures.names import no_math, width
from fgcl_utils.figures.style import WIDTH, print_like
from fgcl_utils.metrics.centroids import nearest_centroid, unit


@print_like
def image_grid(
    images: Sequence[np.ndarray | None],
    titles: Sequence[str] | None = None,
    columns: int = 8,
    labels: Sequence[str] | None = None,
) -> Figure:
    """Photos in rows.

    Parameters
    ----------
    images : uint8 (N, S, S, 3), or a sequence of uint8 (S, S, 3)
        Filled in row by row; None leaves its place empty.
    titles : sequence of N str, optional
        A line above each photo.
    columns : int
        Photos in a row.
    labels : sequence of str, optional
        One name a row, at its left.
    """
    if len(images) == 0:
        raise ValueError("image_grid: no images to show; is the selection empty?")
    rows = -(-len(images) // columns)
    for what, given, expected in (("titles", titles, len(images)), ("labels", labels, rows)):
        if given is not None and len(given) != expected:
            raise ValueError(f"image_grid: {expected} {what} expected, got {len(given)}")

    labels = None if labels is None else [no_math(label, 28) for label in labels]
    left = 0.1 + 0.08 * max(map(width, labels or [""]))  # inches
    photo = (WIDTH - left) / (columns * 1.05)
    gap = 0.05 + (0.2 / photo if titles is not None else 0)  # in photo widths
    fig, ax = plt.subplots(figsize=(WIDTH, photo * rows * (1 + gap) + 0.1))
    _montage(ax, images, columns, gap)
    if titles is not None:
        for place, title in enumerate(titles):
            row, column = divmod(place, columns)
            ax.text(
                column * 1.05 + 0.5, row * (1 + gap) - 0.04 / photo,
                no_math(title, max(3, photo / 0.07)), ha="center", va="bottom",
            )  # fmt: skip
    if labels is not None:
        middles = [row * (1 + gap) + 0.5 for row in range(rows)]
        ax.set_yticks(middles, labels)
    return fig


def sample_grid(
    dataset, per_genus: int = 8, seed: int = 0, max_genera: int = 12, level: str | None = None
) -> Figure:
    """A row of training photos for each genus, drawn at random.

    Parameters
    ----------
    dataset : ImageDataset
    per_genus : int
        Photos in a row; a genus that has fewer leaves places empty.
    seed : int
        Of the draw.
    max_genera : int
        Only this many genera, those with the most photos, when there are more.
    level : str, optional
        The level that has the rows; by default the second, or the only one.
    """
    rng = np.random.default_rng(seed)
    level = level or dataset.taxonomy.levels[:2][-1]
    genus = dataset.table.loc[dataset.indices("train"), level]
    shown = sorted(genus.value_counts().index[:max_genera])
    photos: list[np.ndarray | None] = []
    for name in shown:
        members = genus.index[genus == name]
        drawn = rng.permutation(members)[:per_genus]
        photos += [_square_photo(dataset, i) for i in drawn] + [None] * (per_genus - len(drawn))
    return image_grid(photos, columns=per_genus, labels=shown)


def synthetic_samples(per_genus: int = 8, seed: int = 0) -> Figure:
    """`sample_grid` of the synthetic data, with no dial turned."""
    return sample_grid(load_dataset("synthetic"), per_genus, seed)


def genus_strip(dataset, seed: int = 0, max_genera: int = 6) -> Figure:
    """One training image of each genus, or of the largest ones, under its name.

    Parameters
    ----------
    dataset : ImageDataset
    seed : int
        Of the draw.
    max_genera : int
    """
    rng = np.random.default_rng(seed)
    genus = dataset.table.loc[dataset.indices("train"), dataset.taxonomy.levels[:2][-1]]
    names = sorted(genus.value_counts().index[:max_genera])
    images = [_square_photo(dataset, rng.choice(genus.index[genus == name])) for name in names]
    return image_grid(images, names, columns=len(names))


def mended_outlier(runs: Mapping[str, Mapping], outliers: Mapping, dataset) -> Figure:
    """An outlier of CE that HCL mends, and the training image that each method finds beside it.

    Of all of them, one whose genus CE takes most often for another.

    Parameters
    ----------
    runs : mapping of method to mapping
        Of "ce" and "hcl", with "embeddings" as in ``embeddings.npz``.
    outliers : mapping of method to bool (N,)
        Which test images are nearest to the centroid of another genus.
    dataset : ImageDataset
    """
    mended = np.flatnonzero(outliers["ce"] & ~outliers["hcl"])
    if len(mended) == 0:
        return _sentence("No outlier of CE is mended by HCL.")
    genera = dataset.labels[:, 1]
    found = {m: _nearest_of_genus(runs[m]["embeddings"], genera, mended) for m in ("ce", "hcl")}
    test = runs["ce"]["embeddings"]["test_index"][mended]
    errors = [*zip(genera[test], genera[found["ce"]], strict=True)]
    shown = max(range(len(mended)), key=lambda k: errors.count(errors[k]))
    images = [test[shown], found["ce"][shown], found["hcl"][shown]]
    named = [dataset.taxonomy.names[1][genera[i]] for i in images]
    titles = [f"{named[0]} (test)", f"CE: {named[1]}", f"HCL: {named[2]}"]
    return image_grid([_square_photo(dataset, i, 224) for i in images], titles, columns=3)


def _nearest_of_genus(
    embeddings: Mapping[str, np.ndarray], genera: np.ndarray, chosen: np.ndarray
) -> np.ndarray:
    """Of chosen test samples (K,), the nearest training sample in the genus they lie in, (K,)."""
    train, test = embeddings["train"], embeddings["test"][chosen]
    known = genera[embeddings["train_index"]]
    genus = nearest_centroid(train, known, test)
    cosines = np.where(genus[:, None] == known, unit(test) @ unit(train).T, -np.inf)
    return embeddings["train_index"][cosines.argmax(axis=1)]


def view_pairs(images: np.ndarray, views_a: np.ndarray, views_b: np.ndarray) -> Figure:
    """Each photo above the two augmented views of it, all uint8 (N, S, S, 3)."""
    if not len(images) == len(views_a) == len(views_b):
        raise ValueError(
            "view_pairs: as many views as images expected, got "
            f"{len(images)} images, {len(views_a)} and {len(views_b)} views"
        )
    return image_grid(
        [*images, *views_a, *views_b],
        columns=len(images),
        labels=["original", "view 1", "view 2"],
    )


@print_like
def confusable_species(pairs: pd.DataFrame, dataset, per_species: int = 4) -> Figure:
    """The species that are taken for each other, photo above photo (the paper's Figure 1).

    Parameters
    ----------
    pairs : DataFrame
        One row a pair, as from `metrics.confusable_species`: species_a, species_b, genus (empty
        where there is no level above), confusions (a count), examples_a and examples_b (row
        numbers of images).
    dataset : ImageDataset
    per_species : int
        Photos in a row, at most.
    """
    if pairs.empty:
        return _sentence("No species was taken for another.")
    rows = -(-len(pairs) // 2)
    fig = plt.figure(figsize=(WIDTH, rows * (WIDTH / 2 / per_species * 2 + 0.7)))
    places = fig.subfigures(rows, 2, wspace=0.03, squeeze=False).flat
    for place, pair in zip(places, pairs.itertuples(index=False), strict=False):
        confused = f"confused {pair.confusions:,}×"
        title = f"{no_math(pair.genus, 26)} · {confused}" if pair.genus else confused
        place.suptitle(title, fontsize=10, fontweight="bold")
        species = (pair.species_a, pair.examples_a), (pair.species_b, pair.examples_b)
        for ax, (name, examples) in zip(place.subplots(2, 1), species, strict=True):
            photos = [_square_photo(dataset, i, 160) for i in examples[:per_species]]
            _montage(ax, photos + [None] * (per_species - len(photos)), per_species, gap=0.05)
            ax.set_title(no_math(name, 44), loc="left", style="italic", pad=3)
    return fig


@print_like
def _sentence(text: str) -> Figure:
    """In place of a figure that has nothing to show."""
    fig = plt.figure(figsize=(WIDTH, 0.6))
    fig.text(0.5, 0.5, text, ha="center", va="center")
    return fig


def _square_photo(dataset, index: int, size: int = 128) -> np.ndarray:
    """The middle square of a photo, uint8 (size, size, 3)."""
    return np.asarray(ImageOps.fit(dataset.photo(int(index), size), (size, size)))


def _montage(ax: Axes, images: Sequence[np.ndarray | None], columns: int, gap: float) -> None:
    """Draw the photos one unit wide, `gap` of a unit apart from row to row."""
    for place, image in enumerate(images):
        if image is not None:
            row, column = divmod(place, columns)
            x, y = column * 1.05, row * (1 + gap)
            ax.imshow(image, extent=(x, x + 1, y + 1, y), interpolation="antialiased")
    rows = -(-len(images) // columns)
    ax.set(xlim=(0, columns * 1.05 - 0.05), ylim=(rows * (1 + gap) - gap, -max(gap - 0.05, 0)))
    ax.set(xticks=[], yticks=[], aspect="equal", anchor="E")
    ax.spines[:].set_visible(False)
    ax.tick_params(length=0)
