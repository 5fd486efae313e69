"""The field's data sets, in tiny copies of the layouts that their authors publish."""

import shutil
from itertools import pairwise

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from fgcl_utils.datasets import DATASETS, ImageError, load_dataset, published

RANKS = ("species", "genus", "family", "order", "class", "phylum", "kingdom")


def save_photo(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (9, 9)).save(path, "PNG")


def write_lines(path, lines):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def refused(*arguments, error=ValueError, **options):
    with pytest.raises(error) as caught:
        load_dataset(*arguments, **options)
    return str(caught.value)


# ------------------------------------------------------------------------ the copies, one a layout


def flowers102(root):
    """torchvision's folder: images by number, class numbers and the split in .mat files."""
    classes = [77, 77, 30, 30, 31, 31]
    for i in range(1, 7):
        save_photo(root / "flowers-102" / "jpg" / f"image_{i:05d}.jpg")
    savemat(root / "flowers-102" / "imagelabels.mat", {"labels": [classes]})
    sets = {"trnid": [[1, 3, 5]], "valid": [[2]], "tstid": [[4, 6]]}
    savemat(root / "flowers-102" / "setid.mat", sets)
    return root


def fgvc_aircraft(root):
    data = root / "fgvc-aircraft-2013b" / "data"
    classes = [
        ("707-320", "Boeing 707", "Boeing"),
        ("727-200", "Boeing 727", "Boeing"),
        ("Hawk T1", "Hawk T1", "British Aerospace"),
    ]
    for s, split in enumerate(("train", "val", "test")):
        images = [f"{s}00{c}" for c in range(3)]
        for l, level in enumerate(("variant", "family", "manufacturer")):
            lines = [f"{image} {c[l]}" for image, c in zip(images, classes, strict=True)]
            write_lines(data / f"images_{level}_{split}.txt", lines)
        for image in images:
            save_photo(data / "images" / f"{image}.jpg")
    return root


def cub200(root):
    home = root / "CUB_200_2011"
    classes = ["001.Black_footed_Albatross", "002.Laysan_Albatross", "141.Artic_Tern"]
    images = [f"{name}/{name[4:]}_{i}.jpg" for name in classes for i in range(2)]
    for image in images:
        save_photo(home / "images" / image)
    write_lines(home / "images.txt", [f"{i} {image}" for i, image in enumerate(images, 1)])
    write_lines(home / "classes.txt", [f"{c} {name}" for c, name in enumerate(classes, 1)])
    write_lines(home / "image_class_labels.txt", [f"{i + 1} {i // 2 + 1}" for i in range(6)])
    write_lines(home / "train_test_split.txt", [f"{i + 1} {i % 2}" for i in range(6)])
    return root


def inat2021(root):
    folders = [
        "00000_Animalia_Annelida_Clitellata_Haplotaxida_Lumbricidae_Lumbricus_terrestris",
        "04501_Animalia_Chordata_Aves_Passeriformes_Prunellidae_Prunella_modularis",
        "09001_Plantae_Tracheophyta_Magnoliopsida_Lamiales_Lamiaceae_Prunella_vulgaris",
    ]
    for folder in folders:
        for split in ("train_mini", "val"):
            save_photo(root / split / folder / f"{split}.jpg")
    return root


def stanford_cars(root):
    home = root / "stanford_cars"
    models = ["AM General Hummer SUV 2000", "Acura TL Sedan 2012", "Acura RL Sedan 2012"]
    (home / "devkit").mkdir(parents=True)
    names = np.array(models, dtype=object).reshape(1, -1)
    savemat(home / "devkit" / "cars_meta.mat", {"class_names": names})
    files = {"train": "devkit/cars_train_annos.mat", "test": "cars_test_annos_withlabels.mat"}
    kind = [("bbox_x1", "u1"), ("class", "u1"), ("fname", object)]
    for split, file in files.items():
        rows = np.array([[(7, c + 1, f"0000{c}.jpg") for c in range(3)]], dtype=kind)
        savemat(home / file, {"annotations": rows})
        for c in range(3):
            save_photo(home / f"cars_{split}" / f"0000{c}.jpg")
    return root


def oxford_pets(root):
    home = root / "oxford-iiit-pet"
    breeds = [("Abyssinian", 1), ("Maine_Coon", 1), ("american_bulldog", 2)]
    for file in ("trainval", "test"):
        rows = [(f"{breed}_{file}", c, kind) for c, (breed, kind) in enumerate(breeds, 1)]
        lines = [f"{image} {c} {kind} 1" for image, c, kind in rows]
        write_lines(home / "annotations" / f"{file}.txt", lines)
        for image, *_ in rows:
            save_photo(home / "images" / f"{image}.jpg")
    return root


