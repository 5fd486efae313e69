"""What GBIF and iNaturalist export is read as it comes."""

import csv

import pytest
from PIL import Image

from fgcl_utils.datasets import load_dataset

NAMES = {
    "Amanita muscaria": "Amanitaceae",
    "Amanita rubescens": "Amanitaceae",
    "Russula emetica": "Russulaceae",
}


def save_photo(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (9, 9)).save(path, "PNG")


def write(path, header, rows):
    """As GBIF does: tabs, and no quotes around anything."""
    path.write_text("".join("\t".join(row) + "\n" for row in (header, *rows)), encoding="utf-8")


def write_csv(path, header, rows):
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])


def finds():
    """Number, name and family of ten finds a species."""
    return [
        (str(4000 + 10 * s + i), name, family)
        for s, (name, family) in enumerate(NAMES.items())
        for i in range(10)
    ]


GBIF = ("gbifID", "occurrenceRemarks", "scientificName", "kingdom", "family", "genus", "species")


def gbif_rows(finds):
    """As GBIF writes them: cells unquoted, authors in the scientific name, quotes anywhere."""
    return [
        (key, 'found "under', f"{name} (L.) Lam.", "Fungi", family, name.split()[0], name)
        for key, name, family in finds
    ]


@pytest.fixture
def archive(tmp_path):
    """A Darwin Core archive of GBIF as unpacked, with two photos of every find."""
    write(tmp_path / "occurrence.txt", GBIF, gbif_rows(finds()))
    write(tmp_path / "verbatim.txt", ("gbifID",), [])
    for key, *_ in finds():
        for i in range(2):
            save_photo(tmp_path / "photos" / f"{key}_{i}.jpg")
    return tmp_path


def refused(*arguments, **options):
    with pytest.raises(ValueError) as caught:
        load_dataset(*arguments, **options)
    return str(caught.value)


@pytest.mark.parametrize("levels", [("species", "genus"), ("species", "genus", "family")])
def test_a_gbif_archive(archive, levels):
    data = load_dataset("csv", archive, levels=levels)
    assert list(data.table) == ["image", *levels, "split", "observation"]
    assert data.taxonomy.n_classes == (3, 2, 2)[: len(levels)] and len(data) == 60
    for row in data.table.itertuples():
        assert row.image.startswith(f"photos/{row.observation}_")
        assert dict((k, n) for k, n, _ in finds())[row.observation] == row.species
    assert (data.table.groupby("observation")["split"].nunique() == 1).all()


def test_a_simple_download_of_gbif_is_its_table(archive):
    whole = load_dataset("csv", archive)
    (archive / "occurrence.txt").rename(archive / "0012345-250101.csv")
    assert load_dataset("csv", archive).table.equals(whole.table)
    assert load_dataset("csv", archive / "0012345-250101.csv").table.equals(whole.table)


@pytest.mark.parametrize("layout", ["{key}.jpg", "{key}-1.png", "{key}/a.jpg", "{key} (1).jpeg"])
def test_photos_are_named_after_their_record(archive, layout):
    for key, *_ in finds():
        for i in range(2):
            (archive / "photos" / f"{key}_{i}.jpg").unlink()
        save_photo(archive / "photos" / layout.format(key=key))
    data = load_dataset("csv", archive)
    assert data.table["observation"].tolist() == [key for key, *_ in finds()]


@pytest.mark.parametrize(
    "address", ["https://x.org/media/IMG_{i}.JPG?size=o", "https://x.org/photos/{i}/original.jpg"]
)
def test_photos_are_named_as_at_their_address(archive, address):
    rows = []
    for i, (key, *_) in enumerate(finds()):
        for k in range(2):
            (archive / "photos" / f"{key}_{k}.jpg").unlink()
            rows.append((key, "StillImage", address.format(i=2 * i + k)))
            name = f"IMG_{2 * i + k}.JPG" if "media" in address else f"{2 * i + k}.jpg"
            save_photo(archive / "photos" / name)
    write(archive / "multimedia.txt", ("gbifID", "type", "identifier"), rows)
    data = load_dataset("csv", archive)
    assert len(data) == 60
    assert set(data.table["observation"].value_counts()) == {2}


def test_records_without_a_photo_or_a_level_are_left_out_and_told(archive):
    rows = gbif_rows(finds())
    rows[0] = (*rows[0][:6], "")  # known to the genus
    rows[1] = (*rows[1][:5], "", "")  # known to the family
    rows.append(("5000", "", "x", "Fungi", "F", "G", "S"))
    write(archive / "occurrence.txt", GBIF, rows)
    with pytest.warns(UserWarning) as told:
        data = load_dataset("csv", archive)
    told = " ".join(str(warning.message) for warning in told)
    assert "1 records have no photo: left out" in told
    assert "2 photos are known at no level (species, genus): left out" in told
    assert len(data) == 58 and (data.labels < 0).sum(0).tolist() == [2, 0]
    with pytest.warns(UserWarning, match="no photo"):
        whole = load_dataset("csv", archive, levels=("species", "genus", "family"))
    assert (whole.labels < 0).sum(0).tolist() == [4, 2, 0]


