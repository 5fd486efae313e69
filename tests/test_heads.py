"""Heads on frozen features: as scikit-learn's transformers are, for every method and any labels."""

import io

import joblib
import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.numpy import save_file
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks
from tiny_features import make_features

from fgcl_utils import metrics
from fgcl_utils.heads import HeadTransformer, fit_head, labels, network, transformer
from fgcl_utils.methods import METHODS

all_methods = pytest.mark.parametrize("method", METHODS)
QUICK = {"epochs": 6, "batch_size": 64, "projection_dim": 16, "learning_rate": 1e-2}
FINE = [name for name, method in METHODS.items() if not method.needs_levels]


@pytest.fixture
def data():
    return make_features(240)


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


# --- as an estimator --------------------------------------------------------------------------


@parametrize_with_checks(
    [
        HeadTransformer(method, epochs=2, projection_dim=4, validation_fraction=fraction)
        for method, fraction in [("supcon", 0.1), ("ce_head", 0.0), ("ce", 0.1)]
    ]
)
def test_manners_of_scikit_learn(estimator, check):
    check(estimator)


@all_methods
def test_fits_and_transforms(data, method):
    X, y = data
    head = HeadTransformer(method, **QUICK).fit(X, y)
    z = head.transform(X[:30])
    assert z.dtype == np.float32 and z.shape == (30, 12 if method == "ce" else 16)
    np.testing.assert_allclose(np.linalg.norm(z, axis=1), 1, rtol=1e-5)
    assert list(head.get_feature_names_out()) == [f"headtransformer{i}" for i in range(z.shape[1])]
    n_logits = {"ce": 8, "ce_head": 8, "ce_levels": 10, "ce_blocks": 10, "coarse_only": 2}.get(
        method
    )
    outputs = head.outputs(X)
    assert outputs["logits"].shape == (240, n_logits) if n_logits else "logits" not in outputs
    assert list(head.history_["epoch"]) == list(range(1, len(head.history_) + 1))
    assert head.history_.notna().all(axis=None)


def test_a_classifier_may_be_added_to_blocks(data):
    X, y = data
    head = HeadTransformer("hcl_blocks", ce_weight=1.0, **QUICK).fit(X, y)
    outputs = head.outputs(X)
    assert outputs["logits"].shape == (240, 8) and outputs["embedding"].shape == (240, 16)


@pytest.mark.parametrize("method", [m for m in METHODS if m != "ce"])
def test_learns_what_it_is_told(method):
    X, y = make_features(600)
    other, truth = make_features(300, seed=1)
    head = fit_head(X, y, method=method, **QUICK | {"epochs": 15})
    level = 1 if method == "coarse_only" else 0

    def accuracy(train, test):
        return (metrics.nearest_centroid(train, y[:, level], test) == truth[:, level]).mean()

    assert accuracy(head.transform(X), head.transform(other)) > accuracy(X, other) + 0.05


@all_methods
def test_the_same_seed_gives_the_same_bits(data, method):
    X, y = data
    first, again = (fit_head(X, y, method=method, **QUICK) for _ in range(2))
    torch.testing.assert_close(
        first.network_.state_dict(), again.network_.state_dict(), rtol=0, atol=0
    )
    pd.testing.assert_frame_equal(first.history_, again.history_, check_exact=True)
    other = fit_head(X, y, method=method, random_state=1, **QUICK)
    assert not first.history_.equals(other.history_)


def test_the_caller_s_random_numbers_stay_as_they_are(data):
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    fit_head(*data, **QUICK)
    assert torch.equal(torch.rand(2), expected)


def test_in_a_pipeline(data):
    X, y = data
    head = HeadTransformer("hcl_blocks", **QUICK)
    pipeline = make_pipeline(PCA(8), head, KNeighborsClassifier(3)).fit(X, y)
    predicted = pipeline.predict(X)
    assert predicted.shape == y.shape and (predicted == y).mean() > 0.5
    search = GridSearchCV(
        make_pipeline(HeadTransformer("supcon", **QUICK), KNeighborsClassifier(3)),
        {"headtransformer__temperature": [0.1, 0.3]},
        cv=2,
    ).fit(X, y[:, 0])
    assert search.best_score_ > 0.3


