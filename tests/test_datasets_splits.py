"""Grouped splits, species held out, and what a split lets leak."""

import csv
import json
import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from fgcl_utils.datasets import SPLITS, load_dataset, splits, synthetic

DIALS = synthetic.Dials(n_species=24, n_images=240)


def table_of(groups, species="a"):
    """A table with an image for each group name; equal names are photos of one find."""
    n = len(groups)
    return pd.DataFrame(
        {
            "image": [f"{i:04d}.jpg" for i in range(n)],
            "species": [species] * n if isinstance(species, str) else species,
            "observation": groups,
        }
    )


def counts(split):
    return tuple(int((split == name).sum()) for name in ("train", "val", "test"))


def write_source(root, rows, header=("image", "species", "genus", "find")):
    root.mkdir(exist_ok=True)
    for image, *_ in rows:
        if not (root / image).exists():
            Image.new("RGB", (9, 9)).save(root / image)
    with (root / "photos.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])
    return root


def finds(n_species=6, n_finds=10, n_photos=3):
    """Rows (image, species, genus, find): two species a genus, all finds of one size."""
    return [
        (f"{s}-{f}-{p}.jpg", f"species {s}", f"genus {s // 2}", f"find {s}-{f}")
        for s in range(n_species)
        for f in range(n_finds)
        for p in range(n_photos)
    ]


# ---------------------------------------------------------------------------- our grouped split


many_groups = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 12)), min_size=1, max_size=80
)  # (species, group) of each image; a group may span species


@settings(max_examples=150, deadline=None)
@given(many_groups, st.integers(0, 5))
def test_no_group_is_ever_divided_and_order_does_not_matter(images, seed):
    table = table_of([f"g{g}" for _, g in images], [f"s{s}" for s, _ in images])
    split = pd.Series(splits.grouped_split(table, seed, ["species"]), table.index)
    assert set(split) <= {"train", "val", "test"}
    assert (split.groupby(table["observation"]).nunique() == 1).all()
    again = splits.grouped_split(table.iloc[::-1], seed, ["species"])
    assert (again[::-1] == split).all()


@pytest.mark.parametrize("n", [1, 2, 5, 9, 30, 200])
def test_groups_of_one_image_fill_the_quotas_of_the_image_split(n):
    table = table_of([f"find {i}" for i in range(n)])
    assert counts(splits.grouped_split(table, 0, ["species"])) == splits.quotas(n)


@pytest.mark.parametrize(
    "sizes, expected",
    [
        ((5,), (5, 0, 0)),
        ((5, 5), (5, 0, 5)),
        ((8, 2), (8, 0, 2)),
        ((3, 3, 3), (6, 0, 3)),
        ((4, 1, 1, 1, 1, 1, 1), (7, 1, 2)),
        ((3,) * 10, (21, 3, 6)),
    ],
)
def test_shares_are_met_as_nearly_as_groups_allow(sizes, expected):
    table = table_of([f"find {g}" for g, n in enumerate(sizes) for _ in range(n)])
    for seed in range(5):
        assert counts(splits.grouped_split(table, seed, ["species"])) == expected


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(1, 6), min_size=20, max_size=60), st.integers(0, 9))
def test_a_split_misses_its_share_by_less_than_a_large_group(sizes, seed):
    table = table_of([f"find {g}" for g, n in enumerate(sizes) for _ in range(n)])
    got, wanted = counts(splits.grouped_split(table, seed, ["species"])), splits.quotas(sum(sizes))
    assert max(abs(g - w) for g, w in zip(got, wanted, strict=True)) < max(sizes)


def test_the_grouped_split_is_seeded_and_one_species_does_not_move_another():
    rows = finds()
    table = table_of([r[3] for r in rows], [r[1] for r in rows])
    first, other = (splits.grouped_split(table, seed, ["species"]) for seed in (1, 2))
    assert (first == splits.grouped_split(table, 1, ["species"])).all() and (first != other).any()
    fewer = table[table["species"] != "species 2"]
    assert (splits.grouped_split(fewer, 1, ["species"]) == first[fewer.index]).all()


def test_csv_grouped(tmp_path):
    root = write_source(tmp_path / "data", finds())
    plain = load_dataset("csv", root, cache_dir=tmp_path)
    assert "observation" not in plain.table and plain.summary()["leakage"] is None
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        data = load_dataset("csv", root, group_by="find", cache_dir=tmp_path)
    assert list(data.table) == ["image", "species", "genus", "split", "observation"]
    per_species = pd.crosstab(data.table["species"], data.table["split"])
    assert (per_species[["train", "val", "test"]] == (21, 3, 6)).all(axis=None)
    assert data.summary()["leakage"] == {
        "observations": 60,
        "observations_in_train_and_test": 0,
        "leaked_test_images": 0,
        "leaked_test_share": 0.0,
    }
    assert data.fingerprint != plain.fingerprint


