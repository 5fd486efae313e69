"""What the measures of metrics.json are called, in which space they are taken, and what is good.

A measure's name is put together by `metrics.evaluate`: a level, what is measured, "_encoder" if in
the encoder's features, "_test_centroids" if not against centroids from train. It is taken apart
here, so that a new level or measure has a name without being listed twice.
"""

import math
from typing import NamedTuple

SPACES = ("embedding", "encoder", "classifier")

# Ending of the key, without level and space: name, which direction is better, how it is written.
_KINDS = {
    "outlier_rate": ("outlier rate", "↓", "%"),
    "accuracy": ("accuracy, nearest centroid", "↑", "%"),
    "knn_accuracy": ("accuracy, nearest neighbours", "↑", "%"),
    "linear_accuracy": ("accuracy, linear probe", "↑", "%"),
    "map_at_r": ("MAP@R", "↑", "%"),
    "recall_at_1": ("recall@1", "↑", "%"),
    "silhouette": ("silhouette", "↑", ""),
    "mistake_severity": ("severity of mistakes", "↓", ""),
    "mean_taxonomic_distance": ("taxonomic distance", "↓", ""),
    "open_set_auroc": ("AUROC, unseen species", "↑", "%"),
    "open_set_fpr95": ("FPR95, unseen species", "↓", "%"),
}
_OF_THE_CLASSIFIER = {
    "classifier_accuracy": ("species accuracy", "↑", "%"),
    "calibration_error": ("calibration error", "↓", "%"),
    "calibration_error_scaled": ("calibration error, scaled", "↓", "%"),
    "nll": ("negative log-likelihood", "↓", ""),
    "brier": ("Brier score", "↓", ""),
}
_LEVELS = ("species", "genus", "family", "order", "class")


class Measure(NamedTuple):
    """How a measure is shown."""

    space: str  # one of SPACES
    name: str
    better: str  # "↑" or "↓"
    unit: str  # "%" for fractions of 1, else ""

    def text(self, mean: float, reach: float = float("nan")) -> str:
        """A value, and how far its interval reaches to both sides: "12.3 ± 0.4%", "0.456"."""
        scale, digits = (100, 1) if self.unit else (1, 3)
        ends = "" if math.isnan(reach) else f" ± {scale * reach:.{digits}f}"
        return f"{scale * mean:.{digits}f}{ends}{self.unit}".replace("-", "−")


def measure(key: str) -> Measure | None:
    """How the measure of this key in metrics.json is shown; None if it is not one to be shown.

    Counts, intervals and what describes the run (n_test, seconds) are not.
    """
    if key in _OF_THE_CLASSIFIER:
        return Measure("classifier", *_OF_THE_CLASSIFIER[key])
    stem, against_test = _without(key, "_test_centroids")
    stem, in_encoder = _without(stem, "_encoder")
    level = next((level for level in _LEVELS if stem.startswith(f"{level}_")), "")
    kind = _KINDS.get(stem.removeprefix(f"{level}_") if level else stem)
    if kind is None:
        return None
    name = f"{level} {kind[0]}".strip() + (", test centroids" if against_test else "")
    return Measure("encoder" if in_encoder else "embedding", name, *kind[1:])


def _without(text: str, ending: str) -> tuple[str, bool]:
    return text.removesuffix(ending), text.endswith(ending)
