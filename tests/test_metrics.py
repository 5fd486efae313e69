"""Outliers, mistakes and `evaluate`, against slow loops and cases known by hand."""

import json

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.metrics import accuracy_score, log_loss

from fgcl_utils import metrics
from fgcl_utils.metrics import centroids

OF_THE_WHOLE_HIERARCHY = (
    "mistake_severity", "mean_taxonomic_distance", "full_path_accuracy", "path_inconsistency",
    "h_ap", "ndcg", "asi", "order_concordance", "mean_hierarchical_distance_at_", "cpcc",
)  # fmt: skip


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


def test_every_level_is_judged_by_its_own_centroids(clusters):
    e, labels = clusters
    found = metrics.nearest_centroid_outliers(e["train"], labels[:200], e["test"], labels[200:])
    assert found.shape == (100, 2)
    for l in range(2):
        expected = slow_outliers(e["train"], labels[:200, l], e["test"], labels[200:, l])
        np.testing.assert_array_equal(found[:, l], expected)


def test_blocks_change_nothing(clusters, monkeypatch):
    e, labels = clusters
    arguments = e["train"], labels[:200, 0], e["test"]
    whole = metrics.nearest_centroid(*arguments), metrics.centroid_distance(*arguments)
    monkeypatch.setattr(centroids, "ROWS", 7)
    np.testing.assert_array_equal(metrics.nearest_centroid(*arguments), whole[0])
    np.testing.assert_allclose(metrics.centroid_distance(*arguments), whole[1], atol=1e-12)


def test_centroid_distance_is_cosine():
    train = np.array([[1.0, 0.0], [0.0, 2.0]])
    found = metrics.centroid_distance(train, [0, 1], np.array([[5.0, 0.0], [1.0, 1.0], [-1, -1]]))
    np.testing.assert_allclose(found, [0, 1 - np.sqrt(0.5), 1 + np.sqrt(0.5)])


def test_no_training_sample_no_centroid():
    with pytest.raises(ValueError, match="no training samples"):
        metrics.nearest_centroid(np.zeros((0, 2)), [], np.ones((3, 2)))


def test_zero_vectors_stay_finite():
    assert np.isfinite(metrics.unit(np.zeros((2, 3)))).all()


def test_plane_outliers_known_by_hand():
    plane = np.array([[0.0, 0], [1, 0], [10, 0], [11, 0], [9, 0]])
    found = metrics.nearest_centroid_2d(plane, np.array([0, 0, 1, 1, 0]))
    np.testing.assert_array_equal(found, [False, False, False, False, True])


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


def test_evaluate_has_every_measure_in_both_spaces_and_writes_json(clusters):
    e, labels = clusters
    values = metrics.evaluate(e, labels)
    json.dumps(values, allow_nan=False)
    plain = {name for name in values if "_encoder" not in name} - {"n_test"}
    measured = "knn_accuracy linear_accuracy map_at_r recall_at_1 silhouette".split()
    assert {f"{level}_{name}" for level in ("species", "genus") for name in measured} < plain
    for name in plain:
        head, centroid_source, tail = name.partition("_test_centroids")
        if not centroid_source:
            head, interval, tail = name.partition("_interval")
            centroid_source = interval
        assert f"{head}_encoder{centroid_source}{tail}" in values
    again = metrics.evaluate(e | {"train": e["train_encoder"], "test": e["test_encoder"]}, labels)
    assert {n: again[n] for n in plain if "_test_centroids" not in n and "interval" not in n} == {
        n: values[f"{n}_encoder"]
        for n in plain
        if "_test_centroids" not in n and "interval" not in n
    }
    predicted = metrics.linear_predictions(e["train"], labels[:200, 1], e["test"])
    assert values["genus_linear_accuracy"] == (predicted == labels[200:, 1]).mean()


def test_severity_counts_the_levels_on_which_species_part():
    a = np.array([[0, 0, 0], [1, 0, 0], [2, 1, 0], [3, 2, 1]])
    np.testing.assert_array_equal(metrics.taxonomic_distance(a, a[[0, 0, 0, 0]]), [0, 1, 2, 3])


