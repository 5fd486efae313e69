"""Outliers against species accuracy: what the one costs in the other."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from fgcl_utils.figures.names import coarser, levels_of, plain
from fgcl_utils.figures.style import (
    GREY,
    METHOD_NAMES,
    OKABE_ITO,
    Style,
    in_order,
    method_styles,
)
from fgcl_utils.figures.tables import PAPER_OUTLIERS
from fgcl_utils.metrics import mean_interval

# The share of CE's outliers that HCL leaves in the paper, 201 of 725.
_PAPER_SHARE = PAPER_OUTLIERS["hcl"] / PAPER_OUTLIERS["ce"]

# What one seed of a line is: shares, outlier rates, accuracies, each (S,).
Curve = tuple[Sequence[float], Sequence[float], Sequence[float]]


def pareto(
    result: Mapping | pd.DataFrame,
    split: str = "val",
    lines: Mapping[str, Sequence[Curve]] | None = None,
    chosen: float | Mapping[str, Sequence[float]] | None = None,
    levels: Sequence[str] | None = None,
) -> go.Figure:
    """Genus outliers against species error, a point a group: what one buys with the other.

    The groups that no other group beats in both are joined and named; dashes mark CE's species
    error and the paper's reduction of CE's outliers, so the goal is the corner below both. Where
    the embedding is weighted after training, as level blocks are by the share w of the coarse
    levels, a run is a line: a thin one each seed, a thick one their mean.

    Parameters
    ----------
    result : mapping or DataFrame
        The content of results/<experiment>.json: `groups` of runs that differ in the seed only,
        each with the mean of every measure and, of several seeds, its interval;
        `headline.default`, if there, is the group to be ringed. Or a table, one row a run, method
        and measures as in metrics.json: a group is then a method. May be empty if there are lines.
    split : {"val", "test"}
        Of results/<experiment>.json; a table has one only.
    lines : mapping of method to sequence of (shares, outlier rates, accuracies), optional
        A triple a seed, in fractions of 1; all seeds of a method have the same shares. By default
        those that the result has, `lines` of the split.
    chosen : float or mapping of method to sequence of float, optional
        The share that was chosen, for all or one a seed, to be ringed. By default `chosen` of the
        result.
    levels : sequence of str, optional
        Names of the levels, finest first; the outliers are those of the second. By default
        `levels` of the result or its settings, or species and genus.

    Raises
    ------
    ValueError
        If no group was measured on the split and there is no line, the seeds of a line differ in
        their shares, or there is one level only.
    """
    is_table = isinstance(result, pd.DataFrame)
    levels = levels or levels_of({} if is_table else result)
    fine, coarse = levels[0], coarser(levels, "pareto")[0]
    measures = {"error": f"{fine}_accuracy", "outliers": f"{coarse}_outlier_rate"}
    content = _as_result(result, measures, split) if is_table else result
    if lines or content.get("lines"):  # which are enough
        content = {"groups": {}} | content
    points = _points(content, measures, split)
    curves = _curves(content.get("lines", {}).get(split, {}) if lines is None else lines)
    chosen = content.get("chosen") if chosen is None else chosen
    if points.empty and curves.empty:
        raise ValueError(
            f"pareto: no group of {content.get('title', 'the result')!r} has "
            f"{' and '.join(measures.values())} on {split!r}"
        )
    figure = go.Figure()
    styles = method_styles([*points["method"], *curves["method"]])
    everywhere = pd.concat([points[["error", "outliers"]], curves[["error", "outliers"]]])
    if (points["method"] == "ce").any():
        _add_goal(figure, points, left=0.94 * everywhere["error"].min(), fine=plain(fine))
    named = _add_points(figure, points, styles)
    default = content.get("headline", {}).get("default")
    if default in points.index:
        place = points.loc[[default]]
        figure.add_trace(_ring(place["error"], place["outliers"], "the default"))
    for method in in_order(curves["method"]):
        of_method = curves[curves["method"] == method]
        share = chosen.get(method) if isinstance(chosen, Mapping) else chosen
        figure.add_traces(list(_line_traces(of_method, styles[method], share)))
    named += curves["method"].nunique()
    figure.update_layout(template="fgcl", height=430 + 22 * named)
    figure.update_xaxes(title=f"{plain(fine)} error (nearest centroid)", tickformat="~%")
    top = np.nanmax([*points["outliers_high"], *everywhere["outliers"]])
    figure.update_yaxes(
        title=f"{plain(coarse)} outlier rate", tickformat="~%", range=(0, 1.05 * top)
    )
    return figure


# ---------------------------------------------------------------------------------- points


def _as_result(table: pd.DataFrame, measures: Mapping[str, str], split: str) -> dict:
    """A table of runs like results/<experiment>.json, a group a method."""
    groups = {}
    for method, runs in table.groupby("method") if len(table) else ():
        means = {}
        for name in measures.values():
            ends = mean_interval(runs[name].dropna() if name in runs else [])
            ends = [None if np.isnan(end) else end for end in ends]
            means[name] = dict(zip(("mean", "low", "high"), ends, strict=True))
        about = {"method": method, "label": METHOD_NAMES[method], "overrides": {}}
        groups[method] = about | {"seeds": runs.index, split: means}
    return {"title": "the table", "groups": groups}


def _points(result: Mapping, measures: Mapping[str, str], split: str) -> pd.DataFrame:
    """One row a measured group: method, label, hover text, and error and outliers with ends."""
    rows = {}
    for slug, group in result["groups"].items():
        measured = group.get(split) or {}
        accuracy, outliers = (measured.get(name) or {} for name in measures.values())
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
            "hover": _hover(group, dict(zip(measures.values(), (accuracy, outliers), strict=True))),
        }
    columns = ["method", "label", "overrides", "hover"]
    columns += [f"{of}{end}" for of in measures for end in ("", "_low", "_high")]
    return pd.DataFrame.from_dict(rows, orient="index", columns=columns)


def _less(value, other):
    return np.nan if value is None or other is None else value - other


def _hover(group: Mapping, measured: Mapping[str, Mapping]) -> str:
    n = len(group["seeds"])
    lines = [f"<b>{plain(group['label'], 100)}</b>"]
    lines += [f"{plain(name)} = {plain(value)}" for name, value in group["overrides"].items()]
    lines += [f"{_said(name)} {_with_ends(value)}" for name, value in reversed(measured.items())]
    lines += ["one seed, no interval over seeds" if n == 1 else f"mean of {n} seeds, 95 % interval"]
    return "<br>".join(lines)


def _said(name: str) -> str:
    return plain(name.replace("_outlier_rate", "_outliers").replace("_", " "))


def _with_ends(value: Mapping) -> str:
    ends = value.get("low"), value.get("high")
    return f"{value['mean']:.1%}" + ("" if None in ends else " ({:.1%} to {:.1%})".format(*ends))


def _add_points(figure: go.Figure, points: pd.DataFrame, styles: Mapping[str, Style]) -> int:
    """Draw the groups; how many no other group beats in both, each of which is named."""
    front = points[_undominated(points[["error", "outliers"]].to_numpy(float))]
    front = front.sort_values("error")
    others = points.drop(front.index)
    if len(front):
        figure.add_scatter(
            x=front["error"], y=front["outliers"], mode="lines", hoverinfo="skip",
            name="Pareto front", line={"color": GREY, "width": 1.5, "dash": "dot"},
        )  # fmt: skip
    for method in in_order(others["method"]):
        name = plain(METHOD_NAMES[method])
        figure.add_trace(_points_trace(others[others["method"] == method], styles[method], name))
    # Names beside the points would hide each other: numbers there, and names in the legend.
    for number, (slug, group) in enumerate(front.iterrows(), start=1):
        name = f"{number}. {plain(group['label'], 100)}"
        trace = _points_trace(front.loc[[slug]], styles[group["method"]], name)
        figure.add_trace(
            trace.update(mode="markers+text", text=str(number), textposition="bottom left")
        )
    return len(front)


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


def _ring(x, y, name: str) -> go.Scatter:
    return go.Scatter(
        x=x, y=y, name=name, mode="markers", hoverinfo="skip",
        marker={"color": GREY, "symbol": "circle-open", "size": 20, "line": {"width": 2}},
    )  # fmt: skip


def _add_goal(figure: go.Figure, points: pd.DataFrame, left: float, fine: str) -> None:
    """Shade where species accuracy is CE's or better and outliers are as few as in the paper."""
    baselines = points[points["method"] == "ce"]
    ce = baselines.loc[baselines["overrides"].map(len).idxmin()]  # with the fewest overrides
    share = _PAPER_SHARE * ce["outliers"]
    figure.add_shape(
        type="rect", x0=left, x1=ce["error"], y0=0, y1=share, layer="below",
        fillcolor=OKABE_ITO[2], opacity=0.15, line_width=0,
    )  # fmt: skip
    line = {"color": GREY, "width": 1, "dash": "dash"}
    goal = f"CE's outliers {_PAPER_SHARE - 1:+.0%}".replace("-", "−")
    figure.add_vline(
        ce["error"],
        line=line,
        annotation_text=f"CE's {fine} error",
        annotation_font_size=11,
        annotation_xshift=4,
    )
    figure.add_hline(
        share, line=line, annotation_text=goal, annotation_position="top right",
        annotation_font_size=11,
    )  # fmt: skip


