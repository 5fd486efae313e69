"""Intervals and paired tests: coverage, agreement with scipy, and cases known by hand."""

import numpy as np
import pytest
from scipy.stats import binom, ttest_1samp

from fgcl_utils import metrics
from fgcl_utils.metrics import uncertainty


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def observations(rng, n_groups, size):
    """Outliers that agree within an observation: bool (n_groups * size,), and their groups."""
    groups = np.repeat(np.arange(n_groups), size)
    return (rng.random(n_groups) < 0.3)[groups], groups


def test_interval_covers_the_mean_as_often_as_it_says(rng):
    covered = 0
    for repeat in range(200):
        low, high = metrics.bootstrap_interval(rng.random(200) < 0.2, n_resamples=300, seed=repeat)
        covered += low <= 0.2 <= high
    assert 0.90 <= covered / 200 <= 0.99


def test_interval_equals_a_loop_over_resamples(rng, monkeypatch):
    values = rng.random(50)
    loop = np.random.default_rng(3)
    means = [values[loop.integers(0, 50, 50)].mean() for _ in range(400)]
    expected = np.percentile(means, [5, 95])
    monkeypatch.setattr(uncertainty, "DRAWS", 1000)  # several blocks
    found = metrics.bootstrap_interval(values, confidence=0.9, n_resamples=400, seed=3)
    assert found == pytest.approx(expected)


def test_groups_widen_the_interval_to_cover_the_mean(rng):
    covered = np.zeros(2)
    for repeat in range(150):
        values, groups = observations(rng, 60, 4)
        for i, g in enumerate((None, groups)):
            low, high = metrics.bootstrap_interval(values, n_resamples=200, seed=repeat, groups=g)
            covered[i] += low <= 0.3 <= high
    assert covered[0] / 150 < 0.8
    assert 0.88 <= covered[1] / 150 <= 0.99


def test_groups_of_one_change_nothing_and_missing_ones_stand_alone(rng):
    values = rng.random(30)
    expected = metrics.bootstrap_interval(values)
    assert metrics.bootstrap_interval(values, groups=np.arange(30)) == expected
    for missing in (None, "", np.nan):
        assert metrics.bootstrap_interval(values, groups=[missing] * 30) == expected
    assert metrics.bootstrap_interval(values, groups=["one"] * 30) == pytest.approx(
        [values.mean()] * 2
    )


def test_unequal_groups_weigh_by_their_samples():
    values, groups = [1, 1, 1, 0], ["a", "a", "a", "b"]
    low, high = metrics.bootstrap_interval(values, groups=groups)
    assert (low, high) == (0, 1)
    found = metrics.paired_bootstrap(values, np.zeros(4), groups=groups)
    assert found["difference"] == 0.75


def test_mcnemar_is_the_exact_binomial_test():
    a = np.repeat([True, True, False, False], [5, 9, 2, 84])
    b = np.repeat([True, False, True, False], [5, 9, 2, 84])
    found = metrics.mcnemar(a, b)
    assert (found["only_a"], found["only_b"]) == (9, 2)
    assert found["p_value"] == pytest.approx(2 * binom.cdf(2, 11, 0.5))
    assert metrics.mcnemar(b, a)["p_value"] == pytest.approx(found["p_value"])
    assert metrics.mcnemar(a, a) == {"only_a": 0, "only_b": 0, "p_value": 1.0}


def test_paired_bootstrap_sees_what_is_common_cancel(rng):
    hard = rng.random(500) < 0.5  # photos on which everybody fails
    a, b = hard | (rng.random(500) < 0.08), hard
    found = metrics.paired_bootstrap(a, b)
    assert found["difference"] == pytest.approx(a.mean() - b.mean())
    assert 0 < found["low"] < found["difference"] < found["high"]
    assert found["p_value"] < 0.01
    assert metrics.bootstrap_interval(a)[0] < metrics.bootstrap_interval(b)[1]  # they overlap


def test_paired_bootstrap_p_value_is_as_small_as_it_should_be(rng):
    p_values = []
    for repeat in range(200):
        a, b = rng.normal(size=(2, 60))
        p_values.append(metrics.paired_bootstrap(a, b, n_resamples=200, seed=repeat)["p_value"])
    assert 0.02 <= np.mean(np.array(p_values) <= 0.05) <= 0.10
    assert 0.4 <= np.mean(p_values) <= 0.6
    assert metrics.paired_bootstrap(np.ones(5), np.ones(5))["p_value"] == 1


def test_compare_lists_every_pair(rng):
    outliers = {
        m: rng.random(300) < rate for m, rate in (("ce", 0.3), ("supcon", 0.2), ("hcl", 0.1))
    }
    table = metrics.compare(outliers)
    assert table[["a", "b"]].to_numpy().tolist() == [
        ["ce", "supcon"],
        ["ce", "hcl"],
        ["supcon", "hcl"],
    ]
    row = table.iloc[1]
    assert row["p_value"] == metrics.mcnemar(outliers["ce"], outliers["hcl"])["p_value"] < 0.001
    assert row["difference"] == pytest.approx(0.2, abs=0.1)
    assert row["low"] < row["difference"] < row["high"]


