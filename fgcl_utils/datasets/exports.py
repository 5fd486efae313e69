"""What GBIF and iNaturalist hand out: tables of records, with the photos named after them.

A record has any number of photos; all of them are one observation. Photos are found below data_root
by the record's number (``4023.jpg``, ``4023_2.jpg``, ``4023/1.jpg``) or by the name that they have
at their address on the web.
"""

import re
from collections import defaultdict
from pathlib import PurePosixPath
from urllib.parse import urlsplit

import pandas as pd

from fgcl_utils.datasets.checks import Problem
from fgcl_utils.datasets.tables import check_has_columns, csv_header, csv_table, image_files
from fgcl_utils.datasets.taxonomies import with_homonyms_apart

# iNaturalist names a photo by its folder: photos/12345/original.jpg
_SIZES = {"original", "large", "medium", "small", "thumb", "square"}


def is_export(header) -> bool:
    return "gbifID" in header or {"id", "scientific_name"} <= {*header}


def read_export(path, root, levels, columns, group_by):
    """One row a photo of the records in `path`, with the levels that the records have.

    Returns
    -------
    table, problems
        Columns image, the levels, observation and perhaps split; warnings of what was left out.
    """
    header = csv_header(path)
    is_gbif = "gbifID" in header
    key = "gbifID" if is_gbif else "id"
    sources = (_gbif_columns if is_gbif else _inaturalist_columns)(header, levels, columns)
    asked = [columns[name] for name in ("split",) if name in columns]
    asked += [group_by] if group_by else []
    check_has_columns(header, [key, *asked], path)
    url = [name for name in ("image_url",) if name in header and not is_gbif]
    used = dict.fromkeys(name for names in sources.values() for name in names)
    raw = csv_table(path, [*dict.fromkeys([key, *used, *asked, *url])])
    records = pd.DataFrame({level: _joined(raw, names) for level, names in sources.items()})
    if not is_gbif:
        records = _with_scientific_names(records, raw, levels)
    if "split" in columns:
        records["split"] = raw[columns["split"]]
    records["observation"] = raw[group_by or key]

    addresses = raw[[key, *url]] if url else _multimedia(root)
    photos = _photos_of(raw[key], addresses, root)
    if not photos:
        raise ValueError(
            f"no photo below {root} is named after a record of {path.name}. Name each after its "
            f"{key}, as in {raw[key].iloc[0] if len(raw) else 4023}.jpg or "
            f"{raw[key].iloc[0] if len(raw) else 4023}_2.jpg, or as its address on the web ends. "
            "Or say which column names the photos: columns={'image': '...'}."
        )
    return _one_row_a_photo(records, raw[key], photos, levels)


def _gbif_columns(header, levels, columns):
    """The columns that make each level; GBIF leaves species empty where only the genus is known."""
    sources = {level: [columns.get(level, level)] for level in levels}
    if "species" in sources and sources["species"] == ["species"] and "species" not in header:
        sources["species"] = ["genus", "specificEpithet"]  # a file as its publisher sent it
    return {level: names for level, names in sources.items() if {*names} <= {*header}}


def _inaturalist_columns(header, levels, columns):
    sources = {level: columns.get(level, f"taxon_{level}_name") for level in levels}
    found = {level: [name] for level, name in sources.items() if name in header}
    return found or {"scientific_name": ["scientific_name"]}


def _joined(raw, names):
    """Words of several columns as one name; empty if any of them is."""
    name = raw[names[0]]
    for column in names[1:]:
        name = name + " " + raw[column]
    return name.where((raw[names] != "").all(axis=1), "")


def _with_scientific_names(records, raw, levels):
    """Species and genus out of names like "Amanita muscaria flavivolvata" and "Amanita"."""
    if "scientific_name" not in records:
        return records
    words = records["scientific_name"].str.split()
    species = words.str[:2].str.join(" ").where(words.str.len() > 1, "")
    genera = {*words.str[0][species != ""]}
    genus = words.str[0].where(words.str[0].isin(genera), "")  # a single word may be a family
    found = {"species": species, "genus": genus}
    return pd.DataFrame({level: found[level] for level in levels if level in found}, dtype=str)


def _multimedia(root):
    path = root / "multimedia.txt"
    if not path.is_file():
        return None
    check_has_columns(csv_header(path), ["gbifID", "identifier"], path)
    return csv_table(path, ["gbifID", "identifier"])


def _photos_of(keys, addresses, root):
    """Paths of the photos of each record: by its number or by their addresses, as more fit."""
    names = [{key: key for key in keys if key}]
    if addresses is not None:
        by_name = defaultdict(set)
        for key, address in addresses.itertuples(index=False):
            by_name[_name_at(address)].add(key)
        names.append({name: min(of) for name, of in by_name.items() if name and len(of) == 1})
    images = image_files(root)
    found = []
    for record_of in names:
        photos = defaultdict(list)
        for image in images:
            record = next((record_of[n] for n in _names_of(image) if n in record_of), None)
            if record is not None:
                photos[record].append(image)
        found.append(photos)
    return max(found, key=lambda photos: sum(map(len, photos.values())))


def _names_of(image):
    """What a photo may be known by: its name, how the name begins, its folder's name."""
    stem = PurePosixPath(image).stem
    return stem, re.split(r"[-_. ]", stem, maxsplit=1)[0], PurePosixPath(image).parent.name


def _name_at(address):
    """The name of a photo at its address on the web."""
    path = PurePosixPath(urlsplit(address).path)
    return path.parent.name if path.stem in _SIZES else path.stem


def _one_row_a_photo(records, keys, photos, levels):
    keys = keys.to_numpy(dtype=object)
    rows = [row for row, key in enumerate(keys) for _ in photos.get(key, ())]
    images = [image for key in keys for image in photos.get(key, ())]
    problems = []
    if without := len(keys) - len({*rows}):
        problems.append(Problem(f"{without} records have no photo: left out", kind=UserWarning))
    table = records.iloc[rows]
    table.insert(0, "image", images)
    known = (table[[level for level in levels if level in table]] != "").any(axis=1)
    if not known.all():
        mend = "They are known to a coarser rank only: add a level of it to keep them."
        what = f"{(~known).sum()} photos are known at no level ({', '.join(levels)}): left out"
        problems.append(Problem(what, table["image"][~known], mend, UserWarning))
        table = table[known]
    if all(level in table for level in levels):
        table = with_homonyms_apart(table, levels)
    return table, problems


def archive_table(root):
    """The table of records where `root` is an unpacked Darwin Core archive, else None."""
    path = root / "occurrence.txt"
    return path if path.is_file() else None
