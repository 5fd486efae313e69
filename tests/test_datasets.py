import csv
import json
import os
import shutil
import unicodedata

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from fgcl_utils.datasets import ImageError, load_dataset, pixels, splits, synthetic

DIALS = synthetic.Dials(n_species=12, n_images=84)


def save_photo(path, size=(12, 9), colour=(200, 120, 40), **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path, **options)


def write_csv(path, rows, header=("image", "species", "genus"), separator=","):
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, delimiter=separator).writerows([header, *rows])


@pytest.fixture
def rows():
    """Two genera of two species, six images each, as rows of (image, species, genus)."""
    return [
        (f"photos/{genus} {species} {i}.jpg", f"{genus} {species}", genus)
        for genus in ("Amanita", "Russula")
        for species in ("alpha", "beta")
        for i in range(6)
    ]


@pytest.fixture
def root(tmp_path, rows):
    """A folder with the photos and photos.csv, of a colour for each genus."""
    root = tmp_path / "data"
    for i, (image, _, genus) in enumerate(rows):
        save_photo(root / image, colour=(200, 10 * i, 0) if genus == "Amanita" else (0, 10 * i, 99))
    write_csv(root / "photos.csv", rows)
    return root


@pytest.fixture
def load(root, tmp_path):
    def load(dataset="csv", data_root=root, **options):
        return load_dataset(dataset, data_root, cache_dir=tmp_path / "cache", **options)

    return load


def message(load, error=ValueError, **options):
    with pytest.raises(error) as caught:
        load(**options)
    return str(caught.value)


# ---------------------------------------------------------------- the table, for every source


def check_contract(data):
    assert list(data.table.columns)[:4] == ["image", "species", "genus", "split"]
    assert data.table.index.equals(pd.RangeIndex(len(data)))
    assert data.labels.dtype == np.int64 and data.labels.shape == (len(data), 2)
    parts = [data.indices(split) for split in ("train", "val", "test")]
    assert sorted(np.concatenate(parts)) == list(range(len(data)))
    assert (data.taxonomy.parents[0][data.labels[:, 0]] == data.labels[:, 1]).all()
    summary = json.loads(json.dumps(data.summary()))
    assert sum(summary["images_per_species"].values()) == len(data)
    assert sum(summary["n_images"].values()) == len(data)
    if data.data_root is not None:
        assert all((data.data_root / image).is_file() for image in data.table["image"])
    images = data.images(8)
    assert images.shape == (len(data), 8, 8, 3) and images.dtype == np.uint8
    assert data.photo(0, 8).mode == "RGB"


def test_csv(load, rows):
    data = load()
    check_contract(data)
    assert data.table[["image", "species", "genus"]].to_records(index=False).tolist() == rows
    assert data.taxonomy.n_classes == (4, 2)


def test_csv_root_may_be_the_file_or_a_folder_with_several(load, root, rows):
    write_csv(root / "other.csv", rows[:1])
    assert "holds 2: other.csv, photos.csv" in message(load)
    whole = load(data_root=root / "photos.csv")
    assert whole.data_root == root and len(whole) == len(rows)
    assert load(metadata="photos.csv").table.equals(whole.table)


def test_csv_columns_can_be_mapped(load, root, rows):
    header = ("path", "species", "genus", "fold")
    write_csv(
        root / "photos.csv",
        [(*row, "train" if i % 6 else "test") for i, row in enumerate(rows)],
        header,
    )
    text = message(load)
    assert "no column 'image'; it has 'path', 'species', 'genus', 'fold'." in text
    assert "columns={'image': '...'}" in text
    data = load(columns={"image": "path", "split": "fold"})
    assert len(data.indices("test")) == 4
    assert "it has no 'family'" in message(load, columns={"family": "genus"})


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_csv_separators_mark_and_names_that_look_like_gaps(load, root, rows, separator):
    rows = [
        (i, "NA" if s == "Amanita alpha" else s, "None" if g == "Amanita" else g)
        for i, s, g in rows
    ]
    write_csv(root / "photos.csv", rows, separator=separator)
    text = (root / "photos.csv").read_bytes()
    (root / "photos.csv").write_bytes(b"\xef\xbb\xbf" + text)
    data = load()
    assert "NA" in data.taxonomy.names[0] and "None" in data.taxonomy.names[1]


