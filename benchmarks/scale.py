"""What follows training at the size of whole collections: time and memory, step by step.

    python benchmarks/scale.py

Random clusters of the sizes of DF20-Mini (36,393 photos, 182 species in 6 genera) and of DF20
(295,938 photos, 1,604 species; 500 genera are assumed), long-tailed, 128-D, a tenth of each for
testing. Every step runs in a fresh process with one thread for arithmetic; its time is CPU time, so
that other work on the machine is not in it. Prints a table and writes results/scale.json.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

import numpy as np
from provenance import provenance

ROOT = Path(__file__).parents[1]
COLLECTIONS = {36_393: (182, 6), 295_938: (1604, 500)}  # photos: species, genera
DIMENSIONS = 128
LONGEST_TAIL = 60  # photos of the commonest species for one of the rarest
COLUMNS = ["photos", "step", "rows", "CPU s", "peak GB"]
ONE_THREAD = {
    f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL", "NUMBA", "VECLIB_MAXIMUM")
}


def make_collection(n, folder, seed=0):
    """Embeddings of n photos as `metrics.evaluate` takes them, and their labels, as files."""
    rng = np.random.default_rng(seed)
    n_species, n_genera = COLLECTIONS[n]
    genus_of = np.arange(n_species) % n_genera
    centres = rng.normal(size=(n_genera, DIMENSIONS))[genus_of]
    centres += 0.7 * rng.normal(size=centres.shape)
    share = np.geomspace(LONGEST_TAIL, 1, n_species)
    species = rng.choice(n_species, n, p=share / share.sum())
    index = rng.permutation(n)
    splits = {"test": index[: n // 10], "train": index[n // 10 :]}
    for split, rows in splits.items():
        np.save(folder / f"{split}_index.npy", rows)
        for space, noise in (("", 1.6), ("_encoder", 2.0)):
            points = centres[species[rows]].astype(np.float32)
            points += noise * rng.standard_normal(points.shape, dtype=np.float32)
            points /= np.linalg.norm(points, axis=1, keepdims=True)
            np.save(folder / f"{split}{space}.npy", points)
    np.save(folder / "labels.npy", np.stack([species, genus_of[species]], axis=1))


# --- the steps: each gets the arrays of a collection and returns how many rows it worked on -------


def evaluate(arrays):
    from fgcl_utils import metrics

    labels = arrays.pop("labels")
    return lambda: metrics.evaluate(arrays, labels)["n_test"]


def nearest_training_photos(arrays):
    from fgcl_utils import metrics

    labels = arrays["labels"][arrays["train_index"]]
    return lambda: len(metrics.knn_predictions(arrays["train"], labels, arrays["test"]))


def linear_probe(arrays):
    from fgcl_utils import metrics

    species = arrays["labels"][arrays["train_index"], 0]
    return lambda: len(metrics.linear_predictions(arrays["train"], species, arrays["test"]))


def neighbours_within_test(arrays):
    from fgcl_utils import projection

    return lambda: len(projection.nearest_neighbours(arrays["test"], 12))


def neighbours_of_test_in_all(arrays):
    from fgcl_utils import projection

    rows = np.arange(len(arrays["test"]))
    points = everything(arrays)
    return lambda: len(projection.nearest_neighbours(points, 12, rows=rows))


def neighbours_of_all(arrays):
    from fgcl_utils import projection

    points = everything(arrays)
    return lambda: len(projection.nearest_neighbours(points, 12))


def tsne(arrays):
    return projected(arrays["test"], "tsne")


def tsne_of_all(arrays):
    return projected(everything(arrays), "tsne")


def umap(arrays):
    return projected(arrays["test"], "umap")


def umap_of_all(arrays):
    return projected(everything(arrays), "umap")


def map_quality(arrays):
    return judged(arrays["test"])


def map_quality_of_all(arrays):
    return judged(everything(arrays))


def everything(arrays):
    """The embeddings of all photos (N, 128), those of the test split first."""
    return np.concatenate([arrays.pop("test"), arrays.pop("train")])


def projected(points, method):
    from fgcl_utils import projection

    return lambda: len(projection.project({"hcl": points}, method)["hcl"])


def judged(points):
    from fgcl_utils import projection

    plane = points[:, :2]  # any will do: what is looked at are the neighbours in 128-D
    return lambda: projection.quality(points, plane) and len(plane)


def explorer_of_test(arrays):
    return explorer_page(arrays["test"], arrays["labels"][arrays["test_index"]])


def explorer_of_all(arrays):
    rows = np.concatenate([arrays["test_index"], arrays["train_index"]])
    # Searching them is a step of its own.
    neighbours = np.random.default_rng(0).integers(0, len(rows), (len(rows), 12))
    return explorer_page(everything(arrays), arrays["labels"][rows], {"HCL": neighbours})


def explorer_page(points, labels, neighbours=None):
    """A page with one method, its map given, its photos a few encoded ones again and again."""
    import pandas as pd
    from explorer import Recycled

    from fgcl_utils import explorer

    Recycled.bank = [explorer._encodings(photo) for photo in rendered_photos(40)]
    table = pd.DataFrame({"image": [f"{i:06d}.jpg" for i in range(len(points))]})
    table["species"], table["genus"] = labels.T.astype(str)
    planes = {"HCL": points[:, :2]}

    def build():
        page = Recycled({"HCL": points}, table, planes=planes, neighbours=neighbours)
        with tempfile.TemporaryDirectory() as folder:
            page.save(Path(folder) / "map.html")
        return len(points)

    return build


def encode_photos(arrays):
    from fgcl_utils import explorer

    photos = rendered_photos(200)
    return lambda: len([explorer._encodings(photo) for photo in photos])


def rendered_photos(n):
    from PIL import Image

    from fgcl_utils import explorer
    from fgcl_utils.datasets import synthetic

    squares = synthetic.render(synthetic.Dials(), np.arange(n), explorer.PHOTO_SIZE)
    return [Image.fromarray(square) for square in squares]


STEPS = {
    "metrics.evaluate, both spaces": evaluate,
    "of it: 5 nearest training photos": nearest_training_photos,
    "of it: linear probe of species": linear_probe,
    "12 neighbours within the test split": neighbours_within_test,
    "12 neighbours of the test split in all": neighbours_of_test_in_all,
    "12 neighbours of all in all": neighbours_of_all,
    "UMAP of the test split": umap,
    "UMAP of all": umap_of_all,
    "t-SNE of the test split": tsne,
    "t-SNE of all": tsne_of_all,
    "quality of a map of the test split": map_quality,
    "quality of a map of all": map_quality_of_all,
    "explorer of the test split": explorer_of_test,
    "explorer of all, neighbours given": explorer_of_all,
    "photos encoded for it, a sample": encode_photos,
}
TOO_LONG = {(295_938, "t-SNE of all")}  # it was stopped; there is UMAP


# --- measuring ---------------------------------------------------------------------------------


def run_step(name, folder):
    """In a process of its own: rows, CPU seconds and peak resident GB of one step."""
    arrays = {file.stem: np.load(file) for file in sorted(folder.glob("*.npy"))}
    work = STEPS[name](arrays)
    began = time.process_time()
    rows = work()
    seconds = time.process_time() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # kB; bytes on macOS
    return rows, seconds, peak / (1e9 if sys.platform == "darwin" else 1e6)


def measure(n, names, folder, jobs):
    """Rows of the table for a collection of n photos; `jobs` steps are measured at a time."""
    call = [sys.executable, __file__, "--folder", folder, "--photos", str(n)]
    environment = os.environ | ONE_THREAD
    subprocess.run([*call, "--make"], env=environment, check=True)

    def row(name):
        done = subprocess.run([*call, "--step", name], env=environment, capture_output=True)
        if done.returncode:
            raise SystemExit(done.stderr.decode())
        rows, seconds, peak = json.loads(done.stdout.splitlines()[-1])
        return [n, name, rows, round(seconds, 1), round(peak, 2)]

    with ThreadPoolExecutor(jobs) as pool:
        for done in as_completed([pool.submit(row, name) for name in names]):
            yield done.result()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--photos", type=int, nargs="+", choices=COLLECTIONS, default=[*COLLECTIONS]
    )
    parser.add_argument("--step", nargs="+", choices=STEPS, default=[*STEPS], help="only these")
    parser.add_argument("--add", action="store_true", help="keep the other rows that --out holds")
    parser.add_argument("--jobs", type=int, default=1, help="steps measured at a time")
    parser.add_argument("--out", type=Path, default=ROOT / "results" / "scale.json")
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)  # of a collection
    parser.add_argument("--make", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.make:
        return make_collection(arguments.photos[0], arguments.folder)
    if arguments.folder:
        return print(json.dumps(run_step(arguments.step[0], arguments.folder)))

    began, load = time.perf_counter(), os.getloadavg()[0]
    rows, earlier = {}, None  # by collection and step
    if arguments.add:
        before = json.loads(arguments.out.read_text(encoding="utf-8"))
        rows = {(row[0], row[1]): row for row in before["tables"]["scale"]["rows"]}
        earlier = before["provenance"]
    print(*COLUMNS, sep=" | ")
    for n in arguments.photos:
        with tempfile.TemporaryDirectory() as folder:
            names = [name for name in arguments.step if (n, name) not in TOO_LONG]
            for row in measure(n, names, folder, arguments.jobs):
                print(*row, sep=" | ", flush=True)
                rows[n, row[1]] = row
                # After each: some take many minutes, and what is measured is measured.
                write(arguments.out, rows, began, load, earlier)


def write(out, rows, began, load, earlier):
    caption = (
        "After training, embeddings of 128 dimensions, each step in a fresh process: CPU time in "
        "one thread, and the most memory that the process held at once, libraries included."
    )
    rows = [rows[n, name] for n in COLLECTIONS for name in STEPS if (n, name) in rows]
    headline = {f"{STEPS[name].__name__}_{n}_cpu_s": cpu_s for n, name, _, cpu_s, _ in rows}
    for _, name, n_rows, seconds, _ in rows:
        if STEPS[name] is encode_photos:
            headline["ms_a_photo"] = round(1000 * seconds / n_rows, 1)
    headline["peak_gb"] = max(row[-1] for row in rows)
    packages = ["numpy", "scikit-learn", "umap-learn", "torch"]
    load = [round(load, 2), round(os.getloadavg()[0], 2)]
    about = provenance(began, packages, load_average=load, earlier=earlier)
    table = {"columns": COLUMNS, "rows": rows, "caption": caption}
    result = {"headline": headline, "tables": {"scale": table}, "provenance": about}
    out.parent.mkdir(exist_ok=True)
    out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
