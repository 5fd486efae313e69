"""Time and memory of the losses, forward and backward, beside other implementations.

    python benchmarks/loss.py

float32 projections of length 128, 182 species in 6 genera. Each measurement has a process of its
own, forked from one that has imported everything and computed nothing; implementations take turns
within each of several rounds, so that a busy machine hits all alike; the median over rounds counts.
Memory is the growth of the process's peak resident size. Prints tables and writes
results/loss_cpu.json, then repeats benchmarks/loss_cases.py and, where there is a GPU,
benchmarks/loss_cuda.py. On a busy machine, and only there, set OMP_WAIT_POLICY=passive, or threads
that wait for each other burn what the others need.
"""

import argparse
import ctypes
import gc
import json
import multiprocessing
import os
import platform
import statistics
import subprocess
import sys
import time
import traceback
from functools import partial
from pathlib import Path

import loss_cases
import loss_peers
import torch
from memory import kib
from provenance import provenance
from torch.nn.functional import linear

from fgcl_utils.losses import HierarchicalContrastiveLoss, LevelBlocksLoss, SupConLoss

ROOT = Path(__file__).parents[1]
DIM, N_SPECIES, N_GENERA = 128, 182, 6
THREADS = (2, 1)
SIZES = [64, 256, 512, 2048, 8192]
LARGEST = SIZES[-1]
SECONDS = 0.3  # of short steps in one process
PRELOADED = ["fgcl_utils.losses", "pytorch_metric_learning.losses", "lightly.loss"]

HCL = HierarchicalContrastiveLoss
FAMILIES = partial(HCL, (1.0, 0.3, 0.1))
# Name in the tables: (maker of loss(projections, labels), label levels or "views")
OURS = {
    "SupConLoss": (SupConLoss, 1),
    "HierarchicalContrastiveLoss": (HCL, 2),
}
BLOCKS = {
    "level blocks, 96 + 32": (partial(LevelBlocksLoss, (96, 32), (1, 0.2), (0.1, 0.3)), 2),
    "level blocks, 64 + 32 + 32": (
        partial(LevelBlocksLoss, (64, 32, 32), (1, 0.2, 0.2), (0.1, 0.3, 0.3)),
        3,
    ),
}
VARIANTS = {
    "three levels": (FAMILIES, 3),
    "level normalisation": (partial(HCL, normalization="level"), 2),
    "learnable temperature": (partial(HCL, learnable_temperature=True), 2),
    "three levels, level normalisation, learnable temperature": (
        partial(FAMILIES, normalization="level", learnable_temperature=True),
        3,
    ),
    "temperature 0.01": (partial(HCL, temperature=0.01), 2),
    "two views of each image (SimCLR)": (SupConLoss, "views"),
    **BLOCKS,
}
PEERS = {
    "HobbitLong SupConLoss (restated)": (lambda: loss_peers.hobbitlong, 1),
    "pytorch-metric-learning SupConLoss": (lambda: loss_peers.metric_learning, 1),
    "N × N weights, autograd": (lambda: loss_peers.pair_weights_autograd, 2),
    "HMLC (restated)": (lambda: loss_peers.hmlc, 2),
    "lightly NTXentLoss": (lambda: loss_peers.lightly, "views"),
    "Inf-CL": (lambda: loss_peers.inf_cl, "views"),
    "memeff": (lambda: loss_peers.memeff, "views"),
}
SLOW = ["N × N weights, autograd", "HMLC (restated)", "lightly NTXentLoss"]
# The rate of a product depends on the library: torch's own choice, and oneDNN where asked for.
FLOOR, FLOOR_ONEDNN = "floor: 4 N²D operations", "floor: the same by oneDNN"
FLOORS = {
    FLOOR: lambda a: partial(torch.mm, a, a),
    FLOOR_ONEDNN: lambda a: partial(linear, a.to_mkldnn(), a),
}
IMPLEMENTATIONS = OURS | VARIANTS | PEERS
PML = "pytorch-metric-learning SupConLoss"