def test_labels_spelled_with_other_code_points_are_one_class(load, root, rows):
    names = ("Russula caf\u00e9", "Russula cafe\u0301")
    rows = [
        (i, names[k % 2], g) if s == "Russula alpha" else (i, s, g)
        for k, (i, s, g) in enumerate(rows)
    ]
    write_csv(root / "photos.csv", rows)
    assert load().taxonomy.n_classes == (4, 2)


def test_folder(load, root, rows, tmp_path):
    tree = tmp_path / "tree"
    for image, species, genus in rows:
        (tree / genus / species).mkdir(parents=True, exist_ok=True)
        shutil.copy(root / image, tree / genus / species)
    (tree / "Amanita" / "readme.txt").write_text("not an image")
    save_photo(tree / ".thumbnails" / "hidden.jpg")
    data = load("folder", tree)
    check_contract(data)
    assert len(data) == len(rows) and data.taxonomy.n_classes == (4, 2)


def test_folder_with_splits(load, root, rows, tmp_path):
    tree = tmp_path / "tree"
    for i, (image, species, genus) in enumerate(rows):
        split = ("Test", "validation", "train")[min(i % 6, 2)]
        (tree / split / genus / species).mkdir(parents=True, exist_ok=True)
        shutil.copy(root / image, tree / split / genus / species)
    data = load("folder", tree)
    check_contract(data)
    assert [len(data.indices(split)) for split in ("train", "val", "test")] == [16, 4, 4]
    save_photo(tree / "train" / "Amanita" / "stray.jpg")
    text = message(load, dataset="folder", data_root=tree)
    assert "1 images" in text and "train/Amanita/stray.jpg" in text


def test_synthetic(load):
    data = load("synthetic", None, dials=DIALS)
    check_contract(data)
    assert data.data_root is None and data.table["image"].str.startswith("synthetic/").all()
    expected = synthetic.render(DIALS, np.array([3, 50]), 8)
    assert (data.images(8)[[3, 50]] == expected).all()
    assert data.summary()["dials"]["n_species"] == 12
    other = synthetic.Dials(n_species=12, n_images=84, seed=1)
    other = load("synthetic", None, dials=other)
    assert other.fingerprint != data.fingerprint
    assert (other.images(8) != data.images(8)).any()


def grocery_clone(root):
    classes = [("Gala", 0, "Apple", 0), ("Leek", 1, "Leek", 1), ("Pink-Lady", 2, "Apple", 0)]
    header = [
        "Class Name (str)",
        "Class ID (int)",
        "Coarse Class Name (str)",
        "Coarse Class ID (int)",
    ]
    folder = root / "clone" / "dataset"
    folder.mkdir(parents=True)
    write_csv(folder / "classes.csv", classes, header)
    for split in ("train", "val", "test"):
        lines = []
        for name, code, _, coarse in classes[: 2 if split == "val" else 3]:
            save_photo(folder / split / f"{name}_1.jpg")
            lines.append(f"{split}/{name}_1.jpg, {code}, {coarse}\n")
        (folder / f"{split}.txt").write_text("".join(lines))
    return root / "clone"


def test_grocery(load, tmp_path):
    clone = grocery_clone(tmp_path)
    data = load("grocery", clone)
    check_contract(data)
    assert data.taxonomy.names == (("Gala", "Leek", "Pink-Lady"), ("Apple", "Leek"))
    assert len(data.indices("val")) == 2
    assert load("grocery", clone / "dataset").fingerprint == data.fingerprint


def test_grocery_names_the_file_and_line_of_an_unknown_class(load, tmp_path):
    clone = grocery_clone(tmp_path)
    with (clone / "dataset" / "val.txt").open("a") as file:
        file.write("val/Gala_1.jpg, 7, 0\n")
    assert "val.txt, line 3: expected" in message(load, dataset="grocery", data_root=clone)
    (clone / "dataset" / "test.txt").unlink()
    text = message(load, FileNotFoundError, dataset="grocery", data_root=tmp_path)
    assert "classes.csv does not exist" in text and "clone of" in text


