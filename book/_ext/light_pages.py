"""Keep pages light: rasters as WebP, icons as a font.

Notebooks store their pictures as PNG. The theme has its icons twice, as a font in its style sheet
and as a script of 1.5 MB, which is for those who add icons of their own: we add none.
"""

import io
import re
from pathlib import Path

from PIL import Image

PICTURE = re.compile(r'(src="[^"]*?_images/[^"/]+)\.png"')
UNUSED = "scripts/fontawesome.js"


def name_webp(app, pagename, templatename, context, doctree):
    context["body"] = PICTURE.sub(r'\1.webp"', context.get("body", ""))


def smallest_webp(image):
    """Photographs are smaller with a loss that nobody sees, drawings without any."""
    files = [io.BytesIO(), io.BytesIO()]
    for file, options in zip(files, ({"quality": 90}, {"lossless": True}), strict=True):
        image.save(file, "WEBP", **options)
    return min((file.getvalue() for file in files), key=len)


def lighten(app, exception):
    if exception:
        return
    for picture in Path(app.outdir, "_images").glob("*.png"):
        with Image.open(picture) as image:
            picture.with_suffix(".webp").write_bytes(smallest_webp(image))
        picture.unlink()
    if (script := Path(app.outdir, "_static", UNUSED)).exists():
        script.write_text("// The icons are a font.\n", encoding="utf-8")


def setup(app):
    app.connect("html-page-context", name_webp)
    app.connect("build-finished", lighten)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