def batch(n, levels):
    generator = torch.Generator().manual_seed(0)
    projections = torch.randn(n, DIM, generator=generator).requires_grad_()
    if levels == "views":
        return projections, torch.arange(n // 2).repeat(2)
    species = torch.randint(0, N_SPECIES, (n,), generator=generator)
    genus = species % N_GENERA
    return projections, torch.stack([species, genus, genus % 2], 1)[:, :levels].squeeze(1)


def measure(name, n, threads):
    """Milliseconds and extra MiB of one forward and backward pass; runs in a fresh process."""
    torch.set_num_threads(threads)
    if name in FLOORS:
        return floor_ms(name, n), None
    make, levels = IMPLEMENTATIONS[name]
    loss = make()

    def step(n):
        projections, labels = batch(n, levels)
        memory = Memory() if n == LARGEST else None
        began = time.perf_counter()
        loss(projections, labels).backward()
        ms = 1e3 * (time.perf_counter() - began)
        return ms, memory and memory.extra_mib()

    # The first steps pay for threads, lazy imports and the allocator's first pages.
    for _ in range(2):
        step(min(n, 1024))
    if n == LARGEST:
        return step(n)
    # Many short steps, so that the clock and a moment's interruption weigh little.
    times, began = [], time.perf_counter()
    while len(times) < 5 or (len(times) < 200 and time.perf_counter() - began < SECONDS):
        times.append(step(n)[0])
    return statistics.median(times), None


def floor_ms(name, n):
    """The time of 4 N²D operations at the rate of a large square product."""
    product = FLOORS[name](torch.randn(2048, 2048))
    times = []
    for _ in range(6):
        began = time.perf_counter()
        product()
        times.append(time.perf_counter() - began)
    return 1e3 * statistics.median(times[1:]) * 4 * n**2 * DIM / (2 * 2048**3)


class Memory:
    """Growth of this process's peak resident size from now on (Linux)."""

    def __init__(self):
        gc.collect()
        ctypes.CDLL(None).malloc_trim(0)
        Path("/proc/self/clear_refs").write_text("5")  # resets the peak
        self.before = kib("VmRSS")

    def extra_mib(self):
        return (kib("VmHWM") - self.before) / 1024


def in_fresh_process(context, name, n, threads):
    """(ms, MiB), or the error's text."""
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=send_measurement, args=(sender, name, n, threads))
    process.start()
    sender.close()
    try:
        return receiver.recv()
    except EOFError:
        return f"ended with code {process.exitcode}"
    finally:
        process.join()


def send_measurement(sender, name, n, threads):
    try:
        sender.send(measure(name, n, threads))
    except Exception as error:
        where = traceback.extract_tb(error.__traceback__)[-1].line
        sender.send(f"{type(error).__name__} {error} at: {where}".replace("\n", " "))


