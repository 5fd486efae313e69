"""All measures of one run on one split, as one flat dict for metrics.json."""

import numpy as np
from scipy.special import softmax

from fgcl_utils.metrics import calibration, open_set
from fgcl_utils.metrics.centroids import (
    centroid_distance,
    nearest_centroid,
    nearest_centroid_outliers,
)
from fgcl_utils.metrics.classifiers import knn_predictions, linear_predictions
from fgcl_utils.metrics.mistakes import taxonomic_distance
from fgcl_utils.metrics.structure import retrieval, silhouette
from fgcl_utils.metrics.uncertainty import bootstrap_interval

LEVELS = ("species", "genus", "family", "order", "class")
SPACES = ("", "_encoder")


def evaluate(embeddings, labels, split="test", groups=None):
    """Measures of one run on one split.

    Parameters
    ----------
    embeddings : dict of arrays
        As in ``embeddings.npz``: ``train``, ``<split>`` (the embedding), ``train_encoder``,
        ``<split>_encoder`` (encoder features), ``train_index``, ``<split>_index``; if there are
        any, ``unseen``, ``unseen_encoder`` (species that training never saw), ``<split>_logits``
        and ``val_logits`` (of the classifier).
    labels : int array (N, L)
        Codes of the whole data set, finest level first: species, genus and, if there are more,
        the next of `LEVELS`.
    split : {"test", "val"}
    groups : array (N,), optional
        Observation of every image of the data set: intervals then resample observations.

    Returns
    -------
    dict
        JSON-able numbers; None where the data does not define a measure, such as the severity of
        no mistakes. ``n_test`` samples. Then, in the embedding and with ``_encoder`` in the
        encoder's features, for every level such as ``genus``:

        - ``genus_outliers``, ``genus_outlier_rate`` and its 95 % bootstrap ``_interval``, with
          centroids from train; ``*_test_centroids`` with centroids from the split itself. For
          species the same measure is ``species_accuracy`` = 1 - rate, centroids from train.
        - ``genus_knn_accuracy`` and ``genus_linear_accuracy``: see `knn_predictions` and
          `linear_predictions`.
        - ``genus_map_at_r`` and ``genus_recall_at_1``: see `retrieval`; ``genus_silhouette``: see
          `silhouette`. Both are within the split.

        ``mistake_severity`` and ``mean_taxonomic_distance``: the `taxonomic_distance` between the
        species of a sample and that of its nearest species centroid, over the samples where they
        differ and over all. ``open_set_auroc`` and ``open_set_fpr95`` (test split only: the
        unseen are test photos, at which no choice on validation data may look): see `auroc` and
        `fpr95`; strange is what is far from the nearest species centroid of train.

        Without spaces, from logits: ``classifier_accuracy``, ``calibration_error``, ``nll`` and
        ``brier``; on another split than val also ``calibration_error_scaled``, after division by
        the ``calibration_temperature`` fitted to the validation logits.

    Raises
    ------
    ValueError
        If an array is missing, empty or not finite, or does not fit its index.
    """
    labels = np.asarray(labels)
    if labels.ndim != 2 or not 2 <= labels.shape[1] <= len(LEVELS):
        raise ValueError(f"labels have shape {labels.shape}, not (N, L) with L 2 to {len(LEVELS)}")
    if groups is not None and len(groups) != len(labels):
        raise ValueError(f"{len(groups)} groups for {len(labels)} images: give one an image")
    values = {}
    for suffix in SPACES:
        train, train_labels = _samples(embeddings, labels, "train", suffix)
        test, test_labels = _samples(embeddings, labels, split, suffix)
        values["n_test"] = len(test)
        own_groups = None if groups is None else np.asarray(groups)[embeddings[f"{split}_index"]]
        values |= _centroid_measures(train, train_labels, test, test_labels, suffix, own_groups)
        values |= _classifier_measures(train, train_labels, test, test_labels, suffix)
        values |= _structure_measures(test, test_labels, suffix)
        if split == "test" and len(embeddings.get("unseen", ())):
            unseen, _ = _samples(embeddings, labels, "unseen", suffix)
            values |= _open_set_measures(train, train_labels[:, 0], test, unseen, suffix)
    if f"{split}_logits" in embeddings:
        values |= _calibration_measures(embeddings, labels[:, 0], split)
    return values