def test_a_given_split_is_kept_and_its_leak_is_told(tmp_path):
    rows = [
        (*row, "test" if row[0].endswith("-0.jpg") and row[0][2] in "01" else "train")
        for row in finds(n_species=2)
    ]
    root = write_source(tmp_path / "data", rows, ("image", "species", "genus", "find", "split"))
    told = r"4 observations have photos in train and in test: 4 test images \(100%\)"
    with pytest.warns(UserWarning, match=told):
        data = load_dataset("csv", root, group_by="find", cache_dir=tmp_path)
    assert data.table["split"].tolist() == [row[4] for row in rows]
    leakage = json.loads(json.dumps(data.summary()))["leakage"]
    assert leakage["leaked_test_images"] == 4 and leakage["leaked_test_share"] == 1.0


def test_images_without_an_observation_do_not_leak(tmp_path):
    rows = [(*row[:3], "", "train" if row[0][2] != "0" else "test") for row in finds(n_species=2)]
    root = write_source(tmp_path / "data", rows, ("image", "species", "genus", "find", "split"))
    data = load_dataset("csv", root, group_by="find", cache_dir=tmp_path)
    assert data.summary()["leakage"]["leaked_test_images"] == 0
    assert (data.table["observation"] == data.table["image"]).all()  # each stands for itself
    write_source(root, [row[:4] for row in rows])
    ours = load_dataset("csv", root, group_by="find", cache_dir=tmp_path)
    assert counts(ours.table["split"]) == tuple(2 * n for n in splits.quotas(30))


def test_group_by_that_does_not_fit(tmp_path):
    root = write_source(tmp_path / "data", finds(n_species=2))
    with pytest.raises(ValueError, match=r"no column 'gbifID'; it has .*'find'.* group_by names"):
        load_dataset("csv", root, group_by="gbifID")
    for dataset, data_root in (("synthetic", None), ("folder", root), ("grocery", root)):
        with pytest.raises(ValueError, match="group_by is for dataset 'csv' and 'df20_mini'"):
            load_dataset(dataset, data_root, group_by="find")
    with pytest.raises(ValueError, match=r"the test split is empty.*two groups of group_by"):
        load_dataset("csv", root, group_by="genus")


# ------------------------------------------------------------------------------- DF20's two splits


def df20_mini(root):
    """Two species of three finds; the published split divides every find."""
    header = ("gbifID", "locality", "scientificName", "genus", "image_path")
    root.mkdir()
    parts = {"train": [], "test": []}
    for s in range(2):
        for f in range(10):
            for p in range(3):
                image = f"{s}-{f}-{p}.JPG"
                Image.new("RGB", (9, 9)).save(root / image, format="JPEG")
                split = "test" if p == 2 else "train"
                row = (f"{s}{f}", f"wood {f % 2}", f"Russula {s}", "Russula", image)
                parts[split].append(row)
    for split, rows in parts.items():
        with (root / f"DF20M-{split}_metadata.csv").open("w", newline="") as file:
            csv.writer(file).writerows([header, *rows])
    return root


def test_df20_mini_under_the_published_and_under_a_grouped_split(tmp_path):
    root = df20_mini(tmp_path / "df20")
    with pytest.warns(UserWarning, match=r"20 observations .* 20 test images \(100%\)"):
        published = load_dataset("df20_mini", root)
    assert published.summary()["leakage"]["leaked_test_share"] == 1.0
    grouped = load_dataset("df20_mini", root, group_by="gbifID")
    assert grouped.summary()["leakage"]["leaked_test_images"] == 0
    assert [len(grouped.indices(s)) for s in ("train", "val", "test")] == [42, 6, 12]
    assert (grouped.table["observation"] == published.table["observation"]).all()
    woods = load_dataset("df20_mini", root, group_by="locality")
    assert set(woods.table["observation"]) == {"wood 0", "wood 1"}
    with pytest.raises(ValueError, match="no column 'find'"):
        load_dataset("df20_mini", root, group_by="find")


# ------------------------------------------------------------------------------- species held out


