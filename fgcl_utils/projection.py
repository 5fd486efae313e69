"""Two-dimensional maps of embeddings, and how far to trust them.

Every method's map starts from one shared layout and is then turned (which no distance notices)
to lie on the first as well as it can, so that a point stays roughly where it was when the reader
switches from CE to SupCon to HCL, and what moves is what the loss changed. Rows are normalised
first: the maps then show the cosine geometry in which outliers and neighbours are computed. Those
are never read off a map; a map flatters.
"""

import hashlib
from importlib.metadata import version
from pathlib import Path

import numpy as np
from scipy.linalg import orthogonal_procrustes
from sklearn.decomposition import PCA
from sklearn.neighbors import NearestNeighbors
from threadpoolctl import threadpool_limits

from fgcl_utils.files import write_npz

_LIBRARY = {"tsne": "scikit-learn", "umap": "umap-learn"}
# From a map that is there, t-SNE need not unfold. With a third of the usual exaggeration, points of
# level blocks move by 0.14 to 0.26 RMS radii a step, from a small start by 0.24 to 0.64; the maps
# are as trustworthy.
_ONWARD = {
    "tsne": {"perplexity": 30.0, "early_exaggeration": 4.0},
    "umap": {"n_neighbors": 15, "min_dist": 0.1},
}
_FEW = 5  # below it there are no neighbourhoods to show, and t-SNE and UMAP refuse


def project(
    embeddings,
    method="tsne",
    seed=0,
    cache_dir=None,
    *,
    perplexity=30.0,
    n_neighbors=15,
    min_dist=0.1,
):
    """Project several embeddings of the same points to the plane, from one shared start.

    Fewer than 5 points are laid out by their principal axes, which is exact for 3; points that are
    all equal lie on one.

    Parameters
    ----------
    embeddings : dict of str to (N, D) float array
        One embedding a training method; row i is the same point in each. D may differ.
    method : {"tsne", "umap"}
    seed : int
        Equal seeds give equal maps on the same machine.
    cache_dir : path, optional
        Folder for finished maps, keyed by the content of `embeddings` and every setting.
    perplexity : float
        t-SNE's effective number of neighbours; at most a third of the points are used.
    n_neighbors, min_dist : int, float
        UMAP's parameters of the same names.

    Returns
    -------
    dict of str to (N, 2) float32 array
        In the order of `embeddings`, each centred on the origin.

    Raises
    ------
    ValueError
        For an unknown method, embeddings of different lengths, no points, or a value that is not
        finite.
    """
    _check_method(method)
    rows = {name: unit_rows(array, name) for name, array in embeddings.items()}
    _check_lengths(rows)
    if method == "tsne":
        settings = {"perplexity": float(perplexity)}
    else:
        settings = {"n_neighbors": int(n_neighbors), "min_dist": float(min_dist)}

    def planes():
        start = shared_layout(rows, seed)
        return _aligned({m: _plane(x, start, method, seed, settings) for m, x in rows.items()})

    return _cached(cache_dir, _content_key(rows, method, seed, settings), rows, planes)


def project_on(plane, embeddings, method="tsne", seed=0, cache_dir=None):
    """Project embeddings one after the other, each from the map before it.

    So points move little from one to the next, where the embeddings change little: those of level
    blocks while their shares move.

    Parameters
    ----------
    plane : (N, 2) float array
        The map before the first.
    embeddings : dict of str to (N, D) float array
        In the order in which they follow each other.
    method, seed, cache_dir
        As in `project`.

    Returns
    -------
    dict of str to (N, 2) float32 array
        Each turned to lie on the map before it as well as it can.
    """
    _check_method(method)
    rows = {name: unit_rows(array, name) for name, array in embeddings.items()}
    first = np.asarray(plane, dtype=np.float32)
    _check_lengths({"the map before": first} | rows)
    settings = _ONWARD[method]

    def planes():
        made, before = {}, first
        for name, array in rows.items():
            turned = _aligned({"": before, name: _plane(array, before, method, seed, settings)})
            before = made[name] = turned[name]
        return made

    key = _content_key({"the map before": first} | rows, method, seed, settings)
    return _cached(cache_dir, key, rows, planes)


def _plane(points, start, method, seed, settings):
    if len(points) < _FEW or not (points != points[0]).any():
        return _principal_plane(points, seed)
    return (_tsne if method == "tsne" else _umap)(points, start, seed, **settings)