COPIES = {
    "flowers102": (flowers102, (3, 2, 2), (3, 1, 2)),
    "fgvc_aircraft": (fgvc_aircraft, (3, 3, 2), (3, 3, 3)),
    "cub200": (cub200, (3, 2, 2), (3, 0, 3)),
    "inat2021": (inat2021, (3, 3, 3, 3, 3, 3, 2), (3, 0, 3)),
    "stanford_cars": (stanford_cars, (3, 2), (3, 0, 3)),
    "oxford_pets": (oxford_pets, (3, 2), (3, 0, 3)),
}
published_copies = pytest.mark.parametrize("name", COPIES)


@published_copies
def test_a_published_data_set_has_its_own_levels_and_split(tmp_path, name):
    make, n_classes, n_images = COPIES[name]
    data = load_dataset(name, make(tmp_path), levels=published.LEVELS[name])
    assert data.levels == published.LEVELS[name]
    assert data.taxonomy.n_classes == n_classes
    assert tuple(len(data.indices(split)) for split in ("train", "val", "test")) == n_images
    assert all((data.data_root / image).is_file() for image in data.table["image"])
    assert (data.labels >= 0).all()
    assert data.images(8).shape == (sum(n_images), 8, 8, 3)


@published_copies
def test_the_default_levels_are_species_and_genus_or_all(tmp_path, name):
    data = load_dataset(name, COPIES[name][0](tmp_path))
    own = published.LEVELS[name]
    assert data.levels == (("species", "genus") if "genus" in own else own)


@published_copies
def test_some_of_the_levels_may_be_chosen_in_their_order(tmp_path, name):
    root, own = COPIES[name][0](tmp_path), published.LEVELS[name]
    data = load_dataset(name, root, levels=own[-1:])
    assert data.levels == own[-1:] and data.labels.shape == (len(data), 1)
    for levels in (own[::-1], ["tribe"]):
        assert f"those of {name} are {', '.join(own)}" in refused(name, root, levels=levels)


@published_copies
def test_the_folder_itself_may_be_data_root_and_an_empty_one_is_refused(tmp_path, name):
    make = COPIES[name][0]
    whole = load_dataset(name, make(tmp_path / "whole"))
    inner, fingerprint = whole.data_root, whole.fingerprint
    if inner.name == "data":  # aircraft
        inner = inner.parent
    shutil.move(inner, tmp_path / "inner")
    assert load_dataset(name, tmp_path / "inner").fingerprint == fingerprint
    (tmp_path / "empty").mkdir()
    text = refused(name, tmp_path / "empty", error=FileNotFoundError)
    assert published.ROOT_HINT[name] in text
    assert "github.com/" in text or "www." in text  # where the data set's page is


@published_copies
def test_images_that_are_not_there_are_listed(tmp_path, name):
    if name == "inat2021":  # what is there is what it has
        return
    data = load_dataset(name, COPIES[name][0](tmp_path))
    (data.data_root / data.table["image"][1]).unlink()
    text = refused(name, tmp_path, error=ImageError)
    assert "1 of" in text and data.table["image"][1] in text


def test_names_of_single_data_sets(tmp_path):
    data = load_dataset("flowers102", flowers102(tmp_path / "flowers"))
    assert data.table.loc[0].tolist()[:3] == [
        "jpg/image_00001.jpg", "passion flower", "Passiflora"
    ]  # fmt: skip
    data = load_dataset("fgvc_aircraft", fgvc_aircraft(tmp_path / "aircraft"))
    assert data.table.loc[2].tolist() == [
        "images/0002.jpg", "Hawk T1", "Hawk T1", "British Aerospace", "train"
    ]  # fmt: skip
    data = load_dataset("cub200", cub200(tmp_path / "cub"))
    assert data.taxonomy.names[0] == ("Artic Tern", "Black footed Albatross", "Laysan Albatross")
    data = load_dataset("inat2021", inat2021(tmp_path / "inat"))
    assert data.taxonomy.names[0][0] == "Lumbricus terrestris"
    assert data.taxonomy.names[1][1:] == ("Prunella (Lamiaceae)", "Prunella (Prunellidae)")
    data = load_dataset("stanford_cars", stanford_cars(tmp_path / "cars"))
    assert data.taxonomy.names[1] == ("AM General", "Acura")
    data = load_dataset("oxford_pets", oxford_pets(tmp_path / "pets"))
    assert data.taxonomy.names == (("Abyssinian", "Maine Coon", "american bulldog"), ("cat", "dog"))


def test_flowers_as_a_table_of_class_numbers(tmp_path):
    for i in range(20):
        save_photo(tmp_path / "jpg" / f"image_{i:05d}.jpg")
    lines = ["image,class", *(f"image_{i:05d}.jpg,{30 + i % 2}" for i in range(20))]
    write_lines(tmp_path / "labels.csv", lines)
    data = load_dataset("flowers102", tmp_path)
    assert data.taxonomy.names == (("carnation", "sweet william"), ("Dianthus",))
    assert data.table["image"][3] == "jpg/image_00003.jpg"
    write_lines(tmp_path / "labels.csv", [*lines, "image_00000.jpg,103"])
    assert "1 classes that flowers102 does not have: '103'" in refused("flowers102", tmp_path)


