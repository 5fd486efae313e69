"""A head on features of the sizes of DF20-Mini and DF20: time, memory, and what batch to take.

    python benchmarks/heads.py

Made-up features, 768 numbers each, of long-tailed species in genera (32,753 rows, 182 species, 6
genera; 266,344 rows, 1,604 species, 500 genera are assumed); a tenth is kept for testing. Every
row of the tables is made in a fresh process; time is that of the wall clock, from features in
memory to a finished head, and memory the process's peak, with the libraries and the features in
it. Prints tables and writes results/heads_scale.json. Leave the machine alone meanwhile: it takes
about ten minutes of two cores.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from memory import kib
from provenance import provenance

from fgcl_utils.heads.network import EPOCHS, ROWS_IN_ALL

ROOT = Path(__file__).parents[1]
COLLECTIONS = {32_753: (182, 6), 266_344: (1604, 500)}  # rows: species, genera
PART = 4096  # rows of the smaller collection, on which whole trainings at any batch can be compared
WIDTH = 768
LONGEST_TAIL = 60  # rows of the commonest species for one of the rarest
LOGISTIC_STEPS = {32_753: 100, 266_344: 5}  # of L-BFGS: 100 are scikit-learn's default
BATCHES = (128, 256, 512, 1024, None)
FULL_EPOCHS = 2  # of all rows at once: a step takes seconds, and an epoch is one
COLUMNS = ["rows", "what", "epochs", "s", "peak GB", "species accuracy", "genus outliers"]


def make_features(n, folder, seed=0):
    """Features (n, 768) and codes (n, 2) as files: clusters of species around those of genera."""
    n_species, n_genera = COLLECTIONS[n]
    rng = np.random.default_rng(seed)
    genus_of = np.arange(n_species) % n_genera
    # What tells species apart lies in few directions, in a background common to all.
    directions = rng.normal(size=(64, WIDTH)) / 8
    centres = rng.normal(size=(n_genera, 64))[genus_of] + 0.7 * rng.normal(size=(n_species, 64))
    share = np.geomspace(LONGEST_TAIL, 1, n_species)
    species = rng.choice(n_species, n, p=share / share.sum())
    features = np.lib.format.open_memmap(folder / f"{n}.npy", "w+", np.float32, (n, WIDTH))
    for start in range(0, n, 8192):
        rows = slice(start, start + 8192)
        points = centres[species[rows]] + 1.3 * rng.normal(size=(len(species[rows]), 64))
        points = np.maximum(points @ directions + 0.5 * rng.normal(size=(len(points), WIDTH)), 0)
        features[rows] = points
    np.save(folder / f"{n}-labels.npy", np.column_stack([species, genus_of[species]]))


def read_features(n, part, folder):
    """Training and test features and codes; of `part` rows of the n, if it is given."""
    features = np.load(folder / f"{n}.npy", mmap_mode="r")
    labels = np.load(folder / f"{n}-labels.npy")
    rows = np.random.default_rng(1).permutation(n)[: part or n]
    test, train = np.sort(rows[: len(rows) // 10]), np.sort(rows[len(rows) // 10 :])
    return features[train], labels[train], features[test], labels[test]


# --- what is measured: each returns its epochs and what embeds or predicts ------------------------


def head(train, labels, **options):
    from fgcl_utils.heads import HeadTransformer

    fitted = HeadTransformer(**options).fit(train, labels)
    return len(fitted.history_), fitted.transform


def plain_head(train, labels, epochs=20, batch_size=512):
    """Cross-entropy on an MLP in the lines that everybody writes; the last epoch counts."""
    import torch
    from torch import nn

    torch.manual_seed(0)
    mean, std = train.mean(axis=0), train.std(axis=0)
    n_species = labels[:, 0].max() + 1
    mlp = nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.ReLU(), nn.Linear(WIDTH, 128))
    classifier = nn.Linear(128, n_species)
    optimizer = torch.optim.AdamW([*mlp.parameters(), *classifier.parameters()], 2e-3)
    for _ in range(epochs):
        for rows in torch.randperm(len(train)).split(batch_size):
            features = torch.from_numpy((train[rows] - mean) / std)
            logits = classifier(nn.functional.dropout(mlp(features), 0.2))
            loss = nn.functional.cross_entropy(logits, torch.from_numpy(labels[rows, 0]))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    @torch.inference_mode()
    def embed(features):
        return mlp(torch.from_numpy((features - mean) / std)).numpy()

    return epochs, embed


def logistic_regression(train, labels, steps):
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    probe = make_pipeline(StandardScaler(), LogisticRegression(max_iter=steps))
    probe.fit(train, labels[:, 0])
    return steps, probe.predict


def cases():
    """Every row of the tables: collection, part, name, function and its options."""
    small, large = COLLECTIONS
    for n in (small, large):
        for method in ("hcl_blocks", "ce_head") if n == small else ("hcl_blocks",):
            yield n, None, f"head, {method}", "head", {"method": method}
        if n == small:
            yield n, None, "CE head in plain torch", "plain_head", {}
        steps = LOGISTIC_STEPS[n]
        name = f"LogisticRegression, {steps} steps"
        yield n, None, name, "logistic_regression", {"steps": steps}
    full = {"batch_size": None, "epochs": FULL_EPOCHS}
    yield small, None, "head, hcl_blocks, all rows at once", "head", full
    for batch_size in BATCHES:
        name = f"batches of {batch_size}" if batch_size else "all rows at once"
        yield small, PART, name, "head", {"batch_size": batch_size}


def measure(case, folder):
    """A row of the table; in a process of its own."""
    import warnings

    import torch

    import fgcl_utils.heads  # noqa: F401  (what is measured starts with everything imported)
    from fgcl_utils import metrics

    warnings.simplefilter("ignore")
    torch.set_num_threads(os.cpu_count())
    n, part, name, function, options = case
    train, labels, test, truth = read_features(n, part, folder)
    began = time.perf_counter()
    epochs, judged = globals()[function](train, labels, **options)
    seconds = time.perf_counter() - began
    peak = kib("VmHWM") / 2**20
    if function == "logistic_regression":
        accuracy, outliers = (judged(test) == truth[:, 0]).mean(), None
    else:
        of_train, of_test = judged(train), judged(test)
        nearest = [metrics.nearest_centroid(of_train, labels[:, l], of_test) for l in (0, 1)]
        accuracy = (nearest[0] == truth[:, 0]).mean()
        outliers = int((nearest[1] != truth[:, 1]).sum())
    size = part or n
    return [size, name, epochs, round(seconds, 1), round(peak, 2), round(accuracy, 3), outliers]


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--case", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--only", help="only the rows whose name has this text; nothing is written")
    options = parser.parse_args()
    if options.case:
        print(json.dumps(measure(json.loads(options.case), options.folder)))
        return
    began = time.perf_counter()
    tables = {"heads": [], "batches": []}
    with tempfile.TemporaryDirectory() as folder:
        for n in COLLECTIONS:
            make_features(n, Path(folder))
        for case in cases():
            if options.only and options.only not in case[2]:
                continue
            command = [sys.executable, __file__, "--folder", folder, "--case", json.dumps(case)]
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
            row = json.loads(done.stdout)
            print(row, flush=True)
            tables["batches" if case[1] else "heads"].append(row)
    if not options.only:
        write(tables, began)


def write(tables, began):
    captions = {
        "heads": "From features in memory to a finished head, on two cores.",
        "batches": f"Batches of several sizes, on {PART:,} rows.",
    }
    of_mini = {row[1]: row for row in tables["heads"] if row[0] == min(COLLECTIONS)}
    of_all = {row[1]: row for row in tables["heads"] if row[0] == max(COLLECTIONS)}
    full = of_mini["head, hcl_blocks, all rows at once"]
    result = {
        "headline": {
            "df20_mini_rows": min(COLLECTIONS),
            "df20_mini_s": of_mini["head, hcl_blocks"][3],
            "df20_mini_peak_gb": of_mini["head, hcl_blocks"][4],
            "df20_rows": max(COLLECTIONS),
            "df20_s": of_all["head, hcl_blocks"][3],
            "df20_peak_gb": of_all["head, hcl_blocks"][4],
            "full_batch_epoch_s": round(full[3] / full[2], 1),
            "full_batch_peak_gb": full[4],
        },
        "tables": {
            name: {"columns": COLUMNS, "rows": rows, "caption": captions[name]}
            for name, rows in tables.items()
        },
        "settings": {"width": WIDTH, "epochs": EPOCHS, "rows_for_them": ROWS_IN_ALL // EPOCHS},
        "provenance": provenance(began, ["torch", "scikit-learn", "numpy"], threads=os.cpu_count()),
    }
    path = ROOT / "results" / "heads_scale.json"
    path.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(path)


if __name__ == "__main__":
    main()
