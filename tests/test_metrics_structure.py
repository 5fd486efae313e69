"""Classifiers on frozen features, retrieval and silhouette, against loops and scikit-learn."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import silhouette_score
from sklearn.preprocessing import StandardScaler

from fgcl_utils import metrics
from fgcl_utils.metrics import classifiers, structure


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def samples(rng):
    """150 vectors around 15 species directions in 4 genera, and their labels (150, 2)."""
    species = np.concatenate([np.arange(15), rng.integers(0, 15, 135)])
    vectors = rng.normal(size=(15, 6))[species] + rng.normal(size=(150, 6))
    return vectors, np.column_stack([species, species // 4])


def slow_retrieval(vectors, labels):
    """MAP@R and recall@1 of Musgrave et al., section 2.4, one query at a time."""
    map_at_r, recall_at_1 = [], []
    for q in range(len(vectors)):
        others = [i for i in range(len(vectors)) if i != q]
        cosine = {
            i: vectors[i] @ vectors[q] / np.linalg.norm(vectors[i]) / np.linalg.norm(vectors[q])
            for i in others
        }
        ranking = sorted(others, key=lambda i: -cosine[i])
        hits = [labels[i] == labels[q] for i in ranking]
        r = sum(hits)
        if r == 0:
            continue
        precisions = [sum(hits[: i + 1]) / (i + 1) if hits[i] else 0 for i in range(r)]
        map_at_r.append(sum(precisions) / r)
        recall_at_1.append(hits[0])
    return np.mean(map_at_r), np.mean(recall_at_1)


def test_retrieval_equals_the_slow_loop_at_every_level(samples, monkeypatch):
    vectors, labels = samples
    monkeypatch.setattr(structure, "BLOCK", 1000)  # several blocks of queries
    map_at_r, recall_at_1 = metrics.retrieval(vectors, labels)
    for l in range(2):
        expected = slow_retrieval(vectors, labels[:, l])
        assert (map_at_r[l], recall_at_1[l]) == pytest.approx(expected, abs=1e-6)
        assert 0.1 < map_at_r[l] < recall_at_1[l] < 1


def test_retrieval_does_not_depend_on_length_or_order(samples, rng):
    vectors, labels = samples
    order = rng.permutation(150)
    scaled = (rng.uniform(0.1, 10, size=(150, 1)) * vectors)[order]
    np.testing.assert_allclose(
        metrics.retrieval(scaled, labels[order]), metrics.retrieval(vectors, labels), atol=1e-6
    )


def test_retrieval_of_separate_classes_is_perfect_and_leaves_out_who_is_alone(rng):
    labels = np.array([[0], [0], [0], [1], [1], [2]])  # class 2 has one sample
    vectors = np.eye(3)[labels[:, 0]] + 0.01 * rng.normal(size=(6, 3))
    assert metrics.retrieval(vectors, labels) == [[1.0], [1.0]]
    alone = np.arange(6)[:, None]
    assert metrics.retrieval(vectors, alone) == [[None], [None]]


def test_sampled_queries_still_search_everything(samples):
    vectors, labels = samples
    whole = np.array(metrics.retrieval(vectors, labels))
    parts = [metrics.retrieval(vectors, labels, max_queries=100, seed=s) for s in range(30)]
    assert not np.allclose(parts[0], whole)
    np.testing.assert_allclose(np.mean(parts, axis=0), whole, atol=0.02)
    assert parts[0] == metrics.retrieval(vectors, labels, max_queries=100, seed=0)


def test_silhouette_equals_scikit_learn_and_its_sample_is_close(samples):
    vectors, labels = samples
    expected = silhouette_score(vectors, labels[:, 1], metric="cosine")
    assert metrics.silhouette(vectors, labels[:, 1]) == pytest.approx(expected)
    sampled = metrics.silhouette(vectors, labels[:, 1], max_samples=120)
    assert sampled != expected
    assert sampled == pytest.approx(expected, abs=0.05)


@pytest.mark.parametrize("labels", [np.zeros(4, dtype=int), np.arange(4)])
def test_silhouette_is_none_where_it_is_not_defined(labels, rng):
    assert metrics.silhouette(rng.normal(size=(4, 3)), labels) is None


def test_knn_votes_level_by_level(samples):
    vectors, labels = samples
    train, test = vectors[:100], vectors[100:]
    found = metrics.knn_predictions(train, labels[:100], test, k=7)
    unit_train = train / np.linalg.norm(train, axis=1, keepdims=True)
    for i, vector in enumerate(test):
        nearest = np.argsort(-unit_train @ vector)[:7]
        for l in range(2):
            assert found[i, l] == np.bincount(labels[nearest, l]).argmax()
    assert metrics.knn_predictions(train[:3], labels[:3, 0], test).shape == (50,)  # k is 3


def test_linear_predictions_are_those_of_logistic_regression(samples):
    vectors, labels = samples
    train, test = vectors[:100].astype(np.float32), vectors[100:].astype(np.float32)
    scaler = StandardScaler().fit(train)
    model = LogisticRegression(max_iter=1000).fit(scaler.transform(train), labels[:100, 0])
    expected = model.predict(scaler.transform(test))
    found = metrics.linear_predictions(train, labels[:100, 0], test)
    assert (found == expected).mean() >= 0.98
    assert (found == labels[100:, 0]).mean() > 0.3
    again = metrics.linear_predictions(100 * train + 5, labels[:100, 0], 100 * test + 5)
    assert (again == found).mean() >= 0.98


def test_linear_probe_takes_a_sample_of_a_large_training_split(samples, monkeypatch):
    vectors, labels = samples
    monkeypatch.setattr(classifiers, "PROBE_SAMPLES", 80)
    found = metrics.linear_predictions(vectors, labels[:, 1], vectors)
    monkeypatch.undo()
    whole = metrics.linear_predictions(vectors, labels[:, 1], vectors)
    assert 0.7 < (found == whole).mean() < 1
    monkeypatch.setattr(classifiers, "PROBE_SAMPLES", 80)
    np.testing.assert_array_equal(found, metrics.linear_predictions(vectors, labels[:, 1], vectors))


def test_the_same_training_samples_are_probed_once(samples, monkeypatch):
    vectors, labels = samples
    asked = [vectors[:50], vectors[50:]]
    monkeypatch.setattr(classifiers, "_probes", {})
    first, second = (metrics.linear_predictions(vectors, labels[:, 1], some) for some in asked)
    (probe,) = classifiers._probes.values()
    np.testing.assert_array_equal(np.concatenate([first, second]), probe.predict(vectors))
    metrics.linear_predictions(vectors, labels[:, 0], vectors)
    metrics.linear_predictions(vectors + 1, labels[:, 1], vectors)
    assert len(classifiers._probes) == 3
    monkeypatch.setattr(classifiers, "PROBES_KEPT", 2)
    metrics.linear_predictions(vectors + 2, labels[:, 1], vectors)
    assert len(classifiers._probes) == 2


def test_linear_probe_with_one_class_predicts_it(rng):
    found = metrics.linear_predictions(rng.normal(size=(5, 2)), np.full(5, 3), np.zeros((4, 2)))
    np.testing.assert_array_equal(found, [3, 3, 3, 3])
