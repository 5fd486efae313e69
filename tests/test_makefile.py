"""The Makefile redoes what changed and nothing else, and says what is wrong.

Papermill and jupyter-book are replaced by scripts that note their calls: here it is make's own
decisions that are tested.
"""

import os
import re
import shutil
import subprocess
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = ["00_data_exploration", "01_ce_baseline", "02_supcon", "03_hcl", "04_evaluation"]

PAPERMILL = """#!/bin/sh
for argument; do
  case $argument in executed/*) echo "$argument" >> calls; echo made > "$argument" ;; esac
done
"""
JUPYTER_BOOK = """#!/bin/sh
echo book >> calls; mkdir -p _build/html; echo made > _build/html/index.html
"""


@pytest.fixture
def tree(tmp_path):
    """The project with an environment of stand-ins that counts as installed."""
    for name in ("Makefile", "requirements.lock", "pyproject.toml", "_config.yml", "_toc.yml"):
        shutil.copy(ROOT / name, tmp_path)
    no_cache = shutil.ignore_patterns("__pycache__", ".ipynb_checkpoints")
    for name in ("notebooks", "profiles", "fgcl_utils", "book"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=no_cache)
    tools = tmp_path / ".venv" / "bin"
    tools.mkdir(parents=True)
    for name, text in (("papermill", PAPERMILL), ("jupyter-book", JUPYTER_BOOK)):
        (tools / name).write_text(text)
        (tools / name).chmod(0o755)
    (tmp_path / ".venv" / ".installed").touch()
    return tmp_path


def make(tree, *arguments):
    # What an outer make sets must not reach this one.
    env = {k: v for k, v in os.environ.items() if not k.startswith(("MAKE", "MFLAGS", "PROFILE"))}
    env |= {"VENV": ".venv", "PYTHON": "python3", "ARGS": ""}
    return subprocess.run(
        ["make", *arguments], cwd=tree, env=env, capture_output=True, text=True, timeout=60
    )


def calls(tree):
    """What was made since the last time this was asked."""
    log = tree / "calls"
    made = log.read_text().splitlines() if log.exists() else []
    log.unlink(missing_ok=True)
    time.sleep(0.01)  # so that what is touched next is newer
    return made


def executed(*names):
    return [f"executed/{name}.ipynb" for name in names]


def test_book_is_made_once(tree):
    result = make(tree, "book")
    assert result.returncode == 0, result.stderr
    assert calls(tree) == [*executed(*NOTEBOOKS), "book"]
    assert result.stdout.splitlines()[-1] == str(tree / "_build/html/index.html")
    again = make(tree, "book")
    assert calls(tree) == []
    assert again.stdout.splitlines() == [str(tree / "_build/html/index.html")]


@pytest.mark.parametrize(
    ("changed", "redone"),
    [
        ("notebooks/02_supcon.ipynb", [*executed("02_supcon", "04_evaluation"), "book"]),
        ("notebooks/04_evaluation.ipynb", [*executed("04_evaluation"), "book"]),
        ("profiles/demo.yaml", [*executed(*NOTEBOOKS), "book"]),
        ("profiles/grocery.yaml", []),
        ("fgcl_utils/metrics.py", [*executed(*NOTEBOOKS), "book"]),
        ("book/method.md", ["book"]),
        ("_toc.yml", ["book"]),
    ],
)
def test_a_change_redoes_what_depends_on_it(tree, changed, redone):
    make(tree, "book")
    calls(tree)
    (tree / changed).touch()
    make(tree, "book")
    assert calls(tree) == redone


def test_other_parameters_execute_again(tree):
    make(tree, "run")
    calls(tree)
    make(tree, "run", "ARGS=-p epochs 3")
    assert calls(tree) == executed(*NOTEBOOKS)
    make(tree, "run", "ARGS=-p epochs 3")
    assert calls(tree) == []
    make(tree, "run", "PROFILE=grocery", "ARGS=-p epochs 3")
    assert calls(tree) == executed(*NOTEBOOKS)


def test_a_notebook_run_by_hand_does_not_stay_among_the_others(tree):
    make(tree, "book")
    calls(tree)
    (tree / "executed/03_hcl.ipynb").write_text("epochs = 20")
    make(tree, "book")
    assert calls(tree) == [*executed(*NOTEBOOKS), "book"]
    make(tree, "book")
    assert calls(tree) == []


def test_serving_does_not_make_another_book(tree):
    make(tree, "book", "PROFILE=grocery")
    calls(tree)
    python = tree / ".venv/bin/python"
    python.write_text("#!/bin/sh\necho served\n")
    python.chmod(0o755)
    assert "served" in make(tree, "serve").stdout
    assert calls(tree) == []


def test_a_failed_notebook_does_not_count_as_made(tree):
    papermill = tree / ".venv/bin/papermill"
    papermill.write_text(PAPERMILL + "exit 1\n")
    assert make(tree, "book").returncode != 0
    assert not (tree / "executed/00_data_exploration.ipynb").exists()
    assert "book" not in calls(tree)


def test_unknown_profile_lists_those_that_exist(tree):
    result = make(tree, "run", "PROFILE=nope")
    assert result.returncode != 0 and calls(tree) == []
    assert "There is no profiles/nope.yaml" in result.stderr and "grocery" in result.stderr


def test_unsupported_python_is_named(tree):
    python = tree / "python3.9"
    python.write_text('#!/bin/sh\n[ "$1" = --version ] && echo Python 3.9.1 && exit\nexit 1\n')
    python.chmod(0o755)
    shutil.rmtree(tree / ".venv")
    result = make(tree, "book", f"PYTHON={python}")
    assert result.returncode != 0
    assert "needs Python 3.11 or 3.12, found Python 3.9.1" in result.stderr
    assert "PYTHON=" in result.stderr


def test_help_names_every_command(tree):
    listed = set(re.findall(r"^  make ([\w.-]+)", make(tree).stdout, re.M))
    assert {"book", "run", "test", "lint", "lab", "serve", "bench", "lock", "clean"} <= listed
