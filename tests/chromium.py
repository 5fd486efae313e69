"""Find a Chromium for the browser tests; run as a script, say whether there is one."""

import os
import shutil
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

COMMANDS = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"]
MAC_APPS = [
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
]
HOW_TO_INSTALL = (
    "no Chromium found. Install one with `apt-get install chromium` (Debian) or "
    "`.venv/bin/playwright install chromium` (anywhere), or name it: CHROMIUM=/path/to/chromium"
)


def find_chromium(playwright):
    """Return the path of a Chromium or Chrome, or None. ``$CHROMIUM`` comes before all others."""
    if named := os.environ.get("CHROMIUM"):
        return shutil.which(named)
    installed = filter(None, map(shutil.which, COMMANDS))
    candidates = [*installed, *MAC_APPS, playwright.chromium.executable_path]
    return next((path for path in candidates if Path(path).is_file()), None)


if __name__ == "__main__":
    with sync_playwright() as playwright:
        sys.exit(find_chromium(playwright) is None)
