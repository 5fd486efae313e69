"""Labels of any number of levels: where they come from, and where they may stop early."""

import csv
import os
import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from fgcl_utils.datasets import ImageError, load_dataset, sources, splits, synthetic
from fgcl_utils.datasets.__main__ import main

RANKS = ("species", "genus", "family", "order", "class", "phylum", "kingdom", "domain")
SPECIES = {
    "Amanita muscaria": ("Amanita", "Amanitaceae"),
    "Amanita rubescens": ("Amanita", "Amanitaceae"),
    "Russula emetica": ("Russula", "Russulaceae"),
    "Lactarius helvus": ("Lactarius", "Russulaceae"),
}
IMAGES = [(f"{name.replace(' ', '-')}-{i}.jpg", name) for name in SPECIES for i in range(10)]


def save_photo(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (9, 9)).save(path, "PNG")


def write_table(path, header, rows, separator=","):
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, delimiter=separator).writerows([header, *rows])


@pytest.fixture
def root(tmp_path):
    """photos.csv with all levels, bare.csv with the species alone, and taxonomy.csv."""
    for image, _ in IMAGES:
        save_photo(tmp_path / "photos" / image)
    rows = [(f"photos/{image}", name, *SPECIES[name]) for image, name in IMAGES]
    write_table(tmp_path / "photos.csv", ("image", *RANKS[:3]), rows)
    write_table(tmp_path / "bare.csv", ("image", "species"), [row[:2] for row in rows])
    taxonomy = [(name, *above) for name, above in SPECIES.items()]
    write_table(tmp_path / "taxonomy.csv", RANKS[:3], taxonomy)
    return tmp_path


def refused(*arguments, error=ValueError, **options):
    with pytest.raises(error) as caught:
        load_dataset(*arguments, **options)
    return str(caught.value)


def check_labels(data):
    """Codes agree with the table's names, and every code with that of its parent."""
    assert data.levels == data.taxonomy.levels and data.labels.dtype == np.int64
    assert data.labels.shape == (len(data), len(data.levels))
    for l, level in enumerate(data.levels):
        names = [data.taxonomy.names[l][code] if code >= 0 else "" for code in data.labels[:, l]]
        assert data.table[level].tolist() == names
    for l, parent in enumerate(data.taxonomy.parents):
        known = data.labels[:, l] >= 0
        assert (parent[data.labels[known, l]] == data.labels[known, l + 1]).all()


# ------------------------------------------------------------------------------------- levels


@pytest.mark.parametrize("n_levels", [1, 2, 3])
def test_a_csv_has_the_levels_that_are_asked_for(root, n_levels):
    levels = RANKS[:n_levels]
    data = load_dataset("csv", root / "photos.csv", levels=levels)
    check_labels(data)
    assert list(data.table) == ["image", *levels, "split", *RANKS[n_levels:3]]
    assert data.taxonomy.n_classes == (4, 3, 2)[:n_levels]
    assert data.summary()["levels"] == list(levels)
    assert data.summary()["classes"]["species"] == sorted(SPECIES)


def test_levels_have_any_names_and_columns_map_them(root):
    columns = {"variant": "species", "model": "genus", "maker": "family"}
    data = load_dataset("csv", root / "photos.csv", levels=[*columns], columns=columns)
    check_labels(data)
    assert data.levels == ("variant", "model", "maker")
    assert data.taxonomy.names[2] == ("Amanitaceae", "Russulaceae")
    text = refused("csv", root / "photos.csv", levels=["species", "tribe"])
    assert "no column 'tribe'" in text and "columns={'tribe': '...'}" in text
    assert "taxonomy='classes.csv'" in text


def test_eight_levels(root):
    names = [[f"{rank} {s >> l}" for l, rank in enumerate(RANKS)] for s in range(16)]
    rows = [(f"photos/{image}", *names[i % 16]) for i, (image, _) in enumerate(IMAGES)]
    write_table(root / "deep.csv", ("image", *RANKS), rows)
    data = load_dataset("csv", root / "deep.csv", levels=RANKS)
    check_labels(data)
    assert data.taxonomy.n_classes == (16, 8, 4, 2, 1, 1, 1, 1)


