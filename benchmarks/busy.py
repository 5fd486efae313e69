"""What other processes cost, by the number of threads and by how they wait for each other.

    python benchmarks/busy.py

OpenMP's threads spin while they wait for each other. On a quiet machine that saves a waking; beside
another process the one that spins holds the core that the one it waits for needs. Measured are an
epoch of the demo, the loss, the rendering of photos, and the explorer from embeddings to its file,
beside 0, 1 and 2 processes that do nothing but compute. Their fair share is what the work takes of
one thread on a quiet machine, divided by the cores that are left to each of those that want one.

Prints tables and writes results/busy.json. It needs a machine that is quiet otherwise.
"""

import argparse
import contextlib
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from provenance import provenance

from fgcl_utils import SPINS as CHOSEN

ROOT = Path(__file__).parents[1]
CORES = os.cpu_count()
BUSY = (0, 1, 2)
SECONDS = 3.0  # for each measurement, or two calls
SPINS = (1_000, CHOSEN, 10_000, 30_000)
ONE_THREAD, USUAL = "1 thread", f"{CORES} threads, as libgomp has it"
OURS = f"{CORES} threads, {CHOSEN:,} spins"
WAYS = {
    ONE_THREAD: {"OMP_NUM_THREADS": "1"},
    USUAL: {"GOMP_SPINCOUNT": "300000"},
    **{f"{CORES} threads, {n:,} spins": {"GOMP_SPINCOUNT": str(n)} for n in sorted(SPINS)},
    f"{CORES} threads, passive": {"OMP_WAIT_POLICY": "passive"},
}
TASKS = {
    "epoch": "A short epoch with the demo's network and batches",
    "loss": "HCL of 512 projections, forward and backward",
    "render": "Rendering 128 photos at 64 px",
    "explorer": "The explorer of 200 photos under two methods, with its map",
}
POOLS = [(1, 1), (1, CORES), (CORES, 1), (CORES, CORES), (2 * CORES, 1)]  # threads, torch's in each
RUN = {"dials": {"n_species": 12, "n_images": 500}, "epochs": 2}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=ROOT / "results" / "busy.json")
    parser.add_argument("--measure", action="store_true", help="what a process of its own does")
    arguments = parser.parse_args()
    if arguments.measure:
        return measure()
    began, load = time.perf_counter(), os.getloadavg()[0]
    measured = {way: in_fresh_process(settings) for way, settings in WAYS.items()}
    result = report(measured)
    result["provenance"] = provenance(
        began, ["torch", "numpy", "scikit-learn"], load_average={"before": load}, cores=CORES
    )
    for table in result["tables"].values():
        print(f"\n{table['caption']}\n" + " | ".join(table["columns"]))
        for row in table["rows"]:
            print(" | ".join(f"{x:,.3g}" if isinstance(x, float) else str(x) for x in row))
    print(json.dumps({key: result[key] for key in ("headline", "provenance")}, indent=1))
    arguments.output.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def in_fresh_process(settings):
    """{task: [[wall, CPU seconds] beside 0, 1, 2 processes]}: libgomp reads its settings once."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("OMP_", "GOMP_"))}
    command = [sys.executable, __file__, "--measure"]
    done = subprocess.run(command, env=kept | settings, stdout=subprocess.PIPE, check=True)
    line = done.stdout.decode().splitlines()[-1]
    print(settings, line, flush=True)
    return json.loads(line)


def measure():
    """Print what `in_fresh_process` returns."""
    tasks = prepared()
    measured = {name: [] for name in tasks}
    for n in BUSY:
        with busy_processes(n):
            for name, task in tasks.items():
                measured[name].append(task())
    print(json.dumps(measured))


@contextlib.contextmanager
def busy_processes(n):
    others = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(n)]
    try:
        yield
    finally:
        for process in others:
            process.kill()
            process.wait()


def prepared():
    """{task: function that returns its [wall, CPU seconds]}, each called once already."""
    place = tempfile.TemporaryDirectory()
    os.environ["FGCL_HOME"] = place.name
    from fgcl_utils.datasets import synthetic

    dials, render = synthetic.Dials(), synthetic.render
    tasks = {
        "epoch": epochs_of_a_run(place),
        "loss": timed(one_loss()),
        "render": timed(lambda: render(dials, range(128), 64)),
        "explorer": timed(one_explorer(render(dials, range(200), 224), Path(place.name))),
    }
    if os.environ.get("GOMP_SPINCOUNT") == str(CHOSEN) and "OMP_NUM_THREADS" not in os.environ:
        for pool, each in POOLS:
            tasks[f"pool {pool} {each}"] = timed(in_a_pool(pool, each, synthetic, dials))
    for task in tasks.values():
        task()
    return tasks


def timed(call):
    def task():
        walls, cpus = [], []
        while len(walls) < 2 or sum(walls) < SECONDS:
            wall, cpu = time.perf_counter(), time.process_time()
            call()
            walls.append(time.perf_counter() - wall)
            cpus.append(time.process_time() - cpu)
        return [statistics.median(walls), statistics.median(cpus)]

    return task


def epochs_of_a_run(place):
    from fgcl_utils import training
    from fgcl_utils.settings import Settings, load_dataset

    numbers = itertools.count()

    def task(place=place):  # held, or the folder would be removed
        settings = Settings(**RUN, run_name=f"run-{next(numbers)}")
        with open(os.devnull, "w") as nowhere, contextlib.redirect_stderr(nowhere):
            run = training.train(settings, "hcl", load_dataset(settings))
        seconds = run["history"]["seconds"].min()
        return [seconds, seconds]

    return task


def one_loss():
    import torch

    from fgcl_utils.losses import HierarchicalContrastiveLoss

    loss = HierarchicalContrastiveLoss(level_weights=(1.0, 0.3))
    projections = torch.randn(512, 128, requires_grad=True)
    labels = torch.stack([torch.arange(512) // 4 % 60, torch.arange(512) // 4 % 6], dim=1)
    return lambda: loss(projections, labels).backward()


def one_explorer(photos, folder):
    import numpy as np
    import pandas as pd
    from PIL import Image

    from fgcl_utils.explorer import EmbeddingExplorer

    n, rng = len(photos), np.random.default_rng(0)
    genus = np.arange(n) % 6
    table = pd.DataFrame({"image": [f"{i}.jpg" for i in range(n)]})
    table["genus"] = [f"G{g}" for g in genus]
    table["species"] = [f"G{g} s{i % 18}" for i, g in enumerate(genus)]
    centres = rng.normal(size=(6, 128))
    embeddings = {m: centres[genus] + rng.normal(size=(n, 128)) for m in ("ce", "hcl")}
    images = [Image.fromarray(photo) for photo in photos]
    return lambda: EmbeddingExplorer(embeddings, table, photos=lambda i, size: images[i]).save(
        folder / "explorer.html"
    )


def in_a_pool(pool, each, synthetic, dials):
    """Rendering in `pool` threads with `each` of torch's, instead of what `render` chooses."""

    def call():
        def executor(threads, initializer, initargs):
            return ThreadPoolExecutor(pool, initializer=initializer, initargs=(each,))

        kept, synthetic.ThreadPoolExecutor = synthetic.ThreadPoolExecutor, executor
        try:
            synthetic.render(dials, range(128), 64)
        finally:
            synthetic.ThreadPoolExecutor = kept

    return call