DF20_HEADER = ("gbifID", "scientificName", "species", "genus", "Habitat", "image_path")


def df20_mini(root, version="PROD"):
    """Published quirks: blank and wrong species, empty cells, suffixes in either case."""
    finds = [
        ("Russula nigricans (Bull.) Fr.", "Russula adusta", "Russula"),
        ("Russula adusta (Pers.) Fr.", "Russula adusta", "Russula"),
        ("Amanita rubescens Pers.", "", "Amanita"),
    ]
    for split, n in (("train", 4), ("public_test", 2)):
        rows = []
        for k, (name, species, genus) in enumerate(finds):
            for i in range(n):
                image = f"{split}-{k}-{i}"
                save_photo(root / "DF20M" / f"{image}.{'jpg' if i % 2 else 'JPG'}", format="JPEG")
                rows.append((f"{k}{i // 2}", name, species, genus, "", f"{image}.JPG"))
        write_csv(root / f"DF20M-{split}_metadata_{version}.csv", rows, DF20_HEADER)
    return root


leaks = pytest.mark.filterwarnings("ignore:.* observations have photos in train and in test")


@leaks
def test_df20_mini_reads_the_published_metadata(load, tmp_path):
    data = load("df20_mini", df20_mini(tmp_path / "df20"))
    check_contract(data)
    assert data.taxonomy.n_classes == (3, 2)
    assert "Russula nigricans (Bull.) Fr." in data.taxonomy.names[0]
    assert [len(data.indices(split)) for split in ("train", "val", "test")] == [12, 0, 6]
    assert data.table["image"].iloc[:2].tolist() == ["DF20M/train-0-0.JPG", "DF20M/train-0-1.jpg"]
    assert data.table["observation"].iloc[:4].tolist() == ["00", "00", "01", "01"]


@leaks
def test_df20_mini_with_class_id_alone_keeps_synonyms_apart(load, tmp_path):
    root = df20_mini(tmp_path / "df20")
    for path in root.glob("*.csv"):
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
        codes = table["scientificName"].map(
            {n: str(i) for i, n in enumerate(sorted(set(table["scientificName"])))}
        )
        table.drop(columns="scientificName").assign(class_id=codes).to_csv(path, index=False)
    assert load("df20_mini", root).taxonomy.names[0] == (
        "Amanita (class 0)",
        "Russula adusta (class 1)",
        "Russula adusta (class 2)",
    )


@leaks
def test_df20_mini_with_two_releases_asks_which(load, tmp_path):
    root = df20_mini(df20_mini(tmp_path / "df20"), "PROD-2")
    text = message(load, dataset="df20_mini", data_root=root)
    assert "DF20M-train_metadata_PROD-2.csv, DF20M-train_metadata_PROD.csv" in text
    assert "metadata={'train'" in text
    files = {
        "train": "DF20M-train_metadata_PROD.csv",
        "test": "DF20M-public_test_metadata_PROD.csv",
    }
    assert len(load("df20_mini", root, metadata=files)) == 18
    assert "one file a split" in message(
        load, dataset="df20_mini", data_root=root, metadata="x.csv"
    )


def test_df20_mini_with_two_copies_of_the_images_asks_which(load, tmp_path):
    root = df20_mini(tmp_path / "df20")
    save_photo(root / "DF20M-300px" / "train-0-0.JPG", format="JPEG")
    text = message(load, dataset="df20_mini", data_root=root)
    assert "'DF20M' and 'DF20M-300px'" in text


def test_df20_mini_without_metadata_or_images(load, tmp_path):
    root = df20_mini(tmp_path / "df20")
    (root / "DF20M" / "train-0-0.JPG").unlink()
    text = message(load, ImageError, dataset="df20_mini", data_root=root)
    assert "DF20M-train_metadata_PROD.csv, line 2: train-0-0.JPG" in text
    (root / "DF20M-public_test_metadata_PROD.csv").unlink()
    text = message(load, dataset="df20_mini", data_root=root)
    assert "*test*metadata*.csv" in text and "no file matches" in text


# ------------------------------------------------------------------------------------ splits