def _samples(embeddings, labels, split, suffix):
    """Vectors (n, D) and labels (n, L) of a split in one space, checked."""
    name = f"{split}{suffix}"
    missing = {name, f"{split}_index"} - set(embeddings)
    if missing:
        raise ValueError(
            f"embeddings have no {' and no '.join(sorted(missing))}; they have "
            f"{', '.join(embeddings)}"
        )
    vectors, index = np.asarray(embeddings[name]), np.asarray(embeddings[f"{split}_index"])
    if len(vectors) != len(index) or not len(index):
        raise ValueError(
            f"{name} has {len(vectors)} rows and {split}_index {len(index)}: a split needs at "
            "least one sample, and one row for each"
        )
    if not np.isfinite(vectors).all():
        rows = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
        raise ValueError(
            f"{len(rows)} rows of {name} are not finite, first row {rows[0]}: train the run again, "
            "with a lower learning_rate or precision=float32"
        )
    return vectors, labels[index]


def _centroid_measures(train, train_labels, test, test_labels, suffix, groups):
    """Outliers of the levels above species; accuracy and mistakes at species."""
    measures = {}
    sources = {"": (train, train_labels), "_test_centroids": (test, test_labels)}
    for l, level in enumerate(LEVELS[1 : test_labels.shape[1]], start=1):
        for centroids, (source, source_labels) in sources.items():
            out = nearest_centroid_outliers(source, source_labels[:, l], test, test_labels[:, l])
            measures[f"{level}_outliers{suffix}{centroids}"] = int(out.sum())
            measures |= _rate(f"{level}_outlier_rate{suffix}{centroids}", out, groups)
    nearest = nearest_centroid(train, train_labels[:, 0], test)
    measures |= _rate(f"species_accuracy{suffix}", nearest == test_labels[:, 0], groups)
    species, first = np.unique(train_labels[:, 0], return_index=True)
    lineage = train_labels[first]  # of each species, (C, L)
    distance = taxonomic_distance(lineage[np.searchsorted(species, nearest)], test_labels)
    mistakes = distance[distance > 0]
    measures[f"mistake_severity{suffix}"] = float(mistakes.mean()) if len(mistakes) else None
    measures[f"mean_taxonomic_distance{suffix}"] = float(distance.mean())
    return measures


def _classifier_measures(train, train_labels, test, test_labels, suffix):
    knn = knn_predictions(train, train_labels, test)  # (N, L)
    measures = {}
    for l, level in enumerate(LEVELS[: test_labels.shape[1]]):
        linear = linear_predictions(train, train_labels[:, l], test)
        measures[f"{level}_knn_accuracy{suffix}"] = float((knn[:, l] == test_labels[:, l]).mean())
        measures[f"{level}_linear_accuracy{suffix}"] = float((linear == test_labels[:, l]).mean())
    return measures


def _structure_measures(test, test_labels, suffix):
    measures = {}
    map_at_r, recall_at_1 = retrieval(test, test_labels)
    for l, level in enumerate(LEVELS[: test_labels.shape[1]]):
        measures[f"{level}_map_at_r{suffix}"] = map_at_r[l]
        measures[f"{level}_recall_at_1{suffix}"] = recall_at_1[l]
        measures[f"{level}_silhouette{suffix}"] = silhouette(test, test_labels[:, l])
    return measures


def _open_set_measures(train, species, test, unseen, suffix):
    known, unknown = (centroid_distance(train, species, vectors) for vectors in (test, unseen))
    return {
        f"open_set_auroc{suffix}": open_set.auroc(known, unknown),
        f"open_set_fpr95{suffix}": open_set.fpr95(known, unknown),
    }


def _calibration_measures(embeddings, species, split):
    logits = embeddings[f"{split}_logits"]
    truth = species[embeddings[f"{split}_index"]]
    probabilities = softmax(logits, axis=1)
    measures = {
        "classifier_accuracy": float((logits.argmax(axis=1) == truth).mean()),
        "calibration_error": calibration.calibration_error(probabilities, truth),
        "nll": calibration.negative_log_likelihood(logits, truth),
        "brier": calibration.brier_score(probabilities, truth),
    }
    if "val_logits" in embeddings and split != "val":
        temperature = calibration.fit_temperature(
            embeddings["val_logits"], species[embeddings["val_index"]]
        )
        scaled = softmax(logits / temperature, axis=1)
        measures["calibration_temperature"] = temperature
        measures["calibration_error_scaled"] = calibration.calibration_error(scaled, truth)
    return measures


def _rate(name, values, groups):
    """Mean of bool values (N,) and its bootstrap interval."""
    interval = bootstrap_interval(values, groups=groups)
    return {name: float(values.mean()), f"{name}_interval": list(interval)}
