"""Selective prediction: who may stay silent is wrong less often when it speaks.

A prediction counts where its confidence reaches a threshold. *Coverage* is the share of samples
with such a prediction, *risk* the share of these that is wrong (El-Yaniv and Wiener, JMLR 2010).
"""

import numpy as np
import pandas as pd


def risk_coverage(confidence, right):
    """Coverage and risk at every threshold, the most confident predictions first.

    Parameters
    ----------
    confidence : float array (N,)
    right : bool array (N,)
        Whether the prediction is the truth.

    Returns
    -------
    DataFrame
        threshold, coverage and risk; one row a different confidence.
    """
    confidence, right = _checked(confidence, right)
    order = np.argsort(-confidence, kind="stable")
    confidence, wrong = confidence[order], np.cumsum(~right[order])
    n = np.arange(1, len(confidence) + 1)
    last = np.append(np.diff(confidence) != 0, True)  # equal confidences come in together
    return pd.DataFrame(
        {"threshold": confidence, "coverage": n / len(confidence), "risk": wrong / n}
    )[last].reset_index(drop=True)


def area_under_risk_coverage(confidence, right):
    """Mean risk over all coverages, in [0, 1], 0 is best (AURC; Geifman et al., ICLR 2019)."""
    curve = risk_coverage(confidence, right)
    return float((curve["risk"] * np.diff(curve["coverage"], prepend=0)).sum())


def threshold_for_risk(confidence, right, risk):
    """The lowest threshold at which at most a share of `risk` is wrong; infinite if there is none.

    Parameters
    ----------
    confidence, right
        As in `risk_coverage`; may be empty.
    risk : float
        In [0, 1].
    """
    if not len(confidence):
        return np.inf
    curve = risk_coverage(confidence, right)
    allowed = curve["threshold"][curve["risk"] <= risk]
    return float(allowed.min()) if len(allowed) else np.inf


def _checked(confidence, right):
    confidence, right = np.asarray(confidence, dtype=np.float64), np.asarray(right)
    if confidence.ndim != 1 or confidence.shape != right.shape or not len(right):
        raise ValueError(
            f"confidences of shape {confidence.shape} and truths of shape {right.shape} do not "
            "belong together: give one of each a sample, and at least one sample"
        )
    if right.dtype != bool or np.isnan(confidence).any():
        raise ValueError(f"right is {right.dtype}, not bool, or a confidence is not a number")
    return confidence, right