def _cached(cache_dir, key, names, planes):
    """What `planes` returns for `names`, kept in a file named by the content that it is made of."""
    cache = cache_dir and Path(cache_dir) / f"{key}.npz"
    if cache and cache.exists():
        return _read(cache, names)
    made = planes()
    if cache:
        # (methods, N, 2): names of methods would have to be file names inside the archive
        write_npz(cache, {"planes": np.stack(list(made.values()))})
    return made


def shared_layout(embeddings, seed=0):
    """First two principal axes of all embeddings side by side, as t-SNE's starting points.

    Parameters
    ----------
    embeddings : dict of str to (N, D) float array
    seed : int
        Of the randomised solver that PCA picks for wide inputs.

    Returns
    -------
    (N, 2) float32 array
        With a first axis of standard deviation 1e-4: small enough for t-SNE to unfold freely
        (Kobak and Linderman, Nature Biotechnology 2021).
    """
    side_by_side = np.concatenate(list(embeddings.values()), axis=1)  # (N, sum of D)
    layout = _principal_plane(side_by_side, seed)  # (N, 2)
    spread = layout[:, 0].std()
    return (layout * (1e-4 / spread if spread > 0 else 0.0)).astype(np.float32)


def nearest_neighbours(embedding, k, *, rows=None):
    """Indices of the k points with the highest cosine similarity, nearest first.

    Parameters
    ----------
    embedding : (N, D) float array
    k : int
        At most N - 1 are returned.
    rows : (M,) int array, optional
        Points whose neighbours are wanted; all by default.

    Returns
    -------
    (M, min(k, N - 1)) int64 array
        A point is never its own neighbour, even among duplicates.
    """
    points = unit_rows(embedding, "embedding")
    k = min(k, len(points) - 1)
    search = NearestNeighbors(n_neighbors=k + 1).fit(points)
    rows = np.arange(len(points)) if rows is None else np.asarray(rows)
    found = search.kneighbors(points[rows], return_distance=False)  # (M, k + 1)
    return _without_self(found, rows)


