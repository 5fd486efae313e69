"""The figures of the study: arrays and tables in, one finished figure out.

Photos, matrices and print-like pictures are matplotlib and seaborn; what a reader wants to zoom
or read off is Plotly. All share one look: a genus has a colour *and* a marker, so that nothing is
told by colour alone, and lettering stays above 10 px at the book's width of 800 px. Matplotlib
figures come closed, so a notebook shows them once, as the value of the cell.

Names come from the user's files. They are shown as text, never read as HTML, MathJax or mathtext.
"""

import base64
import functools
import html
import io
import itertools
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import plotly.graph_objects as go
import plotly.io as pio
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from pandas.io.formats.style import Styler
from PIL import Image, ImageOps
from plotly.io.base_renderers import PlotlyRenderer
from plotly.subplots import make_subplots

# Okabe & Ito (2008), "Color universal design": told apart with any colour vision. Black is left
# out because it vanishes on the dark theme; yellow, faint on white, comes last.
OKABE_ITO = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#F0E442")
# One more symbol than colours: the pairs repeat only after 7 × 8 = 56 genera.
_SYMBOLS = ("circle", "square", "diamond", "triangle-up", "cross", "triangle-down", "x", "star")
_MARKERS = ("o", "s", "D", "^", "P", "v", "X", "*")

METHOD_NAMES = {"ce": "CE", "supcon": "SupCon", "hcl": "HCL"}

# Chamidullin, "Contrastive Learning for Fine-grained Visual Recognition": genus outliers among
# the 3,640 test photos of DF20-Mini. The text gives CE, and SupCon and HCL as 302 and 524 fewer.
PAPER_OUTLIERS = {"ce": 725, "supcon": 725 - 302, "hcl": 725 - 524}
PAPER_TEST_PHOTOS = 3640

_GREY = "#777777"  # 4.5:1 on white, 4.2:1 on the book's dark page
_FAINT = "rgba(128, 128, 128, 0.25)"
_CLEAR = "rgba(0, 0, 0, 0)"

# 8 inches are the book's 800 px, so 1 pt is 1.4 px there; 160 dpi keeps photos sharp on good
# screens. The patch is white because the dark theme puts a light sheet behind images anyway.
_WIDTH = 8.0
_PRINT = {
    "figure.dpi": 160,
    "figure.facecolor": "white",
    "figure.constrained_layout.use": True,
    "figure.constrained_layout.h_pad": 0.06,
    "font.size": 9.0,
    "axes.titlesize": 9.5,
    "axes.labelsize": 9.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#999999",
    "xtick.color": "#999999",
    "ytick.color": "#999999",
    "xtick.labelcolor": "black",
    "ytick.labelcolor": "black",
    "legend.frameon": False,
}


def _print_like(draw):
    """Decorate a function that draws with matplotlib: our look inside it, no trace outside."""

    @functools.wraps(draw)
    def drawn(*args, **kwargs) -> Figure:
        with plt.rc_context(_PRINT):
            figure = draw(*args, **kwargs)
        plt.close(figure)
        return figure

    return drawn


def _template() -> go.layout.Template:
    axis = {
        "gridcolor": _FAINT,
        "linecolor": _GREY,
        "zeroline": False,
        "ticks": "outside",
        "tickcolor": _GREY,
        "automargin": True,
        "title": {"standoff": 10},
    }
    return go.layout.Template(
        layout={
            "paper_bgcolor": _CLEAR,
            "plot_bgcolor": _CLEAR,
            "font": {"family": "system-ui, sans-serif", "size": 13, "color": _GREY},
            "colorway": OKABE_ITO,
            "xaxis": axis,
            "yaxis": axis,
            "legend": {"bgcolor": _CLEAR, "orientation": "h", "y": -0.2, "yanchor": "top"},
            "margin": {"l": 50, "r": 15, "t": 36, "b": 40},
            "height": 360,
            "hoverlabel": {"font": {"size": 13}, "align": "left"},
            "modebar": {"bgcolor": _CLEAR, "color": _GREY, "activecolor": OKABE_ITO[0]},
        }
    )


pio.templates["fgcl"] = _template()
# plotly.js 4 offers to upload every figure to a server; ours leave nobody's machine.
_CONFIG = {"displaylogo": False, "showSendToCloud": False}


