"""What `pip install .` brings is enough for the package, and all of it is brought."""

import os
import re
import subprocess
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def normal(name):
    return re.sub("[-_.]+", "-", name).lower()


def needed(requirements):
    """Names of the distributions that the requirements bring, with all that these need."""
    found, todo = set(), [Requirement(text) for text in requirements]
    while todo:
        requirement = todo.pop()
        name = normal(requirement.name)
        if name not in found and (requirement.marker is None or requirement.marker.evaluate()):
            found.add(name)
            try:
                lines = requires(name) or []
            except PackageNotFoundError:  # not for this system
                continue
            extras = [*requirement.extras, ""]
            for inner in map(Requirement, lines):
                if inner.marker is None or any(inner.marker.evaluate({"extra": e}) for e in extras):
                    inner.marker = None
                    todo.append(inner)
    return found


# Modules of no distribution that was asked for are as if they were not there.
BARRED = """
import sys
from importlib.machinery import PathFinder
class Bar(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        if name.partition(".")[0] not in {barred!r}:
            return super().find_spec(name, path, target)
sys.meta_path[sys.meta_path.index(PathFinder)] = Bar
"""


def run_with(requirements, program, folder):
    """Run the program where nothing but the requirements can be imported."""
    allowed = needed(requirements)
    modules = packages_distributions()
    barred = {m for m, owners in modules.items() if not allowed & {normal(o) for o in owners}}
    barred -= {"fgcl_utils"}
    path = folder / "program.py"
    path.write_text(BARRED.format(barred=barred) + program, encoding="utf-8")
    environment = os.environ | {"PYTHONPATH": str(ROOT), "FGCL_HOME": str(folder)}
    done = subprocess.run(
        [sys.executable, path], cwd=folder, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


LOSS = """
import torch
from fgcl_utils.losses import HierarchicalContrastiveLoss, SupConLoss
z = torch.randn(8, 4, requires_grad=True)
labels = torch.tensor([[i // 2, i // 4] for i in range(8)])
SupConLoss()(z, labels[:, 0]).backward()
HierarchicalContrastiveLoss()(z, labels).backward()
"""


def test_the_losses_need_torch_alone(tmp_path):
    run_with(
        [r for r in PROJECT["project"]["dependencies"] if r.startswith("torch>")], LOSS, tmp_path
    )


EVERYTHING = """
import importlib, pkgutil
import numpy as np, pandas as pd
import fgcl_utils
for module in pkgutil.walk_packages(fgcl_utils.__path__, "fgcl_utils."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
from fgcl_utils.explorer import EmbeddingExplorer
rng = np.random.default_rng(0)
table = pd.DataFrame({"image": map(str, range(30)), "genus": list("abc") * 10})
table["species"] = table["genus"] + " x"
page = EmbeddingExplorer({"ce": rng.normal(size=(30, 8))}, table)
assert page.save("map.html").stat().st_size > 10_000
"""


def test_the_package_needs_no_extras(tmp_path):
    run_with(PROJECT["project"]["dependencies"], LOSS + EVERYTHING, tmp_path)


def test_the_package_is_installed_with_its_data():
    patterns = PROJECT["tool"]["setuptools"]["package-data"].items()
    folders = {package: ROOT / package.replace(".", "/") for package, _ in patterns}
    brought = {p for package, globs in patterns for g in globs for p in folders[package].glob(g)}
    files = {path for path in (ROOT / "fgcl_utils").rglob("*") if path.is_file()}
    assert {path for path in files if path.suffix not in (".py", ".pyc")} <= brought


@pytest.mark.parametrize("preset", [{}, {"GOMP_SPINCOUNT": "7"}, {"OMP_WAIT_POLICY": "active"}])
def test_threads_wait_as_the_package_or_the_user_says(preset):
    """Read from libgomp itself: the package sets it before torch is loaded."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("OMP_", "GOMP_"))}
    environment = kept | {"OMP_DISPLAY_ENV": "VERBOSE", "PYTHONPATH": str(ROOT)} | preset
    program = "import fgcl_utils.losses; print(fgcl_utils.SPINS)"
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True
    )
    shown = re.search(r"GOMP_SPINCOUNT = '(\w+)'", done.stderr)
    if shown is None:
        pytest.skip("torch has another OpenMP here than GNU's")
    expected = preset.get("GOMP_SPINCOUNT", done.stdout.strip())
    assert (shown[1] == expected) == ("OMP_WAIT_POLICY" not in preset)


def test_a_start_does_not_load_the_compiler():
    program = (
        "import sys, fgcl_utils.losses, fgcl_utils.explorer; print('torch._dynamo' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.strip() == "False", done.stderr


@pytest.mark.parametrize("path", sorted(ROOT.glob("notebooks/*.ipynb")), ids=lambda p: p.stem)
def test_no_notebook_loads_torch_before_the_package(path):
    """It would be too late then; and the imports' order puts torch first."""
    assert '"import torch' not in path.read_text(encoding="utf-8")
