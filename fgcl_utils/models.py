"""A timm encoder and what is trained on top of it: a projection head, a classifier, or both.

Any image encoder of timm works by its name. Two more are registered here, in timm's own way and
with timm's own classes: a ViT and a Swin small enough to be trained from scratch on a CPU.
"""

import contextlib
import ctypes
import difflib
import itertools
import sys
from pathlib import Path

import timm
import torch
from timm.data import resolve_model_data_config
from timm.layers import PatchEmbed
from timm.models import load_checkpoint, register_model
from timm.models.swin_transformer import SwinTransformer
from timm.models.vision_transformer import VisionTransformer
from torch import nn


class ModelError(ValueError):
    """A model that does not exist, does not take the image size, or has no such weights."""


class ConvStem(PatchEmbed):
    """Patch embedding by strided convolutions, each halving the image, instead of one linear map.

    A transformer trained from scratch on a few thousand photos learns far faster with it (Xiao et
    al. 2021, "Early convolutions help transformers see better"). The patch size is a power of 2.
    """

    def __init__(self, *args, in_chans=3, embed_dim=64, **kwargs):
        super().__init__(*args, in_chans=in_chans, embed_dim=embed_dim, **kwargs)
        halvings = self.patch_size[0].bit_length() - 1
        if self.patch_size != (2**halvings, 2**halvings):
            raise ModelError(f"a patch size of {self.patch_size} is no power of 2")
        widths = (in_chans, *(embed_dim >> i for i in reversed(range(halvings))))
        layers = []
        for before, after in itertools.pairwise(widths):
            layers += [nn.Conv2d(before, after, 3, stride=2, padding=1, bias=False)]
            layers += [nn.BatchNorm2d(after), nn.ReLU(inplace=True)]
        self.proj = nn.Sequential(*layers, nn.Conv2d(embed_dim, embed_dim, 1))


@register_model
def vit_demo_patch8_64(pretrained=False, **kwargs):
    """ViT of 64 tokens at 64 px for the embedded data set; there are no pretrained weights."""
    args = {"img_size": 64, "patch_size": 8, "embed_dim": 64, "depth": 4, "num_heads": 4}
    args |= {"embed_layer": ConvStem, "global_pool": "avg", "class_token": False}
    return _untrained(VisionTransformer, pretrained, args, kwargs)


@register_model
def swin_demo_patch4_window4_64(pretrained=False, **kwargs):
    """Swin with three stages at 64 px for the embedded data set; no pretrained weights."""
    args = {"img_size": 64, "patch_size": 4, "window_size": 4, "embed_dim": 48}
    args |= {"embed_layer": ConvStem, "depths": (2, 2, 2), "num_heads": (2, 4, 8)}
    return _untrained(SwinTransformer, pretrained, args, kwargs)


def _untrained(cls, pretrained, defaults, kwargs):
    if pretrained:
        raise RuntimeError("the demo models have no pretrained weights: use weights=none or a file")
    for name in ("pretrained_cfg", "pretrained_cfg_overlay", "cache_dir"):
        kwargs.pop(name, None)
    model = cls(**(defaults | kwargs))
    size = defaults["img_size"]
    half = (0.5, 0.5, 0.5)
    model.pretrained_cfg = {"input_size": (3, size, size), "mean": half, "std": half}
    return model


class Model(nn.Module):
    """Encoder, projection head and classifier; both of them act on the encoder's features.

    Parameters
    ----------
    encoder : nn.Module
        timm model without classifier: (N, 3, S, S) → (N, F).
    head : nn.Module
        (N, F) → (N, D) projections.
    classifier : nn.Module or None
        (N, F) → (N, C) logits; or (N, D) → (N, C), if `classifies_projections`.
    mean, std : sequence of 3 floats
        What the encoder expects its pixels to be normalised with.
    """

    def __init__(self, encoder, head, classifier, mean, std, classifies_projections=False):
        super().__init__()
        self.encoder = encoder
        self.head = head
        self.classifier = classifier
        self.classifies_projections = classifies_projections
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1), persistent=False)

    def forward(self, images):
        """Features (N, F), projections (N, D) and logits (N, C) of images (N, 3, S, S) in [0, 1].

        Without a classifier the logits are None; without a head the projections are the features.
        """
        features = self.encoder((images - self.mean) / self.std)  # (N, F)
        projections = self.head(features)  # (N, D)
        classified = projections if self.classifies_projections else features
        logits = None if self.classifier is None else self.classifier(classified)
        return features, projections, logits


def build_model(
    *,
    model_name,
    image_size,
    weights="none",
    head="none",
    projection_dim=128,
    n_classes=(),
    classifies_projections=False,
    block_dims=None,
):
    """An encoder with a projection head, a classifier, or both.

    Parameters
    ----------
    model_name : str
        Name of a timm model.
    image_size : int
        Side of the square images in pixels.
    weights : str
        ``none``, ``pretrained`` (timm's hub), the path of a timm state dict, or the folder of a
        finished run, whose encoder is taken.
    head : {"none", "linear", "mlp"}
        Projection head.
    projection_dim : int
        Its outputs.
    n_classes : sequence of int
        Of each level that is classified; empty for no classifier.
    classifies_projections : bool
        Whether the classifier reads the head's outputs instead of the encoder's features.
    block_dims : sequence of int, optional
        Of the block of the projections that each level's classifier reads, instead of all.

    Returns
    -------
    Model

    Raises
    ------
    ModelError
        If the model does not exist, cannot take the image size, or its weights cannot be read.
    """
    encoder = build_encoder(model_name, image_size, weights)
    config = resolve_model_data_config(encoder)
    with torch.no_grad():  # num_features is not the pooled width for every timm model
        width = encoder.eval()(torch.zeros(1, 3, image_size, image_size)).shape[1]
    projection = projection_head(head, width, projection_dim)
    classified = projection_dim if classifies_projections and head != "none" else width
    classifier = classifier_of(classified, n_classes, block_dims)
    mean, std = config["mean"], config["std"]
    return Model(encoder, projection, classifier, mean, std, classifies_projections)


