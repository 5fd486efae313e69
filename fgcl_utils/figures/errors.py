"""What is taken for what, how far off that is, and how sure a classifier was."""

from collections.abc import Mapping, Sequence
from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import plotly.graph_objects as go
import seaborn as sns
from matplotlib.figure import Figure
from plotly.colors import sample_colorscale
from plotly.subplots import make_subplots

from fgcl_utils.figures.names import LEVELS, no_math, plain, width
from fgcl_utils.figures.style import (
    GREY,
    METHOD_NAMES,
    OKABE_ITO,
    WIDTH,
    genus_styles,
    in_order,
    print_like,
)

_FARTHER = [OKABE_ITO[k] for k in (5, 1, 3)]  # the farther off a mistake is, the warmer


def mistakes(distances: Mapping[str, np.ndarray], levels: Sequence[str]) -> go.Figure:
    """How far off the mistakes of each method are, as shares of the samples.

    Parameters
    ----------
    distances : mapping of method to int (N,)
        `metrics.taxonomic_distance` between each sample and what it was taken for.
    levels : sequence of L str
        Names of the label levels, finest first.
    """
    names = [f"right {levels[0]}"]
    names += [f"wrong {low}, right {high}" for low, high in pairwise(levels)]
    names += [f"wrong {levels[-1]}"]
    methods = in_order(distances)[::-1]  # bars are drawn from below
    shares = np.array(
        [np.bincount(distances[m], minlength=len(names)) / len(distances[m]) for m in methods]
    )  # (methods, L + 1)
    figure = go.Figure()
    places = np.linspace(1, 0, len(levels))[::-1]  # of a single level the end
    colors = ["#D0D5DA", *sample_colorscale(_FARTHER, places)]
    for name, share, color in zip(names, shares.T, colors, strict=True):
        figure.add_bar(
            y=[plain(METHOD_NAMES[method]) for method in methods],
            x=share,
            orientation="h",
            name=plain(name),
            marker={"color": color},
            text=[f"{value:.1%}" for value in share],
            # The last share, in which the methods differ most, is often too narrow for its number.
            textposition="outside" if name == names[-1] else "inside",
            insidetextanchor="middle",
            insidetextfont={"color": "#222222"},
            textangle=0,
            hovertemplate=f"{plain(name)}: %{{x:.1%}}<extra></extra>",
        )
    figure.update_layout(
        template="fgcl", barmode="stack", bargap=0.3, height=150 + 50 * len(methods),
        legend={"traceorder": "normal", "y": 1.02, "yanchor": "bottom"},
    )  # fmt: skip
    figure.update_xaxes(tickformat="~%", range=(0, 1.1), title="share of the test images")
    figure.update_yaxes(showgrid=False, ticks="")
    return figure


