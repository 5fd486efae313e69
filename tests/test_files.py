"""Files: UTF-8 in every locale, named when they cannot be read, made where they may be."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from fgcl_utils.files import (
    cache_dir,
    home_dir,
    read_json,
    read_npz,
    read_yaml,
    resolve,
    write_json,
    write_npz,
)
from fgcl_utils.provenance import commit

ROOT = Path(__file__).resolve().parents[1]
ODD = "a [1] é"


@pytest.fixture
def project(tmp_path, monkeypatch):
    """An empty project, as the current folder."""
    root = tmp_path / ODD
    (root / "notebooks").mkdir(parents=True)
    (root / "_config.yml").touch()
    monkeypatch.chdir(root)
    monkeypatch.delenv("FGCL_HOME", raising=False)
    return root


# --- what is read -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.yaml", b"epochs: 3\n\tseed: 1\n", "line 2, column 1.*not tabs"),
        ("a.yaml", b"- 1\n- 2\n", r"a list, not a mapping\): write lines of NAME: VALUE"),
        ("a.yaml", b"epochs", "a str, not a mapping"),
        ("a.yaml", "epochs: 3\nrun_name: Pfütze\n".encode("latin-1"), "line 2: not UTF-8. Save"),
        ("a.json", b'{"epochs": 3,', "line 1 column 14.*: restore it, or delete it"),
        ("a.json", b"", "Expecting value"),
        ("a.json", '"Pfütze"'.encode("latin-1"), "line 1: not UTF-8"),
        ("a.npz", b"", "No data left in file"),
        ("a.npz", b"PK\x03\x04 half", "not a zip file"),
        ("a.npz", b"epochs", "cannot be read"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path, name, content, message):
    path = tmp_path / name
    path.write_bytes(content)
    read = {".yaml": read_yaml, ".json": read_json, ".npz": read_npz}[path.suffix]
    with pytest.raises(ValueError, match=message) as refused:
        read(path)
    assert str(refused.value).startswith(str(path))
    assert "\n" not in str(refused.value)


def test_files_with_a_byte_order_mark_are_read(tmp_path):
    """As Windows' editors write them."""
    for name in ("a.yaml", "a.json"):
        (tmp_path / name).write_bytes(b'\xef\xbb\xbf{"epochs": 3}')
    assert read_yaml(tmp_path / "a.yaml") == read_json(tmp_path / "a.json") == {"epochs": 3}


def test_an_empty_profile_has_no_values(tmp_path):
    (tmp_path / "a.yaml").write_text("# only a comment\n", encoding="utf-8")
    assert read_yaml(tmp_path / "a.yaml") == {}


def test_arrays_come_back(tmp_path):
    arrays = {"a": np.arange(3), "b/c": np.ones((2, 2), np.float32)}
    write_npz(tmp_path / "a.npz", arrays)
    read = read_npz(tmp_path / "a.npz")
    assert read.keys() == arrays.keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(read[name], array)


# --- the locale -------------------------------------------------------------------------------

IN_ASCII = os.environ | {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
PROGRAM = """
import locale, sys
from pathlib import Path
import pandas as pd
from fgcl_utils.files import read_json, read_yaml, write_json
from fgcl_utils.settings import Settings
assert locale.getpreferredencoding(False).upper() != "UTF-8"
value = {"species": "R\\u00f6hrling \\u83cc"}
write_json("a.json", value)
assert read_json("a.json") == value == read_yaml("b.yaml")
assert Settings.from_profile("c.yaml").data_root.endswith("\\u83cc")
"""


def test_files_are_utf_8_in_every_locale(project):
    Path("b.yaml").write_text("species: Röhrling 菌\n", encoding="utf-8")
    Path("c.yaml").write_text("dataset: folder\ndata_root: Fotos/菌\n", encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env=IN_ASCII | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "Röhrling 菌" in Path("a.json").read_text(encoding="utf-8")


def test_a_name_that_the_locale_lacks_stops_no_command(tmp_path):
    (tmp_path / "photos" / "菌属" / "菌").mkdir(parents=True)
    done = subprocess.run(
        [sys.executable, "-m", "fgcl_utils.datasets", "check", "folder", tmp_path / "photos"],
        env=IN_ASCII | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert "UnicodeEncodeError" not in done.stderr, done.stderr


def test_no_text_is_opened_in_the_locale_s_encoding():
    found = []
    for path in [*ROOT.glob("fgcl_utils/**/*.py"), *ROOT.glob("book/**/*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            name = getattr(node.func, "attr", getattr(node.func, "id", None))
            arguments = [ast.unparse(a) for a in node.args]
            is_binary = any(a.startswith("'") and "b" in a for a in arguments)
            of_another = ast.unparse(node.func) in ("Image.open", "os.open", "webbrowser.open")
            named = "encoding" in [k.arg for k in node.keywords]
            named = named or any(a.lower() in ("'utf-8'", "'utf-8-sig'") for a in arguments)
            if name in ("open", "read_text", "write_text") and not (
                is_binary or of_another or named
            ):
                found.append(f"{path.relative_to(ROOT)}:{node.lineno}")
    assert found == []


# --- what is made -----------------------------------------------------------------------------


def test_what_is_made_lies_in_the_project_or_in_fgcl_home(project, tmp_path, monkeypatch):
    assert home_dir() == project
    assert cache_dir() == project / ".cache"
    monkeypatch.setenv("FGCL_HOME", str(tmp_path / "elsewhere"))
    assert home_dir() == tmp_path / "elsewhere"
    assert cache_dir() == tmp_path / "elsewhere" / ".cache"
    assert resolve("profiles/demo.yaml") == project / "profiles/demo.yaml", "what is read stays"
    monkeypatch.setenv("FGCL_HOME", "made")
    assert home_dir() == project / "made", "relative to the project, as all paths are"


def test_a_read_only_project_is_not_written_to(project, tmp_path):
    """A whole run, its cache and its lock lie in FGCL_HOME."""
    (project / "demo.yaml").touch()
    before = sorted(project.rglob("*"))
    arguments = ["--method", "hcl", "--profile", "demo.yaml", "--set", "epochs=1", "image_size=16"]
    arguments += ["dials={n_species: 12, n_images: 120}", "model_name=test_efficientnet"]
    home = tmp_path / "home"
    done = subprocess.run(
        [sys.executable, "-m", "fgcl_utils.train", *arguments],
        env=os.environ | {"PYTHONPATH": str(ROOT), "FGCL_HOME": str(home)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert (home / "runs/demo/hcl/seed-0/metrics.json").is_file()
    assert sorted(project.rglob("*")) == before


# --- the commit -------------------------------------------------------------------------------


def git(folder, *arguments):
    identity = ["-c", "user.name=A", "-c", "user.email=a@example.org"]
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)


def test_the_commit_is_the_project_s_own(project):
    assert commit() is None, "outside git"
    git(project.parent, "init", "-q")
    git(project.parent, "add", "-A")
    git(project.parent, "commit", "-q", "--allow-empty", "-m", "of somebody else's")
    assert commit() is None, "a copy inside another repository"
    git(project, "init", "-q")
    git(project, "add", "-A")
    git(project, "commit", "-q", "-m", "our own")
    assert len(commit()) == 40
    (project / "new").touch()
    assert commit().endswith("+")


def test_json_is_whole_or_not_there(tmp_path):
    with pytest.raises(ValueError):
        write_json(tmp_path / "a.json", {"a": float("nan")})
    assert list(tmp_path.iterdir()) == []
