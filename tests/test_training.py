"""The loop: seeded, resumable to the bit, finished runs loaded instead of repeated."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file
from tiny_runs import SMALL

from fgcl_utils import methods, runs, training
from fgcl_utils.methods import METHODS
from fgcl_utils.settings import Settings, SettingsError, load_dataset
from fgcl_utils.training import loop
from fgcl_utils.views import DeviceViews


@pytest.fixture
def root(tmp_path, monkeypatch):
    (tmp_path / "_config.yml").touch()
    (tmp_path / "notebooks").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def settings():
    return Settings(**SMALL)


@pytest.mark.parametrize("method", METHODS)
def test_a_run_folder_holds_what_the_study_reads(root, settings, method):
    data = load_dataset(settings)
    run = training.train(settings, method, data)
    assert run["folder"] == root / "runs" / "demo" / method / "seed-0"
    assert list(run["history"]["epoch"]) == [1, 2]
    assert run["history"].notna().all(axis=None)
    test = data.indices("test")
    embeddings, measures = run["embeddings"], run["metrics"]
    np.testing.assert_array_equal(embeddings["test_index"], test)
    assert embeddings["train"].dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(embeddings["test"], axis=1), 1, rtol=1e-5)
    assert embeddings["test"].shape[1] == (16 if METHODS[method].has_head else 256)
    assert embeddings["test_encoder"].shape == (len(test), 256)
    assert measures["n_test"] == len(test)
    assert {name for name in embeddings if name.endswith("_logits")} == (
        {"val_logits", "test_logits"} if method.startswith("ce") else set()
    )
    if method == "ce":
        logits = embeddings["test_logits"]
        assert logits.dtype == np.float32
        right = logits.argmax(axis=1) == data.labels[test, 0]
        assert measures["classifier_accuracy"] == right.mean()
    assert measures["genus_outlier_rate"] == measures["genus_outliers"] / len(test)
    assert measures["val"]["n_test"] == len(data.indices("val"))
    assert {"versions", "commit"} <= set(run["config"]["provenance"])


def test_a_finished_run_is_loaded(root, settings, capsys, monkeypatch):
    data = load_dataset(settings)
    first = training.train(settings, "hcl", data)
    monkeypatch.setattr(training.Trainer, "fit", lambda self: pytest.fail("trained again"))
    again = training.train(settings, "hcl", data)
    assert "loaded, not trained again" in capsys.readouterr().out
    assert again["metrics"] == first["metrics"]


def test_views_made_on_the_device_train_alike(root, monkeypatch):
    """As on a GPU; the views differ by rounding, and so does the loss."""
    settings = Settings(**SMALL | {"epochs": 1})
    data = load_dataset(settings)
    by_loader = training.train(settings, "supcon", data)
    (root / "runs").rename(root / "by_loader")
    monkeypatch.setattr(loop, "views_for", lambda device, *rest: DeviceViews(*rest))
    on_device = training.train(settings, "supcon", data)
    losses = [run["history"]["train_loss"].item() for run in (by_loader, on_device)]
    assert losses[0] != losses[1]
    assert losses[1] == pytest.approx(losses[0], rel=0.02)


DROPS = SMALL | {"image_size": 64, "model_name": "swin_demo_patch4_window4_64"}  # drop-path


@pytest.mark.parametrize(
    ("stop", "values"),
    [
        ("before the epoch", DROPS),
        ("in the epoch", SMALL),
        ("before the checkpoint", SMALL),
    ],
)
def test_an_interrupted_run_ends_bit_identical(root, monkeypatch, stop, values):
    settings = Settings(**values)
    data = load_dataset(settings)
    whole = training.train(settings, "hcl", data)
    weights = load_file(whole["folder"] / "checkpoint.safetensors")
    (root / "runs").rename(root / "whole")

    with monkeypatch.context() as patch:
        interrupt_in_second_epoch(patch, stop)
        with pytest.raises(KeyboardInterrupt):
            training.train(settings, "hcl", data)
    folder = runs.run_folder(settings, "hcl")
    assert not runs.finished(folder)
    resumed = training.train(settings, "hcl", data)
    assert resumed["metrics"]["n_test"] == len(data.indices("test"))
    assert list(resumed["history"]["epoch"]) == [1, 2]
    np.testing.assert_array_equal(resumed["history"]["train_loss"], whole["history"]["train_loss"])
    for name, value in load_file(folder / "checkpoint.safetensors").items():
        assert torch.equal(value, weights[name]), name
    for name, array in resumed["embeddings"].items():
        np.testing.assert_array_equal(array, whole["embeddings"][name])


def interrupt_in_second_epoch(patch, where):
    """Make the trainer stop as if by Ctrl-C."""
    train_epoch, step = training.Trainer._train_epoch, training.Trainer._step
    save = training.Trainer._save_weights

    def train_epoch_or_stop(self, epoch, bar):
        self.epoch = epoch
        if epoch == 1 and where == "before the epoch":
            raise KeyboardInterrupt
        return train_epoch(self, epoch, bar)

    def step_or_stop(self, *arguments):
        result = step(self, *arguments)
        if self.epoch == 1 and where == "in the epoch":
            raise KeyboardInterrupt
        return result

    def save_or_stop(self, epochs_done, **options):
        if epochs_done == 2 and where == "before the checkpoint":
            raise KeyboardInterrupt
        return save(self, epochs_done, **options)

    patch.setattr(training.Trainer, "_train_epoch", train_epoch_or_stop)
    patch.setattr(training.Trainer, "_step", step_or_stop)
    patch.setattr(training.Trainer, "_save_weights", save_or_stop)


def test_the_number_of_loader_processes_changes_nothing(root):
    settings = Settings(**DROPS)
    data = load_dataset(settings)
    alone = training.train(settings, "supcon", data)
    (root / "runs").rename(root / "alone")
    with_workers = Settings(**DROPS, num_workers=2)
    shared = training.train(with_workers, "supcon", data)
    np.testing.assert_array_equal(alone["history"]["train_loss"], shared["history"]["train_loss"])


def test_seeds_differ(root, settings):
    data = load_dataset(settings)
    losses = [
        training.train(Settings(**SMALL, seed=seed), "hcl", data)["history"]["train_loss"][0]
        for seed in (0, 1)
    ]
    assert losses[0] != losses[1]


def test_learning_lowers_the_loss(root):
    settings = Settings(**(SMALL | {"epochs": 6, "learning_rate": 0.003}))
    history = training.train(settings, "hcl", load_dataset(settings))["history"]
    assert history["train_loss"].iloc[-1] < history["train_loss"].iloc[0]


@pytest.mark.parametrize("method", ["hcl", "hcl_blocks"])
def test_a_classifier_may_be_added(root, method):
    settings = Settings(**(SMALL | {"ce_weight": 2.0, "run_name": "both"}))
    run = training.train(settings, method, load_dataset(settings))
    assert run["embeddings"]["test_logits"].shape[1] == 12
    assert 0 <= run["metrics"]["classifier_accuracy"] <= 1


def test_cross_entropy_is_added_with_its_weight():
    settings = Settings(**SMALL)
    labels = torch.tensor([[0, 0], [0, 0], [1, 0], [1, 0]])
    projections, logits = torch.randn(4, 8), torch.randn(4, 12)
    losses = {
        weight: methods.loss_for(dataclasses.replace(settings, ce_weight=weight), "hcl", (12, 6))(
            projections, logits, labels
        )
        for weight in (0.0, 2.0)
    }
    cross_entropy = torch.nn.functional.cross_entropy(logits, labels[:, 0])
    torch.testing.assert_close(losses[2.0], losses[0.0] + 2 * cross_entropy)


def test_a_loss_that_is_not_finite_stops_with_advice(root, settings, monkeypatch):
    data = load_dataset(settings)
    monkeypatch.setattr(
        methods, "loss_for", lambda *_: lambda z, logits, labels: logits.sum() * float("nan")
    )
    with pytest.raises(FloatingPointError, match="ce loss is nan in epoch 1: try a lower learning"):
        training.train(settings, "ce", data)


def test_without_validation_photos_the_curves_have_gaps(root, tmp_path):
    settings = Settings(**SMALL)
    data = load_dataset(settings)
    data.table.loc[data.table["split"] == "val", "split"] = "train"
    run = training.train(settings, "ce", data)
    assert run["history"]["val_genus_outlier_rate"].isna().all()
    assert "val" not in run["metrics"]


def test_learning_rate_warms_up_and_decays_to_zero():
    rates = pd.Series([loop.learning_rate_at(step, 100, 2.0) for step in range(100)])
    assert rates[:10].is_monotonic_increasing
    assert rates[10:].is_monotonic_decreasing
    assert rates.max() == 2.0
    assert 0 < rates.iloc[-1] < 0.01


def test_weights_decay_but_biases_and_norms_do_not(settings):
    from fgcl_utils.models import build_model

    model = build_model(model_name="vit_demo_patch8_64", image_size=64, head="mlp")
    decayed, kept = loop._parameter_groups(model, 0.05)
    names = {id(p): name for name, p in model.named_parameters()}
    assert {names[id(p)] for p in kept["params"]} >= {"encoder.pos_embed", "head.0.bias"}
    assert "encoder.blocks.0.attn.qkv.weight" in {names[id(p)] for p in decayed["params"]}
    assert len(decayed["params"]) + len(kept["params"]) == len(names)


def test_half_precision_needs_a_device(root):
    if torch.cuda.is_available():
        pytest.skip("a CUDA device is here")
    settings = Settings(**SMALL, precision="float16")
    with pytest.raises(SettingsError, match="needs a CUDA device"):
        training.train(settings, "ce", load_dataset(settings))
