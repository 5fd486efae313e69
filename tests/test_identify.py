"""New photos and a finished run: the same network, honest answers, and what can go wrong."""

import base64
import hashlib
import html
import json
import re
import shutil

import numpy as np
import pytest
from PIL import Image
from tiny_features import make_features
from tiny_runs import SMALL, make_project, make_runs

from fgcl_utils import runs, training
from fgcl_utils.files import read_json
from fgcl_utils.identify import main
from fgcl_utils.naming import WARNING, Identifier, identifier, report
from fgcl_utils.naming.journal import kept_answers
from fgcl_utils.settings import Settings, load_dataset

TINY = SMALL | {"run_name": "tiny"}
FROZEN = SMALL | {"encoder": "frozen", "run_name": "frozen"}
MADE = [
    *((TINY, method) for method in ("hcl", "hcl_blocks", "ce_blocks")),
    *((FROZEN, method) for method in ("ce", "hcl_blocks", "ce_blocks")),
]


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A project with runs on a trained and on a frozen encoder, and a folder of photos."""
    with pytest.MonkeyPatch.context() as patch:
        root = make_project(tmp_path_factory.mktemp("project"))
        patch.chdir(root)
        make_runs(MADE)
        dataset = load_dataset(Settings(**TINY))
        (root / "photos" / "below").mkdir(parents=True)
        for i in dataset.indices("test")[:5]:
            dataset.photo(int(i), 48).save(root / "photos" / "below" / f"{i}.png")
        (root / "photos" / "<i>no photo.jpg").write_text("text")
        (root / "photos" / "note.txt").write_text("text")
        yield root


@pytest.fixture
def here(root, monkeypatch):
    monkeypatch.chdir(root)
    return root


@pytest.fixture(scope="module")
def tiny(root):
    return Identifier.from_run(root / "runs/tiny/hcl/seed-0")


@pytest.fixture
def changed(here, tmp_path):
    """A copy of a run's folder, to be damaged."""
    return shutil.copytree(here / "runs/tiny/hcl/seed-0", tmp_path / "hcl" / "seed-0")


# --- photos in, answers out -------------------------------------------------------------------


@pytest.mark.parametrize(("values", "method"), MADE)
def test_the_network_embeds_as_the_run_did(here, values, method):
    folder = here / "runs" / values["run_name"] / method / "seed-0"
    arrays, dataset = runs.load_embeddings(folder), load_dataset(Settings(**values))
    squares = dataset.images(32)[arrays["test_index"]]
    embedded = Identifier.from_run(folder).embed(squares)
    np.testing.assert_allclose(embedded, arrays["test"], atol=1e-5)


def test_paths_images_and_arrays_get_one_answer(here, tiny):
    path = sorted((here / "photos" / "below").iterdir())[0]
    with Image.open(path) as image:
        kinds = [path, str(path), image.copy(), np.asarray(image.convert("RGB"))]
    table = tiny.identify(kinds)
    assert table["image"].tolist() == [str(path), str(path), "2", "3"]
    for column in set(table) - {"image"}:
        assert all(value == table[column][0] for value in table[column]), column


def test_a_training_photo_is_its_own_nearest(here, tiny):
    dataset = load_dataset(Settings(**TINY))
    row = 3
    near = tiny.identify([tiny.photo(row, 32)])["neighbours"][0]
    assert near[0]["row"] == row and near[0]["cosine"] == pytest.approx(1, abs=1e-3)
    assert near[0]["image"] == dataset.table["image"][dataset.indices("train")[row]]
    assert near[0]["species"] == dataset.table["species"][dataset.indices("train")[row]]


def test_candidates_come_in_order_and_begin_with_the_likeliest(here, tiny):
    answer = tiny.identify(list((here / "photos" / "below").iterdir()), top=3).iloc[0]
    for level, n in (("species", 3), ("genus", 3)):
        candidates = answer[f"{level}_candidates"]
        assert len(candidates) == n
        assert [p for _, p in candidates] == sorted((p for _, p in candidates), reverse=True)
        assert candidates[0] == (answer[level], answer[f"{level}_probability"])