@pytest.mark.parametrize(
    "levels", ["species", [], [*RANKS, "life"], ["a", "a"], ["a", ""], ["a", 3], ["a", "split"]]
)
def test_what_cannot_be_levels_is_refused(root, levels):
    text = refused("csv", root / "photos.csv", levels=levels)
    assert "finest first, such as" in text or "cannot be called 'split'" in text


def test_a_genus_under_two_families_is_refused_with_its_rows(root):
    rows = [(f"photos/{image}", name, *SPECIES[name]) for image, name in IMAGES]
    rows[0] = (*rows[0][:3], "Boletaceae")
    write_table(root / "photos.csv", ("image", *RANKS[:3]), rows)
    text = refused("csv", root / "photos.csv", levels=RANKS[:3])
    assert "1 genus names stand under more than one family" in text
    assert "'Boletaceae' (photos.csv, line 2), 'Amanitaceae' (photos.csv, line 3)" in text


def test_further_columns_are_kept_if_they_are_cheap(root):
    rows = [
        (f"photos/{image}", name, *SPECIES[name], ("wood", "meadow")[i % 2], str(i), "x", "y" * 99)
        for i, (image, name) in enumerate(IMAGES)
    ]
    header = ("image", *RANKS[:3], "habitat", "observation", "same", "long")
    write_table(root / "photos.csv", header, rows)
    data = load_dataset("csv", root / "photos.csv")
    assert list(data.table) == ["image", "species", "genus", "split", "family", "habitat"]
    assert data.table["habitat"].tolist() == [row[4] for row in rows]
    without = [row[:3] for row in rows]
    write_table(root / "photos.csv", ("image", *RANKS[:2]), without)
    assert load_dataset("csv", root / "photos.csv").fingerprint == data.fingerprint


def test_the_synthetic_genera_have_forms():
    dials = synthetic.Dials(n_species=12, n_images=84)
    data = load_dataset("synthetic", dials=dials, levels=("species", "genus", "form"))
    check_labels(data)
    assert data.taxonomy.n_classes == (12, 6, 3)
    of = dict(zip(data.table["genus"], data.table["form"], strict=True))
    for g, genus in enumerate(synthetic.GENERA):
        assert ("pores" in of[genus]) == (synthetic.TRAITS["pores"][g] > 0.5)
        assert ("ring" in of[genus]) == (synthetic.TRAITS["ring"][g] > 0.5)
    plain = load_dataset("synthetic", dials=dials)
    assert plain.levels == ("species", "genus")
    assert data.table[list(plain.table)].equals(plain.table)
    assert "those of synthetic are species, genus, form" in refused("synthetic", levels=["tribe"])


# ----------------------------------------------------------------------------------- taxonomy


def test_a_taxonomy_gives_what_the_table_does_not_have(root):
    whole = load_dataset("csv", root / "photos.csv", levels=RANKS[:3])
    for taxonomy in ("taxonomy.csv", root / "taxonomy.csv"):
        data = load_dataset("csv", root / "bare.csv", levels=RANKS[:3], taxonomy=taxonomy)
        assert data.table.equals(whole.table) and data.fingerprint == whole.fingerprint


def test_a_taxonomy_beside_the_only_table_is_not_taken_for_it(root):
    (root / "photos.csv").unlink()
    assert len(load_dataset("csv", root, taxonomy="taxonomy.csv")) == len(IMAGES)
    assert "holds 2: bare.csv, taxonomy.csv" in refused("csv", root)


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_the_first_column_of_a_taxonomy_is_the_class_if_none_is_called_so(root, separator):
    rows = [(name, "a note", family, genus) for name, (genus, family) in SPECIES.items()]
    write_table(root / "names.tsv", ("name", "note", "family", "genus"), rows, separator)
    data = load_dataset("csv", root / "bare.csv", levels=RANKS[:3], taxonomy="names.tsv")
    check_labels(data)
    assert data.taxonomy.names[2] == ("Amanitaceae", "Russulaceae")


