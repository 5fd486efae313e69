"""Tables of notebooks and of results: numbered as tables, and scrolling by themselves.

A figure, of a cell or a directive, whose name starts with "tab-" is counted as a table, and its
caption stands above it. HTML that holds a table gets the frame that the theme gives its own tables,
so that it scrolls and takes the keyboard's focus. The corner of a table, which heads nothing,
becomes a plain cell, for an empty header is read out.
"""

import re

from docutils import nodes
from sphinx.transforms import SphinxTransform

EMPTY = re.compile(r"<th\b([^>]*)>(?:\s|&nbsp;|&#160;)*(?:<p>\s*</p>\s*)?</th>")
TABLE = re.compile(r'<table\b[^>]*class="dataframe.*?</table>', re.DOTALL)


class numbered_table(nodes.figure):
    """A figure that counts as a table."""


class NumberTables(SphinxTransform):
    default_priority = 400  # before Sphinx collects what can be referred to

    def apply(self):
        for figure in list(self.document.findall(nodes.figure)):
            if any(name.startswith("tab-") for name in figure["names"]):
                captions = [child for child in figure if isinstance(child, nodes.caption)]
                others = [child for child in figure if child not in captions]
                table = numbered_table("", *captions, *others, **figure.attributes)
                figure.replace_self(table)
                self.document.ids.update(dict.fromkeys(table["ids"], table))


def visit(translator, node):
    translator.visit_figure(node)


def depart(translator, node):
    translator.depart_figure(node)


def improve_tables(app, pagename, templatename, context, doctree):
    if "body" in context:
        body = EMPTY.sub(r"<td\1></td>", context["body"])
        frame = r'<div class="pst-scrollable-table-container">\g<0></div>'
        context["body"] = TABLE.sub(frame, body)


def setup(app):
    app.add_enumerable_node(numbered_table, "table", html=(visit, depart))
    app.add_transform(NumberTables)
    app.connect("html-page-context", improve_tables)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
