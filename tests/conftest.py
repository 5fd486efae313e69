"""A browser without a network, and the study executed once with tiny parameters."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from chromium import HOW_TO_INSTALL, find_chromium
from filelock import FileLock

ROOT = Path(__file__).resolve().parents[1]
TOOLS = Path(sys.executable).parent
NOTEBOOKS = [
    "00_data_exploration",
    "01_ce_baseline",
    "02_supcon",
    "03_hcl",
    "04_evaluation",
    "05_new_photos",
]
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


@pytest.fixture
def ready(page, path):
    """Open a view of an explorer's page, the module's `path` or another, and wait for it."""

    def open_view(fragment="", file=path):
        page.goto("about:blank")  # else another fragment alone would not load the page again
        page.goto(f"{file.as_uri()}{fragment}")
        page.wait_for_selector("html[data-ready=true]")
        return page

    yield open_view
    assert page.errors == []
    assert page.external_requests == []


@pytest.fixture(scope="session")
def run_once(tmp_path_factory):
    """Run an action in the first worker that asks for it, while the others wait for its outcome.

    The action gets a folder that all workers share and returns what went wrong, or None.
    """
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent

    def run(name, action):
        outcome = shared / f"{name}.outcome"
        with FileLock(shared / f"{name}.lock"):
            if not outcome.exists():
                outcome.write_text(action(shared) or "", encoding="utf-8")
        if problem := outcome.read_text(encoding="utf-8"):
            pytest.fail(problem, pytrace=False)
        return shared

    return run


@pytest.fixture(scope="session")
def project(run_once):
    """A copy of the project without anything that was built, where names are as they may be."""
    name = "a project [1] é"

    def copy(shared):
        built = [".made-*", ".parameters", "runs", "_build", "build", "*.egg-info", "__pycache__"]
        hidden = [".git", ".*cache", ".venv*", "venv*"]
        shutil.copytree(ROOT, shared / name, ignore=shutil.ignore_patterns(*built, *hidden))
        for notebook in (shared / name / "executed").glob("*.ipynb"):
            notebook.unlink()
        (shared / name / "tiny.yaml").write_text(yaml.safe_dump(TINY), encoding="utf-8")

    return run_once("project", copy) / name


@pytest.fixture(scope="session")
def papermill(project):
    """Run ``papermill`` as a reader would, in the project's folder; return the ended process."""

    def run(notebook, output, *arguments):
        options = ["--no-progress-bar", "-k", "python3", "-f", "tiny.yaml"]
        return subprocess.run(
            [TOOLS / "papermill", *options, f"notebooks/{notebook}.ipynb", output, *arguments],
            cwd=project,
            env=os.environ | {"PYTHONPATH": str(project)},
            capture_output=True,
            text=True,
        )

    return run


@pytest.fixture(scope="session")
def executed(project, papermill, run_once):
    """The project with its six notebooks executed in executed/."""

    def execute(_):
        for notebook in NOTEBOOKS:
            result = papermill(notebook, f"executed/{notebook}.ipynb")
            if result.returncode:
                return f"{notebook} failed:\n{result.stderr[-4000:]}"

    run_once("executed", execute)
    return project


@pytest.fixture(scope="session")
def book(executed, run_once):
    """Folder of the book built from them, with warnings as errors as in the Makefile."""

    def build(_):
        result = subprocess.run(
            [TOOLS / "jupyter-book", "build", ".", "--all", "-W", "--keep-going"],
            cwd=executed,
            env=os.environ | {"PYTHONPATH": str(executed)},
            capture_output=True,
            text=True,
        )
        if result.returncode:
            return result.stdout[-1000:] + result.stderr[-4000:]

    run_once("book", build)
    return executed / "_build" / "html"
