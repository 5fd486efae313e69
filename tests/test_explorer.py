"""What the explorer's page holds: the caller's points, names as text, photos however broken."""

import base64
import hashlib
import io
import itertools
import json
import re
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from sklearn.metrics import pairwise_distances

from fgcl_utils import explorer, metrics, projection, runs
from fgcl_utils.explorer import EmbeddingExplorer
from fgcl_utils.explorer.__main__ import main
from fgcl_utils.explorer.columns import further_columns
from fgcl_utils.explorer.steps import shares_in_steps
from fgcl_utils.files import write_json, write_npz
from fgcl_utils.settings import Settings, load_dataset

HOSTILE = [
    "<img src=x onerror=alert(1)>",
    "</script><script>alert(2)</script>",
    "a & b \ud800 \u2028",
]


def make_points(n=60, seed=0):
    rng = np.random.default_rng(seed)
    genus = np.arange(n) % 3
    centres = rng.normal(size=(3, 8))
    embeddings = {
        "CE": (centres[genus] + 1.5 * rng.normal(size=(n, 8))).astype(np.float32),
        "HCL": (centres[genus] + 0.5 * rng.normal(size=(n, 8))).astype(np.float32),
    }
    table = pd.DataFrame({"image": [f"{i}.jpg" for i in range(n)]})
    table["species"] = [f"species {g}-{i % 2}" for i, g in enumerate(genus)]
    table["genus"] = [f"genus {g}" for g in genus]
    planes = {name: x[:, :2] * [3, 1] for name, x in embeddings.items()}
    return embeddings, table, planes


def plain_photo(i, size):
    return Image.new("RGB", (size, 2 * size), (i, 100, 200))


def codes(names):
    return np.unique(names, return_inverse=True)[1]


@pytest.fixture
def points():
    return make_points()


@pytest.fixture
def saved(points, tmp_path):
    embeddings, table, planes = points
    made = EmbeddingExplorer(embeddings, table, photos=plain_photo, planes=planes)
    made.save(tmp_path / "map.html")
    return made


def block(path, name):
    text = path.read_text("utf-8")
    return re.search(f'<script type="[^"]+" id="{name}">(.*?)</script>', text, re.DOTALL)[1]


def records(shard):
    """The records of a shard, read as its format says: count + 1 offsets, then the bytes."""
    data = base64.b64decode(shard)
    first = int.from_bytes(data[:4], "little")
    offsets = np.frombuffer(data[:first], "<u4")
    return [data[a:b] for a, b in itertools.pairwise(offsets)]


def test_one_file_holds_every_thumbnail_and_nothing_from_elsewhere(saved):
    thumbs = records(block(saved.path, "thumb-0"))
    assert len(thumbs) == 60
    assert all(thumb[8:12] == b"WEBP" for thumb in thumbs)
    page = saved.path.read_text("utf-8")
    assert not re.search(r"(src|href)=\"(?!data:)", page)
    assert "http://" not in page.replace("http://www.w3.org/", "")


def test_photos_have_the_sizes_that_are_promised(saved, tmp_path):
    for kind, size in (("thumb-0", (48, 96)), ("photo-0", (224, 448))):
        image = Image.open(io.BytesIO(records(block(saved.path, kind))[5]))
        assert image.size == size


def test_positions_are_the_planes(saved):
    meta = json.loads(block(saved.path, "meta"))
    data = base64.b64decode(block(saved.path, "columns"))
    for m, (about, plane) in enumerate(zip(meta["maps"], saved.planes.values(), strict=True)):
        stored = np.frombuffer(data, "<i2", 120, offset=240 * m).reshape(60, 2)
        there = np.array(about["centre"]) + stored / 32767 * about["half"]
        np.testing.assert_allclose(there, plane, atol=about["half"] / 32767)


