"""All measures of one run on one split, as one flat dict for metrics.json."""

from typing import NamedTuple

import numpy as np
from scipy.special import softmax

from fgcl_utils.metrics import calibration, open_set
from fgcl_utils.metrics.centroids import (
    centroid_distance,
    known_samples,
    nearest_centroid,
    nearest_centroid_outliers,
)
from fgcl_utils.metrics.classifiers import knn_predictions, linear_predictions
from fgcl_utils.metrics.hierarchy import cophenetic_correlation, ranking_measures
from fgcl_utils.metrics.mistakes import taxonomic_distance
from fgcl_utils.metrics.structure import retrieval, silhouette
from fgcl_utils.metrics.uncertainty import bootstrap_interval

SPACES = ("", "_encoder")
FREQUENCIES = ("head", "middle", "tail")


def evaluate(embeddings, labels, split="test", groups=None, levels=("species", "genus")):
    """Measures of one run on one split.

    Parameters
    ----------
    embeddings : dict of arrays
        As in ``embeddings.npz``: ``train``, ``<split>`` (the embedding), ``train_encoder``,
        ``<split>_encoder`` (encoder features), ``train_index``, ``<split>_index``; if there are
        any, ``unseen``, ``unseen_encoder`` (species that training never saw), ``<split>_logits``
        and ``val_logits`` (of the classifier of the finest level).
    labels : int array (N, L)
        Codes of the whole data set, finest level first; -1 at the finer levels of a sample that
        is known to a coarser one only. It counts at the levels that it has, as training and as
        test sample, and is left out below.
    split : {"test", "val"}
    groups : array (N,), optional
        Observation of every image of the data set: intervals then resample observations.
    levels : sequence of L str
        Names of the levels, finest first. Below, genus stands for any, species for the finest.

    Returns
    -------
    dict
        JSON-able numbers; None where the data does not define a measure, such as the severity of
        no mistakes. ``n_test`` samples, and ``n_test_genus`` where fewer are known at a level; a
        level at which train or the split has no known sample has no measures. Then, in the
        embedding and with ``_encoder`` in the encoder's features, for every level:

        - ``genus_outliers``, ``genus_outlier_rate`` and its 95 % bootstrap ``_interval``, with
          centroids from train; ``*_test_centroids`` with centroids from the split itself; not for
          the finest level. ``genus_accuracy`` = 1 - rate, centroids from train. For species the
          accuracy has the ``_interval``, and is also given for the test samples of the third of
          the species with most training samples, ``species_accuracy_head``, and of the other
          thirds, ``_middle`` and ``_tail``.
        - ``genus_knn_accuracy`` and ``genus_linear_accuracy``: see `knn_predictions` and
          `linear_predictions`.
        - ``genus_map_at_r`` and ``genus_recall_at_1``: see `retrieval`; ``genus_silhouette``: see
          `silhouette`. Both are within the split.

        With two levels or more, of the samples that are known at all of them:

        - ``mistake_severity`` and ``mean_taxonomic_distance``: the `taxonomic_distance` between
          the species of a sample and that of its nearest species centroid, over the samples where
          they differ and over all.
        - ``full_path_accuracy``: share of the samples that are nearest to their own centroid at
          every level. ``path_inconsistency``: share of which the nearest genus centroid, or that
          of another coarser level, is not the genus of the nearest species centroid.
        - ``h_ap``, ``ndcg``, ``asi``, ``order_concordance``, ``mean_hierarchical_distance_at_1``,
          ``_5`` and ``_20``: see `ranking_measures`. ``cpcc``: see `cophenetic_correlation`. All
          are within the split.

        ``open_set_auroc`` and ``open_set_fpr95`` (test split only: the unseen are test photos, at
        which no choice on validation data may look): see `auroc` and `fpr95`; strange is what is
        far from the nearest species centroid of train.

        Without spaces, from logits: ``classifier_accuracy``, ``calibration_error``, ``nll`` and
        ``brier``; on another split than val also ``calibration_error_scaled``, after division by
        the ``calibration_temperature`` fitted to the validation logits.

    Raises
    ------
    ValueError
        If an array is missing, empty or not finite, or does not fit its index; if levels and
        labels do not fit.
    """
    labels, levels = np.asarray(labels), tuple(levels)
    _check_labels(labels, levels)
    if groups is not None and len(groups) != len(labels):
        raise ValueError(f"{len(groups)} groups for {len(labels)} images: give one an image")
    values = {}
    for suffix in SPACES:
        train = _samples(embeddings, labels, "train", suffix)
        test = _samples(embeddings, labels, split, suffix, groups)
        values |= _sizes(test, levels)
        known = (train.labels >= 0).any(axis=0) & (test.labels >= 0).any(axis=0)  # (L,)
        train, test = (part._replace(labels=part.labels[:, known]) for part in (train, test))
        names = [level for level, is_known in zip(levels, known, strict=True) if is_known]
        if not names:
            raise ValueError(f"train and {split} have no level at which both know a sample")
        nearest = [nearest_centroid(train.vectors, c, test.vectors) for c in train.labels.T]
        nearest = np.stack(nearest, axis=1)  # class of the nearest centroid, (n, known levels)
        values |= _centroid_measures(nearest, test, names, levels[0], suffix)
        values |= _classifier_measures(train, test, names, suffix)
        values |= _structure_measures(test, names, suffix)
        if known[0]:
            values |= _frequency_measures(nearest, train, test, levels[0], suffix)
        if known[0] and len(levels) > 1:
            values |= _hierarchy_measures(nearest, train, test, suffix)
        if split == "test" and len(embeddings.get("unseen", ())):
            unseen = _samples(embeddings, labels, "unseen", suffix)
            values |= _open_set_measures(train, test, unseen, suffix)
    if f"{split}_logits" in embeddings:
        values |= _calibration_measures(embeddings, labels[:, 0], split)
    return values