class BookRenderer(PlotlyRenderer):
    """Plotly's own mimetype, for JupyterLab, beside plain HTML, for the book.

    The HTML carries no plotly.js: the book adds one copy to every page with a figure.
    """

    def to_mimebundle(self, fig_dict: dict) -> dict:
        page = _to_html(fig_dict)  # first, for the base class writes its config into fig_dict
        return super().to_mimebundle(fig_dict) | {"text/html": page}


def use_book_renderer() -> None:
    """Show Plotly figures through `BookRenderer` from now on, in the "fgcl" look."""
    pio.renderers["fgcl"] = BookRenderer(_CONFIG)
    pio.renderers.default = "fgcl"
    pio.templates.default = "fgcl"


def _to_html(figure: go.Figure | dict, post_script: str | None = None) -> str:
    return pio.to_html(
        figure,
        config=_CONFIG,
        include_plotlyjs=False,
        include_mathjax=False,
        full_html=False,
        validate=False,
        post_script=post_script,
    )


class Style(NamedTuple):
    """How one genus looks everywhere."""

    color: str
    symbol: str  # Plotly's name
    marker: str  # matplotlib's name


def genus_styles(genera: Sequence[str]) -> dict[str, Style]:
    """Colour and marker of each genus; the names in sorted order take the styles in turn.

    Parameters
    ----------
    genera : sequence of str
        Genus names, repeated as often as wished (a table's column will do).
    """
    looks = zip(itertools.cycle(OKABE_ITO), itertools.cycle(_SYMBOLS), itertools.cycle(_MARKERS))
    return {name: Style(*look) for name, look in zip(sorted(set(genera)), looks, strict=False)}


# ---------------------------------------------------------------------------------- photos


@_print_like
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

    left = 0.1 + 0.08 * max(len(str(label)) for label in labels or [""])  # inches
    photo = (_WIDTH - left) / (columns * 1.05)
    gap = 0.05 + (0.2 / photo if titles is not None else 0)  # in photo widths
    fig, ax = plt.subplots(figsize=(_WIDTH, photo * rows * (1 + gap) + 0.1))
    _montage(ax, images, columns, gap)
    if titles is not None:
        for place, title in enumerate(titles):
            row, column = divmod(place, columns)
            ax.text(
                column * 1.05 + 0.5, row * (1 + gap) - 0.04 / photo, _no_math(title),
                ha="center", va="bottom",
            )  # fmt: skip
    if labels is not None:
        middles = [row * (1 + gap) + 0.5 for row in range(rows)]
        ax.set_yticks(middles, [_no_math(label) for label in labels])
    return fig


