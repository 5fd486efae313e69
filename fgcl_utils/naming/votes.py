"""From similarities to nested probabilities: who votes, how sharply, and for which class.

Either the photos of a class vote together, by their centroid, or every training photo votes for
itself. A vote weighs exp(cosine / T). The coarsest level is decided first, every finer one within
it::

    p(genus) = votes for the genus / all votes                           at the genus level's T
    p(species) = p(genus) · votes for the species / those of its genus   at the species level's T

so that the probabilities of a genus's species add up to its own.
"""

from functools import cached_property

import numpy as np
import pandas as pd

from fgcl_utils.metrics import unit

RULES = ("centroids", "neighbours")


class Electorate:
    """The training photos of a run, as they vote on new ones.

    They are kept in the order of their lineages, so that every class is a slice of them.

    Parameters
    ----------
    train : float array (M, D)
        Embeddings.
    labels : int array (M, L)
        Codes, finest level first, −1 where a label is not known.

    Attributes
    ----------
    rows : int array (M,)
        Where each was in `train`.
    classes : list of L int arrays
        The codes that training photos have; probabilities have a column for each, in this order.
    parents : list of L int arrays
        Of each class the position of the one above it, ascending; 0 at the coarsest level.
    n_photos : list of L int arrays
        Of each class.

    Raises
    ------
    ValueError
        If the shapes do not fit, or no training photo is known at a level.
    """

    def __init__(self, train, labels):
        labels = np.asarray(labels)
        if labels.ndim != 2 or len(labels) != len(train):
            raise ValueError(
                f"labels have shape {labels.shape} for {len(train)} embeddings: give a row of "
                "each a photo, and a column of labels a level"
            )
        if unknown := np.flatnonzero((labels < 0).all(axis=0)).tolist():
            raise ValueError(f"no training photo has a label at level {unknown[0]}")
        self.rows = np.lexsort(labels.T)  # the last key, the coarsest level, decides first
        self.train, labels = unit(train)[self.rows].astype(np.float32), labels[self.rows]
        # A slice a class, and one for those of a parent whose class is not known.
        self._starts = [np.flatnonzero(np.diff(level, prepend=-2)) for level in labels.T]
        self._is_class = [labels[s, l] >= 0 for l, s in enumerate(self._starts)]
        firsts = [starts[is_class] for starts, is_class in self._slices]
        self.classes = [labels[first, l] for l, first in enumerate(firsts)]
        self.n_photos = [
            np.diff(starts, append=len(labels))[is_class] for starts, is_class in self._slices
        ]
        above = [pd.Index(c).get_indexer(labels[f, l]) for l, (c, f) in
                 enumerate(zip(self.classes[1:], firsts, strict=False), 1)]  # fmt: skip
        self.parents = [*above, np.zeros(len(firsts[-1]), dtype=int)]

    @property
    def _slices(self):
        return list(zip(self._starts, self._is_class, strict=True))

    @cached_property
    def centroids(self):
        """Of each level the unit mean direction of its classes, float64 (C, D)."""
        return [
            unit(np.add.reduceat(self.train, starts, axis=0, dtype=np.float64)[is_class])
            for starts, is_class in self._slices
        ]

    def cosines(self, vectors):
        """Cosines of vectors (N, D) to all training photos, float32 (N, M)."""
        return unit(vectors).astype(np.float32) @ self.train.T

    def log_votes(self, rule, level, temperature, vectors, cosines):
        """Logarithm of the votes for each class of a level, float64 (N, C), but for a constant.

        Parameters
        ----------
        rule : {"centroids", "neighbours"}
        level : int
        temperature : float
        vectors, cosines
            As `cosines` takes and returns them.
        """
        if rule == "centroids":
            cosines = unit(vectors) @ self.centroids[level].T  # (N, C)
            return cosines / temperature + np.log(self.n_photos[level])
        # Not below e⁻⁸⁷, where float32 ends: then every class has votes.
        exponents = (cosines - cosines.max(axis=1, keepdims=True)) / np.float32(temperature)
        weights = np.exp(np.maximum(exponents, -87))  # (N, M)
        votes = np.add.reduceat(weights, self._starts[level], axis=1)[:, self._is_class[level]]
        return np.log(votes.astype(np.float64))

    def log_probabilities(self, votes):
        """Nested log-probabilities (N, C) from the log-votes (N, C) of every level."""
        levels = [within(votes[-1], self.parents[-1])]
        for finer, parents in zip(votes[-2::-1], self.parents[-2::-1], strict=True):
            levels.insert(0, within(finer, parents) + levels[0][:, parents])
        return levels


def within(votes, parents):
    """Log-probability of each class among those of its parent.

    Parameters
    ----------
    votes : float array (N, C)
        Their logarithms.
    parents : int array (C,)
        Ascending.
    """
    starts = np.flatnonzero(np.diff(parents, prepend=-1))
    own = np.searchsorted(parents[starts], parents)  # of each class its parent's place
    votes = votes - np.maximum.reduceat(votes, starts, axis=1)[:, own]
    return votes - np.log(np.add.reduceat(np.exp(votes), starts, axis=1))[:, own]