def test_a_taxonomy_may_begin_above_the_species(root):
    families = [*{genus: family for genus, family in SPECIES.values()}.items()]
    write_table(root / "families.csv", ("genus", "family"), families)
    rows = [(f"photos/{image}", name, SPECIES[name][0]) for image, name in IMAGES]
    rows[0] = (rows[0][0], "", "Amanita")
    write_table(root / "two.csv", ("image", "species", "genus"), rows)
    data = load_dataset("csv", root / "two.csv", levels=RANKS[:3], taxonomy="families.csv")
    check_labels(data)
    assert data.labels[0, 0] == -1 and data.table["family"][0] == "Amanitaceae"
    text = refused("csv", root / "bare.csv", levels=RANKS[:3], taxonomy="families.csv")
    assert "above 'genus', and the images have no 'genus'" in text


def test_classes_missing_from_a_taxonomy_or_twice_in_it_are_named(root):
    taxonomy = [(name, *above) for name, above in SPECIES.items()]
    write_table(root / "taxonomy.csv", RANKS[:3], taxonomy[1:3])
    text = refused("csv", root / "bare.csv", taxonomy="taxonomy.csv")
    assert "2 species names are not in the taxonomy" in text
    assert "Amanita muscaria (bare.csv, line 2)" in text and "Lactarius helvus" in text
    write_table(root / "taxonomy.csv", RANKS[:3], [*taxonomy, taxonomy[1]])
    text = refused("csv", root / "bare.csv", taxonomy="taxonomy.csv")
    assert "Amanita rubescens: taxonomy.csv, line 3, taxonomy.csv, line 6" in text
    write_table(root / "taxonomy.csv", RANKS[:3], [*taxonomy, ("x", "Russula", "Boletaceae")])
    text = refused("csv", root / "bare.csv", levels=RANKS[:3], taxonomy="taxonomy.csv")
    assert "'Russulaceae' (taxonomy.csv, line 4), 'Boletaceae' (taxonomy.csv, line 6)" in text


def test_a_taxonomy_that_is_none(root):
    options = {"levels": RANKS[:3], "taxonomy": "taxonomy.csv"}
    write_table(root / "taxonomy.csv", ("species", "genus"), [("a", "b")])
    text = refused("csv", root / "bare.csv", **options)
    assert "no column 'family'" in text and "called as the levels are" in text
    write_table(root / "taxonomy.csv", ("family",), [("a",)])
    assert "says nothing above 'family'" in refused("csv", root / "bare.csv", **options)
    (root / "taxonomy.csv").unlink()
    text = refused("csv", root / "bare.csv", error=FileNotFoundError, **options)
    assert "taxonomy 'taxonomy.csv' does not exist" in text and "'binomial'" in text
    text = refused("synthetic", taxonomy="binomial")
    assert "taxonomy is for dataset 'csv' and 'folder'" in text


@pytest.mark.parametrize("name", ["{} {}", "{}-{}", "{}_{}", "{} {} var. alba", "{}  {}"])
def test_binomial_names_hold_their_genus(root, name):
    rows = [(f"photos/{image}", name.format(*species.split())) for image, species in IMAGES]
    write_table(root / "bare.csv", ("image", "species"), rows)
    data = load_dataset("csv", root / "bare.csv", taxonomy="binomial")
    check_labels(data)
    assert data.table["species"].tolist() == [row[1] for row in rows]
    assert data.table["genus"].tolist() == [SPECIES[species][0] for _, species in IMAGES]


