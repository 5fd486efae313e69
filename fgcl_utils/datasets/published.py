"""The field's data sets, each read from the files that its authors publish.

Each has levels of its own, of which ``levels`` chooses; a reader returns the folder that image
paths are relative to, and one table with all of them.
"""

import importlib.resources
import posixpath
from collections.abc import Mapping
from pathlib import PurePosixPath

import numpy as np
import pandas as pd

from fgcl_utils.datasets import synthetic
from fgcl_utils.datasets.checks import SOURCE_SPLITS, leaves_root, listed
from fgcl_utils.datasets.tables import (
    check_has_columns,
    csv_header,
    csv_records,
    csv_table,
    image_files,
    images_below,
)
from fgcl_utils.datasets.taxonomies import with_homonyms_apart

_RANKS = ("species", "genus", "family", "order", "class", "phylum", "kingdom")
LEVELS = {
    "synthetic": synthetic.LEVELS,
    "df20_mini": _RANKS,
    "flowers102": ("species", "genus", "family"),
    "fgvc_aircraft": ("variant", "family", "manufacturer"),
    "cub200": ("species", "genus", "family"),
    "inat2021": _RANKS,
    "stanford_cars": ("model", "make"),
    "oxford_pets": ("breed", "species"),
}
ROOT_HINT = {
    "grocery": "data_root is a clone of github.com/marcusklasson/GroceryStoreDataset.",
    "df20_mini": "data_root is the folder with DF20-Mini's metadata CSV files and its images.",
    "flowers102": "data_root holds jpg/, imagelabels.mat and setid.mat, or is the folder above, "
    "where torchvision.datasets.Flowers102(data_root, download=True) puts them. Page: "
    "www.robots.ox.ac.uk/~vgg/data/flowers/102",
    "fgvc_aircraft": "data_root holds fgvc-aircraft-2013b, where "
    "torchvision.datasets.FGVCAircraft(data_root, download=True) puts it. Page: "
    "www.robots.ox.ac.uk/~vgg/data/fgvc-aircraft",
    "cub200": "data_root is CUB_200_2011 as unpacked, or the folder above. Page: "
    "www.vision.caltech.edu/datasets/cub_200_2011",
    "inat2021": "data_root holds train (or train_mini) and val as unpacked, or 2021_train (or "
    "2021_train_mini) and 2021_valid, as torchvision.datasets.INaturalist(data_root, VERSION, "
    "download=True) leaves them. Page: github.com/visipedia/inat_comp/tree/master/2021",
    "stanford_cars": "data_root holds stanford_cars with devkit/, cars_train/, cars_test/ and "
    "cars_test_annos_withlabels.mat. Its own page is gone; github.com/pytorch/vision/issues/7545 "
    "says where copies are.",
    "oxford_pets": "data_root holds oxford-iiit-pet, where "
    "torchvision.datasets.OxfordIIITPet(data_root, download=True) puts it. Page: "
    "www.robots.ox.ac.uk/~vgg/data/pets",
}


def levels_of(dataset, levels, default) -> tuple[str, ...]:
    """Those of a data set's own levels that `levels` asks for.

    The default stands for all levels of a data set that knows neither species nor genus.
    """
    own = LEVELS.get(dataset)
    if own is None:
        return levels
    if levels == default and not {*levels} <= {*own}:
        return own
    if levels != tuple(level for level in own if level in levels):
        raise ValueError(
            f"levels={list(levels)}: those of {dataset} are {', '.join(own)}, finest first; choose "
            "among them, in this order."
        )
    return levels


def read(dataset, root, levels, metadata, group_by):
    """The folder that image paths are relative to, and a table with `levels` and perhaps split."""
    if dataset == "grocery":
        return _read_grocery(root, levels)
    if dataset == "df20_mini":
        return root, _read_df20_mini(root, levels, metadata, group_by)
    root, table = _READERS[dataset](root)
    return root, table[["image", *levels, *table.columns.intersection(["split"])]]


def _home(dataset, root, marker, *folders):
    """`root`, or that of its `folders` that holds the file `marker`."""
    for folder in ("", *folders):
        if (root / folder / marker).exists():
            return root / folder
    raise FileNotFoundError(f"{root / marker} does not exist. {ROOT_HINT[dataset]}")


def _file(root, name, dataset):
    return _home(dataset, root, name) / name


