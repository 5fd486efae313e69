"""The network to go: what timm, onnxruntime and PyTorch load of it, and the card beside it."""

import json
import sys

import numpy as np
import pytest
import timm
import torch
import yaml
from safetensors.numpy import load_file
from tiny_runs import SMALL, make_project, make_runs

from fgcl_utils import runs
from fgcl_utils.export import main
from fgcl_utils.files import read_json
from fgcl_utils.naming import Identifier, exports
from fgcl_utils.settings import Settings, load_dataset

VIT = {"model_name": "vit_demo_patch8_64", "run_name": "vit", "epochs": 1}
MADE = [
    (SMALL | {"run_name": "tiny"}, "hcl"),
    (SMALL | VIT, "hcl_blocks"),
    (SMALL | {"encoder": "frozen", "run_name": "frozen"}, "hcl_blocks"),
]


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A project with a convolutional run, one of a transformer in blocks, and a frozen one."""
    with pytest.MonkeyPatch.context() as patch:
        root = make_project(tmp_path_factory.mktemp("project"))
        patch.chdir(root)
        make_runs(MADE)
        yield root


@pytest.fixture
def here(root, monkeypatch):
    monkeypatch.chdir(root)
    return root


def run_of(values, method):
    return f"runs/{values['run_name']}/{method}/seed-0"


def photos_of(values):
    dataset = load_dataset(Settings(**values))
    return dataset.images(32)[dataset.indices("test")]


all_runs = pytest.mark.parametrize(("values", "method"), MADE, ids=lambda v: str(v)[-12:])


@all_runs
def test_timm_loads_the_encoder_as_the_card_says(here, monkeypatch, tmp_path, values, method):
    main([run_of(values, method), "--to", "timm", "--out", str(tmp_path)])
    monkeypatch.chdir(tmp_path)
    card = (tmp_path / "README.md").read_text()
    encoder = eval(card.split("model = ")[1].splitlines()[0], {"timm": timm}).eval()
    config = read_json("config.json")
    normal = [np.array(config["pretrained_cfg"][name]) for name in ("mean", "std")]
    monkeypatch.chdir(here)
    pixels = (photos_of(values) / 255 - normal[0]) / normal[1]
    with torch.inference_mode():
        features = encoder(torch.from_numpy(pixels).permute(0, 3, 1, 2).float())
    expected = runs.load_embeddings(here / run_of(values, method))["test_encoder"]
    np.testing.assert_allclose(features, expected, atol=1e-4)
    assert config["architecture"] == values["model_name"] and config["num_classes"] == 0


@all_runs
def test_onnx_gives_the_embeddings_of_any_batch(here, tmp_path, values, method):
    onnx, onnxruntime = pytest.importorskip("onnx"), pytest.importorskip("onnxruntime")
    main([run_of(values, method), "--to", "onnx", "--out", str(tmp_path)])
    model = onnx.load(tmp_path / "model.onnx")
    assert [o.version for o in model.opset_import if o.domain == ""] == [exports.OPSET]
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    pixels = (photos_of(values) / 255).transpose(0, 3, 1, 2).astype(np.float32)
    expected = runs.load_embeddings(here / run_of(values, method))["test"]
    for n in (1, 2, len(pixels)):
        (embedding,) = session.run(None, {"pixels": pixels[:n]})
        np.testing.assert_allclose(embedding, expected[:n], atol=1e-4)


@all_runs
def test_torchscript_gives_them_too(here, tmp_path, values, method):
    main([run_of(values, method), "--to", "torchscript", "--out", str(tmp_path)])
    pixels = torch.from_numpy(photos_of(values) / 255).permute(0, 3, 1, 2).float()
    expected = runs.load_embeddings(here / run_of(values, method))["test"]
    for n in (1, len(pixels)):
        embedding = torch.jit.load(tmp_path / "model.pt")(pixels[:n]).detach()
        np.testing.assert_allclose(embedding, expected[:n], atol=1e-4)


def test_the_identifier_runs_from_an_export(here, tmp_path):
    pytest.importorskip("onnxruntime")
    values, method = MADE[1]
    main([run_of(values, method), "--to", "onnx", "--out", str(tmp_path)])
    photos = list(photos_of(values)[:6])
    ours = Identifier.from_run(run_of(values, method)).identify(photos)
    moved = Identifier.from_run(tmp_path)
    theirs = moved.identify(photos)
    assert theirs["answer"].tolist() == ours["answer"].tolist()
    np.testing.assert_allclose(theirs["genus_probability"], ours["genus_probability"], atol=1e-3)
    assert [[n["image"] for n in near] for near in theirs["neighbours"]] == [
        [n["image"] for n in near] for near in ours["neighbours"]
    ]
    assert moved.photo is None
    with pytest.raises(ValueError, match="is an export, whose risk is"):
        Identifier.from_run(tmp_path, risk=0.2)


def test_the_card_has_what_a_reader_asks_for(here, tmp_path):
    main([run_of(*MADE[0]), "--to", "timm", "--out", str(tmp_path)])
    card = (tmp_path / "README.md").read_text()
    _, head, body = card.split("---\n", 2)
    assert yaml.safe_load(head)["library_name"] == "timm"
    assert yaml.safe_load(head)["license"] == "other"
    sections = ["Data", "Settings", "Measures", "Intended use", "Limits", "Licence"]
    assert [line[3:] for line in body.splitlines() if line.startswith("## ")] == sections
    config = read_json(here / run_of(*MADE[0]) / "config.json")
    settings = yaml.safe_load(body.split("````yaml\n")[1].split("````")[0])
    assert settings == json.loads(json.dumps(config["settings"]))
    assert f"`{config['provenance']['commit']}`" in body
    measures = read_json(here / run_of(*MADE[0]) / "metrics.json")
    assert f"| `species_accuracy` | {measures['species_accuracy']:.1%} (" in body


def test_an_export_says_nothing_of_this_machine(here, tmp_path):
    for kind in ("timm", "torchscript"):
        main([run_of(*MADE[2]), "--to", kind, "--out", str(tmp_path)])
    for path in tmp_path.iterdir():
        assert str(here).encode() not in path.read_bytes()


def test_weights_of_an_export_are_those_of_the_run(here, tmp_path):
    main([run_of(*MADE[0]), "--to", "timm", "--out", str(tmp_path)])
    ours = load_file(here / run_of(*MADE[0]) / "checkpoint.safetensors")
    for name, tensor in load_file(tmp_path / "model.safetensors").items():
        np.testing.assert_array_equal(tensor, ours[f"model.encoder.{name}"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["runs/nothing", "--to", "timm"], "holds no finished run"),
        (["runs/tiny/hcl/seed-0", "--to", "onnx"], "onnx is not installed: pip install onnx"),
    ],
)
def test_what_cannot_be_exported_is_said_in_one_line(here, monkeypatch, arguments, message):
    monkeypatch.setitem(sys.modules, "onnx", None)  # as if it were not installed
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert str(stopped.value.code).startswith("error: ") and message in str(stopped.value.code)


def test_a_network_that_comes_out_differently_is_no_export(here, monkeypatch, tmp_path):
    monkeypatch.setattr(exports, "TOLERANCE", -1)
    with pytest.raises(SystemExit, match="gives other embeddings"):
        main([run_of(*MADE[0]), "--to", "torchscript", "--out", str(tmp_path)])
    assert not (tmp_path / "README.md").exists()