def test_neighbours_and_distances_are_those_of_the_original_space(saved, points):
    embeddings, _, _ = points
    for row, facts in enumerate(records(block(saved.path, "facts-0"))):
        at = 2 * 12 * 2
        near = np.frombuffer(facts[:at], "<u2").reshape(2, 12)
        for m, x in enumerate(embeddings.values()):
            distance = pairwise_distances(x[[row]], x, metric="cosine")[0]
            distance[row] = np.inf
            np.testing.assert_allclose(distance[near[m]], np.sort(distance)[:12], atol=1e-5)
            at += 4 + 8
        assert facts[at:].decode() == f"{row}.jpg"


def test_stored_vectors_keep_cosine_distances():
    rng = np.random.default_rng(1)
    wide = rng.normal(size=(200, 30)) @ rng.normal(size=(30, 400)) + 0.2 * rng.normal(
        size=(200, 400)
    )
    unit = (wide / np.linalg.norm(wide, axis=1, keepdims=True)).astype(np.float32)
    whole, scale = explorer._stored_vectors(unit, 48)
    assert whole.shape == (200, 48)
    stored = whole * scale
    np.testing.assert_allclose(stored @ stored.T, unit @ unit.T, atol=0.02)


def test_outliers_are_those_of_metrics(points):
    embeddings, table, planes = points
    train, train_table, _ = make_points(n=90, seed=7)
    made = EmbeddingExplorer(embeddings, table, planes=planes, train=train, train_table=train_table)
    genus, train_genus = codes(table["genus"]), codes(train_table["genus"])
    for name, x in embeddings.items():
        expected = metrics.nearest_centroid_outliers(train[name], train_genus, x, genus)
        np.testing.assert_array_equal(made.outliers[name], expected)


def test_outliers_of_another_rule_are_taken_as_given(points):
    embeddings, table, planes = points
    given = {name: np.arange(60) % 7 == 0 for name in embeddings}
    made = EmbeddingExplorer(embeddings, table, planes=planes, outliers=given)
    for name in embeddings:
        np.testing.assert_array_equal(made.outliers[name], given[name])


def test_hostile_names_never_leave_their_block(points, tmp_path):
    embeddings, table, planes = points
    table["species"] = [HOSTILE[i % 3] for i in range(60)]
    table["genus"] = [f"{HOSTILE[i % 3]} genus" for i in range(60)]
    table["image"] = HOSTILE[0]
    made = EmbeddingExplorer(embeddings, table, planes=planes, title=HOSTILE[1])
    page = made.save(tmp_path / "hostile.html").read_text("utf-8")
    clean = EmbeddingExplorer(*points[:2], planes=planes).save(tmp_path / "clean.html")
    assert page.count("<script") == clean.read_text("utf-8").count("<script")
    assert "<img src=x" not in page
    meta = json.loads(block(tmp_path / "hostile.html", "meta"))
    assert set(meta["levels"][0]["names"]) == set(HOSTILE)


def test_files_are_found_turned_upright_and_the_broken_ones_are_listed(points, tmp_path):
    embeddings, table, planes = points
    for i in range(57):
        image = Image.new("RGB", (300, 150), (4 * i, 0, 0))
        exif = Image.Exif()
        exif[0x0112] = 6  # the camera was held on its side
        image.save(tmp_path / f"{i}.jpg", exif=exif)
    (tmp_path / "57.jpg").write_bytes(b"no image at all")
    (tmp_path / "58.jpg").write_bytes((tmp_path / "0.jpg").read_bytes()[:200])
    made = EmbeddingExplorer(embeddings, table, data_root=tmp_path, planes=planes)
    path = made.save(tmp_path / "out" / "map.html")
    assert made.unreadable == ["57.jpg", "58.jpg", "59.jpg"]
    assert json.loads(block(path, "meta"))["unreadable"] == {"count": 3, "names": made.unreadable}
    thumbs = records(block(path, "thumb-0"))
    assert [i for i, thumb in enumerate(thumbs) if not thumb] == [57, 58, 59]
    assert Image.open(io.BytesIO(thumbs[0])).size == (48, 96)


