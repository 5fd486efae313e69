"""The notebooks: stored clean, one set of parameters for all, run by papermill as readers do."""

import ast
import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
import yaml
from conftest import NOTEBOOKS, TINY
from PIL import Image

from fgcl_utils.settings import Settings

ROOT = Path(__file__).resolve().parents[1]

slow = pytest.mark.slow
all_notebooks = pytest.mark.parametrize("name", NOTEBOOKS)


def read(name):
    return nbformat.read(ROOT / "notebooks" / f"{name}.ipynb", as_version=4)


def code_cells(name):
    return [cell for cell in read(name).cells if cell.cell_type == "code"]


def parameters(name):
    """The values assigned in the cell tagged ``parameters``."""
    tagged = [c for c in code_cells(name) if "parameters" in c.metadata.get("tags", [])]
    assert len(tagged) == 1, f"{len(tagged)} cells are tagged 'parameters'"
    assignments = [n for n in ast.parse(tagged[0].source).body if isinstance(n, ast.Assign)]
    return {node.targets[0].id: ast.literal_eval(node.value) for node in assignments}


# --- as stored --------------------------------------------------------------------------------


def test_there_are_no_other_notebooks():
    assert sorted(path.stem for path in (ROOT / "notebooks").glob("*.ipynb")) == NOTEBOOKS


@all_notebooks
def test_stored_without_outputs(name):
    for cell in code_cells(name):
        assert cell.outputs == [] and cell.execution_count is None, cell.source
    assert "widgets" not in read(name).metadata


@all_notebooks
def test_kernel_is_the_one_every_installation_has(name):
    assert read(name).metadata.kernelspec.name == "python3"


@all_notebooks
def test_cells_are_short_and_define_no_functions(name):
    for cell in code_cells(name):
        if "parameters" not in cell.metadata.get("tags", []):
            assert len(cell.source.splitlines()) <= 20, cell.source
        defined = [n for n in ast.walk(ast.parse(cell.source)) if isinstance(n, ast.FunctionDef)]
        assert defined == [], cell.source


def shows(cell):
    """Whether its last line is a value, of a figure or a table, which the page shows."""
    last = ast.parse(cell.source).body[-1]
    return isinstance(last, ast.Expr) and not ast.unparse(last).startswith(("glue(", "write_json("))


@all_notebooks
def test_what_is_shown_has_a_number_and_a_caption(name):
    for cell in filter(shows, code_cells(name)):
        figure = cell.metadata.get("mystnb", {}).get("figure", {})
        assert figure.get("name", "").startswith(("fig-", "tab-")), cell.source
        assert figure["caption"].endswith("."), cell.source


@all_notebooks
def test_folded_code_says_what_it_is(name):
    for cell in code_cells(name):
        folded = "hide-input" in cell.metadata.get("tags", [])
        assert folded == ("code_prompt_show" in cell.metadata.get("mystnb", {})), cell.source


def test_captions_have_names_of_their_own():
    figures = [c.metadata.mystnb.figure for n in NOTEBOOKS for c in code_cells(n) if shows(c)]
    assert len({figure["name"] for figure in figures}) == len(figures)


@pytest.mark.parametrize("name", NOTEBOOKS[:-1])
def test_images_are_not_called_photos(name):
    """They are rendered, unless somebody brings photographs; notebook 05 is about these."""
    for cell in read(name).cells:
        if cell.cell_type == "markdown":
            assert "photo" not in cell.source.lower().replace("photograph", ""), cell.source


@all_notebooks
def test_parameters_are_the_settings_and_their_defaults(name):
    values = parameters(name)
    assert list(values) == [f.name for f in dataclasses.fields(Settings)]
    assert Settings(**values) == Settings()


def test_the_demo_profile_is_the_default():
    profile = yaml.safe_load((ROOT / "profiles" / "demo.yaml").read_text(encoding="utf-8")) or {}
    assert Settings.from_dict(profile) == Settings()


