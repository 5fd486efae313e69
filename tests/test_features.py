"""Features that somebody has: read from a file, and brought beside the rows they are of."""

import json
import re
import struct

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import save_file

from fgcl_utils.features import read_features, read_rows

N, D = 6, 4


@pytest.fixture
def features():
    return np.random.default_rng(0).normal(size=(N, D)).astype(np.float32)


@pytest.fixture
def table():
    return pd.DataFrame(
        {"image": [f"photos/{i}.jpg" for i in range(N)], "class": [*"aabbcc"], "note": "NA"}
    )


@pytest.fixture
def csv(table, tmp_path):
    path = tmp_path / "table.csv"
    table.to_csv(path, index=False)
    return path


@pytest.fixture
def parquet(monkeypatch, tmp_path):
    """Makes a .parquet file; pyarrow, which would read it, is no dependency."""

    def write(frame):
        monkeypatch.setattr(pd, "read_parquet", lambda path: frame.copy())
        (tmp_path / "features.parquet").touch()
        return tmp_path / "features.parquet"

    return write


def says(text, function, *arguments):
    with pytest.raises((ValueError, FileNotFoundError), match=text) as caught:
        function(*arguments)
    assert len(str(caught.value)) < 600


# ----------------------------------------------------------------------------------- the files


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.int8])
def test_an_npy_file_is_one_array_called_as_the_file(features, tmp_path, dtype):
    np.save(tmp_path / "dino.npy", (features * 9).astype(dtype))
    read = read_features(tmp_path / "dino.npy")
    assert list(read) == ["dino"] and read["dino"].dtype == np.float32
    np.testing.assert_array_equal(read["dino"], (features * 9).astype(dtype).astype(np.float32))


def test_every_array_of_an_npz_file_with_a_row_an_image_is_one(features, tmp_path):
    labels = np.arange(N)
    np.savez(tmp_path / "all.npz", dino=features, clip=features[:, :2], labels=labels, dim=4)
    read = read_features(tmp_path / "all.npz")
    assert {name: array.shape for name, array in read.items()} == {"dino": (N, D), "clip": (N, 2)}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_safetensors_may_be_half_precise(features, tmp_path, dtype):
    tensor = torch.from_numpy(features).to(dtype)
    save_file({"dino": tensor, "labels": torch.arange(N)}, tmp_path / "some.safetensors")
    read = read_features(tmp_path / "some.safetensors")
    assert list(read) == ["dino"]
    np.testing.assert_array_equal(read["dino"], tensor.float().numpy())


def test_parquet_has_columns_of_lists_or_of_single_floats(features, table, parquet):
    singly = pd.DataFrame(features, columns=[f"f{i}" for i in range(D)])
    read = read_features(parquet(pd.concat([table, singly, table["class"] == "a"], axis=1)))
    np.testing.assert_array_equal(read["features"], features)
    lists = table.assign(dino=[*features], clip=[list(row[:2]) for row in features], label=1)
    read = read_features(parquet(lists))
    np.testing.assert_array_equal(read["dino"], features)
    np.testing.assert_array_equal(read["clip"], features[:, :2])
    assert list(read) == ["dino", "clip"]


def test_parquet_asks_for_pyarrow(monkeypatch, tmp_path):
    def read_parquet(path):
        raise ImportError("Missing optional dependency 'pyarrow'")

    monkeypatch.setattr(pd, "read_parquet", read_parquet)
    (tmp_path / "features.parquet").touch()
    says(
        "features.parquet: Parquet is read with pyarrow",
        read_features,
        tmp_path / "features.parquet",
    )