class _Samples(NamedTuple):
    """Samples of a split in one space."""

    vectors: np.ndarray  # (n, D)
    labels: np.ndarray  # (n, L)
    groups: np.ndarray | None  # (n,)


def _check_labels(labels, levels):
    if not levels or len(set(levels)) < len(levels):
        raise ValueError(f"levels are {levels}: give each a name of its own, finest first")
    if labels.ndim != 2 or labels.shape[1] != len(levels):
        raise ValueError(
            f"labels have shape {labels.shape}, but there are {len(levels)} levels: "
            f"{', '.join(levels)}. Give labels a column for each, finest first: (N, {len(levels)})"
        )
    gaps = np.flatnonzero(((labels[:, :-1] >= 0) & (labels[:, 1:] < 0)).any(axis=1))
    if len(gaps):
        raise ValueError(
            f"{len(gaps)} labels are known at a level, but not above it, first that of row "
            f"{gaps[0]}: {labels[gaps[0]].tolist()}. Only the finer levels can be unknown (-1)"
        )


def _samples(embeddings, labels, split, suffix, groups=None):
    """The samples of a split in one space, checked."""
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
    return _Samples(vectors, labels[index], None if groups is None else np.asarray(groups)[index])


def _sizes(test, levels):
    known = dict(zip(levels, (test.labels >= 0).sum(axis=0), strict=True))
    fewer = {f"n_test_{level}": int(n) for level, n in known.items() if n < len(test.labels)}
    return {"n_test": len(test.labels)} | fewer


def _centroid_measures(nearest, test, levels, finest, suffix):
    """Accuracy of the nearest centroid at every level, and outliers at all but the finest."""
    measures = {}
    for l, level in enumerate(levels):
        known = test.labels[:, l] >= 0
        truth, groups = test.labels[known, l], None if test.groups is None else test.groups[known]
        right = nearest[known, l] == truth
        if level == finest:
            measures |= _rate(f"{level}_accuracy{suffix}", right, groups)
            continue
        measures[f"{level}_accuracy{suffix}"] = float(right.mean())
        vectors = test.vectors[known]
        own = nearest_centroid_outliers(vectors, truth, vectors, truth)
        for centroids, out in (("", ~right), ("_test_centroids", own)):
            measures[f"{level}_outliers{suffix}{centroids}"] = int(out.sum())
            measures |= _rate(f"{level}_outlier_rate{suffix}{centroids}", out, groups)
    return measures


