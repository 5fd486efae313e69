"""Nested probabilities and thresholds on clusters of vectors: against loops, and by their laws."""

import numpy as np
import pytest
from tiny_features import make_features

from fgcl_utils import metrics
from fgcl_utils.naming import Namer
from fgcl_utils.naming.votes import RULES, Electorate, within
from fgcl_utils.naming.words import in_words

LEVELS = ("species", "genus")


@pytest.fixture
def clusters():
    """Training, validation and test vectors and codes; some training labels stop at the genus."""
    train, validation, test = (make_features(n, seed) for n, seed in ((300, 1), (400, 2), (400, 3)))
    train[1][::20, 0] = -1
    return train, validation, test


@pytest.fixture
def namer(clusters):
    train, validation, _ = clusters
    return Namer.fit(*train, *validation)


# --- who votes --------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", RULES)
def test_probabilities_equal_a_loop_over_the_votes(clusters, rule):
    (train, codes), _, (test, _) = clusters
    electorate, T = Electorate(train, codes), (0.05, 0.2)
    cosines = electorate.cosines(test[:5])
    votes = [electorate.log_votes(rule, l, T[l], test[:5], cosines) for l in range(2)]
    found = [np.exp(p) for p in electorate.log_probabilities(votes)]

    def votes_for(x, l, c):
        members = metrics.unit(train[codes[:, l] == c])
        if rule == "centroids":
            centroid = members.sum(axis=0) / np.linalg.norm(members.sum(axis=0))
            return len(members) * np.exp(x @ centroid / T[l])
        return sum(np.exp(x @ member / T[l]) for member in members)

    parent = {s: g for s, g in codes if s >= 0}
    for i, x in enumerate(metrics.unit(test[:5])):
        genera = {g: votes_for(x, 1, g) for g in electorate.classes[1]}
        species = {s: votes_for(x, 0, s) for s in electorate.classes[0]}
        for j, g in enumerate(electorate.classes[1]):
            expected = genera[g] / sum(genera.values())
            assert found[1][i, j] == pytest.approx(expected, rel=1e-4)
        for j, s in enumerate(electorate.classes[0]):
            siblings = sum(v for other, v in species.items() if parent[other] == parent[s])
            expected = genera[parent[s]] / sum(genera.values()) * species[s] / siblings
            assert found[0][i, j] == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("temperature", [0.01, 1.0])
def test_species_add_up_to_their_genus_at_any_temperature(clusters, rule, temperature):
    (train, codes), _, (test, _) = clusters
    electorate = Electorate(train, codes)
    cosines = electorate.cosines(test)
    votes = [electorate.log_votes(rule, l, temperature, test, cosines) for l in range(2)]
    species, genera = (np.exp(p) for p in electorate.log_probabilities(votes))
    sums = np.stack([species[:, electorate.parents[0] == g].sum(axis=1) for g in range(2)], axis=1)
    np.testing.assert_allclose(sums, genera, atol=1e-9)
    np.testing.assert_allclose(genera.sum(axis=1), 1)
    assert np.isfinite(species).all() and (species >= 0).all()


def test_the_order_of_the_training_photos_does_not_matter(clusters):
    (train, codes), validation, (test, _) = clusters
    order = np.random.default_rng(0).permutation(len(train))
    one = Namer.fit(train, codes, *validation).judge(test)
    other = Namer.fit(train[order], codes[order], *validation).judge(test)
    for a, b in zip(one.probabilities, other.probabilities, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)
    np.testing.assert_array_equal(one.nearest, order[other.nearest])


def test_a_genus_without_species_can_still_be_named():
    vectors = np.eye(3).repeat(4, axis=0)
    codes = np.array([[0, 0], [1, 1], [-1, 2]]).repeat(4, axis=0)
    said = Namer.fit(vectors, codes, vectors, codes).judge(np.eye(3))
    assert said.probabilities[1].argmax(axis=1).tolist() == [0, 1, 2]
    assert said.probabilities[0].shape == (3, 2)
    assert said.answered.tolist() == [0, 0, 1]


def test_within_a_parent_classes_add_up_to_one():
    votes = np.log([[1.0, 3.0, 5.0]])
    np.testing.assert_allclose(np.exp(within(votes, np.array([0, 0, 2]))), [[0.25, 0.75, 1.0]])


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.zeros((3, 2), int), "labels have shape (3, 2) for 2 embeddings"),
        (np.array([[-1, 0], [-1, 0]]), "no training photo has a label at level 0"),
    ],
)
def test_training_photos_that_cannot_vote_are_refused(labels, message):
    with pytest.raises(ValueError) as refused:
        Electorate(np.eye(2), labels)
    assert message in str(refused.value)


# --- how far to believe it --------------------------------------------------------------------