@pytest.mark.parametrize("share", [0.05, 0.2, 0.5])
def test_held_out_species_are_unseen(share):
    whole = load_dataset("synthetic", dials=DIALS)
    data = load_dataset("synthetic", dials=DIALS, held_out_species=share)
    assert (data.labels == whole.labels).all() and data.taxonomy == whole.taxonomy
    parts = [data.indices(split) for split in SPLITS]
    unused = np.flatnonzero(data.table["split"] == "unused")
    assert sorted(np.concatenate([*parts, unused])) == list(range(len(data)))
    taken = set(data.labels[data.indices("unseen"), 0])
    others = np.concatenate([*parts[:3]])
    assert not taken & set(data.labels[others, 0])
    known = ~np.isin(data.labels[:, 0], list(taken))
    assert (data.table["split"][known] == whole.table["split"][known]).all()
    assert (whole.table["split"][data.indices("unseen")] == "test").all()
    assert not (whole.table["split"][unused] == "test").any()
    genus = np.array(data.taxonomy.parent_codes[0])
    kept = np.bincount(genus[np.setdiff1d(np.arange(24), list(taken))], minlength=6)
    assert (kept >= np.minimum(2, np.bincount(genus))).all()
    assert len(taken) == round(share * 24)
    assert data.fingerprint != whole.fingerprint
    summary = json.loads(json.dumps(data.summary()))
    assert sum(summary["n_images"].values()) == len(data)
    assert summary["n_images"]["unseen"] == len(data.indices("unseen"))


def test_genera_give_by_their_size_and_the_choice_is_seeded():
    dials = synthetic.Dials(n_species=120, n_images=1200)

    def taken(seed):
        data = load_dataset("synthetic", dials=dials, held_out_species=0.2, split_seed=seed)
        return data, set(data.labels[data.indices("unseen"), 0])

    data, first = taken(0)
    genus = np.array(data.taxonomy.parent_codes[0])
    share = np.bincount(genus[list(first)], minlength=6) / np.bincount(genus)
    exact = 0.2 * np.bincount(genus)
    assert (abs(np.bincount(genus[list(first)], minlength=6) - exact) <= 1).all(), share
    assert taken(0)[1] == first != taken(1)[1]


def test_held_out_species_work_for_every_table_and_are_refused_where_genera_are_small(tmp_path):
    root = write_source(tmp_path / "small", finds(n_species=6, n_finds=4))
    with pytest.raises(ValueError, match="every genus keeps two known species"):
        load_dataset("csv", root, held_out_species=0.2)
    rows = [(image, s, f"genus {int(s[-1]) // 3}", find) for image, s, _, find in finds(6, 4)]
    root = write_source(tmp_path / "large", rows)
    data = load_dataset("csv", root, held_out_species=0.3, group_by="find")
    assert len(set(data.labels[data.indices("unseen"), 0])) == 2
    with pytest.warns(UserWarning, match="asks for 3 of 6 species; 2 are held out"):
        load_dataset("csv", root, held_out_species=0.5)
    for share in (-0.1, 0.6, float("nan")):
        with pytest.raises(ValueError, match=r"from 0 to 0\.5"):
            load_dataset("csv", root, held_out_species=share)


def test_the_fingerprint_of_plain_data_stays_what_it_was(tmp_path):
    """Finished runs are claimed by it: these two were written by the first version."""
    rows = [
        (f"{s}-{i}.jpg", f"species {s}", f"genus {s // 2}") for s in range(4) for i in range(10)
    ]
    for i, (image, *_) in enumerate(rows):
        (tmp_path / image).write_bytes(b"x" * i)  # files are known by name and size
    write_source(tmp_path, rows, ("image", "species", "genus"))
    expected = "e015d3eac0a4a12adfc25a9ca46a21b39e90bd7f2d75d1d3a1024d7efb9ac96e"
    assert load_dataset("csv", tmp_path).fingerprint == expected
    header = ("gbifID", "scientificName", "genus", "image_path")
    for split in ("train", "test"):
        part = [
            (f"find {k % 7}", species, genus, image)
            for k, (image, species, genus) in enumerate(rows)
            if (k % 5 == 0) == (split == "test")
        ]
        with (tmp_path / f"DF20M-{split}_metadata.csv").open("w", newline="") as file:
            csv.writer(file).writerows([header, *part])
    expected = "82f0f166af972314b3b5b4162410226376fff68ea6bbc1e7037362d5b66dbf37"
    with pytest.warns(UserWarning, match="observations"):
        assert load_dataset("df20_mini", tmp_path).fingerprint == expected
