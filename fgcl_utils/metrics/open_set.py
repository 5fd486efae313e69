"""Open-set recognition: does a sample of a species that training never saw look like one?

Unknown samples are told by a score that is higher the stranger a sample is, here the cosine
distance to the nearest species centroid of the training split.
"""

import numpy as np
from sklearn.metrics import roc_auc_score


def auroc(known, unknown):
    """Probability that an unknown sample scores higher than a known one (ties count half).

    Parameters
    ----------
    known, unknown : float array (N,), (M,)
        Scores, higher for stranger samples.
    """
    _check(known, unknown)
    is_unknown = np.repeat([0, 1], [len(known), len(unknown)])
    return float(roc_auc_score(is_unknown, np.concatenate([known, unknown])))


def fpr95(known, unknown):
    """Share of the unknown samples that pass as known at the threshold that 95 % of the known pass.

    This is the convention of the out-of-distribution literature (Hendrycks and Gimpel 2017; Liang
    et al. 2018, "FPR at 95 % TPR"): "positive" are the *known* samples, accepted where the score
    is at most the threshold, the smallest score that accepts at least 95 % of them. 0 is best;
    0.95 is what a score without information gives.

    Parameters
    ----------
    known, unknown : float array (N,), (M,)
        Scores, higher for stranger samples.
    """
    _check(known, unknown)
    threshold = np.quantile(known, 0.95, method="inverted_cdf")
    return float((np.asarray(unknown) <= threshold).mean())


def _check(known, unknown):
    if not len(known) or not len(unknown):
        raise ValueError(
            f"{len(known)} known and {len(unknown)} unknown samples: open-set measures need both"
        )
