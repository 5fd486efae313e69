"""A run on frozen features: an encoder looks at every image once, then a head is trained.

The run folder is that of a trained run; its checkpoint.safetensors is the head, for
`HeadTransformer.load`.
"""

import hashlib
import time
from pathlib import Path

import numpy as np
import torch

from fgcl_utils import methods, progress, runs
from fgcl_utils.datasets import SPLITS, pixels
from fgcl_utils.features import read_rows
from fgcl_utils.files import digest, written_aside
from fgcl_utils.heads import HeadTransformer
from fgcl_utils.models import build_model, placed
from fgcl_utils.training import failures, outcome, processes

IMAGES = 64  # that pass the encoder at once


def make(settings, method, dataset):
    """Make a run of ``encoder: frozen`` or of a file of features; `training.train` calls it."""
    folder = runs.run_folder(settings, method)
    with failures.explained(folder, settings) as watch, failures.sole_writer(folder):
        runs.open_run(settings, method, dataset)
        failures.remove_half_written(folder, dataset.cache_dir)
        if runs.finished(folder):  # made while we waited, or kept aside
            return
        watch.place = "while the features were read or computed"
        features = features_of(settings, dataset)
        watch.place = "while the head was trained"
        started = time.perf_counter()
        head = _fitted(settings, method, dataset, features)
        seconds, started = time.perf_counter() - started, time.perf_counter()
        watch.place = "while the splits were embedded and measured"
        with written_aside(folder / "history.csv") as aside:
            _history(head, dataset.taxonomy.levels).to_csv(aside, index=False)
        head.save(folder / "checkpoint.safetensors")
        rows = {split: dataset.indices(split) for split in SPLITS}
        embedded = {
            split: _embedded(head, features[of_split], dataset.taxonomy.n_classes[0])
            for split, of_split in rows.items()
            if len(of_split)
        }
        outcome.write(folder, settings, method, dataset, embedded, seconds, started)


def features_of(settings, dataset):
    """Features of every image of the data set, in the order of its table.

    Those of the file that ``settings.encoder`` names, or of the encoder as ``settings.weights``
    leave it; these are computed once and kept in the cache.

    Returns
    -------
    float array (N, F)
        Of an encoder: a memmap of float32, read-only.

    Raises
    ------
    ValueError
        If a file's rows do not match the data set's; ModelError, if there is no such encoder.
    OSError
        If the disk is too full for the cache file.
    """
    if settings.encoder != "frozen":
        return _read(Path(settings.encoder_source), dataset)
    images = dataset.images(settings.image_size)  # uint8 (N, S, S, 3), a file of the cache
    torch.manual_seed(settings.seed)  # of the weights, where they are none
    model = build_model(
        model_name=settings.model_name,
        image_size=settings.image_size,
        weights=settings.weights_source,
    )
    key = digest([settings.model_name, _content(model)])[:16]
    name = f"{Path(images.filename).stem}-{key}.npy"
    path = dataset.cache_dir / "features" / name
    if not path.exists():
        _compute_into(path, placed(model, processes.make_accelerator("float32").device), images)
    return np.load(path, mmap_mode="r")


def _read(path, dataset):
    """Features of a file, a row an image of the data set."""
    arrays, _ = read_rows(path, dataset.table)
    if len(arrays) > 1:
        raise ValueError(f"{path} holds several arrays, {', '.join(arrays)}: keep one of them")
    (features,) = arrays.values()
    return features


@torch.inference_mode()
def _compute_into(path, model, images):
    model.eval()
    device = model.mean.device

    def encoded(rows):
        batch = torch.tensor(images[rows], device=device)  # (n, S, S, 3)
        return model(batch.permute(0, 3, 1, 2).float() / 255)[0].cpu().numpy()

    n, size = images.shape[:2]
    width = encoded(slice(0, 1)).shape[1]
    with (
        pixels.new_array(path, (n, width), np.float32) as array,
        progress.bar(total=n, desc=f"encoding {n:,} images at {size} px") as bar,
    ):
        for start in range(0, n, IMAGES):
            array[start : start + IMAGES] = encoded(slice(start, start + IMAGES))
            bar.update(min(IMAGES, n - start))


def _content(model):
    """Hash of a network's weights, wherever they come from."""
    content = hashlib.sha256()
    for name, tensor in model.state_dict().items():
        content.update(name.encode() + tensor.numpy().tobytes())
    return content.hexdigest()


def _fitted(settings, method, dataset, features):
    """The head; its epoch and shares are chosen on the validation split, or a part of train."""
    names = HeadTransformer().get_params().keys()
    options = {name: getattr(settings, name) for name in names if hasattr(settings, name)}
    head = HeadTransformer(method, **options, random_state=settings.seed)
    train, val = (dataset.indices(split) for split in ("train", "val"))
    validation = (features[val], dataset.labels[val]) if len(val) else None
    return head.fit(features[train], dataset.labels[train], validation=validation, progress=True)


def _embedded(head, features, n_classes):
    """What `outcome.write` is told of a split; logits for all classes of the finest level."""
    outputs = head.outputs(features)
    if 0 in methods.classified_levels(head.options, head.method):
        known = outputs["logits"][:, : len(head.classes_[0])]
        # A class without a training sample is no likelier than any other.
        logits = np.repeat(known.min(axis=1, keepdims=True), n_classes, axis=1)
        logits[:, head.classes_[0]] = known
        outputs["logits"] = logits
    return {"encoder": np.asarray(features, dtype=np.float32)} | outputs


def _history(head, levels):
    """The epochs as a trained run's history.csv has them."""
    history = head.history_.copy()
    history[f"val_{levels[0]}_accuracy"] = history["val_accuracy_0"]
    for level in levels[1:2]:
        history[f"val_{level}_outlier_rate"] = 1 - history["val_accuracy_1"]
    return history[[name for name in history if not name.startswith("val_accuracy")]]
