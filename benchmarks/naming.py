"""Which loss serves best for naming new photos, of species that were seen and of others?

    python benchmarks/naming.py -p data_root PATH

Heads on frozen features of real photos (profiles/flowers_heads.yaml), with a fifth of the species
held out of training, each method with several seeds. Validation photos teach how far to believe an
answer; test photos and those of the unseen species show whether that holds. Prints a table and
writes results/naming.json. It takes a few minutes of two cores.
"""

import argparse
import json
import time
from pathlib import Path

import yaml
from provenance import provenance

from fgcl_utils import metrics
from fgcl_utils.datasets import SPLITS
from fgcl_utils.figures import METHOD_NAMES
from fgcl_utils.heads import HeadTransformer
from fgcl_utils.naming import Namer, evidence
from fgcl_utils.settings import Settings, load_dataset
from fgcl_utils.training import frozen

ROOT = Path(__file__).parents[1]
METHODS = ("ce", "ce_head", "supcon", "hcl", "hcl_blocks")
HELD_OUT = 0.2


def measured(method, seed, settings, dataset, features):
    """`evidence.measures` of one head."""
    names = HeadTransformer().get_params().keys()
    options = {name: getattr(settings, name) for name in names if hasattr(settings, name)}
    rows = {split: dataset.indices(split) for split in SPLITS}
    of_split = {split: (features[r], dataset.labels[r]) for split, r in rows.items()}
    head = HeadTransformer(method, **options, random_state=seed)
    head.fit(*of_split["train"], validation=of_split["val"])
    arrays = {split: head.transform(features[r]) for split, r in rows.items() if len(r)}
    arrays |= {f"{split}_index": r for split, r in rows.items()}
    namer = Namer.of_run(arrays, dataset.labels)
    run = {"embeddings": arrays}
    trials = [evidence.trial(namer, run, dataset, split) for split in ("test", "unseen")]
    return evidence.measures(*trials, dataset.levels)


def table(methods, n_seeds):
    """Means over seeds and the half-widths of their intervals, in per cent; a row a measure."""
    rows = []
    for measure in next(iter(methods.values())):
        cells = []
        for of_method in methods.values():
            mean, low = of_method[measure]["mean"], of_method[measure]["low"]
            if mean is None:  # a seed answered nothing, of which no share can be wrong
                cells.append("")
                continue
            reach = "" if low is None else f" ± {100 * (mean - low):.1f}"
            cells.append(f"{100 * mean:.1f}{reach}")
        rows.append([measure, *cells])
    return {
        "caption": f"Naming photos, in per cent: means of {n_seeds} seeds, ± half of the 95 % "
        "interval over seeds.",
        "columns": ["measure", *(METHOD_NAMES[m] for m in methods)],
        "rows": rows,
    }


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--profile", default="profiles/flowers_heads.yaml")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("-p", nargs=2, action="append", default=[], metavar=("NAME", "VALUE"))
    arguments = parser.parse_args()
    began = time.perf_counter()
    values = {name: yaml.safe_load(value) for name, value in arguments.p}
    settings = Settings.from_profile(
        arguments.profile, **{"held_out_species": HELD_OUT, "encoder": "frozen"} | values
    )
    dataset = load_dataset(settings)
    features = frozen.features_of(settings, dataset)
    methods = {}
    for method in METHODS:
        runs = [measured(method, s, settings, dataset, features) for s in range(arguments.seeds)]
        methods[method] = {
            name: dict(
                zip(
                    ("mean", "low", "high"),
                    [None if end != end else end for end in metrics.mean_interval(values)],
                    strict=True,
                )
            )
            for name in runs[0]
            for values in [[run[name] for run in runs]]
        }
        print(method, {name: value["mean"] for name, value in methods[method].items()}, flush=True)
    result = {
        "title": "Naming photos of species that were seen, and of others",
        "dataset": dataset.name,
        "levels": dataset.levels,
        "held_out_species": settings.held_out_species,
        "n_images": {split: len(dataset.indices(split)) for split in SPLITS},
        "methods": methods,
        "tables": {"main": table(methods, arguments.seeds)},
        "provenance": provenance(began, ("torch", "timm", "numpy", "scikit-learn")),
    }
    path = ROOT / "results" / "naming.json"
    path.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(path.relative_to(ROOT))


if __name__ == "__main__":
    main()
