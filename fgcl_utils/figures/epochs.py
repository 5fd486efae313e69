"""What happens over the epochs: loss and validation measures while a method learns."""

from collections.abc import Iterator, Mapping, Sequence

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from fgcl_utils.figures.names import plain
from fgcl_utils.figures.style import METHOD_NAMES, Style, genus_styles, method_styles


def training_curves(history: pd.DataFrame) -> go.Figure:
    """Loss and validation measures over the epochs.

    Parameters
    ----------
    history : DataFrame
        Columns epoch and any of train_loss, learning_rate, seconds and, of every level,
        val_<level>_outlier_rate and val_<level>_accuracy (fractions of 1). Missing columns and
        NaN are left out.
    """
    measured = ["train_loss", *_validation_measures(history)]
    measured = [name for name in measured if name in history and history[name].notna().any()]
    panels = ["training loss"] * ("train_loss" in measured)
    panels += ["validation"] * (len(measured) > len(panels))
    if not panels:
        raise ValueError(
            f"training_curves: nothing to draw in the columns {list(history.columns)}; "
            "train_loss, val_genus_outlier_rate or val_species_accuracy expected"
        )
    figure = make_subplots(1, len(panels), subplot_titles=panels, horizontal_spacing=0.12)
    styles = genus_styles(range(len(measured))).values()
    for column, style in zip(measured, styles, strict=True):
        points = history.dropna(subset=[column])
        is_loss = column == "train_loss"
        name = "training loss" if is_loss else _said(column)
        figure.add_scatter(
            x=points["epoch"],
            y=points[column],
            name=name,
            mode="lines+markers",
            line={"color": style.color, "width": 2},
            marker={"symbol": style.symbol, "size": 6},
            text=_epoch_facts(points),
            hovertemplate=f"epoch %{{x}}: {name} %{{y:{'.4g' if is_loss else '.1%'}}}%{{text}}"
            "<extra></extra>",
            showlegend=not is_loss,  # its panel's title says it
            row=1,
            col=1 if is_loss else len(panels),
        )
    figure.update_layout(template="fgcl", margin_t=56)
    figure.update_annotations(font_size=14)
    figure.update_xaxes(title="epoch")
    if "validation" in panels:
        figure.update_yaxes(rangemode="tozero", tickformat="~%", row=1, col=len(panels))
    return figure


def learning_over_epochs(
    histories: Mapping[str, pd.DataFrame | Sequence[pd.DataFrame]],
    measures: Sequence[str] | None = None,
) -> go.Figure:
    """How outliers and accuracy of several methods change over the epochs.

    Every seed is a thin line, their mean a thick one, over the epochs that all seeds have.

    Parameters
    ----------
    histories : mapping of method to DataFrame or sequence of DataFrame
        The content of history.csv, of each seed: epoch and, of every level,
        val_<level>_outlier_rate and val_<level>_accuracy (fractions of 1). Epochs without a value
        are left out.
    measures : sequence of str, optional
        Columns, a panel each, two in a row. By default all outlier rates, then all accuracies.

    Raises
    ------
    ValueError
        If there is no history, or none has a value of one of the measures.
    """
    runs = {m: [h] if isinstance(h, pd.DataFrame) else list(h) for m, h in histories.items()}
    everything = pd.concat([pd.DataFrame(), *(h for of_seeds in runs.values() for h in of_seeds)])
    has_value = everything.notna().any()
    measures = measures or [m for m in _validation_measures(everything) if has_value[m]]
    missing = [m for m in measures or ["val_<level>_accuracy"] if not has_value.get(m)]
    if missing:
        raise ValueError(
            f"learning_over_epochs: no history has a value of {', '.join(missing)}; the columns "
            f"are {', '.join(map(str, everything)) or 'none'}"
        )
    columns = min(2, len(measures))
    rows = -(-len(measures) // columns)
    figure = make_subplots(
        rows, columns, subplot_titles=[_said(name) for name in measures],
        horizontal_spacing=0.12, vertical_spacing=0.3 / rows,
    )  # fmt: skip
    for panel, measure in enumerate(measures):
        place = {"row": panel // columns + 1, "col": panel % columns + 1}
        for method, style in method_styles(runs).items():
            traces = _learning_traces(runs[method], measure, method, style, legend=panel == 0)
            figure.add_traces(list(traces), rows=place["row"], cols=place["col"])
        figure.update_yaxes(rangemode="tozero", tickformat="~%", **place)
    figure.update_xaxes(title="epoch")
    figure.update_annotations(font_size=14)
    figure.update_layout(
        template="fgcl", height=90 + 290 * rows, margin_t=56, legend_y=-0.22 / rows
    )
    return figure


def recorded_learning(study: Mapping, methods: Sequence[str] | None = None) -> go.Figure:
    """`learning_over_epochs` of a recorded study, see `fgcl_utils.study`.

    Parameters
    ----------
    study : mapping
        The content of ``results/<name>.json``: its ``curves``.
    methods : sequence of str, optional
        By default all that have curves.

    Raises
    ------
    ValueError
        If there are no curves of one of the methods, or none at all.
    """
    curves = study.get("curves", {})
    methods = methods or list(curves)
    missing = [method for method in methods if method not in curves]
    if missing:
        raise ValueError(
            f"recorded_learning: no curves of {', '.join(missing)}; there are those of "
            f"{', '.join(curves) or 'no method'}"
        )
    return learning_over_epochs({m: [pd.DataFrame(run) for run in curves[m]] for m in methods})


def _learning_traces(
    runs: Sequence[pd.DataFrame], measure: str, method: str, style: Style, legend: bool
) -> Iterator[go.Scatter]:
    """A thin line a seed, then their mean."""
    name = plain(METHOD_NAMES[method])
    common = {"legendgroup": method, "name": name, "mode": "lines"}
    curves = [run.set_index("epoch")[measure].dropna() for run in runs if measure in run]
    if not curves:
        return
    for curve in curves if len(curves) > 1 else ():
        yield go.Scatter(
            x=curve.index, y=curve, line={"color": style.color, "width": 1}, opacity=0.55,
            hoverinfo="skip", showlegend=False, **common,
        )  # fmt: skip
    mean = pd.concat(curves, axis=1).dropna().mean(axis=1)
    seeds = f", mean of {len(curves)} seeds" if len(curves) > 1 else ""
    yield go.Scatter(
        x=mean.index,
        y=mean,
        line={"color": style.color, "width": 3},
        # A few markers, so that the methods are not told by colour alone.
        marker={"symbol": style.symbol, "size": 9, "maxdisplayed": 8},
        hovertemplate=f"epoch %{{x}}: {name} %{{y:.1%}}{seeds}<extra></extra>",
        showlegend=legend,
        **common | {"mode": "lines+markers"},
    )


def _validation_measures(history: pd.DataFrame) -> list[str]:
    """The columns with validation measures, outlier rates before accuracies."""
    found = [name for name in history if str(name).startswith("val_")]
    endings = "_outlier_rate", "_accuracy"
    return [name for ending in endings for name in found if name.endswith(ending)]


def _said(column: str) -> str:
    return plain(column.removeprefix("val_").replace("_", " "))


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
