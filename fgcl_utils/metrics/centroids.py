"""Nearest class centroids: the paper's outliers, in any space and at any level of the labels."""

import numpy as np
from sklearn.metrics import pairwise_distances_argmin

ROWS = 8192  # of a block: similarities to 1,604 centroids are then 100 MiB, however many samples


def unit(vectors):
    """Rows of `vectors` (N, D) scaled to length one, as float64; zero rows stay zero."""
    vectors = np.asarray(vectors, dtype=np.float64)
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)


def known_samples(labels, *arrays):
    """The arrays, `labels` (N,) or (N, L) last, without the rows that have an unknown label.

    It is -1 among codes, and empty among names.
    """
    labels = np.asarray(labels)
    known = labels >= 0 if labels.dtype.kind in "iu" else labels != ""
    known = known if labels.ndim == 1 else known.all(axis=1)
    arrays = (*map(np.asarray, arrays), labels)
    return arrays if known.all() else tuple(array[known] for array in arrays)


def class_centroids(embedding, labels):
    """Unit mean direction of each class.

    Parameters
    ----------
    embedding : float array (N, D)
    labels : int array (N,)
        A sample of unknown class (-1) is left out.

    Returns
    -------
    classes : int array (C,)
        The labels that occur, sorted.
    centroids : float64 array (C, D)
    """
    classes, sums = class_sums(embedding, labels)
    return classes, unit(sums)


def class_sums(embedding, labels):
    """As `class_centroids`, but the sum of the class's unit vectors."""
    embedding, labels = known_samples(labels, embedding)
    classes, codes = np.unique(labels, return_inverse=True)
    sums = np.zeros((len(classes), embedding.shape[1]))
    for rows in _blocks(len(embedding)):
        np.add.at(sums, codes[rows], unit(embedding[rows]))
    return classes, sums


def nearest_centroid(train, train_labels, test):
    """Class of the centroid nearest to each test sample by cosine.

    Parameters
    ----------
    train : float array (N_train, D)
    train_labels : int array (N_train,)
    test : float array (N_test, D)

    Returns
    -------
    int array (N_test,)
        A class without training samples has no centroid and is never nearest.
    """
    return _search(train, train_labels, test)[0]


def centroid_distance(train, train_labels, test):
    """Cosine distance of each test sample to its nearest class centroid, float64 (N_test,)."""
    return _search(train, train_labels, test)[1]


def nearest_centroid_outliers(train, train_labels, test, test_labels):
    """Which test samples lie nearest to another class's centroid.

    With genus codes as labels these are the paper's outliers; pass the test split twice for
    centroids taken from the test samples themselves.

    Parameters
    ----------
    train, test : float array (N_train, D), (N_test, D)
    train_labels, test_labels : int array (N_train,), (N_test,)
        Or (N_train, L), (N_test, L): every level is judged by centroids of its own.

    Returns
    -------
    bool array of the shape of `test_labels`
        A sample of unknown class (-1) is none.
    """
    train_labels, test_labels = np.asarray(train_labels), np.asarray(test_labels)
    if test_labels.ndim == 1:
        nearest = nearest_centroid(train, train_labels, test)
        return (nearest != test_labels) & (test_labels >= 0)
    levels = zip(train_labels.T, test_labels.T, strict=True)
    return np.column_stack([nearest_centroid_outliers(train, a, test, b) for a, b in levels])


def nearest_centroid_2d(plane, labels):
    """Outliers on a 2-D map (N, 2) by Euclidean distance to the class means of the map itself.

    A sample of unknown class (-1) is none, and part of no mean.
    """
    plane, labels = np.asarray(plane), np.asarray(labels)
    classes = np.unique(labels[labels >= 0])
    centres = np.stack([plane[labels == c].mean(axis=0) for c in classes])
    nearest = classes[pairwise_distances_argmin(plane, centres)]
    return (nearest != labels) & (labels >= 0)


def _search(train, train_labels, test):
    """Nearest class and cosine distance to its centroid of every test sample."""
    classes, centroids = class_centroids(train, train_labels)
    if not len(classes):
        raise ValueError(
            "there are no training samples of a known class, so there is no centroid to be near to"
        )
    test = np.asarray(test)
    nearest, cosine = np.empty(len(test), dtype=np.int64), np.empty(len(test))
    for rows in _blocks(len(test)):
        cosines = unit(test[rows]) @ centroids.T  # (rows, C)
        nearest[rows], cosine[rows] = cosines.argmax(axis=1), cosines.max(axis=1)
    return classes[nearest], 1 - cosine


def _blocks(n):
    """Slices of `ROWS` that cover 0 to n."""
    return (slice(start, start + ROWS) for start in range(0, n, ROWS))
