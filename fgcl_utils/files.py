"""Where the project's files lie, how they are written, and how they are read.

A file is written beside its place and then renamed, so that a killed process leaves the old one.
Text is UTF-8 whatever the locale is, and what cannot be read is named.
"""

import contextlib
import hashlib
import json
import os
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import yaml


def project_root():
    """Folder of what is read: ``_config.yml``, ``notebooks/``, wherever the kernel was started."""
    here = Path.cwd().resolve()
    for folder in (here, *here.parents, Path(__file__).resolve().parents[1]):
        if (folder / "_config.yml").is_file() and (folder / "notebooks").is_dir():
            return folder
    return here


def resolve(path):
    """`path` as an absolute path; a relative one is relative to the project's root."""
    return project_root() / Path(path).expanduser()


def home_dir():
    """Folder of what is made: ``runs/``, ``executed/``, ``.cache/``, ``results/``.

    It is the project's root, or what ``FGCL_HOME`` names where that is read-only.
    """
    return resolve(os.environ.get("FGCL_HOME", ""))


def cache_dir():
    """Folder of what can be made again at any time: decoded images, 2-D maps."""
    return home_dir() / ".cache"


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
    with readable(path):
        return json.loads(Path(path).read_text(encoding="utf-8-sig"))


def read_yaml(path):
    """The mapping in a YAML file such as a profile; {} if it is empty."""
    with readable(path, "write lines of NAME: VALUE, indented with blanks, not tabs"):
        values = yaml.safe_load(Path(path).read_text(encoding="utf-8-sig"))
        if values is not None and not isinstance(values, dict):
            raise ValueError(f"a {type(values).__name__}, not a mapping")
    return values or {}


def write_npz(path, arrays):
    with written_aside(path) as aside, aside.open("wb") as out:
        np.savez(out, **arrays)


def read_npz(path):
    """The arrays of a file, a dict; nothing in it is ever executed."""
    with readable(path), np.load(path, allow_pickle=False) as arrays:
        return dict(arrays)


@contextlib.contextmanager
def readable(path, mend="restore it, or delete it to have it made again"):
    """Turn whatever a reader says of what is in `path` into one error that names the file.

    Raises
    ------
    ValueError
        Of the block's errors, those of the content; the system's name their file themselves.
    """
    try:
        yield
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise ValueError(f"{path}, line {line}: not UTF-8. Save the file as UTF-8") from error
    except (ValueError, EOFError, yaml.YAMLError, zipfile.BadZipFile) as error:
        reason = str(error).partition(":\n")[0]  # YAML adds the line and an arrow
        reason = " ".join(reason.replace('in "<unicode string>", ', "").split())
        raise ValueError(f"{path} cannot be read ({reason}): {mend}") from error


def digest(value):
    """Hex SHA-256 of a JSON-serialisable value."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