def test_a_page_without_photos_lists_none_as_broken(points, tmp_path):
    embeddings, table, planes = points
    made = EmbeddingExplorer(embeddings, table, planes=planes)
    made.save(tmp_path / "map.html")
    assert made.unreadable == []


def test_a_file_keeps_to_its_size_and_gives_outliers_the_better_photos(points, tmp_path):
    def noisy(i, size):
        pixels = np.random.default_rng(i).integers(0, 255, (size, size, 3), dtype=np.uint8)
        return Image.fromarray(pixels)

    embeddings, table, planes = points
    made = EmbeddingExplorer(embeddings, table, photos=noisy, planes=planes)
    path = made.save(tmp_path / "small.html", size_mb=1.2)
    assert path.stat().st_size < 1.2e6
    kept = [r for part in range(2) for r in records(block(path, f"photo-{part}"))]
    outlier = np.any([*made.outliers.values()], axis=0)
    assert 0 < sum(map(bool, kept)) < 60
    assert all(kept[i] for i in np.flatnonzero(outlier)) or not any(
        kept[i] for i in np.flatnonzero(~outlier)
    )


def test_thumbnails_are_compressed_harder_before_a_file_outgrows_its_size(points, tmp_path):
    def noisy(i, size):
        pixels = np.random.default_rng(i).integers(0, 255, (size, size, 3), dtype=np.uint8)
        return Image.fromarray(pixels)

    embeddings, table, planes = points
    made = EmbeddingExplorer(embeddings, table, photos=noisy, planes=planes)
    path = made.save(tmp_path / "smaller.html", size_mb=0.4)
    assert path.stat().st_size < 0.4e6
    assert all(records(block(path, "thumb-0")))


def test_a_folder_holds_the_same_records_in_shards(saved, points, tmp_path):
    embeddings, table, planes = points
    made = EmbeddingExplorer(embeddings, table, photos=plain_photo, planes=planes)
    path = made.save(tmp_path / "folder", standalone=False)
    assert path == tmp_path / "folder" / "index.html"
    assert path.stat().st_size < saved.path.stat().st_size
    for name in ("facts-0", "thumb-0", "photo-0", "photo-1"):
        script = (path.parent / "shards" / f"{name}.js").read_text()
        called, data = re.fullmatch(r'explorerShard\("([a-z]+-\d+)","([^"]*)"\)', script).groups()
        assert called == name
        assert records(data) == records(block(saved.path, name))


def test_saving_again_leaves_no_stale_shard_and_touches_nothing_else(points, tmp_path):
    embeddings, table, planes = points
    stale, kept = tmp_path / "shards" / "photo-7.js", tmp_path / "shards" / "notes.js"
    stale.parent.mkdir()
    stale.touch()
    kept.touch()
    EmbeddingExplorer(embeddings, table, planes=planes).save(tmp_path, standalone=False)
    assert kept.exists()
    assert not stale.exists()


def test_the_policy_names_the_very_code_in_the_page(saved):
    page = saved.path.read_text("utf-8")
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', page)[1]
    script = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    style = re.findall(r"<style>(.*?)</style>", page, re.DOTALL)
    for code in (*script, *style):
        digest = base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in policy
    assert len(script) == len(style) == 1
    assert "unsafe" not in policy
    assert "connect-src 'none'" in policy


def test_equal_input_gives_an_equal_file(points, tmp_path):
    embeddings, table, planes = points
    pages = [
        EmbeddingExplorer(embeddings, table, photos=plain_photo, planes=planes)
        .save(tmp_path / f"{copy}.html")
        .read_bytes()
        for copy in range(2)
    ]
    assert pages[0] == pages[1]