def _lines(path):
    """Lines of a text file that are not empty, with where they stand."""
    with path.open(encoding="utf-8") as file:
        try:
            for number, line in enumerate(file, 1):
                if line.strip():
                    yield f"{path.name}, line {number}", line.strip()
        except UnicodeDecodeError:
            raise ValueError(f"{path}: not UTF-8 text. Take the file as published.") from None


def _pairs(path):
    """A file of lines "key value" as a Series; a value may hold blanks."""
    cells = {}
    for where, line in _lines(path):
        key, _, value = line.partition(" ")
        if not value:
            raise ValueError(f"{path.parent / where}: expected two words, found {line!r}.")
        cells[key] = value.strip()
    return pd.Series(cells, dtype=str)


def _our_table(dataset):
    """Our table of a data set's classes and what lies above them, all cells str."""
    place = importlib.resources.files("fgcl_utils.datasets") / "hierarchies" / f"{dataset}.csv"
    with place.open(encoding="utf-8") as file:
        return pd.read_csv(file, comment="#", dtype=str, keep_default_na=False)


def _mat(path, name):
    """A variable of a .mat file, as an array of one dimension."""
    from scipy.io import loadmat

    try:
        return np.atleast_1d(loadmat(path, squeeze_me=True)[name])
    except Exception as error:  # of many kinds, as the file is damaged
        raise ValueError(f"{path} holds no variable {name!r} ({error}).") from None


# ------------------------------------------------------------------------------ Grocery Store


def _read_grocery(root, levels):
    """The clone's dataset/{train,val,test}.txt: path, class id, coarse id; names in classes.csv."""
    if len(levels) > 2:
        raise ValueError(
            f"levels={list(levels)}: grocery has two, the fine and the coarse classes, whatever "
            "you call them."
        )
    root = _home("grocery", root, "classes.csv", "dataset")
    fine, fine_id, coarse = "Class Name (str)", "Class ID (int)", "Coarse Class Name (str)"
    classes = csv_table(root / "classes.csv", [fine, fine_id, coarse])
    names = {row[fine_id]: (row[fine], row[coarse]) for row in classes.to_dict("records")}
    rows, index = [], []
    for split in SOURCE_SPLITS:
        for line, cells in csv_records(_file(root, f"{split}.txt", "grocery")):
            where = f"{split}.txt, line {line}"
            cells = [cell.strip() for cell in cells]
            if len(cells) != 3 or cells[1] not in names:
                raise ValueError(
                    f"{root / where}: expected 'image path, class id, coarse class id' with a "
                    f"class id of classes.csv, found {listed(cells, ', ', 5)!r}."
                )
            rows.append((cells[0], *names[cells[1]][: len(levels)], split))
            index.append(where)
    return root, pd.DataFrame(rows, index, columns=["image", *levels, "split"], dtype=str)


# ---------------------------------------------------------------------------------- DF20-Mini

GROUP_BY_MEND = " group_by names one of these."


def _read_df20_mini(root, levels, metadata, group_by):
    """The published metadata, one CSV file a split; `group_by` asks for another split than that.

    A class is a ``scientificName``, since ``species`` is blank or a synonym in some rows.
    """
    parts = []
    observation = group_by or "gbifID"
    above = [level for level in levels if level != "species"]
    for split, path in _df20_mini_files(root, metadata).items():
        header = csv_header(path)
        has_only_id = "class_id" in header and "scientificName" not in header
        label = "class_id" if has_only_id else "scientificName"
        needed = ["image_path", *([label] if "species" in levels else []), *above]
        check_has_columns(header, needed, path)
        if group_by is not None:
            check_has_columns(header, [group_by], path, GROUP_BY_MEND)
        known = {*needed, "scientificName", "class_id", "species", "genus", observation}
        parts.append(csv_table(path, sorted(known.intersection(header))).assign(split=split))
    raw = pd.concat(parts).fillna("")
    bare = [name if leaves_root(name) else PurePosixPath(name).name for name in raw["image_path"]]
    table = pd.DataFrame({"image": images_below(root, bare)}, raw.index)
    for level in levels:
        has_names = level != "species" or "scientificName" in raw
        column = "scientificName" if level == "species" else level
        table[level] = raw[column] if has_names else _class_names(raw)
    if group_by is None:
        table["split"] = raw["split"]
    if observation in raw:
        table["observation"] = raw[observation]
    return table


