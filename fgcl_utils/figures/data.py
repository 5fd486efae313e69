"""What the data and the batches are like: species per genus, long tail, who is whose positive."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import plotly.graph_objects as go
from matplotlib.colors import LinearSegmentedColormap, ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from fgcl_utils.figures.names import LEVELS, coarser, no_math, plain, width
from fgcl_utils.figures.style import OKABE_ITO, WIDTH, genus_styles, print_like

_POSITIVE = LinearSegmentedColormap.from_list("positive", [OKABE_ITO[0], OKABE_ITO[5], "#B9DDF4"])


@print_like
def species_per_genus(
    table: pd.DataFrame, levels: Sequence[str] = LEVELS, max_genera: int = 60
) -> Figure:
    """How many species a genus has, the largest genus on top.

    Parameters
    ----------
    table : DataFrame
        One row an image, with a column for each of the two finest levels.
    levels : sequence of str
        Names of the levels, finest first: the classes of the first are counted by the second.
    max_genera : int
        Only this many of the second level, the largest, when there are more.

    Raises
    ------
    ValueError
        If there is one level only.
    """
    fine, coarse = levels[0], coarser(levels, "species_per_genus")[0]
    counts = table.groupby(coarse)[fine].agg(["nunique", "size"]).sort_values("nunique")
    styles = genus_styles(counts.index)
    shown = counts.tail(max_genera)
    fig, ax = plt.subplots(figsize=(WIDTH, 0.8 + 0.32 * len(shown)))
    bars = ax.barh(
        range(len(shown)), shown["nunique"], color=[styles[name].color for name in shown.index]
    )
    names = [no_math(name) for name in shown.index]
    ax.set_yticks(range(len(shown)), names)
    facts = [
        f" {n:,} {fine}, {images:,} images" for n, images in shown.itertuples(index=False)
    ]  # fmt: skip
    ax.bar_label(bars, facts)
    # Room for the longest fact beside the longest bar: a letter takes some 0.075 inches.
    inside = WIDTH - 0.4 - 0.075 * max(map(width, names))
    ax.set_xlim(0, shown["nunique"].max() * inside / (inside - 0.075 * max(map(len, facts))))
    ax.margins(y=0.02)
    ax.set_xlabel(fine)
    if len(shown) < len(counts):
        ax.set_title(f"the {len(shown)} largest of {len(counts):,}")
    ax.tick_params(axis="y", length=0)
    ax.xaxis.get_major_locator().set_params(integer=True)
    return fig


def long_tail(table: pd.DataFrame, level: str = LEVELS[0]) -> go.Figure:
    """Photos of each species and split, from the most to the least photographed species.

    Parameters
    ----------
    table : DataFrame
        One row an image, with the columns `level` and split.
    level : str
        The finest level, or another.
    """
    counts = pd.crosstab(table[level], table["split"])
    counts = counts.loc[counts.sum(axis=1).sort_values(ascending=False, kind="stable").index]
    figure = go.Figure()
    splits = "train", "val", "test", "unseen"
    for split, style in zip(splits, genus_styles(range(4)).values(), strict=True):
        if split not in counts:
            continue
        present = counts[split] > 0  # a logarithmic axis has no place for 0
        figure.add_scatter(
            x=np.arange(1, len(counts) + 1)[present],
            y=counts.loc[present, split],
            name=split,
            mode="markers",
            marker={"color": style.color, "symbol": style.symbol, "size": 7},
            text=[plain(name) for name in counts.index[present]],
            hovertemplate="%{text}: %{y} " + split + " images<extra></extra>",
        )
    figure.update_layout(template="fgcl", xaxis_title=f"{plain(level)}, by number of images")
    # Digits in between (2, 5) are what makes a logarithmic axis readable over one decade.
    figure.update_yaxes(type="log", title=f"images of the {plain(level)}", dtick="D2")
    return figure


@print_like
def batch_anatomy(
    labels: np.ndarray, levels: Sequence[str] = LEVELS, max_samples: int = 512
) -> Figure:
    """Who is whose positive in one batch.

    Parameters
    ----------
    labels : int (N, L)
        Codes of the samples of a batch at every level, finest first.
    levels : sequence of L str
        Names of the levels.
    max_samples : int
        Of a larger batch, evenly spaced samples are drawn; counted are all pairs.
    """
    labels = np.asarray(labels)
    if labels.ndim != 2 or labels.shape[1] != len(levels):
        raise ValueError(
            f"batch_anatomy: labels of shape (N, {len(levels)}), {' and '.join(levels)}, "
            f"expected; got {labels.shape}"
        )
    n, n_levels, counts = len(labels), len(levels), _pairs(labels)
    labels = labels[np.lexsort(labels.T)][:: -(-n // max_samples)]
    shared = [(codes[:, None] == codes) & (codes >= 0) for codes in labels.T]
    kind = np.sum(shared, axis=0)  # levels that two samples share, (N, N)
    np.fill_diagonal(kind, n_levels + 1)
    names = ["negative", *(f"soft positive (same {no_math(l, 20)})" for l in levels[:0:-1])]
    names.append(f"positive (same {no_math(levels[0], 20)})")
    labelled = [f"{name}\n{count:,} pairs" for name, count in zip(names, counts, strict=True)]
    shades = [_POSITIVE(l / max(n_levels, 2)) for l in reversed(range(n_levels))]
    colors = ["#eeeeee", *shades, "#444444"]

    fig, ax = plt.subplots(figsize=(WIDTH, 5.2))
    ax.imshow(kind, cmap=ListedColormap(colors), vmin=0, vmax=n_levels + 1, interpolation="nearest")
    soft = f", {counts[1:-1].sum():,} soft positive" if n_levels > 1 else ""
    title = f"{n:,} samples: {counts[-1]:,} positive{soft} and {counts[0]:,} negative pairs"
    ax.set_title(title if len(title) < 75 else title.replace(" and", "\nand"))
    shown = "" if len(labels) == n else f" ({len(labels):,} drawn)"
    ax.set(xlabel=f"sample, sorted by {' and '.join(levels[::-1])}{shown}", ylabel="anchor")
    ax.spines[:].set_visible(False)
    keys = [
        Patch(facecolor=color, edgecolor="#999999", linewidth=0.5, label=name)
        for color, name in zip(colors, [*labelled, "the sample itself"], strict=True)
    ]
    fig.legend(handles=keys[::-1], loc="outside right center", labelspacing=0.8)
    return fig


def _pairs(labels: np.ndarray) -> np.ndarray:
    """How many ordered pairs of two samples share 0, 1, ..., all L levels, int (L + 1,)."""
    sharing = [len(labels) * (len(labels) - 1)]  # at least so many of the coarsest levels
    for codes in labels.T[::-1]:
        sizes = np.unique(codes[codes >= 0], return_counts=True)[1]
        sharing.append(int((sizes * (sizes - 1)).sum()))
    return -np.diff([*sharing, 0])
