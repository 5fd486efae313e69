"""Take along the local pages that a notebook shows in an iframe, such as the explorer.

Sphinx copies images and downloads but not what an ``<iframe src="../runs/demo/explorer.html">``
points to. The copy keeps its place relative to the page, so the same output works in JupyterLab,
where the frame shows the file itself, and in the built book, opened from disk or served. Below it
stands a link to the page itself, for those whom the frame is too small for, and for print.
"""

import re
import shutil
from pathlib import Path

from sphinx.util import logging

FRAME = re.compile(r'<iframe[^>]*?\ssrc="((?!https?:|data:)[^"#?]+)".*?</iframe>', re.DOTALL)
LINK = r'\g<0><p class="framed-page"><a href="\1">Open it on a page of its own</a></p>'

logger = logging.getLogger(__name__)


def copy_framed(app, pagename, templatename, context, doctree):
    page = Path(pagename + ".html")
    addresses = FRAME.findall(context.get("body", ""))
    if addresses:
        app.add_js_file("framed_theme.js")
        context["body"] = FRAME.sub(LINK, context["body"])
    for address in addresses:
        source = (Path(app.srcdir) / page.parent / address).resolve()
        target = (Path(app.outdir) / page.parent / address).resolve()
        if not source.is_file() or not target.is_relative_to(Path(app.outdir).resolve()):
            logger.warning("%s frames %s, which does not exist in the project", pagename, address)
        elif source.name == "index.html":  # a page with shards beside it
            shutil.copytree(source.parent, target.parent, dirs_exist_ok=True)
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target)


def setup(app):
    app.connect("html-page-context", copy_framed)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
