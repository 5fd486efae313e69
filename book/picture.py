"""Renew the README's picture: the maps of the executed evaluation, as ``make picture`` does."""

import base64
import re
from pathlib import Path

import nbformat

ROOT = Path(__file__).resolve().parents[1]
GLUED = "application/papermill.record/text/html"  # as the start page takes it

notebook = nbformat.read(ROOT / "executed" / "04_evaluation.ipynb", as_version=4)
(html,) = (
    output.data[GLUED]
    for cell in notebook.cells
    for output in cell.get("outputs", [])
    if output.get("metadata", {}).get("scrapbook", {}).get("name") == "static_maps"
)
picture = re.search(r"data:image/webp;base64,([^\"]+)", html)[1]
target = ROOT / "book" / "_static" / "maps.webp"
target.write_bytes(base64.b64decode(picture))
print(target.relative_to(ROOT))
