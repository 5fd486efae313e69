"""Shared fixtures: a browser without a network, and the study executed once with tiny parameters.

Tests that use `executed` or `book` belong to the xdist group "book", so that the notebooks run once
and not once a worker.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from chromium import HOW_TO_INSTALL, find_chromium

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = ["00_data_exploration", "01_ce_baseline", "02_supcon", "03_hcl", "04_evaluation"]
# The smallest study that still has six genera with two species each and every split.
TINY = {
    "run_name": "tiny",
    "dials": {"n_species": 12, "n_images": 180},
    "image_size": 32,
    "epochs": 1,
    "batch_size": 32,
}


@pytest.fixture(scope="session")
def browser():
    """Chromium, driven by Playwright; its absence is a failure, since a skipped check is none."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        path = find_chromium(playwright) or pytest.fail(HOW_TO_INSTALL)
        # Chromium's sandbox does not start as root, nor in many containers.
        flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        browser = playwright.chromium.launch(executable_path=path, args=flags)
        yield browser
        browser.close()


@pytest.fixture
def page(browser):
    """A page that reaches files and this machine only.

    ``page.external_requests`` lists the addresses that were refused, ``page.errors`` the uncaught
    exceptions and console errors.
    """
    context = browser.new_context(viewport={"width": 1280, "height": 900}, color_scheme="light")
    page = context.new_page()
    page.external_requests, page.errors = [], []

    def refuse_network(route):
        url = route.request.url
        if url.startswith(("file:", "data:", "blob:", "http://127.0.0.1", "http://localhost")):
            return route.continue_()
        page.external_requests.append(url)
        return route.abort()

    context.route("**/*", refuse_network)
    page.on("pageerror", lambda error: page.errors.append(str(error)))
    page.on("console", lambda line: page.errors.append(line.text) if line.type == "error" else None)
    yield page
    context.close()


@pytest.fixture(scope="session")
def project(tmp_path_factory):
    """A copy of the project without anything that was built."""
    copy = tmp_path_factory.mktemp("study") / "project"
    built = [
        "executed",
        "runs",
        "_*build",
        ".*cache",
        "*.egg-info",
        "__pycache__",
        ".git",
        "*venv*",
    ]
    shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(*built))
    (copy / "tiny.yaml").write_text(yaml.safe_dump(TINY), encoding="utf-8")
    return copy


@pytest.fixture(scope="session")
def papermill(project):
    """Run ``papermill`` on a notebook as a reader would; return the completed process."""

    def run(notebook, *arguments, output=None):
        source, target = f"notebooks/{notebook}.ipynb", output or f"executed/{notebook}.ipynb"
        (project / "executed").mkdir(exist_ok=True)
        options = ["--no-progress-bar", "-k", "python3", "-f", "tiny.yaml"]
        return subprocess.run(
            [sys.executable, "-m", "papermill", *options, source, target, *arguments],
            cwd=project,
            env=os.environ | {"PYTHONPATH": str(project)},
            capture_output=True,
            text=True,
        )

    return run


@pytest.fixture(scope="session")
def executed(project, papermill):
    """The project with its five notebooks executed in executed/."""
    for notebook in NOTEBOOKS:
        result = papermill(notebook)
        assert result.returncode == 0, f"{notebook} failed:\n{result.stderr[-4000:]}"
    return project


@pytest.fixture(scope="session")
def book(executed):
    """Folder of the book built from them, warnings as errors as in the Makefile."""
    command = [sys.executable, "-m", "jupyter_book.cli.main", "build", "."]
    result = subprocess.run(
        [*command, "--all", "-W", "--keep-going"],
        cwd=executed,
        env=os.environ | {"PYTHONPATH": str(executed)},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stdout[-2000:] + result.stderr[-4000:]
    return executed / "_build" / "html"
