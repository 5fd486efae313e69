"""Make a finished run again from its config.json, and say what came out equal."""

import dataclasses
import os
import tempfile
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import load_file

from fgcl_utils import runs
from fgcl_utils.files import home_dir, read_json, read_npz
from fgcl_utils.settings import Settings, SettingsError, load_dataset
from fgcl_utils.training.loop import train

TIMES = {"seconds"}
N_SHOWN = 5


def reproduce(folder):
    """Train the run of `folder` once more, in a folder that is removed afterwards, and compare.

    On a CPU it takes as many threads as the run was made with, since their number decides the
    order in which sums are added up.

    Parameters
    ----------
    folder : path
        Of a finished run, ``runs/<run_name>/<method>/seed-<n>``; it is only read.

    Returns
    -------
    bool
        Whether the metrics are identical.

    Raises
    ------
    FileNotFoundError
        If the folder holds no finished run.
    SettingsError
        If the data is no longer what the run was made on, or several processes are started.
    """
    folder = Path(folder).resolve()
    if not runs.finished(folder):
        raise FileNotFoundError(f"{folder} holds no finished run: there is no metrics.json in it")
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise SettingsError("--reproduce takes one process; it uses all GPUs it sees by itself")
    settings, config = Settings.from_run(folder), read_json(folder / "config.json")
    dataset = load_dataset(settings)
    if dataset.fingerprint != config["dataset_fingerprint"]:
        raise SettingsError(
            f"{folder} was made on other data than {dataset.name} is now: bring back the data, or "
            "the version of this project that made the run"
        )
    made = config["provenance"]
    if made["device"] == "cpu":
        torch.set_num_threads(made["threads"])
    study = home_dir() / "runs"
    study.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="reproduce-", dir=study) as again:
        settings = dataclasses.replace(settings, run_name=Path(again).name)
        new = train(settings, config["method"], dataset)["folder"]
        same, lines = compare(folder, new)
    print("\n".join([f"{folder}, made again:", *lines]))
    return same


def compare(first, second):
    """Whether two finished runs have identical metrics, and lines that say what else differs.

    Metrics that only one of them has, because a later version measures more, do not count.
    """
    metrics = [_flat(read_json(folder / "metrics.json")) for folder in (first, second)]
    different = _differences(*metrics)
    lines = [_verdict("metrics", different, sum(name in metrics[1] for name in metrics[0]))]
    for part, read in {
        "weights": lambda folder: load_file(folder / "checkpoint.safetensors"),
        "embeddings": lambda folder: read_npz(folder / "embeddings.npz"),
    }.items():
        arrays = [read(folder) for folder in (first, second)]
        gaps = {
            name: f"by up to {_largest_gap(arrays[0][name], arrays[1][name]):.2g}"
            for name in arrays[0].keys() & arrays[1].keys()
            if not np.array_equal(arrays[0][name], arrays[1][name], equal_nan=True)
        }
        lines.append(_verdict(part, gaps, len(arrays[0])))
    made = [_flat(read_json(folder / "config.json")["provenance"]) for folder in (first, second)]
    lines += [
        f"  made with another {name}: {what}"
        for name, what in _differences(*made).items()
        if name != "date"
    ]
    return not different, lines


def _flat(values, prefix=""):
    """Nested mappings as one, with dotted names, without times."""
    flat = {}
    for name, value in values.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{name}.")
        elif name not in TIMES:
            flat[prefix + name] = value
    return flat


def _differences(first, second):
    return {
        name: f"{value} → {second[name]}"
        for name, value in first.items()
        if name in second and second[name] != value
    }


def _largest_gap(first, second):
    first, second = (np.asarray(array, dtype=np.float64) for array in (first, second))
    return abs(first - second).max() if first.shape == second.shape else np.inf


def _verdict(part, different, n):
    if not different:
        return f"  {part}: identical ({n})"
    shown = [f"{name} {what}" for name, what in sorted(different.items())[:N_SHOWN]]
    more = f", and {len(different) - N_SHOWN} more" if len(different) > N_SHOWN else ""
    return f"  {part}: {len(different)} of {n} differ: {', '.join(shown)}{more}"