def test_severity_is_the_mean_over_mistakes(clusters):
    e, labels = clusters
    values = metrics.evaluate(e, labels)
    predicted = metrics.nearest_centroid(e["train"], labels[:200, 0], e["test"])
    heights = []
    for true, found in zip(labels[200:, 0], predicted, strict=True):
        heights.append(0 if true == found else 1 if true // 4 == found // 4 else 2)
    mistakes = [h for h in heights if h]
    assert values["mistake_severity"] == pytest.approx(np.mean(mistakes))
    assert values["mean_taxonomic_distance"] == pytest.approx(np.mean(heights))


def test_levels_beyond_genus_are_measured_alike(clusters):
    e, labels = clusters
    family = np.minimum(labels[:, 1], 1)
    levels = ("species", "genus", "family")
    values = metrics.evaluate(e, np.column_stack([labels, family]), levels=levels)
    out = slow_outliers(e["train"], family[:200], e["test"], family[200:])
    assert values["family_outliers"] == out.sum()
    two = metrics.evaluate(e, labels)
    measures = two.keys() - {k for k in two if k.startswith(OF_THE_WHOLE_HIERARCHY)}
    for name in measures:
        assert values[name] == pytest.approx(two[name]), name
    assert values["mistake_severity"] >= two["mistake_severity"]


def test_levels_have_any_names(clusters):
    e, labels = clusters
    plain = metrics.evaluate(e, labels)
    renamed = metrics.evaluate(e, labels, levels=("variant", "maker of it"))
    assert renamed == {
        name.replace("species", "variant").replace("genus", "maker of it"): value
        for name, value in plain.items()
    }
    assert plain["genus_accuracy"] == 1 - plain["genus_outlier_rate"]


def test_one_level_has_all_that_needs_no_hierarchy(clusters):
    e, labels = clusters
    two = metrics.evaluate(e, labels)
    one = metrics.evaluate(e, labels[:, :1], levels=["species"])
    assert one == {
        name: value
        for name, value in two.items()
        if not name.startswith(("genus_", *OF_THE_WHOLE_HIERARCHY))
    }


def test_eight_levels_are_measured(clusters):
    e, labels = clusters
    lineage = np.column_stack([labels[:, 0] // 2**l for l in range(8)])
    names = [f"level {l}" for l in range(8)]
    values = metrics.evaluate(e, lineage, levels=names)
    json.dumps(values, allow_nan=False)
    assert [f"{name}_outliers" in values for name in names] == [False] + 7 * [True]
    assert values["level 7_outliers"] == 0  # all are of one class there
    outliers = [values[f"{name}_outliers"] for name in names[1:]]
    assert outliers[0] > outliers[2] > 0


def test_accuracy_by_frequency_is_that_of_thirds_of_the_classes(clusters):
    e, labels = clusters
    values = metrics.evaluate(e, labels)
    species = labels[:, 0]
    nearest = metrics.nearest_centroid(e["train"], species[:200], e["test"])
    by_count = sorted(range(12), key=lambda s: (-np.sum(species[:200] == s), s))
    parts = {"head": by_count[:4], "middle": by_count[4:8], "tail": by_count[8:]}
    for name, part in parts.items():
        right = [n == s for n, s in zip(nearest, species[200:], strict=True) if s in part]
        assert values[f"species_accuracy_{name}"] == np.mean(right)


def test_paths_are_judged_level_by_level(clusters):
    e, labels = clusters
    values = metrics.evaluate(e, labels)
    species, genus = (
        metrics.nearest_centroid(e["train"], labels[:200, l], e["test"]) for l in range(2)
    )
    whole = [s == a and g == b for s, g, (a, b) in zip(species, genus, labels[200:], strict=True)]
    assert values["full_path_accuracy"] == np.mean(whole)
    assert values["path_inconsistency"] == (species // 4 != genus).mean()
    assert 0 < values["path_inconsistency"] < 1


def test_labels_that_stop_early_count_at_the_levels_they_have(clusters, rng):
    e, labels = clusters
    groups = np.arange(300) // 3
    stop_early = rng.random(300) < 0.3
    partial = labels.copy()
    partial[stop_early, 0] = -1
    values = metrics.evaluate(e, partial, groups=groups)
    whole = metrics.evaluate(e, labels, groups=groups)
    of_genus = {name for name in whole if name.startswith("genus_")}
    assert {n: values[n] for n in of_genus} == {n: whole[n] for n in of_genus}
    kept = {}
    for split in ("train", "test"):
        rows = ~stop_early[e[f"{split}_index"]]
        for part in ("", "_encoder", "_index"):
            kept[f"{split}{part}"] = e[f"{split}{part}"][rows]
    known = metrics.evaluate(kept, labels, groups=groups)
    # Paths use genus centroids of all samples; what else is of species sees those that have one.
    other = known.keys() - of_genus - {n for n in known if "path" in n or n == "n_test"}
    assert {n: values[n] for n in other} == {n: known[n] for n in other}
    assert values["n_test"] == 100
    assert values["n_test_species"] == known["n_test"] == 100 - stop_early[200:].sum()
    assert values.keys() - whole.keys() == {"n_test_species"}
    out = metrics.nearest_centroid_outliers(e["train"], partial[:200], e["test"], partial[200:])
    assert not out[stop_early[200:], 0].any()
    assert values["full_path_accuracy"] == (~out.any(axis=1))[~stop_early[200:]].mean()


def test_logits_of_samples_without_a_species_are_left_out(clusters, rng):
    e, labels = clusters
    logits = {
        f"{split}_logits": rng.normal(size=(n, 12)) for split, n in (("val", 200), ("test", 100))
    }
    arrays = e | logits | {"val_index": e["train_index"]}
    partial = labels.copy()
    partial[[0, 5, 200, 299], 0] = -1
    values = metrics.evaluate(arrays, partial)
    less = {"val": np.delete(np.arange(200), [0, 5]), "test": np.arange(1, 99)}
    for split, rows in less.items():
        for part in ("", "_encoder", "_index", "_logits"):
            if f"{split}{part}" in arrays:
                arrays[f"{split}{part}"] = arrays[f"{split}{part}"][rows]
    known = metrics.evaluate(arrays, labels)
    for name in "classifier_accuracy calibration_error_scaled calibration_temperature nll".split():
        assert values[name] == known[name]


def test_a_level_that_no_test_sample_has_is_not_measured(clusters):
    e, labels = clusters
    partial = labels.copy()
    partial[200:, 0] = -1
    values, whole = metrics.evaluate(e, partial), metrics.evaluate(e, labels)
    assert values == {"n_test": 100, "n_test_species": 0} | {
        name: value for name, value in whole.items() if name.startswith("genus_")
    }


def test_groups_reach_every_interval(clusters):
    e, labels = clusters
    groups = np.arange(300) // 10
    plain, grouped = metrics.evaluate(e, labels), metrics.evaluate(e, labels, groups=groups)
    out = metrics.nearest_centroid_outliers(e["train"], labels[:200, 1], e["test"], labels[200:, 1])
    expected = metrics.bootstrap_interval(out, groups=groups[200:])
    assert tuple(grouped["genus_outlier_rate_interval"]) == expected
    intervals = {name for name in plain if name.endswith("_interval")}
    assert len(intervals) == 6
    assert all(plain[name] == grouped[name] for name in plain.keys() - intervals)
    assert all(plain[name] != grouped[name] for name in intervals)


def test_open_set_is_measured_where_species_are_unseen(clusters, rng):
    e, labels = clusters
    known = labels[:, 0] < 9  # the last genus loses three of its species, whole
    index = {
        "train": np.flatnonzero(known[:200]),
        "test": 200 + np.flatnonzero(known[200:]),
        "unseen": 200 + np.flatnonzero(~known[200:]),
    }
    vectors = np.concatenate([e["train"], e["test"]])
    arrays = {f"{split}_index": rows for split, rows in index.items()}
    arrays |= {split: vectors[rows] for split, rows in index.items()}
    arrays |= {f"{split}_encoder": vectors[rows, :5] for split, rows in index.items()}
    values = metrics.evaluate(arrays, labels)
    scores = [
        metrics.centroid_distance(arrays["train"], labels[index["train"], 0], arrays[split])
        for split in ("test", "unseen")
    ]
    assert values["open_set_auroc"] == metrics.auroc(*scores) > 0.5
    assert values["open_set_fpr95"] == metrics.fpr95(*scores) < 1
    assert {"open_set_auroc_encoder", "open_set_fpr95_encoder"} < values.keys()
    assert values["n_test"] == len(index["test"])
    validation = {name.replace("test", "val"): array for name, array in arrays.items()}
    assert "open_set_auroc" not in metrics.evaluate(validation, labels, split="val")
    assert "open_set_auroc" not in metrics.evaluate(e, labels)


def test_calibration_is_measured_where_there_are_logits(clusters, rng):
    e, labels = clusters
    centres = np.eye(12)[labels[:, 0]]
    logits = {
        s: 5 * (centres[i] + rng.normal(size=(len(i), 12)))
        for s, i in {"val": e["train_index"], "test": e["test_index"]}.items()
    }
    arrays = e | {"val_index": e["train_index"]} | {f"{s}_logits": x for s, x in logits.items()}
    values = metrics.evaluate(arrays, labels)
    probabilities = softmax(logits["test"], axis=1)
    species = labels[200:, 0]
    assert values["classifier_accuracy"] == (probabilities.argmax(axis=1) == species).mean()
    assert values["nll"] == pytest.approx(log_loss(species, probabilities, labels=range(12)))
    assert values["brier"] == metrics.brier_score(probabilities, species)
    assert values["calibration_error"] == metrics.calibration_error(probabilities, species)
    assert values["calibration_temperature"] > 1
    assert values["calibration_error_scaled"] < values["calibration_error"]
    del arrays["val_logits"]
    without = metrics.evaluate(arrays, labels)
    assert values.keys() - without.keys() == {"calibration_error_scaled", "calibration_temperature"}


def test_ill_posed_splits_have_defined_values(clusters):
    e, labels = clusters
    labels = labels.copy()
    labels[200] = 12, 3  # a species, and a genus, that training has none of
    values = metrics.evaluate(e, labels)
    json.dumps(values, allow_nan=False)
    assert values["genus_outliers"] >= 1
    one = e | {"test": e["test"][:1], "test_encoder": e["test_encoder"][:1], "test_index": [201]}
    values = metrics.evaluate(one, labels)
    json.dumps(values, allow_nan=False)
    assert values["species_map_at_r"] is values["genus_silhouette"] is None
    single = metrics.evaluate(e, np.zeros_like(labels))
    json.dumps(single, allow_nan=False)
    assert single["genus_outliers"] == 0
    assert single["species_accuracy"] == single["species_linear_accuracy"] == 1
    assert single["mistake_severity"] is None
    assert single["mean_taxonomic_distance"] == 0


def test_what_evaluate_cannot_use_is_refused(clusters):
    e, labels = clusters
    with pytest.raises(ValueError, match="have no val and no val_index"):
        metrics.evaluate(e, labels, split="val")
    with pytest.raises(ValueError, match="needs at least one sample"):
        empty = {"test": e["test"][:0], "test_index": e["test_index"][:0]}
        metrics.evaluate(e | empty, labels)
    broken = e["test"].copy()
    broken[[3, 5], 1] = np.nan
    with pytest.raises(ValueError, match="2 rows of test are not finite, first row 3"):
        metrics.evaluate(e | {"test": broken}, labels)
    with pytest.raises(ValueError, match="7 groups for 300 images"):
        metrics.evaluate(e, labels, groups=np.arange(7))
    with pytest.raises(ValueError, match="shape"):
        metrics.evaluate(e, labels[:, 0])
    with pytest.raises(ValueError, match=r"\(300, 2\), but there are 3 levels: a, b, c\. Give"):
        metrics.evaluate(e, labels, levels=("a", "b", "c"))
    with pytest.raises(ValueError, match="a name of its own"):
        metrics.evaluate(e, labels, levels=("a", "a"))
    upside_down = labels.copy()
    upside_down[[7, 9], 1] = -1
    with pytest.raises(ValueError, match=r"2 labels are known at a level, but not above it, .* 7"):
        metrics.evaluate(e, upside_down)
    with pytest.raises(ValueError, match="train and test have no level at which both know"):
        metrics.evaluate(e, np.full_like(labels, -1))


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


def test_reduction_is_that_of_any_count():
    measures = {"ce": {"family_outliers": 8}, "hcl": {"family_outliers": 2}}
    found = metrics.reduction_vs_ce(measures, "family_outliers")
    assert found == {"ce": None, "hcl": 0.75}


def test_genus_confusions_sum_to_the_test_split(clusters):
    e, labels = clusters
    matrix = metrics.genus_confusions(e, labels)
    assert matrix.shape == (3, 3)
    np.testing.assert_array_equal(matrix.sum(axis=1), np.bincount(labels[200:, 1]))
    out = metrics.nearest_centroid_outliers(e["train"], labels[:200, 1], e["test"], labels[200:, 1])
    assert matrix.sum() - np.trace(matrix) == out.sum()
    species = metrics.genus_confusions(e, labels, level=0)
    np.testing.assert_array_equal(species.sum(axis=1), np.bincount(labels[200:, 0], minlength=12))
    partial = labels.copy()
    partial[200:210, 0] = -1
    assert metrics.genus_confusions(e, partial, level=0).sum() == 90


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
    coarsest = metrics.confusable_species(e, Data, n_pairs=1000, level=1)
    matrix = metrics.genus_confusions(e, labels)
    assert coarsest["confusions"].sum() == matrix.sum() - np.trace(matrix)
    assert set(coarsest["genus"]) == {""}
    Data.labels = labels.copy()
    Data.labels[200, 0] = -1
    without = metrics.confusable_species(e, Data, n_pairs=1000)
    assert 200 not in np.concatenate([*without["examples_a"], *without["examples_b"]])
