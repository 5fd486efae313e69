"""How the methods compare: training curves, tables, outliers, confusions."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import plotly.graph_objects as go
import seaborn as sns
from matplotlib.figure import Figure
from pandas.io.formats.style import Styler
from plotly.subplots import make_subplots

from fgcl_utils.figures.style import (
    METHOD_NAMES,
    OKABE_ITO,
    WIDTH,
    genus_styles,
    in_order,
    no_math,
    plain,
    print_like,
)

# Chamidullin, "Contrastive Learning for Fine-grained Visual Recognition": genus outliers among
# the 3,640 test photos of DF20-Mini. The text gives CE, and SupCon and HCL as 302 and 524 fewer.
PAPER_OUTLIERS = {"ce": 725, "supcon": 725 - 302, "hcl": 725 - 524}
PAPER_TEST_PHOTOS = 3640


def training_curves(history: pd.DataFrame) -> go.Figure:
    """Loss and validation measures over the epochs.

    Parameters
    ----------
    history : DataFrame
        Columns epoch and any of train_loss, learning_rate, val_genus_outlier_rate,
        val_species_accuracy (fractions of 1), seconds. Missing columns and NaN are left out.
    """
    curves = (  # column, name, panel, symbol, digits
        ("train_loss", "training loss", "training loss", "circle", ".4g"),
        ("val_genus_outlier_rate", "genus outlier rate", "validation", "diamond", ".1%"),
        ("val_species_accuracy", "species accuracy", "validation", "square", ".1%"),
    )
    curves = [row for row in curves if row[0] in history and history[row[0]].notna().any()]
    panels = list(dict.fromkeys(row[2] for row in curves))
    if not panels:
        raise ValueError(
            f"training_curves: nothing to draw in the columns {list(history.columns)}; "
            "train_loss, val_genus_outlier_rate or val_species_accuracy expected"
        )
    figure = make_subplots(1, len(panels), subplot_titles=panels, horizontal_spacing=0.12)
    for color, (column, name, panel, symbol, digits) in zip(OKABE_ITO, curves, strict=False):
        points = history.dropna(subset=[column])
        figure.add_scatter(
            x=points["epoch"],
            y=points[column],
            name=name,
            mode="lines+markers",
            line={"color": color, "width": 2},
            marker={"symbol": symbol, "size": 6},
            text=_epoch_facts(points),
            hovertemplate=f"epoch %{{x}}: {name} %{{y:{digits}}}%{{text}}<extra></extra>",
            showlegend=panel == "validation",  # the other panel's title says it
            row=1,
            col=panels.index(panel) + 1,
        )
    figure.update_layout(template="fgcl", margin_t=56)
    figure.update_annotations(font_size=14)
    figure.update_xaxes(title="epoch")
    if "validation" in panels:
        figure.update_yaxes(
            rangemode="tozero", tickformat="~%", row=1, col=panels.index("validation") + 1
        )
    return figure


def _epoch_facts(history: pd.DataFrame) -> list[str]:
    """What else the log knows of each epoch, as lines of hover text."""
    facts = [""] * len(history)
    for column, form in (
        ("learning_rate", "<br>learning rate {:.2g}"),
        ("seconds", "<br>{:.1f} s"),
    ):
        if column in history:
            values = history[column]
            facts = [
                fact + (form.format(value) if pd.notna(value) else "")
                for fact, value in zip(facts, values, strict=True)
            ]
    return facts


def results_table(evaluation: Mapping, dataset: str) -> Styler:
    """The paper's table, and ours beside it.

    Parameters
    ----------
    evaluation : mapping
        As in evaluation.json: {"methods": {"ce": {"genus_outliers", "genus_outlier_rate",
        "species_accuracy", …}, …}}.
    dataset : str
        Name of the data that our numbers come from; it heads our columns.

    Returns
    -------
    Styler
        Formatted for display; the bare numbers are its `.data`. A change is that of the outlier
        rate against CE's, NaN where CE has no outliers or was not run.
    """
    methods = evaluation["methods"]
    order = in_order(methods)
    ours = pd.DataFrame.from_dict({name: methods[name] for name in order}, orient="index")
    ours = ours[["genus_outliers", "genus_outlier_rate", "species_accuracy"]]
    paper = pd.Series(PAPER_OUTLIERS, dtype=float).reindex(order)
    mine, theirs = f"ours ({dataset})", "paper (DF20-Mini)"
    table = pd.DataFrame(
        {
            (mine, "genus outliers"): ours["genus_outliers"],
            (mine, "rate"): ours["genus_outlier_rate"],
            (mine, "change"): _change(ours["genus_outlier_rate"]),
            (mine, "species accuracy"): ours["species_accuracy"],
            (theirs, "genus outliers"): paper,
            (theirs, "rate"): paper / PAPER_TEST_PHOTOS,
            (theirs, "change"): _change(paper),
        },
        index=order,
    ).rename(index=METHOD_NAMES)
    formats = {
        "genus outliers": _count,
        "rate": "{:.1%}",
        "change": _signed_percent,
        "species accuracy": "{:.1%}",
    }
    return (
        table.style.format({column: formats[column[1]] for column in table}, na_rep="")
        .format_index(escape="html", axis=1)
        # The theme lays a light sheet under every other HTML output in its dark mode.
        .set_table_attributes('class="dataframe"')
    )


def _change(values: pd.Series) -> pd.Series:
    """Relative to CE's value, and nothing for CE itself."""
    reference = values.get("ce", np.nan)
    return (values / reference - 1 if reference else values * np.nan).drop("ce", errors="ignore")