def test_binomial_refuses_single_words_and_other_levels(root):
    write_table(root / "bare.csv", ("image", "species"), [(f"photos/{IMAGES[0][0]}", "Amanita")])
    text = refused("csv", root / "bare.csv", taxonomy="binomial")
    assert "1 species names are one word" in text and "Amanita (bare.csv, line 2)" in text
    text = refused("csv", root / "bare.csv", taxonomy="binomial", levels=RANKS[:3])
    assert "gives one level above the class" in text


# ------------------------------------------------------------------------ labels that stop early


@pytest.mark.parametrize("cell", ["", "Amanita sp.", "Amanita sp", "Amanita spec.", "Amanita_sp."])
def test_a_photo_may_be_known_to_its_genus_only(root, cell):
    rows = [(f"photos/{image}", name, *SPECIES[name]) for image, name in IMAGES]
    for i in range(0, 10, 2):
        rows[i] = (rows[i][0], cell, *rows[i][2:])
    write_table(root / "photos.csv", ("image", *RANKS[:3]), rows)
    data = load_dataset("csv", root / "photos.csv", levels=RANKS[:3])
    check_labels(data)
    assert (data.labels < 0).sum(0).tolist() == [5, 0, 0]
    assert data.table["genus"].tolist() == [row[2] for row in rows]
    assert data.taxonomy.n_classes == (4, 3, 2)
    known = {"species": 35, "genus": 5, "family": 0}
    assert data.summary()["images_by_finest_known_level"] == known
    split = data.table["split"][data.labels[:, 0] < 0]  # a class of its own to the split
    assert split.value_counts().to_dict() == {"train": 3, "val": 1, "test": 1}


def test_numbered_species_are_species(root):
    rows = [(f"photos/{image}", f"Amanita sp. {i % 2:02d}") for i, (image, _) in enumerate(IMAGES)]
    write_table(root / "bare.csv", ("image", "species"), rows)
    data = load_dataset("csv", root / "bare.csv", taxonomy="binomial")
    assert data.taxonomy.n_classes == (2, 1) and (data.labels >= 0).all()


@pytest.mark.parametrize("taxonomy", ["binomial", "taxonomy.csv"])
def test_names_without_a_species_find_their_genus(root, taxonomy):
    rows = [(f"photos/{image}", name) for image, name in IMAGES]
    rows[0] = (rows[0][0], "Amanita sp.")
    write_table(root / "bare.csv", ("image", "species"), rows)
    data = load_dataset("csv", root / "bare.csv", taxonomy=taxonomy)
    check_labels(data)
    assert data.labels[0, 0] == -1 and data.table["genus"][0] == "Amanita"


def test_a_photo_known_at_no_level_or_with_a_gap_is_refused_with_its_row(root):
    rows = [(f"photos/{image}", name, *SPECIES[name]) for image, name in IMAGES]
    rows[3] = (rows[3][0], "", "", "")
    write_table(root / "photos.csv", ("image", *RANKS[:3]), rows)
    text = refused("csv", root / "photos.csv", levels=RANKS[:3])
    assert "1 rows have no species:\n  photos.csv, line 5" in text
    assert "A genus alone is enough" in text
    for gap, level in (((0, 0, 1), "family"), ((0, 1, 0), "genus")):
        cells = ["" if empty else cell for empty, cell in zip(gap, rows[4][1:], strict=True)]
        write_table(root / "photos.csv", ("image", *RANKS[:3]), [*rows[4:], ("x.jpg", *cells)])
        text = refused("csv", root / "photos.csv", levels=RANKS[:3])
        assert f"1 rows have no {level}:\n  photos.csv, line 38: x.jpg" in text


def test_with_one_level_no_label_stops_early(root):
    rows = [(image, "Amanita sp." if i % 2 else name) for i, (image, name) in enumerate(IMAGES)]
    write_table(root / "bare.csv", ("image", "species"), rows)
    data = load_dataset("csv", root / "bare.csv", levels=["species"])
    assert (data.labels >= 0).all() and "Amanita sp." in data.taxonomy.names[0]


