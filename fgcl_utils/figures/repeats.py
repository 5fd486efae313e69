"""Runs that differ in the seed only: every one of them, their mean, and how sure it is."""

from collections.abc import Iterator, Mapping, Sequence

import pandas as pd
import plotly.graph_objects as go
from pandas.io.formats.style import Styler
from plotly.subplots import make_subplots

from fgcl_utils.figures.measures import MEASURES, SPACES, Measure
from fgcl_utils.figures.style import (
    GREY,
    METHOD_NAMES,
    headed_table,
    in_order,
    method_styles,
    plain,
)
from fgcl_utils.metrics import mean_interval


def mean_texts(table: pd.DataFrame, name: str) -> dict[str, str]:
    """A measure of every method in words, such as {"ce": "17.5 ± 3.9%"}.

    Parameters
    ----------
    table : DataFrame
        One row a run: method and the measure, as in metrics.json.
    name : str
        Its column.
    """
    texts = {}
    for method in in_order(table["method"]):
        mean, _, high = mean_interval(table.loc[table["method"] == method, name].dropna())
        texts[method] = MEASURES[name].text(mean, high - mean)
    return texts


def seeds(
    table: pd.DataFrame, measures: Sequence[str] = ("genus_outlier_rate", "species_accuracy")
) -> go.Figure:
    """Every run as a point, those with the same seed joined, beside the mean of each method.

    The mean has its 95 % interval over seeds. A single run has none; where the table knows it, the
    interval over test photos is drawn instead.

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
    if missing := [name for name in measures if name not in table or name not in MEASURES]:
        raise ValueError(f"seeds: no measure {missing[0]!r} in the columns {', '.join(table)}")
    columns = min(2, len(measures))
    rows = -(-len(measures) // columns)
    shown = [MEASURES[name] for name in measures]
    figure = make_subplots(
        rows, columns,
        subplot_titles=[f"{m.name}<br>({m.space})" for m in shown],
        horizontal_spacing=0.1, vertical_spacing=0.34 / rows,
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
        template="fgcl", height=60 + 270 * rows, margin_t=60, showlegend=False, hovermode="closest"
    )
    return figure


def recorded_seeds(
    result: Mapping,
    measures: Sequence[str] = ("genus_outlier_rate", "species_accuracy"),
    split: str = "test",
) -> go.Figure:
    """`seeds` of a study's usual settings, from the content of results/<study>.json."""
    return seeds(_recorded_runs(result, split), measures)


def recorded_measures(result: Mapping, split: str = "test") -> Styler:
    """`measures_table` of a study's usual settings, from the content of results/<study>.json."""
    return measures_table(_recorded_runs(result, split))


def _recorded_runs(result: Mapping, split: str) -> pd.DataFrame:
    """The runs without overrides, a row each: method, seed and measures."""
    return pd.DataFrame(
        {"method": run["method"], "seed": run["seed"]} | run[split]
        for run in result["runs"]
        if not run["overrides"]
    )


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
    """The interval over test photos of a single run, where it is known."""
    interval = runs.get(f"{name}_interval")
    if len(runs) != 1 or interval is None or not isinstance(interval.iloc[0], list | tuple):
        return None
    low, high = interval.iloc[0]
    value = runs[name].iloc[0]
    return {"array": [high - value], "arrayminus": [value - low], "thickness": 1.5, "width": 4}


def measures_table(table: pd.DataFrame) -> Styler:
    """All measures of all methods, by the space they are taken in; the best of a row in bold.

    Parameters
    ----------
    table : DataFrame
        One row a run: method, seed and measures as in metrics.json. Of several seeds, the mean
        stands there with the half-width of its 95 % interval.
    """
    names = {method: METHOD_NAMES.get(method, method) for method in in_order(table["method"])}
    parts, best = {}, []
    for key, m in MEASURES.items():
        if key not in table or table[key].isna().all():
            continue
        part, row = SPACES[m.space], f"{m.name} {m.better}"
        parts.setdefault(part, {})[row] = mean_texts(table, key)
        means = table.groupby("method")[key].mean().dropna()
        if len(means) > 1:
            is_best = means == (means.max() if m.better == "↑" else means.min())
            best += [((part, row), names[method]) for method in means.index[is_best]]
    styler = headed_table(
        {part: pd.DataFrame(rows).T.rename(columns=names) for part, rows in parts.items()}
    )
    bold = pd.DataFrame("", *styler.data.axes)
    for place in best:
        bold.loc[place] = "font-weight: bold"
    return styler.apply(lambda _: bold, axis=None)
