"""A run that is killed at its worst moments goes on as if nothing had happened.

`benchmarks/crash.py` does the same twenty times at random moments.
"""

import os
import signal

import numpy as np
import pandas as pd
import pytest
import safetensors.torch
import torch
from safetensors.torch import load_file
from tiny_runs import SMALL, make_project, start

from fgcl_utils import runs, training
from fgcl_utils.settings import Settings, load_dataset
from fgcl_utils.training import reproduction

SETTINGS = Settings(**(SMALL | {"epochs": 3}))


def train_and_die(project, moment):
    """Start the run and be killed in the second epoch, or half-way through writing a file."""
    os.chdir(project)
    torch.set_num_threads(1)
    step, save, savez = training.Trainer._step, safetensors.torch.save_file, np.savez
    done = []

    def die():
        os.kill(os.getpid(), signal.SIGKILL)

    def step_or_die(self, *arguments):
        done.append(1)
        if moment == "epoch" and len(done) == len(self.sampler) + 2:
            die()
        return step(self, *arguments)

    def save_or_die(tensors, path, metadata):
        save(tensors, path, metadata)
        if moment == "checkpoint" and metadata["epochs_done"] == "2":
            cut_in_half(path)
            die()

    def savez_or_die(out, **arrays):
        savez(out, **arrays)
        if moment == "evaluation":
            out.flush()
            cut_in_half(out.name)
            die()

    training.Trainer._step = step_or_die
    safetensors.torch.save_file, np.savez = save_or_die, savez_or_die
    training.train(SETTINGS, "hcl", load_dataset(SETTINGS))


def cut_in_half(path):
    os.truncate(path, os.path.getsize(path) // 2)


def finish(project, seen):
    """Start the run and let it end; `seen` collects the epochs that were trained."""
    train_epoch = training.Trainer._train_epoch

    def noted(self, epoch, bar):
        with (project / seen).open("a") as file:
            print(epoch + 1, file=file)
        return train_epoch(self, epoch, bar)

    training.Trainer._train_epoch = noted
    train_and_die(project, None)


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """The folder of a run that was left alone."""
    project = make_project(tmp_path_factory.mktemp("alone"))
    return ended(finish, project, "seen", code=0)


def ended(target, project, argument, code):
    process = start(target, project, argument)
    process.join(300)
    assert process.exitcode == code
    return project / "runs" / "demo" / "hcl" / "seed-0"


@pytest.mark.parametrize(
    ("moment", "epochs_left"), [("epoch", [2, 3]), ("checkpoint", [2, 3]), ("evaluation", [])]
)
def test_a_killed_run_ends_bit_identical(alone, tmp_path, moment, epochs_left):
    project = make_project(tmp_path)
    folder = ended(train_and_die, project, moment, code=-signal.SIGKILL)
    assert not runs.finished(folder)
    kept = load_file(folder / "checkpoint.safetensors")  # whole, whatever was being written
    assert kept.keys() >= load_file(alone / "checkpoint.safetensors").keys()
    left = [path.name.rsplit(".", 1)[0] for path in folder.glob(".*.*")]
    assert left == {
        "checkpoint": [".checkpoint.safetensors"],
        "evaluation": [".embeddings.npz"],
    }.get(moment, [])

    ended(finish, project, "seen", code=0)
    seen = project / "seen"
    assert (seen.read_text().split() if seen.exists() else []) == [str(e) for e in epochs_left]
    assert not list(folder.glob(".*.*"))
    same, lines = reproduction.compare(alone, folder)
    assert same, lines
    assert all("identical" in line for line in lines), lines
    histories = [
        pd.read_csv(run / "history.csv").drop(columns="seconds") for run in (alone, folder)
    ]
    pd.testing.assert_frame_equal(*histories, check_exact=True)