def sample_grid(dataset, per_genus: int = 8, seed: int = 0, max_genera: int = 12) -> Figure:
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
    """
    rng = np.random.default_rng(seed)
    genus = dataset.table.loc[dataset.indices("train"), "genus"]
    shown = sorted(genus.value_counts().index[:max_genera])
    photos: list[np.ndarray | None] = []
    for name in shown:
        members = genus.index[genus == name]
        drawn = rng.permutation(members)[:per_genus]
        photos += [_square_photo(dataset, i) for i in drawn] + [None] * (per_genus - len(drawn))
    return image_grid(photos, columns=per_genus, labels=shown)


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


@_print_like
def confusable_species(pairs: pd.DataFrame, dataset, per_species: int = 4) -> Figure:
    """The species that are taken for each other, photo above photo (the paper's Figure 1).

    Parameters
    ----------
    pairs : DataFrame
        One row a pair, as from `metrics.confusable_species`: species_a, species_b, genus,
        confusions (a count), examples_a and examples_b (row numbers of images).
    dataset : ImageDataset
    per_species : int
        Photos in a row, at most.
    """
    if pairs.empty:
        fig = plt.figure(figsize=(_WIDTH, 0.6))
        fig.text(0.5, 0.5, "No species was taken for another.", ha="center", va="center")
        return fig
    rows = -(-len(pairs) // 2)
    fig = plt.figure(figsize=(_WIDTH, rows * (_WIDTH / 2 / per_species * 2 + 0.7)))
    places = fig.subfigures(rows, 2, wspace=0.03, squeeze=False).flat
    for place, pair in zip(places, pairs.itertuples(index=False), strict=False):
        title = f"{pair.genus} · confused {pair.confusions:,}×"
        place.suptitle(_no_math(title), fontsize=10, fontweight="bold")
        species = (pair.species_a, pair.examples_a), (pair.species_b, pair.examples_b)
        for ax, (name, examples) in zip(place.subplots(2, 1), species, strict=True):
            photos = [_square_photo(dataset, i, 160) for i in examples[:per_species]]
            _montage(ax, photos + [None] * (per_species - len(photos)), per_species, gap=0.05)
            ax.set_title(_no_math(name), loc="left", style="italic", pad=3)
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


# ---------------------------------------------------------------------------------- data


@_print_like
def species_per_genus(table: pd.DataFrame) -> Figure:
    """How many species a genus has, the largest genus on top.

    Parameters
    ----------
    table : DataFrame
        One row an image, with columns species and genus.
    """
    counts = table.groupby("genus")["species"].agg(["nunique", "size"]).sort_values("nunique")
    styles = genus_styles(table["genus"])
    fig, ax = plt.subplots(figsize=(_WIDTH, 0.8 + 0.32 * len(counts)))
    names = [_no_math(name) for name in counts.index]
    bars = ax.barh(names, counts["nunique"], color=[styles[name].color for name in counts.index])
    facts = [
        f" {species:,} species, {images:,} photos"
        for species, images in counts.itertuples(index=False)
    ]
    ax.bar_label(bars, facts)
    ax.margins(x=0.25, y=0.02)
    ax.set_xlabel("species")
    ax.tick_params(axis="y", length=0)
    ax.xaxis.get_major_locator().set_params(integer=True)
    return fig


def long_tail(table: pd.DataFrame) -> go.Figure:
    """Photos of each species and split, from the most to the least photographed species.

    Parameters
    ----------
    table : DataFrame
        One row an image, with columns species and split.
    """
    counts = pd.crosstab(table["species"], table["split"])
    counts = counts.loc[counts.sum(axis=1).sort_values(ascending=False, kind="stable").index]
    figure = go.Figure()
    for split, style in zip(("train", "val", "test"), genus_styles("abc").values(), strict=True):
        if split not in counts:
            continue
        present = counts[split] > 0  # a logarithmic axis has no place for 0
        figure.add_scatter(
            x=np.arange(1, len(counts) + 1)[present],
            y=counts.loc[present, split],
            name=split,
            mode="markers",
            marker={"color": style.color, "symbol": style.symbol, "size": 7},
            text=[_plain(name) for name in counts.index[present]],
            hovertemplate="%{text}: %{y} " + split + " photos<extra></extra>",
        )
    figure.update_layout(template="fgcl", xaxis_title="species, by number of photos")
    # Digits in between (2, 5) are what makes a logarithmic axis readable over one decade.
    figure.update_yaxes(type="log", title="photos of the species", dtick="D2")
    return figure


@_print_like
def batch_anatomy(labels: np.ndarray) -> Figure:
    """Who is whose positive in one batch.

    Parameters
    ----------
    labels : int (N, 2)
        Species and genus codes of the samples of a batch.
    """
    labels = np.asarray(labels)
    if labels.ndim != 2 or labels.shape[1] != 2:
        raise ValueError(
            "batch_anatomy: labels of shape (N, 2), species and genus, expected; "
            f"got {labels.shape}"
        )
    species, genus = labels[np.lexsort(labels.T)].T
    kind = (genus[:, None] == genus).astype(int) + (species[:, None] == species)  # (N, N)
    np.fill_diagonal(kind, 3)
    counts = np.bincount(kind.ravel(), minlength=4)
    names = "negative", "soft positive (same genus)", "positive (same species)", "the sample itself"
    colors = "#eeeeee", OKABE_ITO[5], OKABE_ITO[0], "#444444"

    fig, ax = plt.subplots(figsize=(_WIDTH, 5.2))
    ax.imshow(kind, cmap=ListedColormap(colors), vmin=0, vmax=3, interpolation="nearest")
    ax.set_title(
        f"{len(labels):,} samples: {counts[2]:,} positive, {counts[1]:,} soft positive "
        f"and {counts[0]:,} negative pairs"
    )
    ax.set(xlabel="sample, sorted by genus and species", ylabel="anchor")
    ax.spines[:].set_visible(False)
    keys = [
        Patch(facecolor=color, edgecolor="#999999", linewidth=0.5, label=name)
        for color, name in zip(colors, names, strict=True)
    ]
    ax.legend(handles=keys[::-1], loc="center left", bbox_to_anchor=(1.02, 0.5))
    return fig


# ---------------------------------------------------------------------------------- training


def training_curves(history: pd.DataFrame) -> go.Figure:
    """Loss and validation measures over the epochs.

    Parameters
    ----------
    history : DataFrame
        Columns epoch and any of train_loss, learning_rate, val_genus_outlier_rate,
        val_species_accuracy (fractions of 1), seconds. Missing columns and NaN are left out.
    """
    curves = (  # column, name, panel, symbol, digits
        ("train_loss", "training loss", "training loss", "circle", ".4g"),
        ("val_genus_outlier_rate", "genus outlier rate", "validation", "diamond", ".1%"),
        ("val_species_accuracy", "species accuracy", "validation", "square", ".1%"),
    )
    curves = [row for row in curves if row[0] in history and history[row[0]].notna().any()]
    panels = list(dict.fromkeys(row[2] for row in curves))
    if not panels:
        raise ValueError(
            f"training_curves: nothing to draw in the columns {list(history.columns)}; "
            "train_loss, val_genus_outlier_rate or val_species_accuracy expected"
        )
    figure = make_subplots(1, len(panels), subplot_titles=panels, horizontal_spacing=0.12)
    for color, (column, name, panel, symbol, digits) in zip(OKABE_ITO, curves, strict=False):
        points = history.dropna(subset=[column])
        figure.add_scatter(
            x=points["epoch"],
            y=points[column],
            name=name,
            mode="lines+markers",
            line={"color": color, "width": 2},
            marker={"symbol": symbol, "size": 6},
            text=_epoch_facts(points),
            hovertemplate=f"epoch %{{x}}: {name} %{{y:{digits}}}%{{text}}<extra></extra>",
            showlegend=panel == "validation",  # the other panel's title says it
            row=1,
            col=panels.index(panel) + 1,
        )
    figure.update_layout(template="fgcl", margin_t=56)
    figure.update_annotations(font_size=14)
    figure.update_xaxes(title="epoch")
    if "validation" in panels:
        figure.update_yaxes(
            rangemode="tozero", tickformat="~%", row=1, col=panels.index("validation") + 1
        )
    return figure


def _epoch_facts(history: pd.DataFrame) -> list[str]:
    """What else the log knows of each epoch, as lines of hover text."""
    facts = [""] * len(history)
    for column, form in (
        ("learning_rate", "<br>learning rate {:.2g}"),
        ("seconds", "<br>{:.1f} s"),
    ):
        if column in history:
            values = history[column]
            facts = [
                fact + (form.format(value) if pd.notna(value) else "")
                for fact, value in zip(facts, values, strict=True)
            ]
    return facts


# ---------------------------------------------------------------------------------- evaluation


def results_table(evaluation: Mapping, dataset: str) -> Styler:
    """The paper's table, and ours beside it.

    Parameters
    ----------
    evaluation : mapping
        As in evaluation.json: {"methods": {"ce": {"genus_outliers", "genus_outlier_rate",
        "species_accuracy", …}, …}}.
    dataset : str
        Name of the data that our numbers come from; it heads our columns.

    Returns
    -------
    Styler
        Formatted for display; the bare numbers are its `.data`. A change is that of the outlier
        rate against CE's, NaN where CE has no outliers or was not run.
    """
    methods = evaluation["methods"]
    order = _in_order(methods)
    ours = pd.DataFrame.from_dict({name: methods[name] for name in order}, orient="index")
    ours = ours[["genus_outliers", "genus_outlier_rate", "species_accuracy"]]
    paper = pd.Series(PAPER_OUTLIERS, dtype=float).reindex(order)
    mine, theirs = f"ours ({dataset})", "paper (DF20-Mini)"
    table = pd.DataFrame(
        {
            (mine, "genus outliers"): ours["genus_outliers"],
            (mine, "rate"): ours["genus_outlier_rate"],
            (mine, "change"): _change(ours["genus_outlier_rate"]),
            (mine, "species accuracy"): ours["species_accuracy"],
            (theirs, "genus outliers"): paper,
            (theirs, "rate"): paper / PAPER_TEST_PHOTOS,
            (theirs, "change"): _change(paper),
        },
        index=order,
    ).rename(index=METHOD_NAMES)
    formats = {
        "genus outliers": _count,
        "rate": "{:.1%}",
        "change": _signed_percent,
        "species accuracy": "{:.1%}",
    }
    return (
        table.style.format({column: formats[column[1]] for column in table}, na_rep="")
        .format_index(escape="html", axis=1)
        # The theme lays a light sheet under every other HTML output in its dark mode.
        .set_table_attributes('class="dataframe"')
    )


def _in_order(methods: Iterable[str]) -> list[str]:
    """The paper's methods in the paper's order, then any others, each once."""
    return sorted(set(methods), key=[*METHOD_NAMES, *methods].index)


def _change(values: pd.Series) -> pd.Series:
    """Relative to CE's value, and nothing for CE itself."""
    reference = values.get("ce", np.nan)
    return (values / reference - 1 if reference else values * np.nan).drop("ce", errors="ignore")


def _count(value: float) -> str:
    """Whole numbers plain, means over several seeds with one digit."""
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.1f}"


