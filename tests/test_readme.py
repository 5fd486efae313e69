"""What the README and the pages tell readers to type exists and works."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "book").glob("*.md"))]
readable = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


def blocks(page, language):
    return re.findall(rf"```{language}\n(.*?)```", page.read_text(encoding="utf-8"), re.S)


def test_example_of_the_loss_runs():
    (example,) = blocks(ROOT / "README.md", "python")
    names = {}
    exec(example, names)
    gradient = names["projections"].grad
    assert gradient.isfinite().all() and gradient.abs().sum() > 0


@readable
def test_make_commands_exist(page):
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    benches = re.search(r"^BENCHES\s*= (.*)$", makefile, re.M)[1]
    makefile = makefile.replace("$(BENCHES)", benches)
    commands = "\n".join(blocks(page, "sh")) + "\n".join(
        re.findall("`(make [^`]*)`", page.read_text())
    )
    for target in re.findall(r"\bmake ([a-z][\w-]*)", commands):
        assert re.search(rf"^(?:\S+ )*{re.escape(target)}(?: \S+)*:", makefile, re.M), target


@readable
def test_profiles_and_notebooks_exist(page):
    written = "\n".join(blocks(page, "sh"))
    made_there = set(re.findall(r"cat > (profiles/\S+)", written))
    named = re.findall(r"(?:notebooks|profiles)/[\w.]+", written)
    named += [f"profiles/{name}.yaml" for name in re.findall(r"PROFILE=(\w+)", written)]
    missing = [name for name in {*named} - made_there if not (ROOT / name).is_file()]
    assert missing == []


def test_links_and_pictures_of_the_readme_exist():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    targets = [t for t in re.findall(r"\]\(([^)]+)\)", text) if "://" not in t]
    assert targets and [t for t in targets if not (ROOT / t).exists()] == []