def test_nobody_knows_a_species(root):
    write_table(
        root / "photos.csv",
        ("image", "species", "genus"),
        [(f"photos/{image}", "", SPECIES[name][0]) for image, name in IMAGES],
    )
    assert "no row has a species: leave this level out" in refused("csv", root / "photos.csv")


def test_training_photos_of_a_genus_serve_it_whatever_their_species(root):
    """A genus of which training knows no species is still a genus that it knows."""
    rows = [
        (f"photos/{image}", name, SPECIES[name][0], "train" if i % 10 else "test")
        for i, (image, name) in enumerate(IMAGES)
    ]
    unknown = [
        (i, "", g, s) if g == "Lactarius" and s == "train" else (i, n, g, s) for i, n, g, s in rows
    ]
    write_table(root / "photos.csv", ("image", "species", "genus", "split"), unknown)
    with pytest.warns(UserWarning, match="1 species names are in test or val but have no train"):
        data = load_dataset("csv", root / "photos.csv")
    assert len(data) == len(rows)
    held_out = [(i, n, g, "test" if g == "Lactarius" else s) for i, n, g, s in rows]
    write_table(root / "photos.csv", ("image", "species", "genus", "split"), held_out)
    assert "1 genus names are in test or val" in refused("csv", root / "photos.csv")


many_images = st.lists(
    st.tuples(st.sampled_from("abc"), st.integers(0, 2), st.integers(0, 5)), min_size=1, max_size=60
)  # (species, how many of its levels are unknown, group) of each image


@settings(max_examples=100, deadline=None)
@given(many_images, st.booleans(), st.integers(0, 3))
def test_our_split_takes_images_by_their_finest_known_class(images, grouped, seed):
    """As if what is known from a level up were a class of the finest level."""
    labels = [
        ["" if l < unknown else f"{species[:1]}{l}" for l in range(3)]
        for species, unknown, _ in images
    ]
    table = pd.DataFrame(labels, columns=list("xyz")).assign(
        image=[f"{i}.jpg" for i in range(len(images))], observation=[str(g) for *_, g in images]
    )
    classes = splits.finest_classes(table, "xyz")
    assert len({*classes}) == len({(s, u) for s, u, _ in images})
    assert [c.split()[0] for c in classes] == [next(filter(None, names)) for names in labels]
    ours = splits.grouped_split if grouped else splits.image_split
    whole = table.assign(x=classes, y="b", z="c")
    assert (ours(table, seed, "xyz") == ours(whole, seed, "xyz")).all()


def test_species_are_held_out_whatever_is_known_of_other_photos(root):
    rows = [(f"photos/{image}", f"s{i % 8}", f"g{i % 2}") for i, (image, _) in enumerate(IMAGES)]
    rows[:4] = [(image, "", genus) for image, _, genus in rows[:4]]
    write_table(root / "photos.csv", ("image", "species", "genus"), rows)
    data = load_dataset("csv", root / "photos.csv", held_out_species=0.25)
    unseen = {*data.table["species"][data.table["split"].isin(["unseen", "unused"])]}
    assert len(unseen) == 2 and "" not in unseen
    flat = load_dataset("csv", root / "bare.csv", levels=["species"], held_out_species=0.25)
    assert flat.table["species"][flat.indices("unseen")].nunique() == 1


# ------------------------------------------------------------------------------------ folders


def tree(root, folder_of, splits=("",)):
    for i, (image, name) in enumerate(IMAGES):
        save_photo(root / splits[i % len(splits)] / folder_of(name) / image)
    return root


def above(name, n_levels):
    return "/".join(reversed((name, *SPECIES[name])[:n_levels]))