def test_batches_change_nothing(here, tiny, monkeypatch):
    photos = sorted((here / "photos").rglob("*.*g"))
    whole = tiny.identify(photos)
    monkeypatch.setattr(identifier, "BATCH", 2)
    parts = tiny.identify(photos)
    assert whole["answer"].tolist() == parts["answer"].tolist()
    np.testing.assert_allclose(whole["genus_probability"], parts["genus_probability"], atol=1e-4)


def test_what_cannot_be_read_is_said_and_the_rest_answered(here, tiny):
    photos = sorted((here / "photos").rglob("*.*g"))
    table = tiny.identify([*photos, "gone.jpg"])
    assert len(table) == 7
    assert "not a JPEG, PNG" in table["problem"][0] and "No such file" in table["problem"][6]
    assert (table["problem"][1:6] == "").all() and table["answer"][1:6].notna().all()


def test_levels_may_have_any_names_and_number(root, monkeypatch):
    monkeypatch.chdir(root)
    levels = {"levels": ["species"], "run_name": "one"}
    for values, method in ((levels, "supcon"), ({"levels": ["species", "genus", "form"]}, "ce")):
        settings = Settings(**FROZEN | {"run_name": "levels"} | values)
        folder = training.train(settings, method, load_dataset(settings))["folder"]
        answer = Identifier.from_run(folder).identify([np.zeros((40, 30, 3), np.uint8)]).iloc[0]
        assert {f"{level}_probability" for level in settings.levels} <= set(answer.index)


# --- the command ------------------------------------------------------------------------------


def test_a_folder_is_named_a_line_a_photo(here, capsys):
    main(["runs/tiny/hcl/seed-0", "photos", "--json", "out.json", "--top", "2"])
    shown = capsys.readouterr()
    lines = shown.out.splitlines()
    assert len(lines) == 6 and lines[-1] == WARNING
    assert all(line.startswith("photos/below/") for line in lines[:-1])
    assert "1 photos cannot be read:\n  photos/<i>no photo.jpg" in shown.err
    said = read_json("out.json")
    assert said["levels"] == ["species", "genus"] and said["measured"][0]["photos"] > 0
    assert [photo["problem"] == "" for photo in said["photos"]] == [False] + [True] * 5
    assert len(said["photos"][1]["species_candidates"]) == 2
    assert not list(here.glob("out.json.*"))


def test_a_stopped_folder_goes_on(here, tiny, tmp_path, monkeypatch):
    photos = sorted((here / "photos").rglob("*.*g"))
    whole, path = list(tiny.answers(photos)), tmp_path / "answers"
    monkeypatch.setattr(identifier, "BATCH", 2)
    begun = kept_answers(tiny, photos, path)
    for _ in range(3):
        next(begun)
    begun.close()
    with path.open("a") as file:
        file.write('["torn')  # as a killed process leaves it
    asked = []
    monkeypatch.setattr(Identifier, "read", _counting(asked, Identifier.read))
    gone_on = list(kept_answers(tiny, photos, path))
    assert [a["image"] for a in gone_on] == [str(photo) for photo in photos]
    assert [a.get("answer") for a in gone_on] == [a.get("answer") for a in whole]
    assert asked == photos[3:]
    assert len(list(kept_answers(tiny, photos, path))) == 6 and asked == photos[3:]


def test_answers_of_another_run_or_file_are_not_taken(here, tiny, tmp_path):
    photo = shutil.copy(sorted((here / "photos" / "below").iterdir())[0], tmp_path / "photo.png")
    path = tmp_path / "answers"
    first = next(kept_answers(tiny, [photo], path))
    Image.new("RGB", (50, 50), "red").save(photo)
    second = next(kept_answers(tiny, [photo], path))
    assert first["neighbours"] != second["neighbours"]
    other = Identifier.from_run(here / "runs/tiny/hcl_blocks/seed-0")
    third = next(kept_answers(other, [photo], path))
    assert third["neighbours"] != second["neighbours"]
    assert json.loads(path.read_text().splitlines()[0]) != ""


