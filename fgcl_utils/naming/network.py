"""A finished run as one network, from the pixels of a photo to its embedding."""

import dataclasses
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import nn
from torch.nn import functional as F

from fgcl_utils import methods
from fgcl_utils.files import read_json
from fgcl_utils.heads import HeadTransformer
from fgcl_utils.methods import METHODS
from fgcl_utils.models import build_model
from fgcl_utils.settings import Settings, SettingsError, load_dataset


class EmbeddingNetwork(nn.Module):
    """Photos (N, 3, S, S) in [0, 1] → embeddings (N, D), unit vectors.

    Parameters
    ----------
    model : fgcl_utils.models.Model
        The encoder, and the head of a run that trained both.
    head : nn.Module or None
        Features (N, F) → projections (N, D) and logits: the head of a run on a frozen encoder.
    block_dims, shares : sequences of L numbers, or None
        Of level blocks: the dimensions of each level, and what it counts for.
    """

    def __init__(self, model, head=None, block_dims=None, shares=None):
        super().__init__()
        self.model, self.head = model, head
        self.block_dims, self.shares = block_dims, shares

    def forward(self, pixels):
        features, projections, _ = self.model(pixels)
        if self.head is not None:
            projections, _ = self.head(features)
        if self.shares is None:
            return F.normalize(projections.float(), dim=1)
        # As `losses.level_blocks`, without its checks of values, on which no export can branch.
        blocks = projections.float().split(self.block_dims, dim=1)
        parts = zip(blocks, self.shares, strict=True)
        return torch.cat([share**0.5 * F.normalize(b, dim=1) for b, share in parts], dim=1)


def network_of(folder):
    """The network of a finished run, in evaluation mode.

    Returns
    -------
    EmbeddingNetwork

    Raises
    ------
    FileNotFoundError
        If the run is not finished, or its weights are gone.
    ValueError
        If it was made of a file of features, which says nothing about photos.
    """
    check_finished(folder)
    settings, method = settings_of(folder)
    weights = Path(folder) / "checkpoint.safetensors"
    if settings.encoder not in ("trained", "frozen"):
        raise ValueError(
            f"{folder} was made of features in {settings.encoder}: it has no network that looks at "
            "photos. Make a run with encoder: trained or frozen"
        )
    if not weights.is_file():
        raise FileNotFoundError(
            f"{weights} is missing, and with it what the run has learnt: restore it, or delete "
            f"{folder} and make the run again"
        )
    shares = read_json(Path(folder) / "metrics.json").get("shares")
    blocks = methods.blocks_of(settings, method), shares
    if settings.encoder == "frozen":
        head = HeadTransformer.load(weights).network_
        network = EmbeddingNetwork(_frozen_model(settings), head, *blocks)
    else:
        network = EmbeddingNetwork(_trained_model(settings, method, weights), None, *blocks)
    return network.eval()


def check_finished(folder):
    """Raise FileNotFoundError if there is no finished run, or it has no embeddings any more."""
    for name in ("config.json", "metrics.json", "embeddings.npz"):
        if not (Path(folder) / name).is_file():
            raise FileNotFoundError(
                f"{folder} holds no finished run: {name} is missing. A run's folder is such as "
                "runs/demo/hcl/seed-0, and is finished when metrics.json is there"
            )


def settings_of(folder):
    """The settings of a run, and its method."""
    return Settings.from_run(folder), read_json(Path(folder) / "config.json")["method"]


def fingerprint_of(folder):
    """That of the data which a run was made on."""
    return read_json(Path(folder) / "config.json")["dataset_fingerprint"]


def dataset_of(folder, data_root=None):
    """The data of a run, which may have moved to `data_root`.

    Raises
    ------
    FileNotFoundError, ValueError
        If they cannot be read, or have changed.
    """
    settings, _ = settings_of(folder)
    if data_root is not None:
        settings = dataclasses.replace(settings, data_root=str(Path(data_root).absolute()))
    dataset = load_dataset(settings)
    if dataset.fingerprint != fingerprint_of(folder):
        raise SettingsError(
            f"{folder} was trained on other data than {dataset.name} is now: its photos or its "
            "table have changed. Restore them, or make the run again"
        )
    return dataset


def _trained_model(settings, method, weights):
    model = build_model(
        model_name=settings.model_name,
        image_size=settings.image_size,
        head=settings.head if METHODS[method].has_head else "none",
        projection_dim=methods.projection_dim(settings, method),
    )
    state = {k.removeprefix("model."): v for k, v in load_file(weights).items()}
    try:
        model.load_state_dict({k: v for k, v in state.items() if not k.startswith("classifier.")})
    except RuntimeError as error:
        raise ValueError(
            f"{weights} holds the weights of another network than {settings.model_name} at "
            f"{settings.image_size} px, which config.json names: restore both"
        ) from error
    return model


def _frozen_model(settings):
    """The encoder as the run has found it; one without weights is drawn again from its seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        return build_model(
            model_name=settings.model_name,
            image_size=settings.image_size,
            weights=settings.weights_source,
        )