@pytest.mark.parametrize("path", sorted((ROOT / "profiles").glob("*.yaml")), ids=lambda p: p.stem)
def test_profiles_are_valid(path):
    values = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    Settings.from_dict({"data_root": "somewhere"} | values)


# --- as executed ------------------------------------------------------------------------------


@slow
@all_notebooks
def test_runs_with_tiny_parameters(executed, name):
    cells = [c for c in nbformat.read(executed / f"executed/{name}.ipynb", 4).cells]
    code = [cell for cell in cells if cell.cell_type == "code"]
    assert all(cell.execution_count for cell in code if cell.source.strip())
    shown = [output for cell in code for output in cell.outputs]
    assert any("image/png" in o.get("data", {}) or "text/html" in o.get("data", {}) for o in shown)


@slow
def test_the_readme_s_picture_is_that_of_the_evaluation(executed):
    picture = executed / "book" / "_static" / "maps.webp"
    picture.unlink()
    done = subprocess.run(
        [sys.executable, "book/picture.py"], cwd=executed, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert Image.open(picture).width >= 1000


@slow
def test_run_folders_hold_what_is_promised(executed):
    study = executed / "runs" / TINY["run_name"]
    assert (study / "dataset.json").is_file()
    for method in ("ce", "supcon", "hcl", "hcl_blocks"):
        folder = study / method / "seed-0"
        for file in ("config.json", "history.csv", "embeddings.npz", "checkpoint.safetensors"):
            assert (folder / file).is_file(), file
        metrics = json.loads((folder / "metrics.json").read_text())
        assert 0 <= metrics["genus_outliers"] <= metrics["n_test"]
        assert metrics["genus_outlier_rate"] == metrics["genus_outliers"] / metrics["n_test"]
        assert {"species_accuracy", "seconds"} <= metrics.keys()
    evaluation = json.loads((study / "evaluation.json").read_text())
    assert list(evaluation["methods"]) == ["ce", "supcon", "hcl", "hcl_blocks"]
    assert "reduction_vs_ce" in evaluation["methods"]["hcl"]


@slow
def test_a_finished_run_is_loaded_not_trained_again(executed, papermill, tmp_path):
    metrics = executed / "runs" / TINY["run_name"] / "hcl" / "seed-0" / "metrics.json"
    before = metrics.stat().st_mtime_ns
    result = papermill("03_hcl", tmp_path / "again.ipynb")
    assert result.returncode == 0, result.stderr[-3000:]
    assert metrics.stat().st_mtime_ns == before


@slow
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("-p", "epoch", "3"), "there is no parameter 'epoch'. Did you mean 'epochs'?"),
        (("-p", "epochs", "many"), "epochs='many' is str: expected a whole number"),
        (("-p", "temperature", "-0.1"), "temperature=-0.1 is out of range: greater than 0"),
        (("-p", "dataset", "fungi"), "synthetic, grocery, df20_mini, csv, folder"),
    ],
    ids=["unknown name", "wrong type", "out of range", "unknown option"],
)
def test_bad_parameters_stop_at_once(papermill, tmp_path, arguments, message):
    result = papermill("01_ce_baseline", tmp_path / "bad.ipynb", *arguments)
    assert result.returncode != 0
    assert message in result.stderr
    if "epoch" in arguments:
        assert all(field.name in result.stderr for field in dataclasses.fields(Settings))


@slow
def test_evaluation_names_the_missing_run_and_its_command(papermill, tmp_path):
    output = tmp_path / "early.ipynb"
    result = papermill("04_evaluation", output, "-p", "run_name", "nothing-yet")
    assert result.returncode != 0
    assert "runs/nothing-yet lacks finished runs" in result.stderr
    for name in ("01_ce_baseline", "02_supcon", "03_hcl"):
        assert f"papermill notebooks/{name}.ipynb executed/{name}.ipynb" in result.stderr