def _signed_percent(value: float) -> str:
    return f"{value:+.1%}".replace("-", "−")


# The paper leaves open in which space and against whose centroids it counts.
_READINGS = {  # ending of the measure's name: what it means
    "": "embedding<br>train<br>centroids",
    "_test_centroids": "embedding<br>test<br>centroids",
    "_encoder": "encoder<br>train<br>centroids",
    "_encoder_test_centroids": "encoder<br>test<br>centroids",
}


def outlier_readings(evaluation: Mapping) -> go.Figure:
    """The genus outlier rate of each method under every reading of the paper's measure.

    Parameters
    ----------
    evaluation : mapping
        As in evaluation.json, {"methods": {"ce": {…}, …}}, each method with the measures of
        `metrics.evaluate`: genus_outlier_rate and the same with _encoder, _test_centroids or both;
        where a measure has an _interval (low, high), it is drawn.
    """
    methods = evaluation["methods"]
    styles = genus_styles(range(len(methods))).values()
    # Dots of one reading stand side by side: a numeric axis, labelled by hand.
    offsets = np.linspace(-0.2, 0.2, len(methods))
    figure = go.Figure()
    for method, offset, style in zip(_in_order(methods), offsets, styles, strict=True):
        measures = methods[method]
        keys = [f"genus_outlier_rate{ending}" for ending in _READINGS]
        rates = np.array([measures.get(key, np.nan) for key in keys])  # NaN is not drawn
        ends = np.array([measures.get(f"{key}_interval", (np.nan, np.nan)) for key in keys])
        name = _plain(METHOD_NAMES.get(method, method))
        figure.add_scatter(
            x=np.arange(len(keys)) + offset,
            y=rates,
            error_y={"array": ends[:, 1] - rates, "arrayminus": rates - ends[:, 0]},
            name=name,
            mode="markers",
            marker={"color": style.color, "symbol": style.symbol, "size": 11},
            text=["" if np.isnan(low) else f" ({low:.1%} to {high:.1%})" for low, high in ends],
            hovertemplate=f"{name}: %{{y:.1%}}%{{text}}<extra></extra>",
        )
    # The legend goes above: how tall the labels below are depends on the width of the page.
    figure.update_layout(template="fgcl", legend={"y": 1.02, "yanchor": "bottom"})
    figure.update_xaxes(
        tickvals=list(range(len(_READINGS))), ticktext=list(_READINGS.values()),
        range=(-0.5, len(_READINGS) - 0.5), showgrid=False, tickangle=0,
    )  # fmt: skip
    figure.update_yaxes(title="genus outlier rate", tickformat="~%", rangemode="tozero")
    return figure


