"""The Makefile redoes what changed and nothing else, and says what is wrong.

Papermill and jupyter-book are replaced by scripts that note their calls: here it is make's own
decisions that are tested.
"""

import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = sorted(path.stem for path in (ROOT / "notebooks").glob("0*.ipynb"))
LATER = [name for name in NOTEBOOKS if name >= "04"]  # they read the runs of 01, 02 and 03

NOTE = """#!/bin/sh
note() { echo "$*" >> "$(dirname "$0")/calls"; }
"""
PAPERMILL = (
    NOTE
    + """for argument; do
  case $argument in
    notebooks/*) note "executed/${argument#notebooks/}" ;;
    *_build/aside/*) out=$argument ;;
  esac
done
echo made > "$out"
"""
)
JUPYTER_BOOK = (
    NOTE
    + """note book; cd "$2"; mkdir -p _build/html
cat executed/*.ipynb > _build/html/index.html
"""
)
# Leaves a package that pip never finished, and one that it did; dies before its end if told to.
PYTHON = (
    NOTE
    + """site=.venv/lib/python3/site-packages
case $* in
  "-m pip"*) note "pip finds" $(cd $site 2>/dev/null && ls -d *.dist-info)
    mkdir -p $site/half.dist-info $site/whole.dist-info; touch $site/whole.dist-info/RECORD
    [ ! -e die ] || kill -9 0
    touch $site/half.dist-info/RECORD ;;
  "-m venv"*) note venv ;;
esac
"""
)


@pytest.fixture
def tree(tmp_path):
    """The project with an environment of stand-ins that counts as installed.

    Its folder's name has what makefiles, shells and patterns stumble over.
    """
    tmp_path = tmp_path / "a [1] é"
    tmp_path.mkdir()
    for name in ("Makefile", "requirements.lock", "pyproject.toml", "_config.yml", "_toc.yml"):
        shutil.copy(ROOT / name, tmp_path)
    no_cache = shutil.ignore_patterns("__pycache__", ".ipynb_checkpoints")
    for name in ("notebooks", "profiles", "fgcl_utils", "book"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=no_cache)
    tools = tmp_path / ".venv" / "bin"
    tools.mkdir(parents=True)
    for name, text in (("papermill", PAPERMILL), ("jupyter-book", JUPYTER_BOOK)):
        put_tool(tmp_path, name, text)
    (tmp_path / ".venv" / ".installed").touch()
    return tmp_path


def put_tool(tree, name, text):
    tool = tree / ".venv" / "bin" / name
    tool.write_text(text)
    tool.chmod(0o755)


def make(tree, *arguments, **options):
    # What an outer make sets must not reach this one.
    outer = ("MAKE", "MFLAGS", "PROFILE", "FGCL")
    env = {k: v for k, v in os.environ.items() if not k.startswith(outer)}
    env |= {"VENV": ".venv", "PYTHON": "python3", "ARGS": ""}
    options = {"capture_output": True, "text": True, "timeout": 60} | options
    # In a group of its own: some of the stand-ins kill all of theirs.
    return subprocess.run(["make", *arguments], cwd=tree, env=env, process_group=0, **options)


def calls(tree):
    """What was made since the last time this was asked."""
    log = tree / ".venv" / "bin" / "calls"
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
        ("notebooks/02_supcon.ipynb", [*executed("02_supcon", *LATER), "book"]),
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
    put_tool(tree, "python", "#!/bin/sh\necho served\n")
    assert "served" in make(tree, "serve").stdout
    assert calls(tree) == []


def test_a_failed_notebook_does_not_count_as_made(tree):
    put_tool(tree, "papermill", PAPERMILL + "exit 1\n")
    assert make(tree, "book").returncode != 0
    assert not (tree / "executed/00_data_exploration.ipynb").exists()
    assert list((tree / "_build/aside").iterdir()) == []
    assert "book" not in calls(tree)


@pytest.mark.parametrize("tool", ["papermill", "jupyter-book"])
def test_a_book_that_was_killed_is_made_again(tree, tool):
    whole = (tree / ".venv/bin" / tool).read_text()
    dying = whole.replace("echo made >", "echo half > ").replace("cat executed/", "echo half > ")
    put_tool(tree, tool, f"{dying}kill -9 0\n")
    assert make(tree, "book").returncode == -signal.SIGKILL
    assert "half" not in "".join(path.read_text() for path in tree.glob("executed/*.ipynb"))
    put_tool(tree, tool, whole)
    assert make(tree, "book").returncode == 0
    assert (tree / "_build/html/index.html").read_text() == "made\n" * len(NOTEBOOKS)
    calls(tree)
    make(tree, "book")
    assert calls(tree) == []


def test_an_installation_that_was_killed_is_completed(tree):
    (tree / ".venv/.installed").unlink()
    (tree / ".venv/pyvenv.cfg").touch()
    put_tool(tree, "python", PYTHON)
    (tree / "die").touch()
    assert make(tree, ".venv").returncode == -signal.SIGKILL
    (tree / "die").unlink()
    assert make(tree, ".venv").returncode == 0
    # pip would take the half package for an installed one.
    assert calls(tree) == ["pip finds", "venv", "pip finds whole.dist-info"]
    make(tree, ".venv")
    assert calls(tree) == []


def test_an_environment_that_is_not_a_venv_stays_as_it_is(tree):
    """Conda's, for example, which has no pyvenv.cfg."""
    (tree / ".venv/.installed").unlink()
    put_tool(tree, "python", PYTHON)
    (tree / "die").touch()
    make(tree, ".venv")
    (tree / "die").unlink()
    make(tree, ".venv")
    assert "venv" not in calls(tree)


def test_a_home_elsewhere_leaves_the_checkout_as_it_is(tree, tmp_path):
    def files():
        return sorted(path for path in tree.rglob("*") if ".venv" not in path.parts)

    before, home = files(), tmp_path / "home"
    result = make(tree, "book", f"FGCL_HOME={home}")
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines()[-1] == str(home / "_build/html/index.html")
    assert sorted(path.stem for path in home.glob("executed/*.ipynb")) == NOTEBOOKS
    assert (home / "book/intro.md").is_file() and (home / "_toc.yml").is_file()
    assert calls(tree) == [*executed(*NOTEBOOKS), "book"]
    make(tree, "book", f"FGCL_HOME={home}")
    assert calls(tree) == []
    assert files() == before
    refused = make(tree, "book", f"FGCL_HOME={tmp_path / 'my home'}")
    assert refused.returncode != 0 and "has blanks" in refused.stderr


def test_the_training_is_told_the_terminal(tree):
    put_tool(tree, "papermill", PAPERMILL + 'note "to <$FGCL_PROGRESS>"\n')
    make(tree, "executed/01_ce_baseline.ipynb")
    assert calls(tree)[1:] == ["to <>"], "there is none"
    (tree / "executed/01_ce_baseline.ipynb").unlink()
    ours, theirs = os.openpty()
    make(tree, "executed/01_ce_baseline.ipynb", capture_output=False, stderr=theirs)
    assert calls(tree)[1:] == [f"to <{os.ttyname(theirs)}>"]
    os.close(ours), os.close(theirs)


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
    assert "needs Python 3.11 to 3.14, found Python 3.9.1" in result.stderr
    assert "PYTHON=" in result.stderr


def test_help_names_every_command(tree):
    listed = set(re.findall(r"^  make ([\w.-]+)", make(tree).stdout, re.M))
    assert {"book", "run", "test", "lint", "lab", "serve", "bench", "lock", "clean"} <= listed