def _counting(asked, read):
    def counted(self, image):
        asked.append(image)
        return read(self, image)

    return counted


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["runs/tiny/hcl/seed-0", "nowhere"], "nowhere does not exist: name a photo"),
        (["runs/tiny/hcl/seed-0", "runs"], "runs holds no photo"),
        (["runs/tiny", "photos"], "runs/tiny holds no finished run: config.json is missing"),
        (["runs/tiny/hcl/seed-0", "photos", "--risk", "2"], "risk=2.0: a share"),
    ],
)
def test_bad_arguments_stop_with_one_line(here, arguments, message):
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert str(stopped.value.code).startswith("error: ") and message in str(stopped.value.code)


# --- the page -----------------------------------------------------------------------------------


def test_the_page_stands_alone_and_names_are_text(here, capsys):
    main(["runs/tiny/hcl/seed-0", "photos", "--html", "page.html"])
    page = (here / "page.html").read_text()
    assert capsys.readouterr().out.splitlines()[-1] == "page.html"
    assert "<script" not in page and "default-src 'none'" in page
    assert "<i>" not in page and "&lt;i&gt;no photo.jpg" in page
    sources = re.findall(r'(?:src|href)="([^"]*)"', page)
    assert len(sources) == 5 * (1 + 5 + 1)  # of five photos: itself, its neighbours, its map
    assert all(source.startswith(("data:image/webp", "#map")) for source in sources)
    assert html.escape(WARNING) in page
    style = re.search(r"<style>(.*)</style>", page, re.DOTALL)[1]
    assert base64.b64encode(hashlib.sha256(style.encode()).digest()).decode() in page


def test_a_test_photo_falls_on_its_own_place(here, monkeypatch):
    shown = report.map_of(here / "runs/tiny/hcl/seed-0")
    monkeypatch.setattr(report, "PLACED_BY", 1)
    np.testing.assert_allclose(shown.place(shown.embedding), shown.plane)
    assert shown.plane.min() >= 0 and shown.plane.max() <= report.SIDE
    dataset = load_dataset(Settings(**TINY))
    assert shown.names == dataset.table["genus"].iloc[dataset.indices("test")].tolist()


def test_a_long_page_says_what_it_leaves_out(here, tiny, monkeypatch):
    monkeypatch.setattr(report, "MOST", 2)
    photos = sorted((here / "photos" / "below").iterdir())
    page = report.write("short.html", tiny, photos, list(tiny.answers(photos))).read_text()
    assert page.count("<article>") == 2 and "3 more photos were named" in page
    assert 'href="#map"' not in page


# --- what a run may lack ----------------------------------------------------------------------


@pytest.mark.parametrize("name", ["metrics.json", "embeddings.npz", "checkpoint.safetensors"])
def test_a_missing_file_is_named(changed, name):
    (changed / name).unlink()
    with pytest.raises(FileNotFoundError, match=f"{name}.* is missing"):
        Identifier.from_run(changed)


def test_another_image_size_than_the_weights_is_named(changed):
    config = read_json(changed / "config.json")
    config["settings"] |= {"model_name": "vit_demo_patch8_64", "image_size": 64}
    (changed / "config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match="weights of another network"):
        Identifier.from_run(changed)


def test_a_run_of_training_photos_alone_is_refused(changed):
    arrays = dict(np.load(changed / "embeddings.npz"))
    np.savez(changed / "embeddings.npz", **{k: v for k, v in arrays.items() if k[:5] == "train"})
    with pytest.raises(ValueError, match="neither validation nor test photos"):
        Identifier.from_run(changed)


def test_other_data_are_refused(changed):
    config = read_json(changed / "config.json")
    config["dataset_fingerprint"] = "other"
    (changed / "config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match="trained on other data than synthetic"):
        Identifier.from_run(changed)


def test_a_run_of_a_file_of_features_has_no_images(here):
    features, codes = make_features(120)
    np.save("features.npy", features)
    rows = [f"s{s},g{g}" for s, g in codes]
    (here / "table.csv").write_text("\n".join(["species,genus", *rows]))
    values = {"dataset": "features", "data_root": "table.csv", "encoder": "features.npy"}
    settings = Settings(**SMALL | values | {"dials": None, "run_name": "features"})
    run = training.train(settings, "hcl", load_dataset(settings))
    with pytest.raises(ValueError, match="no network that looks at photos"):
        Identifier.from_run(run["folder"])
