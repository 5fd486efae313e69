"""The maps of the test images under the pointer: Plotly figures that show the images."""

import base64
import io
import json
import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from PIL import Image
from plotly.io.base_renderers import PlotlyRenderer
from plotly.subplots import make_subplots

from fgcl_utils.figures.maps import check_planes, grid, known, map_title
from fgcl_utils.figures.names import LEVELS, plain
from fgcl_utils.figures.style import CONFIG, GREY, genus_styles, to_html


def webp_thumbnails(images: np.ndarray, size: int = 48, quality: int = 60) -> list[bytes]:
    """The images as small WebP files, for `interactive_maps`.

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
    levels: Sequence[str] = LEVELS,
) -> "ImageMaps":
    """The maps of `static_maps` with the image of the sample under the pointer.

    Pointing at a sample marks it in every map; the legend switches a genus off in all of them.

    Parameters
    ----------
    planes : mapping of method to float (N, 2)
        Positions of the same N samples under each method. Drawn as SVG, hence best up to about
        2,000 samples; the explorer is made for more.
    table : DataFrame
        N rows with a column for each level, in the order of the planes.
    thumbnails : sequence of N bytes
        A WebP file a sample, as from `webp_thumbnails`.
    outliers : mapping of method to bool (N,), optional
    levels : sequence of str
        Names of the levels, finest first. The second, or the only one, has the colours.
    """
    check_planes(planes, outliers, len(table), "rows of the table")
    if len(thumbnails) != len(table):
        raise ValueError(
            f"interactive_maps: {len(table)} thumbnails expected, one a sample, "
            f"got {len(thumbnails)}"
        )
    names = {level: known(table[level]) for level in levels}
    genera = names[levels[:2][-1]]
    hover = [
        "<br>".join(plain(name, 100) for name in lines)
        for lines in zip(*names.values(), strict=True)
    ]
    rows, columns = grid(len(planes))
    cells = [{}] * len(planes) + [None] * (rows * columns - len(planes))
    figure = make_subplots(
        rows, columns, horizontal_spacing=0.02, vertical_spacing=0.22 / rows,
        specs=[cells[columns * row : columns * (row + 1)] for row in range(rows)],
        subplot_titles=["<br>".join(map(plain, map_title(m, outliers))) for m in planes],
    )  # fmt: skip
    for panel, (method, plane) in enumerate(planes.items()):
        ringed = outliers[method] if outliers is not None else np.zeros(len(table), dtype=bool)
        place = {"row": panel // columns + 1, "col": panel % columns + 1}
        for trace in _map_traces(plane, genera, hover, ringed, in_legend=panel == 0):
            figure.add_trace(trace, **place)
        figure.update_yaxes(scaleanchor=f"x{panel + 1}" if panel else "x", **place)
    frame = {
        "showticklabels": False, "showgrid": False, "ticks": "", "showline": True, "mirror": True,
    }  # fmt: skip
    figure.update_annotations(font_size=13)
    figure.update_xaxes(**frame)
    figure.update_yaxes(**frame)
    figure.update_layout(
        template="fgcl",
        # The legend holds about six names a row.
        height=70 + 310 * rows + 27 * -(-len(set(genera)) // 6),
        margin={"l": 10, "r": 10, "t": 70},
        legend={"y": -0.04 / rows, "itemsizing": "constant"},
    )
    return ImageMaps(figure, _hover_script(planes, names, thumbnails))


class ImageMaps:
    """A Plotly figure that shows an image on hover wherever HTML may run scripts.

    In the book it is HTML with the images inside. In JupyterLab it is the figure in Plotly's
    mimetype, which names the sample under the pointer but cannot show its image.

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


def _map_traces(
    plane: np.ndarray, genera: np.ndarray, hover: Sequence[str], ringed: np.ndarray, in_legend: bool
) -> Iterator[go.Scatter]:
    """Per genus its samples and the rings of its outliers, to be switched together."""
    for name, style in genus_styles(genera).items():
        group = plain(name, math.inf)
        members = np.flatnonzero(genera == name)
        outliers = members[ringed[members]]
        yield go.Scatter(
            x=plane[members, 0],
            y=plane[members, 1],
            mode="markers",
            name=plain(name),
            legendgroup=group,
            showlegend=in_legend,
            marker={"color": style.color, "symbol": style.symbol, "size": 6, "opacity": 0.85},
            customdata=members.tolist(),
            text=[hover[i] for i in members],
            hovertemplate="%{text}<extra></extra>",
        )
        yield go.Scatter(
            x=plane[outliers, 0],
            y=plane[outliers, 1],
            mode="markers",
            legendgroup=group,
            showlegend=False,
            marker={"color": GREY, "symbol": "circle-open", "size": 11, "line": {"width": 1.5}},
            hoverinfo="skip",
        )


def _hover_script(
    planes: Mapping[str, np.ndarray], names: Mapping[str, np.ndarray], thumbnails: Sequence[bytes]
) -> str:
    data = {
        "names": [list(of_level) for of_level in names.values()],
        "photos": [base64.b64encode(photo).decode("ascii") for photo in thumbnails],
        "planes": [np.round(plane, 4).tolist() for plane in planes.values()],
    }
    # A name may hold "</script>": no "<" may reach the page from inside the JSON.
    return _HOVER_SCRIPT.replace("DATA", json.dumps(data).replace("<", "\\u003c"))


# Plotly's label shows no pictures, so a card of our own follows the pointer. Texts are set as
# textContent and the image as a data URL: nothing in a name is ever parsed.
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
// Finest level first, which a name in italics shows.
const lines = data.names.map((_, l) => add(l ? "span" : "em", caption, "display:block"));
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
  photo.alt = data.names[0][i];
  lines.forEach((line, l) => { line.textContent = data.names[l][i]; });
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
