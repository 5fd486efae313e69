"""``results/<name>.json``: what a study said so far, to which it adds what it says now."""

import dataclasses
import json
from pathlib import Path

from fgcl_utils.files import digest, home_dir, read_json, write_json
from fgcl_utils.settings import NEVER_IDENTITY, Settings, SettingsError, load_dataset
from fgcl_utils.study.plan import base
from fgcl_utils.study.summary import summarise


def record_path(spec):
    """``results/<name>.json``."""
    return home_dir() / "results" / f"{spec['name']}.json"


def read_record(spec, jobs, parameters=None):
    """What the study recorded so far, or None if it did not yet.

    Parameters
    ----------
    spec, jobs, parameters
        As for `plan.plan`, and what it returned.

    Raises
    ------
    SettingsError
        If the file in its place is no record, or a finished run was trained on other data.
    """
    return _so_far(spec, jobs, _study_of(spec, parameters))


def _so_far(spec, jobs, study):
    for job in jobs:
        if job.is_finished and not job.overrides:
            config = read_json(job.folder / "config.json")
            if config["dataset_fingerprint"] != study["dataset_fingerprint"]:
                raise SettingsError(
                    f"{job.folder} was trained on other data: choose another run_name, or move "
                    "it away"
                )
    path = record_path(spec)
    held = _read(path)
    return held if held and _identity(held) == _identity(study) else _read(_aside(path, study))


def write_record(spec, jobs, parameters=None):
    """Add the finished jobs to the study's record and return its path.

    Its runs stay unless they are made anew: other methods, seeds or settings of the study. A
    record of other data, or of another profile, is kept: it is moved aside to
    ``<name>.<hash of settings and data>.json``, and comes back when they do.

    It holds what `summary.summarise` returns, the ``settings`` that the runs start from and the
    ``dataset_fingerprint``. Parameters and errors are those of `read_record`.
    """
    study = _study_of(spec, parameters)
    found = summarise(spec, jobs, parameters, _so_far(spec, jobs, study)) | study
    path = record_path(spec)
    held = _read(path)
    if held and _identity(held) != _identity(found):
        path.replace(_aside(path, held))
        print(f"{path} recorded other settings or data: kept as {_aside(path, held).name}")
    write_json(path, found)
    _aside(path, found).unlink(missing_ok=True)  # it came back
    return path


def _study_of(spec, parameters):
    """What the runs of a study start from, and may override: settings, fingerprint of the data."""
    study = base(spec, parameters)
    settings = dataclasses.asdict(study)
    # Where files lie on this machine is nobody's business.
    settings |= {name: Path(settings[name]).name for name in ("weights", "encoder")}
    settings |= {"data_root": None}
    return {"settings": settings, "dataset_fingerprint": load_dataset(study).fingerprint}


def _read(path):
    if not path.is_file():
        return None
    record = read_json(path)
    if not (isinstance(record, dict) and {"runs", "settings"} <= record.keys()):
        raise SettingsError(f"{path} is no record of a study: move it away, the runs stay")
    return record


def _aside(path, study):
    """Where the record of a study lies while that of another has its place."""
    return path.with_suffix(f".{_identity(study)}.json")


def _identity(study):
    """Hash of a study's settings and data; a setting that a record lacks had its default."""
    settings = dataclasses.asdict(Settings()) | study["settings"]
    settings = {name: value for name, value in settings.items() if name not in NEVER_IDENTITY}
    about = [settings, study.get("dataset_fingerprint")]
    return digest(json.loads(json.dumps(about)))[:8]
