"""A run in several processes is the run of one."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from tiny_runs import SMALL, make_project, traced_run, train_in_two_processes

from fgcl_utils import runs, training
from fgcl_utils.settings import Settings, SettingsError
from fgcl_utils.training import processes

ROOT = Path(__file__).resolve().parents[1]
# An odd batch, so that the two shares of it differ in size; and no batch norm, whose statistics
# are those of all processes on GPUs only.
ODD = SMALL | {"batch_size": 27, "model_name": "test_vit"}


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.set_num_threads(1)
    return make_project(tmp_path)


@pytest.mark.parametrize("method", ["ce", "hcl"])
def test_two_processes_give_the_losses_and_gradients_of_one(root, method):
    alone = Settings(**ODD, run_name="alone")
    norms = traced_run(ODD | {"run_name": "alone"}, method)
    both = train_in_two_processes(root, ODD | {"run_name": "both"}, method)
    one = runs.load_run(alone, method)
    two = runs.load_run(Settings(**ODD, run_name="both"), method)
    # adamw divides gradients by their size: rounding grows where they are nearly zero.
    np.testing.assert_allclose(both, norms, rtol=1e-2)
    np.testing.assert_allclose(both[0], norms[0], rtol=1e-4)
    np.testing.assert_allclose(
        two["history"]["train_loss"], one["history"]["train_loss"], rtol=1e-4
    )
    for name, rows in one["embeddings"].items():
        assert two["embeddings"][name].shape == rows.shape
    np.testing.assert_array_equal(two["embeddings"]["test_index"], one["embeddings"]["test_index"])


def test_one_process_goes_on_with_what_two_began(root):
    values = ODD | {"run_name": "both"}
    train_in_two_processes(root, values, "supcon", stop_before_epoch=2)
    folder = runs.run_folder(Settings(**values), "supcon")
    began = load_file(folder / "checkpoint.safetensors")
    assert not any("module." in name for name in began)
    traced_run(values, "supcon")
    traced_run(ODD | {"run_name": "alone"}, "supcon")
    resumed, whole = (
        runs.load_run(Settings(**(ODD | {"run_name": name})), "supcon")["history"]["train_loss"]
        for name in ("both", "alone")
    )
    np.testing.assert_allclose(resumed, whole, rtol=1e-4)


def test_a_batch_too_small_for_its_processes_is_refused(root, monkeypatch):
    settings = Settings(**(SMALL | {"batch_size": 8}))
    accelerator = processes.make_accelerator("auto")
    monkeypatch.setattr(type(accelerator), "num_processes", 2)
    with pytest.raises(SettingsError, match="batch_size=8 is divided among 2 processes"):
        training.Trainer(settings, "ce", None, root, accelerator, None)


def test_shares_of_all_processes_in_their_order_make_the_whole():
    class Two:
        num_processes = 2

    indices = np.array([3, 5, 8, 9, 11])
    shares = []
    for rank in range(2):
        Two.process_index = rank
        shares.append(processes.share_of(indices, Two))
    assert len(shares[0]) == len(shares[1])
    np.testing.assert_array_equal(np.concatenate(shares)[: len(indices)], indices)


NOTEBOOK = """
import accelerate, torch
from fgcl_utils import training
from fgcl_utils.settings import Settings, load_dataset
from fgcl_utils.training import processes

a = torch.randn(1000, 1000)
(a @ a).exp().sum()  # by several threads, which a fork does not take along
torch.cuda.device_count = lambda: 2


def launcher(function, arguments, num_processes):
    torch.cuda.device_count = lambda: 0  # CPU processes take the GPUs' place
    accelerate.debug_launcher(function, arguments, num_processes)


processes.notebook_launcher = launcher
settings = Settings(**{values!r})
run = training.train(settings, "hcl", load_dataset(settings))
assert run["metrics"]["n_test"] and run["config"]["provenance"]["processes"] == 2
"""


def test_a_notebook_that_has_used_threads_trains_in_forked_processes(root):
    code = NOTEBOOK.replace("{values!r}", repr(ODD | {"run_name": "both"}))
    environment = os.environ | {"OMP_NUM_THREADS": "2", "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True, timeout=300)
    traced_run(ODD | {"run_name": "alone"}, "hcl")
    both, alone = (
        runs.load_run(Settings(**ODD, run_name=name), "hcl")["history"]["train_loss"]
        for name in ("both", "alone")
    )
    np.testing.assert_allclose(both, alone, rtol=1e-4)


@pytest.mark.parametrize(
    ("n_gpus", "in_use", "launched"),
    [(0, False, None), (1, False, None), (4, False, 4), (4, True, None)],
)
def test_a_notebook_takes_every_gpu_unless_cuda_is_in_use(
    monkeypatch, capsys, n_gpus, in_use, launched
):
    calls = []

    def launcher(function, arguments, num_processes):
        calls.append(num_processes)
        return function(*arguments)

    monkeypatch.delenv("LOCAL_RANK", raising=False)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: n_gpus)
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: in_use)
    monkeypatch.setattr(processes, "notebook_launcher", launcher)
    assert processes.on_every_gpu(lambda a, b: a + b, 1, 2) == 3
    assert calls == ([launched] if launched else [])
    assert ("one of 4 GPUs" in capsys.readouterr().out) == in_use
    monkeypatch.setenv("LOCAL_RANK", "0")  # accelerate launch did it already
    assert processes.on_every_gpu(lambda: 5) == 5
    assert len(calls) <= 1
