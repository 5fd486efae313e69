"""The two-dimensional maps of the test photos, printed and under the pointer."""

import base64
import io
import json
from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import plotly.graph_objects as go
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from PIL import Image
from plotly.io.base_renderers import PlotlyRenderer
from plotly.subplots import make_subplots

from fgcl_utils.figures.style import (
    CONFIG,
    GREY,
    METHOD_NAMES,
    WIDTH,
    genus_styles,
    no_math,
    plain,
    print_like,
    to_html,
)


@print_like
def static_maps(
    planes: Mapping[str, np.ndarray],
    genera: Sequence[str],
    outliers: Mapping[str, np.ndarray] | None = None,
) -> Figure:
    """One map a method, coloured by genus, outliers ringed (the paper's Figure 2).

    Parameters
    ----------
    planes : mapping of method to float (N, 2)
        Positions of the same N samples under each method.
    genera : sequence of N str
        Genus of each sample.
    outliers : mapping of method to bool (N,), optional
    """
    _check_planes(planes, outliers, len(genera), "genera")
    genera = np.asarray(genera, dtype=object)
    styles = genus_styles(genera)
    longest = max(len(str(name)) for name in styles)
    legend_columns = max(1, min(len(styles), 6, 115 // (longest + 8)))  # some 115 letters fit
    legend_rows = -(-len(styles) // legend_columns)
    side = WIDTH / len(planes)
    fig, axes = plt.subplots(
        1, len(planes), figsize=(WIDTH, side + 0.35 + 0.2 * legend_rows), squeeze=False
    )
    for ax, (method, plane) in zip(axes.flat, planes.items(), strict=True):
        for name, style in styles.items():
            x, y = plane[genera == name].T
            ax.scatter(x, y, s=9, c=style.color, marker=style.marker, alpha=0.85, linewidths=0)
        if outliers is not None:
            x, y = plane[outliers[method]].T
            ax.scatter(x, y, s=38, facecolors="none", edgecolors="#222222", linewidths=0.7)
        ax.set_title(no_math(" · ".join(_map_title(method, outliers))))
        ax.set(xticks=[], yticks=[], aspect="equal", adjustable="datalim")
        ax.spines[:].set_visible(True)
    keys = [
        Line2D([], [], color=s.color, marker=s.marker, ls="", markersize=6, label=no_math(name))
        for name, s in styles.items()
    ]
    fig.legend(handles=keys, loc="outside lower center", ncols=legend_columns)
    return fig


def webp_thumbnails(images: np.ndarray, size: int = 64, quality: int = 60) -> list[bytes]:
    """The photos as small WebP files, for `interactive_maps`.

    Parameters
    ----------
    images : uint8 (N, S, S, 3)
    size : int
        Width and height of a thumbnail in pixels.
    quality : int
        WebP's, 0 to 100.
    """
    thumbnails = []
    for image in images:
        file = io.BytesIO()
        photo = Image.fromarray(image).resize((size, size), Image.Resampling.LANCZOS)
        photo.save(file, "WEBP", quality=quality)
        thumbnails.append(file.getvalue())
    return thumbnails


def interactive_maps(
    planes: Mapping[str, np.ndarray],
    table: pd.DataFrame,
    thumbnails: Sequence[bytes],
    outliers: Mapping[str, np.ndarray] | None = None,
) -> "PhotoMaps":
    """The maps of `static_maps` with the photo of the sample under the pointer.

    Pointing at a sample marks it in every map; the legend switches a genus off in all of them.

    Parameters
    ----------
    planes : mapping of method to float (N, 2)
        Positions of the same N samples under each method. Drawn as SVG, hence best up to about
        2,000 samples; the explorer is made for more.
    table : DataFrame
        N rows with columns species and genus, in the order of the planes.
    thumbnails : sequence of N bytes
        A WebP file a sample, as from `webp_thumbnails`.
    outliers : mapping of method to bool (N,), optional
    """
    _check_planes(planes, outliers, len(table), "rows of the table")
    if len(thumbnails) != len(table):
        raise ValueError(
            f"interactive_maps: {len(table)} thumbnails expected, one a sample, "
            f"got {len(thumbnails)}"
        )
    titles = ["<br>".join(map(plain, _map_title(method, outliers))) for method in planes]
    figure = make_subplots(1, len(planes), subplot_titles=titles, horizontal_spacing=0.02)
    for panel, (method, plane) in enumerate(planes.items(), start=1):
        ringed = outliers[method] if outliers is not None else np.zeros(len(table), dtype=bool)
        for trace in _map_traces(plane, table, ringed, in_legend=panel == 1):
            figure.add_trace(trace, row=1, col=panel)
    frame = {
        "showticklabels": False, "showgrid": False, "ticks": "", "showline": True, "mirror": True,
    }  # fmt: skip
    figure.update_annotations(font_size=13)
    figure.update_xaxes(**frame)
    figure.update_yaxes(**frame)
    for panel in range(1, len(planes) + 1):
        figure.update_yaxes(scaleanchor="x" if panel == 1 else f"x{panel}", row=1, col=panel)
    figure.update_layout(
        template="fgcl",
        height=380 + 27 * -(-len(set(table["genus"])) // 6),  # the legend holds about six a row
        margin={"l": 10, "r": 10, "t": 70},
        legend={"y": -0.04, "itemsizing": "constant"},
    )
    return PhotoMaps(figure, _hover_script(planes, table, thumbnails))


class PhotoMaps:
    """A Plotly figure that shows a photo on hover wherever HTML may run scripts.

    In the book it is HTML with the photos inside. In JupyterLab it is the figure in Plotly's
    mimetype, which names the sample under the pointer but cannot show its photo.

    Attributes
    ----------
    figure : plotly Figure
    """

    def __init__(self, figure: go.Figure, post_script: str):
        self.figure = figure
        self._post_script = post_script

    def to_html(self) -> str:
        """The figure as a piece of a page that has loaded plotly.js."""
        silent = go.Figure(self.figure)  # the card takes the place of plotly's label
        silent.update_traces(
            hoverinfo="none", hovertemplate=None, selector=lambda trace: trace.hoverinfo != "skip"
        )
        return to_html(silent, self._post_script)

    def _repr_mimebundle_(self, include=None, exclude=None) -> dict:
        bundle = PlotlyRenderer(CONFIG).to_mimebundle(self.figure.to_dict())
        return bundle | {"text/html": self.to_html()}


def _map_traces(plane: np.ndarray, table: pd.DataFrame, ringed: np.ndarray, in_legend: bool):
    """Per genus its samples and the rings of its outliers, to be switched together."""
    species, genera = table["species"].to_numpy(), table["genus"].to_numpy()
    for name, style in genus_styles(genera).items():
        label = plain(name)
        members = np.flatnonzero(genera == name)
        outliers = members[ringed[members]]
        yield go.Scatter(
            x=plane[members, 0],
            y=plane[members, 1],
            mode="markers",
            name=label,
            legendgroup=label,
            showlegend=in_legend,
            marker={"color": style.color, "symbol": style.symbol, "size": 6, "opacity": 0.85},
            customdata=members.tolist(),
            text=[f"{plain(species[i])}<br>{label}" for i in members],
            hovertemplate="%{text}<extra></extra>",
        )
        yield go.Scatter(
            x=plane[outliers, 0],
            y=plane[outliers, 1],
            mode="markers",
            legendgroup=label,
            showlegend=False,
            marker={"color": GREY, "symbol": "circle-open", "size": 11, "line": {"width": 1.5}},
            hoverinfo="skip",
        )


def _hover_script(
    planes: Mapping[str, np.ndarray], table: pd.DataFrame, thumbnails: Sequence[bytes]
) -> str:
    data = {
        "species": [str(name) for name in table["species"]],
        "genus": [str(name) for name in table["genus"]],
        "photos": [base64.b64encode(photo).decode("ascii") for photo in thumbnails],
        "planes": [np.round(plane, 4).tolist() for plane in planes.values()],
    }
    # A name may hold "</script>": no "<" may reach the page from inside the JSON.
    return _HOVER_SCRIPT.replace("DATA", json.dumps(data).replace("<", "\\u003c"))


# Plotly's label shows no pictures, so a card of our own follows the pointer. Texts are set as
# textContent and the photo as a data URL: nothing in a name is ever parsed.
_HOVER_SCRIPT = """
const plot = document.getElementById("{plot_id}");
const data = DATA;
const add = (tag, parent, style) => {
  const element = parent.appendChild(document.createElement(tag));
  element.style.cssText = style;
  return element;
};
plot.style.position = "relative";
const floating = "position:absolute;display:none;pointer-events:none;box-sizing:border-box;";
const card = add("figure", plot, floating + "z-index:10;margin:0;padding:8px;width:128px;" +
  "background:#222;color:#eee;border-radius:6px;box-shadow:0 2px 8px #0006;" +
  "font:13px/1.35 system-ui,sans-serif");
card.className = "photo-card";
const photo = add("img", card,
  "display:block;width:112px;height:112px;margin:0;padding:0;background:none;filter:none");
const caption = add("figcaption", card,
  "margin:6px 0 0;color:inherit;font:inherit;text-align:left;overflow-wrap:anywhere");
const species = add("em", caption, "display:block");
const genus = add("span", caption, "");
const marks = data.planes.map(() => {
  const mark = add("div", plot, floating + "width:22px;height:22px;border-radius:50%;" +
    "border:2.5px solid #d33;box-shadow:0 0 0 1.5px #fff;transform:translate(-50%,-50%)");
  mark.className = "photo-mark";
  return mark;
});
const place = (panel, i) => {
  const suffix = panel ? panel + 1 : "";
  const x = plot._fullLayout["xaxis" + suffix], y = plot._fullLayout["yaxis" + suffix];
  const [px, py] = [x.d2p(data.planes[panel][i][0]), y.d2p(data.planes[panel][i][1])];
  const inside = px >= 0 && px <= x._length && py >= 0 && py <= y._length;
  return {left: x._offset + px, top: y._offset + py, inside};
};
const show = event => {
  const point = event.points[0], i = point.customdata;
  photo.src = "data:image/webp;base64," + data.photos[i];
  photo.alt = data.species[i];
  species.textContent = data.species[i];
  genus.textContent = data.genus[i];
  marks.forEach((mark, panel) => {
    const at = place(panel, i);
    mark.style.left = at.left + "px";
    mark.style.top = at.top + "px";
    mark.style.display = at.inside ? "block" : "none";
  });
  const panel = (Number(point.xaxis._id.slice(1)) || 1) - 1, at = place(panel, i);
  card.style.display = "block";
  const fits = at.left + 16 + card.offsetWidth <= plot.clientWidth;
  const left = fits ? at.left + 16 : at.left - 16 - card.offsetWidth;
  card.style.left = Math.max(0, left) + "px";
  card.style.top =
    Math.max(0, Math.min(at.top - 20, plot.clientHeight - card.offsetHeight)) + "px";
};
const hide = () => [card, ...marks].forEach(element => { element.style.display = "none"; });
plot.on("plotly_hover", show);
plot.on("plotly_click", show);  // a finger taps and never hovers
plot.on("plotly_unhover", hide);
plot.on("plotly_relayouting", hide);
"""


def _check_planes(planes: Mapping, outliers: Mapping | None, n: int, what: str) -> None:
    """Every map must hold the same samples, or the wrong photo would be shown."""
    for method, plane in planes.items():
        if np.shape(plane) != (n, 2):
            raise ValueError(
                f"the plane of {method!r} has shape {np.shape(plane)}; ({n}, 2) expected, "
                f"as there are {n} {what}"
            )
        if outliers is not None and np.shape(outliers.get(method)) != (n,):
            raise ValueError(f"outliers[{method!r}] must be a boolean array of shape ({n},)")


def _map_title(method: str, outliers: Mapping[str, np.ndarray] | None) -> list[str]:
    """The method and, where they are drawn, how many samples are ringed."""
    name = METHOD_NAMES.get(method, method)
    return [name] if outliers is None else [name, f"{np.sum(outliers[method]):,} outliers ○"]
