"""Open-set measures and calibration, against scikit-learn, loops and known probabilities."""

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.metrics import log_loss, roc_auc_score, roc_curve

from fgcl_utils import metrics


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def calibrated(rng):
    """Logits (20000, 5) and labels drawn from their very probabilities."""
    logits = 2 * rng.normal(size=(20_000, 5))
    cumulated = softmax(logits, axis=1).cumsum(axis=1)
    labels = (rng.random(20_000)[:, None] > cumulated).sum(axis=1)
    return logits, labels


# --- open set -------------------------------------------------------------------------------------


def test_open_set_measures_equal_scikit_learn(rng):
    known, unknown = rng.normal(0, 1, 400), rng.normal(1, 1, 300)
    is_known = np.repeat([1, 0], [400, 300])
    scores = np.concatenate([known, unknown])
    assert metrics.auroc(known, unknown) == roc_auc_score(1 - is_known, scores)
    false_positives, true_positives, _ = roc_curve(is_known, -scores, drop_intermediate=False)
    expected = false_positives[np.argmax(true_positives >= 0.95)]
    assert metrics.fpr95(known, unknown) == pytest.approx(expected)
    assert 0.2 < expected < 0.9


def test_open_set_measures_by_hand():
    known = np.arange(20.0)  # 95 % of them are at most 18
    assert metrics.fpr95(known, np.array([17.0, 18.0, 18.5, 30.0])) == 0.5
    assert metrics.fpr95(known, np.array([50.0])) == 0
    assert metrics.auroc(known, np.array([50.0])) == 1
    assert metrics.auroc(known, known) == pytest.approx(0.5)
    with pytest.raises(ValueError, match="20 known and 0 unknown"):
        metrics.auroc(known, [])


# --- calibration ----------------------------------------------------------------------------------


def slow_calibration_error(probabilities, labels, n_bins):
    error = 0
    for m in range(1, n_bins + 1):
        inside = [
            i for i, row in enumerate(probabilities) if (m - 1) / n_bins < row.max() <= m / n_bins
        ]
        if inside:
            confidence = np.mean([probabilities[i].max() for i in inside])
            accuracy = np.mean([probabilities[i].argmax() == labels[i] for i in inside])
            error += len(inside) / len(labels) * abs(accuracy - confidence)
    return error


def test_calibration_error_equals_the_slow_loop(rng):
    probabilities = rng.dirichlet(np.full(4, 0.5), size=500)
    labels = rng.integers(0, 4, 500)
    found = metrics.calibration_error(probabilities, labels)
    assert found == pytest.approx(slow_calibration_error(probabilities, labels, 15))
    assert found > 0.2  # the labels know nothing of the probabilities


def test_reliability_puts_edges_left_and_keeps_empty_bins():
    probabilities = np.array([[0.8, 0.2], [0.2, 0.8], [1.0, 0.0], [0.7, 0.3]])
    bins = metrics.reliability(probabilities, np.array([0, 0, 0, 0]), n_bins=5)
    assert bins["n"].tolist() == [0, 0, 0, 3, 1]
    assert bins["high"].tolist() == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
    assert bins["accuracy"].iloc[3:].tolist() == pytest.approx([2 / 3, 1])
    assert bins["confidence"].iloc[3] == pytest.approx((0.8 + 0.8 + 0.7) / 3)
    assert bins["confidence"].iloc[:3].isna().all()


def test_true_probabilities_are_calibrated_and_sharper_ones_are_not(calibrated):
    logits, labels = calibrated
    assert metrics.calibration_error(softmax(logits, axis=1), labels) < 0.02
    assert metrics.calibration_error(softmax(3 * logits, axis=1), labels) > 0.1
    bins = metrics.reliability(softmax(logits, axis=1), labels)
    full = bins[bins["n"] > 500]
    np.testing.assert_allclose(full["confidence"], full["accuracy"], atol=0.06)


@pytest.mark.parametrize("sharpness", [0.5, 1.0, 4.0])
def test_temperature_undoes_the_sharpness(calibrated, sharpness):
    logits, labels = calibrated
    temperature = metrics.fit_temperature(sharpness * logits, labels)
    assert temperature == pytest.approx(sharpness, rel=0.05)
    best = metrics.negative_log_likelihood(sharpness * logits / temperature, labels)
    for other in (0.9, 1.1):
        scaled = sharpness * logits / (other * temperature)
        assert metrics.negative_log_likelihood(scaled, labels) > best


def test_temperature_of_separable_logits_stays_in_its_bounds():
    logits, labels = np.eye(3), np.arange(3)
    assert 0.01 <= metrics.fit_temperature(logits, labels) < 0.1
    assert 10 < metrics.fit_temperature(logits, (labels + 1) % 3) <= 100


def test_likelihood_and_brier_equal_scikit_learn(rng):
    logits = rng.normal(size=(50, 4))
    probabilities = softmax(logits, axis=1)
    labels = rng.integers(0, 3, 50)  # class 3 never occurs
    found = metrics.negative_log_likelihood(logits, labels)
    assert found == pytest.approx(log_loss(labels, probabilities, labels=range(4)))
    slow = [
        sum((p - (c == y)) ** 2 for c, p in enumerate(row))
        for row, y in zip(probabilities, labels, strict=True)
    ]
    assert metrics.brier_score(probabilities, labels) == pytest.approx(np.mean(slow))
    assert metrics.brier_score(np.eye(2), [0, 1]) == 0
    assert metrics.brier_score(np.eye(2), [1, 0]) == 2


def test_likelihood_of_sure_mistakes_stays_finite():
    logits = np.array([[0.0, 1e4]], dtype=np.float32)
    assert metrics.negative_log_likelihood(logits, [0]) == pytest.approx(1e4)


def test_what_is_not_a_probability_of_the_label_is_refused():
    with pytest.raises(ValueError, match=r"no probabilities.*softmax"):
        metrics.calibration_error(np.array([[2.0, -1.0]]), [0])
    with pytest.raises(ValueError, match="classes 0 to 1"):
        metrics.brier_score(np.array([[0.5, 0.5]]), [2])
    with pytest.raises(ValueError, match="do not belong together"):
        metrics.negative_log_likelihood(np.zeros((0, 3)), [])
