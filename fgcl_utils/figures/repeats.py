"""Runs that differ in the seed only: every one of them, their mean, and how sure it is."""

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from pandas.io.formats.style import Styler
from plotly.subplots import make_subplots
from scipy import stats

from fgcl_utils.figures.measures import SPACES, Measure, measure
from fgcl_utils.figures.style import GREY, METHOD_NAMES, in_order, method_styles, plain


def mean_interval(values: Sequence[float], confidence: float = 0.95) -> tuple[float, float, float]:
    """Mean of a few runs and the ends of its interval by Student's t; NaN ends for a single run.

    Parameters
    ----------
    values : float (N,)
    confidence : float
        In (0, 1).
    """
    values = np.asarray(values, dtype=np.float64)
    mean = float(values.mean())
    if len(values) < 2:
        return mean, np.nan, np.nan
    reach = stats.t.ppf((1 + confidence) / 2, len(values) - 1) * stats.sem(values)
    return mean, float(mean - reach), float(mean + reach)


def seeds(
    table: pd.DataFrame, measures: Sequence[str] = ("genus_outlier_rate", "species_accuracy")
) -> go.Figure:
    """Every run as a point, those with the same seed joined, beside the mean of each method.

    Parameters
    ----------
    table : DataFrame
        One row a run: method, seed and measures as in metrics.json.
    measures : sequence of str
        Columns of the table, a panel each, two in a row.

    Raises
    ------
    ValueError
        If the table lacks one of them.
    """
    if missing := [name for name in measures if name not in table or measure(name) is None]:
        raise ValueError(f"seeds: no measure {missing[0]!r} in the columns {', '.join(table)}")
    columns = min(2, len(measures))
    rows = -(-len(measures) // columns)
    shown = [measure(name) for name in measures]
    figure = make_subplots(
        rows, columns,
        subplot_titles=[f"{m.name}, {m.space}" for m in shown],
        horizontal_spacing=0.1, vertical_spacing=0.28 / rows,
    )  # fmt: skip
    for panel, (name, m) in enumerate(zip(measures, shown, strict=True)):
        place = {"row": panel // columns + 1, "col": panel % columns + 1}
        figure.add_traces(list(_seed_traces(table, name, m)), rows=place["row"], cols=place["col"])
        figure.update_yaxes(tickformat="~%" if m.unit else "~g", **place)
    methods = in_order(table["method"])
    figure.update_xaxes(
        tickvals=list(range(len(methods))),
        ticktext=[plain(METHOD_NAMES.get(method, method)) for method in methods],
        range=(-0.4, len(methods) - 0.4),
        showgrid=False,
    )
    figure.update_annotations(font_size=13)
    figure.update_layout(
        template="fgcl", height=70 + 250 * rows, margin_t=50, showlegend=False, hovermode="closest"
    )
    return figure


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


def measures_table(table: pd.DataFrame) -> Styler:
    """All measures of all methods, by the space they are taken in; the best of a row in bold.

    Parameters
    ----------
    table : DataFrame
        One row a run: method, seed and measures as in metrics.json. Of several seeds, the mean
        stands there with the half-width of its 95 % interval.

    Returns
    -------
    Styler
        Formatted for display; its `.data` are the means.
    """
    shown = {key: measure(key) for key in table if table[key].notna().any()}
    shown = {key: m for key, m in shown.items() if m is not None}
    shown = dict(sorted(shown.items(), key=lambda item: SPACES.index(item[1].space)))
    methods = in_order(table["method"])
    means, texts = pd.DataFrame(), pd.DataFrame()
    for key, m in shown.items():
        values = [table.loc[table["method"] == method, key].dropna() for method in methods]
        intervals = [mean_interval(v) if len(v) else (np.nan,) * 3 for v in values]
        means[key] = [mean for mean, _, _ in intervals]
        texts[key] = [
            "" if np.isnan(mean) else m.text(mean, high - mean) for mean, _, high in intervals
        ]
    best = pd.DataFrame(
        {key: means[key] == (means[key].max() if m.better == "↑" else means[key].min())
         for key, m in shown.items()}
    )  # fmt: skip
    rows = pd.MultiIndex.from_tuples([(m.space, f"{m.name} {m.better}") for m in shown.values()])
    columns = [METHOD_NAMES.get(method, method) for method in methods]
    means, texts, best = (
        frame.T.set_axis(rows).set_axis(columns, axis=1) for frame in (means, texts, best)
    )
    styler = means.style.apply(lambda _: np.where(best, "font-weight: bold", ""), axis=None)
    for row in rows:
        for column in columns:
            styler.format(lambda _, text=texts.loc[row, column]: text, subset=([row], [column]))
    return styler.format_index(escape="html", axis=1).set_table_attributes('class="dataframe"')
