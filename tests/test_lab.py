"""The notebooks in JupyterLab: opened, run, and the explorer there."""

import contextlib
import os
import re
import subprocess
import sys

import pytest
from playwright.sync_api import TimeoutError

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture
def lab(executed):
    """Address of a JupyterLab on the executed project, up to the path of a notebook."""
    flags = ["--no-browser", "--allow-root", "--port=0", "--ServerApp.port_retries=50"]
    command = [sys.executable, "-m", "jupyterlab", *flags, "--IdentityProvider.token=test"]
    env = os.environ | {"JUPYTER_PREFER_ENV_PATH": "1", "PYTHONPATH": str(executed)}
    server = subprocess.Popen(
        command, cwd=executed, env=env, stderr=subprocess.PIPE, text=True, errors="replace"
    )
    try:
        for line in server.stderr:
            if found := re.search(r"http://(?:127\.0\.0\.1|localhost):(\d+)/lab", line):
                yield f"http://127.0.0.1:{found[1]}/lab/tree/{{}}?token=test&reset"
                break
        else:
            pytest.fail("JupyterLab did not start")
    finally:
        server.terminate()
        server.communicate(timeout=30)


def show_explorer(page):
    """Scroll until the explorer is in view and ready.

    Lab keeps only what is near the view, and may drop it again while the cells above find their
    heights; Chromium draws a frame only while it is in view.
    """
    pane = page.locator(".jp-WindowedPanel-outer").first
    frame = page.locator(".jp-OutputArea-output iframe")
    ready = page.frame_locator(".jp-OutputArea-output iframe").locator("html[data-ready=true]")
    for _ in range(100):
        if frame.count():
            with contextlib.suppress(TimeoutError):
                frame.scroll_into_view_if_needed(timeout=5_000)
                return ready.wait_for(state="attached", timeout=20_000)
        pane.evaluate(
            "e => e.scrollTop = e.scrollTop + 300 < e.scrollHeight - e.clientHeight"
            " ? e.scrollTop + 300 : 0"
        )
        page.wait_for_timeout(1000)
    pytest.fail("no explorer came into view")


def test_run_all_shows_the_explorer(lab, page):
    page.goto(lab.format("executed/04_evaluation.ipynb"))
    page.locator(".jp-Notebook .jp-Cell").first.wait_for(timeout=180_000)
    page.get_by_text("| Idle").wait_for(timeout=180_000)  # the kernel is there
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.locator('[data-command="runmenu:run-all"]').click()
    page.get_by_text("| Busy").wait_for(timeout=180_000)
    page.get_by_text("| Idle").wait_for(timeout=240_000)
    show_explorer(page)
    assert page.locator(".jp-OutputArea-output iframe").count() == 1
    assert page.locator('[data-mime-type="application/vnd.jupyter.error"]').count() == 0