@pytest.mark.parametrize("taxonomy", ["binomial", "taxonomy.csv"])
@pytest.mark.parametrize("with_splits", [False, True])
def test_flat_folders_with_a_taxonomy(root, taxonomy, with_splits):
    names = ("train", "Valid", "test") if with_splits else ("",)
    folder = tree(root / "flat", lambda name: name, names)
    (root / "taxonomy.csv").rename(folder / "taxonomy.csv")
    data = load_dataset("folder", folder, taxonomy=taxonomy)
    check_labels(data)
    assert len(data) == len(IMAGES)
    assert data.table["genus"].tolist() == [SPECIES[s][0] for s in data.table["species"]]
    if with_splits:
        split = data.table["image"].str.split("/").str[0].str.lower().replace("valid", "val")
        assert data.table["split"].tolist() == split.tolist()


@pytest.mark.parametrize("n_levels", [1, 2, 3])
def test_nested_folders_are_read_by_their_depth(root, n_levels):
    folder = tree(root / "nested", lambda name: above(name, n_levels))
    data = load_dataset("folder", folder, levels=RANKS[:n_levels])
    check_labels(data)
    assert data.taxonomy.n_classes == (4, 3, 2)[:n_levels]


def test_flat_folders_without_a_taxonomy_are_told_what_to_do(root):
    folder = tree(root / "flat", lambda name: name, ("train", "test"))
    text = refused("folder", folder)
    assert "40 images" in text and "not in a split/genus/species folder" in text
    assert "taxonomy='classes.csv', or 'binomial'" in text and "levels=[species]" in text
    save_photo(folder / "train" / "stray.jpg")
    text = refused("folder", folder, taxonomy="binomial")
    assert "1 images" in text and "train/stray.jpg" in text and "split/class folder" in text


def test_folders_that_systems_leave_are_no_classes(root):
    folder = tree(root / "flat", lambda name: name)
    for litter in ("@eaDir", "__MACOSX", ".thumbnails", "#recycle"):
        save_photo(folder / litter / "x.jpg")
        save_photo(folder / "Amanita muscaria" / litter / "x.jpg")
    assert len(load_dataset("folder", folder, taxonomy="binomial")) == len(IMAGES)


def test_a_folder_of_photos_known_to_the_genus(root):
    folder = tree(root / "flat", lambda name: name)
    save_photo(folder / "Amanita sp." / "x.jpg")
    data = load_dataset("folder", folder, taxonomy=root / "taxonomy.csv", levels=RANKS[:3])
    check_labels(data)
    assert (data.labels < 0).sum(0).tolist() == [1, 0, 0]


# ------------------------------------------------------------------------------------- tables


def test_images_are_found_without_suffix_and_without_folder(root):
    names = {
        "stem": [(image.removesuffix(".jpg"), name) for image, name in IMAGES],
        "file": IMAGES,
        "other case": [(image.upper(), name) for image, name in IMAGES],
        "folder and stem": [(f"photos/{image[:-4]}", name) for image, name in IMAGES],
    }
    for rows in names.values():
        write_table(root / "bare.csv", ("image", "species"), rows)
        data = load_dataset("csv", root / "bare.csv", taxonomy="binomial")
        assert data.table["image"].tolist() == [f"photos/{image}" for image, _ in IMAGES]


def test_an_image_name_that_is_found_twice_or_never_is_named(root):
    save_photo(root / "copies" / IMAGES[0][0])
    write_table(root / "bare.csv", ("image", "species"), IMAGES)
    text = refused("csv", root / "bare.csv", taxonomy="binomial")
    assert "1 image names stand for several files" in text and "'copies' and 'photos'" in text
    write_table(root / "bare.csv", ("image", "species"), [*IMAGES[1:], ("gone", IMAGES[0][1])])
    text = refused("csv", root / "bare.csv", error=ImageError, taxonomy="binomial")
    assert "1 of 40 images do not exist" in text and "line 41: gone" in text


