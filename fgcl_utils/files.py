"""Where the project's files lie, and how they are written: whole or not at all.

A file is written beside its place and then renamed, so that a killed process leaves the old one.
"""

import contextlib
import hashlib
import json
import os
import tempfile
from pathlib import Path

import numpy as np


def project_root():
    """Folder that holds ``_config.yml`` and ``notebooks/``, wherever the kernel was started."""
    here = Path.cwd().resolve()
    for folder in (here, *here.parents, Path(__file__).resolve().parents[1]):
        if (folder / "_config.yml").is_file() and (folder / "notebooks").is_dir():
            return folder
    return here


def resolve(path):
    """`path` as an absolute path; a relative one is relative to the project's root."""
    return project_root() / Path(path).expanduser()


def cache_dir():
    """Folder of what can be made again at any time: decoded images, 2-D maps."""
    return project_root() / ".cache"


@contextlib.contextmanager
def written_aside(path):
    """Yield a path beside `path`; on success it is renamed to `path`, on failure removed."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    os.close(handle)
    aside = Path(name)
    try:
        yield aside
        # mkstemp makes files private; results are to be read like any other file.
        aside.chmod(0o644)
        with aside.open("rb") as written:
            os.fsync(written.fileno())  # else a power cut can leave a renamed, empty file
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


def write_json(path, value):
    with written_aside(path) as aside:
        text = json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
        aside.write_text(text, encoding="utf-8")  # whatever the user's locale is


def read_json(path):
    return json.loads(Path(path).read_text(encoding="utf-8"))


def write_npz(path, arrays):
    with written_aside(path) as aside, aside.open("wb") as out:
        np.savez(out, **arrays)


def digest(value):
    """Hex SHA-256 of a JSON-serialisable value."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
