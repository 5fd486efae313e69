"""What a simple classifier reads off frozen features: nearest neighbours and a linear probe."""

import hashlib
import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler, normalize

from fgcl_utils.metrics.centroids import known_samples

K_NEIGHBORS = 5
PROBE_SAMPLES = 50_000
PROBE_STEPS = 200
# Fitted probes by the content of their training samples: val and test ask the same one, and so do
# all heads on one encoder.
PROBES_KEPT = 8
_probes = {}


def knn_predictions(train, train_labels, test, k=K_NEIGHBORS):
    """Majority label of the `k` nearest training samples by cosine.

    Parameters
    ----------
    train, test : float array (N_train, D), (N_test, D)
    train_labels : int array (N_train,) or (N_train, L)
        Levels vote one by one: the genus is not that of the species with most votes. Samples of
        unknown class (-1) at a level have no vote there, and the nearest others are asked.
    k : int
        At most N_train are asked.

    Returns
    -------
    int array (N_test,) or (N_test, L)
        Of labels with equally many votes, the smallest.
    """
    train_labels = np.asarray(train_labels)
    # Levels that know all samples share one search; scikit-learn's answer for one has no columns.
    if train_labels.ndim == 2 and (train_labels.shape[1] == 1 or train_labels.min() < 0):
        levels = [knn_predictions(train, level, test, k) for level in train_labels.T]
        return np.column_stack(levels)
    train, train_labels = known_samples(train_labels, train)
    # Euclidean and cosine order agree on unit vectors, and scikit-learn searches the Euclidean
    # one in blocks that stay in the cache.
    model = KNeighborsClassifier(min(k, len(train)), algorithm="brute")
    model.fit(normalize(np.asarray(train, dtype=np.float32)), train_labels)
    return model.predict(normalize(np.asarray(test, dtype=np.float32)))


def linear_predictions(train, train_labels, test, seed=0):
    """Predictions of a linear probe: multinomial logistic regression on standardised features.

    The probe has a budget, part of its definition: scikit-learn's defaults (penalty C = 1, L-BFGS),
    at most 200 steps, and a seeded sample of 50,000 where there are more training samples.

    Parameters
    ----------
    train, test : float array (N_train, D), (N_test, D)
    train_labels : int array (N_train,)
        Samples of unknown class (-1) are left out.
    seed : int
        Of that sample.

    Returns
    -------
    int array (N_test,)
    """
    train, train_labels = known_samples(train_labels, np.asarray(train, dtype=np.float32))
    if len(train) > PROBE_SAMPLES:
        rows = np.random.default_rng(seed).choice(len(train), PROBE_SAMPLES, replace=False)
        train, train_labels = train[rows], train_labels[rows]
    if (train_labels == train_labels[0]).all():  # nothing to separate
        return np.full(len(test), train_labels[0])
    return _probe(train, train_labels).predict(np.asarray(test, dtype=np.float32))


def _probe(train, train_labels):
    content = hashlib.sha256(str((train.shape, train_labels.dtype)).encode())
    for array in (train, train_labels):
        content.update(np.ascontiguousarray(array))
    key = content.digest()
    if key not in _probes:
        probe = make_pipeline(StandardScaler(), LogisticRegression(max_iter=PROBE_STEPS))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            probe.fit(train, train_labels)
        while len(_probes) >= PROBES_KEPT:
            del _probes[next(iter(_probes))]
        _probes[key] = probe
    return _probes[key]