def test_a_notebook_shows_a_frame_with_a_relative_address(saved, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert 'src="map.html"' in saved._repr_html_()


# ------------------------------------------------------------------ levels and further columns

LEVELS = ("species", "genus", "family")


def with_families(table):
    return table.assign(family=np.where(table["genus"] == "genus 2", "family b", "family a"))


def meta_of(explorer, folder):
    return json.loads(block(explorer.save(folder / "map.html"), "meta"))


def test_outliers_are_those_of_metrics_at_every_level_above_the_finest(points, tmp_path):
    embeddings, table, planes = points
    table = with_families(table)
    made = EmbeddingExplorer(embeddings, table, levels=LEVELS, planes=planes)
    assert list(made.outliers_at) == ["genus", "family"]
    assert made.outliers is made.outliers_at["genus"]
    for level, outliers in made.outliers_at.items():
        labels = codes(table[level])
        for name, x in embeddings.items():
            expected = metrics.nearest_centroid_outliers(x, labels, x, labels)
            np.testing.assert_array_equal(outliers[name], expected)
    meta = meta_of(made, tmp_path)
    assert [level["name"] for level in meta["levels"]] == [*LEVELS]
    assert meta["levels"][2]["plural"] == "families"
    assert meta["judged"] == [1, 2]


def test_with_one_level_outliers_are_judged_at_it(points, tmp_path):
    embeddings, table, planes = points
    made = EmbeddingExplorer(
        embeddings, table[["image", "species"]], levels=["species"], planes=planes
    )
    labels = codes(table["species"])
    for name, x in embeddings.items():
        expected = metrics.nearest_centroid_outliers(x, labels, x, labels)
        np.testing.assert_array_equal(made.outliers[name], expected)
    assert meta_of(made, tmp_path)["judged"] == [0]


@pytest.mark.parametrize("nothing", ["", None, np.nan, -1])
def test_a_photo_without_a_name_is_no_outlier_at_this_level_and_in_no_centroid(points, nothing):
    embeddings, table, planes = points
    table = with_families(table).astype(object)
    table.loc[:9, "species"] = nothing
    table.loc[:4, ["genus"]] = nothing
    table.loc[7, [*LEVELS]] = nothing  # it has no name at all
    made = EmbeddingExplorer(embeddings, table, levels=LEVELS, planes=planes)
    for level, no_name in (("genus", [0, 1, 2, 3, 4, 7]), ("family", [7])):
        named = np.delete(np.arange(60), no_name)
        labels = np.full(60, -1)
        labels[named] = codes(table[level][named].astype(str))
        for name, x in embeddings.items():
            expected = metrics.nearest_centroid_outliers(x[named], labels[named], x, labels)
            np.testing.assert_array_equal(made.outliers_at[level][name], expected)
            assert not made.outliers_at[level][name][no_name].any()


def test_a_point_s_label_is_a_place_among_those_that_occur(points, tmp_path):
    embeddings, table, planes = points
    table = with_families(table)
    table.loc[:9, "species"] = ""
    made = EmbeddingExplorer(embeddings, table, levels=LEVELS, planes=planes)
    meta = meta_of(made, tmp_path)
    data = base64.b64decode(block(made.path, "columns"))
    places = np.frombuffer(data, "<u2", 60, offset=2 * 60 * 2 * 2)
    for row, place in zip(table[[*LEVELS]].to_numpy(), places, strict=True):
        path = zip(meta["levels"], meta["paths"][place], strict=True)
        assert [level["names"][code] if code >= 0 else "" for level, code in path] == [*row]
    for level, parents in enumerate(meta["parents"]):
        above = meta["levels"][level + 1]["names"]
        for name, parent in zip(meta["levels"][level]["names"], parents, strict=True):
            own = table[LEVELS[level + 1]][table[LEVELS[level]] == name]
            assert own.eq(above[parent]).all()


def test_a_class_that_only_training_has_can_be_the_nearest(points):
    embeddings, table, planes = points
    shown = table["genus"] != "genus 1"
    made = EmbeddingExplorer(
        {name: x[shown] for name, x in embeddings.items()},
        table[shown],
        planes={name: x[shown] for name, x in planes.items()},
        train=embeddings,
        train_table=table,
    )
    labels = codes(table["genus"])
    for name, x in embeddings.items():
        expected = metrics.nearest_centroid_outliers(x, labels, x[shown], labels[shown])
        np.testing.assert_array_equal(made.outliers[name], expected)


def test_columns_that_can_colour_the_map_come_along(points, tmp_path):
    embeddings, table, planes = points
    table["split"], table["observation"] = "test", np.arange(60) // 2
    table["place"] = [f"somewhere {i}" for i in range(60)]  # too many
    table["year"] = 2000 + np.arange(60) % 12
    table["observer"] = [f"somebody {i // 2}" for i in range(60)]
    table["wet"] = pd.array([None, True, False] * 20, dtype="boolean")
    table["height"] = np.where(np.arange(60) == 7, np.nan, np.arange(60) / 7)
    columns = further_columns(table, ["species", "genus"])
    about, found = {c["name"]: c for c, _ in columns}, {c["name"]: codes for c, codes in columns}
    assert list(about) == ["year", "observer", "wet", "height"]
    assert np.take(about["year"]["values"], found["year"]).astype(int).tolist() == [*table["year"]]
    assert about["wet"]["values"] == ["False", "True"]
    assert found["wet"].tolist() == [65_535, 1, 0] * 20
    low, high = about["height"]["low"], about["height"]["high"]
    height = found["height"] / 65_534 * (high - low) + low
    np.testing.assert_allclose(np.delete(height, 7), np.delete(table["height"], 7), atol=1e-4)
    assert found["height"][7] == 65_535
    made = EmbeddingExplorer(embeddings, table, planes=planes)
    assert meta_of(made, tmp_path)["columns"] == [c for c, _ in columns]
    data = base64.b64decode(block(made.path, "columns"))
    assert data.endswith(b"".join(codes.tobytes() for _, codes in columns))
    none = EmbeddingExplorer(embeddings, table, planes=planes, columns=())
    assert meta_of(none, tmp_path)["columns"] == []


def test_numbers_written_as_text_are_numbers():
    table = pd.DataFrame({"height": [f"{k}.5" for k in range(20)] + [""]})
    [(about, codes)] = further_columns(table, [])
    assert (about["low"], about["high"]) == (0.5, 19.5)
    assert np.all(np.diff(codes[:20].astype(int)) > 0)


@pytest.mark.parametrize(
    ("columns", "message"),
    [(["colour"], "no column 'colour' to colour by"), (["image"], "'image' cannot colour the map")],
)
def test_a_column_that_is_asked_for_and_cannot_colour_is_named(points, columns, message):
    embeddings, table, planes = points
    with pytest.raises(ValueError, match=message):
        EmbeddingExplorer(embeddings, table, planes=planes, columns=columns)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda e, t, p: ({}, t, p), "1 to 8 methods"),
        (lambda e, t, p: (e, t.drop(columns="genus"), p), "no column 'genus'"),
        (lambda e, t, p: (e, t.iloc[:50], p), "60 rows and its table 50"),
        (lambda e, t, p: (e, t, {"CE": p["CE"]}), "planes has no 'HCL'"),
        (lambda e, t, p: (e | {"CE": np.full((60, 8), np.nan)}, t, p), "not finite in 60 rows"),
        (lambda e, t, p: (e | {"CE": np.zeros(60)}, t, p), r"\['CE'\] has shape \(60,\)"),
        (lambda e, t, p: (e | {"CE": np.full((60, 8), "x")}, t, p), "holds <U1"),
        (lambda e, t, p: (e | {"CE": e["CE"] * 1j}, t, p), r"\['CE'\] holds complex"),
        (lambda e, t, p: (e | {"CE": torch.zeros(60, 8) * 1j}, t, p), r"\['CE'\] holds complex"),
        (lambda e, t, p: (e | {"CE": [[1.0], [1.0, 2.0]]}, t, p), "rows of different lengths"),
        (lambda e, t, p: (e, t, p | {"HCL": p["HCL"] * 1j}), r"planes\['HCL'\] holds complex"),
        (lambda e, t, p: (e, t.to_dict(), p), "the table is a dict"),
        (lambda e, t, p: (e, t, p | {"HCL": np.zeros((60, 3))}), r"\['HCL'\] has shape \(60, 3\)"),
        (lambda e, t, p: (e, t, p | {"HCL": p["HCL"] * np.nan}), "positions that are not finite"),
        (lambda e, t, p: (e, t.assign(species="a"), p), "1 species names stand under more than"),
        (lambda e, t, p: (e, t.assign(genus=""), p), "no row has a genus"),
        (
            lambda e, t, p: (e, t.assign(genus=[""] * 5 + ["a"] * 55), p),
            "5 rows have no genus: row 0",
        ),
        (lambda e, t, p: ({m: x[:0] for m, x in e.items()}, t[:0], p), "no rows"),
    ],
)
def test_bad_input_says_what_is_wrong(points, change, message):
    embeddings, table, planes = change(*points)
    with pytest.raises(ValueError, match=message):
        EmbeddingExplorer(embeddings, table, planes=planes)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"neighbours": {"CE": np.zeros((60, 3), int), "HCL": np.zeros((60, 4), int)}}, "as many"),
        ({"neighbours": dict.fromkeys(["CE", "HCL"], np.full((60, 3), 60))}, "row numbers"),
        (
            {"neighbours": dict.fromkeys(["CE", "HCL"], np.full((60, 3), 5))},
            "1 points among their own neighbours, the first is row 5",
        ),
        ({"k": 0}, "k is 0"),
        ({"k": 2.5}, "k is 2.5"),
        ({"outliers": dict.fromkeys(["CE", "HCL"], np.zeros((60, 2), bool))}, r"\(60, 2\)"),
        ({"levels": ["species", "species"]}, "different names"),
        ({"levels": ["species", "genus", "family"]}, "no column 'family'"),
    ],
)
def test_arrays_and_levels_that_do_not_fit_are_named(points, options, message):
    embeddings, table, planes = points
    with pytest.raises(ValueError, match=message):
        EmbeddingExplorer(embeddings, table, planes=planes, **options)


