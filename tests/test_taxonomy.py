import numpy as np
import pandas as pd
import pytest

from fgcl_utils.taxonomy import Taxonomy, checked_levels, finest_known, plural

ROWS = [
    ("Russula emetica", "Russula", "Russulaceae"),
    ("Amanita muscaria", "Amanita", "Amanitaceae"),
    ("Russula nigricans", "Russula", "Russulaceae"),
    ("Lactarius helvus", "Lactarius", "Russulaceae"),
    ("Russula emetica", "Russula", "Russulaceae"),
]
LEVELS = ("species", "genus", "family")


@pytest.fixture
def table():
    return pd.DataFrame(ROWS, columns=LEVELS)


def test_codes_are_positions_in_the_sorted_names(table):
    taxonomy = Taxonomy.from_table(table, LEVELS)
    labels = taxonomy.encode(table)
    assert labels.shape == (5, 3) and labels.dtype == np.int64
    assert taxonomy.n_classes == (4, 3, 2)
    for l, level in enumerate(LEVELS):
        assert list(taxonomy.names[l]) == sorted(set(table[level]))
        assert [taxonomy.names[l][code] for code in labels[:, l]] == table[level].tolist()


def test_parents_lead_from_each_label_to_the_next_level(table):
    taxonomy = Taxonomy.from_table(table, LEVELS)
    labels = taxonomy.encode(table)
    assert len(taxonomy.parents) == 2
    for l, parent in enumerate(taxonomy.parents):
        assert parent.dtype == np.int64 and parent.shape == (taxonomy.n_classes[l],)
        assert (parent[labels[:, l]] == labels[:, l + 1]).all()


def test_the_order_of_rows_does_not_matter(table):
    shuffled = table.sample(frac=1, random_state=3)
    assert Taxonomy.from_table(shuffled, LEVELS) == Taxonomy.from_table(table, LEVELS)


def test_a_single_level_has_no_parents(table):
    taxonomy = Taxonomy.from_table(table, ["genus"])
    assert taxonomy.levels == ("genus",) and taxonomy.parents == []


def test_a_name_may_stand_on_two_levels():
    taxonomy = Taxonomy.from_table(pd.DataFrame({"species": ["Leek"], "genus": ["Leek"]}))
    assert taxonomy.names == (("Leek",), ("Leek",))


def test_a_species_under_two_genera_is_refused_with_its_rows(table):
    table.loc[4, "genus"] = "Lactarius"
    with pytest.raises(ValueError) as error:
        Taxonomy.from_table(table)
    assert "'Russula emetica': 'Russula' (row 0), 'Lactarius' (row 4)" in str(error.value)


def test_errors_name_the_rows_as_the_index_does(table):
    table["genus"] = ["Russula", "Amanita", "Russula", "", "Russula"]
    table.index = [f"photos.csv, line {i + 2}" for i in range(5)]
    with pytest.raises(ValueError, match=r"1 rows have no genus: photos\.csv, line 5"):
        Taxonomy.from_table(table)


def test_an_empty_table_and_a_missing_column_are_refused(table):
    with pytest.raises(ValueError, match="table is empty"):
        Taxonomy.from_table(table.iloc[:0])
    with pytest.raises(ValueError, match="no column 'order'; its columns are 'species'"):
        Taxonomy.from_table(table, ("species", "order"))


def test_encode_refuses_an_unknown_name(table):
    taxonomy = Taxonomy.from_table(table.iloc[:3])
    with pytest.raises(ValueError, match=r"1 rows hold a species .*'Lactarius helvus' \(row 3\)"):
        taxonomy.encode(table)


def test_labels_may_stop_early(table):
    table.loc[1, "species"] = ""
    table.loc[4, ["species", "genus"]] = None
    taxonomy = Taxonomy.from_table(table, LEVELS)
    labels = taxonomy.encode(table)
    assert taxonomy.n_classes == (3, 3, 2)
    assert (labels[1] == [-1, 0, 0]).all() and (labels[4] == [-1, -1, 1]).all()
    assert finest_known(labels).tolist() == [0, 1, 0, 0, 2]
    assert finest_known(np.full((1, 3), -1)).tolist() == [3]


def test_names_that_are_missing_above_a_known_level_are_refused(table):
    table.loc[2, "genus"] = ""
    with pytest.raises(ValueError, match="1 rows have no genus: row 2"):
        Taxonomy.from_table(table, LEVELS)
    table.loc[2, ["species", "family"]] = ""
    with pytest.raises(ValueError, match="1 rows have no family: row 2"):
        Taxonomy.from_table(table, LEVELS)
    table["genus"] = ""
    with pytest.raises(ValueError, match="no row has a genus: leave this level out"):
        Taxonomy.from_table(table, LEVELS)


def test_levels_are_one_to_eight_names():
    assert checked_levels(["variant"]) == ("variant",)
    assert checked_levels(list("abcdefgh")) == tuple("abcdefgh")
    for levels in ("species", [], list("abcdefghi"), ["a", "a"], [" "], [None]):
        with pytest.raises(ValueError, match="levels are 1 to 8 different names, finest first"):
            checked_levels(levels)
    for name in ("image", "split", "observation"):
        with pytest.raises(ValueError, match=f"cannot be called '{name}'"):
            checked_levels(["species", name])


def test_classes_of_a_level_in_words():
    assert plural("genus") == "genera" and plural("variant") == "variant classes"
