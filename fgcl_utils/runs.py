"""Run folders: where the answer to a question lies.

::

    runs/<run_name>/dataset.json
    runs/<run_name>/<method>/seed-<n>/  config.json history.csv metrics.json
                                        embeddings.npz checkpoint.safetensors
    runs/<run_name>/evaluation.json
"""

import dataclasses
from pathlib import Path

import pandas as pd

from fgcl_utils.files import digest, home_dir, read_json, read_npz, readable, write_json
from fgcl_utils.provenance import provenance
from fgcl_utils.settings import METHODS, NOTEBOOKS, Settings, SettingsError


def study_folder(settings):
    """``runs/<run_name>``."""
    return home_dir() / "runs" / settings.run_name


def run_folder(settings, method):
    """``runs/<run_name>/<method>/seed-<n>``."""
    if method not in METHODS:
        raise ValueError(f"method={method!r} is unknown: choose from {', '.join(METHODS)}")
    return study_folder(settings) / method / f"seed-{settings.seed}"


def open_run(settings, method, dataset):
    """Folder for this run, with config.json written; it may hold a finished or interrupted run.

    A folder that holds a run with other settings is kept: it is moved aside to
    ``seed-<n>.<hash of its settings>``, and comes back when those settings do.

    Raises
    ------
    SettingsError
        If ``runs/<run_name>`` holds runs on another data set.
    """
    _claim_study(settings, dataset)
    folder = run_folder(settings, method)
    identity = settings.identity(method)
    if (folder / "config.json").exists():
        held = Settings.from_run(folder).identity(method)
        if held == identity:
            if not finished(folder):  # what resumes it is what it is made with
                _write_config(folder, settings, method, dataset)
            return folder
        aside = folder.with_name(f"{folder.name}.{digest(held)[:8]}")
        folder.rename(aside)
        print(f"{folder} held a run with other settings: kept as {aside.name}")
        earlier = folder.with_name(f"{folder.name}.{digest(identity)[:8]}")
        if earlier.exists():
            earlier.rename(folder)
            return folder
    _write_config(folder, settings, method, dataset)
    return folder


def _write_config(folder, settings, method, dataset):
    config = {
        "method": method,
        "settings": dataclasses.asdict(settings),
        "dataset_fingerprint": dataset.fingerprint,
        "provenance": provenance(),
    }
    write_json(folder / "config.json", config)


def _claim_study(settings, dataset):
    """Write ``dataset.json``, or check that the study's runs are on this very data set."""
    path = study_folder(settings) / "dataset.json"
    if path.exists():
        held = read_json(path)
        if held["fingerprint"] != dataset.fingerprint:
            raise SettingsError(
                f"{path} describes another data set ({held['name']}, {held['n_images']}) than "
                f"{dataset.name} as it is now: choose another run_name, or delete {path.parent} "
                "if its runs are no longer wanted"
            )
    else:
        write_json(path, dataset.summary())


def finished(folder):
    """Whether a run folder holds a whole run: metrics.json is written last."""
    return (Path(folder) / "metrics.json").exists()


def is_made(settings, method):
    """Whether the run folder holds this very run, finished, and not one with other settings."""
    folder = run_folder(settings, method)
    if not finished(folder):
        return False
    return Settings.from_run(folder).identity(method) == settings.identity(method)


def load_run(settings, method):
    """A finished run, as a dict: folder, config, history, metrics and embeddings.

    Raises
    ------
    FileNotFoundError
        If the run is missing, with the command that makes it.
    """
    folder = run_folder(settings, method)
    if not finished(folder):
        raise FileNotFoundError(_missing(settings, [method]))
    with readable(folder / "history.csv"):
        history = pd.read_csv(folder / "history.csv")
    return {
        "folder": folder,
        "config": read_json(folder / "config.json"),
        "history": history,
        "metrics": read_json(folder / "metrics.json"),
        "embeddings": read_npz(folder / "embeddings.npz"),
    }


def load_study(settings, dataset):
    """The finished runs of all methods on `dataset`, a dict from method to `load_run`'s dict.

    Raises
    ------
    FileNotFoundError
        If runs are missing: all of them are named, each with the command that makes it.
    SettingsError
        If a run was made on other data.
    """
    missing = [method for method in METHODS if not finished(run_folder(settings, method))]
    if missing:
        raise FileNotFoundError(_missing(settings, missing))
    loaded = {method: load_run(settings, method) for method in METHODS}
    for method, run in loaded.items():
        if run["config"]["dataset_fingerprint"] != dataset.fingerprint:
            raise SettingsError(
                f"{run['folder']} was trained on other data than {dataset.name} as it is now: give "
                f"the {method} notebook's dataset, data_root and dials, or another run_name"
            )
    return loaded


def load_seeds(settings, dataset):
    """Every finished seed of the study, a dict from method to a list of `load_run`'s dicts.

    A run counts if its settings are `settings` in all but the seed and it was made on `dataset`;
    the lists are ordered by seed, and empty where nothing is finished.
    """
    loaded = {}
    for method in METHODS:
        seeds = []
        for folder in run_folder(settings, method).parent.glob("seed-*"):
            if folder.suffix:  # kept aside for other settings
                continue
            seed = int(folder.name.removeprefix("seed-"))
            one = dataclasses.replace(settings, seed=seed)
            if is_made(one, method):
                run = load_run(one, method)
                if run["config"]["dataset_fingerprint"] == dataset.fingerprint:
                    seeds.append((seed, run))
        loaded[method] = [run for _, run in sorted(seeds, key=lambda pair: pair[0])]
    return loaded


def settings_table(loaded):
    """Settings of several runs side by side, a column each; only those that differ."""
    table = pd.DataFrame({method: run["config"]["settings"] for method, run in loaded.items()})
    return table[table.astype(str).nunique(axis=1) > 1]


def _missing(settings, methods):
    lines = [f"runs/{settings.run_name} lacks finished runs. Make them with:"]
    for method in methods:
        name = NOTEBOOKS[method]
        lines.append(
            f"  papermill notebooks/{name}.ipynb executed/{name}.ipynb"
            f" -p run_name {settings.run_name} -p seed {settings.seed}"
        )
    return "\n".join(
        [*lines, "and the other parameters (-f profiles/..., -p ...) that you use here"]
    )
