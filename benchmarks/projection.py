"""How long a map takes and how good it is: scikit-learn's t-SNE, openTSNE and UMAP.

    python benchmarks/projection.py

Random clusters shaped like the study's embeddings (128-D, 182 species in 6 genera, overlapping),
1,000 and 3,640 points. Every fit starts from the same layout and has one thread, as in
fgcl_utils.projection. Prints a table and writes results/projection.json.
"""

import argparse
import json
import re
import time
import warnings
from pathlib import Path

import numpy as np
from openTSNE import TSNE as OpenTSNE
from provenance import provenance
from sklearn.manifold import TSNE
from threadpoolctl import threadpool_limits
from umap import UMAP

from fgcl_utils import projection

ROOT = Path(__file__).parents[1]
COLUMNS = ["points", "library", "CPU s", "trustworthiness", "12 nearest kept"]
CAPTION = "Two-dimensional maps of 128-dimensional points, one thread each."


def clusters(n, seed=0, dimensions=128, species=182, genera=6):
    rng = np.random.default_rng(seed)
    genus = rng.normal(size=(genera, dimensions))
    centres = genus[np.arange(species) % genera] + 0.7 * rng.normal(size=(species, dimensions))
    return centres[rng.integers(0, species, n)] + 1.6 * rng.normal(size=(n, dimensions))


def scikit_learn(x, start):
    return TSNE(init=start, random_state=0).fit_transform(x)


def open_tsne(x, start, gradient):
    settings = {"neighbors": "exact", "negative_gradient_method": gradient, "n_jobs": 1}
    return np.asarray(OpenTSNE(initialization=start, random_state=0, **settings).fit(x))


FITS = {
    "scikit-learn t-SNE": scikit_learn,
    "openTSNE, Barnes-Hut": lambda x, start: open_tsne(x, start, "bh"),
    "openTSNE, interpolation": lambda x, start: open_tsne(x, start, "fft"),
    "umap-learn": lambda x, start: UMAP(init=start, random_state=0, n_jobs=1).fit_transform(x),
}


def measure(sizes):
    warm = clusters(200)
    for fit in FITS.values():  # imports and just-in-time compilation are not what is compared
        fit(warm, projection.shared_layout({"warm": warm}))
    for n in sizes:
        x = projection.unit_rows(clusters(n), "clusters")
        start = projection.shared_layout({"clusters": x})
        for name, fit in FITS.items():
            began = time.process_time()  # of the one thread: other work on the machine is not in it
            with threadpool_limits(1):
                plane = fit(x, start)
            seconds = time.process_time() - began
            quality = projection.quality(x, plane)
            scores = quality["trustworthiness"], quality["knn_preservation"]
            yield [n, name, round(seconds, 1), *(round(score, 3) for score in scores)]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[1000, 3640])
    parser.add_argument("--out", type=Path, default=ROOT / "results" / "projection.json")
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore", module="umap")
    began = time.perf_counter()
    rows = []
    print(*COLUMNS, sep=" | ")
    for row in measure(arguments.sizes):
        rows.append(row)
        print(*row, sep=" | ", flush=True)
    table = {"columns": COLUMNS, "rows": rows, "caption": CAPTION}
    headline = {re.sub(r"\W+", "_", f"{row[1]} {row[0]} cpu s").lower(): row[2] for row in rows}
    arguments.out.parent.mkdir(exist_ok=True)
    result = {"headline": headline, "tables": {"projection": table}}
    result["provenance"] = provenance(began, ["numpy", "scikit-learn", "openTSNE", "umap-learn"])
    arguments.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
