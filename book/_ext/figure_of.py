"""Show a figure of recorded measurements on a page of the book, drawn when the book is built.

A directive hands the content of ``results/<file>.json`` to a function of `fgcl_utils.figures`, or
nothing but the arguments where no file is named::

    ```{figure-of} sweep.json
    :plot: pareto
    :arguments: {split: test}
    :name: fig-pareto

    The caption, in MyST.
    ```

Plotly figures become the HTML that the notebooks' figures are, tables their own HTML, matplotlib
figures an image. A file that is missing, or that the function cannot draw, is a warning, which
the build treats as an error.
"""

import traceback
from typing import ClassVar

import yaml
from docutils import nodes
from docutils.parsers.rst import directives
from matplotlib.figure import Figure
from sphinx.util.docutils import SphinxDirective

from fgcl_utils import figures
from results import read_file


def as_html(figure):
    """HTML of a Plotly figure, a matplotlib figure or a table."""
    if isinstance(figure, Figure):
        return figures.to_img(figure)
    if hasattr(figure, "to_plotly_json"):
        return figures.to_html(figure)
    return figure.to_html()


class FigureOf(SphinxDirective):
    """``{figure-of} [<file>]`` with ``:plot:``, ``:arguments:``, ``:name:`` (for ``{numref}``)."""

    optional_arguments = 1
    has_content = True
    option_spec: ClassVar = {
        "plot": directives.unchanged_required,
        "arguments": directives.unchanged,
        "name": directives.unchanged,
    }

    def run(self):
        files, plot = self.arguments, self.options.get("plot", "")
        draw = getattr(figures, plot, None) if plot in figures.__all__ else None
        if draw is None:
            return [self._warning(f"fgcl_utils.figures has no function {plot!r}, see :plot:")]
        try:
            contents = [read_file(self.env, file) for file in files]
        except LookupError as error:
            return [self._warning(str(error.args[0]))]
        try:
            arguments = yaml.safe_load(self.options.get("arguments", "{}"))
            drawn = as_html(draw(*contents, **arguments))
        except Exception as error:  # whatever of the content does not fit the function
            reason = traceback.format_exception_only(error)[-1].strip()
            source = "".join(f"results/{file} " for file in files)
            return [self._warning(f"{source}cannot be drawn by {plot}: {reason}")]
        node = nodes.figure("", nodes.raw("", drawn, format="html"), classes=["figure-of"])
        node += self._caption()
        self.set_source_info(node)
        self.add_name(node)
        return [node]

    def _warning(self, message):
        return self.state.document.reporter.warning(message, line=self.lineno)

    def _caption(self):
        """The first paragraph, which numbers the figure; what follows it is the legend."""
        parsed = nodes.Element()
        self.state.nested_parse(self.content, self.content_offset, parsed)
        if not parsed.children:
            return []
        first, *rest = parsed.children
        caption = nodes.caption(first.rawsource, "", *first.children)
        return [caption, nodes.legend("", *rest)] if rest else [caption]


def setup(app):
    app.add_directive("figure-of", FigureOf)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
