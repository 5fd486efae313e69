"""From jobs to finished runs."""

import dataclasses
import json
import os
import queue
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor, as_completed

from tqdm import tqdm

from fgcl_utils import runs
from fgcl_utils.files import project_root, read_json
from fgcl_utils.study.plan import described
from fgcl_utils.study.watching import shown


def run_all(jobs, parallel=None):
    """Make the runs of the jobs that are not finished, some at a time.

    A run that fails does not stop the others. Each process gets its share of the cores, unless
    OMP_NUM_THREADS says how many, and a GPU of its own where there are several.

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
    """Make the job's run in a process of its own; None, or the end of its error message."""
    environment = {"OMP_NUM_THREADS": str(max(1, os.cpu_count() // parallel))} | os.environ
    if gpus > 1:
        environment["CUDA_VISIBLE_DEVICES"] = str(slot % gpus)
    values = dataclasses.asdict(job.settings).items()
    command = [sys.executable, "-m", "fgcl_utils.train", "--method", job.method, "--set"]
    command += [f"{name}={json.dumps(value)}" for name, value in values]  # which YAML reads, too
    done = subprocess.run(
        command, cwd=project_root(), env=environment, capture_output=True, text=True
    )
    return None if done.returncode == 0 else done.stderr.strip()[-1000:] or "it was killed"


def _gpus():
    import torch  # not at the top: a plan needs no torch

    return torch.cuda.device_count()


def _outcome(job):
    return runs.in_words(read_json(job.folder / "metrics.json"), job.settings.levels)