def _df20_mini_files(root, metadata):
    if metadata is not None:
        known = {"train", "test"}, {*SOURCE_SPLITS}
        if not isinstance(metadata, Mapping) or not known[0] <= {*metadata} <= known[1]:
            raise ValueError(
                "metadata of df20_mini names one file a split: "
                "metadata={'train': '...csv', 'test': '...csv'} ('val' may be added)."
            )
        return {split: _file(root, name, "df20_mini") for split, name in metadata.items()}
    files = {}
    for split in ("train", "test"):
        found = sorted(
            entry.name
            for entry in root.iterdir()
            if PurePosixPath(entry.name.lower()).match(f"*{split}*metadata*.csv")
        )
        if len(found) != 1:
            problem = (
                f"{len(found)} files match: {', '.join(found)}" if found else "no file matches"
            )
            raise ValueError(
                f"the {split} metadata of df20_mini is looked for as *{split}*metadata*.csv in "
                f"{root}, and {problem}. Leave one there, or name the files: "
                "load_dataset(..., metadata={'train': '...csv', 'test': '...csv'})."
            )
        files[split] = root / found[0]
    return files


def _class_names(raw):
    """Readable names where a release has only class_id: its first species name, and the id."""
    readable = raw["species"] if "species" in raw else pd.Series("", raw.index)
    readable = readable.where(readable != "", raw["genus"])
    first = readable.groupby(raw["class_id"]).transform("first")
    return (first + " (class " + raw["class_id"] + ")").where(raw["class_id"] != "", "")


# --------------------------------------------------------------------------------- Flowers-102


def _read_flowers102(root):
    """Class numbers in imagelabels.mat, the split in setid.mat; or both in a table labels.csv."""
    try:
        root = _home("flowers102", root, "imagelabels.mat", "flowers-102")
    except FileNotFoundError:
        if not (root / "labels.csv").is_file():
            raise
        table = csv_table(root / "labels.csv", ["image", "class"])
        table["image"] = images_below(root, table["image"])
        return root, _with_names(table, "flowers102", root / "labels.csv")
    labels = _mat(root / "imagelabels.mat", "labels")
    table = pd.DataFrame(
        {
            "image": [f"jpg/image_{i:05d}.jpg" for i in range(1, len(labels) + 1)],
            "class": [str(label) for label in labels],
            "split": "",
        },
        [f"imagelabels.mat, image {i}" for i in range(1, len(labels) + 1)],
    )
    for name, split in (("trnid", "train"), ("valid", "val"), ("tstid", "test")):
        table.iloc[_mat(_file(root, "setid.mat", "flowers102"), name) - 1, 2] = split
    return root, _with_names(table, "flowers102", root / "imagelabels.mat")


def _with_names(table, dataset, path):
    """The column class, in the words of the files, becomes the levels of our table."""
    ours = _our_table(dataset).set_index("class")
    unknown = sorted({*table["class"]} - {*ours.index})
    if unknown:
        raise ValueError(
            f"{path} has {len(unknown)} classes that {dataset} does not have: "
            f"{listed(map(repr, unknown), ', ', 5)}. Take the files as published, or read them as "
            "dataset 'csv' or 'folder'."
        )
    return table.join(ours, on="class").drop(columns="class")


# -------------------------------------------------------------------------------- FGVC Aircraft


def _read_fgvc_aircraft(root):
    """data/images_{variant,family,manufacturer}_{train,val,test}.txt: an image and its class."""
    marker = "images_variant_train.txt"
    root = _home("fgvc_aircraft", root, marker, "data", "fgvc-aircraft-2013b/data")
    parts = []
    for split in SOURCE_SPLITS:
        names = [f"images_{level}_{split}.txt" for level in LEVELS["fgvc_aircraft"]]
        columns = [_pairs(_file(root, name, "fgvc_aircraft")) for name in names]
        part = pd.concat(columns, axis=1, keys=LEVELS["fgvc_aircraft"]).fillna("")
        parts.append(part.assign(split=split))
    table = pd.concat(parts)
    table.insert(0, "image", "images/" + table.index + ".jpg")
    return root, table.set_index("image", drop=False).rename_axis(None)


# -------------------------------------------------------------------------------------- CUB-200


def _read_cub200(root):
    """images.txt, image_class_labels.txt and train_test_split.txt, joined by the image's number."""
    root = _home("cub200", root, "images.txt", "CUB_200_2011")
    files = ("images", "image_class_labels", "train_test_split", "classes")
    images, labels, is_train, classes = (_pairs(_file(root, f"{f}.txt", "cub200")) for f in files)
    table = pd.DataFrame(
        {
            "image": "images/" + images,
            "class": labels.reindex(images.index).map(classes.str.partition(".")[2]).fillna(""),
            "split": is_train.reindex(images.index).map({"1": "train", "0": "test"}).fillna(""),
        }
    )
    table.index = "images.txt, image " + table.index
    return root, _with_names(table, "cub200", root / "classes.txt")


