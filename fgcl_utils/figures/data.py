"""What the data and the batches are like: species per genus, long tail, who is whose positive."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import plotly.graph_objects as go
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from fgcl_utils.figures.style import OKABE_ITO, WIDTH, genus_styles, no_math, plain, print_like


@print_like
def species_per_genus(table: pd.DataFrame) -> Figure:
    """How many species a genus has, the largest genus on top.

    Parameters
    ----------
    table : DataFrame
        One row an image, with columns species and genus.
    """
    counts = table.groupby("genus")["species"].agg(["nunique", "size"]).sort_values("nunique")
    styles = genus_styles(table["genus"])
    fig, ax = plt.subplots(figsize=(WIDTH, 0.8 + 0.32 * len(counts)))
    names = [no_math(name) for name in counts.index]
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
            hovertemplate="%{text}: %{y} " + split + " photos<extra></extra>",
        )
    figure.update_layout(template="fgcl", xaxis_title="species, by number of photos")
    # Digits in between (2, 5) are what makes a logarithmic axis readable over one decade.
    figure.update_yaxes(type="log", title="photos of the species", dtick="D2")
    return figure


@print_like
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

    fig, ax = plt.subplots(figsize=(WIDTH, 5.2))
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