def test_the_nearest_training_photos_come_with_their_cosines(namer, clusters):
    (train, _), _, (test, _) = clusters
    said = namer.judge(test, k=3)
    cosines = metrics.unit(test) @ metrics.unit(train).T
    np.testing.assert_array_equal(said.nearest, np.argsort(-cosines, axis=1)[:, :3])
    np.testing.assert_allclose(said.nearest_cosines, -np.sort(-cosines, axis=1)[:, :3], atol=1e-5)


def test_blocks_of_photos_change_nothing(namer, clusters, monkeypatch):
    test = clusters[2][0]
    whole = namer.judge(test)
    monkeypatch.setattr("fgcl_utils.naming.namer.COSINES", 1000)
    for a, b in zip(whole.probabilities, namer.judge(test).probabilities, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4)
    assert namer.judge(test[:0]).probabilities[0].shape == (0, 8)


def test_false_alarms_and_risk_are_as_wanted_on_validation_photos(namer, clusters):
    vectors, codes = clusters[1]
    said = namer.judge(vectors)
    strange = said.distances > namer.strange_above
    assert (strange.mean(axis=0) <= 0.05).all() and (strange.mean(axis=0) > 0.04).all()
    for l in range(2):
        answered = said.answered == l
        named = namer.electorate.classes[l][said.probabilities[l][answered].argmax(axis=1)]
        assert answered.sum() == namer.measured[l]["answered"] > 20
        assert (named != codes[answered, l]).mean() == pytest.approx(namer.measured[l]["risk"])
        assert namer.measured[l]["risk"] <= 0.1


def test_a_smaller_risk_names_fewer_species(clusters):
    train, validation, _ = clusters
    answered = [
        Namer.fit(*train, *validation, risk=risk).measured[0]["answered"]
        for risk in (0.01, 0.1, 0.3)
    ]
    assert answered == sorted(answered) and answered[0] < answered[-1]


def test_the_rule_is_the_better_calibrated_one(namer):
    errors = {
        rule: np.mean([m[f"calibration_error_{rule}"] for m in namer.measured]) for rule in RULES
    }
    assert namer.rule == min(errors, key=errors.get)
    assert [m["calibration_error"] for m in namer.measured] == [
        m[f"calibration_error_{namer.rule}"] for m in namer.measured
    ]


def test_probabilities_hold_on_photos_that_were_not_asked(namer, clusters):
    test, codes = clusters[2]
    for l, probabilities in enumerate(namer.judge(test).probabilities):
        by_code = probabilities[:, np.argsort(namer.electorate.classes[l])]
        assert metrics.calibration_error(by_code, codes[:, l]) < 0.1


def test_what_lies_on_the_other_side_is_unlike_anything(namer, clusters):
    said = namer.judge(-clusters[0][0].mean(axis=0, keepdims=True))
    assert not said.is_familiar.any() and said.answered.tolist() == [2]


def test_unfamiliar_above_is_unfamiliar_below(namer):
    said = namer.judge(np.random.default_rng(0).normal(size=(200, 12)))
    assert (said.is_familiar[:, 0] <= said.is_familiar[:, 1]).all()
    assert 0 < said.is_familiar[:, 1].mean() < 1


def test_one_level_is_enough(clusters):
    (train, codes), (val, val_codes), (test, _) = clusters
    known = codes[:, 0] >= 0
    namer = Namer.fit(train[known], codes[known, :1], val, val_codes[:, :1])
    np.testing.assert_allclose(namer.judge(test).probabilities[0].sum(axis=1), 1)


def test_what_was_learnt_can_be_stored(namer, clusters):
    values = namer.to_dict() | {"sure_from": [None, 0.5]}
    again = Namer.from_dict(namer.electorate, values)
    assert again.to_dict() == values | {"sure_from": [None, 0.5]}
    assert (again.judge(clusters[2][0]).answered > 0).all()  # never sure of a species


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"risk": 0}, "risk=0: a share greater than 0 and less than 1"),
        ({"false_alarms": 1.0}, "false_alarms=1.0: a share"),
        ({"val_labels": np.full((400, 2), 99)}, "no validation photo is of a class"),
    ],
)
def test_what_cannot_be_fitted_is_refused(clusters, change, message):
    train, (val, val_labels), _ = clusters
    with pytest.raises(ValueError) as refused:
        Namer.fit(*train, val, **{"val_labels": val_labels} | change)
    assert message in str(refused.value)


# --- in words ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answered", "familiar", "words"),
    [
        (0, (True, True), "Amanita sp. 07"),
        (1, (True, True), "Amanita, species unsure"),
        (1, (False, True), "Amanita, unlike any species seen in training"),
        (2, (True, True), "genus unsure"),
        (2, (False, False), "unlike anything seen in training"),
    ],
)
def test_the_answer_goes_as_far_as_is_sure(answered, familiar, words):
    values = {"species": "Amanita sp. 07", "genus": "Amanita"}
    values |= {f"{level}_familiar": f for level, f in zip(LEVELS, familiar, strict=True)}
    assert in_words(values, answered, LEVELS) == words
