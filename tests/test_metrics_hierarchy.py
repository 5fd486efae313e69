"""Measures of the whole hierarchy, against slow loops, scikit-learn and cases known by hand."""

from itertools import combinations

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, ndcg_score

from fgcl_utils import metrics
from fgcl_utils.metrics import hierarchy, structure


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def samples(rng):
    """90 vectors around 14 species directions in 4 genera in 2 families, and labels (90, 3)."""
    species = np.concatenate([np.arange(14), rng.integers(0, 14, 76)])
    vectors = rng.normal(size=(14, 6))[species] + rng.normal(size=(4, 6))[species // 4]
    vectors += 0.8 * rng.normal(size=(90, 6))
    return vectors, np.column_stack([species, species // 4, species // 8])


def ranked_relevances(vectors, labels):
    """For each query the numbers of levels that the others share with it, nearest first."""
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    for q in range(len(vectors)):
        others = [i for i in range(len(vectors)) if i != q]
        others.sort(key=lambda i: -unit[i] @ unit[q])
        yield [sum(labels[i] == labels[q]) for i in others]


def slow_h_ap(r):
    """Ramzi et al.: H-rank(k) = r(k) + sum of min(r(j), r(k)) over better ranks."""
    total = 0
    for k in range(len(r)):
        if r[k] > 0:
            h_rank = r[k] + sum(min(r[j], r[k]) for j in range(k))
            total += h_rank / (k + 1)
    return total / sum(r)


def slow_asi(r):
    """Sets of the first k of the ranking and of a best ranking that keeps the order of ties."""
    best = sorted(range(len(r)), key=lambda i: -r[i])
    depth = sum(x > 0 for x in r)
    return np.mean([len(set(range(k)) & set(best[:k])) / k for k in range(1, depth + 1)])


def slow_concordance(r):
    pairs = [(a, b) for a, b in combinations(r, 2) if a != b]  # a is ranked before b
    return np.mean([a > b for a, b in pairs])


@pytest.mark.parametrize("n_levels", [1, 2, 3])
def test_ranking_measures_equal_the_slow_loops(samples, monkeypatch, n_levels):
    vectors, labels = samples
    labels = labels[:, :n_levels]
    monkeypatch.setattr(structure, "BLOCK", 1000)  # several blocks of queries
    found = metrics.ranking_measures(vectors, labels)
    relevances = [r for r in ranked_relevances(vectors, labels) if max(r)]
    for name, slow in (
        ("h_ap", slow_h_ap), ("asi", slow_asi), ("order_concordance", slow_concordance)
    ):  # fmt: skip
        assert found[name] == pytest.approx(np.mean([slow(r) for r in relevances])), name
        assert 0.1 < found[name] < 0.99
    ndcg = [ndcg_score([r], [-np.arange(len(r))]) for r in relevances]
    assert found["ndcg"] == pytest.approx(np.mean(ndcg))
    for k in (1, 5, 20):
        expected = np.mean([n_levels - np.mean(r[:k]) for r in ranked_relevances(vectors, labels)])
        assert found[f"mean_hierarchical_distance_at_{k}"] == pytest.approx(expected)


def test_asi_takes_the_best_of_all_orders_of_ties():
    r = [0, 2, 1, 2, 0, 1, 0]
    best, depth = [1, 3, 2, 5, 0, 4, 6], 4
    others = [[1, 3, 5, 2, 0, 4, 6], [3, 1, 2, 5, 0, 4, 6], [3, 1, 5, 2, 6, 4, 0]]
    score = [
        np.mean([len(set(range(k)) & set(o[:k])) / k for k in range(1, depth + 1)])
        for o in (best, *others)
    ]
    assert max(score) == score[0] == slow_asi(r)
    found = hierarchy._ranking_scores(np.array([r], dtype=np.int8), 2)
    assert found[2, 0] == pytest.approx(score[0])


def test_with_one_level_hap_is_average_precision(samples):
    vectors, labels = samples
    found = metrics.ranking_measures(vectors, labels[:, :1])["h_ap"]
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    expected = []
    for q in range(90):
        others = np.arange(90) != q
        hits = labels[others, 0] == labels[q, 0]
        if hits.any():
            expected.append(average_precision_score(hits, unit[others] @ unit[q]))
    assert found == pytest.approx(np.mean(expected))


def test_a_perfect_order_is_perfect_and_chance_is_half(rng):
    species = np.repeat(np.arange(8), 6)
    labels = np.column_stack([species, species // 2, species // 4])
    directions = [np.eye(labels[:, l].max() + 1)[labels[:, l]] for l in range(3)]
    vectors = np.column_stack(directions) + 1e-3 * rng.normal(size=(48, 14))
    found = metrics.ranking_measures(vectors, labels)
    for name in ("h_ap", "ndcg", "asi", "order_concordance"):
        assert found[name] == pytest.approx(1), name
    assert found["mean_hierarchical_distance_at_1"] == 0
    assert found["mean_hierarchical_distance_at_20"] == pytest.approx((5 * 0 + 6 * 1 + 9 * 2) / 20)
    shuffled = metrics.ranking_measures(rng.normal(size=(48, 14)), labels)
    assert shuffled["order_concordance"] == pytest.approx(0.5, abs=0.05)


def test_a_coarse_mistake_costs_more_than_a_fine_one():
    right = [3, 3, 2, 2, 1, 1, 0, 0]
    fine = [3, 2, 3, 2, 1, 1, 0, 0]
    coarse = [3, 0, 2, 2, 1, 1, 3, 0]
    scores = hierarchy._ranking_scores(np.array([right, fine, coarse], dtype=np.int8), 3)
    assert scores[:4, 0] == pytest.approx(1)
    assert (scores[:4, 0] > scores[:4, 1]).all()
    assert (scores[:4, 1] > scores[:4, 2]).all()


def test_rankings_do_not_depend_on_length_or_order(samples, rng):
    vectors, labels = samples
    order = rng.permutation(90)
    scaled = (rng.uniform(0.1, 10, size=(90, 1)) * vectors)[order]
    again = metrics.ranking_measures(scaled, labels[order])
    assert again == pytest.approx(metrics.ranking_measures(vectors, labels))


def test_sampled_queries_still_search_everything(samples):
    vectors, labels = samples
    whole = metrics.ranking_measures(vectors, labels)
    parts = [metrics.ranking_measures(vectors, labels, max_queries=60, seed=s) for s in range(30)]
    assert parts[0] != whole
    for name, value in whole.items():
        assert np.mean([part[name] for part in parts]) == pytest.approx(value, abs=0.03)


def test_what_has_no_order_is_none():
    alone = metrics.ranking_measures(np.eye(3), np.column_stack([[0, 1, 2], [0, 1, 2]]))
    assert alone["h_ap"] is alone["ndcg"] is alone["asi"] is alone["order_concordance"] is None
    assert alone["mean_hierarchical_distance_at_1"] == 2
    same = metrics.ranking_measures(np.eye(3), np.zeros((3, 2), dtype=int))
    assert same["order_concordance"] is None
    assert same["h_ap"] == 1
    single = metrics.ranking_measures(np.ones((1, 2)), np.zeros((1, 2), dtype=int))
    assert set(single.values()) == {None}


def test_partly_known_samples_have_no_place_in_the_whole_order(samples):
    vectors, labels = samples
    partial = labels.copy()
    partial[:20, 0] = -1
    partial[:5, 1] = -1
    found = metrics.ranking_measures(vectors, partial)
    assert found == metrics.ranking_measures(vectors[20:], labels[20:])
    found = metrics.cophenetic_correlation(vectors, partial)
    assert found == metrics.cophenetic_correlation(vectors[20:], labels[20:])


def test_cophenetic_correlation_equals_the_slow_loop(samples, monkeypatch):
    vectors, labels = samples
    monkeypatch.setattr(hierarchy, "ROWS", 5)  # several blocks of classes
    centroids = dict(zip(*metrics.class_centroids(vectors, labels[:, 0]), strict=True))
    lineage = {row[0]: row for row in labels}
    distances, heights = [], []
    for a, b in combinations(centroids, 2):
        distances.append(np.linalg.norm(centroids[a] - centroids[b]))
        heights.append(sum(lineage[a] != lineage[b]))
    expected = np.corrcoef(distances, heights)[0, 1]
    found = metrics.cophenetic_correlation(vectors, labels)
    assert found == pytest.approx(expected)
    assert 0.05 < found < 0.95


def test_cophenetic_correlation_is_one_where_centroids_are_a_tree():
    labels = np.array([[0, 0], [1, 0], [2, 1], [3, 1]])
    vectors = np.array(
        [[1, 0, 1, 0, 0, 0], [1, 0, 0, 1, 0, 0], [0, 1, 0, 0, 1, 0], [0, 1, 0, 0, 0, 1.0]]
    )
    assert metrics.cophenetic_correlation(vectors, labels) == pytest.approx(1)
    assert metrics.cophenetic_correlation(vectors, labels * [1, 0]) is None  # one genus
    assert metrics.cophenetic_correlation(np.eye(4), labels) is None  # all equally far
    assert metrics.cophenetic_correlation(vectors[:1], labels[:1]) is None