@all_methods
def test_joblib_round_trip(data, method):
    X, y = data
    head, file = fit_head(X, y, method=method, **QUICK), io.BytesIO()
    joblib.dump(head, file)
    file.seek(0)
    np.testing.assert_array_equal(joblib.load(file).transform(X), head.transform(X))


@all_methods
@pytest.mark.parametrize("kind", ["numbers", "text", "objects"])
def test_safetensors_round_trip(data, method, kind, tmp_path):
    X, y = data
    y = {"numbers": y, "text": y.astype(str), "objects": y.astype(str).astype(object)}[kind]
    head = fit_head(X, y, method=method, **QUICK)
    head.save(tmp_path / "head.safetensors")
    again = HeadTransformer.load(tmp_path / "head.safetensors")
    np.testing.assert_array_equal(again.transform(X), head.transform(X))
    assert again.get_params() == head.get_params() and again.shares_ == head.shares_
    for ours, theirs in zip(head.classes_, again.classes_, strict=True):
        assert ours.dtype == theirs.dtype
        np.testing.assert_array_equal(ours, theirs)
    pd.testing.assert_frame_equal(again.history_, head.history_)
    assert [path.name for path in tmp_path.iterdir()] == ["head.safetensors"]


def test_another_file_is_no_head(tmp_path):
    save_file({"mean": np.zeros(3)}, tmp_path / "other.safetensors")
    with pytest.raises(ValueError, match=r"other.safetensors holds no head"):
        HeadTransformer.load(tmp_path / "other.safetensors")


def test_numbers_of_numpy_are_saved(data, tmp_path):
    head = fit_head(*data, **QUICK | {"temperature": np.float64(0.2), "epochs": np.int64(2)})
    head.save(tmp_path / "head.safetensors")
    assert HeadTransformer.load(tmp_path / "head.safetensors").temperature == 0.2


def test_a_clone_is_fitted_alike(data):
    head = fit_head(*data, **QUICK)
    np.testing.assert_array_equal(
        clone(head).fit(*data).transform(data[0]), head.transform(data[0])
    )


# --- labels -----------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["hcl_blocks", "ce_levels", "supcon"])
def test_labels_of_any_type_are_the_same_labels(data, method):
    X, codes = data
    names = np.array([f"name {i}" for i in range(10)])
    as_other = {
        "text": names[codes],
        "objects": names[codes].astype(object),
        "lists": names[codes].tolist(),
        "table": pd.DataFrame(names[codes], columns=["species", "genus"]),
        "categories": pd.DataFrame(names[codes], columns=["species", "genus"], dtype="category"),
        "floats": codes.astype(float),
        "unsigned": codes.astype(np.uint8),
    }
    expected = fit_head(X, codes, method=method, **QUICK).transform(X)
    for kind, y in as_other.items():
        z = fit_head(X, y, method=method, **QUICK).transform(X)
        np.testing.assert_array_equal(z, expected, err_msg=kind)


@pytest.mark.parametrize("method", FINE)
def test_one_level_is_enough_for_these(data, method):
    X, y = data
    flat, column = (
        fit_head(X, y[:, 0].reshape(shape), method=method, **QUICK) for shape in (-1, (-1, 1))
    )
    np.testing.assert_array_equal(flat.transform(X), column.transform(X))
    assert len(flat.classes_) == 1


@pytest.mark.parametrize("method", [m for m in METHODS if m not in FINE])
def test_the_others_ask_for_levels(data, method):
    with pytest.raises(ValueError, match=r"compares levels.*labels of shape \(N, L\)"):
        fit_head(data[0], data[1][:, 0], method=method)


@all_methods
def test_three_levels(data, method):
    X, y = data
    y = np.column_stack([y, y[:, 1] * 0])
    head = fit_head(X, y, method=method, **QUICK)
    assert [len(c) for c in head.classes_] == [8, 2, 1]
    assert head.shares_ is None or len(head.shares_) == 3
    assert {"val_accuracy_0", "val_accuracy_1", "val_accuracy_2"} <= {*head.history_}


def with_gaps(y, kind):
    """A third of the finest labels not known, in each way to say so."""
    gaps = np.arange(len(y)) % 3 == 0
    if kind == -1:
        y = y.copy()
    else:
        y = np.array([f"name {i}" for i in range(10)])[y].astype(object)
    y[gaps, 0] = kind
    return y


