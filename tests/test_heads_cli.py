"""Runs of a file of features and a table: with photos and without, and what is refused."""

import json
from dataclasses import asdict

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from safetensors.numpy import save_file
from tiny_features import make_features
from tiny_runs import make_project

from fgcl_utils import runs, training
from fgcl_utils.explorer.__main__ import main as explore
from fgcl_utils.files import read_yaml
from fgcl_utils.heads.__main__ import main
from fgcl_utils.settings import Settings, SettingsError, load_dataset

OPTIONS = ["-p", "epochs", "3", "-p", "batch_size", "64", "-p", "projection_dim", "16"]


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.chdir(make_project(tmp_path))
    return tmp_path


@pytest.fixture
def features(root):
    """features.npy and table.csv of 200 images in 8 species of 2 genera; their arrays."""
    X, codes = make_features(200)
    np.save(root / "features.npy", X)
    table = pd.DataFrame(
        {"species": [f"s{c}" for c in codes[:, 0]], "genus": [f"g{c}" for c in codes[:, 1]]}
    )
    table.to_csv(root / "table.csv", index=False)
    return X, table


def command(*arguments):
    main(["features.npy", "table.csv", "--out", "runs/mine", *OPTIONS, *arguments])


def test_makes_runs_that_the_explorer_takes(root, features, capsys):
    X, _ = features
    command("--method", "ce", "hcl_blocks")
    said = capsys.readouterr().out
    assert "images are outliers on genus level" in said and "fgcl_utils.explorer" in said
    folder = root / "runs" / "mine" / "hcl_blocks" / "seed-0"
    arrays = runs.load_embeddings(folder)
    rows = np.concatenate([arrays[f"{split}_index"] for split in ("train", "val", "test")])
    assert sorted(rows) == list(range(200))
    np.testing.assert_array_equal(arrays["test_encoder"], X[arrays["test_index"]])
    explore(["runs/mine"])
    page = (root / "runs" / "mine" / "explorer.html").read_text("utf-8")
    assert "hcl_blocks" in page or "HCL blocks" in page or len(page) > 10_000


def test_the_profile_makes_the_same_runs_again(root, features, capsys):
    command("--method", "supcon")
    settings = Settings.from_dict(read_yaml(root / "runs" / "mine" / "profile.yaml"))
    assert runs.is_made(settings, "supcon")
    command("--method", "supcon")
    assert "loaded, not trained again" in capsys.readouterr().out


def test_rows_are_joined_by_name(root, features):
    X, table = features
    names = np.array([f"photo {i}.jpg" for i in range(200)])
    table.assign(image=names).to_csv(root / "table.csv", index=False)
    order = np.random.default_rng(0).permutation(200)
    np.savez(root / "named.npz", features=X[order], image=names[order])
    main(["named.npz", "table.csv", "--out", "runs/mine", "--method", "ce", *OPTIONS])
    arrays = runs.load_embeddings(root / "runs" / "mine" / "ce" / "seed-0")
    np.testing.assert_array_equal(arrays["test_encoder"], X[arrays["test_index"]])


def test_a_split_of_one_s_own_is_kept(root, features):
    _, table = features
    split = np.random.default_rng(0).choice(["train", "val", "test"], 200)
    table.assign(split=split).to_csv(root / "table.csv", index=False)
    command("--method", "ce")
    arrays = runs.load_embeddings(root / "runs" / "mine" / "ce" / "seed-0")
    np.testing.assert_array_equal(arrays["val_index"], np.flatnonzero(split == "val"))


def test_other_levels_and_other_columns(root, features):
    _, table = features
    table.columns = ["taxon", "genus"]
    table["family"] = "f"
    table.to_csv(root / "table.csv", index=False)
    columns = ["-p", "columns", "{species: taxon}"]
    command("--levels", "species", "genus", "family", "--method", "hcl_blocks", *columns)
    measures = json.loads((root / "runs/mine/hcl_blocks/seed-0/metrics.json").read_text())
    assert len(measures["shares"]) == 3 and "family_outliers" in measures