def test_what_is_no_features_file_is_refused(features, tmp_path):
    says("features are read from .npy, .npz", read_features, tmp_path / "features.pkl")
    says("does not exist", read_features, tmp_path / "gone.npy")
    (tmp_path / "folder.npz").mkdir()
    says("does not exist, or is a folder", read_features, tmp_path / "folder.npz")
    for name in ("a.npy", "a.npz", "a.safetensors"):
        (tmp_path / name).write_bytes(b"no features at all")
        says(f"{name} cannot be read", read_features, tmp_path / name)
        np.save(tmp_path / "whole.npy", features)
        whole = (tmp_path / "whole.npy").read_bytes()
        (tmp_path / name).write_bytes(whole[: len(whole) // 2])
        says(f"{name} cannot be read", read_features, tmp_path / name)
    header = json.dumps({"a": {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 99]}}).encode()
    (tmp_path / "a.safetensors").write_bytes(struct.pack("<Q", len(header)) + header)
    says("a.safetensors cannot be read", read_features, tmp_path / "a.safetensors")


def test_objects_are_never_unpacked(features, tmp_path):
    objects = np.array([[1.0, None]] * N, dtype=object)
    np.save(tmp_path / "a.npy", objects)
    says("a.npy cannot be read .*[Oo]bject", read_features, tmp_path / "a.npy")
    np.savez(tmp_path / "a.npz", fine=features, bad=objects)
    says("'bad': Object arrays", read_features, tmp_path / "a.npz")


def test_bad_values_are_named_with_their_row(features, tmp_path, parquet, table):
    features[4, 1] = np.nan
    np.savez(tmp_path / "a.npz", fine=np.ones((N, 2)), bad=features)
    says(
        "a.npz: 'bad' has values that are not finite in 1 rows, the first is row 4",
        read_features,
        tmp_path / "a.npz",
    )
    np.save(tmp_path / "a.npy", np.full((N, D), 1e300))
    says("a.npy: 'a' has values that are not finite in 6 rows", read_features, tmp_path / "a.npy")
    for cell in (np.ones(D + 1), None):
        cells = [np.ones(D)] * 3 + [cell] + [np.ones(D)] * (N - 4)
        says(
            "'dino' has 4 numbers in row 0 and [05] in row 3",
            read_features,
            parquet(table.assign(dino=cells)),
        )


@pytest.mark.parametrize(
    ("array", "text"),
    [
        (np.zeros(N), r"must be \(points, dimensions\), not \(6,\)"),
        (np.zeros((N, 3, 2)), r"must be \(points, dimensions\), not \(6, 3, 2\)"),
        (np.zeros((N, 0)), r"not \(6, 0\)"),
        (np.full((N, D), "1"), "holds no numbers but <U1"),
        (np.full((N, D), 1j), "holds no numbers but complex128"),
    ],
)
def test_arrays_of_other_kinds_are_refused(array, text, tmp_path):
    np.save(tmp_path / "a.npy", array)
    says(text, read_features, tmp_path / "a.npy")


def test_patches_and_files_without_features_are_refused(features, tmp_path):
    np.savez(tmp_path / "a.npz", patches=np.zeros((N, 3, D)))
    says(
        r"'patches' has the shape \(6, 3, 4\): .* take the mean", read_features, tmp_path / "a.npz"
    )
    np.savez(tmp_path / "a.npz", labels=np.arange(N))
    says("a.npz holds no array of two dimensions", read_features, tmp_path / "a.npz")
    np.savez(tmp_path / "a.npz", one=features, other=features[1:])
    says("of rows 'one' has 6, 'other' has 5", read_features, tmp_path / "a.npz")


# ------------------------------------------------------------------------------------ the rows


def test_without_names_row_i_of_both_is_one_image(features, table, csv, tmp_path):
    np.save(tmp_path / "dino.npy", features)
    for rows in (csv, table):
        arrays, read = read_rows(tmp_path / "dino.npy", rows)
        np.testing.assert_array_equal(arrays["dino"], features)
        pd.testing.assert_frame_equal(read, table, check_dtype=False)
    table[1:].to_csv(csv, index=False)
    text = "dino.npy: 'dino' has 6 rows and table.csv 5. Row i of both has to be one image, or"
    says(re.escape(text), read_rows, tmp_path / "dino.npy", csv)


@pytest.mark.parametrize("kind", ["str", "bytes", "windows"])
def test_rows_are_joined_by_their_names(features, table, csv, tmp_path, kind):
    order = np.random.default_rng(1).permutation(N)
    names = table["image"].to_numpy(dtype=str)[order]
    names = names.astype("S") if kind == "bytes" else names
    names = np.char.replace(names, "/", "\\") if kind == "windows" else names
    np.savez(tmp_path / "a.npz", image=names, dino=features[order])
    table[:4].to_csv(csv, index=False)  # features of other images may be there
    arrays, read = read_rows(tmp_path / "a.npz", csv)
    np.testing.assert_array_equal(arrays["dino"], features[:4])
    assert read["image"].tolist() == table["image"].tolist()[:4]


def test_another_column_may_name_the_rows(features, table, parquet):
    table["id"] = 100 + np.arange(N)
    file = parquet(pd.DataFrame({"dino": [*features[::-1]], "id": table["id"][::-1]}))
    arrays, _ = read_rows(file, table, key="id")
    np.testing.assert_array_equal(arrays["dino"], features)
    indexed = pd.DataFrame({"dino": [*features[::-1]]}, index=table["id"][::-1])
    arrays, _ = read_rows(parquet(indexed), table, key="id")
    np.testing.assert_array_equal(arrays["dino"], features)


def test_rows_without_a_partner_or_with_two_are_named(features, table, csv, tmp_path):
    names = table["image"].to_numpy(dtype=str)
    np.savez(tmp_path / "a.npz", image=names[:5], dino=features[:5])
    text = "1 rows have no features in a.npz:\n  table.csv, line 7: photos/5.jpg"
    says(re.escape(text), read_rows, tmp_path / "a.npz", csv)
    np.savez(tmp_path / "a.npz", image=[*names[:5], "./photos/3.jpg"], dino=features)
    text = "1 names in 'image' stand in more than one row:\n  a.npz, row 3: photos/3.jpg\n  a.npz"
    says(re.escape(text), read_rows, tmp_path / "a.npz", csv)
    np.savez(tmp_path / "a.npz", image=names, dino=features)
    pd.concat([table, table[2:3]]).to_csv(csv, index=False)
    text = "stand in more than one row:\n  table.csv, line 4: photos/2.jpg\n  table.csv, line 8"
    says(re.escape(text), read_rows, tmp_path / "a.npz", csv)
    np.savez(tmp_path / "a.npz", image=names[:, None], dino=features)
    says("'image' has to hold a name for each row, not .6, 1.", read_rows, tmp_path / "a.npz", csv)
    np.savez(tmp_path / "a.npz", image=names[1:], dino=features)
    says("of rows 'dino' has 6, 'image' has 5", read_rows, tmp_path / "a.npz", csv)


def test_arrays_in_memory_and_tables_of_every_kind(features, table, csv, tmp_path, parquet):
    arrays, _ = read_rows({"dino": torch.from_numpy(features).bfloat16()}, table)
    assert arrays["dino"].dtype == np.float32
    says("features 'dino' has values that are not", read_rows, {"dino": features * np.nan}, table)
    says("'dino' has 6 rows and the table 5", read_rows, {"dino": features}, table[1:])
    says("the table has no rows", read_rows, {"dino": features}, table[:0])
    says("table.tsv does not exist", read_rows, {"dino": features}, tmp_path / "table.tsv")
    table.to_csv(tmp_path / "table.tsv", sep="\t", index=False)
    frame = table.assign(year=[1999, 2000, 2001, 2002, 2003, 2004], place=[None, *"abcde"])
    for path in (csv, tmp_path / "table.tsv", parquet(frame)):
        _, read = read_rows({"dino": features}, path)
        assert read["class"].tolist() == [*"aabbcc"] and read["note"].tolist() == ["NA"] * N
    assert read["year"].tolist()[0] == "1999" and read["place"].tolist()[0] == ""