@all_methods
@pytest.mark.parametrize("kind", [-1, "", None, np.nan], ids=repr)
def test_labels_may_stop_early(data, method, kind):
    X, y = data
    head = fit_head(X, with_gaps(y, kind), method=method, **QUICK)
    assert len(head.classes_[0]) == 8 and kind not in list(head.classes_[0])
    assert np.isfinite(head.transform(X)).all() and head.history_.notna().all(axis=None)


@pytest.mark.parametrize("method", FINE)
def test_rows_of_which_nothing_is_known_are_left_out(data, method):
    X, y = data
    known = np.arange(len(X)) % 3 > 0
    validation = make_features(60, seed=1)
    validation = validation[0], validation[1][:, 0]
    with_unknown = fit_head(
        X, np.where(known, y[:, 0], -1), method=method, validation=validation, **QUICK
    )
    without = fit_head(X[known], y[known, 0], method=method, validation=validation, **QUICK)
    np.testing.assert_array_equal(with_unknown.transform(X), without.transform(X))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda X, y: (X, y[:-1]), "inconsistent numbers of samples"),
        (lambda X, y: (np.where(np.arange(12) == 3, np.nan, X), y), "contains NaN"),
        (lambda X, y: (np.where(np.arange(12) == 3, np.inf, X), y), "contains infinity"),
        (lambda X, y: (X.astype(object).astype(str) + "x", y), "could not convert string"),
        (lambda X, y: (X, y[:, ::-1]), r"level 0 names stand under more than one level 1.*row"),
        (lambda X, y: (X, np.where(y == 3, np.inf, y)), "y contains infinity"),
        (lambda X, y: (X, np.column_stack([y[:, 0], y[:, 1] * 0 - 1])), "level 1 is known: leave"),
        (lambda X, y: (X, np.where(np.eye(240, 2) > 0, [[-1, -1]], y)[:, ::1]), "row 1"),
        (lambda X, y: (X, y[:, :, None]), "labels have shape"),
        (lambda X, y: (X, [[1, "a"], ["b", "a"]] * 120), "several types"),
    ],
)
def test_what_is_refused(data, change, message):
    with pytest.raises(ValueError, match=f"(?s){message}"):
        fit_head(*change(*data), **QUICK)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"method": "hlc"}, "method='hlc' is unknown: choose from ce, supcon, hcl"),
        ({"head": "mpl"}, "head='mpl' is unknown: choose from none, linear, mlp"),
        ({"epochs": 0}, "epochs=0"),
        ({"patience": 0}, "patience=0"),
        ({"projection_dim": 0}, "projection_dim=0"),
        ({"batch_size": 2}, "batch_size is 2"),
        ({"temperature": -1}, "temperature is -"),
        ({"block_dims": (8, 4, 4)}, "block_dims"),
        ({"dropout": 1.5}, "dropout"),
    ],
    ids=str,
)
def test_bad_parameters(data, parameters, message):
    with pytest.raises(ValueError, match=message):
        fit_head(*data, **{"method": "hcl_blocks"} | parameters)


# --- training ---------------------------------------------------------------------------------


def test_many_rows_want_few_epochs(data, monkeypatch):
    assert [network.epochs_for(n) for n in (240, 10_000, 30_000, 240_000)] == [60, 60, 20, 6]
    monkeypatch.setattr(network, "ROWS_IN_ALL", 216 * 7)  # a tenth of the 240 validates
    assert len(fit_head(*data, **QUICK | {"epochs": None}).history_) == 7


def test_validation_rows_hold_a_share_of_every_class_and_never_all_of_one():
    rng = np.random.default_rng(0)
    counts = [400, 100, 50, 30, 20, 12, 5, 2, 1, 1]
    codes = rng.permutation(np.repeat(np.arange(10), counts))[:, None]
    chosen = labels.validation_rows(codes, 0.1, seed=0)
    assert chosen.sum() == round(0.1 * len(codes))
    for c, n in enumerate(counts):
        assert abs(chosen[codes[:, 0] == c].sum() - 0.1 * n) <= 1.1
        assert not chosen[codes[:, 0] == c].all()
    assert (labels.validation_rows(codes, 0.1, seed=1) != chosen).any()
    assert not labels.validation_rows(codes, 0.0, seed=0).any()