@pytest.mark.parametrize(
    ("train", "message"),
    [(lambda x: x[:, :5], r"\(60, 5\)"), (lambda x: x / 0, "not finite"), (lambda x: x[1:], "59")],
)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_training_embeddings_fit_the_others(points, train, message):
    embeddings, table, planes = points
    train = {name: train(x) for name, x in embeddings.items()}
    with pytest.raises(ValueError, match=message):
        EmbeddingExplorer(embeddings, table, planes=planes, train=train, train_table=table)


def test_tensors_are_embeddings_too_also_in_half_precision(points):
    embeddings, table, planes = points
    halves = {m: torch.tensor(x, dtype=torch.bfloat16, requires_grad=True)
              for m, x in embeddings.items()}  # fmt: skip
    made = EmbeddingExplorer(halves, table, planes=planes)
    same = EmbeddingExplorer({m: x.detach().float() for m, x in halves.items()}, table,
                             planes=planes)  # fmt: skip
    for name in embeddings:
        np.testing.assert_array_equal(made.neighbours[name], same.neighbours[name])


@pytest.mark.parametrize("n", [1, 2, 3])
def test_a_handful_of_points_is_a_map(points, tmp_path, n):
    embeddings, table, _ = points
    made = EmbeddingExplorer({m: x[:n] for m, x in embeddings.items()}, table[:n])
    meta = meta_of(made, tmp_path)
    assert meta["points"] == n
    assert meta["neighbours"] == n - 1


