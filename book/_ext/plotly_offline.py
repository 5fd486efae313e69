"""Let Plotly figures draw offline, with the smallest bundle that has what they are made of.

The notebooks' figures are stored without the library. This extension loads one copy, and a script
that follows the book's dark mode, on the pages that hold a figure and on no other.

The bundle lies in ``book/_static``: the Python package holds only the one with every kind of
trace, which is three times as large. Of another version of Plotly, renew it::

    npm pack plotly.js-cartesian-dist-min@VERSION

with the VERSION of ``plotly.offline.get_plotlyjs_version()``.
"""


def load_where_needed(app, pagename, templatename, context, doctree):
    """Scripts added while a page is being written belong to that page alone."""
    if "plotly-graph-div" in context.get("body", ""):
        app.add_js_file("plotly-cartesian.min.js")
        app.add_js_file("plotly_theme.js", loading_method="defer")


def setup(app):
    app.connect("html-page-context", load_where_needed)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
