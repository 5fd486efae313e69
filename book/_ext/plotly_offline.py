"""Let Plotly figures draw offline: plotly.min.js from the installed package, where it is needed.

The notebooks' figures are stored without the library (5 MB each otherwise). This extension copies
it once into ``_static`` and loads it, with a script that follows the book's dark mode, on the pages
that hold a figure and on no other.
"""

from pathlib import Path

import plotly
from sphinx.util.fileutil import copy_asset_file

PLOTLY_JS = Path(plotly.__file__).parent / "package_data" / "plotly.min.js"


def copy_library(app):
    """Copy first, so that Sphinx can append the file's checksum to its address."""
    static = Path(app.outdir) / "_static"
    static.mkdir(parents=True, exist_ok=True)
    copy_asset_file(PLOTLY_JS, static)


def load_where_needed(app, pagename, templatename, context, doctree):
    """Scripts added while a page is being written belong to that page alone."""
    if "plotly-graph-div" in context.get("body", ""):
        app.add_js_file("plotly.min.js")
        app.add_js_file("plotly_theme.js", loading_method="defer")


def setup(app):
    app.connect("builder-inited", copy_library)
    app.connect("html-page-context", load_where_needed)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
