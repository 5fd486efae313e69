"""Mistakes: which classes are taken for which, and how far apart these are in the taxonomy."""

import numpy as np
import pandas as pd
from sklearn.metrics import confusion_matrix

from fgcl_utils.metrics.centroids import nearest_centroid


def taxonomic_distance(a, b):
    """Levels on which two samples part: 0 same species, 1 same genus only, 2 other genus, ...

    The height of their lowest common ancestor (Bertinetto et al., "Making better mistakes", CVPR
    2020); with L levels it is L for samples that share none. The mean over mistakes is their
    severity.

    Parameters
    ----------
    a, b : int array (N, L)
        Nested label codes, finest level first.

    Returns
    -------
    int array (N,)
    """
    return (np.asarray(a) != np.asarray(b)).sum(axis=1)


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
