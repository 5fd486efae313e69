"""How well the order of the whole hierarchy is kept, not that of one level alone.

Two samples share r levels, 0 to L: none, the coarsest only, ..., all. A good representation ranks
the others by r. All measures here take samples whose label is known at every level.
"""

import numpy as np
from sklearn.utils import gen_batches

from fgcl_utils.metrics.centroids import class_centroids, known_samples
from fgcl_utils.metrics.structure import MAX_QUERIES, mean, rankings

NEAREST = (1, 5, 20)  # ranks at which the hierarchical distance is taken
ROWS = 512  # classes of a block: their distances to 10,000 others are 40 MiB


def ranking_measures(embedding, labels, max_queries=MAX_QUERIES, seed=0):
    """Measures of each sample's ranking of all the others by cosine, means over the samples.

    The n others are ranked 1, ..., n. r(k), the graded relevance of the k-th, is the number of
    levels that it shares with the query. A ranking by descending r is a best one.

    - ``h_ap``, hierarchical average precision: 1 / Σₖ r(k) · Σₖ H-rank(k) / k, with H-rank(k) =
      Σⱼ≤ₖ min(r(j), r(k)). Ramzi et al., "Hierarchical average precision training for pertinent
      image retrieval", ECCV 2022. Their relevance can also divide r by the number of samples that
      share just r levels; here it is r. With one level H-AP is average precision.
    - ``ndcg``: Σₖ r(k) / log₂(k + 1), divided by that of the best ranking. Järvelin and
      Kekäläinen, "Cumulated gain-based evaluation of IR techniques", 2002; the gain is r.
    - ``asi``, average set intersection: the mean over the depths k, from 1 to the number of
      samples with r > 0, of the share of the first k that a best ranking has among its first k,
      too. Sun et al., "Dynamic metric learning", CVPR 2021.
    - ``order_concordance``: of all pairs of others that differ in r, the share that is ranked
      rightly; 1 is perfect, 0.5 is chance. It looks at the whole order, as HOPS does for classes
      (Sani and Anand, "Learning and evaluating hierarchical feature representations", 2025), but
      needs no weights of ranks: as in Kendall's rank correlation, a pair is right or wrong.
    - ``mean_hierarchical_distance_at_1``, ``_5``, ``_20``: mean of L - r over the nearest so many,
      the height of the lowest common ancestor. Bertinetto et al., "Making better mistakes", CVPR
      2020, there of the likeliest classes.

    Parameters
    ----------
    embedding : float array (N, D)
    labels : int array (N, L)
        Nested codes, finest level first. Samples with an unknown level (-1) are left out.
    max_queries, seed : int
        As in `retrieval`.

    Returns
    -------
    dict of float
        None where no query has others that it could rank better or worse: for h_ap, ndcg and asi
        no other of its coarsest class, for order_concordance none or all of equal relevance.
    """
    embedding, labels = known_samples(labels, embedding)
    n_levels = labels.shape[1]
    names = ["h_ap", "ndcg", "asi", "order_concordance"]
    names += [f"mean_hierarchical_distance_at_{k}" for k in NEAREST]
    scores = [np.empty((len(names), 0))]
    blocks = rankings(embedding, max_queries, seed) if len(embedding) > 1 else ()
    for asked, ranking in blocks:
        shared = np.zeros((len(asked), len(labels)), dtype=np.int8)
        for level in labels.T:
            shared += level[asked, None] == level
        relevance = np.take_along_axis(shared, ranking, axis=1)  # r(k), (A, n)
        scores.append(_ranking_scores(relevance, n_levels))
    return dict(zip(names, map(mean, np.concatenate(scores, axis=1)), strict=True))


def cophenetic_correlation(embedding, labels):
    """Correlation of the distances between class centroids with those in the tree, in [-1, 1].

    Over all pairs of finest classes, Pearson's correlation of the Euclidean distance between
    their centroids (unit vectors, see `class_centroids`) with the height of their lowest common
    ancestor, which is half their path in the tree. Zeng et al., "Learning structured
    representations by embedding class hierarchy", ICLR 2023, there with the means of the features
    as they are.

    Parameters
    ----------
    embedding : float array (N, D)
    labels : int array (N, L)
        Nested codes, finest level first. Samples with an unknown level (-1) are left out.

    Returns
    -------
    float
        None where either distance is the same for all pairs, or there is no pair.
    """
    embedding, labels = known_samples(labels, embedding)
    _, centroids = class_centroids(embedding, labels[:, 0])
    lineage = labels[np.unique(labels[:, 0], return_index=True)[1]]  # (C, L)
    n = len(centroids)
    sums = np.zeros(5)
    for rows in gen_batches(n, ROWS):
        squares = np.maximum(0, 2 - 2 * centroids[rows] @ centroids.T)  # (rows, C)
        height = (lineage[rows, None] != lineage).sum(axis=2)  # (rows, C)
        distance = np.sqrt(squares)
        sums += [np.sum(x) for x in (distance, height, squares, height**2, distance * height)]
    # A class and itself have distance 0 in both, so that only the number of pairs leaves them out.
    d, h, dd, hh, dh = sums / max(1, n * (n - 1))
    spread = (dd - d**2) * (hh - h**2)
    return float((dh - d * h) / np.sqrt(spread)) if spread > 1e-12 else None


def _ranking_scores(relevance, n_levels):
    """The measures of `ranking_measures`, (7, A), of ranked relevances (A, n); NaN if undefined."""
    ranks = np.arange(1.0, relevance.shape[1] + 1)
    discounts = 1 / np.log2(ranks + 1)
    best_gains = np.append(0, np.cumsum(discounts))  # of the first 0, ..., n ranks
    n_relevant = (relevance > 0).sum(axis=1)
    depths = ranks[: n_relevant.max()]  # of asi, whose last ranks count for some queries only
    weights = (depths <= n_relevant[:, None]) / depths  # (A, depths)
    above, below = np.zeros((2, 4, len(relevance)))  # h_ap, ndcg, asi, order_concordance
    finer = np.zeros((len(relevance), len(depths)))
    n_finer = np.zeros(len(relevance), dtype=np.int64)
    # r counts the levels p = 1, ..., L that the two share, so that sums over r are sums over p.
    for p in range(n_levels, 0, -1):
        hits, next_coarser = relevance >= p, relevance == p - 1
        found = np.cumsum(hits, axis=1, dtype=np.float64)  # hits among the first k, (A, n)
        n_hits = found[:, -1].astype(np.int64)
        n_exact = n_hits - n_finer  # with r = p
        exact_in_best = np.clip(depths - n_finer[:, None], 0, n_exact[:, None])
        exact_in_both = np.minimum(found[:, : len(depths)] - finer, exact_in_best)
        above += [
            np.einsum("an,an,n->a", found, hits, 1 / ranks),
            hits @ discounts,
            np.einsum("ad,ad->a", exact_in_both, weights),
            np.einsum("an,an->a", found, next_coarser),
        ]
        below += [n_hits, best_gains[n_hits], n_exact, n_hits * next_coarser.sum(axis=1)]
        finer, n_finer = found[:, : len(depths)], n_hits
    ratios = np.divide(above, below, out=np.full_like(above, np.nan), where=below > 0)
    distances = [n_levels - relevance[:, :k].mean(axis=1) for k in NEAREST]
    return np.concatenate([ratios, distances])
