"""The embedded data set: what its dials promise."""

import hashlib
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

from fgcl_utils.datasets.synthetic import GENERA, Dials, factors, make_table, render

SMALL = Dials(n_species=12, n_images=240)


# --- dials


@pytest.mark.parametrize(
    ("dial", "value", "allowed"),
    [
        ("n_species", 11, r"\[12, 600\]"),
        ("n_species", 20.0, "an integer"),
        ("n_images", True, "an integer"),
        ("tail", -0.1, r"\[0.0, 2.0\]"),
        ("species_gap", float("nan"), r"\[0.0, 3.0\]"),
        ("genus_gap", 1.5, r"\[0.0, 1.0\]"),
        ("nuisance", "strong", "a number"),
        ("seed", -1, "an integer"),
        ("label_noise", 1.0, r"\[0.0, 0.9\]"),
    ],
)
def test_a_refused_dial_is_named_with_its_value_and_range(dial, value, allowed):
    with pytest.raises(ValueError, match=rf"dial {dial}={value!r}: must be .*{allowed}"):
        Dials(**{dial: value})


def test_too_few_images_for_the_species_are_refused():
    with pytest.raises(ValueError, match=r"n_images=100: must be in \[140, .*n_species=20"):
        Dials(n_species=20, n_images=100)


# --- table


@pytest.mark.parametrize("dials", [SMALL, Dials(), Dials(n_species=182, n_images=1274, tail=2)])
def test_table_keeps_its_guarantees(dials):
    table = make_table(dials)
    assert list(table.columns) == ["image", "species", "genus", "split"]
    assert table.index.equals(pd.RangeIndex(dials.n_images))
    assert table["image"].is_unique and table["image"].str.fullmatch(r"synthetic/\d{6}").all()
    assert table["species"].nunique() == dials.n_species
    assert (table["genus"] == table["species"].str.split().str[0]).all()
    assert table["species"].str.fullmatch(rf"({'|'.join(GENERA)}) sp\. \d\d+").all()
    each = table.groupby(["species", "split"]).size().unstack(fill_value=0)
    assert (each[["train", "val", "test"]] >= [4, 1, 2]).all(axis=None)


def test_split_shares_are_70_10_20():
    share = make_table(Dials(tail=0.0))["split"].value_counts(normalize=True)
    assert share[["train", "val", "test"]].tolist() == pytest.approx([0.7, 0.1, 0.2], abs=0.01)


def test_label_noise_renames_a_share_of_the_training_photos_only():
    clean, noisy = make_table(Dials()), make_table(Dials(label_noise=0.2))
    renamed = clean["species"] != noisy["species"]
    train = clean["split"] == "train"
    assert not renamed[~train].any()
    assert renamed[train].mean() == pytest.approx(0.2, abs=0.02)
    assert (noisy["genus"] == noisy["species"].str.split().str[0]).all()
    assert noisy["split"].equals(clean["split"])
    wrong, right = Dials(n_species=12, n_images=240, label_noise=0.5), SMALL
    assert np.array_equal(render(wrong, np.arange(20), 16), render(right, np.arange(20), 16))


def test_species_per_genus_follow_df20_mini():
    table = make_table(Dials(n_species=182, n_images=2000))
    per_genus = table.groupby("genus")["species"].nunique()
    assert per_genus[list(GENERA)].tolist() == [22, 17, 6, 14, 49, 74]
    assert (make_table(SMALL).groupby("genus")["species"].nunique() == 2).all()


def test_tail_spreads_the_photos_per_species():
    spread = []
    for tail in (0.0, 0.5, 1.0, 2.0):
        counts = make_table(Dials(tail=tail))["species"].value_counts()
        spread.append(counts.max() / counts.min())
    assert spread[0] == 1 and spread == sorted(spread) and spread[2] > 20


# --- factors


def test_factors_stand_beside_the_table_and_cannot_be_spoilt():
    rows = factors(SMALL)
    assert rows.index.equals(make_table(SMALL).index)
    assert np.isfinite(rows.to_numpy()).all()
    rows.iloc[:] = 0
    assert factors(SMALL).to_numpy().any()


def test_without_gaps_and_nuisance_all_photos_share_their_traits():
    rows = factors(Dials(12, 240, species_gap=0, genus_gap=0, nuisance=0))
    varying = rows.columns[rows.nunique() > 1]
    assert set(varying) <= {"ring", "volva", "warts", "pores"}  # probabilities, drawn a photo


# --- pictures


def test_a_photo_is_the_same_in_any_batch():
    indices = np.array([3, 239, 0, 77, 3, 120, 11])
    together = render(SMALL, indices, 40)
    assert together.shape == (7, 40, 40, 3) and together.dtype == np.uint8
    assert (together[0] == together[4]).all()
    for batch_size in (1, 2, 5):
        again = render(SMALL, indices[::-1], 40, batch_size=batch_size)[::-1]
        np.testing.assert_array_equal(together, again)


def test_a_photo_is_the_same_in_another_process():
    code = (
        "import hashlib; from fgcl_utils.datasets.synthetic import Dials, render;"
        "images = render(Dials(n_species=12, n_images=240), [5, 100], 32);"
        "print(hashlib.sha256(images.tobytes()).hexdigest())"
    )
    printed = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    here = hashlib.sha256(render(SMALL, [100, 5], 32)[::-1].tobytes()).hexdigest()
    assert printed.stdout.strip() == here


def test_sizes_show_the_same_picture():
    indices = np.arange(0, 240, 10)
    small = render(SMALL, indices, 64).astype(float)
    large = render(SMALL, indices, 192).reshape(-1, 64, 3, 64, 3, 3).mean((2, 4))
    assert np.abs(small - large).mean() < 3


def test_seeds_and_photos_differ():
    first = render(SMALL, range(20), 16).reshape(20, -1)
    assert len(np.unique(first, axis=0)) == 20
    other = Dials(n_species=12, n_images=240, seed=1)
    assert (render(other, range(20), 16).reshape(20, -1) != first).any(axis=1).all()


def test_bad_indices_and_sizes_are_refused():
    with pytest.raises(IndexError, match=r"index 240: must be in \[0, 240\)"):
        render(SMALL, [0, 240], 32)
    with pytest.raises(ValueError, match="size=4"):
        render(SMALL, [0], 4)


def genus_accuracy(genus_gap):
    """Genus told from 12 px pictures of species never trained on, in the studio.

    Two species a genus, so one is for training and one for testing; chance is 1 / 6.
    """
    dials = Dials(12, 720, tail=0, genus_gap=genus_gap, species_gap=0.5, nuisance=0)
    table = make_table(dials)
    pixels = render(dials, table.index, 12).reshape(len(table), -1) / 255
    first = table["species"].str.endswith("01").to_numpy()
    model = LogisticRegression(C=0.1, max_iter=300).fit(pixels[first], table["genus"][first])
    return model.score(pixels[~first], table["genus"][~first])


def test_genus_gap_decides_whether_genera_can_be_told_apart():
    assert genus_accuracy(0.0) < 0.35
    assert genus_accuracy(1.0) > 0.7
