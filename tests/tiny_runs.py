"""Runs of seconds for the tests of training, and processes of their own to make them in."""

import json
import multiprocessing
import os
import socket

import torch

from fgcl_utils import training
from fgcl_utils.settings import Settings, load_dataset
from fgcl_utils.training import loop

SMALL = {
    "dials": {"n_species": 12, "n_images": 168},
    "image_size": 32,
    "model_name": "test_efficientnet",
    "epochs": 2,
    "batch_size": 32,
    "projection_dim": 16,
}


def make_project(folder):
    """An empty project, as `project_root` finds it."""
    (folder / "_config.yml").touch()
    (folder / "notebooks").mkdir()
    return folder


def make_runs(made):
    """Train every pair of a run's settings and its method, in the current project."""
    for values, method in made:
        settings = Settings(**values)
        training.train(settings, method, load_dataset(settings))


def start(target, *arguments):
    """A process of its own for `target`, with torch and timm imported already."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["fgcl_utils.training"])
    process = context.Process(target=target, args=arguments)
    process.start()
    return process


def train_in_two_processes(project, values, method, stop_before_epoch=None):
    """Make a run in two CPU processes; what `traced_run` saw, from the first of them."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    arguments = (project, values, method, stop_before_epoch, port)
    processes = [start(_train_rank, rank, *arguments) for rank in range(2)]
    for process in processes:
        process.join(300)
        assert process.exitcode == 0
    return json.loads((project / "trace.json").read_text())


def _train_rank(rank, project, values, method, stop_before_epoch, port):
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2"}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    torch.set_num_threads(1)
    os.chdir(project)
    trace = traced_run(values, method, stop_before_epoch)
    if rank == 0:
        (project / "trace.json").write_text(json.dumps(trace))


def traced_run(values, method, stop_before_epoch=None):
    """Make a run; the norms of its gradients, step by step."""
    norms = []

    class Traced(training.Trainer):
        def __init__(self, *arguments):
            super().__init__(*arguments)
            clip = self.accelerator.clip_grad_norm_
            self.accelerator.clip_grad_norm_ = lambda *a: norms.append(clip(*a).item())

        def _train_epoch(self, epoch, bar):
            if epoch + 1 == stop_before_epoch:
                raise KeyboardInterrupt
            return super()._train_epoch(epoch, bar)

    plain, loop.Trainer = loop.Trainer, Traced
    try:
        settings = Settings(**values)
        training.train(settings, method, load_dataset(settings))
    except KeyboardInterrupt:
        assert stop_before_epoch
    finally:
        loop.Trainer = plain
    return norms
