"""A run that is killed again and again, and started again by the same command.

    python benchmarks/crash.py

Each of several runs is killed (SIGKILL) at a random moment of the making of its image cache, of an
epoch, of a checkpoint's writing and of the evaluation, one after the other, and started again each
time. After each kill every file that has its name must be whole, each start must begin with the
epoch after the last one kept, and in the end weights, embeddings, history and metrics must be those
of a run that was left alone, to the bit. Prints a table, writes results/crash.json, and goes on to
benchmarks/crash_book.py, which does the like to `make book`.
"""

import argparse
import json
import multiprocessing
import os
import random
import signal
import sys
import tempfile
import time
from functools import wraps
from pathlib import Path

import crash_book
import numpy as np
import pandas as pd
import torch
from provenance import provenance
from safetensors import safe_open

from fgcl_utils import train, training
from fgcl_utils.datasets import ImageDataset
from fgcl_utils.files import read_json
from fgcl_utils.training import reproduction

ROOT = Path(__file__).parents[1]
EPOCHS = 4
SETTINGS = {
    "dials": "{n_species: 12, n_images: 300}",
    "image_size": 32,
    "model_name": "test_efficientnet",
    "projection_dim": 16,
    "batch_size": 32,
    "epochs": EPOCHS,
    "run_name": "crash",
}
COMMAND = ["--method", "hcl", "--set", *(f"{name}={value}" for name, value in SETTINGS.items())]
# What is killed, in the order in which a run comes to it.
PHASES = {
    "image cache": (ImageDataset, "images"),
    "epoch": (training.Trainer, "_train_epoch"),
    "checkpoint": (training.Trainer, "_save_epoch"),
    "evaluation": (training.Trainer, "finish"),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=20, help="at least so many in all")
    parser.add_argument("--seed", type=int, default=0, help="of the moments of the kills")
    parser.add_argument("--output", type=Path, default=ROOT / "results" / "crash.json")
    arguments = parser.parse_args()
    began, draw = time.perf_counter(), random.Random(arguments.seed)
    multiprocessing.set_start_method("forkserver")  # a fork per start spares each the imports
    multiprocessing.set_forkserver_preload(["fgcl_utils.train"])
    with tempfile.TemporaryDirectory() as place:
        alone = new_project(Path(place) / "alone")
        _, _, durations = start(alone)
        kills, identical, n_runs = [], 0, 0
        while len(kills) < arguments.kills:
            n_runs += 1
            project = new_project(Path(place) / str(n_runs))
            rows = [kill_in(phase, project, durations, draw) for phase in PHASES]
            kills += [row for row in rows if row]
            kept = epochs_kept(project)
            begun, _, _ = start(project)
            repeated = begun != list(range(kept + 1, EPOCHS + 1))
            left = "run" in half_written(project)
            identical += is_same(alone, project) and not repeated and not left
            print(f"run {n_runs}: {identical} of {n_runs} ended as the one left alone", flush=True)
    result = report(kills, identical, n_runs)
    result["provenance"] = provenance(
        began, ["torch", "accelerate", "safetensors"], seed=arguments.seed, settings=SETTINGS
    )
    print(json.dumps(result, indent=1))
    arguments.output.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n")
    failed = result["headline"]["survived"] < len(kills) or identical < n_runs
    sys.exit(crash_book.main([]) or failed)


def new_project(folder):
    (folder / "notebooks").mkdir(parents=True)
    (folder / "_config.yml").touch()
    (folder / "profiles").mkdir()
    (folder / "profiles" / "demo.yaml").touch()
    return folder


def kill_in(phase, project, durations, draw):
    """Start the run, kill it in the phase, and say what was found: a row of the table.

    None if it was not killed, because an earlier kill came so late that the phase was over.
    """
    kept = epochs_kept(project)
    # Not always the first epoch of a start, but there must be epochs left for the next phase.
    nth = draw.randint(1, max(1, EPOCHS - 1 - kept)) if phase in ("epoch", "checkpoint") else 1
    delay = draw.uniform(0, durations[phase])
    begun, died_in, seen = start(project, phase, nth, delay)
    for name, seconds in seen.items():  # a busy machine may have been slower before
        durations[name] = min(durations[name], seconds)
    if died_in is None:
        return None
    row = {
        "killed in": phase if died_in == phase else f"{died_in} (meant: {phase})",
        "ms after its start": round(1000 * delay, 1),
        "epochs kept before": kept,
        "epochs begun": ", ".join(map(str, begun)),
        "epochs kept after": epochs_kept(project),
        "half-written files in": ", ".join(half_written(project)),
        "no epoch repeated": begun in ([], list(range(kept + 1, kept + 1 + len(begun)))),
        "all files whole": all_whole(project),
    }
    print(row, flush=True)
    return row