def test_compare_with_groups_takes_the_p_value_that_knows_them(rng):
    a, groups = observations(rng, 20, 10)
    b = np.zeros(200, dtype=bool)
    alone, grouped = metrics.compare({"a": a, "b": b}), metrics.compare({"a": a, "b": b}, groups)
    bootstrap = metrics.paired_bootstrap(a, b, groups=groups)
    assert grouped["p_value"][0] == bootstrap["p_value"] > alone["p_value"][0]
    assert grouped["low"][0] == bootstrap["low"] < alone["low"][0]


def test_ratio_interval_holds_what_a_t_test_does_not_reject(rng):
    below = rng.normal(10, 1, size=5)
    above = 0.6 * below + rng.normal(0, 1, size=5)
    ratio, low, high = metrics.ratio_interval(above, below, confidence=0.9)
    assert ratio == pytest.approx(above.mean() / below.mean())
    for r in (low, high):
        assert ttest_1samp(above - r * below, 0).pvalue == pytest.approx(0.1)
    for r, inside in ((low - 0.01, False), (low + 0.01, True), (high + 0.01, False)):
        assert (ttest_1samp(above - r * below, 0).pvalue > 0.1) == inside


@pytest.mark.parametrize("n_seeds", [3, 5])
def test_ratio_interval_covers_the_ratio_as_often_as_it_says(rng, n_seeds):
    covered = []
    for _ in range(1000):
        luck = rng.normal(0, 8, n_seeds)  # of a seed, in all methods
        ce, method, floor = (mean + luck + rng.normal(0, 6, n_seeds) for mean in (170, 60, 45))
        _, low, high = metrics.share_of_possible(ce, method, floor)
        covered.append(low <= 110 / 125 <= high)
    assert 0.93 <= np.mean(covered) <= 0.97


def test_share_of_possible_and_change_know_the_seeds(rng):
    ce, method, floor = np.array([217, 170, 133]), np.array([54, 51, 53]), np.array([40, 41, 39])
    share, low, high = metrics.share_of_possible(ce, method, floor)
    assert share == pytest.approx((520 - 158) / (520 - 120))
    assert low < share < high < 1
    change, low, high = metrics.relative_change(ce, method)
    assert change == pytest.approx(158 / 520 - 1)
    assert -1 < low < change < high < 0
    order = [2, 0, 1]
    again = metrics.relative_change(ce[order], method[order])
    assert again == pytest.approx((change, low, high))
    assert metrics.relative_change(10 * ce, 10 * method) == pytest.approx((change, low, high))
    for share in (metrics.share_of_possible(ce, ce, floor), metrics.relative_change(ce, ce)):
        assert share == pytest.approx((0, 0, 0))
    assert metrics.share_of_possible(ce, floor, floor) == pytest.approx((1, 1, 1))


def test_what_the_seeds_do_not_bound_is_none():
    assert metrics.share_of_possible([217], [54], [40]) == (163 / 177, None, None)
    assert metrics.share_of_possible(217, 54, 40) == (163 / 177, None, None)
    assert metrics.relative_change([200], [50]) == (-0.75, None, None)
    # Two seeds: Fieller's ends are so far apart, -140 to +306 % here, that they say nothing.
    assert metrics.relative_change([200, 180], [50, 80]) == (130 / 380 - 1, None, None)
    assert metrics.relative_change([0, 0], [5, 6]) == (None, None, None)
    assert metrics.share_of_possible([50, 60], [40, 50], [60, 50]) == (None, None, None)
    share, low, high = metrics.share_of_possible([50, 60, 40], [45, 40, 44], [48, 41, 52])
    assert share > 0
    assert low is high is None  # CE and the floor cannot be told apart


def test_what_cannot_be_compared_is_refused():
    with pytest.raises(ValueError, match="nothing has no interval"):
        metrics.bootstrap_interval([])
    with pytest.raises(ValueError, match="2 groups for 3 values"):
        metrics.bootstrap_interval([1, 2, 3], groups=[0, 1])
    with pytest.raises(ValueError, match="shapes"):
        metrics.paired_bootstrap([1, 2, 3], [1, 2])
    with pytest.raises(ValueError, match="two bool arrays"):
        metrics.mcnemar(np.array([0, 1]), np.array([0, 1]))
    with pytest.raises(ValueError, match=r"shapes \(5,\), \(5,\), \(3,\): give every method"):
        metrics.share_of_possible(np.ones(5), np.ones(5), np.ones(3))
    with pytest.raises(ValueError, match="one value a seed"):
        metrics.relative_change([], [])