def test_a_folder_that_is_there_gets_the_page(points, tmp_path):
    embeddings, table, planes = points
    made = EmbeddingExplorer(embeddings, table, planes=planes)
    assert made.save(tmp_path) == tmp_path / "explorer.html"
    assert made.path.is_file()


@pytest.mark.parametrize("standalone", [True, False])
def test_what_is_in_the_way_of_the_page_is_named(points, tmp_path, standalone):
    embeddings, table, planes = points
    made = EmbeddingExplorer(embeddings, table, planes=planes)
    (tmp_path / "a file").write_text("")
    with pytest.raises(ValueError, match=r"a file is a file, so .* cannot be written below it"):
        made.save(tmp_path / "a file" / "map", standalone=standalone)
    page = tmp_path / "map" / ("explorer.html" if standalone else "index.html")
    page.mkdir(parents=True)
    with pytest.raises(ValueError, match=f"{page.name} is a folder"):
        made.save(tmp_path / "map", standalone=standalone)


def test_train_needs_its_labels(points):
    embeddings, table, planes = points
    with pytest.raises(ValueError, match="train_table"):
        EmbeddingExplorer(embeddings, table, planes=planes, train=embeddings)


@pytest.fixture
def study(tmp_path):
    """Run folders of two methods on a small rendered data set, as training leaves them."""
    return make_study(tmp_path, ("ce", "hcl"))