def test_a_missing_split_is_stratified_and_seeded(load, root, rows):
    data = load(split_seed=1)
    for _, group in data.table.groupby("species"):
        assert group["split"].value_counts().to_dict() == {"train": 4, "test": 1, "val": 1}
    assert load(split_seed=1).table.equals(data.table)
    assert not load(split_seed=2).table.equals(data.table)


def test_the_split_does_not_depend_on_the_order_of_rows_or_on_other_species(load, root, rows):
    before = load().table.set_index("image")["split"]
    write_csv(root / "photos.csv", rows[::-1][:-6])
    after = load().table.set_index("image")["split"]
    assert (after == before[after.index]).all()


@pytest.mark.parametrize(
    "n, counts", [(1, (1, 0, 0)), (2, (1, 0, 1)), (5, (3, 1, 1)), (30, (21, 3, 6))]
)
def test_few_images_serve_train_then_test_then_val(n, counts):
    table = pd.DataFrame({"species": "a", "image": [f"{i}.jpg" for i in range(n)]})
    split = pd.Series(splits.image_split(table, 0, ["species"]))
    assert tuple((split == name).sum() for name in ("train", "val", "test")) == counts


def with_split(rows, split_of):
    return [(*row, split_of(i, row)) for i, row in enumerate(rows)], (
        "image",
        "species",
        "genus",
        "split",
    )


def test_a_given_split_is_kept_under_our_names(load, root, rows):
    names = ("testing", "dev", "Train", "training", "TRAIN", "train")
    write_csv(root / "photos.csv", *with_split(rows, lambda i, row: names[i % 6]))
    assert load().table["split"].tolist() == ["test", "val", "train", "train", "train", "train"] * 4
    write_csv(root / "photos.csv", *with_split(rows, lambda i, row: "train" if i % 3 else "test"))
    assert len(load().indices("val")) == 0


def test_an_unknown_split_is_refused_with_its_row(load, root, rows):
    write_csv(
        root / "photos.csv",
        *with_split(rows, lambda i, row: "" if i == 3 else "holdout" if i == 5 else "train"),
    )
    text = message(load)
    assert "photos.csv, line 5: ''" in text and "photos.csv, line 7: holdout" in text


def test_an_empty_split_is_refused(load, root, rows):
    for only, empty in (("train", "test"), ("test", "train")):
        write_csv(root / "photos.csv", *with_split(rows, lambda i, row, only=only: only))
        text = message(load)
        assert f"the {empty} split is empty" in text and f"24 are {only}" in text


def test_a_genus_needs_training_images_and_a_species_should_have_some(load, root, rows):
    write_csv(
        root / "photos.csv",
        *with_split(rows, lambda i, row: "train" if row[2] == "Amanita" else "test"),
    )
    text = message(load)
    assert "have no training image:\n  Russula (photos.csv, line 14)" in text
    write_csv(
        root / "photos.csv",
        *with_split(rows, lambda i, row: "test" if row[1] == "Russula beta" else "train"),
    )
    with pytest.warns(UserWarning, match="no training image:\n  Russula beta"):
        load()


def test_indices_of_an_unknown_split(load):
    data = load()
    with pytest.raises(ValueError, match="unknown split 'dev'; there are train, val, test"):
        data.indices("dev")


# ------------------------------------------------------------------------------------ refusals


def test_arguments_that_do_not_fit(load, tmp_path):
    assert "there are synthetic, grocery" in message(load, dataset="grocry")
    assert "'csv' needs data_root" in message(load, data_root="")
    assert "does not exist" in message(load, FileNotFoundError, data_root=tmp_path / "nowhere")
    assert "reads no data_root" in message(load, dataset="synthetic")
    assert "columns is for dataset 'csv'" in message(load, dataset="folder", columns={})
    assert "is a file" in message(load, dataset="folder", data_root=__file__)


def test_missing_images_are_all_counted_and_twenty_listed(load, root, rows):
    write_csv(
        root / "photos.csv", rows + [(f"photos/gone {i}.jpg", *rows[0][1:]) for i in range(30)]
    )
    text = message(load, ImageError)
    assert (
        "30 of 54 images do not exist" in text and "photos.csv, line 26: photos/gone 0.jpg" in text
    )
    assert "gone 19.jpg" in text and "gone 20.jpg" not in text and "... and 10 more" in text


