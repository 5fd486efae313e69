"""Renew the README's picture: the maps of the executed evaluation, as ``make picture`` does."""

import base64
from pathlib import Path

import nbformat

ROOT = Path(__file__).resolve().parents[1]
FIGURE = "fig-maps"

notebook = nbformat.read(ROOT / "executed" / "04_evaluation.ipynb", as_version=4)
(cell,) = (
    cell
    for cell in notebook.cells
    if cell.metadata.get("mystnb", {}).get("figure", {}).get("name") == FIGURE
)
(picture,) = (o.data["image/png"] for o in cell.outputs if "image/png" in o.get("data", {}))
target = ROOT / "book" / "_static" / "maps.png"
target.write_bytes(base64.b64decode(picture))
print(target.relative_to(ROOT))
