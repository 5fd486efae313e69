"""Mistakes: which classes are taken for which, and how far apart these are in the taxonomy."""

import numpy as np
import pandas as pd
from sklearn.metrics import confusion_matrix

from fgcl_utils.metrics.centroids import known_samples, nearest_centroid


def taxonomic_distance(a, b):
    """Levels on which two samples part: 0 same species, 1 same genus only, 2 other genus, ...

    The height of their lowest common ancestor (Bertinetto et al., "Making better mistakes", CVPR
    2020); with L levels it is L for samples that share none. The mean over mistakes is their
    severity.

    Parameters
    ----------
    a, b : int array (N, L)
        Nested label codes, finest level first, known at every level.

    Returns
    -------
    int array (N,)
    """
    return (np.asarray(a) != np.asarray(b)).sum(axis=1)


def reduction_vs_ce(methods, measure="genus_outliers"):
    """Share of CE's outliers that each other method removes, dict of floats.

    `methods` maps names to measures, `measure` is the count. None for CE itself and where CE has
    no outlier. `relative_change` has it for several seeds, with an interval.
    """
    base = methods["ce"][measure]
    return {
        name: 1 - values[measure] / base if base and name != "ce" else None
        for name, values in methods.items()
    }


def genus_confusions(embeddings, labels, level=1):
    """Test samples by true class (rows) and class of the nearest centroid, int (G, G).

    Of `level` 1, the genera, or another; samples that are not known at it are left out.
    """
    labels = np.asarray(labels)[:, level]
    train, test = labels[embeddings["train_index"]], labels[embeddings["test_index"]]
    predicted = nearest_centroid(embeddings["train"], train, embeddings["test"])
    predicted, test = known_samples(test, predicted)
    return confusion_matrix(test, predicted, labels=np.arange(labels.max() + 1))


def confusable_species(embeddings, dataset, n_pairs=4, level=0):
    """The pairs of species that are most often taken for each other on the test split.

    A test sample confuses its species with that of its nearest species centroid.

    Parameters
    ----------
    embeddings : dict of arrays
        As in ``embeddings.npz``.
    dataset : ImageDataset
    n_pairs : int
    level : int
        0 for species; at another level, read class for species and its parent for genus.

    Returns
    -------
    DataFrame
        species_a, species_b, genus (both where they differ; empty at the coarsest level),
        confusions (in both directions), examples_a and examples_b (their test images as rows of
        the data set, those taken for the other species first), most confused first.
    """
    species = dataset.labels[:, level]
    train, test = species[embeddings["train_index"]], species[embeddings["test_index"]]
    predicted = nearest_centroid(embeddings["train"], train, embeddings["test"])
    predicted, index, test = known_samples(test, predicted, embeddings["test_index"])
    pairs = np.sort(np.column_stack([test, predicted])[predicted != test], axis=1)
    pairs, counts = np.unique(pairs, axis=0, return_counts=True)
    names, *coarser = dataset.taxonomy.names[level:]
    rows = []
    for i in np.argsort(-counts, kind="stable")[:n_pairs]:
        a, b = pairs[i]
        genera = [coarser[0][dataset.taxonomy.parents[level][c]] for c in (a, b) if coarser]
        examples = []
        for true, other in ((a, b), (b, a)):
            own = np.flatnonzero(test == true)
            confused_first = np.argsort(predicted[own] != other, kind="stable")
            examples.append(index[own[confused_first]].tolist())
        genus = " / ".join(dict.fromkeys(genera))
        rows.append((names[a], names[b], genus, int(counts[i]), *examples))
    columns = ["species_a", "species_b", "genus", "confusions", "examples_a", "examples_b"]
    return pd.DataFrame(rows, columns=columns)
