"""The training's bar reaches the terminal that FGCL_PROGRESS names, from wherever it runs."""

import os

import pytest

from fgcl_utils import progress


@pytest.fixture(autouse=True)
def fresh():
    progress._terminal.cache_clear()
    yield
    progress._terminal.cache_clear()


def show(capfd):
    with progress.bar(range(3), "training") as steps:
        list(steps)
    return capfd.readouterr().err


def test_the_bar_is_on_the_terminal_and_leaves_no_line(monkeypatch, capfd):
    ours, theirs = os.openpty()
    monkeypatch.setenv("FGCL_PROGRESS", os.ttyname(theirs))
    assert show(capfd) == ""
    os.write(theirs, b"end")
    written = ""
    while not written.endswith("end"):  # a terminal hands over in pieces
        written += os.read(ours, 100_000).decode()
    assert "training" in written
    lines_down, lines_up = written.count("\n"), written.count("\x1b[A")
    assert lines_down == lines_up, "the cursor is back on papermill's line"
    os.close(ours), os.close(theirs)


@pytest.mark.parametrize("name", [None, "", "/dev/nowhere", __file__], ids=str)
def test_without_a_terminal_it_is_on_stderr(monkeypatch, capfd, name):
    monkeypatch.delenv("FGCL_PROGRESS", raising=False)
    if name is not None:
        monkeypatch.setenv("FGCL_PROGRESS", name)
    assert "training" in show(capfd)


def test_a_file_is_not_overwritten(monkeypatch, capfd, tmp_path):
    kept = tmp_path / "results.txt"
    kept.write_text("kept")
    monkeypatch.setenv("FGCL_PROGRESS", str(kept))
    show(capfd)
    assert kept.read_text() == "kept"