@print_like
def confusion_heatmap(
    matrices: Mapping[str, np.ndarray], names: Sequence[str], level: str = LEVELS[1]
) -> Figure:
    """Which genus is taken for which under two methods, and what changes from one to the other.

    Parameters
    ----------
    matrices : mapping of method to int (G, G)
        Of the two methods, test samples of the row's genus whose nearest centroid is the column's.
    names : sequence of G str
    level : str
        What the names are names of.
    """
    counts = [np.asarray(matrix) for matrix in matrices.values()]
    if len(counts) != 2 or any(matrix.shape != (len(names), len(names)) for matrix in counts):
        raise ValueError(
            f"confusion_heatmap: two square matrices for {len(names)} names expected, "
            f"got {[matrix.shape for matrix in counts]}"
        )
    few = len(names) <= 8  # so many side by side, with their counts
    rows, columns = (1, 3) if few else (3, 1)
    step = -(-len(names) // 50)  # more names than so many would lie on each other
    ticks = [no_math(name, 28) if k % step == 0 else "" for k, name in enumerate(names)]
    longest = 0.075 * max(map(width, ticks))  # inches; names stand upright below
    side = (WIDTH - longest) / columns - (0.15 if few else 1)
    height = rows * (side + 0.9 + (0 if few else longest)) + (longest if few else 0)
    fig, axes = plt.subplots(
        rows, columns, figsize=(WIDTH, height), sharey=few, layout="constrained"
    )
    first, second = map(METHOD_NAMES.__getitem__, matrices)
    titles = first, second, f"{second} less {first}"
    # Shares of a row, or the large genera would hide what happens to the small ones.
    shares = [matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1) for matrix in counts]
    for ax, title, share, count, end, cmap in zip(
        axes, titles, [*shares, shares[1] - shares[0]], [*counts, counts[1] - counts[0]],
        (0, 0, -1), ("Blues", "Blues", "PuOr_r"), strict=True,
    ):  # fmt: skip
        form = "+d" if end else "d"
        sns.heatmap(
            share, ax=ax, vmin=end, vmax=1, cmap=cmap, linewidths=0.5 if few else 0, cbar=False,
            annot=count if few else None, fmt=form if few else "", annot_kws={"size": 8},
            xticklabels=False, yticklabels=False, square=True,
        )  # fmt: skip
        ax.set_xticks(np.arange(len(names)) + 0.5, ticks, rotation=90)
        ax.set_title(no_math(title))
        ax.tick_params(length=0)
    for ax in axes[:1] if few else axes:
        ax.set_yticks(np.arange(len(names)) + 0.5, ticks, rotation=0)
        ax.set_ylabel(f"true {level}")
    fig.supxlabel(f"{level} of the nearest centroid", fontsize=9)
    return fig


def reliability(bins: Mapping[str, pd.DataFrame], level: str = LEVELS[0]) -> go.Figure:
    """How often a classifier is right, against how sure it says it is.

    Parameters
    ----------
    bins : mapping of str to DataFrame
        A curve each, such as before and after temperature scaling; tables as from
        `metrics.reliability`: low, high, n, confidence and accuracy (NaN in an empty bin).
    level : str
        Whose classes are predicted, the finest level's as a rule.
    """
    figure = make_subplots(
        2, 1, shared_xaxes=True, row_heights=[0.76, 0.24], vertical_spacing=0.05
    )  # fmt: skip
    figure.add_scatter(
        x=[0, 1], y=[0, 1], mode="lines", hoverinfo="skip", name="calibrated",
        line={"color": GREY, "width": 1, "dash": "dash"}, row=1, col=1,
    )  # fmt: skip
    for (name, table), style in zip(bins.items(), genus_styles(bins).values(), strict=True):
        filled = table[table["n"] > 0]
        name = plain(name)
        figure.add_scatter(
            x=filled["confidence"],
            y=filled["accuracy"],
            name=name,
            legendgroup=name,
            mode="lines+markers",
            line={"color": style.color, "width": 2},
            marker={"symbol": style.symbol, "size": 8},
            customdata=filled["n"],
            hovertemplate=f"{name}: %{{y:.1%}} right at %{{x:.1%}} sure, %{{customdata:,}} images"
            "<extra></extra>",
            row=1,
            col=1,
        )
        figure.add_bar(
            x=(table["low"] + table["high"]) / 2,
            y=table["n"],
            name=name,
            legendgroup=name,
            showlegend=False,
            marker={"color": style.color},
            hovertemplate=f"{name}: %{{y:,}} images<extra></extra>",
            row=2,
            col=1,
        )
    figure.update_layout(template="fgcl", height=470, bargap=0.15)
    figure.update_xaxes(tickformat="~%", range=(-0.01, 1.01))
    figure.update_xaxes(title=f"confidence in the predicted {plain(level)}", row=2)
    # A little more than 0 to 1, or points at the ends would be cut.
    figure.update_yaxes(title="share right", tickformat="~%", range=(-0.03, 1.03), row=1)
    figure.update_yaxes(title="images", row=2)
    return figure