def test_a_name_under_two_families_is_two_genera(archive):
    rows = [
        (key, "", "", "", f"F{i % 2}", "Prunella", f"P {i % 4}")
        for i, (key, *_) in enumerate(finds())
    ]
    write(archive / "occurrence.txt", GBIF, rows)
    data = load_dataset("csv", archive, levels=("species", "genus", "family"))
    assert data.taxonomy.names[1] == ("Prunella (F0)", "Prunella (F1)")


def test_a_published_file_has_epithets_and_columns_can_be_mapped(archive):
    rows = [
        (key, name, name.split()[0], name.split()[1] if i else "")
        for i, (key, name, _) in enumerate(finds())
    ]
    write(archive / "occurrence.txt", ("gbifID", "name", "genus", "specificEpithet"), rows)
    data = load_dataset("csv", archive)
    assert data.taxonomy.names[0] == tuple(sorted(NAMES))
    assert (data.labels < 0).sum(0).tolist() == [2, 0]
    mapped = load_dataset("csv", archive, columns={"species": "name"})
    assert (mapped.labels >= 0).all()
    text = refused("csv", archive, levels=("species", "family"))
    assert "occurrence.txt has no column 'family'" in text


def test_photos_that_are_not_there(archive):
    for path in archive.glob("photos/*"):
        path.unlink()
    text = refused("csv", archive)
    assert "no photo below" in text and "as in 4000.jpg or 4000_2.jpg" in text


# -------------------------------------------------------------------------------- iNaturalist

INATURALIST = ("id", "observed_on", "image_url", "description", "scientific_name")


def inaturalist_rows(finds):
    return [
        (key, "2024-09-01", f"https://static.org/photos/{9000 + i}/medium.jpg", "a, b\nc", name)
        for i, (key, name, _) in enumerate(finds)
    ]


@pytest.fixture
def inaturalist(tmp_path):
    path = tmp_path / "observations-123.csv"
    write_csv(path, INATURALIST, inaturalist_rows(finds()))
    return path


@pytest.mark.parametrize("first", [4000, 9000])
def test_an_inaturalist_export_with_photos_named_by_observation_or_photo(inaturalist, first):
    keys = [key for key, *_ in finds()] if first == 4000 else range(9000, 9030)
    for key in keys:
        save_photo(inaturalist.parent / "photos" / f"{key}.jpg")
    data = load_dataset("csv", inaturalist)
    assert data.taxonomy.n_classes == (3, 2)
    assert data.table["species"].tolist() == [name for _, name, _ in finds()]
    assert data.table["observation"].tolist() == [key for key, *_ in finds()]


def test_scientific_names_of_other_ranks(inaturalist):
    rows = inaturalist_rows(finds())
    for i, name in enumerate(("Amanita", "Amanita muscaria flavivolvata", "Agaricales")):
        rows[i] = (*rows[i][:4], name)
    write_csv(inaturalist, INATURALIST, rows)
    for key, *_ in finds():
        save_photo(inaturalist.parent / f"{key}.jpg")
    with pytest.warns(UserWarning, match="1 photos are known at no level"):
        data = load_dataset("csv", inaturalist)
    assert data.table["species"][:2].tolist() == ["", "Amanita muscaria"]
    assert data.table["genus"][:2].tolist() == ["Amanita", "Amanita"] and len(data) == 29


def test_taxon_columns_and_a_taxonomy(inaturalist):
    for key, *_ in finds():
        save_photo(inaturalist.parent / f"{key}.jpg")
    text = refused("csv", inaturalist, levels=("species", "genus", "family"))
    assert "has no column 'family'" in text
    families = {(name.split()[0], family) for name, family in NAMES.items()}
    write_csv(inaturalist.parent / "families.csv", ("genus", "family"), sorted(families))
    options = {"levels": ("species", "genus", "family"), "taxonomy": "families.csv"}
    data = load_dataset("csv", inaturalist, **options)
    ranks = ("species", "genus", "family")
    header = (*INATURALIST, *(f"taxon_{rank}_name" for rank in ranks))
    rows = [
        (*row, name, name.split()[0], family)
        for row, (_, name, family) in zip(inaturalist_rows(finds()), finds(), strict=True)
    ]
    write_csv(inaturalist, header, rows)
    assert load_dataset("csv", inaturalist, levels=ranks).table.equals(data.table)