def _frequency_measures(nearest, train, test, finest, suffix):
    """Accuracy by thirds of the finest classes, most training samples first."""
    classes, counts = np.unique(train.labels[train.labels[:, 0] >= 0, 0], return_counts=True)
    thirds = np.array_split(classes[np.argsort(-counts, kind="stable")], len(FREQUENCIES))
    right = nearest[:, 0] == test.labels[:, 0]
    parts = [right[np.isin(test.labels[:, 0], third)] for third in thirds]
    return {
        f"{finest}_accuracy_{name}{suffix}": float(part.mean()) if len(part) else None
        for name, part in zip(FREQUENCIES, parts, strict=True)
    }


def _hierarchy_measures(nearest, train, test, suffix):
    """Mistakes, paths and order of the test samples that are known at every level."""
    vectors, nearest, truth = known_samples(test.labels, test.vectors, nearest)
    (lineages,) = known_samples(train.labels)
    classes, first = np.unique(lineages[:, 0], return_index=True)
    lineage = lineages[first][np.searchsorted(classes, nearest[:, 0])]  # of the nearest, (n, L)
    distance = taxonomic_distance(lineage, truth)
    mistakes = distance[distance > 0]
    measures = {
        "mistake_severity": float(mistakes.mean()) if len(mistakes) else None,
        "mean_taxonomic_distance": float(distance.mean()),
        "full_path_accuracy": float((nearest == truth).all(axis=1).mean()),
        "path_inconsistency": float((nearest != lineage).any(axis=1).mean()),
        **ranking_measures(vectors, truth),
        "cpcc": cophenetic_correlation(vectors, truth),
    }
    return {f"{name}{suffix}": value for name, value in measures.items()}


def _classifier_measures(train, test, levels, suffix):
    measures = {}
    knn = knn_predictions(train.vectors, train.labels, test.vectors)  # (n, L)
    for l, level in enumerate(levels):
        truth = test.labels[:, l]
        linear = linear_predictions(train.vectors, train.labels[:, l], test.vectors)
        for name, predicted in (("knn", knn[:, l]), ("linear", linear)):
            right = (predicted == truth)[truth >= 0]
            measures[f"{level}_{name}_accuracy{suffix}"] = float(right.mean())
    return measures


def _structure_measures(test, levels, suffix):
    measures = {}
    map_at_r, recall_at_1 = retrieval(test.vectors, test.labels)
    for l, level in enumerate(levels):
        measures[f"{level}_map_at_r{suffix}"] = map_at_r[l]
        measures[f"{level}_recall_at_1{suffix}"] = recall_at_1[l]
        measures[f"{level}_silhouette{suffix}"] = silhouette(test.vectors, test.labels[:, l])
    return measures


def _open_set_measures(train, test, unseen, suffix):
    known, unknown = (
        centroid_distance(train.vectors, train.labels[:, 0], vectors)
        for vectors in (test.vectors[test.labels[:, 0] >= 0], unseen.vectors)
    )
    return {
        f"open_set_auroc{suffix}": open_set.auroc(known, unknown),
        f"open_set_fpr95{suffix}": open_set.fpr95(known, unknown),
    }


def _calibration_measures(embeddings, finest, split):
    logits, truth = _known_logits(embeddings, finest, split)
    if not len(truth):
        return {}
    probabilities = softmax(logits, axis=1)
    measures = {
        "classifier_accuracy": float((logits.argmax(axis=1) == truth).mean()),
        "calibration_error": calibration.calibration_error(probabilities, truth),
        "nll": calibration.negative_log_likelihood(logits, truth),
        "brier": calibration.brier_score(probabilities, truth),
    }
    if "val_logits" in embeddings and split != "val":
        temperature = calibration.fit_temperature(*_known_logits(embeddings, finest, "val"))
        scaled = softmax(logits / temperature, axis=1)
        measures["calibration_temperature"] = temperature
        measures["calibration_error_scaled"] = calibration.calibration_error(scaled, truth)
    return measures


def _known_logits(embeddings, finest, split):
    """Logits and classes of the samples of a split that are known at the finest level."""
    return known_samples(finest[embeddings[f"{split}_index"]], embeddings[f"{split}_logits"])


def _rate(name, values, groups):
    """Mean of bool values (N,) and its bootstrap interval."""
    interval = bootstrap_interval(values, groups=groups)
    return {name: float(values.mean()), f"{name}_interval": list(interval)}