def quality(embedding, plane, k=12, *, max_anchors=5000, seed=0):
    """How much of the embedding's neighbourhoods a map keeps.

    Parameters
    ----------
    embedding : (N, D) float array
    plane : (N, 2) float array
    k : int
        Neighbours a point; below N / 2.
    max_anchors : int
        Above this many points, a seeded sample of this many is judged, each against all N.
        Distances are taken in strips, so memory grows with N and never with its square.
    seed : int
        Of that sample.

    Returns
    -------
    dict
        `trustworthiness` (Venna and Kaski 2001: 1 when no stranger is a neighbour on the map, as
        `sklearn.manifold.trustworthiness`), `knn_preservation` (share of the k nearest in the
        embedding that are among the k nearest on the map), `k`, and `n_anchors`.
    """
    points = unit_rows(embedding, "embedding")
    n = len(points)
    if not 1 <= k < n / 2:
        raise ValueError(f"k = {k} neighbours need more than {2 * k} points, and there are {n}")
    anchors = np.arange(n)
    if n > max_anchors:
        anchors = np.sort(np.random.default_rng(seed).choice(n, max_anchors, replace=False))

    on_map = NearestNeighbors(n_neighbors=k + 1).fit(plane)
    mapped = _without_self(on_map.kneighbors(plane[anchors], return_distance=False), anchors)
    penalty, kept = 0, 0
    for strip in np.array_split(np.arange(len(anchors)), -(-len(anchors) // 256)):
        rank = _ranks(points, anchors[strip], mapped[strip])  # (B, k), 0 for the nearest
        penalty += np.maximum(rank + 1 - k, 0).sum()
        kept += (rank < k).sum()
    worst = len(anchors) * k * (2 * n - 3 * k - 1) / 2
    return {
        "trustworthiness": float(1 - penalty / worst),
        "knn_preservation": float(kept / (len(anchors) * k)),
        "k": k,
        "n_anchors": len(anchors),
    }


def unit_rows(array, name):
    """Rows scaled to length 1 in float32; a row of zeros stays one."""
    array = float_rows(array, f"embedding {name!r}")
    length = np.linalg.norm(array, axis=1, keepdims=True)  # (N, 1)
    return np.divide(array, length, out=np.zeros_like(array), where=length > 0)


def float_rows(array, what):
    """An array or tensor of numbers of any kind as float32 (N, D), all of them finite.

    Parameters
    ----------
    array : array (N, D)
        A torch tensor may be bfloat16, which NumPy does not know, and on any device.
    what : str
        Its name in errors.

    Raises
    ------
    ValueError
        If it has another shape, holds no numbers or some that are not finite, whose first row is
        named.
    """
    if hasattr(array, "detach"):
        array = array.detach().cpu().float().numpy()
    try:
        array = np.asarray(array)
    except ValueError:  # lists of different lengths
        array = np.asarray(array, dtype=object)
    if array.ndim != 2 or not array.shape[1]:
        raise ValueError(f"{what} must be (points, dimensions), not {array.shape}")
    is_number = array.dtype.kind in "fiub" or "float" in array.dtype.name  # JAX's bfloat16
    if not is_number:
        raise ValueError(f"{what} holds no numbers but {array.dtype}: save it as float32")
    with np.errstate(over="ignore"):
        array = array.astype(np.float32, copy=False)
    bad = np.flatnonzero(~np.isfinite(array).all(axis=1))
    if len(bad):
        raise ValueError(
            f"{what} has values that are not finite in {len(bad)} rows, the first is row "
            f"{bad[0]}; train with a smaller learning rate or leave those points out"
        )
    return array


def _principal_plane(points, seed):
    """Points (N, D) on their first two principal axes; 0 on those that they do not have."""
    plane = np.zeros((len(points), 2), dtype=np.float32)
    n_axes = min(2, *points.shape)
    if (points != points[:1]).any():
        plane[:, :n_axes] = PCA(n_axes, random_state=seed).fit_transform(points)
    return plane


def _tsne(points, start, seed, perplexity, early_exaggeration=12.0):
    # benchmarks/projection.py: openTSNE gives equal maps and saves seconds only in the thousands.
    from sklearn.manifold import TSNE

    tsne = TSNE(
        init=start,
        perplexity=min(perplexity, (len(points) - 1) / 3),
        early_exaggeration=early_exaggeration,
        random_state=seed,
    )
    # One thread: sums, and with them the map, would depend on the number of cores. Spinning
    # threads on a busy machine also made 1,000 points take six times as long.
    with threadpool_limits(1):
        return tsne.fit_transform(points)


def _umap(points, start, seed, n_neighbors, min_dist):
    from umap import UMAP  # imported here: it compiles for seconds, and t-SNE is the default

    reducer = UMAP(
        n_neighbors=min(n_neighbors, len(points) - 1),
        min_dist=min_dist,
        # UMAP divides by each axis's spread: points on a line have but one
        init=start if np.ptp(start, axis=0).all() else "random",
        random_state=seed,
        n_jobs=1,  # what a fixed seed implies; said aloud, since umap warns otherwise
    )
    return reducer.fit_transform(points).astype(np.float32)


def _aligned(planes):
    """Centre each plane, and rotate or mirror it onto the first."""
    planes = {name: plane - plane.mean(axis=0) for name, plane in planes.items()}
    first = next(iter(planes.values()))
    turned = {}
    for name, plane in planes.items():
        rotation, _ = orthogonal_procrustes(plane, first)  # (2, 2)
        turned[name] = plane if plane is first else (plane @ rotation).astype(np.float32)
    return turned


def _ranks(points, anchors, others):
    """Rank of each of `others` (B, k) among all points by distance to its anchor, 0 = nearest."""
    similarity = points[anchors] @ points.T  # (B, N)
    similarity[np.arange(len(anchors)), anchors] = -np.inf
    own = np.take_along_axis(similarity, others, axis=1)  # (B, k)
    return np.stack([(similarity > own[:, [j]]).sum(1) for j in range(own.shape[1])], axis=1)


def _without_self(found, rows):
    """Drop each row's own index from its k + 1 neighbours, or the farthest if it is not there."""
    keep = found != rows[:, None]  # (M, k + 1)
    keep[keep.all(axis=1), -1] = False
    return found[keep].reshape(len(found), found.shape[1] - 1)


def _check_method(method):
    if method not in _LIBRARY:
        raise ValueError(f"projection method {method!r} is unknown; choose 'tsne' or 'umap'")


def _check_lengths(rows):
    if not rows:
        raise ValueError("there is no embedding to project; pass at least one method's")
    lengths = {name: len(array) for name, array in rows.items()}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"embeddings of the same points differ in length: {lengths}")
    if not min(lengths.values()):
        raise ValueError(f"a map needs at least one point, and there are none: {lengths}")


def _content_key(rows, method, seed, settings):
    library = _LIBRARY[method]
    digest = hashlib.sha256(repr((method, seed, settings, library, version(library))).encode())
    for name, array in rows.items():
        digest.update(repr((name, array.shape)).encode())
        digest.update(np.ascontiguousarray(array))
    return f"{method}-{digest.hexdigest()[:24]}"


def _read(path, names):
    with np.load(path, allow_pickle=False) as file:
        return dict(zip(names, file["planes"], strict=True))
