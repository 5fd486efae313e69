"""What the measures of metrics.json are called, where they are taken, what is good, how they read.

`metrics.evaluate` puts a name together from a level, what is measured, "_encoder" if in the
encoder's features, and "_test_centroids" if not against centroids from train; so does `MEASURES`.
"""

import math
from collections.abc import Mapping
from typing import NamedTuple

import pandas as pd

from fgcl_utils.figures.style import in_order
from fgcl_utils.metrics import mean_interval

SPACES = {  # where a measure is taken: as a heading says it
    "embedding": "in the embedding",
    "encoder": "in the encoder's features",
    "classifier": "of the classifier",
}


class Measure(NamedTuple):
    """How a measure is shown."""

    space: str  # a key of SPACES
    name: str
    better: str  # "↑" or "↓"
    unit: str  # "%" for fractions of 1, else ""

    def text(self, mean: float, reach: float = float("nan")) -> str:
        """A value, and how far its interval reaches: "12.3 ± 0.4%", "0.456", "" if undefined."""
        if math.isnan(mean):
            return ""
        scale, digits = (100, 1) if self.unit else (1, 3)
        ends = "" if math.isnan(reach) else f" ± {scale * reach:.{digits}f}"
        return f"{scale * mean:.{digits}f}{ends}{self.unit}".replace("-", "−")


_LEVELS = ("species", "genus", "family", "order", "class")
_OF_A_LEVEL = {  # key: name, which direction is better, unit
    "outlier_rate": ("outlier rate", "↓", "%"),
    "accuracy": ("accuracy", "↑", "%"),
    "knn_accuracy": ("k-NN accuracy", "↑", "%"),
    "linear_accuracy": ("linear accuracy", "↑", "%"),
    "map_at_r": ("MAP@R", "↑", "%"),
    "recall_at_1": ("recall@1", "↑", "%"),
    "silhouette": ("silhouette", "↑", ""),
}
_OF_ALL_LEVELS = {
    "mistake_severity": ("severity of mistakes", "↓", ""),
    "mean_taxonomic_distance": ("taxonomic distance", "↓", ""),
    "open_set_auroc": ("unseen species, AUROC", "↑", "%"),
    "open_set_fpr95": ("unseen species, FPR95", "↓", "%"),
}
_OF_THE_CLASSIFIER = {
    "classifier_accuracy": ("species accuracy", "↑", "%"),
    "calibration_error": ("calibration error", "↓", "%"),
    "calibration_error_scaled": ("calibration error, scaled", "↓", "%"),
    "nll": ("log loss", "↓", ""),
    "brier": ("Brier score", "↓", ""),
}


def _all_measures() -> dict[str, Measure]:
    found = {}
    for ending, space in (("", "embedding"), ("_encoder", "encoder")):
        for kind, (name, *rest) in _OF_A_LEVEL.items():
            for level in _LEVELS:
                key, name_of_level = f"{level}_{kind}{ending}", f"{level} {name}"
                found[key] = Measure(space, name_of_level, *rest)
                found[f"{key}_test_centroids"] = Measure(
                    space, f"{name_of_level}, test centroids", *rest
                )
        for kind, rest in _OF_ALL_LEVELS.items():
            found[f"{kind}{ending}"] = Measure(space, *rest)
    return found | {kind: Measure("classifier", *rest) for kind, rest in _OF_THE_CLASSIFIER.items()}


# Key in metrics.json: how it is shown, in the order of a table. Counts, intervals and what
# describes the run (n_test, seconds) are not among them.
MEASURES = _all_measures()


def mean_texts(table: pd.DataFrame, name: str) -> dict[str, str]:
    """A measure of every method in words, such as {"ce": "17.5 ± 3.9%"}.

    Parameters
    ----------
    table : DataFrame
        One row a run: method and the measure, as in metrics.json.
    name : str
        Its column.
    """
    texts = {}
    for method in in_order(table["method"]):
        mean, _, high = mean_interval(table.loc[table["method"] == method, name].dropna())
        texts[method] = MEASURES[name].text(mean, high - mean)
    return texts


def recorded_runs(result: Mapping, split: str) -> pd.DataFrame:
    """The runs without overrides, a row each: method, seed and measures."""
    return pd.DataFrame(
        {"method": run["method"], "seed": run["seed"]} | run[split]
        for run in result["runs"]
        if not run["overrides"]
    )