def _count(value: float) -> str:
    """Whole numbers plain, means over several seeds with one digit."""
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.1f}"


def _signed_percent(value: float) -> str:
    return f"{value:+.1%}".replace("-", "−")


# The paper leaves open in which space and against whose centroids it counts.
_READINGS = {  # ending of the measure's name: what it means
    "": "embedding<br>train<br>centroids",
    "_test_centroids": "embedding<br>test<br>centroids",
    "_encoder": "encoder<br>train<br>centroids",
    "_encoder_test_centroids": "encoder<br>test<br>centroids",
}


def outlier_readings(evaluation: Mapping) -> go.Figure:
    """The genus outlier rate of each method under every reading of the paper's measure.

    Parameters
    ----------
    evaluation : mapping
        As in evaluation.json, {"methods": {"ce": {…}, …}}, each method with the measures of
        `metrics.evaluate`: genus_outlier_rate and the same with _encoder, _test_centroids or both;
        where a measure has an _interval (low, high), it is drawn.
    """
    methods = evaluation["methods"]
    styles = genus_styles(range(len(methods))).values()
    # Dots of one reading stand side by side: a numeric axis, labelled by hand.
    offsets = np.linspace(-0.2, 0.2, len(methods))
    figure = go.Figure()
    for method, offset, style in zip(in_order(methods), offsets, styles, strict=True):
        measures = methods[method]
        keys = [f"genus_outlier_rate{ending}" for ending in _READINGS]
        rates = np.array([measures.get(key, np.nan) for key in keys])  # NaN is not drawn
        ends = np.array([measures.get(f"{key}_interval", (np.nan, np.nan)) for key in keys])
        name = plain(METHOD_NAMES.get(method, method))
        figure.add_scatter(
            x=np.arange(len(keys)) + offset,
            y=rates,
            error_y={"array": ends[:, 1] - rates, "arrayminus": rates - ends[:, 0]},
            name=name,
            mode="markers",
            marker={"color": style.color, "symbol": style.symbol, "size": 11},
            text=["" if np.isnan(low) else f" ({low:.1%} to {high:.1%})" for low, high in ends],
            hovertemplate=f"{name}: %{{y:.1%}}%{{text}}<extra></extra>",
        )
    # The legend goes above: how tall the labels below are depends on the width of the page.
    figure.update_layout(template="fgcl", legend={"y": 1.02, "yanchor": "bottom"})
    figure.update_xaxes(
        tickvals=list(range(len(_READINGS))), ticktext=list(_READINGS.values()),
        range=(-0.5, len(_READINGS) - 0.5), showgrid=False, tickangle=0,
    )  # fmt: skip
    figure.update_yaxes(title="genus outlier rate", tickformat="~%", rangemode="tozero")
    return figure


@print_like
def confusion_heatmap(matrix: np.ndarray, names: Sequence[str]) -> Figure:
    """Which genus is taken for which.

    Parameters
    ----------
    matrix : int (G, G)
        Test samples of the row's genus whose nearest centroid is the column's.
    names : sequence of G str
    """
    matrix = np.asarray(matrix)
    if matrix.shape != (len(names), len(names)):
        raise ValueError(
            f"confusion_heatmap: a square matrix for {len(names)} names expected, "
            f"got {matrix.shape}"
        )
    # Shares of a row, or the large genera would hide what happens to the small ones.
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    ticks = [no_math(name) for name in names]
    few = len(names) <= 15
    fig, ax = plt.subplots(figsize=(WIDTH, min(1.4 + 0.5 * len(names), WIDTH)))
    sns.heatmap(
        shares, ax=ax, vmin=0, vmax=1, cmap="Blues", linewidths=0.5 if few else 0,
        annot=matrix if few else None, fmt="d" if few else "", xticklabels=ticks,
        yticklabels=ticks, cbar_kws={"label": "share of the genus's test photos"},
    )  # fmt: skip
    ax.set(xlabel="genus of the nearest centroid", ylabel="true genus")
    ax.tick_params(length=0)
    ax.tick_params(axis="y", rotation=0)
    return fig
