"""Outliers against species accuracy: what the one costs in the other."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from fgcl_utils.figures.style import (
    GREY,
    METHOD_NAMES,
    OKABE_ITO,
    Style,
    in_order,
    method_styles,
    plain,
)
from fgcl_utils.figures.tables import PAPER_OUTLIERS

# The share of CE's outliers that HCL leaves in the paper, 201 of 725.
_PAPER_SHARE = PAPER_OUTLIERS["hcl"] / PAPER_OUTLIERS["ce"]


def pareto(result: Mapping, split: str = "val") -> go.Figure:
    """Genus outliers against species error, a point a group: what one buys with the other.

    The groups that no other group beats in both are joined and named; lines mark CE's species
    error and the paper's reduction of CE's outliers, so the goal is the corner below both.

    Parameters
    ----------
    result : mapping
        The content of results/<experiment>.json: `groups` of runs that differ in the seed only,
        each with the mean of every measure and, of several seeds, its interval;
        `headline.default`, if there, is the group to be ringed.
    split : {"val", "test"}

    Raises
    ------
    ValueError
        If no group was measured on the split.
    """
    points = _points(result, split)
    front = points[_undominated(points[["error", "outliers"]].to_numpy())].sort_values("error")
    others = points.drop(front.index)
    figure = go.Figure()
    if (points["method"] == "ce").any():
        _add_goal(figure, points)
    figure.add_scatter(
        x=front["error"], y=front["outliers"], mode="lines", hoverinfo="skip", name="Pareto front",
        line={"color": GREY, "width": 1.5, "dash": "dot"},
    )  # fmt: skip
    styles = method_styles(points["method"])
    for method in in_order(others["method"]):
        name = plain(METHOD_NAMES.get(method, method))
        figure.add_trace(_points_trace(others[others["method"] == method], styles[method], name))
    # Names beside the points would hide each other: numbers there, and names in the legend.
    for number, (slug, group) in enumerate(front.iterrows(), start=1):
        name = f"{number}. {plain(group['label'])}"
        trace = _points_trace(front.loc[[slug]], styles[group["method"]], name)
        figure.add_trace(
            trace.update(mode="markers+text", text=str(number), textposition="bottom left")
        )
    default = result.get("headline", {}).get("default")
    if default in points.index:
        figure.add_scatter(
            x=points.loc[[default], "error"], y=points.loc[[default], "outliers"],
            name="the default", mode="markers", hoverinfo="skip",
            marker={"color": GREY, "symbol": "circle-open", "size": 20, "line": {"width": 2}},
        )  # fmt: skip
    figure.update_layout(template="fgcl", height=430 + 22 * len(front))
    figure.update_xaxes(title="species error (nearest centroid)", tickformat="~%")
    top = points[["outliers", "outliers_high"]].max(axis=None)
    figure.update_yaxes(title="genus outlier rate", tickformat="~%", range=(0, 1.05 * top))
    return figure


def _points_trace(group: pd.DataFrame, style: Style, name: str) -> go.Scatter:
    return go.Scatter(
        x=group["error"],
        y=group["outliers"],
        error_x=_error_bars(group, "error"),
        error_y=_error_bars(group, "outliers"),
        name=name,
        mode="markers",
        marker={"color": style.color, "symbol": style.symbol, "size": 10},
        customdata=group["hover"],
        hovertemplate="%{customdata}<extra></extra>",
    )


def _points(result: Mapping, split: str) -> pd.DataFrame:
    """One row a measured group: method, label, hover text, and error and outliers with ends."""
    rows = {}
    for slug, group in result["groups"].items():
        measures = group.get(split) or {}
        accuracy, outliers = (
            measures.get(key) or {} for key in ("species_accuracy", "genus_outlier_rate")
        )
        if accuracy.get("mean") is None or outliers.get("mean") is None:
            continue
        rows[slug] = {
            "method": group["method"],
            "label": group["label"],
            "overrides": group["overrides"],
            "error": 1 - accuracy["mean"],
            "error_low": _less(1, accuracy.get("high")),
            "error_high": _less(1, accuracy.get("low")),
            "outliers": outliers["mean"],
            "outliers_low": _less(outliers.get("low"), 0),
            "outliers_high": _less(outliers.get("high"), 0),
            "hover": _hover(group, accuracy, outliers),
        }
    if not rows:
        raise ValueError(
            f"pareto: no group of {result.get('title', 'the result')!r} has species_accuracy and "
            f"genus_outlier_rate on {split!r}"
        )
    return pd.DataFrame.from_dict(rows, orient="index")


def _less(value, other):
    return np.nan if value is None or other is None else value - other


def _hover(group: Mapping, accuracy: Mapping, outliers: Mapping) -> str:
    n = len(group["seeds"])
    lines = [f"<b>{plain(group['label'])}</b>"]
    lines += [f"{plain(name)} = {plain(value)}" for name, value in group["overrides"].items()]
    lines += [
        f"genus outliers {_with_ends(outliers)}",
        f"species accuracy {_with_ends(accuracy)}",
        "one seed, no interval over seeds" if n == 1 else f"mean of {n} seeds, 95 % interval",
    ]
    return "<br>".join(lines)


def _with_ends(value: Mapping) -> str:
    ends = value.get("low"), value.get("high")
    return f"{value['mean']:.1%}" + ("" if None in ends else " ({:.1%} to {:.1%})".format(*ends))


def _error_bars(group: pd.DataFrame, of: str) -> dict:
    return {
        "array": group[f"{of}_high"] - group[of],
        "arrayminus": group[of] - group[f"{of}_low"],
        "thickness": 1,
        "width": 3,
    }


def _undominated(costs: np.ndarray) -> np.ndarray:
    """Which rows of (N, K) costs no other row undercuts, being as low everywhere, bool (N,)."""
    no_worse = (costs[:, None] <= costs[None]).all(axis=2)  # (N, N): row i against row j
    better = no_worse & (costs[:, None] < costs[None]).any(axis=2)
    return ~better.any(axis=0)


def _add_goal(figure: go.Figure, points: pd.DataFrame) -> None:
    """Shade where species accuracy is CE's or better and outliers are as few as in the paper."""
    baselines = points[points["method"] == "ce"]
    ce = baselines.loc[baselines["overrides"].map(len).idxmin()]  # with the fewest overrides
    share = _PAPER_SHARE * ce["outliers"]
    left = 0.94 * points["error"].min()
    figure.add_shape(
        type="rect", x0=left, x1=ce["error"], y0=0, y1=share, layer="below",
        fillcolor=OKABE_ITO[2], opacity=0.15, line_width=0,
    )  # fmt: skip
    line = {"color": GREY, "width": 1, "dash": "dash"}
    goal = f"CE's outliers {_PAPER_SHARE - 1:+.0%}".replace("-", "−")
    figure.add_vline(
        ce["error"],
        line=line,
        annotation_text="CE's species error",
        annotation_font_size=11,
        annotation_xshift=4,
    )
    figure.add_hline(
        share, line=line, annotation_text=goal, annotation_position="top right",
        annotation_font_size=11,
    )  # fmt: skip
