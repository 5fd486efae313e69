"""Which normalisation of HCL to take: both are trained, and judged on validation photos.

    python benchmarks/normalization.py

Trains the demo profile with CE, HCL pair-normalised and HCL level-normalised (finished runs in
runs/ are loaded), and writes what each does on the validation split to results/normalization.json.
The test split is not looked at: the default that follows from this may be used on it.
"""

import dataclasses
import time

from fgcl_utils import runs, training

COLUMNS = ["method", "normalization", "genus outliers", "rate", "species accuracy"]


def main():
    began = time.perf_counter()
    demo = runs.Settings.from_profile("profiles/demo.yaml")
    data = runs.load_dataset(demo)
    rows, headline = [], {}
    for method, normalization in (("ce", None), ("hcl", "pair"), ("hcl", "level")):
        settings = demo
        if normalization not in (None, demo.normalization):
            settings = dataclasses.replace(
                demo, normalization=normalization, run_name=f"{demo.run_name}-{normalization}"
            )
        measures = training.train(settings, method, data)["metrics"]["val"]
        outliers, accuracy = measures["genus_outliers"], measures["species_accuracy"]
        rate = measures["genus_outlier_rate"]
        name = {"ce": "CE", "hcl": "HCL"}[method]
        rows.append([name, normalization or "", outliers, f"{rate:.1%}", f"{accuracy:.1%}"])
        key = normalization or method
        headline[f"{key}_outlier_rate"] = 100 * rate
        headline[f"{key}_species_accuracy"] = 100 * accuracy
        print(" | ".join(map(str, rows[-1])))
    headline["n_val"] = measures["n_test"]
    headline["soft_weight"] = demo.soft_weight
    caption = "Validation photos of the synthetic data, one seed."
    result = {
        "headline": headline,
        "tables": {"normalization": {"columns": COLUMNS, "rows": rows, "caption": caption}},
        "settings": dataclasses.asdict(demo),
        "provenance": runs.provenance() | {"seconds": round(time.perf_counter() - began, 1)},
    }
    path = runs.project_root() / "results" / "normalization.json"
    runs.write_json(path, result)
    print(path)


if __name__ == "__main__":
    main()