def test_photos_that_are_there_are_shown(root, features):
    _, table = features
    rng = np.random.default_rng(0)
    (root / "photos").mkdir()
    for i in range(200):
        pixels = rng.integers(0, 256, (20, 20, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(root / "photos" / f"{i}.png")
    table.assign(image=[f"photos/{i}.png" for i in range(200)]).to_csv("table.csv", index=False)
    command("--method", "ce")
    assert Settings.from_run(root / "runs/mine/ce/seed-0").dataset == "csv"
    (root / "photos" / "7.png").unlink()
    with pytest.raises(SystemExit, match=r"1 of 200 images do not exist(?s:.*)7.png"):
        command("--method", "ce")


def test_a_data_set_without_photos_has_tiles(root, features):
    settings = Settings(dataset="features", data_root="table.csv", encoder="features.npy")
    data = load_dataset(settings)
    images = data.images(24)
    assert images.shape == (200, 24, 24, 3) and images.dtype == np.uint8
    assert len(np.unique(images[[3, 5]])) == 1
    assert data.photo(0, 30).size == (30, 30) and data.photo(0, 30).mode == "RGB"
    assert data.table["image"].is_unique and not (root / ".cache").exists()
    assert data.fingerprint == load_dataset(settings).fingerprint
    assert json.dumps(data.summary())


@pytest.mark.parametrize("encoder", ["trained", "frozen"])
def test_without_photos_nothing_can_look_at_them(encoder):
    with pytest.raises(SettingsError, match="has no photos"):
        Settings(dataset="features", data_root="table.csv", encoder=encoder)


def change_features(change):
    return lambda X, table: (change(X), table)


def change_table(change):
    return lambda X, table: (X, change(table))


def with_number(X, row, number):
    X = X.copy()
    X[row, 2] = number
    return X


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (change_features(lambda X: with_number(X, 17, np.nan)), r"row 17"),
        (change_features(lambda X: with_number(X, 17, np.inf)), r"row 17"),
        (change_features(lambda X: X[:150]), r"150 rows and .* 200"),
        (change_features(lambda X: X.astype(object)), "object|allow_pickle"),
        (change_features(lambda X: X[0]), "dimension|shape"),
        (change_table(lambda t: t.drop(columns="genus")), "no column 'genus'"),
        (change_table(lambda t: t.assign(image=["a.jpg"] * 200)), "stand in more than one row"),
        (change_table(lambda t: t.assign(genus=[f"g{i % 3}" for i in range(200)])), "line 2"),
        (
            change_table(lambda t: t.assign(species=[f"s{i}" for i in range(200)])),
            "needs a species with two images",
        ),
        (change_table(lambda t: t.assign(split="train")), "the test split is empty"),
        (change_table(lambda t: t.assign(split=["train"] * 199 + ["tset"])), "line 201"),
    ],
)
def test_what_is_refused(root, features, change, message):
    X, table = change(*features)
    np.save(root / "features.npy", X)
    table.to_csv(root / "table.csv", index=False)
    with pytest.raises(SystemExit, match=f"(?s)error: .*{message}"):
        command("--method", "ce")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--out", "elsewhere"], "runs are kept in .*runs"),
        (["--levels", "species", "--method", "hcl"], "hcl compares levels"),
        (["-p", "epoch", "3"], "no parameter 'epoch'"),
        (["-p", "columns", "{photo: x}"], "columns maps image, species, genus"),
    ],
    ids=str,
)
def test_bad_arguments(root, features, arguments, message):
    with pytest.raises(SystemExit, match=message):
        command(*arguments)


def test_several_arrays_are_a_question(root, features):
    X, _ = features
    save_file({"a": X, "b": X}, root / "two.safetensors")
    with pytest.raises(SystemExit, match="several arrays, a, b"):
        main(["two.safetensors", "table.csv", "--out", "runs/mine", *OPTIONS])


def test_classes_of_one_row_are_named(root, features, capsys):
    _, table = features
    table.loc[5, "species"] = "rare"
    table.to_csv(root / "table.csv", index=False)
    command("--method", "ce")
    assert "row 5: rare" in capsys.readouterr().err


def test_a_file_of_features_serves_any_data_set(root, features):
    """`encoder` in the settings, without the command."""
    dials = {"n_species": 12, "n_images": 168}
    settings = Settings(dials=dials, encoder="fungi.npy", epochs=2, batch_size=32, image_size=32)
    data = load_dataset(settings)
    X = np.random.default_rng(0).normal(size=(168, 6)).astype(np.float32)
    np.save(root / "fungi.npy", X)
    run = training.train(settings, "hcl", data)
    np.testing.assert_array_equal(run["embeddings"]["test_encoder"], X[data.indices("test")])
    moved = Settings(**asdict(settings) | {"encoder": str(root / "fungi.npy")})
    assert moved.identity("hcl") == settings.identity("hcl")
