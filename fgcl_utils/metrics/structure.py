"""How a split is ordered by itself: retrieval and silhouette, without a training split."""

import numpy as np
from sklearn.metrics import silhouette_score
from sklearn.preprocessing import normalize
from sklearn.utils import gen_batches

from fgcl_utils.metrics.centroids import known_samples

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
        Each level is scored from the same ranking. Samples of unknown class (-1) at a level
        neither ask nor are found there.
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
    labels = np.asarray(labels)
    if labels.shape[1] > 1 and labels.min(initial=0) < 0:  # each level ranks samples of its own
        scores = [retrieval(embedding, level[:, None], max_queries, seed) for level in labels.T]
        return [[level[i][0] for level in scores] for i in range(2)]
    embedding, labels = known_samples(labels, embedding)
    codes = np.column_stack([np.unique(level, return_inverse=True)[1] for level in labels.T])
    others = np.column_stack([np.bincount(level)[level] - 1 for level in codes.T])  # R, (N, L)
    scores = [np.empty((2, 0, labels.shape[1]))]  # MAP@R, recall@1 of every block
    for asked, ranking in rankings(embedding, max_queries, seed):
        ranking = ranking[:, : others[asked].max()]  # (A, R max)
        levels = [
            _scores(codes[ranking, l] == codes[asked, l][:, None], others[asked, l])
            for l in range(labels.shape[1])
        ]
        scores.append(np.stack(levels, axis=-1))
    return [[mean(level) for level in score.T] for score in np.concatenate(scores, axis=1)]


def rankings(embedding, max_queries=MAX_QUERIES, seed=0):
    """Every sample, or a seeded sample of `max_queries`, and all the others, nearest first.

    Parameters
    ----------
    embedding : float array (N, D)
        Compared by cosine in float32.
    max_queries, seed : int

    Yields
    ------
    asked : int array (A,)
        Rows that ask, in blocks that keep A x N bounded.
    ranking : int array (A, N - 1)
        The other rows in the order of their cosine to the asked one.
    """
    vectors = normalize(np.asarray(embedding, dtype=np.float32))
    queries = np.arange(len(vectors))
    if len(queries) > max_queries:
        queries = np.random.default_rng(seed).choice(queries, max_queries, replace=False)
    for rows in gen_batches(len(queries), max(1, BLOCK // max(1, len(vectors)))):
        asked = queries[rows]
        similarities = vectors[asked] @ vectors.T  # (A, N)
        similarities[np.arange(len(asked)), asked] = -np.inf
        yield asked, np.argsort(-similarities, axis=1)[:, :-1]


def silhouette(embedding, labels, max_samples=MAX_QUERIES, seed=0):
    """Mean silhouette by cosine distance, in [-1, 1], as scikit-learn computes it.

    Above `max_samples` samples it is that of a seeded sample of so many. None where it is not
    defined: with one class, or with no class of more than one sample. Samples of unknown class
    (-1) are left out.
    """
    embedding, labels = known_samples(labels, embedding)
    if len(labels) > max_samples:
        rows = np.random.default_rng(seed).choice(len(labels), max_samples, replace=False)
        embedding, labels = embedding[rows], labels[rows]
    if not 2 <= len(np.unique(labels)) < len(labels):
        return None
    return float(silhouette_score(embedding, labels, metric="cosine"))


def mean(values):
    """Mean of the values that are defined, None if there is none."""
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if len(defined) else None


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