def start(project, phase=None, nth=1, delay=0.0):
    """Start the run; with a phase, kill it `delay` s after that has begun for the `nth` time.

    Returns the numbers of the epochs it began, the phase it was killed in ("between" where it was
    in none, None where it ended by itself), and the seconds of the phases that ended.
    """
    receiver, sender = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.Process(target=announced_run, args=(project, sender))
    process.start()
    sender.close()
    epochs, since, durations, now = [], {}, {}, "between"
    try:
        while True:
            event, name, epoch = receiver.recv()
            if event == "end":
                durations[name], now = time.perf_counter() - since[name], "between"
                continue
            since[name], now = time.perf_counter(), name
            if name == "epoch":
                epochs.append(epoch)
            nth -= name == phase
            if name == phase and nth == 0:
                time.sleep(delay)
                process.kill()
    except EOFError:
        process.join()
    if process.exitcode not in (0, -signal.SIGKILL):
        raise RuntimeError(f"the run failed: {(project / 'log').read_text()[-2000:]}")
    return epochs, now if process.exitcode else None, durations


def announced_run(project, sender):
    """``python -m fgcl_utils.train`` in the project, announcing its phases to `sender`."""
    os.chdir(project)
    sys.stdout = sys.stderr = (project / "log").open("a")
    torch.set_num_threads(1)

    def announce(name, method):
        @wraps(method)
        def announced(*arguments):
            epoch = arguments[1] + 1 if name == "epoch" else None
            sender.send(("begin", name, epoch))
            result = method(*arguments)
            sender.send(("end", name, epoch))
            return result

        return announced

    for name, (owner, method) in PHASES.items():
        setattr(owner, method, announce(name, getattr(owner, method)))
    train.main(COMMAND)


# --- what is found ----------------------------------------------------------------------------


def run_folder(project):
    return project / "runs" / "crash" / "hcl" / "seed-0"


def epochs_kept(project):
    path = run_folder(project) / "checkpoint.safetensors"
    if not path.exists():
        return 0
    with safe_open(path, "np") as file:
        return int(file.metadata()["epochs_done"])


def half_written(project):
    """Where a killed process left files that never took their names.

    Those of the run are gone at the next start. Other runs may be making decoded images too: what
    looks half-made there is removed when nobody has written to it for a day.
    """
    places = {
        "run": run_folder(project).glob(".*.*"),
        "cache": project.glob(".cache/images/*.part*"),
    }
    return [name for name, files in places.items() if any(files)]


def all_whole(project):
    """Whether everything that has its name can be read to its end."""
    folder = run_folder(project)
    readers = {
        "config.json": read_json,
        "metrics.json": read_json,
        "history.csv": pd.read_csv,
        "checkpoint.safetensors": read_weights,
        "embeddings.npz": read_arrays,
    }
    paths = [(folder / name, read) for name, read in readers.items()]
    paths += [(path, np.load) for path in project.glob(".cache/images/*.npy")]
    try:
        for path, read in paths:
            if path.exists():
                read(path)
    except Exception as error:  # whatever a reader says of half a file
        print(f"{path}: {error!r}")
        return False
    return True


def read_arrays(path):
    with np.load(path, allow_pickle=False) as arrays:
        return dict(arrays)


def read_weights(path):
    with safe_open(path, "np") as file:
        return {name: file.get_tensor(name) for name in file.keys()}


def is_same(first, second):
    """Whether two runs are identical in all but times."""
    folders = [run_folder(project) for project in (first, second)]
    _, lines = reproduction.compare(*folders)
    histories = [pd.read_csv(folder / "history.csv").drop(columns="seconds") for folder in folders]
    print("\n".join(lines))
    return histories[0].equals(histories[1]) and all("identical" in line for line in lines)


def report(kills, identical, n_runs):
    columns = list(kills[0])
    return {
        "headline": {
            "kills": len(kills),
            "survived": sum(row["no epoch repeated"] and row["all files whole"] for row in kills),
            "left_half_written_files_in_the_run": sum(
                "run" in row["half-written files in"] for row in kills
            ),
            "runs": n_runs,
            "runs_identical_to_the_bit": identical,
        },
        "tables": {
            "kills": {
                "caption": "A run killed at random moments, and what the next start found",
                "columns": columns,
                "rows": [[row[name] for name in columns] for row in kills],
            }
        },
    }


if __name__ == "__main__":
    main()
