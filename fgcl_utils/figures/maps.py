"""The two-dimensional maps of the test images as they are printed; see also `interactive`."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from fgcl_utils.figures.names import no_math, width
from fgcl_utils.figures.style import (
    METHOD_NAMES,
    WIDTH,
    Style,
    genus_styles,
    print_like,
)


@print_like
def static_maps(
    planes: Mapping[str, np.ndarray],
    genera: Sequence[str],
    outliers: Mapping[str, np.ndarray] | None = None,
    max_genera: int = 60,
) -> Figure:
    """One map a method, coloured by genus, outliers ringed (the paper's Figure 2).

    Parameters
    ----------
    planes : mapping of method to float (N, 2)
        Positions of the same N samples under each method.
    genera : sequence of N str
        Genus of each sample, or its class at another level.
    outliers : mapping of method to bool (N,), optional
    max_genera : int
        Only this many, the most frequent, are named when there are more.
    """
    check_planes(planes, outliers, len(genera), "genera")
    genera = known(genera)
    styles = genus_styles(genera)
    named = sorted(pd.Series(genera).value_counts().index[:max_genera])
    legend = [no_math(name, 40) for name in named]
    if len(named) < len(styles):
        legend.append(f"and {len(styles) - len(named):,} more")
    longest = max(map(width, legend))
    legend_columns = max(1, min(len(legend), 6, 115 // (longest + 8)))  # some 115 letters fit
    legend_rows = -(-len(legend) // legend_columns)
    rows, columns = grid(len(planes))
    side = WIDTH / (columns if rows == 1 else 3)
    fig, axes = plt.subplots(
        rows, columns, figsize=(WIDTH, rows * (side + 0.15) + 0.2 + 0.2 * legend_rows),
        squeeze=False,
    )  # fmt: skip
    for ax in axes.flat[len(planes) :]:
        ax.remove()
    for ax, (method, plane) in zip(axes.flat, planes.items(), strict=False):
        for name, style in styles.items():
            x, y = plane[genera == name].T
            ax.scatter(x, y, s=9, c=style.color, marker=style.marker, alpha=0.85, linewidths=0)
        if outliers is not None:
            x, y = plane[outliers[method]].T
            ax.scatter(x, y, s=38, facecolors="none", edgecolors="#222222", linewidths=0.7)
        ax.set_title(no_math(" · ".join(map_title(method, outliers))))
        ax.set(xticks=[], yticks=[], aspect="equal", adjustable="datalim")
        ax.spines[:].set_visible(True)
    looks = [styles[name] for name in named] + [Style("none", "", "")] * (len(legend) - len(named))
    keys = [
        Line2D([], [], color=look.color, marker=look.marker, ls="", markersize=6, label=label)
        for look, label in zip(looks, legend, strict=True)
    ]
    fig.legend(handles=keys, loc="outside lower center", ncols=legend_columns)
    return fig


def known(names: Sequence[str]) -> np.ndarray:
    """Names as text, object (N,); a sample may not be known at a level."""
    return pd.Series(names).fillna("").astype(str).replace("", "not known").to_numpy(dtype=object)


def grid(n: int) -> tuple[int, int]:
    """Rows and columns of n maps, at most three beside each other."""
    rows = -(-n // 3)
    return rows, -(-n // rows)


def check_planes(planes: Mapping, outliers: Mapping | None, n: int, what: str) -> None:
    """Every map must hold the same samples, or the wrong image would be shown."""
    if not planes:
        raise ValueError("there is no map to draw; pass the plane of one method at least")
    for method, plane in planes.items():
        if np.shape(plane) != (n, 2):
            raise ValueError(
                f"the plane of {method!r} has shape {np.shape(plane)}; ({n}, 2) expected, "
                f"as there are {n} {what}"
            )
        if outliers is not None and np.shape(outliers.get(method)) != (n,):
            raise ValueError(f"outliers[{method!r}] must be a boolean array of shape ({n},)")


def map_title(method: str, outliers: Mapping[str, np.ndarray] | None) -> list[str]:
    """The method and, where they are drawn, how many samples are ringed."""
    name = METHOD_NAMES[method]
    return [name] if outliers is None else [name, f"{np.sum(outliers[method]):,} outliers ○"]
