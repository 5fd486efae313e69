"""What is wrong among the predictions that are made, against how many are."""

from collections.abc import Mapping

import pandas as pd
import plotly.graph_objects as go

from fgcl_utils.figures.names import LEVELS, plain
from fgcl_utils.figures.style import METHOD_NAMES, method_styles


def risk_coverage(curves: Mapping[str, pd.DataFrame], level: str = LEVELS[0]) -> go.Figure:
    """Share wrong among the most confident predictions, as ever more of them are made.

    Parameters
    ----------
    curves : mapping of str to DataFrame
        Method → table as from `metrics.risk_coverage`: threshold, coverage, risk.
    level : str
        Whose classes are predicted.
    """
    figure = go.Figure()
    for method, style in method_styles(curves).items():
        curve, name = curves[method], plain(METHOD_NAMES[method])
        figure.add_scatter(
            x=curve["coverage"],
            y=curve["risk"],
            name=name,
            mode="lines",
            line={"color": style.color, "width": 2},
            customdata=curve["threshold"],
            hovertemplate=f"{name}: %{{y:.1%}} wrong of the %{{x:.0%}} with a probability of "
            "%{customdata:.0%} or more<extra></extra>",
        )
    figure.update_layout(template="fgcl", height=400)
    figure.update_xaxes(
        title=f"images with a {plain(level)} named (coverage)", tickformat="~%", range=(0, 1.01)
    )
    figure.update_yaxes(title="wrong of these (risk)", tickformat="~%", rangemode="tozero")
    return figure
