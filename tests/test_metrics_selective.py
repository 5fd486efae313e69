"""Risk and coverage: against a loop, and by their laws."""

import numpy as np
import pytest

from fgcl_utils import metrics


@pytest.fixture
def predictions():
    """Confidences, many of them equal, and whether the prediction is right."""
    rng = np.random.default_rng(0)
    confidence = rng.integers(1, 20, 300) / 20
    return confidence, rng.random(300) < confidence


def test_the_curve_equals_a_loop_over_thresholds(predictions):
    confidence, right = predictions
    curve = metrics.risk_coverage(confidence, right)
    assert curve["threshold"].tolist() == sorted(set(confidence), reverse=True)
    for row in curve.itertuples():
        kept = confidence >= row.threshold
        assert row.coverage == pytest.approx(kept.mean())
        assert row.risk == pytest.approx(1 - right[kept].mean())


def test_the_order_of_equals_does_not_matter(predictions):
    order = np.random.default_rng(1).permutation(300)
    again = metrics.risk_coverage(*(array[order] for array in predictions))
    np.testing.assert_allclose(again, metrics.risk_coverage(*predictions))


def test_area_is_that_of_a_perfect_and_of_a_useless_order():
    right = np.repeat([True, False], 50)
    assert metrics.area_under_risk_coverage(np.ones(100), right) == 0.5
    perfect = metrics.area_under_risk_coverage(np.linspace(1, 0, 100), right)
    assert perfect == pytest.approx(sum(1 - 50 / n for n in range(51, 101)) / 100)


@pytest.mark.parametrize("risk", [0.0, 0.1, 0.3, 1.0])
def test_the_threshold_is_the_lowest_that_keeps_the_risk(predictions, risk):
    confidence, right = predictions
    threshold = metrics.threshold_for_risk(confidence, right, risk)
    for lower in sorted(set(confidence)):
        if 1 - right[confidence >= lower].mean() <= risk:
            assert threshold == lower
            break
    else:
        assert threshold == np.inf


def test_where_nothing_is_right_nothing_is_sure():
    assert metrics.threshold_for_risk([0.5, 0.9], np.array([False, False]), 0.1) == np.inf
    assert metrics.threshold_for_risk([], np.array([], dtype=bool), 0.1) == np.inf


@pytest.mark.parametrize(
    ("confidence", "right"), [([0.5], [True, False]), ([0.5], [1]), ([np.nan], [True]), ([], [])]
)
def test_what_does_not_belong_together_is_refused(confidence, right):
    with pytest.raises(ValueError, match="confidence"):
        metrics.risk_coverage(confidence, np.array(right))
