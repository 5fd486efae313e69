"""Runs of `encoder: frozen` and of files of features: the same folders as trained runs have."""

import dataclasses

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_runs import SMALL, make_project
from tqdm import tqdm

from fgcl_utils import runs, training
from fgcl_utils.heads import HeadTransformer
from fgcl_utils.methods import METHODS
from fgcl_utils.settings import Settings, load_dataset
from fgcl_utils.training import frozen, reproduction

FROZEN = SMALL | {"encoder": "frozen", "epochs": 3, "run_name": "frozen"}


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.chdir(make_project(tmp_path))
    return tmp_path


@pytest.fixture
def computed(monkeypatch):
    """Paths of the features that were computed."""
    paths, compute = [], frozen._compute_into
    monkeypatch.setattr(
        frozen, "_compute_into", lambda path, *rest: paths.append(path) or compute(path, *rest)
    )
    return paths


def cached(root):
    return sorted((root / ".cache" / "features").iterdir())


@pytest.mark.parametrize("method", METHODS)
def test_a_run_folder_holds_what_a_trained_one_does(root, method):
    settings = Settings(**FROZEN)
    data = load_dataset(settings)
    run = training.train(settings, method, data)
    assert run["folder"] == root / "runs" / "frozen" / method / "seed-0"
    columns = ["epoch", "train_loss", "learning_rate"]
    columns += ["val_species_accuracy", "val_genus_outlier_rate"]
    assert list(run["history"]) == columns and run["history"].notna().all(axis=None)
    test, embeddings = data.indices("test"), run["embeddings"]
    np.testing.assert_array_equal(embeddings["test_index"], test)
    np.testing.assert_allclose(np.linalg.norm(embeddings["test"], axis=1), 1, rtol=1e-5)
    assert embeddings["test"].shape == (len(test), 256 if method == "ce" else 16)
    assert embeddings["test_encoder"].shape == (len(test), 256)
    assert ("test_logits" in embeddings) == (method.startswith("ce"))
    assert run["metrics"]["n_test"] == len(test) and run["metrics"]["seconds"] > 0
    assert ("shares" in run["metrics"]) == METHODS[method].in_blocks


def test_the_head_in_the_folder_makes_the_embedding_again(root):
    settings = Settings(**FROZEN)
    run = training.train(settings, "hcl_blocks", load_dataset(settings))
    head = HeadTransformer.load(run["folder"] / "checkpoint.safetensors")
    again = head.transform(run["embeddings"]["test_encoder"])
    np.testing.assert_allclose(again, run["embeddings"]["test"], atol=1e-6)
    assert head.shares_ == tuple(run["metrics"]["shares"])


def test_plain_cross_entropy_leaves_the_features_as_they_are(root):
    settings = Settings(**FROZEN)
    embeddings = training.train(settings, "ce", load_dataset(settings))["embeddings"]
    features = embeddings["test_encoder"]
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    np.testing.assert_allclose(embeddings["test"], unit, atol=1e-6)


def test_features_are_computed_once_for_all_methods(root, computed):
    settings = Settings(**FROZEN)
    data = load_dataset(settings)
    for method in ("ce", "supcon"):
        training.train(settings, method, data)
    training.train(dataclasses.replace(settings, epochs=2), "hcl", data)
    assert computed == cached(root)


def test_features_are_those_of_images_encoder_weights_and_size(root, computed):
    settings = Settings(**FROZEN)
    data = load_dataset(settings)
    first = frozen.features_of(settings, data)
    others = {
        "weights": {"seed": 1},  # random ones
        "size": {"image_size": 40},
        "encoder": {"model_name": "test_vit", "image_size": 160},
        "images": {"dials": SMALL["dials"] | {"seed": 1}},
    }
    for n, other in enumerate(others.values(), 2):
        settings = dataclasses.replace(Settings(**FROZEN), **other)
        features = frozen.features_of(settings, load_dataset(settings))
        assert len(computed) == len(cached(root)) == n
        assert features.shape != first.shape or not np.allclose(features, first)
    assert first.dtype == np.float32 and not first.flags.writeable


