"""What the measures of metrics.json are called, where they are taken, what is good, how they read.

`metrics.evaluate` puts a name together from a level, what is measured, "_encoder" if in the
encoder's features, and "_test_centroids" if not against centroids from train; `measure` takes it
apart again, so that a level may have any name.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
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
    place: int  # in a table: lower is first

    def text(self, mean: float, reach: float = float("nan")) -> str:
        """A value, and how far its interval reaches: "12.3 ± 0.4 %", "0.456", "" if undefined."""
        if math.isnan(mean):
            return ""
        scale, digits, unit = (100, 1, "\N{NO-BREAK SPACE}%") if self.unit else (1, 3, "")
        ends = "" if math.isnan(reach) else f" ± {scale * reach:.{digits}f}"
        return f"{scale * mean:.{digits}f}{ends}{unit}".replace("-", "−")


# What is measured: its name, which direction is better, unit, in the order of a table.
_OF_A_LEVEL = {
    "outlier_rate": ("outlier rate", "↓", "%"),
    "accuracy": ("accuracy", "↑", "%"),
    "accuracy_head": ("accuracy, most frequent third", "↑", "%"),
    "accuracy_middle": ("accuracy, middle third", "↑", "%"),
    "accuracy_tail": ("accuracy, rarest third", "↑", "%"),
    "knn_accuracy": ("k-NN accuracy", "↑", "%"),
    "linear_accuracy": ("linear accuracy", "↑", "%"),
    "map_at_r": ("MAP@R", "↑", "%"),
    "recall_at_1": ("recall@1", "↑", "%"),
    "silhouette": ("silhouette", "↑", ""),
}
_OF_ALL_LEVELS = {
    "full_path_accuracy": ("accuracy at all levels", "↑", "%"),
    "path_inconsistency": ("inconsistent levels", "↓", "%"),
    "mistake_severity": ("severity of mistakes", "↓", ""),
    "mean_taxonomic_distance": ("taxonomic distance", "↓", ""),
    "h_ap": ("hierarchical AP", "↑", "%"),
    "ndcg": ("NDCG", "↑", ""),
    "asi": ("average set intersection", "↑", ""),
    "order_concordance": ("concordance of the order", "↑", ""),
    "mean_hierarchical_distance_at_1": ("distance of the nearest", "↓", ""),
    "mean_hierarchical_distance_at_5": ("distance of the nearest 5", "↓", ""),
    "mean_hierarchical_distance_at_20": ("distance of the nearest 20", "↓", ""),
    "cpcc": ("cophenetic correlation", "↑", ""),
    "open_set_auroc": ("unseen classes, AUROC", "↑", "%"),
    "open_set_fpr95": ("unseen classes, FPR95", "↓", "%"),
}
_OF_THE_CLASSIFIER = {
    "classifier_accuracy": ("accuracy", "↑", "%"),
    "calibration_error": ("calibration error", "↓", "%"),
    "calibration_error_scaled": ("calibration error, scaled", "↓", "%"),
    "nll": ("log loss", "↓", ""),
    "brier": ("Brier score", "↓", ""),
}
_PLACES = [*_OF_A_LEVEL, *_OF_ALL_LEVELS, *_OF_THE_CLASSIFIER]


def measure(key: str) -> Measure | None:
    """How a measure of metrics.json is shown.

    None of what is not shown as a measure: counts, intervals, what describes the run.
    """
    if key in _OF_THE_CLASSIFIER:
        return Measure("classifier", *_OF_THE_CLASSIFIER[key], _PLACES.index(key))
    stem = key.removesuffix("_test_centroids")
    against = ", test centroids" if stem != key else ""
    space = "encoder" if stem.endswith("_encoder") else "embedding"
    stem = stem.removesuffix("_encoder")
    if stem in _OF_ALL_LEVELS:
        return Measure(space, *_OF_ALL_LEVELS[stem], _PLACES.index(stem))
    for kind in sorted(_OF_A_LEVEL, key=len, reverse=True):  # "knn_accuracy" before "accuracy"
        if stem.endswith(f"_{kind}"):
            name, *rest = _OF_A_LEVEL[kind]
            level = stem.removesuffix(f"_{kind}")
            return Measure(space, f"{level} {name}{against}", *rest, _PLACES.index(kind))
    return None


def measures_of(keys: Iterable[str]) -> dict[str, Measure]:
    """Those of the keys that are measures, in the order of a table: by space, then by kind.

    Levels stay in the order in which they are given.
    """
    found = {key: m for key in keys if (m := measure(str(key)))}
    order = {space: k for k, space in enumerate(SPACES)}
    return dict(sorted(found.items(), key=lambda item: (order[item[1].space], item[1].place)))


def headline(levels: Sequence[str]) -> list[str]:
    """The measures that decide: the outlier rate of every level but the finest, its accuracy."""
    return [*(f"{level}_outlier_rate" for level in levels[1:]), f"{levels[0]}_accuracy"]


def mean_texts(table: pd.DataFrame, name: str) -> dict[str, str]:
    """A measure of every method in words, such as {"ce": "17.5 ± 3.9 %"}.

    Parameters
    ----------
    table : DataFrame
        One row a run: method and the measure, as in metrics.json.
    name : str
        Its column.
    """
    texts, shown = {}, measure(name)
    for method in in_order(table["method"]):
        mean, _, high = mean_interval(table.loc[table["method"] == method, name].dropna())
        texts[method] = shown.text(mean, high - mean)
    return texts


def recorded_runs(result: Mapping, split: str) -> pd.DataFrame:
    """The runs without overrides, a row each: method, seed and measures."""
    return pd.DataFrame(
        {"method": run["method"], "seed": run["seed"]} | run[split]
        for run in result["runs"]
        if not run["overrides"]
    )