@_print_like
def confusion_heatmap(matrix: np.ndarray, names: Sequence[str]) -> Figure:
    """Which genus is taken for which.

    Parameters
    ----------
    matrix : int (G, G)
        Test samples of the row's genus whose nearest centroid is the column's.
    names : sequence of G str
    """
    matrix = np.asarray(matrix)
    if matrix.shape != (len(names), len(names)):
        raise ValueError(
            f"confusion_heatmap: a square matrix for {len(names)} names expected, "
            f"got {matrix.shape}"
        )
    # Shares of a row, or the large genera would hide what happens to the small ones.
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    ticks = [_no_math(name) for name in names]
    few = len(names) <= 15
    fig, ax = plt.subplots(figsize=(_WIDTH, min(1.4 + 0.5 * len(names), _WIDTH)))
    sns.heatmap(
        shares, ax=ax, vmin=0, vmax=1, cmap="Blues", linewidths=0.5 if few else 0,
        annot=matrix if few else None, fmt="d" if few else "", xticklabels=ticks,
        yticklabels=ticks, cbar_kws={"label": "share of the genus's test photos"},
    )  # fmt: skip
    ax.set(xlabel="genus of the nearest centroid", ylabel="true genus")
    ax.tick_params(length=0)
    ax.tick_params(axis="y", rotation=0)
    return fig


