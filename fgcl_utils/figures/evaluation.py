"""How the methods compare: training curves, tables, outliers, confusions."""

from collections.abc import Mapping, Sequence
from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import plotly.graph_objects as go
import seaborn as sns
from matplotlib.figure import Figure
from pandas.io.formats.style import Styler
from plotly.subplots import make_subplots

from fgcl_utils.figures.style import (
    GREY,
    METHOD_NAMES,
    NO_WRAP,
    OKABE_ITO,
    WIDTH,
    genus_styles,
    headed_table,
    in_order,
    method_styles,
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


def results_table(
    evaluation: Mapping, dataset: str, recorded: Mapping[str, Mapping] | None = None
) -> Styler:
    """The paper's table, and ours beside it.

    Parameters
    ----------
    evaluation : mapping
        As in evaluation.json: {"methods": {"ce": {"genus_outliers", "genus_outlier_rate",
        "species_accuracy", …}, …}, "seeds": {"ce": [{…}, …], …}}. Where there are seeds, their
        mean is shown.
    dataset : str
        Name of the data that our numbers come from; it heads our columns.
    recorded : mapping of name to mapping, optional
        Other data of ours: the content of results/<experiment>.json, of which the groups without
        overrides are shown.

    Returns
    -------
    Styler
        Outliers with their share of the test photos, and a change: that of this share against
        CE's, empty where CE has no outliers or was not run.
    """
    runs = evaluation.get("seeds") or {m: [run] for m, run in evaluation["methods"].items()}
    blocks = {dataset: ({m: pd.DataFrame(r)[_HEADLINE].mean() for m, r in runs.items()}, runs)}
    for name, result in (recorded or {}).items():
        groups = {g["method"]: g for g in result["groups"].values() if not g["overrides"]}
        means = {m: {k: g["test"][k]["mean"] for k in _HEADLINE} for m, g in groups.items()}
        blocks[name] = means, {m: g["seeds"] for m, g in groups.items()}
    order = in_order(method for means, _ in blocks.values() for method in means)
    columns = {}
    for name, (means, seeds) in blocks.items():
        columns |= _block(f"ours ({name}{_mean_of(seeds)})", pd.DataFrame(means).T.reindex(order))
    paper = pd.DataFrame({"genus_outliers": pd.Series(PAPER_OUTLIERS, dtype=float).reindex(order)})
    paper["genus_outlier_rate"] = paper["genus_outliers"] / PAPER_TEST_PHOTOS
    columns |= _block("paper (DF20-Mini)", paper)
    table = pd.DataFrame(columns, index=order).rename(index=METHOD_NAMES)
    return (
        table.style.format_index(escape="html", axis=1)
        .set_table_styles([*NO_WRAP, {"selector": "th, td", "props": "padding-inline: 0.4rem"}])
        # The theme lays a light sheet under every other HTML output in its dark mode.
        .set_table_attributes('class="dataframe"')
    )


_HEADLINE = ["genus_outliers", "genus_outlier_rate", "species_accuracy"]


def _block(title: str, means: pd.DataFrame) -> dict:
    """The columns of one data set as texts; of `means`, a row a method."""
    rates = means["genus_outlier_rate"]
    outliers = zip(means["genus_outliers"], rates, strict=True)
    columns = {
        "genus outliers": ["" if np.isnan(n) else f"{n:,.0f} ({r:.1%})" for n, r in outliers],
        "change": _texts(_change(rates), "+.0%"),
    }
    if "species_accuracy" in means:  # the paper has none
        columns["species accuracy"] = _texts(means["species_accuracy"], ".1%")
    return {(title, name): pd.Series(texts, means.index) for name, texts in columns.items()}


def _texts(values: pd.Series, form: str) -> list[str]:
    return ["" if np.isnan(v) else format(v, form).replace("-", "−") for v in values]


def _mean_of(seeds: Mapping[str, Sequence]) -> str:
    """Over how many seeds the mean is, if it is one."""
    counts = sorted({len(of_method) for of_method in seeds.values()})
    if counts == [1]:
        return ""
    return f", {' to '.join(map(str, dict.fromkeys([counts[0], counts[-1]])))} seeds"


def _change(rates: pd.Series) -> pd.Series:
    """Relative to CE's rate; NaN for CE itself, and where CE has none."""
    reference = rates.get("ce", np.nan)
    return (rates / reference - 1 if reference else rates * np.nan).mask(rates.index == "ce")


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
    styles = method_styles(methods)
    # Dots of one reading stand side by side: a numeric axis, labelled by hand.
    offsets = np.linspace(-0.2, 0.2, len(methods))
    figure = go.Figure()
    for (method, style), offset in zip(styles.items(), offsets, strict=True):
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
    colors = ["#D0D5DA", *(OKABE_ITO[k] for k in (5, 1, 3, 4))]  # the farther off, the warmer
    for name, share, color in zip(
        names, shares.T, [*colors[: len(levels)], colors[3]], strict=True
    ):
        figure.add_bar(
            y=[plain(METHOD_NAMES.get(method, method)) for method in methods],
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
    figure.update_xaxes(tickformat="~%", range=(0, 1.1), title="share of the test photos")
    figure.update_yaxes(showgrid=False, ticks="")
    return figure


def comparison_table(comparisons: Mapping[str, pd.DataFrame]) -> Styler:
    """Paired tests between methods on the same samples.

    Parameters
    ----------
    comparisons : mapping of str to DataFrame
        What was counted, such as "genus outliers", and the tests as from `metrics.compare`: a, b,
        only_a, only_b, p_value, difference, low, high.
    """
    return headed_table({what: _comparison_texts(tests) for what, tests in comparisons.items()})


def _comparison_texts(tests: pd.DataFrame) -> pd.DataFrame:
    pairs = [
        " − ".join(METHOD_NAMES.get(method, str(method)) for method in pair)
        for pair in zip(tests["a"], tests["b"], strict=True)
    ]
    ends = [_points(tests[name]) for name in ("difference", "low", "high")]
    texts = {
        "only the first": [f"{n:,}" for n in tests["only_a"]],
        "only the second": [f"{n:,}" for n in tests["only_b"]],
        "p (McNemar)": [p_text(p) for p in tests["p_value"]],
        "difference, points": [
            f"{mean} ({low} to {high})" for mean, low, high in zip(*ends, strict=True)
        ],
    }
    return pd.DataFrame(texts, index=pairs)


def _points(fractions: pd.Series) -> list[str]:
    return [f"{100 * value:+.1f}".replace("-", "−") for value in fractions]


def p_text(p: float) -> str:
    """A p-value as one writes it: "0.034", "< 0.001"."""
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def reliability(bins: Mapping[str, pd.DataFrame]) -> go.Figure:
    """How often a classifier is right, against how sure it says it is.

    Parameters
    ----------
    bins : mapping of str to DataFrame
        A curve each, such as before and after temperature scaling; tables as from
        `metrics.reliability`: low, high, n, confidence and accuracy (NaN in an empty bin).
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
            hovertemplate=f"{name}: %{{y:.1%}} right at %{{x:.1%}} sure, %{{customdata:,}} photos"
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
            hovertemplate=f"{name}: %{{y:,}} photos<extra></extra>",
            row=2,
            col=1,
        )
    figure.update_layout(template="fgcl", height=470, bargap=0.15)
    figure.update_xaxes(tickformat="~%", range=(-0.01, 1.01))
    figure.update_xaxes(title="confidence in the predicted species", row=2)
    # A little more than 0 to 1, or points at the ends would be cut.
    figure.update_yaxes(title="share right", tickformat="~%", range=(-0.03, 1.03), row=1)
    figure.update_yaxes(title="photos", row=2)
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
