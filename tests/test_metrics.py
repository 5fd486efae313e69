"""The measures against slow loops, scikit-learn, and cases known by hand."""

import numpy as np
import pytest
from sklearn.metrics import accuracy_score

from fgcl_utils import metrics


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def clusters(rng):
    """Train and test samples around 12 species directions in 3 genera, with noise."""
    centres = rng.normal(size=(12, 8))
    parents = np.repeat(np.arange(3), 4)
    species = np.concatenate([np.arange(12), rng.integers(0, 12, 288)])
    vectors = centres[species] + 1.2 * rng.normal(size=(300, 8))
    labels = np.column_stack([species, parents[species]])
    embeddings = {
        "train": vectors[:200],
        "test": vectors[200:],
        "train_encoder": vectors[:200, :5],
        "test_encoder": vectors[200:, :5],
        "train_index": np.arange(200),
        "test_index": np.arange(200, 300),
    }
    return embeddings, labels


def slow_outliers(train, train_genus, test, test_genus):
    found = []
    for vector, genus in zip(test, test_genus, strict=True):
        best, best_genus = -np.inf, None
        for candidate in sorted(set(train_genus)):
            members = [v / np.linalg.norm(v) for v in train[train_genus == candidate]]
            centroid = np.mean(members, axis=0)
            cosine = vector @ centroid / np.linalg.norm(vector) / np.linalg.norm(centroid)
            if cosine > best:
                best, best_genus = cosine, candidate
        found.append(best_genus != genus)
    return np.array(found)


def test_outliers_equal_the_slow_loop(clusters):
    e, labels = clusters
    genus = labels[:, 1]
    arguments = e["train"], genus[:200], e["test"], genus[200:]
    found = metrics.nearest_centroid_outliers(*arguments)
    np.testing.assert_array_equal(found, slow_outliers(*arguments))
    assert 0 < found.sum() < 100


def test_outliers_do_not_depend_on_length_or_order(clusters, rng):
    e, labels = clusters
    genus = labels[:, 1]
    found = metrics.nearest_centroid_outliers(e["train"], genus[:200], e["test"], genus[200:])
    order = rng.permutation(200)
    scale = rng.uniform(0.1, 10, size=(200, 1))
    again = metrics.nearest_centroid_outliers(
        (scale * e["train"])[order], genus[:200][order], 3 * e["test"], genus[200:]
    )
    np.testing.assert_array_equal(found, again)


def test_genera_without_training_samples_are_never_nearest():
    train = np.array([[1.0, 0.0], [0.0, 1.0]])
    np.testing.assert_array_equal(
        metrics.nearest_centroid(train, np.array([3, 7]), np.array([[2.0, 1.0], [1.0, 2.0]])),
        [3, 7],
    )


def test_zero_vectors_stay_finite():
    assert np.isfinite(metrics.unit(np.zeros((2, 3)))).all()


def test_plane_outliers_known_by_hand():
    plane = np.array([[0.0, 0], [1, 0], [10, 0], [11, 0], [9, 0]])
    found = metrics.nearest_centroid_2d(plane, np.array([0, 0, 1, 1, 0]))
    np.testing.assert_array_equal(found, [False, False, False, False, True])


def test_bootstrap_interval_covers_the_mean_as_often_as_it_says(rng):
    covered = 0
    for repeat in range(200):
        low, high = metrics.bootstrap_interval(rng.random(200) < 0.2, n_resamples=300, seed=repeat)
        covered += low <= 0.2 <= high
    assert 0.90 <= covered / 200 <= 0.99


def test_evaluate_agrees_with_its_parts(clusters):
    e, labels = clusters
    values = metrics.evaluate(e, labels)
    species, genus = labels.T
    out = slow_outliers(e["train"], genus[:200], e["test"], genus[200:])
    assert values["n_test"] == 100
    assert values["genus_outliers"] == out.sum()
    low, high = values["genus_outlier_rate_interval"]
    assert low <= values["genus_outlier_rate"] == out.mean() <= high
    own = slow_outliers(e["test_encoder"], genus[200:], e["test_encoder"], genus[200:])
    assert values["genus_outliers_encoder_test_centroids"] == own.sum()
    nearest = metrics.nearest_centroid(e["train"], species[:200], e["test"])
    assert values["species_accuracy"] == accuracy_score(species[200:], nearest)
    neighbours = metrics.unit(e["test"]) @ metrics.unit(e["train"]).T
    votes = species[:200][np.argsort(-neighbours, axis=1)[:, : metrics.K_NEIGHBORS]]
    majority = [np.bincount(row).argmax() for row in votes]
    assert values["species_knn_accuracy"] == accuracy_score(species[200:], majority)


def test_reduction_is_relative_to_ce():
    counts = {"ce": 725, "supcon": 423, "hcl": 201}
    found = metrics.reduction_vs_ce({m: {"genus_outliers": n} for m, n in counts.items()})
    assert found["ce"] is None
    assert round(100 * found["supcon"], 1) == 41.7
    assert round(100 * found["hcl"], 1) == 72.3
    assert metrics.reduction_vs_ce({"ce": {"genus_outliers": 0}, "hcl": {"genus_outliers": 0}}) == {
        "ce": None,
        "hcl": None,
    }


def test_genus_confusions_sum_to_the_test_split(clusters):
    e, labels = clusters
    matrix = metrics.genus_confusions(e, labels)
    assert matrix.shape == (3, 3)
    np.testing.assert_array_equal(matrix.sum(axis=1), np.bincount(labels[200:, 1]))
    out = metrics.nearest_centroid_outliers(e["train"], labels[:200, 1], e["test"], labels[200:, 1])
    assert matrix.sum() - np.trace(matrix) == out.sum()


def test_confusable_species_counts_both_directions(clusters):
    e, labels = clusters

    class Taxonomy:
        names = ([f"s{i:02d}" for i in range(12)], ["g0", "g1", "g2"])
        parents = (np.repeat(np.arange(3), 4),)

    class Data:
        taxonomy = Taxonomy

    Data.labels = labels
    table = metrics.confusable_species(e, Data, n_pairs=1000)
    predicted = metrics.nearest_centroid(e["train"], labels[:200, 0], e["test"])
    assert table["confusions"].sum() == (predicted != labels[200:, 0]).sum()
    assert table["confusions"].is_monotonic_decreasing
    for row in table.itertuples():
        a, b = int(row.species_a[1:]), int(row.species_b[1:])
        true = labels[200:, 0]
        both = ((true == a) & (predicted == b)) | ((true == b) & (predicted == a))
        assert row.confusions == both.sum()
        assert set(labels[row.examples_a, 0]) <= {a}
        assert row.genus == (f"g{a // 4}" if a // 4 == b // 4 else f"g{a // 4} / g{b // 4}")
