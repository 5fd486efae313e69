"""From jobs to finished runs."""

import dataclasses
import os
import queue
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor, as_completed

import yaml
from tqdm import tqdm

from fgcl_utils.files import project_root, read_json
from fgcl_utils.settings import NOTEBOOKS
from fgcl_utils.study.plan import described
from fgcl_utils.study.watching import shown


def run_all(jobs, parallel=None):
    """Execute the notebooks of the jobs that are not finished, some at a time.

    A run that fails does not stop the others. Each process gets its share of the cores, and a GPU
    of its own where there are several.

    Returns
    -------
    list of (Job, str)
        What failed, with the end of its error message.
    """
    todo = [job for job in jobs if not job.is_finished]
    gpus = _gpus()
    parallel = parallel or gpus or min(os.cpu_count(), 4)
    print(f"{len(jobs)} runs, {len(jobs) - len(todo)} of them finished; {parallel} at a time")
    slots, failed = queue.SimpleQueue(), []
    for slot in range(parallel):
        slots.put(slot)

    def run(job):
        slot = slots.get()
        try:
            return job, _execute(job, slot, parallel, gpus)
        finally:
            slots.put(slot)

    pool = ThreadPoolExecutor(parallel)
    try:
        with shown(todo):
            for done in as_completed([pool.submit(run, job) for job in todo]):
                job, error = done.result()
                tqdm.write(f"{described(job)}: {error or _outcome(job)}")
                if error:
                    failed.append((job, error))
    finally:
        pool.shutdown(cancel_futures=True)  # after Ctrl-C no further run is started
    return failed


def _execute(job, slot, parallel, gpus):
    """Run the job's notebook; None, or the end of its error message."""
    name = NOTEBOOKS[job.method]
    root = project_root()
    output = root / "executed" / job.settings.run_name / f"{name}.seed-{job.settings.seed}.ipynb"
    output.parent.mkdir(parents=True, exist_ok=True)
    environment = os.environ | {"JUPYTER_PREFER_ENV_PATH": "1"}
    environment["OMP_NUM_THREADS"] = str(max(1, os.cpu_count() // parallel))
    if gpus > 1:
        environment["CUDA_VISIBLE_DEVICES"] = str(slot % gpus)
    parameters = yaml.safe_dump(dataclasses.asdict(job.settings))
    command = [sys.executable, "-m", "papermill", "--kernel", "python3", "--log-level", "ERROR"]
    command += ["--no-progress-bar", f"notebooks/{name}.ipynb", str(output), "-y", parameters]
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True)
    return None if done.returncode == 0 else done.stderr.strip()[-1000:] or "it was killed"


def _gpus():
    import torch  # not at the top: a plan needs no torch

    return torch.cuda.device_count()


def _outcome(job):
    values = read_json(job.folder / "metrics.json")
    outliers, n, accuracy = (values[k] for k in ("genus_outliers", "n_test", "species_accuracy"))
    return f"{outliers} outliers of {n}, species accuracy {accuracy:.1%}"
