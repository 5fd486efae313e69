"""Measures as dots with their intervals: every seed, every reading."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from fgcl_utils.figures.measures import Measure, headline, measure, recorded_runs
from fgcl_utils.figures.names import LEVELS, coarser, levels_of, plain
from fgcl_utils.figures.style import GREY, METHOD_NAMES, Style, in_order, method_styles
from fgcl_utils.metrics import mean_interval


def seeds(table: pd.DataFrame, measures: Sequence[str] = tuple(headline(LEVELS))) -> go.Figure:
    """Every run as a point, those with the same seed joined, beside the mean of each method.

    The mean has its 95 % interval over seeds. A single run has none; where the table knows it, the
    interval over test photos is drawn instead.

    Parameters
    ----------
    table : DataFrame
        One row a run: method, seed and measures as in metrics.json.
    measures : sequence of str
        Columns of the table, a panel each, two in a row if the methods are few.

    Raises
    ------
    ValueError
        If the table lacks one of them.
    """
    shown = [measure(name) if name in table else None for name in measures]
    if None in shown:
        missing = measures[shown.index(None)]
        raise ValueError(f"seeds: no measure {missing!r} in the columns {', '.join(table)}")
    methods = in_order(table["method"])
    columns = min(2, len(measures)) if len(methods) < 5 else 1  # or the names would not fit
    rows = -(-len(measures) // columns)
    # On a phone the names of many methods stand upright.
    gap, height = (0.34, 270) if len(methods) < 6 else (0.46, 310)
    figure = make_subplots(
        rows, columns,
        subplot_titles=[f"{plain(m.name)}<br>({m.space})" for m in shown],
        horizontal_spacing=0.1, vertical_spacing=gap / rows,
    )  # fmt: skip
    for panel, (name, m) in enumerate(zip(measures, shown, strict=True)):
        place = {"row": panel // columns + 1, "col": panel % columns + 1}
        figure.add_traces(list(_seed_traces(table, name, m)), rows=place["row"], cols=place["col"])
        figure.update_yaxes(tickformat="~%" if m.unit else "~g", **place)
    figure.update_xaxes(
        tickvals=list(range(len(methods))),
        ticktext=[plain(METHOD_NAMES[method]).replace(" ", "<br>") for method in methods],
        range=(-0.4, len(methods) - 0.4),
        showgrid=False,
    )
    figure.update_annotations(font_size=13)
    figure.update_layout(
        template="fgcl", height=60 + height * rows, margin_t=60, showlegend=False,
        hovermode="closest",
    )  # fmt: skip
    return figure


def recorded_seeds(
    result: Mapping, measures: Sequence[str] | None = None, split: str = "test"
) -> go.Figure:
    """`seeds` of a study's usual settings, from the content of results/<study>.json.

    By default the outlier rate of every level above the finest, and the accuracy of the finest.
    Without ``coarse_only``: it learns no species, and its accuracy would press the others together.
    """
    runs = recorded_runs(result, split)
    runs = runs[runs["method"] != "coarse_only"]
    return seeds(runs, measures or headline(levels_of(result)))


def _seed_traces(table: pd.DataFrame, name: str, m: Measure) -> Iterator[go.Scatter]:
    """A line a seed, then the points of each method and, beside them, their mean."""
    styles = method_styles(table["method"])
    places = {method: place for place, method in enumerate(styles)}
    for _, run in table.groupby("seed"):
        run = run.sort_values("method", key=lambda column: column.map(places))
        yield go.Scatter(
            x=run["method"].map(places), y=run[name], mode="lines", hoverinfo="skip",
            line={"color": GREY, "width": 0.7}, opacity=0.6,
        )  # fmt: skip
    for method, style in styles.items():
        runs = table[table["method"] == method].dropna(subset=[name])
        values = runs.set_index("seed")[name]
        yield go.Scatter(
            x=[places[method]] * len(values), y=values, mode="markers",
            marker={"color": style.color, "symbol": style.symbol, "size": 9},
            error_y=_over_photos(runs, name),
            text=[f"seed {seed}: {m.text(value)}" for seed, value in values.items()],
            hovertemplate="%{text}<extra></extra>",
        )  # fmt: skip
        if len(values) > 1:
            mean, low, high = mean_interval(values)
            yield go.Scatter(
                x=[places[method] + 0.22], y=[mean], mode="markers",
                marker={"color": style.color, "symbol": "line-ew-open", "size": 14},
                marker_line_width=3,
                error_y={"array": [high - mean], "thickness": 2, "width": 5},
                text=f"mean of {len(values)} seeds: {m.text(mean)}<br>"
                f"95 % interval {m.text(low)} to {m.text(high)}",
                hovertemplate="%{text}<extra></extra>",
            )  # fmt: skip


def _over_photos(runs: pd.DataFrame, name: str) -> dict | None:
    """The interval over test images of a single run, where it is known."""
    interval = runs.get(f"{name}_interval")
    if len(runs) != 1 or interval is None or not isinstance(interval.iloc[0], list | tuple):
        return None
    low, high = interval.iloc[0]
    value = runs[name].iloc[0]
    return {"array": [high - value], "arrayminus": [value - low], "thickness": 1.5, "width": 4}


# The paper leaves open in which space and against whose centroids it counts.
_READINGS = {  # ending of the measure's name: what it means
    "": "embedding<br>train<br>centroids",
    "_test_centroids": "embedding<br>test<br>centroids",
    "_encoder": "encoder<br>train<br>centroids",
    "_encoder_test_centroids": "encoder<br>test<br>centroids",
}


def outlier_readings(evaluation: Mapping) -> go.Figure:
    """The outlier rates of each method under every reading of the paper's measure.

    Parameters
    ----------
    evaluation : mapping
        As in evaluation.json, {"methods": {"ce": {…}, …}, "levels": [...]}, each method with the
        measures of `metrics.evaluate`: genus_outlier_rate and the same with _encoder,
        _test_centroids or both; where a measure has an _interval (low, high), it is drawn. Each
        level above the finest has a panel.

    Raises
    ------
    ValueError
        If there is one level only.
    """
    levels = coarser(levels_of(evaluation), "outlier_readings")
    methods = evaluation["methods"]
    # Dots of one reading stand side by side: a numeric axis, labelled by hand.
    reach = min(0.35, 0.1 * (len(methods) - 1))
    offsets = np.linspace(-reach, reach, len(methods))
    figure = make_subplots(len(levels), 1, shared_xaxes=True, vertical_spacing=0.12 / len(levels))
    for row, level in enumerate(levels, start=1):
        for (method, style), offset in zip(method_styles(methods).items(), offsets, strict=True):
            trace = _readings_trace(methods[method], level, plain(METHOD_NAMES[method]), style)
            trace.update(x=trace.x + offset, legendgroup=method, showlegend=row == 1)
            figure.add_trace(trace, row=row, col=1)
        figure.update_yaxes(title=f"{plain(level)} outlier rate", row=row)
    # The legend goes above: how tall the labels below are depends on the width of the page.
    figure.update_layout(
        template="fgcl", height=110 + 250 * len(levels), legend={"y": 1.02, "yanchor": "bottom"}
    )
    figure.update_xaxes(
        tickvals=list(range(len(_READINGS))), ticktext=list(_READINGS.values()),
        range=(-0.5, len(_READINGS) - 0.5), showgrid=False, tickangle=0,
    )  # fmt: skip
    figure.update_yaxes(tickformat="~%", rangemode="tozero")
    return figure


def _readings_trace(measures: Mapping, level: str, name: str, style: Style) -> go.Scatter:
    keys = [f"{level}_outlier_rate{ending}" for ending in _READINGS]
    rates = np.array([measures.get(key, np.nan) for key in keys])  # NaN is not drawn
    ends = np.array([measures.get(f"{key}_interval", (np.nan, np.nan)) for key in keys])
    return go.Scatter(
        x=np.arange(len(keys)),
        y=rates,
        error_y={"array": ends[:, 1] - rates, "arrayminus": rates - ends[:, 0]},
        name=name,
        mode="markers",
        marker={"color": style.color, "symbol": style.symbol, "size": 11},
        text=["" if np.isnan(low) else f" ({low:.1%} to {high:.1%})" for low, high in ends],
        hovertemplate=f"{name}: %{{y:.1%}}%{{text}}<extra></extra>",
    )
