"""Run folders: where the answer to a question lies.

::

    runs/<run_name>/dataset.json
    runs/<run_name>/<method>/seed-<n>/  config.json history.csv metrics.json
                                        embeddings.npz checkpoint.safetensors
    runs/<run_name>/evaluation.json
"""

import dataclasses
import itertools
from pathlib import Path

import pandas as pd

from fgcl_utils import metrics
from fgcl_utils.datasets import SPLITS
from fgcl_utils.files import digest, home_dir, read_json, read_npz, readable, write_json
from fgcl_utils.methods import METHODS
from fgcl_utils.provenance import provenance
from fgcl_utils.settings import Settings, SettingsError

# The paper's methods; and those that the notebooks train, which a study needs at least.
PAPER = ("ce", "supcon", "hcl")
NEEDED = (*PAPER, "hcl_blocks")


def study_folder(settings):
    """``runs/<run_name>``."""
    return home_dir() / "runs" / settings.run_name


def run_folder(settings, method):
    """``runs/<run_name>/<method>/seed-<n>``."""
    settings.check_method(method)
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
        _check_contents(dataset, held, path)
    else:
        write_json(path, dataset.summary())


def _check_contents(dataset, held, path):
    """Refuse photos that were replaced by others of the same names and sizes."""
    if replaced := dataset.replaced_since(held):
        shown = ", ".join(replaced[:5]) + (", …" if len(replaced) > 5 else "")
        raise SettingsError(
            f"since {path} was written, photos of {len(replaced)} classes have been replaced by "
            f"others of the same names and sizes ({shown}): choose another run_name, or delete "
            f"{path.parent} if its runs are no longer wanted"
        )


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
        "embeddings": load_embeddings(folder),
    }


def load_embeddings(folder, shares=None):
    """The arrays of a finished run's embeddings.npz, a dict.

    Of level blocks, which are stored with equal shares, `shares` says what each level counts for in
    the embedding; by default those that were chosen on validation images.
    """
    arrays = read_npz(folder / "embeddings.npz")
    if "block_dims" in arrays:
        shares = read_json(folder / "metrics.json")["shares"] if shares is None else shares
        for split in arrays.keys() & {*SPLITS}:
            arrays[split] = metrics.at_shares(arrays[split], arrays["block_dims"], shares)
    return arrays


def methods_of(settings):
    """The methods that the number of levels allows, those that a study needs first.

    Returns
    -------
    needed, others : lists of str
    """
    n_levels = len(settings.levels)
    allowed = [m for m, method in METHODS.items() if n_levels > 1 or not method.needs_levels]
    return [m for m in allowed if m in NEEDED], [m for m in allowed if m not in NEEDED]


def load_study(settings, dataset):
    """The finished runs on `dataset`, a dict from method to `load_run`'s dict.

    Raises
    ------
    FileNotFoundError
        If a run that the notebooks make is missing: all such are named, each with the command
        that makes it. Other methods are left out where they have no run.
    SettingsError
        If a run was made on other data.
    """
    needed, others = methods_of(settings)
    missing = [method for method in needed if not finished(run_folder(settings, method))]
    if missing:
        raise FileNotFoundError(_missing(settings, missing))
    about = study_folder(settings) / "dataset.json"
    if about.exists():
        _check_contents(dataset, read_json(about), about)
    found = [*needed, *(m for m in others if is_made(settings, m))]
    loaded = {method: load_run(settings, method) for method in METHODS if method in found}
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
    for method in itertools.chain(*methods_of(settings)):
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


def in_words(measures, levels):
    """What metrics.json says of a run, in one line."""
    parts = []
    for level in levels[1:2]:
        outliers, n = measures[f"{level}_outliers"], measures["n_test"]
        rate, ends = measures[f"{level}_outlier_rate"], measures[f"{level}_outlier_rate_interval"]
        parts.append(
            f"{outliers} of {n:,} test images are outliers on {level} level ({100 * rate:.1f} %, "
            f"95 % interval {100 * ends[0]:.1f} to {100 * ends[1]:.1f} %)"
        )
    accuracy = 100 * measures[f"{levels[0]}_accuracy"]
    return ", ".join([*parts, f"{levels[0]} accuracy {accuracy:.1f} %"])


def settings_table(loaded):
    """Settings of several runs side by side, a column each; only those that differ."""
    table = pd.DataFrame({method: run["config"]["settings"] for method, run in loaded.items()})
    return table[table.astype(str).nunique(axis=1) > 1]


def _missing(settings, methods):
    lines = [f"runs/{settings.run_name} lacks finished runs. Make them with:"]
    for method in methods:
        name = METHODS[method].notebook
        if name:
            command = f"papermill notebooks/{name}.ipynb executed/{name}.ipynb -p run_name"
            command += f" {settings.run_name} -p seed {settings.seed}"
        else:
            command = f"python -m fgcl_utils.train --method {method} --seed {settings.seed} --set"
            command += f" run_name={settings.run_name}"
        lines.append("  " + command)
    lines = list(dict.fromkeys(lines))  # one notebook may make several
    return "\n".join(
        [*lines, "and the other parameters (-f profiles/..., -p ...) that you use here"]
    )
