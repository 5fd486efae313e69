"""How sure: intervals over test samples or seeds, and paired tests between methods.

Photos of one observation are not independent. With `groups` whole observations are resampled (the
cluster bootstrap), and intervals become as wide as they should be. These cover the choice of test
samples. The seed of the training is covered by training with several: `mean_interval`,
`relative_change` and `share_of_possible` take a value a seed.
"""

from itertools import combinations

import numpy as np
import pandas as pd
from scipy import stats
from sklearn.utils import gen_batches

DRAWS = 2**20  # at once, whatever the number of samples and resamples
LEAST_RUNS = 3  # t is 12.7 with two: they bound a ratio to nothing that could be read


def bootstrap_interval(values, confidence=0.95, n_resamples=2000, seed=0, groups=None):
    """Percentile interval of the mean of `values` under resampling of the samples.

    Parameters
    ----------
    values : float or bool array (N,)
    confidence : float
        In (0, 1).
    n_resamples, seed : int
    groups : array (N,), optional
        Samples with equal values are drawn together. A missing value (None, NaN or "") is a
        group of its own.

    Returns
    -------
    low, high : float
    """
    means = _resampled_means(values, n_resamples, seed, groups)
    tail = 50 * (1 - confidence)
    low, high = np.percentile(means, [tail, 100 - tail])
    return float(low), float(high)


def mean_interval(values, confidence=0.95):
    """Mean of a few runs and the ends of its interval by Student's t; NaN where undefined.

    Parameters
    ----------
    values : float array (N,)
    confidence : float
        In (0, 1).
    """
    values = np.asarray(values, dtype=np.float64)
    mean = float(values.mean()) if len(values) else np.nan
    if len(values) < 2:
        return mean, np.nan, np.nan
    reach = stats.t.ppf((1 + confidence) / 2, len(values) - 1) * stats.sem(values)
    return mean, float(mean - reach), float(mean + reach)


def relative_change(ce, method, confidence=0.95):
    """Change from CE's mean over seeds to a method's, as a fraction of CE's, and its interval.

    Parameters
    ----------
    ce, method : float array (S,)
        A measure of every run, such as its outliers; runs of the same seed in the same place.
    confidence : float
        In (0, 1).

    Returns
    -------
    change, low, high : float or None
        -0.7 is 70 % less. The interval is None with fewer than three seeds, all is None where CE's
        mean is 0; see `ratio_interval`.
    """
    ce, method = _by_seed(ce, method)
    return ratio_interval(method - ce, ce, confidence)


def share_of_possible(ce, method, floor, confidence=0.95):
    """Share of the possible reduction that a method reaches, over seeds, and its interval.

    (CE - method) / (CE - floor), from the means over seeds. The floor is what training with the
    coarse labels alone leaves, the least that the labels allow: 1 is all that is possible, 0
    nothing, and more than 1 is below the floor.

    Parameters
    ----------
    ce, method, floor : float array (S,)
        A measure of every run, such as its outliers; runs of the same seed in the same place.
    confidence : float
        In (0, 1).

    Returns
    -------
    share, low, high : float or None
        The interval is None with fewer than three seeds, or where they do not tell CE from the
        floor; all is None where the floor's mean is not below CE's. See `ratio_interval`.
    """
    ce, method, floor = _by_seed(ce, method, floor)
    if floor.mean() >= ce.mean():
        return None, None, None
    return ratio_interval(ce - method, ce - floor, confidence)


def ratio_interval(above, below, confidence=0.95):
    """Ratio of two means over the same runs, and its interval by Fieller's theorem.

    The interval holds every ratio r at which a t-test over the runs does not reject that
    above - r · below has mean 0. It is exact if these differences are normal, uses that what
    happens to both in a run cancels, and is right for three runs already: a bootstrap of so few
    is too narrow, and a mean of their ratios is pulled by the run with the smallest `below`.
    Fieller, "Some problems in interval estimation", JRSS B, 1954.

    Parameters
    ----------
    above, below : float array (S,)
        One value a run, in the same order.
    confidence : float
        In (0, 1).

    Returns
    -------
    ratio, low, high : float or None
        The interval is None with fewer than three runs, or where it has no ends because the mean
        of `below` could be 0; the ratio, too, where that mean is 0.
    """
    above, below = _by_seed(above, below)
    a, b, n = above.mean(), below.mean(), len(above)
    if b == 0:
        return None, None, None
    if n < LEAST_RUNS:
        return float(a / b), None, None
    squared_t = stats.t.ppf((1 + confidence) / 2, n - 1) ** 2
    (aa, ab), (_, bb) = squared_t / n * np.cov(above, below)
    # (a - r b)² <= aa - 2 r ab + r² bb, a parabola in r.
    curvature, middle, end = b**2 - bb, a * b - ab, a**2 - aa
    if curvature <= 0:
        return float(a / b), None, None
    reach = np.sqrt(max(0, middle**2 - curvature * end))
    return float(a / b), float((middle - reach) / curvature), float((middle + reach) / curvature)