# ---------------------------------------------------------------------------------- maps


@_print_like
def static_maps(
    planes: Mapping[str, np.ndarray],
    genera: Sequence[str],
    outliers: Mapping[str, np.ndarray] | None = None,
) -> Figure:
    """One map a method, coloured by genus, outliers ringed (the paper's Figure 2).

    Parameters
    ----------
    planes : mapping of method to float (N, 2)
        Positions of the same N samples under each method.
    genera : sequence of N str
        Genus of each sample.
    outliers : mapping of method to bool (N,), optional
    """
    _check_planes(planes, outliers, len(genera), "genera")
    genera = np.asarray(genera, dtype=object)
    styles = genus_styles(genera)
    longest = max(len(str(name)) for name in styles)
    legend_columns = max(1, min(len(styles), 6, 115 // (longest + 8)))  # some 115 letters fit
    legend_rows = -(-len(styles) // legend_columns)
    side = _WIDTH / len(planes)
    fig, axes = plt.subplots(
        1, len(planes), figsize=(_WIDTH, side + 0.35 + 0.2 * legend_rows), squeeze=False
    )
    for ax, (method, plane) in zip(axes.flat, planes.items(), strict=True):
        for name, style in styles.items():
            x, y = plane[genera == name].T
            ax.scatter(x, y, s=9, c=style.color, marker=style.marker, alpha=0.85, linewidths=0)
        if outliers is not None:
            x, y = plane[outliers[method]].T
            ax.scatter(x, y, s=38, facecolors="none", edgecolors="#222222", linewidths=0.7)
        ax.set_title(_no_math(" · ".join(_map_title(method, outliers))))
        ax.set(xticks=[], yticks=[], aspect="equal", adjustable="datalim")
        ax.spines[:].set_visible(True)
    keys = [
        Line2D([], [], color=s.color, marker=s.marker, ls="", markersize=6, label=_no_math(name))
        for name, s in styles.items()
    ]
    fig.legend(handles=keys, loc="outside lower center", ncols=legend_columns)
    return fig


def webp_thumbnails(images: np.ndarray, size: int = 64, quality: int = 60) -> list[bytes]:
    """The photos as small WebP files, for `interactive_maps`.

    Parameters
    ----------
    images : uint8 (N, S, S, 3)
    size : int
        Width and height of a thumbnail in pixels.
    quality : int
        WebP's, 0 to 100.
    """
    thumbnails = []
    for image in images:
        file = io.BytesIO()
        photo = Image.fromarray(image).resize((size, size), Image.Resampling.LANCZOS)
        photo.save(file, "WEBP", quality=quality)
        thumbnails.append(file.getvalue())
    return thumbnails


def interactive_maps(
    planes: Mapping[str, np.ndarray],
    table: pd.DataFrame,
    thumbnails: Sequence[bytes],
    outliers: Mapping[str, np.ndarray] | None = None,
) -> "PhotoMaps":
    """The maps of `static_maps` with the photo of the sample under the pointer.

    Pointing at a sample marks it in every map; the legend switches a genus off in all of them.

    Parameters
    ----------
    planes : mapping of method to float (N, 2)
        Positions of the same N samples under each method. Drawn as SVG, hence best up to about
        2,000 samples; the explorer is made for more.
    table : DataFrame
        N rows with columns species and genus, in the order of the planes.
    thumbnails : sequence of N bytes
        A WebP file a sample, as from `webp_thumbnails`.
    outliers : mapping of method to bool (N,), optional
    """
    _check_planes(planes, outliers, len(table), "rows of the table")
    if len(thumbnails) != len(table):
        raise ValueError(
            f"interactive_maps: {len(table)} thumbnails expected, one a sample, "
            f"got {len(thumbnails)}"
        )
    titles = ["<br>".join(map(_plain, _map_title(method, outliers))) for method in planes]
    figure = make_subplots(1, len(planes), subplot_titles=titles, horizontal_spacing=0.02)
    for panel, (method, plane) in enumerate(planes.items(), start=1):
        ringed = outliers[method] if outliers is not None else np.zeros(len(table), dtype=bool)
        for trace in _map_traces(plane, table, ringed, in_legend=panel == 1):
            figure.add_trace(trace, row=1, col=panel)
    frame = {
        "showticklabels": False, "showgrid": False, "ticks": "", "showline": True, "mirror": True,
    }  # fmt: skip
    figure.update_annotations(font_size=13)
    figure.update_xaxes(**frame)
    figure.update_yaxes(**frame)
    for panel in range(1, len(planes) + 1):
        figure.update_yaxes(scaleanchor="x" if panel == 1 else f"x{panel}", row=1, col=panel)
    figure.update_layout(
        template="fgcl",
        height=380 + 27 * -(-len(set(table["genus"])) // 6),  # the legend holds about six a row
        margin={"l": 10, "r": 10, "t": 70},
        legend={"y": -0.04, "itemsizing": "constant"},
    )
    return PhotoMaps(figure, _hover_script(planes, table, thumbnails))


class PhotoMaps:
    """A Plotly figure that shows a photo on hover wherever HTML may run scripts.

    In the book it is HTML with the photos inside. In JupyterLab it is the figure in Plotly's
    mimetype, which names the sample under the pointer but cannot show its photo.

    Attributes
    ----------
    figure : plotly Figure
    """

    def __init__(self, figure: go.Figure, post_script: str):
        self.figure = figure
        self._post_script = post_script

    def to_html(self) -> str:
        """The figure as a piece of a page that has loaded plotly.js."""
        silent = go.Figure(self.figure)  # the card takes the place of plotly's label
        silent.update_traces(
            hoverinfo="none", hovertemplate=None, selector=lambda trace: trace.hoverinfo != "skip"
        )
        return _to_html(silent, self._post_script)

    def _repr_mimebundle_(self, include=None, exclude=None) -> dict:
        bundle = PlotlyRenderer(_CONFIG).to_mimebundle(self.figure.to_dict())
        return bundle | {"text/html": self.to_html()}


def _map_traces(plane: np.ndarray, table: pd.DataFrame, ringed: np.ndarray, in_legend: bool):
    """Per genus its samples and the rings of its outliers, to be switched together."""
    species, genera = table["species"].to_numpy(), table["genus"].to_numpy()
    for name, style in genus_styles(genera).items():
        label = _plain(name)
        members = np.flatnonzero(genera == name)
        outliers = members[ringed[members]]
        yield go.Scatter(
            x=plane[members, 0],
            y=plane[members, 1],
            mode="markers",
            name=label,
            legendgroup=label,
            showlegend=in_legend,
            marker={"color": style.color, "symbol": style.symbol, "size": 6, "opacity": 0.85},
            customdata=members.tolist(),
            text=[f"{_plain(species[i])}<br>{label}" for i in members],
            hovertemplate="%{text}<extra></extra>",
        )
        yield go.Scatter(
            x=plane[outliers, 0],
            y=plane[outliers, 1],
            mode="markers",
            legendgroup=label,
            showlegend=False,
            marker={"color": _GREY, "symbol": "circle-open", "size": 11, "line": {"width": 1.5}},
            hoverinfo="skip",
        )


def _hover_script(
    planes: Mapping[str, np.ndarray], table: pd.DataFrame, thumbnails: Sequence[bytes]
) -> str:
    data = {
        "species": [str(name) for name in table["species"]],
        "genus": [str(name) for name in table["genus"]],
        "photos": [base64.b64encode(photo).decode("ascii") for photo in thumbnails],
        "planes": [np.round(plane, 4).tolist() for plane in planes.values()],
    }
    # A name may hold "</script>": no "<" may reach the page from inside the JSON.
    return _HOVER_SCRIPT.replace("DATA", json.dumps(data).replace("<", "\\u003c"))


# Plotly's label shows no pictures, so a card of our own follows the pointer. Texts are set as
# textContent and the photo as a data URL: nothing in a name is ever parsed.
_HOVER_SCRIPT = """
const plot = document.getElementById("{plot_id}");
const data = DATA;
const add = (tag, parent, style) => {
  const element = parent.appendChild(document.createElement(tag));
  element.style.cssText = style;
  return element;
};
plot.style.position = "relative";
const floating = "position:absolute;display:none;pointer-events:none;box-sizing:border-box;";
const card = add("figure", plot, floating + "z-index:10;margin:0;padding:8px;width:128px;" +
  "background:#222;color:#eee;border-radius:6px;box-shadow:0 2px 8px #0006;" +
  "font:13px/1.35 system-ui,sans-serif");
card.className = "photo-card";
const photo = add("img", card,
  "display:block;width:112px;height:112px;margin:0;padding:0;background:none;filter:none");
const caption = add("figcaption", card,
  "margin:6px 0 0;color:inherit;font:inherit;text-align:left;overflow-wrap:anywhere");
const species = add("em", caption, "display:block");
const genus = add("span", caption, "");
const marks = data.planes.map(() => {
  const mark = add("div", plot, floating + "width:22px;height:22px;border-radius:50%;" +
    "border:2.5px solid #d33;box-shadow:0 0 0 1.5px #fff;transform:translate(-50%,-50%)");
  mark.className = "photo-mark";
  return mark;
});
const place = (panel, i) => {
  const suffix = panel ? panel + 1 : "";
  const x = plot._fullLayout["xaxis" + suffix], y = plot._fullLayout["yaxis" + suffix];
  const [px, py] = [x.d2p(data.planes[panel][i][0]), y.d2p(data.planes[panel][i][1])];
  const inside = px >= 0 && px <= x._length && py >= 0 && py <= y._length;
  return {left: x._offset + px, top: y._offset + py, inside};
};
const show = event => {
  const point = event.points[0], i = point.customdata;
  photo.src = "data:image/webp;base64," + data.photos[i];
  photo.alt = data.species[i];
  species.textContent = data.species[i];
  genus.textContent = data.genus[i];
  marks.forEach((mark, panel) => {
    const at = place(panel, i);
    mark.style.left = at.left + "px";
    mark.style.top = at.top + "px";
    mark.style.display = at.inside ? "block" : "none";
  });
  const panel = (Number(point.xaxis._id.slice(1)) || 1) - 1, at = place(panel, i);
  card.style.display = "block";
  const fits = at.left + 16 + card.offsetWidth <= plot.clientWidth;
  const left = fits ? at.left + 16 : at.left - 16 - card.offsetWidth;
  card.style.left = Math.max(0, left) + "px";
  card.style.top =
    Math.max(0, Math.min(at.top - 20, plot.clientHeight - card.offsetHeight)) + "px";
};
const hide = () => [card, ...marks].forEach(element => { element.style.display = "none"; });
plot.on("plotly_hover", show);
plot.on("plotly_click", show);  // a finger taps and never hovers
plot.on("plotly_unhover", hide);
plot.on("plotly_relayouting", hide);
"""


def _check_planes(planes: Mapping, outliers: Mapping | None, n: int, what: str) -> None:
    """Every map must hold the same samples, or the wrong photo would be shown."""
    for method, plane in planes.items():
        if np.shape(plane) != (n, 2):
            raise ValueError(
                f"the plane of {method!r} has shape {np.shape(plane)}; ({n}, 2) expected, "
                f"as there are {n} {what}"
            )
        if outliers is not None and np.shape(outliers.get(method)) != (n,):
            raise ValueError(f"outliers[{method!r}] must be a boolean array of shape ({n},)")


def _map_title(method: str, outliers: Mapping[str, np.ndarray] | None) -> list[str]:
    """The method and, where they are drawn, how many samples are ringed."""
    name = METHOD_NAMES.get(method, method)
    return [name] if outliers is None else [name, f"{np.sum(outliers[method]):,} outliers ○"]


# ---------------------------------------------------------------------------------- names


def _plain(text: str) -> str:
    """As text in Plotly, which reads some HTML tags, and MathJax between dollar signs."""
    return html.escape(str(text), quote=False).replace("$", "&#36;")


def _no_math(text: str) -> str:
    """As text in matplotlib, which typesets what stands between dollar signs."""
    return str(text).replace("$", r"\$")