def report(measured):
    share = {n: CORES / (n + 1) for n in BUSY[1:]}  # of the cores, for each that wants one
    work = {task: measured[ONE_THREAD][task][0][1] for task in TASKS}
    fair = {task: [work[task] / cores for cores in share.values()] for task in TASKS}
    beside = [f"beside {n}" for n in BUSY]
    tables, costs = {}, {}
    for task, caption in TASKS.items():
        rows = []
        for way, tasks in measured.items():
            walls = [wall for wall, _ in tasks[task]]
            ratios = [wall / of for wall, of in zip(walls[1:], fair[task], strict=True)]
            rows.append([way, *walls, *ratios])
            usual = measured[USUAL][task][0][0]
            costs.setdefault(way, []).append([walls[0] / usual, *ratios])
        tables[task] = {
            "caption": f"{caption}, seconds, and times its fair share",
            "columns": ["threads", *beside, *(f"× fair, {b}" for b in beside[1:])],
            "rows": rows,
        }
    tables["worst"] = {
        "caption": "The worst of the four: time on a quiet machine against libgomp's own way, and "
        "times the fair share beside others",
        "columns": ["threads", "quiet", *beside[1:]],
        "rows": [[way, *map(max, zip(*rows, strict=True))] for way, rows in costs.items()],
    }
    pools = measured[OURS]
    tables["pools"] = {
        "caption": f"{TASKS['render']}, by threads of Python's pool and torch's in each, seconds; "
        f"{CHOSEN:,} spins",
        "columns": ["pool", "torch's in each", *beside],
        "rows": [[*pool, *(w for w, _ in pools["pool {} {}".format(*pool)])] for pool in POOLS],
    }
    return {"headline": headline(tables["worst"]["rows"]), "tables": tables}


def headline(rows):
    names = ("quiet", *(f"beside_{n}" for n in BUSY[1:]))
    worst = {way: dict(zip(names, row, strict=True)) for way, *row in rows}
    return {"spins": CHOSEN, "chosen": worst[OURS], "usual": worst[USUAL]}


if __name__ == "__main__":
    main()
