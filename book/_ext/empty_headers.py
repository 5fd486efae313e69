"""Make the corner of a table, which heads nothing, a plain cell: an empty header is read out."""

import re

EMPTY = re.compile(r"<th\b([^>]*)>(?:\s|&nbsp;|&#160;)*(?:<p>\s*</p>\s*)?</th>")


def plain_corners(app, pagename, templatename, context, doctree):
    if "body" in context:
        context["body"] = EMPTY.sub(r"<td\1></td>", context["body"])


def setup(app):
    app.connect("html-page-context", plain_corners)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
