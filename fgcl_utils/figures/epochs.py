"""What happens over the epochs: loss and validation measures while a method learns."""

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from fgcl_utils.figures.style import OKABE_ITO


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