def make_study(folder, methods, **options):
    settings = Settings(dials={"n_species": 12, "n_images": 180}, run_name="small", **options)
    dataset = load_dataset(settings)
    rng = np.random.default_rng(0)
    for method in methods:
        run = folder / "small" / method / "seed-0"
        arrays = {}
        for split in ("train", "test"):
            rows = dataset.indices(split)
            arrays |= {split: rng.normal(size=(len(rows), 6)), f"{split}_index": rows}
        if method == "hcl_blocks":
            arrays["block_dims"] = np.array([4, 2])
        write_npz(run / "embeddings.npz", arrays)
        settings_of_run = {"settings": {"dials": settings.dials, "run_name": "small"} | options}
        write_json(run / "config.json", settings_of_run)
        write_json(run / "metrics.json", {"shares": [0.9, 0.1]})
    return folder / "small"


def test_the_command_makes_the_page_of_finished_runs(study):
    command = [sys.executable, "-m", "fgcl_utils.explorer", str(study)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    meta = json.loads(block(study / "explorer.html", "meta"))
    assert [method["name"] for method in meta["methods"]] == ["CE", "HCL"]
    assert done.stdout.strip().endswith("explorer.html")


def test_the_command_says_where_runs_would_be(tmp_path):
    with pytest.raises(SystemExit, match="holds no finished run with seed 0"):
        main([str(tmp_path / "nothing")])


def test_the_command_follows_the_levels_and_takes_every_method(tmp_path, capsys):
    main([str(make_study(tmp_path, ("hcl_blocks", "ce"), levels=("species", "form")))])
    path = tmp_path / "small" / "explorer.html"
    assert capsys.readouterr().out.strip() == str(path)
    meta = json.loads(block(path, "meta"))
    assert len(meta["methods"]) == 2
    assert [level["name"] for level in meta["levels"]] == ["species", "form"]


def test_shares_move_in_five_steps_through_those_that_were_chosen():
    assert shares_in_steps((0.4, 0.6)) == (
        [(1.0, 0.0), (0.75, 0.25), (0.4, 0.6), (0.25, 0.75), (0.0, 1.0)],
        2,
    )
    steps, place = shares_in_steps((0.9, 0.075, 0.025))
    assert (place, steps[1]) == (1, (0.9, 0.075, 0.025))
    np.testing.assert_allclose(np.sum(steps, axis=1), 1)
    np.testing.assert_allclose([b / c for _, b, c in steps[1:]], 3)
    for end, place in (((1.0, 0.0), 0), ((0.0, 1.0), 4)):
        steps, at = shares_in_steps(end)
        assert (at, len(set(steps))) == (place, 5)


def test_level_blocks_have_a_slider_whose_steps_are_the_runs_at_these_shares(tmp_path):
    folder = make_study(tmp_path, ("ce", "hcl_blocks"))
    main([str(folder)])
    meta = json.loads(block(folder / "explorer.html", "meta"))
    ce, blocks = meta["methods"]
    assert ce["maps"] == [0]
    assert blocks["maps"] == [2, 1, 3, 4, 5]
    assert blocks["steps"][blocks["start"]] == "species 90 %, genus 10 %"
    assert len(meta["maps"]) == 6
    main([str(folder), "--no-sliders", "--out", str(tmp_path / "plain.html")])
    assert len(json.loads(block(tmp_path / "plain.html", "meta"))["maps"]) == 2
    k = meta["neighbours"]
    found = records(block(folder / "explorer.html", "facts-0"))
    for finest, at in zip((1.0, 0.9, 0.5, 0.25, 0.0), blocks["maps"], strict=True):
        arrays = runs.load_embeddings(folder / "hcl_blocks" / "seed-0", (finest, 1 - finest))
        expected = projection.nearest_neighbours(arrays["test"], k)
        near = [np.frombuffer(r[2 * k * at : 2 * k * (at + 1)], "<u2") for r in found]
        np.testing.assert_array_equal(near, expected[: len(near)])


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ({"SupCon": {}}, "no 'SupCon'"),
        ({"HCL": {"a": "nothing"}}, "no 'nothing'"),
        ({"HCL": {"a": "CE"}}, "'HCL' itself"),
        ({"HCL": {"a": "HCL", "b": "CE"}, "CE": {"a": "CE"}}, "'CE' is a step of two sliders"),
    ],
)
def test_sliders_go_through_embeddings_that_are_there(points, steps, message):
    embeddings, table, planes = points
    with pytest.raises(ValueError, match=message):
        EmbeddingExplorer(embeddings, table, planes=planes, steps=steps)


