"""The state of a run after a whole epoch, in one file of tensors that hold no code."""

import json
import re

import safetensors.torch
from safetensors import safe_open

from fgcl_utils.files import written_aside


def save(path, epochs_done, network, optimizer=None, scaler=None):
    """Write weights and, if the run is to go on from them, the optimizer's state.

    Parameters
    ----------
    path : Path
        Appears whole or not at all.
    epochs_done : int
    network : nn.Module
    optimizer : torch.optim.Optimizer, optional
    scaler : torch.amp.GradScaler, optional
        Of float16.
    """
    tensors = {f"model.{k}": v for k, v in network.state_dict().items()}
    if optimizer is not None:
        for i, state in optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{i}.{k}": v for k, v in state.items()}
    metadata = {
        "epochs_done": str(epochs_done),
        "scaler": json.dumps(scaler.state_dict() if scaler else {}),
    }
    tensors = {k: v.contiguous().cpu() for k, v in tensors.items()}
    with written_aside(path) as aside:
        safetensors.torch.save_file(tensors, aside, metadata)


def load(path, network, optimizer=None, scaler=None):
    """Put the state that `save` wrote back into its places; epochs done."""
    with safe_open(path, "pt") as file:
        metadata = file.metadata()
        tensors = {name: file.get_tensor(name) for name in file.keys()}
    model = {k.removeprefix("model."): v for k, v in tensors.items() if k.startswith("model.")}
    network.load_state_dict(model)
    if optimizer is not None:
        state = {}
        for name, tensor in tensors.items():
            if found := re.fullmatch(r"optimizer\.(\d+)\.(\w+)", name):
                state.setdefault(int(found[1]), {})[found[2]] = tensor
        groups = optimizer.state_dict()["param_groups"]
        optimizer.load_state_dict({"state": state, "param_groups": groups})
    held = json.loads(metadata["scaler"])
    if held and scaler is not None:
        scaler.load_state_dict(held)
    return int(metadata["epochs_done"])


def epochs_done(path):
    """Whole epochs that the state at `path` has behind it.

    Raises
    ------
    OSError, SafetensorError
        If there is no such file, or it is none of ours.
    """
    with safe_open(path, "pt") as file:
        return int(file.metadata()["epochs_done"])
