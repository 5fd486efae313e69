"""Calibration: is a classifier that says "90 %" right in nine cases of ten?"""

import numpy as np
import pandas as pd
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

LARGEST_TEMPERATURE = 100.0


def reliability(probabilities, labels, n_bins=15):
    """Confidence and accuracy of the predicted class, by bins of confidence.

    Bins are equally wide and closed on the right (Guo et al., "On calibration of modern neural
    networks", ICML 2017).

    Parameters
    ----------
    probabilities : float array (N, C)
    labels : int array (N,)
    n_bins : int

    Returns
    -------
    DataFrame
        low, high (the bin's edges), n (its samples), confidence and accuracy (their means; NaN
        in an empty bin). One row a bin.
    """
    probabilities, labels = _checked_probabilities(probabilities, labels)
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == labels
    edges = np.linspace(0, 1, n_bins + 1)
    bins = np.clip(np.searchsorted(edges, confidence, side="left") - 1, 0, n_bins - 1)
    table = pd.DataFrame({"confidence": confidence, "accuracy": right.astype(float)})
    table = table.groupby(bins).mean().reindex(range(n_bins))
    counts = np.bincount(bins, minlength=n_bins)
    return table.assign(low=edges[:-1], high=edges[1:], n=counts)[
        ["low", "high", "n", "confidence", "accuracy"]
    ]


def calibration_error(probabilities, labels, n_bins=15):
    """Expected calibration error: mean gap between confidence and accuracy, bins by their share."""
    bins = reliability(probabilities, labels, n_bins)
    gaps = (bins["confidence"] - bins["accuracy"]).abs()  # NaN where n is 0
    return float((gaps * bins["n"]).sum() / bins["n"].sum())


def brier_score(probabilities, labels):
    """Mean squared distance of the probabilities (N, C) from the one-hot labels (N,), in [0, 2]."""
    # scikit-learn has it for more than two classes from 1.7 on only.
    probabilities, labels = _checked_probabilities(probabilities, labels)
    truth = np.arange(probabilities.shape[1]) == labels[:, None]
    return float(((probabilities - truth) ** 2).sum(axis=1).mean())


def negative_log_likelihood(logits, labels):
    """Mean -log probability of the true class (N,), in nats, from logits (N, C).

    From logits and not from probabilities: these round to 0 where a network is surest.
    """
    logits, labels = _checked(logits, labels)
    return float(-log_softmax(logits, axis=1)[np.arange(len(labels)), labels].mean())


def fit_temperature(logits, labels):
    """The T for which softmax(logits / T) is likeliest, float in [0.01, 100] (Guo et al. 2017).

    Fit it on validation logits (N, C) and labels (N,): the predicted classes stay, the confidence
    changes.
    """
    bound = np.log(LARGEST_TEMPERATURE)
    found = minimize_scalar(
        lambda log_t: negative_log_likelihood(np.asarray(logits) / np.exp(log_t), labels),
        bounds=(-bound, bound),
        method="bounded",
    )
    return float(np.exp(found.x))


def _checked_probabilities(probabilities, labels):
    """As `_checked`, and the rows are probabilities."""
    probabilities, labels = _checked(probabilities, labels)
    sums = probabilities.sum(axis=1)
    if probabilities.min() < 0 or np.abs(sums - 1).max() > 1e-3:
        raise ValueError(
            f"these are no probabilities: the least is {probabilities.min():.3g}, and rows sum to "
            f"{sums.min():.3g} to {sums.max():.3g}. Pass scipy.special.softmax(logits, axis=1)"
        )
    return probabilities, labels


def _checked(scores, labels):
    """`scores` (N, C) as float64 and `labels` (N,), if the labels are columns of the scores."""
    scores, labels = np.asarray(scores, dtype=np.float64), np.asarray(labels)
    if scores.ndim != 2 or labels.shape != scores.shape[:1] or not len(labels):
        raise ValueError(
            f"scores of shape {scores.shape} and labels of shape {labels.shape} do not belong "
            "together: give (N, classes) and (N,), N at least 1"
        )
    if labels.min() < 0 or labels.max() >= scores.shape[1]:
        raise ValueError(
            f"labels run from {labels.min()} to {labels.max()}, but the scores have columns for "
            f"classes 0 to {scores.shape[1] - 1}: give codes of the classifier's own classes"
        )
    return scores, labels