def test_unreadable_images_are_all_listed(load, root, rows):
    (root / rows[2][0]).write_bytes(b"not an image")
    (root / rows[7][0]).write_bytes((root / rows[7][0]).read_bytes()[:300])
    data = load()
    text = message(lambda: data.images(8), ImageError)
    assert "2 of 24 images" in text and rows[2][0] in text and rows[7][0] in text
    assert rows[3][0] not in text
    assert not list(data.cache_dir.rglob("*.*"))
    with pytest.raises(ImageError, match=r"alpha 2\.jpg: not a JPEG"):
        data.photo(2, 8)


def test_a_decompression_bomb_counts_as_unreadable(load, root, rows, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 40)
    assert "24 of 24 images" in message(lambda: load().images(8), ImageError)


@pytest.mark.parametrize(
    "escape", ["../secret.jpg", "photos/../../secret.jpg", "/etc/passwd", "C:\\x.jpg", "..\\x.jpg"]
)
@pytest.mark.parametrize("dataset", ["csv", "df20_mini"])
def test_a_path_that_leaves_data_root_is_refused(load, root, rows, tmp_path, dataset, escape):
    save_photo(tmp_path / "secret.jpg")
    if dataset == "csv":
        write_csv(root / "photos.csv", [*rows, (escape, *rows[0][1:])])
    else:
        root = df20_mini(tmp_path / "df20")
        with next(root.glob("*train*")).open("a", newline="") as file:
            csv.writer(file).writerow(("1", "Amanita rubescens Pers.", "", "Amanita", "", escape))
    text = message(load, dataset=dataset, data_root=root)
    assert "1 images lie outside data_root" in text and escape in text and "line" in text


def test_links_may_not_lead_out_of_data_root(load, root, rows, tmp_path):
    save_photo(tmp_path / "secret.jpg")
    (root / "link.jpg").symlink_to(tmp_path / "secret.jpg")
    write_csv(root / "photos.csv", [*rows, ("link.jpg", *rows[0][1:])])
    text = message(load)
    assert "where a link leads" in text and "photos.csv, line 26: link.jpg" in text
    (root / "all").symlink_to(tmp_path)
    write_csv(root / "photos.csv", [*rows, ("all/secret.jpg", *rows[0][1:])])
    text = message(load)
    assert "where a link leads" in text and "all/secret.jpg" in text
    assert "1 folders are links that lead outside" in message(load, dataset="folder")


def test_links_inside_data_root_are_fine(load, root, rows, tmp_path):
    (root / "link.jpg").symlink_to(root / rows[0][0])
    write_csv(root / "photos.csv", [("link.jpg", *rows[0][1:]), *rows[1:]])
    (tmp_path / "shortcut").symlink_to(root)
    assert load(data_root=tmp_path / "shortcut").table["image"][0] == "link.jpg"


def test_file_names_match_in_any_case_unless_that_is_ambiguous(load, root, rows):
    write_csv(root / "photos.csv", [(rows[0][0].replace(".jpg", ".JPG"), *rows[0][1:]), *rows[1:]])
    assert load().table["image"][0] == rows[0][0]
    save_photo(root / "photos" / "AMANITA alpha 0.jpg")
    if len(list((root / "photos").glob("*lpha 0.jpg"))) == 3:  # not so where case is ignored
        assert "1 of 24 images do not exist" in message(load, ImageError)


def test_windows_paths_are_read(load, root, rows):
    write_csv(root / "photos.csv", [(image.replace("/", "\\"), *rest) for image, *rest in rows])
    assert load().table["image"].tolist() == [image for image, *_ in rows]


def test_an_image_in_two_rows_is_refused(load, root, rows):
    write_csv(root / "photos.csv", [*rows, ("./" + rows[0][0], *rows[0][1:])])
    text = message(load)
    assert "photos.csv, line 2" in text and "photos.csv, line 26" in text


