"""The claims of SECURITY.md that are about the whole code: nothing in it runs what it reads."""

import ast
import base64
import re
from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from fgcl_utils.explorer import EmbeddingExplorer

ROOT = Path(__file__).parent.parent
FOLDERS = ("fgcl_utils", "notebooks", "benchmarks", "book")
SOURCES = [path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*"))]
SOURCES = [path for path in SOURCES if path.suffix in (".py", ".ipynb")]

RUNS_WHAT_IT_READS = {"pickle", "cloudpickle", "dill", "joblib", "shelve", "marshal"}
FORBIDDEN = {
    *(
        "eval",
        "exec",
        "os.system",
        "os.popen",
        "subprocess.getoutput",
        "subprocess.getstatusoutput",
    ),
    *("pd.read_pickle", "pandas.read_pickle", "torch.save", "np.fromfile"),
    *("yaml.load", "yaml.unsafe_load", "yaml.full_load", "yaml.load_all"),
}


def tree(path):
    if path.suffix == ".py":
        return ast.parse(path.read_text("utf-8"))
    cells = nbformat.read(path, as_version=4).cells
    return ast.parse("\n".join(cell.source for cell in cells if cell.cell_type == "code"))


def faults(code):
    """What a syntax tree does that could run code out of data, as (line, text)."""
    for node in ast.walk(code):
        if isinstance(node, ast.Import | ast.ImportFrom):
            modules = [getattr(node, "module", None) or "", *(alias.name for alias in node.names)]
            for module in {name.partition(".")[0] for name in modules} & RUNS_WHAT_IT_READS:
                yield node.lineno, f"imports {module}"
        if not isinstance(node, ast.Call):
            continue
        name = ast.unparse(node.func)
        options = {option.arg: ast.unparse(option.value) for option in node.keywords}
        if name in FORBIDDEN:
            yield node.lineno, f"calls {name}"
        if options.get("shell", "False") != "False":
            yield node.lineno, f"{name} starts a shell"
        if options.get("allow_pickle", "False") != "False":
            yield node.lineno, f"{name} allows pickles"
        reads_weights = name in ("torch.load", "load_checkpoint", "load_state_dict")
        if reads_weights and options.get("weights_only") != "True":
            yield node.lineno, f"{name} without weights_only=True"
        first = node.args[0] if node.args else None
        if name.startswith("subprocess.") and isinstance(first, ast.Constant | ast.JoinedStr):
            yield node.lineno, f"{name} takes a string: give a list"


def test_all_code_is_looked_at():
    names = {path.name for path in SOURCES}
    assert {"models.py", "runs.py", "03_hcl.ipynb", "sources.py"} <= names


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_nothing_that_is_read_is_run(path):
    assert list(faults(tree(path))) == []


@pytest.mark.parametrize(
    "code",
    [
        "import pickle",
        "from joblib import load",
        "np.load(p, allow_pickle=True)",
        "yaml.load(text)",
        "torch.load(p)",
        "torch.load(p, weights_only=False)",
        "subprocess.run('ls', shell=True)",
        "subprocess.run(f'ls {name}')",
        "os.system(name)",
        "eval(name)",
    ],
)
def test_the_search_finds_what_it_looks_for(code):
    assert len(list(faults(ast.parse(code)))) >= 1


def test_the_explorer_s_page_holds_nothing_of_a_photo_but_its_pixels(tmp_path):
    exif = Image.Exif()
    exif[0x010E] = "where the last orchid grows"  # as a camera's GPS tags
    pixels = np.random.default_rng(0).integers(0, 256, (80, 80, 3), dtype=np.uint8)
    for i in range(4):
        Image.fromarray(pixels).save(tmp_path / f"{i}.jpg", exif=exif)
    assert b"orchid" in (tmp_path / "0.jpg").read_bytes()
    table = pd.DataFrame(
        {
            "image": [f"{i}.jpg" for i in range(4)],
            "species": ["a", "a", "b", "b"],
            "genus": ["A", "A", "B", "B"],
            "split": ["train", "test"] * 2,
        }
    )
    points = np.random.default_rng(0).normal(size=(4, 2)).astype(np.float32)
    page = EmbeddingExplorer(
        {"hcl": points}, table, data_root=tmp_path, planes={"hcl": points}
    ).save(tmp_path / "map.html")
    blocks = re.findall(r'<script type="text/plain"[^>]*>(.*?)</script>', page.read_text("utf-8"))
    content = b"".join(base64.b64decode(block) for block in blocks)
    assert content.count(b"WEBP") >= 4 and b"orchid" not in content
    assert "orchid" not in page.read_text("utf-8")
