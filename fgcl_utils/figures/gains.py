"""When soft positives help: what a method gains as the dials of the synthetic data turn."""

import dataclasses
from collections.abc import Collection, Mapping

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from fgcl_utils.figures.names import plain
from fgcl_utils.figures.style import GREY, METHOD_NAMES, OKABE_ITO, in_order, method_styles
from fgcl_utils.metrics import mean_interval

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


def gain_map(
    result: Mapping,
    split: str = "test",
    method: str = "hcl",
    baselines: Collection[str] | None = None,
) -> go.Figure:
    """What HCL, or another method, gains over the others, species gap × genus gap.

    Differences of runs with the same seed in percentage points, averaged; with several seeds the
    half-width of the 95 % interval of the mean stands below. Above 0, the method is better.

    Parameters
    ----------
    result : mapping
        results/<experiment>.json of synthetic data: the runs' overrides hold
        "dials.species_gap", "dials.genus_gap", "dials.tail", "dials.label_noise"; a missing dial
        has the value in `settings.dials`, or its default. Runs that override anything but the
        two gaps are left out.
    split : {"val", "test"}
    method : str
        Whose gain it is.
    baselines : collection of str, optional
        Over which methods; all others that were run, if not said.

    Raises
    ------
    ValueError
        If the method and a baseline were nowhere run on the same data with the same seed.
    """
    gains = _gains(result, split, _GAPS, method, baselines)
    for gap, other in (_GAPS[::-1], _GAPS):
        # A single point off the grid, such as the data as they are, would leave a row empty.
        cells = gains.groupby(gap)[other].transform("nunique")
        gains = gains[cells > cells.max() / 2]
    shown = in_order(gains["baseline"])
    figure = make_subplots(
        len(shown),
        len(_GAINS),
        shared_xaxes=True,
        shared_yaxes=True,
        subplot_titles=[_gain_title(m, b) for b in shown for m in _GAINS],
        horizontal_spacing=0.04,
        vertical_spacing=0.36 / len(shown),
    )
    for row, baseline in enumerate(shown, start=1):
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
        height=170 + 230 * len(shown),
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
                "y": -0.4 / max(2, len(shown)),
                "yanchor": "top",
            },
        },
    )
    figure.update_annotations(font_size=13)
    for axis, gap in zip(("xaxes", "yaxes"), _GAPS, strict=True):
        steps = [f"{value:g}" for value in sorted(gains[gap].unique())]
        edge = {"row": len(shown)} if axis == "xaxes" else {"col": 1}
        update = getattr(figure, f"update_{axis}")
        update(
            type="category", categoryorder="array", categoryarray=steps, showgrid=False, ticks=""
        )
        update(title=_DIALS[gap], **edge)
    return figure


def gain_curves(
    result: Mapping,
    dial: str,
    split: str = "test",
    method: str = "hcl",
    baselines: Collection[str] | None = None,
) -> go.Figure:
    """What HCL, or another method, gains as one dial turns, the others being at their base.

    Parameters
    ----------
    result, split, method, baselines
        As for `gain_map`.
    dial : {"species_gap", "genus_gap", "tail", "label_noise"}

    Raises
    ------
    ValueError
        If the method and a baseline were nowhere run on the same data with the same seed.
    """
    dial = f"dials.{dial}"
    gains = _gains(result, split, (dial,), method, baselines)
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
                name=f"… {plain(METHOD_NAMES[baseline])}",
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
    return _GAINS[measure][0].format(plain(METHOD_NAMES[baseline]))


def _gains(
    result: Mapping,
    split: str,
    varied: tuple[str, ...],
    method: str,
    baselines: Collection[str] | None,
) -> pd.DataFrame:
    """A method against each baseline, a row a combination of the `varied` dials and a measure.

    Columns: the varied dials, baseline, measure, mean (percentage points, above 0 is better),
    half_width (of its 95 % interval; NaN with one seed), text and hover.
    """
    runs = _on_dials(result, split, varied)
    keys = [*varied, "seed"]
    of_method = runs[runs["method"] == method].set_index(keys)
    others = [name for name in in_order(runs["method"]) if name != method]
    rows = []
    for baseline in others if baselines is None else in_order(baselines):
        pairs = of_method.join(
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
                    | {"hover": _gain_hover(dials, measure, {method: ours, baseline: theirs})}
                )
    if not rows:
        title = result.get("title", "the result")
        raise ValueError(
            f"no run of {METHOD_NAMES[method]} and of a baseline in {title!r} share the dials "
            f"{', '.join(varied)} and the seed"
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


def _gain_hover(dials: Mapping, measure: str, values: Mapping[str, pd.Series]) -> str:
    n = min(map(len, values.values()))
    lines = [f"{_DIALS[dial]} {value:g}" for dial, value in dials.items()]
    lines += [
        measure.replace("_", " "),
        ", ".join(f"{plain(METHOD_NAMES[m])} {of_m.mean():.1f} %" for m, of_m in values.items()),
        "one seed" if n == 1 else f"mean of {n} seeds",
    ]
    return "<br>".join(lines)