def test_validation_that_is_given_is_not_trained_on(data):
    X, y = data
    given = make_features(60, seed=1)
    head = fit_head(X, y, validation=given, **QUICK)
    moved = fit_head(X, y, validation=(given[0][::-1], given[1][::-1]), **QUICK)
    np.testing.assert_array_equal(head.transform(X), moved.transform(X))
    assert not np.array_equal(head.transform(X), fit_head(X, y, **QUICK).transform(X))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda X, y: (X[:, :5], y), "12 features"),
        (lambda X, y: (X, y[:5]), "inconsistent numbers of samples"),
        (lambda X, y: (X, y[:, :1]), "validation has 1 levels of labels"),
        (lambda X, y: (X, y + 100), "no class that the training rows have"),
    ],
)
def test_validation_that_does_not_fit(data, change, message):
    with pytest.raises(ValueError, match=message):
        fit_head(*data, validation=change(*make_features(60, seed=1)), **QUICK)


def test_the_best_epoch_counts_and_training_stops_after_it(data, monkeypatch):
    accuracies, states = iter([0.2, 0.5, 0.3, 0.5, 0.4, 0.9]), []

    def told(self, train, val):
        states.append({k: v.clone() for k, v in self.network_.state_dict().items()})
        return {"val_accuracy": next(accuracies)}

    monkeypatch.setattr(HeadTransformer, "_accuracies", told)
    head = fit_head(*data, method="supcon", patience=3, **QUICK)
    assert len(head.history_) == 5
    torch.testing.assert_close(dict(head.network_.state_dict()), states[1], rtol=0, atol=0)


def test_without_validation_the_last_epoch_counts(data):
    head = fit_head(*data, validation_fraction=0, **QUICK)
    assert len(head.history_) == QUICK["epochs"] and head.history_["val_accuracy"].isna().all()
    assert head.shares_ == (0.5, 0.5)


def test_shares_are_those_that_validation_rows_choose(data):
    X, y = data
    given = make_features(90, seed=1)
    head = fit_head(X, y, validation=given, **QUICK)
    train, val = (
        np.split(head.outputs(features)["embedding"], [12], axis=1) for features in (X, given[0])
    )
    assert head.shares_ == metrics.choose_shares(train, y, val, given[1])[0]
    z = head.transform(X)
    assert np.linalg.norm(z[:, 12:], axis=1) ** 2 == pytest.approx(head.shares_[1], abs=1e-5)


@all_methods
@pytest.mark.parametrize("batch_size", [None, 10**6])
def test_all_rows_are_one_batch(data, method, batch_size):
    head = fit_head(*data, method=method, **QUICK | {"batch_size": batch_size})
    assert np.isfinite(head.transform(data[0])).all()


def test_features_are_standardised(data):
    """Scale and origin of a feature say nothing, nor does one that is constant."""
    X, y = data
    moved = np.column_stack([X * np.logspace(-3, 3, 12, dtype=np.float32) + 5, np.full(240, 7)])
    plain = np.column_stack([X, np.zeros(240)])
    z, of_moved = (
        fit_head(features, y, method="supcon", **QUICK).transform(features)
        for features in (plain, moved)
    )
    np.testing.assert_allclose(of_moved, z, atol=0.02)


def test_the_bar_shows_loss_and_accuracy(data, capsys):
    fit_head(*data, progress=True, **QUICK)
    bar = capsys.readouterr().err
    assert "hcl_blocks" in bar and "loss=" in bar and "val=" in bar
    fit_head(*data, **QUICK)
    assert capsys.readouterr().err == ""


def test_a_loss_that_is_no_number_stops(data, monkeypatch):
    monkeypatch.setattr(
        transformer.methods, "loss_for", lambda *_: lambda z, *_: z.sum() * float("nan")
    )
    with pytest.raises(FloatingPointError, match=r"supcon loss is nan in epoch 1.*learning_rate"):
        fit_head(*data, method="supcon", **QUICK)


def test_memory_mapped_features_are_as_good(data, tmp_path):
    X, y = data
    np.save(tmp_path / "features.npy", X)
    mapped = np.load(tmp_path / "features.npy", mmap_mode="r")
    expected = fit_head(X, y, **QUICK).transform(X)
    np.testing.assert_array_equal(fit_head(mapped, y, **QUICK).transform(mapped), expected)