def test_absolute_paths_inside_data_root(root):
    whole = load_dataset("csv", root / "photos.csv")
    rows = [(root / "photos" / image, name) for image, name in IMAGES]
    write_table(root / "bare.csv", ("image", "species"), rows)
    data = load_dataset("csv", root / "bare.csv", taxonomy="binomial")
    assert data.table["image"].equals(whole.table["image"])
    os.symlink(root, root.parent / f"{root.name}-link")
    linked = root.parent / f"{root.name}-link" / "bare.csv"
    assert load_dataset("csv", linked, taxonomy="binomial").fingerprint == data.fingerprint


def test_a_table_a_split(root):
    parts = {"train": 6, "valid": 8, "test": 10}
    first = 0
    for split, last in parts.items():
        rows = [row for i, row in enumerate(IMAGES) if first <= i % 10 < last]
        write_table(root / f"{split}.tsv", ("image", "species"), rows, "\t")
        first = last
    files = {split: f"{split}.tsv" for split in parts}
    data = load_dataset("csv", root, metadata=files, taxonomy="binomial")
    assert [len(data.indices(split)) for split in ("train", "val", "test")] == [24, 8, 8]
    text = refused("csv", root, metadata={"train": "train.tsv", "holdout": "test.tsv"})
    assert "'holdout' is no split" in text
    files["test"] = "gone.tsv"
    assert "gone.tsv" in refused("csv", root, error=FileNotFoundError, metadata=files)


def test_a_folder_may_hold_one_tsv(root):
    for name in ("photos.csv", "bare.csv", "taxonomy.csv"):
        (root / name).unlink()
    write_table(root / "photos.tsv", ("image", "species"), IMAGES, "\t")
    assert len(load_dataset("csv", root, taxonomy="binomial")) == len(IMAGES)


# ------------------------------------------------------------------------------------ checker


def test_the_checker_takes_levels_and_a_taxonomy(root, capsys):
    arguments = ["--levels", *RANKS[:3], "--taxonomy", "taxonomy.csv"]
    code = main(["check", "csv", str(root / "bare.csv"), *arguments])
    out = capsys.readouterr().out
    assert "40 images of 4 species in 3 genera in 2 families" in out
    assert "genus per family: 1 to 2, 1 families of one genus" in out
    assert code == 1  # all photos are alike
    rows = [*IMAGES[:-2], (IMAGES[-1][0], "Lactarius sp."), (IMAGES[-2][0], "Boletus edulis")]
    write_table(root / "bare.csv", ("image", "species"), rows)
    main(["check", "csv", str(root / "bare.csv"), *arguments])
    out = capsys.readouterr().out
    assert "1 species names are not in the taxonomy:\n  Boletus edulis (bare.csv, line 41)" in out
    assert "without a species, known from a higher level only: 1" in out


# --------------------------------------------------------------------------------------- fuzz

cells = st.one_of(
    st.sampled_from(["", "a", "b", "a b", "a sp.", "c d", "É", "é"]), st.text(max_size=4)
)


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    table=st.lists(st.tuples(cells, cells, cells), max_size=12),
    taxonomy=st.lists(st.tuples(cells, cells, cells), max_size=6),
    named=st.sampled_from(["binomial", "taxonomy.csv", None]),
    n_levels=st.integers(1, 3),
)
def test_any_table_with_any_taxonomy_is_a_data_set_or_a_clear_refusal(
    root, table, taxonomy, named, n_levels
):
    rows = [(f"photos/{image}", *cells) for (image, _), cells in zip(IMAGES, table, strict=False)]
    write_table(root / "photos.csv", ("image", *RANKS[:3]), rows)
    write_table(root / "taxonomy.csv", RANKS[:3], taxonomy)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            data = load_dataset("csv", root / "photos.csv", levels=RANKS[:n_levels], taxonomy=named)
        except ValueError as error:
            assert str(error)
            return
    check_labels(data)
    assert len(data) == len(rows) and (data.labels[:, -1] >= 0).all()


def test_sources_names_what_each_option_is_for():
    assert {*sources.ROOT_HINT} == {*sources.DATASETS} - {"synthetic"}
