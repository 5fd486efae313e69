"""A bar that is seen: on the terminal, though a notebook's output goes into the notebook.

``FGCL_PROGRESS`` is a terminal's name, as the command ``tty`` prints it. ``make`` sets it for the
notebooks it executes: papermill's own bar counts cells, and one of them trains for minutes.
"""

import functools
import os

from tqdm import tqdm


def bar(*arguments, **options):
    """`tqdm.tqdm`, one line below papermill's if FGCL_PROGRESS names a terminal, else on stderr."""
    if terminal := _terminal():
        options |= {"file": terminal, "position": 1, "leave": False}
    return tqdm(*arguments, **options)


@functools.cache
def _terminal():
    """The terminal of FGCL_PROGRESS, open for writing; None where there is none."""
    try:
        # Not to become this process's controlling terminal, whose Ctrl-C is make's.
        handle = os.open(os.environ.get("FGCL_PROGRESS", ""), os.O_WRONLY | os.O_NOCTTY)
    except (OSError, AttributeError):  # AttributeError: Windows
        return None
    if os.isatty(handle):
        return open(handle, "w", encoding="utf-8")
    os.close(handle)
    return None