def mcnemar(a, b):
    """Exact test of whether two methods err equally often on the same samples (McNemar 1947).

    Only samples on which they differ count; if neither is better, each of those is a fair coin.

    Parameters
    ----------
    a, b : bool array (N,)
        One entry a sample, such as whether it is an outlier.

    Returns
    -------
    dict
        ``only_a``, ``only_b`` (samples true in one of them alone) and ``p_value`` (two-sided).
    """
    a, b = _paired(a, b)
    only_a, only_b = int((a & ~b).sum()), int((b & ~a).sum())
    differing = only_a + only_b
    p_value = float(stats.binomtest(only_a, differing).pvalue) if differing else 1.0
    return {"only_a": only_a, "only_b": only_b, "p_value": p_value}


def paired_bootstrap(a, b, confidence=0.95, n_resamples=2000, seed=0, groups=None):
    """Difference of two methods' means over the same samples, and how sure it is.

    Parameters
    ----------
    a, b : float or bool array (N,)
    confidence, n_resamples, seed, groups
        As in `bootstrap_interval`.

    Returns
    -------
    dict
        ``difference`` (mean of a minus mean of b), ``low`` and ``high`` (its interval) and
        ``p_value`` (two-sided: twice the share of resamples on the rarer side of zero, the
        observed sample counted in, so it is never 0).
    """
    a, b = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    _check_paired(a, b)
    means = _resampled_means(a - b, n_resamples, seed, groups)
    tail = 50 * (1 - confidence)
    low, high = np.percentile(means, [tail, 100 - tail])
    rarer = 1 + min((means <= 0).sum(), (means >= 0).sum())
    return {
        "difference": float((a - b).mean()),
        "low": float(low),
        "high": float(high),
        "p_value": float(min(1, 2 * rarer / (1 + n_resamples))),
    }


def compare(methods, groups=None):
    """Every two methods against each other on the same samples.

    Parameters
    ----------
    methods : dict of str to bool array (N,)
        One entry a sample, such as whether it is an outlier of the method.
    groups : array (N,), optional
        As in `bootstrap_interval`.

    Returns
    -------
    DataFrame
        a, b, only_a and only_b (see `mcnemar`), difference (rate of a minus rate of b), low and
        high (see `paired_bootstrap`), p_value. It is McNemar's, which takes every sample for
        independent; with groups it is the bootstrap's. One row a pair; the p-values are not
        corrected for their number.
    """
    rows = []
    for a, b in combinations(methods, 2):
        test = mcnemar(methods[a], methods[b])
        bootstrap = paired_bootstrap(methods[a], methods[b], groups=groups)
        p_value = (test if groups is None else bootstrap)["p_value"]
        rows.append({"a": a, "b": b, **test, **bootstrap, "p_value": p_value})
    columns = ["a", "b", "only_a", "only_b", "difference", "low", "high", "p_value"]
    return pd.DataFrame(rows, columns=columns)


def _resampled_means(values, n_resamples, seed, groups):
    """Means of `n_resamples` resamples of the values, or of their groups, float64."""
    values = np.asarray(values, dtype=np.float64)
    if not len(values):
        raise ValueError("there are no values to resample: the mean of nothing has no interval")
    sizes = np.ones(len(values))
    if groups is not None:
        codes = _group_codes(groups, len(values))
        sizes, values = np.bincount(codes), np.bincount(codes, weights=values)
    rng = np.random.default_rng(seed)
    means = np.empty(n_resamples)
    for block in gen_batches(n_resamples, max(1, DRAWS // len(values))):
        drawn = rng.integers(0, len(values), (block.stop - block.start, len(values)))
        means[block] = values[drawn].sum(axis=1) / sizes[drawn].sum(axis=1)
    return means


def _group_codes(groups, n):
    """Codes 0, 1, ... of the groups of `n` samples; every missing one is a group of its own."""
    if len(groups) != n:
        raise ValueError(f"{len(groups)} groups for {n} values: give one group a value")
    groups = np.asarray(groups, dtype=object)
    codes, names = pd.factorize(np.where(groups == "", None, groups))
    missing = codes < 0
    codes[missing] = len(names) + np.arange(missing.sum())
    return codes


def _by_seed(*runs):
    """Measures of runs as float64 arrays (S,), if there are as many of each."""
    runs = [np.atleast_1d(np.asarray(values, dtype=np.float64)) for values in runs]
    sizes = [values.shape for values in runs]
    if len(set(sizes)) > 1 or runs[0].ndim != 1 or not len(runs[0]):
        raise ValueError(
            f"there are values of shapes {', '.join(map(str, sizes))}: give every method one value "
            "a seed, for the same seeds in the same order"
        )
    return runs


def _paired(a, b):
    a, b = np.asarray(a), np.asarray(b)
    _check_paired(a, b)
    if a.dtype != bool or b.dtype != bool:
        raise ValueError(f"McNemar's test takes two bool arrays, not {a.dtype} and {b.dtype}")
    return a, b


def _check_paired(a, b):
    if a.ndim != 1 or a.shape != b.shape:
        raise ValueError(
            f"the two methods have results of shapes {a.shape} and {b.shape}: "
            "a paired test needs one value a sample, for the same samples in the same order"
        )
