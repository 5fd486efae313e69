"""What a trained network says of every split, as the run folder holds it."""

import time

import numpy as np

from fgcl_utils import methods, metrics
from fgcl_utils.datasets import SPLITS
from fgcl_utils.files import write_json, write_npz


def write(folder, settings, method, dataset, embedded, seconds, started):
    """Write embeddings.npz and, last of all, metrics.json, which marks the run as finished.

    Parameters
    ----------
    folder : Path
    settings, method, dataset
        As of `train`.
    embedded : dict of dicts
        For each split its ``encoder`` (n, F), ``embedding`` (n, D) and, of a classifier, ``logits``
        (n, ΣC).
    seconds : float
        That training took.
    started : float
        The `time.perf_counter` at its end: embedding and measuring count, too.
    """
    arrays = _arrays(settings, method, dataset, embedded)
    write_npz(folder / "embeddings.npz", arrays)
    values = _measures(arrays, dataset)
    values["seconds"] = seconds + time.perf_counter() - started
    write_json(folder / "metrics.json", values)


def _arrays(settings, method, dataset, embedded):
    """The arrays of embeddings.npz."""
    arrays = {}
    for split, parts in embedded.items():
        arrays[split] = parts["embedding"]
        arrays[f"{split}_encoder"] = parts["encoder"]
        arrays[f"{split}_index"] = dataset.indices(split)
        if "logits" in parts and split in ("val", "test"):
            if 0 in methods.classified_levels(settings, method):  # theirs come first
                logits = parts["logits"][:, : dataset.taxonomy.n_classes[0]]
                arrays[f"{split}_logits"] = logits
    dims = methods.blocks_of(settings, method)
    if dims is not None:
        arrays["block_dims"] = np.array(dims)
    return arrays


def _measures(arrays, dataset):
    """What metrics.json holds, but for the time taken."""
    labels, table = dataset.labels, dataset.table
    # Images of one find are not independent, which the intervals take into account.
    groups = table["observation"].to_numpy() if "observation" in table else None
    levels = dataset.taxonomy.levels
    chosen = _shares(arrays, labels, levels) if "block_dims" in arrays else {}
    if chosen:
        splits = arrays.keys() & {*SPLITS}
        dims, shares = arrays["block_dims"], chosen["shares"]
        arrays = arrays | {s: metrics.at_shares(arrays[s], dims, shares) for s in splits}
    options = {"groups": groups, "levels": levels}
    values = metrics.evaluate(arrays, labels, **options) | chosen
    if "val" in arrays:
        values["val"] = metrics.evaluate(arrays, labels, split="val", **options)
    return values


def _shares(arrays, labels, levels):
    """What each level counts for, as validation images choose it, and what other shares give."""
    blocks = {
        split: np.split(arrays[split], np.cumsum(arrays["block_dims"])[:-1], axis=1)
        for split in ("train", "val", "test")
        if split in arrays
    }
    of = {split: labels[arrays[f"{split}_index"]] for split in blocks}
    train = blocks["train"], of["train"]
    val = blocks.get("val"), of.get("val")
    shares, curve = metrics.choose_shares(*train, *val, levels=levels)
    curves = {"test": metrics.share_curve(*train, blocks["test"], of["test"], levels=levels)}
    if curve is not None:
        curves["val"] = curve
    curves = {split: curve.to_dict("list") for split, curve in curves.items()}
    return {"shares": list(shares), "share_curves": curves}