def placed(model, device):
    """`model` on `device`, with its weights and the process's memory as convolutions like them.

    Parameters
    ----------
    model : nn.Module
    device : torch.device or str

    Returns
    -------
    nn.Module
    """
    if torch.device(device).type == "cpu":
        _keep_freed_memory()
    # Twice as fast for convolutional networks, with no effect on transformers.
    return model.to(device, memory_format=torch.channels_last)


def _keep_freed_memory():
    """Let glibc keep what a step frees for the next one.

    By default it hands large tensors back to the system, and the next step's page faults cost
    a CPU as much as the arithmetic does, in training and in encoding alike.
    """
    with contextlib.suppress(AttributeError, OSError):  # not glibc: nothing to do
        libc = ctypes.CDLL(None)
        libc.mallopt(-4, 0)  # M_MMAP_MAX: no mappings of their own for large blocks
        libc.mallopt(-1, 2**31 - 1)  # M_TRIM_THRESHOLD: keep up to 2 GB of free heap


class BlockClassifiers(nn.Module):
    """A linear classifier a level, which reads its own block of the projections."""

    def __init__(self, block_dims, n_classes):
        super().__init__()
        self.block_dims = tuple(block_dims)
        self.of_level = nn.ModuleList(map(nn.Linear, block_dims, n_classes))

    def forward(self, projections):
        """Logits (N, ΣC), finest level first, of projections (N, D)."""
        blocks = projections.split(self.block_dims, dim=1)
        return torch.cat([f(z) for f, z in zip(self.of_level, blocks, strict=True)], dim=1)


def classifier_of(width, n_classes, block_dims=None):
    """From vectors (N, `width`) to the logits (N, ΣC) of all levels; None without any."""
    if not n_classes:
        return None
    if block_dims is not None:
        return BlockClassifiers(block_dims, n_classes)
    return nn.Linear(width, sum(n_classes))


def projection_head(kind, width, dim):
    """Map from features to projections: none, linear, or mlp as in SimCLR (Chen et al. 2020)."""
    if kind == "none":
        return nn.Identity()
    if kind == "linear":
        return nn.Linear(width, dim)
    return nn.Sequential(nn.Linear(width, width), nn.ReLU(inplace=True), nn.Linear(width, dim))


def build_encoder(model_name, image_size, weights="none"):
    """timm model without classifier for square images of `image_size` pixels."""
    if not timm.is_model(model_name.split(".")[0]):
        close = difflib.get_close_matches(model_name, timm.list_models(), n=5)
        hint = f" Close: {', '.join(close)}." if close else ""
        raise ModelError(
            f"model_name={model_name!r} is no timm model.{hint} timm.list_models() lists them"
        )
    if weights not in ("none", "pretrained") and not _weights_file(weights).is_file():
        raise ModelError(
            f"weights={weights!r}: there is no such file. Use none, pretrained, a path to a timm "
            "state dict (.safetensors or .pth), or the folder of a finished run"
        )
    options = {"num_classes": 0, "in_chans": 3, "pretrained": weights == "pretrained"}
    try:
        try:
            encoder = timm.create_model(model_name, img_size=image_size, **options)
        except TypeError as error:  # convolutional networks take any size and no img_size
            if "img_size" not in str(error):
                raise
            encoder = timm.create_model(model_name, **options)
        if weights not in ("none", "pretrained"):
            _load_weights(encoder, weights)
        with torch.no_grad():  # some architectures find out only here that the size does not fit
            encoder.eval()(torch.zeros(1, 3, image_size, image_size))
    except Exception as error:
        raise ModelError(_why_not(model_name, image_size, weights, error)) from error
    return encoder


def _weights_file(weights):
    """The file that holds them: a state dict, or the checkpoint in a run's folder."""
    path = Path(weights)
    return path / "checkpoint.safetensors" if path.is_dir() else path


def _load_weights(encoder, weights):
    """Load a timm state dict; its classifier is left out, every other tensor must be there."""
    # Each architecture's own filter renames old keys and resizes position embeddings.
    module = sys.modules[type(encoder).__module__]
    filter_keys = getattr(module, "checkpoint_filter_fn", None)

    def of_encoder(state, model):
        if Path(weights).is_dir():
            prefix = "model.encoder."
            state = {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}
        return filter_keys(state, model) if filter_keys else state

    result = load_checkpoint(
        encoder,
        str(_weights_file(weights)),
        strict=False,
        filter_fn=of_encoder,
        weights_only=True,  # a .pth file is read as tensors only: it cannot run code
    )
    if result.missing_keys:
        some = ", ".join(result.missing_keys[:3])
        raise ValueError(
            f"{len(result.missing_keys)} of {len(encoder.state_dict())} tensors are not in the "
            f"file, e.g. {some}"
        )


def _why_not(model_name, image_size, weights, error):
    reason = f"{type(error).__name__}: {next(iter(str(error).strip().splitlines()), '')}"
    if weights == "pretrained":
        return (
            f"no pretrained weights for {model_name!r}: timm's hub is out of reach, or has none "
            f"({reason}). Use weights=none, or download a state dict and give its path"
        )
    if weights != "none":
        return f"{Path(weights).name} does not fit {model_name!r} at {image_size} px ({reason})"
    return f"{model_name!r} cannot be built for images of {image_size} px ({reason})"