def test_level_blocks_come_with_the_shares_that_were_chosen(tmp_path):
    folder = make_study(tmp_path, ("hcl_blocks",)) / "hcl_blocks" / "seed-0"
    arrays = runs.load_embeddings(folder)
    main([str(tmp_path / "small")])
    facts = records(block(tmp_path / "small" / "explorer.html", "facts-0"))
    k = json.loads(block(tmp_path / "small" / "explorer.html", "meta"))["neighbours"]
    expected = projection.nearest_neighbours(arrays["test"], k)
    found = [np.frombuffer(record[: 2 * k], "<u2") for record in facts]
    np.testing.assert_array_equal(found, expected[: len(found)])


def test_the_command_makes_the_page_of_anybodys_embeddings(points, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("FGCL_HOME", str(tmp_path))
    embeddings, table, _ = points
    table = with_families(table).assign(habitat=[*"abc"] * 20)
    table.to_csv(tmp_path / "photos.csv", index=False)
    np.savez(tmp_path / "features.npz", **embeddings)
    for i in range(60):
        plain_photo(i, 100).save(tmp_path / f"{i}.jpg")
    files = [str(tmp_path / "features.npz"), str(tmp_path / "photos.csv")]
    main([*files, "--photos", str(tmp_path), "--levels", *LEVELS])
    path = tmp_path / "explorer.html"
    assert capsys.readouterr().out.strip() == str(path)
    meta = json.loads(block(path, "meta"))
    assert [method["name"] for method in meta["methods"]] == ["CE", "HCL"]
    assert [level["name"] for level in meta["levels"]] == [*LEVELS]
    assert [column["name"] for column in meta["columns"]] == ["habitat"]
    assert all(records(block(path, "thumb-0")))
    np.save(tmp_path / "one.npy", embeddings["CE"][:50])
    with pytest.raises(SystemExit, match=r"50 rows and photos\.csv 60"):
        main([str(tmp_path / "one.npy"), files[1]])
    with pytest.raises(SystemExit, match="name its table, too"):
        main(files[:1])
    with pytest.raises(SystemExit, match="nowhere is no folder"):
        main([*files, "--photos", "nowhere"])