# ---------------------------------------------------------------------------------- lines


def _curves(lines: Mapping[str, Sequence[Curve]]) -> pd.DataFrame:
    """A row a method, run and share: its error and outliers."""
    columns = ["share", "outliers", "error"]
    parts = [pd.DataFrame(columns=["method", "run", *columns], dtype=float)]
    for method, of_seeds in lines.items():
        for run, curve in enumerate(of_seeds):
            parts_of_run = [np.asarray(part, dtype=float) for part in curve]
            first = np.asarray(of_seeds[0][0], dtype=float)
            if [part.shape for part in parts_of_run] != [first.shape] * 3 or any(
                parts_of_run[0] != first
            ):
                raise ValueError(
                    f"pareto: run {run} of lines[{method!r}] must be (shares, outlier rates, "
                    f"accuracies) with the {first.size} shares of the first run, whose mean is "
                    f"drawn; got lengths {[len(part) for part in parts_of_run]}"
                )
            shares, outliers, accuracies = parts_of_run
            values = dict(zip(columns, (shares, outliers, 1 - accuracies), strict=True))
            parts.append(pd.DataFrame({"method": method, "run": run} | values))
    return pd.concat(parts)


def _line_traces(
    curves: pd.DataFrame, style: Style, chosen: float | Sequence[float] | None
) -> Iterator[go.Scatter]:
    """A thin line a run, their mean, and a ring around what was chosen."""
    method = curves["method"].iloc[0]
    name = plain(METHOD_NAMES[method])
    runs = [run.sort_values("share") for _, run in curves.groupby("run")]
    for run in runs if len(runs) > 1 else ():
        yield go.Scatter(
            x=run["error"], y=run["outliers"], mode="lines", hoverinfo="skip", showlegend=False,
            line={"color": style.color, "width": 1}, opacity=0.45, legendgroup=method,
        )  # fmt: skip
    mean = curves.groupby("share", as_index=False)[["outliers", "error"]].mean()
    ends = mean["share"].min(), mean["share"].max()
    of_seeds = f", mean of {len(runs)} seeds" if len(runs) > 1 else ""
    yield go.Scatter(
        x=mean["error"],
        y=mean["outliers"],
        name=f"{name}, by share w{of_seeds}",
        legendgroup=method,
        mode="lines+markers+text",
        line={"color": style.color, "width": 3},
        marker={"symbol": style.symbol, "size": 7},
        text=[f"w = {share:g}" if share in ends else "" for share in mean["share"]],
        textposition=["top right"] * (len(mean) - 1) + ["bottom center"],
        customdata=mean["share"],
        hovertemplate=f"{name}, w = %{{customdata:g}}{of_seeds}<br>outliers %{{y:.1%}}, "
        "error %{x:.1%}<extra></extra>",
    )
    if chosen is not None:
        # A share that all have is marked on the mean; where every run chose its own, on each.
        shares = np.unique(chosen)
        marked = [(mean, shares[0])] if len(shares) == 1 else list(zip(runs, chosen, strict=True))
        error, outliers = (
            [np.interp(share, curve["share"], curve[of]) for curve, share in marked]
            for of in ("error", "outliers")
        )
        share = f", w = {shares[0]:g}" if len(shares) == 1 else ""
        yield _ring(error, outliers, f"chosen{share}")