def test_cells_that_are_empty_are_refused_with_their_rows(load, root, rows):
    write_csv(root / "photos.csv", [("", *rows[0][1:]), *rows[1:]])
    assert "1 rows have no image:\n  photos.csv, line 2" in message(load)
    write_csv(root / "photos.csv", [(rows[0][0], " ", ""), *rows[1:]])
    assert "1 rows have no species:\n  photos.csv, line 2" in message(load)
    assert "A genus alone is enough." in message(load)
    write_csv(root / "photos.csv", [(*rows[0][:2], ""), *rows[1:]])
    assert "1 rows have no genus:\n  photos.csv, line 2" in message(load)


def test_a_species_under_two_genera_is_refused_with_its_rows(load, root, rows):
    write_csv(root / "photos.csv", [*rows[:5], (rows[5][0], rows[5][1], "Russula"), *rows[6:]])
    text = message(load)
    assert "'Amanita alpha': 'Amanita' (photos.csv, line 2), 'Russula' (photos.csv, line 7)" in text


def test_files_that_are_not_tables(load, root, rows):
    path = root / "photos.csv"
    path.write_bytes(b"")
    assert "photos.csv is empty" in message(load)
    write_csv(path, [])
    assert "holds no images" in message(load)
    path.write_bytes("image,species,genus\na.jpg,é,x\n".encode("latin-1"))
    assert "line 2: not UTF-8" in message(load)
    path.write_text("image,species,genus\na.jpg,b,c,d\n\na.jpg,b\n")
    assert "the header has 3 cells" in (text := message(load))
    assert "line 2: 4" in text and "line 4: 2" in text
    path.write_text('image,species,genus\na.jpg,"b"x,c\n')
    assert "line 2: not readable as CSV" in message(load)
    path.write_text("image,species,genus,genus\na.jpg,b,c,d\n")
    assert "column 'genus' twice" in message(load)
    path.unlink()
    assert "holds none" in message(load)


def test_line_numbers_count_blank_lines_and_breaks_inside_quotes(load, root, rows):
    image, *rest = rows[0]
    text = f'image,note,species,genus\n\n{image},"two\nlines",{rest[0]},{rest[1]}\n,x,a,b\n'
    (root / "photos.csv").write_text(text)
    assert "photos.csv, line 5" in message(load)


names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8).filter(str.strip)
fuzz = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@fuzz
@given(species=st.lists(names, min_size=4, max_size=4), separator=st.sampled_from(",;\t"))
def test_any_label_survives_the_file(load, root, rows, species, separator):
    of = dict(
        zip(
            sorted({row[1] for row in rows}),
            [f"{i}{s}" for i, s in enumerate(species)],
            strict=True,
        )
    )
    write_csv(root / "photos.csv", [(i, of[s], g) for i, s, g in rows], separator=separator)
    read = load().table["species"]
    expected = [unicodedata.normalize("NFC", of[s].strip()) for _, s, _ in rows]
    assert read.tolist() == expected


@fuzz
@given(
    content=st.one_of(
        st.binary(max_size=80), st.text(',;"\nabimage/.\0', max_size=80).map(str.encode)
    )
)
def test_any_file_is_read_or_refused_clearly(load, root, content):
    (root / "photos.csv").write_bytes(b"image,species,genus\n" + content)
    with pytest.raises(ValueError, match=r"photos\.csv|data_root"):
        load()


# ------------------------------------------------------------------------- pixels and the cache


@pytest.mark.parametrize("shape", [(30, 90), (90, 30), (40, 40), (6, 18), (50, 20)])
def test_images_are_resized_by_their_shorter_side_and_cropped_to_the_centre(tmp_path, shape):
    rng = np.random.default_rng(0)
    photo = Image.fromarray(rng.integers(0, 256, (*shape, 3), dtype=np.uint8))
    photo.save(tmp_path / "photo.png")
    scale = 20 / min(shape)
    height, width = round(shape[0] * scale), round(shape[1] * scale)
    top, left = (height - 20) // 2, (width - 20) // 2
    resized = np.asarray(photo.resize((width, height), Image.Resampling.LANCZOS))
    expected = resized[top : top + 20, left : left + 20].astype(int)
    assert abs(pixels.square_image(tmp_path / "photo.png", 20) - expected).max() <= 1