def test_inat2021_prefers_the_whole_training_set(tmp_path):
    root = inat2021(tmp_path)
    shutil.copytree(root / "train_mini", root / "train")
    data = load_dataset("inat2021", root)
    assert data.table["image"].str.startswith("train/").sum() == 3 and len(data) == 6
    save_photo(root / "train" / "stray.jpg")
    assert "train/stray.jpg is not in a folder like" in refused("inat2021", root)


def test_files_that_are_damaged_are_named(tmp_path):
    root = flowers102(tmp_path / "flowers")
    (root / "flowers-102" / "setid.mat").write_bytes(b"no")
    assert "setid.mat holds no variable 'trnid'" in refused("flowers102", root)
    root = cub200(tmp_path / "cub")
    write_lines(root / "CUB_200_2011" / "classes.txt", ["1"])
    assert "classes.txt, line 1: expected two words, found '1'" in refused("cub200", root)
    write_lines(root / "CUB_200_2011" / "classes.txt", ["1 001.Dodo", "2 2.Artic_Tern"])
    assert "2 classes that cub200 does not have: '', 'Dodo'" in refused("cub200", root)
    root = oxford_pets(tmp_path / "pets")
    write_lines(root / "oxford-iiit-pet" / "annotations" / "test.txt", ["Abyssinian_1 1 3 1"])
    assert "test.txt, line 1: expected" in refused("oxford_pets", root)


@pytest.mark.parametrize(
    "name, counts", {"flowers102": (102, 94, 47), "cub200": (200, 123, 37)}.items()
)
def test_our_tables_are_nested_and_whole(name, counts):
    table = published._our_table(name)
    levels = ["species", "genus", "family"]
    assert (table != "").all(axis=None) and table["class"].is_unique
    assert tuple(table[level].nunique() for level in levels) == counts
    for child, parent in pairwise(levels):
        assert (table.groupby(child)[parent].nunique() == 1).all()
    assert table["genus"].str.fullmatch("[A-Z][a-z]+").all()
    assert table["family"].str.fullmatch("[A-Z][a-z]+(aceae|idae)").all()


def test_grocery_has_two_levels_under_any_names(tmp_path):
    header = "Class Name (str),Class ID (int),Coarse Class Name (str)"
    write_lines(tmp_path / "classes.csv", [header, "Gala,0,Apple", "Leek,1,Leek"])
    for split in ("train", "val", "test"):
        write_lines(tmp_path / f"{split}.txt", [f"{split}{c}.jpg, {c}, {c}" for c in (0, 1)])
        for c in (0, 1):
            save_photo(tmp_path / f"{split}{c}.jpg")
    data = load_dataset("grocery", tmp_path, levels=["product", "shelf"])
    assert data.levels == ("product", "shelf") and data.taxonomy.names[1] == ("Apple", "Leek")
    assert load_dataset("grocery", tmp_path, levels=["product"]).taxonomy.n_classes == (2,)
    assert "grocery has two" in refused("grocery", tmp_path, levels=["a", "b", "c"])


def test_df20_mini_takes_its_levels_from_its_columns(tmp_path):
    header = "gbifID,scientificName,species,genus,family,order,image_path"
    rows = [
        "1,Russula adusta (Pers.) Fr.,,Russula,Russulaceae,Russulales,{}a.jpg",
        "2,Amanita rubescens Pers.,,Amanita,Amanitaceae,Agaricales,{}b.jpg",
    ]
    for split in ("train", "test"):
        write_lines(tmp_path / f"{split}_metadata.csv", [header, *(r.format(split) for r in rows)])
        for name in "ab":
            save_photo(tmp_path / f"{split}{name}.jpg")
    levels = RANKS[:4]
    with pytest.warns(UserWarning, match="observations"):
        data = load_dataset("df20_mini", tmp_path, levels=levels)
    assert data.levels == levels and data.taxonomy.n_classes == (2, 2, 2, 2)
    assert data.taxonomy.names[0][0] == "Amanita rubescens Pers."
    assert data.taxonomy.names[3] == ("Agaricales", "Russulales")
    with pytest.warns(UserWarning, match="observations"):
        assert load_dataset("df20_mini", tmp_path, levels=["family"]).levels == ("family",)
    assert "no column 'kingdom'" in refused("df20_mini", tmp_path, levels=["genus", "kingdom"])


def test_every_published_data_set_is_offered():
    assert {*published.LEVELS, "grocery", "csv", "folder", "features"} == {*DATASETS}
