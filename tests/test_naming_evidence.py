"""How a run's naming is measured, and the photos that it is shown by."""

import numpy as np
import pytest
from PIL import Image
from tiny_features import make_features
from tiny_runs import SMALL

from fgcl_utils import figures, metrics
from fgcl_utils.naming import Namer, evidence
from fgcl_utils.naming.photos import example_photos, photos_of
from fgcl_utils.settings import Settings, load_dataset

LEVELS = ("species", "genus")


@pytest.fixture
def run():
    """Embeddings as a run has them, with two of eight species held out of training; labels."""
    features, labels = make_features(900)
    rows = np.arange(900)
    split = {"train": rows[:500], "val": rows[500:700], "test": rows[700:]}
    is_held_out = labels[:, 0] >= 6
    arrays = {"unseen_index": split["test"][is_held_out[split["test"]]]}
    arrays |= {f"{name}_index": index[~is_held_out[index]] for name, index in split.items()}
    arrays |= {name.removesuffix("_index"): features[index] for name, index in arrays.items()}
    return {"embeddings": arrays}, labels


@pytest.fixture
def trials(run):
    arrays, labels = run[0]["embeddings"], run[1]
    namer = Namer.of_run(arrays, labels)
    data = type("Data", (), {"labels": labels})
    return [evidence.trial(namer, run[0], data, split) for split in ("test", "unseen")]


def test_measures_equal_counts_over_the_photos(run, trials):
    (test, unseen), (arrays, labels) = trials, (run[0]["embeddings"], run[1])
    found = evidence.measures(test, unseen, LEVELS)
    namer = Namer.of_run(arrays, labels)
    answered = test.judgement.answered
    for l, level in enumerate(LEVELS):
        named = namer.electorate.classes[l][test.judgement.probabilities[l].argmax(axis=1)]
        wrong = named != labels[arrays["test_index"], l]
        assert found[f"{level}_answered"] == pytest.approx((answered == l).mean())
        assert found[f"{level}_risk"] == pytest.approx(wrong[answered == l].mean())
        confidence = test.judgement.probabilities[l].max(axis=1)
        expected = metrics.area_under_risk_coverage(confidence, ~wrong)
        assert found[f"{level}_aurc"] == pytest.approx(expected)


def test_every_species_name_of_an_unseen_photo_is_wrong(run, trials):
    unseen, labels = trials[1], run[1][run[0]["embeddings"]["unseen_index"]]
    assert (unseen.truth[:, 0] == -1).all() and (unseen.truth[:, 1] >= 0).all()
    assert not unseen.answers(0)[1].any()
    found = evidence.measures(*trials, LEVELS)
    namer = Namer.of_run(run[0]["embeddings"], run[1])
    genera = namer.electorate.classes[1][unseen.judgement.probabilities[1].argmax(axis=1)]
    placed = (unseen.judgement.answered == 1) & (genera == labels[:, 1])
    assert found["unseen_placed"] == pytest.approx(placed.mean())
    assert found["unseen_named"] == pytest.approx((unseen.judgement.answered == 0).mean())


def test_without_unseen_species_nothing_is_said_of_them(trials):
    assert not [name for name in evidence.measures(trials[0], None, LEVELS) if "unseen" in name]


def test_without_validation_photos_half_of_the_test_photos_teach(run):
    given, labels = run[0]["embeddings"], run[1]
    arrays = {name: array for name, array in given.items() if name[:3] != "val"}
    split = {"val": given["test"][::2], "val_index": given["test_index"][::2]}
    namer, expected = Namer.of_run(arrays, labels), Namer.of_run(arrays | split, labels)
    assert namer.to_dict() == expected.to_dict()
    data = type("Data", (), {"labels": labels})
    tested = evidence.trial(namer, {"embeddings": arrays}, data)
    rows = given["test_index"][1::2]  # none that taught
    assert (tested.truth[:, 1] == labels[rows, 1]).all() and len(tested.truth) == len(rows)


def test_a_run_of_training_photos_alone_is_refused(run):
    arrays = {name: array for name, array in run[0]["embeddings"].items() if name[:5] == "train"}
    with pytest.raises(ValueError, match="neither validation nor test photos"):
        Namer.of_run(arrays, run[1])


def test_the_figure_draws_a_curve_a_method(trials):
    curve = metrics.risk_coverage(*trials[0].answers(0))
    figure = figures.risk_coverage({"hcl": curve, "ce": curve}, "<i>species</i>")
    assert [line.name for line in figure.data] == ["CE", "HCL"]
    assert list(figure.data[0].y) == curve["risk"].tolist()
    assert "<i>" not in figure.layout.xaxis.title.text


def test_examples_are_test_photos_and_things_that_are_none():
    dataset = load_dataset(Settings(**SMALL))
    photos = example_photos(dataset, n=2, size=40)
    assert len(photos) == 5 and all(isinstance(photo, Image.Image) for photo in photos.values())
    first = dataset.indices("test")[0]
    assert next(iter(photos)) == f"{dataset.table['species'][first]} (test image {first})"


def test_photos_of_folders_come_once_and_in_order(tmp_path):
    (tmp_path / "b").mkdir()
    for name in ("z.jpg", "b/a.png", "b/note.txt", "b/.hidden.jpg"):
        (tmp_path / name).touch()
    found = photos_of([tmp_path / "z.jpg", tmp_path, str(tmp_path / "b")])
    assert [path.relative_to(tmp_path).as_posix() for path in found] == ["z.jpg", "b/a.png"]
