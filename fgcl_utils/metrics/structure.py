"""How a split is ordered by itself: retrieval and silhouette, without a training split."""

import numpy as np
from sklearn.metrics import silhouette_score
from sklearn.preprocessing import normalize
from sklearn.utils import gen_batches

MAX_QUERIES = 5000
BLOCK = 2**22  # similarities of a block, about 100 MiB with what is made from them


def retrieval(embedding, labels, max_queries=MAX_QUERIES, seed=0):
    """MAP@R and recall@1 of retrieval within one set of samples, the query itself left out.

    With R the number of *other* samples of the query's class, MAP@R is the mean over queries of
    1/R Σᵢ₌₁ᴿ P(i), where P(i) is the precision among the i nearest if the i-th is of the class,
    and 0 otherwise: 1 when exactly the class comes first. Recall@1 (precision at 1) is the share
    of queries whose nearest neighbour is of their class. A query that is alone in its class has
    nothing to find and is left out. Musgrave et al., "A metric learning reality check", ECCV 2020.

    Parameters
    ----------
    embedding : float array (N, D)
        Compared by cosine, in float32 and in blocks of queries.
    labels : int array (N, L)
        Each level is scored from the same ranking.
    max_queries : int
        Above this many samples, a seeded sample of this many asks; all N are searched, so that R
        keeps its meaning and the time grows with N, not with its square.
    seed : int
        Of that sample.

    Returns
    -------
    map_at_r, recall_at_1 : list of L floats
        None where no query has anything to find.
    """
    vectors, labels = normalize(np.asarray(embedding, dtype=np.float32)), np.asarray(labels)
    codes = np.column_stack([np.unique(level, return_inverse=True)[1] for level in labels.T])
    others = np.column_stack([np.bincount(level)[level] - 1 for level in codes.T])  # R, (N, L)
    queries = np.arange(len(vectors))
    if len(queries) > max_queries:
        queries = np.random.default_rng(seed).choice(queries, max_queries, replace=False)
    scores = np.full((2, len(queries), labels.shape[1]), np.nan)  # MAP@R, recall@1
    for rows in gen_batches(len(queries), max(1, BLOCK // max(1, len(vectors)))):
        asked = queries[rows]
        ranking = _ranking(vectors, asked, others[asked].max())  # (rows, R max)
        for l in range(labels.shape[1]):
            hits = codes[ranking, l] == codes[asked, l][:, None]
            scores[:, rows, l] = _scores(hits, others[asked, l])
    return [[_mean(level) for level in score.T] for score in scores]


def silhouette(embedding, labels, max_samples=MAX_QUERIES, seed=0):
    """Mean silhouette by cosine distance, in [-1, 1], as scikit-learn computes it.

    Above `max_samples` samples it is that of a seeded sample of so many. None where it is not
    defined: with one class, or with no class of more than one sample.
    """
    embedding, labels = np.asarray(embedding), np.asarray(labels)
    if len(labels) > max_samples:
        rows = np.random.default_rng(seed).choice(len(labels), max_samples, replace=False)
        embedding, labels = embedding[rows], labels[rows]
    if not 2 <= len(np.unique(labels)) < len(labels):
        return None
    return float(silhouette_score(embedding, labels, metric="cosine"))


def _ranking(vectors, asked, length):
    """The `length` rows nearest to each asked one, itself left out, nearest first."""
    similarities = vectors[asked] @ vectors.T  # (A, N)
    similarities[np.arange(len(asked)), asked] = -np.inf
    return np.argsort(-similarities, axis=1)[:, :length]


def _scores(hits, n_others):
    """MAP@R and recall@1 of rankings `hits` (A, R max) with R of `n_others` (A,); NaN if R = 0."""
    ranks = np.arange(1, hits.shape[1] + 1)
    hits = hits & (ranks <= n_others[:, None])
    precision = np.cumsum(hits, axis=1) / ranks
    found = n_others > 0
    scores = np.full((2, len(hits)), np.nan)
    scores[0, found] = (precision * hits).sum(axis=1)[found] / n_others[found]
    scores[1, found] = hits[found, :1].any(axis=1)
    return scores


def _mean(values):
    """Mean of the values that are defined, None if there is none."""
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if len(defined) else None
