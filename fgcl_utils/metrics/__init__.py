"""Outliers and the other measures of a representation, how sure they are, and what they mean.

The paper's measure: a test sample is an *outlier* if its nearest genus centroid is not that of its
own genus. Distances are cosine; centroids come from the training split unless said otherwise.
Every function takes arrays and returns arrays, numbers or a table; labels are integer codes,
``(N,)`` of one level or ``(N, L)`` of nested levels, finest first. A label of -1 is unknown: its
sample is left out at this level. A measure that the data does not define, such as the severity of
mistakes where there are none, is None.

==================  ===========================================================================
`evaluation`        all measures of one run: start here
`centroids`         outliers, by the nearest class centroid
`classifiers`       k nearest neighbours and a linear probe, from training to test features
`structure`         retrieval (MAP@R, recall@1) and silhouette, within one split
`hierarchy`         how well the order of all levels is kept: H-AP, NDCG, ASI, CPCC
`mistakes`          which classes are taken for which, and how far apart in the taxonomy
`shares`            what the shares of level blocks give, and which to take
`open_set`          species that training never saw
`calibration`       how far the classifier's probabilities can be believed
`selective`         what is wrong among the predictions that are sure enough
`uncertainty`       intervals over samples and seeds, paired tests between methods
==================  ===========================================================================
"""

from fgcl_utils.metrics.calibration import (
    brier_score,
    calibration_error,
    fit_temperature,
    negative_log_likelihood,
    reliability,
)
from fgcl_utils.metrics.centroids import (
    centroid_distance,
    class_centroids,
    nearest_centroid,
    nearest_centroid_2d,
    nearest_centroid_outliers,
    unit,
)
from fgcl_utils.metrics.classifiers import K_NEIGHBORS, knn_predictions, linear_predictions
from fgcl_utils.metrics.evaluation import evaluate
from fgcl_utils.metrics.hierarchy import cophenetic_correlation, ranking_measures
from fgcl_utils.metrics.mistakes import (
    confusable_species,
    genus_confusions,
    reduction_vs_ce,
    taxonomic_distance,
)
from fgcl_utils.metrics.open_set import auroc, fpr95
from fgcl_utils.metrics.selective import (
    area_under_risk_coverage,
    risk_coverage,
    threshold_for_risk,
)
from fgcl_utils.metrics.shares import (
    at_shares,
    choose_shares,
    share_curve,
    share_grid,
    share_line,
)
from fgcl_utils.metrics.structure import retrieval, silhouette
from fgcl_utils.metrics.uncertainty import (
    bootstrap_interval,
    compare,
    mcnemar,
    mean_interval,
    paired_bootstrap,
    ratio_interval,
    relative_change,
    share_of_possible,
)

__all__ = [
    "K_NEIGHBORS",
    "area_under_risk_coverage",
    "at_shares",
    "auroc",
    "bootstrap_interval",
    "brier_score",
    "calibration_error",
    "centroid_distance",
    "choose_shares",
    "class_centroids",
    "compare",
    "confusable_species",
    "cophenetic_correlation",
    "evaluate",
    "fit_temperature",
    "fpr95",
    "genus_confusions",
    "knn_predictions",
    "linear_predictions",
    "mcnemar",
    "mean_interval",
    "nearest_centroid",
    "nearest_centroid_2d",
    "nearest_centroid_outliers",
    "negative_log_likelihood",
    "paired_bootstrap",
    "ranking_measures",
    "ratio_interval",
    "reduction_vs_ce",
    "relative_change",
    "reliability",
    "retrieval",
    "risk_coverage",
    "share_curve",
    "share_grid",
    "share_line",
    "share_of_possible",
    "silhouette",
    "taxonomic_distance",
    "threshold_for_risk",
    "unit",
]
