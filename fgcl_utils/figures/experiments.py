"""What an experiment of many runs comes to: what soft positives cost, and when they help.

The functions take the parsed content of results/<experiment>.json: `groups` of runs that differ
in the seed only, each with the mean of every measure on "val" and "test", and its interval over
seeds where there are several.
"""

import dataclasses
from collections.abc import Mapping

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from fgcl_utils.figures.evaluation import PAPER_OUTLIERS
from fgcl_utils.figures.style import (
    GREY,
    METHOD_NAMES,
    OKABE_ITO,
    Style,
    in_order,
    method_styles,
    plain,
)
from fgcl_utils.metrics import mean_interval

# The share of CE's outliers that HCL leaves in the paper, 201 of 725.
_PAPER_SHARE = PAPER_OUTLIERS["hcl"] / PAPER_OUTLIERS["ce"]


# ---------------------------------------------------------------------------------- the price


def pareto(result: Mapping, split: str = "val") -> go.Figure:
    """Genus outliers against species error, a point a group: what one buys with the other.

    The groups that no other group beats in both are joined and named; lines mark CE's species
    error and the paper's reduction of CE's outliers, so the goal is the corner below both.

    Parameters
    ----------
    result : mapping
        results/<experiment>.json; `headline.default`, if there, is the group to be ringed.
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


# ---------------------------------------------------------------------------------- the gain

_GAINS = {  # measure: how a gain is said, and the sign that makes it positive
    "genus_outlier_rate": ("fewer outliers<br>than {}", -1),
    "species_accuracy": ("higher accuracy<br>than {}", 1),
}
_DIALS = {
    "dials.species_gap": "species gap",
    "dials.genus_gap": "genus gap",
    "dials.tail": "long tail",
    "dials.label_noise": "label noise",
}
_GAPS = ("dials.species_gap", "dials.genus_gap")
# Blue is better, the middle is 0; light enough everywhere for dark numbers.
_DIVERGING = [[0, "#E8884A"], [0.5, "#F7F7F7"], [1, OKABE_ITO[5]]]


def gain_map(result: Mapping, split: str = "test") -> go.Figure:
    """What HCL gains over CE and over SupCon, species gap × genus gap.

    Differences of runs with the same seed in percentage points, averaged; with several seeds the
    half-width of the 95 % interval of the mean stands below. Above 0, HCL is better.

    Parameters
    ----------
    result : mapping
        results/<experiment>.json of synthetic data: the runs' overrides hold
        "dials.species_gap", "dials.genus_gap", "dials.tail", "dials.label_noise"; a missing dial
        has the value in `settings.dials`, or its default. Runs that override anything but the
        two gaps are left out.
    split : {"val", "test"}

    Raises
    ------
    ValueError
        If HCL and a baseline were nowhere run on the same data with the same seed.
    """
    gains = _gains(result, split, varied=_GAPS)
    for gap, other in (_GAPS[::-1], _GAPS):
        # A single point off the grid, such as the data as they are, would leave a row empty.
        cells = gains.groupby(gap)[other].transform("nunique")
        gains = gains[cells > cells.max() / 2]
    baselines = in_order(gains["baseline"])
    figure = make_subplots(
        len(baselines),
        len(_GAINS),
        shared_xaxes=True,
        shared_yaxes=True,
        subplot_titles=[_gain_title(m, b) for b in baselines for m in _GAINS],
        horizontal_spacing=0.04,
        vertical_spacing=0.18,
    )
    for row, baseline in enumerate(baselines, start=1):
        for column, measure in enumerate(_GAINS, start=1):
            cells = gains[(gains["baseline"] == baseline) & (gains["measure"] == measure)]
            figure.add_heatmap(
                # As names, so that all cells are equally large whatever the steps.
                x=cells[_GAPS[0]].map("{:g}".format),
                y=cells[_GAPS[1]].map("{:g}".format),
                z=cells["mean"],
                text=cells["text"],
                texttemplate="%{text}",
                textfont={"size": 12, "color": "#222222"},
                customdata=cells["hover"],
                hovertemplate="%{customdata}<extra></extra>",
                coloraxis="coloraxis",
                xgap=2,
                ygap=2,
                row=row,
                col=column,
            )
    largest = gains["mean"].abs().max() or 1.0
    figure.update_layout(
        template="fgcl",
        height=170 + 230 * len(baselines),
        margin_t=60,
        coloraxis={
            "colorscale": _DIVERGING,
            "cmin": -largest,
            "cmax": largest,
            "colorbar": {
                "title": {"text": "percentage points", "side": "bottom"},
                "orientation": "h",
                "thickness": 12,
                "outlinewidth": 0,
                "y": -0.2,
                "yanchor": "top",
            },
        },
    )
    figure.update_annotations(font_size=13)
    for axis, gap in zip(("xaxes", "yaxes"), _GAPS, strict=True):
        steps = [f"{value:g}" for value in sorted(gains[gap].unique())]
        edge = {"row": len(baselines)} if axis == "xaxes" else {"col": 1}
        update = getattr(figure, f"update_{axis}")
        update(
            type="category", categoryorder="array", categoryarray=steps, showgrid=False, ticks=""
        )
        update(title=_DIALS[gap], **edge)
    return figure


def gain_curves(result: Mapping, dial: str, split: str = "test") -> go.Figure:
    """What HCL gains over CE and over SupCon as one dial turns, the others being at their base.

    Parameters
    ----------
    result : mapping
        As for `gain_map`.
    dial : {"species_gap", "genus_gap", "tail", "label_noise"}
    split : {"val", "test"}

    Raises
    ------
    ValueError
        If HCL and a baseline were nowhere run on the same data with the same seed.
    """
    dial = f"dials.{dial}"
    gains = _gains(result, split, varied=(dial,))
    figure = make_subplots(
        1,
        len(_GAINS),
        subplot_titles=[_gain_title(measure, "…") for measure in _GAINS],
        horizontal_spacing=0.12,
    )
    for baseline, style in method_styles(gains["baseline"]).items():
        for column, measure in enumerate(_GAINS, start=1):
            line = gains[(gains["baseline"] == baseline) & (gains["measure"] == measure)]
            figure.add_scatter(
                x=line[dial],
                y=line["mean"],
                error_y={"array": line["half_width"], "thickness": 1, "width": 3},
                name=f"… {plain(METHOD_NAMES.get(baseline, baseline))}",
                legendgroup=baseline,
                showlegend=column == 1,
                mode="lines+markers",
                marker={"color": style.color, "symbol": style.symbol, "size": 9},
                line={"color": style.color, "width": 2},
                customdata=line["hover"],
                hovertemplate="%{customdata}<extra></extra>",
                row=1,
                col=column,
            )
    figure.add_hline(0, line={"color": GREY, "width": 1, "dash": "dash"})
    figure.update_layout(template="fgcl", height=340, margin_t=60, legend_y=-0.3)
    figure.update_annotations(font_size=13)
    figure.update_xaxes(title=_DIALS[dial], tickvals=sorted(gains[dial].unique()))
    figure.update_yaxes(ticksuffix=" ", tickformat="+~g")
    figure.update_yaxes(title="percentage points", col=1)
    return figure


def _gain_title(measure: str, baseline: str) -> str:
    return _GAINS[measure][0].format(METHOD_NAMES.get(baseline, baseline))


def _gains(result: Mapping, split: str, varied: tuple[str, ...]) -> pd.DataFrame:
    """HCL against each baseline, a row a combination of the `varied` dials and a measure.

    Columns: the varied dials, baseline, measure, mean (percentage points, above 0 is better),
    half_width (of its 95 % interval; NaN with one seed), text and hover.
    """
    runs = _on_dials(result, split, varied)
    keys = [*varied, "seed"]
    hcl = runs[runs["method"] == "hcl"].set_index(keys)
    rows = []
    for baseline in (name for name in ("ce", "supcon") if (runs["method"] == name).any()):
        pairs = hcl.join(
            runs[runs["method"] == baseline].set_index(keys), rsuffix="_base", how="inner"
        )
        for at, group in pairs.groupby(list(varied)):
            for measure, (_, sign) in _GAINS.items():
                ours, theirs = 100 * group[measure], 100 * group[f"{measure}_base"]
                gain = (sign * (ours - theirs)).dropna()
                if gain.empty:
                    continue
                dials = dict(zip(varied, at, strict=True))
                rows.append(
                    {**dials, "baseline": baseline, "measure": measure, **_summary(gain)}
                    | {"hover": _gain_hover(dials, measure, baseline, ours, theirs)}
                )
    if not rows:
        raise ValueError(
            f"no run of HCL and of a baseline in {result.get('title', 'the result')!r} share the "
            f"dials {', '.join(varied)} and the seed"
        )
    return pd.DataFrame(rows).sort_values(list(varied), ignore_index=True)


def _on_dials(result: Mapping, split: str, varied: tuple[str, ...]) -> pd.DataFrame:
    """The runs that differ from the experiment's settings in the `varied` dials alone."""
    from fgcl_utils.datasets.synthetic import Dials  # here: it brings torch

    dials = {field.name: field.default for field in dataclasses.fields(Dials)}
    dials |= result.get("settings", {}).get("dials") or {}
    base = {f"dials.{dial}": value for dial, value in dials.items()}
    rows = []
    for run in result["runs"]:
        dials = base | run["overrides"]
        if all(value == base.get(name) for name, value in dials.items() if name not in varied):
            measures = {name: run[split].get(name, np.nan) for name in _GAINS}
            dials = {name: dials[name] for name in varied}
            rows.append({"method": run["method"], "seed": run["seed"], **dials, **measures})
    return pd.DataFrame(rows, columns=["method", "seed", *varied, *_GAINS])


def _summary(gain: pd.Series) -> dict:
    mean, low, high = mean_interval(gain)
    text = f"{mean:+.1f}".replace("-", "−")
    if len(gain) > 1:
        text += f"<br>±{(high - low) / 2:.1f}"
    return {"mean": mean, "half_width": (high - low) / 2, "text": text}


def _gain_hover(dials: Mapping, measure: str, baseline: str, ours, theirs) -> str:
    lines = [f"{_DIALS[dial]} {value:g}" for dial, value in dials.items()]
    lines += [
        measure.replace("_", " "),
        f"HCL {ours.mean():.1f} %, {METHOD_NAMES[baseline]} {theirs.mean():.1f} %",
        "one seed" if len(ours) == 1 else f"mean of {len(ours)} seeds",
    ]
    return "<br>".join(lines)
