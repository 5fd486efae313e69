"""``python -m fgcl_utils.train``: the run that the notebook then loads, and made again."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from safetensors.numpy import load_file, save_file
from tiny_runs import SMALL, make_project

from fgcl_utils import runs, train, training
from fgcl_utils.settings import Settings, load_dataset
from fgcl_utils.training import reproduction
from fgcl_utils.training.failures import RunFailed, RunStopped

ROOT = Path(__file__).resolve().parents[1]
# Without batch norm, whose statistics are those of all processes on GPUs only.
TINY = SMALL | {"epochs": 1, "model_name": "test_vit"}


@pytest.fixture
def root(tmp_path, monkeypatch):
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(TINY))
    monkeypatch.chdir(tmp_path)
    torch.set_num_threads(1)
    return make_project(tmp_path)


def command(*arguments):
    train.main(["--profile", "tiny.yaml", *arguments])


def exit_of(*arguments):
    with pytest.raises(SystemExit) as told:
        train.main(list(arguments))
    return told.value.code


def test_the_notebook_loads_what_the_command_made(root, monkeypatch, capsys):
    command("--method", "supcon", "--seed", "3", "--set", "run_name=cli", "soft_weight=0.5")
    assert "test images are outliers on genus level" in capsys.readouterr().out
    monkeypatch.setattr(training.Trainer, "fit", lambda self: pytest.fail("trained again"))
    settings = Settings(**TINY, seed=3, run_name="cli")
    run = training.train(settings, "supcon", load_dataset(settings))
    assert run["config"]["settings"]["soft_weight"] == 0.5


def test_accelerate_launch_makes_the_same_run_with_two_processes(root):
    # --multi_gpu means several processes; without a GPU they are CPU processes.
    launch = "-m accelerate.commands.launch --multi_gpu --num_processes=2 --main_process_port=0"
    run = "-m fgcl_utils.train --profile=tiny.yaml --method=hcl --set run_name=both"
    launched = subprocess.run(
        [sys.executable, *launch.split(), *run.split()],
        env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert launched.returncode == 0, launched.stderr[-3000:]
    command("--method", "hcl", "--set", "run_name=alone")
    both, alone = (
        runs.load_run(Settings(**TINY, run_name=name), "hcl") for name in ("both", "alone")
    )
    np.testing.assert_allclose(
        both["history"]["train_loss"], alone["history"]["train_loss"], rtol=1e-4
    )
    # Sums were added up in another order, so there were two processes.
    assert not np.array_equal(both["embeddings"]["train"], alone["embeddings"]["train"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--method", "hcl", "--set", "epoch=3"], "Did you mean 'epochs'"),
        (["--method", "hcl", "--set", "epochs"], "write it as NAME=VALUE"),
        (["--method", "hcl", "--set", "epochs=many"], "expected a whole number"),
        (["--method", "hcl", "--profile", "no.yaml"], "no.yaml"),
        (["--reproduce", "runs/demo/hcl/seed-0"], "holds no finished run"),
    ],
)
def test_a_mistake_is_one_line(root, arguments, message):
    text = exit_of("--profile", "tiny.yaml", *arguments)
    assert text.startswith("error: ")
    assert message in text


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (RunStopped("stopped in epoch 2 of 3"), 130, "stopped in epoch 2 of 3"),
        (KeyboardInterrupt(), 130, "stopped"),
        (RunFailed("no space left"), "error: no space left", ""),
    ],
)
def test_how_a_run_ends_is_its_exit_code(root, monkeypatch, capsys, error, code, message):
    def ending(*_):
        raise error

    monkeypatch.setattr(training, "train", ending)
    assert exit_of("--profile", "tiny.yaml", "--method", "ce") == code
    assert message in capsys.readouterr().err


def test_a_run_made_again_is_the_same_and_leaves_nothing(root, capsys):
    command("--method", "ce")
    folder = runs.run_folder(Settings(**TINY), "ce")
    before = sorted((root / "runs").rglob("*"))
    assert exit_of("--reproduce", str(folder)) == 0
    shown = capsys.readouterr().out
    for part in ("metrics", "weights", "embeddings"):
        assert f"{part}: identical" in shown
    assert sorted((root / "runs").rglob("*")) == before

    changed = shutil.copytree(folder, root / "changed")
    weights = load_file(changed / "checkpoint.safetensors")
    weights["model.classifier.bias"] = weights["model.classifier.bias"] + 0.5
    save_file(weights, changed / "checkpoint.safetensors")
    for name, change in {
        "metrics.json": {"genus_outliers": -1, "seconds": 1e9},
        "config.json": {"provenance": {"threads": 64, "versions": {"torch": "1.0"}}},
    }.items():
        values = json.loads((changed / name).read_text())
        (changed / name).write_text(json.dumps(values | change))
    same, lines = reproduction.compare(changed, folder)
    told = "\n".join(lines)
    assert not same
    assert "metrics: 1 of" in told
    assert "genus_outliers -1 →" in told
    assert "model.classifier.bias by up to 0.5" in told
    assert "made with another threads: 64 → 1" in told
    assert "another versions.torch: 1.0 →" in told
