"""``results/<name>.json``: what a study said so far, to which it adds what it says now."""

import dataclasses
import json

from fgcl_utils.files import digest, home_dir, read_json, write_json
from fgcl_utils.settings import Settings, SettingsError
from fgcl_utils.study.summary import study_of, summarise


def record_path(spec):
    """``results/<name>.json``."""
    return home_dir() / "results" / f"{spec['name']}.json"


def read_record(path):
    """The record at `path`, or None if there is none yet.

    Raises
    ------
    SettingsError
        If the file is something else.
    """
    if not path.is_file():
        return None
    record = read_json(path)
    if not (isinstance(record, dict) and {"runs", "settings"} <= record.keys()):
        raise SettingsError(f"{path} is no record of a study: move it away, the runs stay")
    return record


def write_record(spec, jobs, parameters=None):
    """Add the finished jobs to the study's record and return its path.

    Its runs stay unless they are made anew: other methods, seeds or settings of the study. A
    record of other data, or of another profile, is kept: it is moved aside to
    ``<name>.<hash of both>.json``, and comes back when they do.

    Parameters
    ----------
    spec, jobs, parameters
        As for `plan.plan`, and what it returned.

    Raises
    ------
    SettingsError
        If the file at its place is no record.
    """
    path = record_path(spec)
    record, name = read_record(path), _identity(study_of(spec, parameters))
    if record and (held := _identity(record)) != name:
        aside = path.with_suffix(f".{held}.json")
        path.rename(aside)
        print(f"{path} recorded other settings or data: kept as {aside.name}")
        record = read_record(path.with_suffix(f".{name}.json"))
    write_json(path, summarise(spec, jobs, parameters, record))
    return path


def _identity(study):
    """Hash of a study's settings and data; a setting that a record lacks had its default."""
    settings = dataclasses.asdict(Settings()) | study["settings"]
    about = [settings, study.get("dataset_fingerprint")]
    return digest(json.loads(json.dumps(about)))[:8]
