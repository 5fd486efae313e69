"""Outliers and the other measures of a representation.

The paper's measure: a test sample is an *outlier* if its nearest genus centroid is not that of its
own genus. Distances are cosine; centroids come from the training split unless said otherwise.
Every function takes arrays and returns arrays or numbers; labels are integer codes.
"""

import numpy as np
import pandas as pd
from sklearn.metrics import confusion_matrix
from sklearn.neighbors import KNeighborsClassifier

K_NEIGHBORS = 5


def unit(vectors):
    """Rows of `vectors` (N, D) scaled to length one, as float64; zero rows stay zero."""
    vectors = np.asarray(vectors, dtype=np.float64)
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)


def class_centroids(embedding, labels):
    """Unit mean direction of each class.

    Parameters
    ----------
    embedding : float array (N, D)
    labels : int array (N,)

    Returns
    -------
    classes : int array (C,)
        The labels that occur, sorted.
    centroids : float64 array (C, D)
    """
    classes, codes = np.unique(labels, return_inverse=True)
    sums = np.zeros((len(classes), np.shape(embedding)[1]))
    np.add.at(sums, codes, unit(embedding))
    return classes, unit(sums)


def nearest_centroid(train, train_labels, test):
    """Class of the centroid nearest to each test sample by cosine, int array (N_test,)."""
    classes, centroids = class_centroids(train, train_labels)
    return classes[np.argmax(unit(test) @ centroids.T, axis=1)]


def nearest_centroid_outliers(train, train_labels, test, test_labels):
    """Which test samples lie nearest to another class's centroid, bool array (N_test,).

    With genus codes as labels these are the paper's outliers; pass the test split twice for
    centroids taken from the test samples themselves.
    """
    return nearest_centroid(train, train_labels, test) != np.asarray(test_labels)


def nearest_centroid_2d(plane, labels):
    """Outliers on a 2-D map (N, 2) by Euclidean distance to the class means of the map itself."""
    classes, codes = np.unique(labels, return_inverse=True)
    centres = np.stack([plane[codes == c].mean(axis=0) for c in range(len(classes))])
    distances = np.linalg.norm(plane[:, None] - centres[None], axis=2)  # (N, C)
    return distances.argmin(axis=1) != codes


def knn_predictions(train, train_labels, test, k=K_NEIGHBORS):
    """Majority label of the `k` nearest training samples by cosine, int array (N_test,)."""
    model = KNeighborsClassifier(min(k, len(train)), metric="cosine", algorithm="brute")
    return model.fit(train, train_labels).predict(test)


def bootstrap_interval(values, confidence=0.95, n_resamples=2000, seed=0):
    """Percentile interval of the mean of `values` (N,) under resampling of the samples.

    It covers the choice of test photos, not the seed of the training.
    """
    values = np.asarray(values, dtype=np.float64)
    rng = np.random.default_rng(seed)
    means = [values[rng.integers(0, len(values), len(values))].mean() for _ in range(n_resamples)]
    tail = 50 * (1 - confidence)
    low, high = np.percentile(means, [tail, 100 - tail])
    return float(low), float(high)


def evaluate(embeddings, labels, split="test"):
    """Measures of one run on one split.

    Parameters
    ----------
    embeddings : dict of arrays
        As in ``embeddings.npz``: ``train``, ``<split>`` (the embedding), ``train_encoder``,
        ``<split>_encoder`` (encoder features), ``train_index``, ``<split>_index``.
    labels : int array (N, L)
        Codes of the whole data set, finest level first; the first two are species and genus.
    split : {"test", "val"}

    Returns
    -------
    dict
        ``genus_outliers`` and ``genus_outlier_rate`` (embedding, centroids from train) with a 95 %
        bootstrap interval; ``*_encoder`` in the encoder's features; ``*_test_centroids`` with
        centroids from the split itself; ``species_accuracy`` (nearest species centroid) and
        ``species_knn_accuracy``, likewise with ``_encoder``; ``n_test``.
    """
    train_labels = labels[embeddings["train_index"]]
    test_labels = labels[embeddings[f"{split}_index"]]
    values = {"n_test": len(test_labels)}
    for suffix in ("", "_encoder"):
        train, test = embeddings[f"train{suffix}"], embeddings[f"{split}{suffix}"]
        for centroids, (source, source_genus) in {
            "": (train, train_labels[:, 1]),
            "_test_centroids": (test, test_labels[:, 1]),
        }.items():
            out = nearest_centroid_outliers(source, source_genus, test, test_labels[:, 1])
            values[f"genus_outliers{suffix}{centroids}"] = int(out.sum())
            values[f"genus_outlier_rate{suffix}{centroids}"] = float(out.mean())
            interval = bootstrap_interval(out)
            values[f"genus_outlier_rate{suffix}{centroids}_interval"] = list(interval)
        nearest = nearest_centroid(train, train_labels[:, 0], test)
        knn = knn_predictions(train, train_labels[:, 0], test)
        values[f"species_accuracy{suffix}"] = float((nearest == test_labels[:, 0]).mean())
        values[f"species_knn_accuracy{suffix}"] = float((knn == test_labels[:, 0]).mean())
    return values


def reduction_vs_ce(methods):
    """Share of CE's genus outliers that each other method removes, dict of floats.

    `methods` maps names to measures. None for CE itself and where CE has no outlier.
    """
    base = methods["ce"]["genus_outliers"]
    return {
        name: 1 - values["genus_outliers"] / base if base and name != "ce" else None
        for name, values in methods.items()
    }


def genus_confusions(embeddings, labels):
    """Test samples by true genus (rows) and genus of the nearest centroid, int (G, G)."""
    train, test = labels[embeddings["train_index"], 1], labels[embeddings["test_index"], 1]
    predicted = nearest_centroid(embeddings["train"], train, embeddings["test"])
    return confusion_matrix(test, predicted, labels=np.arange(labels[:, 1].max() + 1))


def confusable_species(embeddings, dataset, n_pairs=4):
    """The species pairs that are most often taken for each other on the test split.

    A test sample confuses its species with that of its nearest species centroid.

    Parameters
    ----------
    embeddings : dict of arrays
        As in ``embeddings.npz``.
    dataset : ImageDataset
    n_pairs : int

    Returns
    -------
    DataFrame
        species_a, species_b, genus (both where they differ), confusions (in both directions),
        examples_a and examples_b (their test images as rows of the data set, those taken for the
        other species first), most confused first.
    """
    train, test = embeddings["train_index"], embeddings["test_index"]
    species = dataset.labels[:, 0]
    predicted = nearest_centroid(embeddings["train"], species[train], embeddings["test"])
    wrong = predicted != species[test]
    pairs = np.sort(np.column_stack([species[test], predicted])[wrong], axis=1)
    pairs, counts = np.unique(pairs, axis=0, return_counts=True)
    names, genera = dataset.taxonomy.names
    parents = dataset.taxonomy.parents[0]
    rows = []
    for i in np.argsort(-counts, kind="stable")[:n_pairs]:
        a, b = pairs[i]
        genus = dict.fromkeys([genera[parents[a]], genera[parents[b]]])
        examples = []
        for true, other in ((a, b), (b, a)):
            own = np.flatnonzero(species[test] == true)
            confused_first = np.argsort(predicted[own] != other, kind="stable")
            examples.append(test[own[confused_first]].tolist())
        rows.append((names[a], names[b], " / ".join(genus), int(counts[i]), *examples))
    columns = ["species_a", "species_b", "genus", "confusions", "examples_a", "examples_b"]
    return pd.DataFrame(rows, columns=columns)