# ----------------------------------------------------------------------------- iNaturalist 2021


def _read_inat2021(root):
    """Folders like 00000_Animalia_…_Lumbricus_terrestris; its validation photos are our test.

    The photos that it calls its test are published without labels.
    """
    places = {"train": ("train", "2021_train", "train_mini", "2021_train_mini")}
    places["test"] = ("val", "2021_valid")
    found = {
        split: next((name for name in names if (root / name).is_dir()), None)
        for split, names in places.items()
    }
    if None in found.values():
        raise FileNotFoundError(
            f"{root} lacks {' or '.join(next(places[s] for s in found if found[s] is None))}. "
            f"{ROOT_HINT['inat2021']}"
        )
    rows = []
    for split, name in found.items():
        for image in image_files(root / name):
            folder = posixpath.dirname(image)
            parts = folder.split("_", 7)
            if len(parts) != 8:
                raise ValueError(
                    f"{root / name / image} is not in a folder like 00000_Animalia_Annelida_"
                    "Clitellata_Haplotaxida_Lumbricidae_Lumbricus_terrestris: take it away."
                )
            *above, genus, epithet = parts[1:]
            ranks = (f"{genus} {epithet}".replace("_", " "), genus, *reversed(above))
            rows.append((posixpath.join(name, image), *ranks, split))
    table = pd.DataFrame(rows, columns=["image", *LEVELS["inat2021"], "split"], dtype=str)
    table = table.set_index("image", drop=False).rename_axis(None)
    return root, with_homonyms_apart(table, LEVELS["inat2021"])


# --------------------------------------------------------------------------------- Stanford Cars

_MAKES_OF_TWO_WORDS = ("AM General", "Aston Martin", "Land Rover")


def _read_stanford_cars(root):
    """devkit/cars_meta.mat names the classes; the make is how the name of a model begins."""
    root = _home("stanford_cars", root, "devkit/cars_meta.mat", "stanford_cars")
    names = [str(name) for name in _mat(root / "devkit" / "cars_meta.mat", "class_names")]
    files = {"train": "devkit/cars_train_annos.mat", "test": "cars_test_annos_withlabels.mat"}
    rows, index = [], []
    for split, file in files.items():
        annotations = _mat(_file(root, file, "stanford_cars"), "annotations")
        for number, annotation in enumerate(annotations, 1):
            model = names[int(annotation["class"]) - 1]
            two = [make for make in _MAKES_OF_TWO_WORDS if model.startswith(make)]
            make = two[0] if two else model.split()[0]
            rows.append((f"cars_{split}/{annotation['fname']}", model, make, split))
            index.append(f"{file}, image {number}")
    return root, pd.DataFrame(rows, index, columns=["image", "model", "make", "split"], dtype=str)


# ----------------------------------------------------------------------------- Oxford-IIIT Pet


def _read_oxford_pets(root):
    """annotations/{trainval,test}.txt: image, class number, 1 for a cat or 2 for a dog, breed."""
    root = _home("oxford_pets", root, "annotations/trainval.txt", "oxford-iiit-pet")
    rows, index = [], []
    for split, file in (("train", "trainval.txt"), ("test", "test.txt")):
        for where, line in _lines(_file(root, f"annotations/{file}", "oxford_pets")):
            image, *numbers = line.split()
            if len(numbers) != 3 or numbers[1] not in "12":
                raise ValueError(
                    f"{root / 'annotations'}/{where}: expected 'image class 1|2 breed'."
                )
            breed = image.rpartition("_")[0].replace("_", " ")
            rows.append((f"images/{image}.jpg", breed, ("cat", "dog")[int(numbers[1]) - 1], split))
            index.append(where)
    return root, pd.DataFrame(
        rows, index, columns=["image", "breed", "species", "split"], dtype=str
    )


_READERS = {
    "flowers102": _read_flowers102,
    "fgvc_aircraft": _read_fgvc_aircraft,
    "cub200": _read_cub200,
    "inat2021": _read_inat2021,
    "stanford_cars": _read_stanford_cars,
    "oxford_pets": _read_oxford_pets,
}
