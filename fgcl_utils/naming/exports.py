"""A run's network for use elsewhere: files that others' tools read, and a card that explains them.

The folder is laid out as the Hugging Face hub expects a model: README.md is the model card.
"""

import contextlib
import warnings
from pathlib import Path

import numpy as np
import safetensors.torch
import timm
import torch

from fgcl_utils.files import write_json, written_aside
from fgcl_utils.naming import card
from fgcl_utils.naming.identifier import Identifier
from fgcl_utils.naming.network import check_finished, network_of, settings_of
from fgcl_utils.naming.onnx import OnnxEmbedder, needed

KINDS = ("timm", "onnx", "torchscript")
OPSET = 18
TOLERANCE = 1e-4  # of an embedding's entries, between the run's network and the exported one


def export(folder, kind, out):
    """Write a finished run's network and its model card.

    Parameters
    ----------
    folder : path
        The run's.
    kind : {"timm", "onnx", "torchscript"}
        timm: the encoder's state dict, model.safetensors, and config.json. onnx: encoder, head and
        normalisation, model.onnx, with all that `Identifier` needs. torchscript: the same network
        as model.pt.
    out : path
        A folder, which is made.

    Raises
    ------
    FileNotFoundError, ValueError
        As of `network_of` and, for onnx, `Identifier.from_run`.
    RuntimeError
        If the exported network gives other embeddings.
    ImportError
        If onnx is not installed.
    """
    folder, out = Path(folder), Path(out)
    check_finished(folder)
    out.mkdir(parents=True, exist_ok=True)
    usage = {"timm": _timm, "onnx": _onnx, "torchscript": _torchscript}[kind](folder, out)
    with written_aside(out / "README.md") as aside:
        aside.write_text(card.written(folder, kind, usage), encoding="utf-8")
    return out


def _timm(folder, out):
    """Write model.safetensors and config.json; the call that loads them."""
    settings, _ = settings_of(folder)
    network, size = network_of(folder), settings.image_size
    encoder, weights = network.model.encoder, out / "model.safetensors"
    state = {name: tensor.contiguous() for name, tensor in encoder.state_dict().items()}
    with written_aside(weights) as aside:
        safetensors.torch.save_file(state, aside, {"format": "pt"})
    options = _options(settings.model_name, size, weights)
    mean, std = (getattr(network.model, name).flatten().tolist() for name in ("mean", "std"))
    config = {
        "architecture": settings.model_name.split(".")[0],
        "num_classes": 0,
        "num_features": encoder.num_features,
        "model_args": options,
        "pretrained_cfg": {
            **{"input_size": [3, size, size], "fixed_input_size": bool(options)},
            **{"mean": mean, "std": std, "interpolation": "lanczos", "crop_pct": 1.0},
            **{"num_classes": 0},
        },
    }
    write_json(out / "config.json", config)
    arguments = [repr(settings.model_name), "num_classes=0", "checkpoint_path='model.safetensors'"]
    arguments += [f"{name}={value}" for name, value in options.items()]
    return f"timm.create_model({', '.join(arguments)})"


def _options(model_name, image_size, weights):
    """What `timm.create_model` needs beside name and file: tried out on the file."""
    for options in ({"img_size": image_size}, {}):
        with contextlib.suppress(TypeError):  # convolutional networks know no img_size
            timm.create_model(model_name, num_classes=0, checkpoint_path=str(weights), **options)
            break
    return options


def _onnx(folder, out):
    """Write model.onnx and the files of `Identifier.save`, and compare; the call that loads it."""
    for module in ("onnx", "onnxscript", "onnxruntime"):
        needed(module)
    network, squares = network_of(folder), _squares(folder)
    with warnings.catch_warnings(), written_aside(out / "model.onnx") as aside:
        warnings.simplefilter("ignore")  # of the exporter, about its own future
        torch.onnx.export(
            network,
            (_pixels(squares),),
            str(aside),
            input_names=["pixels"],
            output_names=["embedding"],
            dynamic_shapes=({0: torch.export.Dim("batch")},),
            opset_version=OPSET,
            external_data=False,
            dynamo=True,
            verbose=False,
        )
    exported = OnnxEmbedder(out / "model.onnx")
    _compare(network, exported, squares)
    Identifier.from_run(folder).save(out)
    return "onnxruntime.InferenceSession('model.onnx')"


def _torchscript(folder, out):
    """Write model.pt, and compare; the call that loads it."""
    network, squares = network_of(folder), _squares(folder)
    with warnings.catch_warnings(), torch.inference_mode():
        warnings.simplefilter("ignore")  # torch.jit warns that it is no longer developed
        traced = torch.jit.trace(network, _pixels(squares))
        with written_aside(out / "model.pt") as aside:
            traced.save(str(aside))
        loaded = torch.jit.load(out / "model.pt")
        _compare(network, lambda x: loaded(_pixels(x)).numpy(), squares)
    return "torch.jit.load('model.pt')"


def _squares(folder):
    """Three photos of noise, uint8 (3, S, S, 3)."""
    size = settings_of(folder)[0].image_size
    return np.random.default_rng(0).integers(0, 256, (3, size, size, 3), dtype=np.uint8)


def _pixels(squares):
    return torch.from_numpy(squares).permute(0, 3, 1, 2).float() / 255


@torch.inference_mode()
def _compare(network, exported, squares):
    """Raise RuntimeError unless both embed batches of any size alike."""
    for n in (1, len(squares)):
        gap = np.abs(network(_pixels(squares[:n])).numpy() - exported(squares[:n])).max()
        if not gap <= TOLERANCE:
            raise RuntimeError(
                f"the exported network gives other embeddings, by up to {gap:.2g}: this encoder "
                "cannot be exported so"
            )