def test_one_image_s_features_do_not_depend_on_the_others(root, monkeypatch):
    settings = Settings(**FROZEN)
    data = load_dataset(settings)
    together = np.array(frozen.features_of(settings, data))
    cached(root)[0].unlink()
    monkeypatch.setattr(frozen, "IMAGES", 5)
    np.testing.assert_allclose(frozen.features_of(settings, data), together, atol=1e-5)


def test_features_of_a_finished_run(root, computed):
    trained = Settings(**SMALL)
    data = load_dataset(trained)
    run = training.train(trained, "ce", data)
    settings = Settings(**FROZEN, weights="runs/demo/ce/seed-0")
    of_run = training.train(settings, "ce", data)["embeddings"]
    np.testing.assert_allclose(of_run["test_encoder"], run["embeddings"]["test_encoder"], atol=1e-4)
    # The same weights under another name are the same features.
    weights = load_file(run["folder"] / "checkpoint.safetensors")
    prefix = "model.encoder."
    weights = {k.removeprefix(prefix): v for k, v in weights.items() if k.startswith(prefix)}
    save_file(weights, root / "encoder.safetensors")
    frozen.features_of(dataclasses.replace(settings, weights="encoder.safetensors"), data)
    assert len(computed) == 1


def test_weights_of_half_the_precision_are_read(root):
    settings = Settings(**FROZEN)
    data = load_dataset(settings)
    torch.manual_seed(0)
    model = frozen.build_model(model_name=settings.model_name, image_size=32)
    halves = {k: v.half() for k, v in model.encoder.state_dict().items()}
    save_file(halves, root / "half.safetensors")
    features = frozen.features_of(dataclasses.replace(settings, weights="half.safetensors"), data)
    assert features.dtype == np.float32
    np.testing.assert_allclose(features, frozen.features_of(settings, data), atol=0.05)


def test_a_killed_process_leaves_no_features(root, monkeypatch):
    settings = Settings(**FROZEN)
    data = load_dataset(settings)

    class Stopping(tqdm):
        def update(self, n):
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(frozen.progress, "bar", Stopping)
        with pytest.raises(training.failures.RunStopped, match="while the features were"):
            training.train(settings, "supcon", data)
    assert cached(root) == []
    assert training.train(settings, "supcon", data)["metrics"]["n_test"]


def test_a_finished_run_is_loaded(root, capsys, monkeypatch):
    settings = Settings(**FROZEN)
    data = load_dataset(settings)
    first = training.train(settings, "hcl", data)
    monkeypatch.setattr(frozen, "features_of", lambda *_: pytest.fail("made again"))
    again = training.train(settings, "hcl", data)
    assert "loaded, not trained again" in capsys.readouterr().out
    assert again["metrics"] == first["metrics"]
    assert runs.load_study(settings, data) if runs.is_made(settings, "supcon") else True


def test_a_trained_and_a_frozen_run_are_two(root):
    settings = Settings(**FROZEN | {"run_name": "both"})
    trained = dataclasses.replace(settings, encoder="trained")
    assert settings.identity("hcl") != trained.identity("hcl")


def test_a_run_is_reproduced(root, capsys):
    settings = Settings(**FROZEN)
    run = training.train(settings, "hcl_blocks", load_dataset(settings))
    assert reproduction.reproduce(run["folder"])
    assert "weights: identical" in capsys.readouterr().out


def test_classes_without_training_images_have_logits(root):
    dials = {"n_species": 24, "n_images": 300}
    settings = Settings(**FROZEN | {"dials": dials}, held_out_species=0.2)
    data = load_dataset(settings)
    run = training.train(settings, "ce", data)
    logits = run["embeddings"]["test_logits"]
    assert logits.shape[1] == data.taxonomy.n_classes[0] and np.isfinite(logits).all()
    assert len(run["embeddings"]["unseen"]) == len(data.indices("unseen")) > 0


def test_without_a_validation_split_a_part_of_train_serves(root):
    settings = Settings(**FROZEN)
    data = load_dataset(settings)
    table = data.table.assign(split=data.table["split"].replace("val", "train"))
    data = dataclasses.replace(data, table=table)
    run = training.train(settings, "hcl_blocks", data)
    assert "val" not in run["metrics"]
    assert run["history"]["val_species_accuracy"].notna().all()
    assert len(run["embeddings"]["train"]) == (table["split"] == "train").sum()