def test_resizing_antialiases(tmp_path):
    board = (np.indices((256, 256)).sum(0) % 2 * 255).astype(np.uint8)
    Image.fromarray(board).save(tmp_path / "board.png")
    grey = pixels.square_image(tmp_path / "board.png", 16)
    assert abs(grey.astype(int) - 127).max() <= 4


def test_photo_is_upright_and_never_enlarged(load, root, rows):
    exif = Image.Exif()
    exif[0x0112] = 6  # lying on its side
    save_photo(root / rows[0][0], size=(40, 30), exif=exif)
    data = load()
    assert data.photo(0, 15).size == (15, 20)
    assert data.photo(0, 500).size == (30, 40)


def test_every_kind_of_pixel_becomes_rgb(tmp_path):
    half = np.full((8, 8), 32896, np.uint16)  # half of 65535
    grey = Image.new("L", (8, 8), 128)
    clear = Image.new("RGBA", (8, 8), (128, 128, 128, 255))
    kinds = {
        "grey.png": grey,
        "sixteen.png": Image.fromarray(half),
        "sixteen.tif": Image.fromarray(half),
        "integer.tif": Image.fromarray(half.astype(np.int32)),
        "float.tif": Image.fromarray(np.full((8, 8), 128, np.float32)),
        "palette.gif": grey.convert("P"),
        "cmyk.jpg": grey.convert("RGB").convert("CMYK"),
        "opaque.png": clear,
        "opaque.webp": clear,
    }
    for name, image in kinds.items():
        image.save(tmp_path / name)
        square = pixels.square_image(tmp_path / name, 4).astype(int)
        assert square.shape == (4, 4, 3), name
        assert abs(square - 128).max() <= 2, name


def test_transparency_is_laid_on_white(tmp_path):
    Image.new("RGBA", (8, 8), (0, 0, 0, 0)).save(tmp_path / "clear.png")
    palette = Image.new("P", (8, 8), 0)
    palette.putpalette([0, 0, 0])
    palette.save(tmp_path / "palette.png", transparency=0)
    for name in ("clear.png", "palette.png"):
        assert (pixels.square_image(tmp_path / name, 4) == 255).all()


def test_a_long_strip_does_not_become_a_huge_image(tmp_path):
    Image.new("L", (1, 20_000), 7).save(tmp_path / "strip.png")
    assert (pixels.square_image(tmp_path / "strip.png", 224) == 7).all()


def test_images_are_decoded_once_and_again_when_a_file_changes(load, root, rows, monkeypatch):
    save_photo(root / rows[0][0], format="BMP")  # a BMP's size does not depend on its colours
    first = load().images(8)
    with monkeypatch.context() as patch:
        patch.setattr(pixels, "square_image", None)
        again = load(split_seed=5).images(8)
    assert (again == first).all() and again.filename == first.filename
    save_photo(root / rows[0][0], format="BMP", colour=(1, 2, 3))
    status = os.stat(root / rows[0][0])
    os.utime(root / rows[0][0], ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    changed = load().images(8)
    assert (changed[0] != first[0]).any() and (changed[1:] == first[1:]).all()
    assert changed.filename != first.filename


def test_the_cache_is_read_only_and_rows_of_it_are_copies(load):
    images = load().images(8)
    with pytest.raises(ValueError):
        images[0] = 0
    batch = images[[0, 1]]
    batch[:] = 0


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_an_interruption_leaves_no_half_file(load, monkeypatch, error):
    def interrupted(path, size):
        raise error

    monkeypatch.setattr(pixels, "square_image", interrupted)
    data = load()
    with pytest.raises(error):
        data.images(8)
    assert list((data.cache_dir / "images").iterdir()) == []


def test_a_full_disk_is_told_before_decoding(load, monkeypatch):
    usage = shutil.disk_usage(".")._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    assert "GB free" in message(lambda: load().images(8), OSError)


def test_the_fingerprint_follows_content_not_place(load, root, rows, tmp_path):
    before = load().fingerprint
    copy = tmp_path / "elsewhere"
    shutil.copytree(root, copy, copy_function=shutil.copyfile)  # with new times
    assert load(data_root=copy).fingerprint == before
    assert load(split_seed=9).fingerprint != before
    save_photo(root / rows[0][0], size=(100, 100))
    assert load().fingerprint != before
