"""One look for all figures: colours, markers, Plotly's template, the sheet that prints.

A genus has a colour *and* a marker, so that nothing is told by colour alone, and so has a method.
"""

import base64
import functools
import html
import io
import itertools
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import matplotlib.pyplot as plt
import plotly.graph_objects as go
import plotly.io as pio
from matplotlib.figure import Figure
from plotly.io.base_renderers import PlotlyRenderer

from fgcl_utils.figures.fonts import fall_back

# Okabe & Ito (2008), "Color universal design": told apart with any colour vision. Black is left
# out because it vanishes on the dark theme; yellow, faint on white, comes last.
OKABE_ITO = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#F0E442")
# One more symbol than colours: the pairs repeat only after 7 × 8 = 56 genera.
_SYMBOLS = ("circle", "square", "diamond", "triangle-up", "cross", "triangle-down", "x", "star")
_MARKERS = ("o", "s", "D", "^", "P", "v", "X", "*")

GREY = "#777777"  # 4.5:1 on white, 4.2:1 on the book's dark page
FAINT = "rgba(128, 128, 128, 0.25)"
CLEAR = "rgba(0, 0, 0, 0)"

# 8 inches are the book's 800 px, so 1 pt is 1.4 px there; 160 dpi keeps photos sharp on good
# screens. The patch is white because the dark theme puts a light sheet behind images anyway.
WIDTH = 8.0
_PRINT = {
    "figure.dpi": 160,
    "figure.facecolor": "white",
    "figure.constrained_layout.use": True,
    "figure.constrained_layout.h_pad": 0.06,
    "font.size": 9.0,
    "axes.titlesize": 9.5,
    "axes.labelsize": 9.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#999999",
    "xtick.color": "#999999",
    "ytick.color": "#999999",
    "xtick.labelcolor": "black",
    "ytick.labelcolor": "black",
    "legend.frameon": False,
}


def print_like(draw):
    """Decorate a function that draws with matplotlib: our look inside it, no trace outside."""

    @functools.wraps(draw)
    def drawn(*args, **kwargs) -> Figure:
        with plt.rc_context(_PRINT):
            figure = draw(*args, **kwargs)
            fall_back(figure)
        plt.close(figure)
        return figure

    return drawn


def _template() -> go.layout.Template:
    axis = {
        "gridcolor": FAINT,
        "linecolor": GREY,
        "zeroline": False,
        "ticks": "outside",
        "tickcolor": GREY,
        "automargin": True,
        "title": {"standoff": 10},
    }
    return go.layout.Template(
        layout={
            "paper_bgcolor": CLEAR,
            "plot_bgcolor": CLEAR,
            "font": {"family": "system-ui, sans-serif", "size": 13, "color": GREY},
            "colorway": OKABE_ITO,
            "xaxis": axis,
            "yaxis": axis,
            "legend": {"bgcolor": CLEAR, "orientation": "h", "y": -0.2, "yanchor": "top"},
            "margin": {"l": 50, "r": 15, "t": 36, "b": 40},
            "height": 360,
            "hoverlabel": {"font": {"size": 13}, "align": "left"},
            "modebar": {"bgcolor": CLEAR, "color": GREY, "activecolor": OKABE_ITO[0]},
        }
    )


pio.templates["fgcl"] = _template()
# plotly.js 4 offers to upload every figure to a server; ours leave nobody's machine.
CONFIG = {"displaylogo": False, "showSendToCloud": False}


class BookRenderer(PlotlyRenderer):
    """Plotly's own mimetype, for JupyterLab, beside plain HTML, for the book.

    The HTML carries no plotly.js: the book adds one copy to every page with a figure.
    """

    def to_mimebundle(self, fig_dict: dict) -> dict:
        page = to_html(fig_dict)  # first, for the base class writes its config into fig_dict
        return super().to_mimebundle(fig_dict) | {"text/html": page}


def use_book_renderer() -> None:
    """Show Plotly figures through `BookRenderer` from now on, in the "fgcl" look."""
    pio.renderers["fgcl"] = BookRenderer(CONFIG)
    pio.renderers.default = "fgcl"
    pio.templates.default = "fgcl"


def to_html(figure: go.Figure | dict, post_script: str | None = None) -> str:
    """A Plotly figure as a piece of a page that has loaded plotly.js."""
    return pio.to_html(
        figure,
        config=CONFIG,
        include_plotlyjs=False,
        include_mathjax=False,
        full_html=False,
        validate=False,
        post_script=post_script,
    )


def to_img(figure: Figure, alt: str = "") -> str:
    """A matplotlib figure as an image that a page of HTML holds itself."""
    file = io.BytesIO()
    figure.savefig(file, format="webp", pil_kwargs={"quality": 90})
    image = base64.b64encode(file.getvalue()).decode("ascii")
    return f'<img src="data:image/webp;base64,{image}" alt="{html.escape(alt)}">'


class Style(NamedTuple):
    """How one genus or one method looks everywhere."""

    color: str
    symbol: str  # Plotly's name
    marker: str  # matplotlib's name


# The study's methods in the order of every figure and table: label and look. Grey is the floor.
_METHODS = {
    "ce": ("CE", Style(OKABE_ITO[0], "circle", "o")),
    "supcon": ("SupCon", Style(OKABE_ITO[1], "square", "s")),
    "hcl": ("HCL", Style(OKABE_ITO[2], "diamond", "D")),
    "hcl_blocks": ("HCL, blocks", Style(OKABE_ITO[3], "triangle-up", "^")),
    "ce_head": ("CE, head", Style(OKABE_ITO[5], "triangle-down", "v")),
    "ce_levels": ("CE, levels", Style(OKABE_ITO[4], "cross", "P")),
    "ce_blocks": ("CE, blocks", Style(OKABE_ITO[6], "star", "*")),
    "coarse_only": ("coarse only", Style(GREY, "x", "X")),
}


class _Names(dict):
    """Labels by id; what has no label is called by its id."""

    def __missing__(self, method) -> str:
        return str(method)


METHOD_NAMES = _Names({method: label for method, (label, _) in _METHODS.items()})


def in_order(methods: Iterable[str]) -> list[str]:
    """The study's methods in the study's order, then any others, each once."""
    given = dict.fromkeys(methods)
    return [name for name in dict.fromkeys([*_METHODS, *given]) if name in given]


def method_styles(methods: Iterable[str]) -> dict[str, Style]:
    """Colour and marker of each method in their order, the study's always looking the same."""
    ours = [style for _, style in _METHODS.values()]
    others = itertools.cycle(style for style in _looks(56) if style not in ours)
    return {m: _METHODS[m][1] if m in _METHODS else next(others) for m in in_order(methods)}


def genus_styles(genera: Sequence[str]) -> dict[str, Style]:
    """Colour and marker of each genus; the names in sorted order take the styles in turn.

    Parameters
    ----------
    genera : sequence of str
        Genus names, repeated as often as wished (a table's column will do).
    """
    names = sorted(set(genera))
    return dict(zip(names, _looks(len(names)), strict=True))


def _looks(count: int) -> list[Style]:
    """Styles that take all colours and all markers in turn."""
    looks = zip(itertools.cycle(OKABE_ITO), itertools.cycle(_SYMBOLS), itertools.cycle(_MARKERS))
    return [Style(*look) for look in itertools.islice(looks, count)]
