"""Time and memory of the losses on a GPU, beside the implementations of benchmarks/loss.py.

    python benchmarks/loss_cuda.py

Projections of length 128 in float32 and bfloat16, 182 species in 6 genera, up to 131,072 of them.
All in one process, because starting one takes longer than what it would measure; implementations
take turns within each round, and the median over rounds counts. Memory is what torch allocated
beyond what it held before. What does not fit is recorded as such. The share of the product rate
counts 4 N²D operations, the least that a loss needs, whatever a way computes; the rate is that of
torch's square products in the dtype. Writes results/loss_cuda.json.
"""

import argparse
import gc
import json
import statistics
import time
from functools import partial
from pathlib import Path
from unittest.mock import patch

import loss
import torch
from provenance import provenance

from fgcl_utils.losses import SupConLoss, contrastive, tiles_or_kernels

SIZES = [64, 256, 512, 2048, 8192, 32768, 131_072]
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
# Ours as it chooses by itself, and made to take either way.
FORCED = {"SupConLoss, fused kernels": True, "SupConLoss, tiles": False}
WAYS = dict.fromkeys(FORCED, (SupConLoss, 1))
IMPLEMENTATIONS = loss.OURS | WAYS | loss.VARIANTS | loss.PEERS
OURS, TILES = "SupConLoss", "SupConLoss, tiles"


def measure(name, n, dtype, device):
    """Milliseconds and extra MiB of a forward and a backward pass."""
    make, levels = IMPLEMENTATIONS[name]
    projections, labels = loss.batch(n, levels)
    projections = projections.detach().to(device, dtype).requires_grad_()
    labels, function = labels.to(device), make()
    if name in FORCED:
        function = partial(with_way, FORCED[name], function)

    def step():
        projections.grad = None
        function(projections, labels).backward()
        synchronize(device)

    step()  # compiles and tunes
    projections.grad = None
    before = reset_memory(device)
    step()
    mib = (peak_memory(device) - before) / 2**20
    times, began = [], time.perf_counter()
    while len(times) < 3 or (len(times) < 50 and time.perf_counter() - began < 0.2):
        start = time.perf_counter()
        step()
        times.append(1e3 * (time.perf_counter() - start))
    return statistics.median(times), mib


def with_way(fused, function, projections, labels):
    """Without the direct form of small batches, which neither way is."""
    with (
        patch.object(tiles_or_kernels, "fused_is_faster", lambda *_: fused),
        patch.object(contrastive, "DIRECT_PAIRS", 0),
    ):
        return function(projections, labels)


def product_tflops(dtype, device, size):
    """The rate of a large square product."""
    a = torch.randn(size, size, device=device, dtype=dtype)
    times = []
    for _ in range(10):
        synchronize(device)
        began = time.perf_counter()
        a @ a
        synchronize(device)
        times.append(time.perf_counter() - began)
    return 2 * size**3 / statistics.median(times[2:]) / 1e12


def synchronize(device):
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def reset_memory(device):
    gc.collect()
    synchronize(device)
    if device.type != "cuda":
        return 0
    torch.cuda.reset_peak_memory_stats(device)
    return torch.cuda.memory_allocated(device)


def peak_memory(device):
    return torch.cuda.max_memory_allocated(device) if device.type == "cuda" else 0


def run(rounds, sizes, device):
    """Measurements {(name, n, dtype): [(ms, MiB), …]} and what did not run {(…): why}."""
    samples, failures = {}, {}
    jobs = [(name, n, dtype) for n in sizes for dtype in DTYPES for name in IMPLEMENTATIONS]
    for k in range(rounds):
        for job in jobs:
            if job in failures:
                continue
            name, n, dtype = job
            try:
                result = measure(name, n, DTYPES[dtype], device)
                samples.setdefault(job, []).append(result)
            except Exception as error:  # a peer's kernel, or no memory: to be recorded
                result = failures[job] = f"{type(error).__name__}: {error}".splitlines()[0]
                if device.type == "cuda":
                    torch.cuda.empty_cache()
            print(f"{k + 1}/{rounds}", *job, result, flush=True)
    return samples, failures


def report(samples, failures, sizes, tflops):
    medians = {job: loss.median(results) for job, results in samples.items()}
    tables = {}
    for dtype in DTYPES:
        for k, (key, unit) in enumerate([("speed", "Milliseconds"), ("memory", "Extra MiB")]):
            tables[f"{key}_{dtype}"] = {
                "caption": f"{unit} of a forward and backward pass, {dtype}, D = {loss.DIM}",
                "columns": ["implementation", *(f"N = {n:,}" for n in sizes)],
                "rows": [
                    [name, *(medians.get((name, n, dtype), [None, None])[k] for n in sizes)]
                    for name in IMPLEMENTATIONS
                ],
            }
    tables["not_run"] = {
        "caption": "What does not run here",
        "columns": ["implementation", "N", "dtype", "why"],
        "rows": [[*job, why] for job, why in failures.items()],
    }
    n = sizes[-1]
    headline = {"n": n}
    for dtype, rate in tflops.items():
        if (OURS, n, dtype) not in medians:
            continue
        ms, mib = medians[OURS, n, dtype]
        headline |= {
            f"ms_{dtype}": ms,
            f"extra_mib_{dtype}": mib,
            f"product_tflops_{dtype}": rate,
            f"share_of_product_rate_{dtype}": 4 * n**2 * loss.DIM / (ms * 1e9) / rate,
            f"speedup_vs_tiles_{dtype}": medians[TILES, n, dtype][0] / ms,
        }
    return {"headline": headline, "tables": tables}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--device", type=torch.device, default="cuda", help="cpu only tries it out")
    parser.add_argument("--output", type=Path, default=loss.ROOT / "results" / "loss_cuda.json")
    arguments = parser.parse_args()
    began, device = time.perf_counter(), arguments.device
    size = 8192 if device.type == "cuda" else 512
    tflops = {name: product_tflops(dtype, device, size) for name, dtype in DTYPES.items()}
    samples, failures = run(arguments.rounds, arguments.sizes, device)
    result = report(samples, failures, arguments.sizes, tflops)
    gpu = torch.cuda.get_device_name(device) if device.type == "cuda" else None
    result["provenance"] = provenance(
        began, [*loss.PACKAGES, "triton"], rounds=arguments.rounds, gpu=gpu
    )
    for table in result["tables"].values():
        loss.print_table(table)
    print(json.dumps({key: result[key] for key in ("headline", "provenance")}, indent=1))
    arguments.output.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