def run(rounds):
    """Measurements {(name, n, threads): [(ms, MiB), …]} and what did not run {name: why}."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    jobs = [(name, n, threads) for n in SIZES for threads in THREADS for name in OURS | PEERS]
    # Variants are compared where the work is large, the floor is known for all sizes by one.
    jobs += [(name, LARGEST, 1) for name in VARIANTS]
    jobs += [(floor, LARGEST, threads) for floor in FLOORS for threads in THREADS]
    # The slowest of all are measured on two threads only.
    jobs = [job for job in jobs if job[0] not in SLOW or job[1:] != (LARGEST, 1)]
    samples, failures = {}, {}
    for k in range(rounds):
        for job in jobs:
            if job[0] in failures:
                continue
            result = in_fresh_process(context, *job)
            print(f"{k + 1}/{rounds}", *job, result, flush=True)
            if isinstance(result, str):
                failures[job[0]] = result
            else:
                samples.setdefault(job, []).append(result)
    return samples, failures


def median(results):
    ms, mib = zip(*results, strict=True)
    return statistics.median(ms), None if mib[0] is None else statistics.median(mib)


def report(samples, failures):
    medians = {job: median(results) for job, results in samples.items()}

    def ms(name, n=LARGEST, threads=2):
        if name in FLOORS:
            return medians[name, LARGEST, threads][0] * (n / LARGEST) ** 2
        return medians.get((name, n, threads), [None])[0]

    def least_ms(name, threads):
        """Of the rounds: what remains when nothing else disturbed."""
        return min(ms for ms, _ in samples[name, LARGEST, threads])

    def mib(name):
        return medians[name, LARGEST, 2][1]

    peers = [name for name in PEERS if name not in failures]
    shown = [*OURS, *peers]
    ours, hcl = OURS
    two_blocks, three_blocks = BLOCKS
    tables = {
        "memory": {
            "caption": f"Peak memory beyond the batch itself, N = {LARGEST:,}",
            "columns": ["implementation", "MiB"],
            "rows": [[name, mib(name)] for name in shown],
        },
        "variants": {
            "caption": f"What the options cost, N = {LARGEST:,}, 1 thread",
            "columns": ["variant", "ms", "of two levels' time"],
            "rows": [
                [name, ms(name, threads=1), ms(name, threads=1) / ms(hcl, threads=1)]
                for name in [hcl, *VARIANTS]
            ],
        },
        "not_run": {
            "caption": "What does not run here",
            "columns": ["implementation", "why"],
            "rows": [[name, why] for name, why in failures.items()],
        },
    }
    for threads in THREADS:
        label = f"{threads} thread{'s' * (threads > 1)}"
        tables[f"speed_{threads}"] = {
            "caption": f"Milliseconds of a forward and backward pass, float32, D = {DIM}, {label}",
            "columns": ["implementation", *(f"N = {n:,}" for n in SIZES)],
            "rows": [[name, *(ms(name, n, threads) for n in SIZES)] for name in [*shown, *FLOORS]],
        }
        times = [[(ms(name, n, threads), name) for name in peers] for n in SIZES]
        fastest = [min(pair for pair in row if pair[0] is not None) for row in times]
        tables[f"fastest_peer_{threads}"] = {
            "caption": f"SupConLoss against the fastest peer, {label}",
            "columns": ["N", "fastest peer", "its ms", "our ms", "ours / its"],
            "rows": [
                [n, name, best, ms(ours, n, threads), ms(ours, n, threads) / best]
                for n, (best, name) in zip(SIZES, fastest, strict=True)
            ],
        }

    def time_vs_faster_floor(threads):
        return ms(ours, threads=threads) / min(ms(floor, threads=threads) for floor in FLOORS)

    headline = {
        "n": LARGEST,
        "ms": ms(ours),
        "ms_1_thread": ms(ours, threads=1),
        "speedup_vs_pml": ms(PML) / ms(ours),
        "speedup_vs_pml_1_thread": ms(PML, threads=1) / ms(ours, threads=1),
        "speedup_vs_pml_fastest_rounds": least_ms(PML, 2) / least_ms(ours, 2),
        "speedup_vs_pml_fastest_rounds_1_thread": least_ms(PML, 1) / least_ms(ours, 1),
        "extra_mib": mib(ours),
        "extra_mib_pml": mib(PML),
        "memory_vs_pml": mib(PML) / mib(ours),
        "two_blocks_vs_supcon": ms(two_blocks, threads=1) / ms(ours, threads=1),
        "three_blocks_vs_supcon": ms(three_blocks, threads=1) / ms(ours, threads=1),
        "time_vs_faster_floor_1_thread": time_vs_faster_floor(1),
        "time_vs_faster_floor_2_threads": time_vs_faster_floor(2),
        "time_vs_floor_1_thread": ms(ours, threads=1) / ms(FLOOR, threads=1),
        "time_vs_floor_2_threads": ms(ours) / ms(FLOOR),
        "time_vs_onednn_floor_1_thread": ms(ours, threads=1) / ms(FLOOR_ONEDNN, threads=1),
        "time_vs_onednn_floor_2_threads": ms(ours) / ms(FLOOR_ONEDNN),
    }
    return {"headline": headline, "tables": tables}


def by_processor(result, path):
    """A table with a line for each processor that the file at `path` has known, this one last."""
    about = {
        "processor": "cpu",
        "commit": "commit",
        "ms, 1 thread": "ms_1_thread",
        "ms, 2 threads": "ms",
        "times as fast as pytorch-metric-learning, 1 thread": "speedup_vs_pml_1_thread",
        "2 threads": "speedup_vs_pml",
        "of the faster floor, 1 thread": "time_vs_faster_floor_1_thread",
        "of it, 2 threads": "time_vs_faster_floor_2_threads",
    }
    values = result["headline"] | result["provenance"]
    earlier = json.loads(path.read_text()) if path.exists() else {"tables": {}}
    lines = earlier["tables"].get("processors", {"rows": []})["rows"]
    return {
        "caption": f"SupConLoss on several processors, N = {LARGEST:,}",
        "columns": list(about),
        "rows": [
            *(line for line in lines if line[0] != values["cpu"]),
            [values[key] for key in about.values()],
        ],
    }


PACKAGES = ["torch", "pytorch-metric-learning", "lightly", "inf-cl", "memeff"]


def print_table(table):
    print(f"\n{table['caption']}\n" + " | ".join(table["columns"]))
    for row in table["rows"]:
        print(" | ".join(f"{x:,.3g}" if isinstance(x, float) else str(x) for x in row))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--output", type=Path, default=ROOT / "results" / "loss_cpu.json")
    arguments = parser.parse_args()
    began, load = time.perf_counter(), os.getloadavg()[0]
    result = report(*run(arguments.rounds))
    result["provenance"] = provenance(
        began,
        PACKAGES,
        rounds=arguments.rounds,
        cores=os.cpu_count(),
        load_average={"before": load, "after": os.getloadavg()[0]},
        python=platform.python_version(),
        omp_wait_policy=os.environ.get("OMP_WAIT_POLICY", "default"),
        priority=-os.nice(0),
    )
    result["tables"]["processors"] = by_processor(result, arguments.output)
    for table in result["tables"].values():
        print_table(table)
    print(json.dumps({key: result[key] for key in ("headline", "provenance")}, indent=1))
    arguments.output.parent.mkdir(exist_ok=True)
    arguments.output.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n")
    loss_cases.main()
    if torch.cuda.is_available():
        # Not imported, for it imports what is compared from here.
        subprocess.run([sys.executable, ROOT / "benchmarks" / "loss_cuda.py"], check=True)


if __name__ == "__main__":
    main()
