"""Maps are seeded, share their start and are cached by content; quality is scikit-learn's."""

import tracemalloc

import numpy as np
import pytest
import torch
from sklearn.manifold import trustworthiness
from sklearn.metrics import pairwise_distances

from fgcl_utils import projection


def clusters(n=150, d=12, classes=6, noise=0.4, seed=0):
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(classes, d))
    return (centres[np.arange(n) % classes] + noise * rng.normal(size=(n, d))).astype(np.float32)


@pytest.fixture(scope="module")
def embeddings():
    x = clusters()
    return {"ce": x, "hcl": np.concatenate([x, clusters(seed=1)[:, :4]], axis=1)}


@pytest.fixture(scope="module")
def planes(embeddings):
    return projection.project(embeddings, seed=3)


@pytest.mark.parametrize("method", ["tsne", "umap"])
def test_one_finite_plane_for_each_embedding(embeddings, method):
    planes = projection.project(embeddings, method)
    assert list(planes) == list(embeddings)
    for plane in planes.values():
        assert plane.shape == (150, 2)
        assert plane.dtype == np.float32
        assert np.isfinite(plane).all()


def test_equal_seeds_give_equal_maps(embeddings, planes):
    again = projection.project(embeddings, seed=3)
    for name in embeddings:
        np.testing.assert_array_equal(again[name], planes[name])


def test_the_map_ignores_the_length_of_the_vectors(embeddings, planes):
    scaled = {name: x * 8 for name, x in embeddings.items()}  # a power of two: exact in floats
    for name, plane in projection.project(scaled, seed=3).items():
        np.testing.assert_array_equal(plane, planes[name])


def test_the_map_of_clusters_keeps_them_apart(embeddings, planes):
    genus = np.arange(150) % 6
    for plane in planes.values():
        nearest = projection.NearestNeighbors(n_neighbors=2).fit(plane).kneighbors(plane)[1][:, 1]
        assert (genus[nearest] == genus).mean() > 0.9


def test_the_start_is_shared_and_small(embeddings):
    start = projection.shared_layout(embeddings)
    assert start.shape == (150, 2)
    assert start[:, 0].std() == pytest.approx(1e-4, rel=1e-4)


def test_points_stay_nearer_than_between_independent_maps():
    x = clusters(n=200)
    noise = np.random.default_rng(5).normal(size=x.shape)
    pair = {"a": x, "b": x + 0.2 * noise}
    independent = [projection.project({name: pair[name]}, seed=0)[name] for name in pair]

    def moved(p, q):  # root mean square way, in radii of the map
        return np.sqrt(((p - q) ** 2).sum(1).mean() / (p**2).sum(1).mean())

    assert moved(*projection.project(pair).values()) < 0.75 * moved(*independent)


def test_no_turn_brings_a_map_closer_to_the_first(planes):
    first, other = planes.values()
    angles = np.linspace(0, 2 * np.pi, 36, endpoint=False)
    turns = [np.array([[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]]) for a in angles]
    as_it_is = np.linalg.norm(other - first)
    assert all(as_it_is <= np.linalg.norm(other @ turn - first) + 1e-3 for turn in turns)


def test_a_cached_map_is_read_back_and_another_input_is_not(embeddings, planes, tmp_path):
    first = projection.project(embeddings, seed=3, cache_dir=tmp_path)
    (file,) = tmp_path.iterdir()
    stamp = file.stat().st_mtime_ns
    again = projection.project(embeddings, seed=3, cache_dir=tmp_path)
    assert [*tmp_path.iterdir()] == [file]
    assert file.stat().st_mtime_ns == stamp
    for name in embeddings:
        np.testing.assert_array_equal(first[name], planes[name])
        np.testing.assert_array_equal(again[name], planes[name])
    changed = {name: x.copy() for name, x in embeddings.items()}
    changed["ce"][0, 0] += 1
    projection.project(changed, seed=3, cache_dir=tmp_path)
    projection.project(embeddings, seed=3, cache_dir=tmp_path, perplexity=10)
    assert len([*tmp_path.iterdir()]) == 3


@pytest.mark.parametrize("method", ["tsne", "umap"])
def test_maps_that_follow_each_other_stay_where_the_one_before_was(planes, method, tmp_path):
    x = clusters()
    embeddings = {f"{k}": x + 0.1 * k * clusters(seed=5) for k in (1, 2)}
    first = planes["ce"]
    onward = projection.project_on(first, embeddings, method, cache_dir=tmp_path)
    assert list(onward) == ["1", "2"]
    for before, after in ((first, onward["1"]), (onward["1"], onward["2"])):
        assert after.dtype == np.float32
        # How near depends on the processor, whose rounding grows; unrelated maps have none.
        assert np.corrcoef(before.ravel(), after.ravel())[0, 1] > 0.5
    again = projection.project_on(first, embeddings, method, cache_dir=tmp_path)
    np.testing.assert_array_equal(again["2"], onward["2"])
    assert len([*tmp_path.iterdir()]) == 1


def test_a_map_goes_on_for_the_same_points_only(planes):
    with pytest.raises(ValueError, match="differ in length"):
        projection.project_on(planes["ce"], {"more": clusters(n=151)})


def test_few_points_lower_the_perplexity():
    assert projection.project({"ce": clusters(n=6)})["ce"].shape == (6, 2)


@pytest.mark.parametrize("method", ["tsne", "umap"])
@pytest.mark.parametrize("n", [1, 2, 3, 4])
def test_the_fewest_points_are_laid_out_by_their_distances(n, method):
    pair = {"ce": clusters(n), "hcl": clusters(n, seed=1)[:, :3]}
    for name, plane in projection.project(pair, method).items():
        assert plane.shape == (n, 2) and plane.dtype == np.float32
        if n < 4:  # three points lie in a plane
            expected = pairwise_distances(projection.unit_rows(pair[name], name))
            np.testing.assert_allclose(pairwise_distances(plane), expected, atol=1e-5)


@pytest.mark.parametrize("method", ["tsne", "umap"])
@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_points_that_are_all_equal_lie_on_one(method):
    other = clusters(n=20)
    planes = projection.project({"zero": np.zeros((20, 8)), "other": other}, method)
    assert (planes["zero"] == 0).all() and np.ptp(planes["other"]) > 1
    assert (projection.project({"equal": np.ones((20, 8))}, method)["equal"] == 0).all()


@pytest.mark.parametrize("method", ["tsne", "umap"])
def test_some_rows_of_zeros_and_points_on_a_line_have_a_map(method):
    some = clusters(n=30)
    some[:9] = 0
    line = np.random.default_rng(0).normal(size=(30, 1))
    planes = [projection.project({"ce": x}, method)["ce"] for x in (some, line)]
    assert all(np.isfinite(plane).all() for plane in planes)


@pytest.mark.parametrize("k", [1, 5, 12])
def test_trustworthiness_equals_scikit_learns(embeddings, planes, k):
    x = projection.unit_rows(embeddings["ce"], "ce")
    ours = projection.quality(embeddings["ce"], planes["ce"], k)
    theirs = trustworthiness(x, planes["ce"], n_neighbors=k)
    assert ours["trustworthiness"] == pytest.approx(theirs, abs=1e-9)


def test_knn_preservation_equals_the_slow_loop(embeddings, planes):
    def nearest(distance):
        np.fill_diagonal(distance, np.inf)
        return np.argsort(distance, axis=1)[:, :7]

    high = nearest(pairwise_distances(embeddings["ce"], metric="cosine"))
    low = nearest(pairwise_distances(planes["ce"]))
    shared = np.mean([len({*a} & {*b}) / 7 for a, b in zip(high, low, strict=True)])
    assert projection.quality(embeddings["ce"], planes["ce"], 7)[
        "knn_preservation"
    ] == pytest.approx(shared)


def test_a_sample_of_anchors_estimates_the_whole(embeddings, planes):
    whole = projection.quality(embeddings["ce"], planes["ce"])
    sample = projection.quality(embeddings["ce"], planes["ce"], max_anchors=60)
    assert sample["n_anchors"] == 60
    assert sample["trustworthiness"] == pytest.approx(whole["trustworthiness"], abs=0.03)
    assert sample["knn_preservation"] == pytest.approx(whole["knn_preservation"], abs=0.1)


def test_judging_a_map_never_holds_all_pairs():
    n = 6000
    x = clusters(n, d=4)
    tracemalloc.start()
    projection.quality(x, x[:, :2], max_anchors=512)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < n * n  # a byte a pair; the similarities alone would be four


def test_a_plane_is_its_own_perfect_map():
    angle = np.sort(np.random.default_rng(0).uniform(0, 3, 80))
    circle = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    result = projection.quality(circle, circle)
    assert result["trustworthiness"] == 1
    assert result["knn_preservation"] == 1


def test_neighbours_are_the_most_similar_and_never_oneself():
    x = np.repeat(clusters(n=20), 3, axis=0)  # duplicates: the search may return any of the three
    found = projection.nearest_neighbours(x, 4)
    assert found.shape == (60, 4)
    assert (found != np.arange(60)[:, None]).all()
    similarity = 1 - pairwise_distances(x, metric="cosine")
    np.fill_diagonal(similarity, -np.inf)
    best = -np.sort(-similarity, axis=1)[:, :4]
    np.testing.assert_allclose(np.take_along_axis(similarity, found, axis=1), best, atol=1e-5)


def test_a_single_point_has_no_neighbours():
    assert projection.nearest_neighbours(clusters(n=1), 12).shape == (1, 0)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64, torch.int64])
def test_tensors_of_any_precision_are_embeddings(dtype):
    x = (9 * torch.randn(20, 4)).to(dtype)
    x = x.requires_grad_() if dtype.is_floating_point else x
    rows = projection.float_rows(x, "x")
    assert rows.dtype == np.float32
    np.testing.assert_array_equal(rows, x.detach().float().numpy())
    assert projection.nearest_neighbours(x, 3).shape == (20, 3)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.full((3, 2), 1j), "x holds no numbers but complex128"),
        (np.full((3, 2), "1.5"), "x holds no numbers but <U3"),
        ([[1, 2], [None, 3]], "x holds no numbers but object"),
        ([[1, 2], [3]], r"x must be \(points, dimensions\), not \(2,\)"),
        (np.zeros((3, 0)), r"not \(3, 0\)"),
        (np.zeros((3, 2, 2)), r"not \(3, 2, 2\)"),
        ([[1, 2], [3, 1e300]], "not finite in 1 rows, the first is row 1"),
    ],
)
def test_what_is_no_row_of_numbers_a_point_is_refused(array, message):
    with pytest.raises(ValueError, match=message):
        projection.float_rows(array, "x")


def test_a_row_of_zeros_stays_one_and_others_get_length_one():
    x = clusters()
    x[3] = 0
    length = np.linalg.norm(projection.unit_rows(x, "ce"), axis=1)
    assert length[3] == 0
    np.testing.assert_allclose(np.delete(length, 3), 1, rtol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (({"ce": clusters()}, "pca"), "choose 'tsne' or 'umap'"),
        (({},), "no embedding"),
        (({"ce": clusters(), "hcl": clusters(n=149)},), "differ in length"),
        (({"ce": np.empty((0, 4))},), "at least one point"),
        (({"ce": np.zeros(7)},), "must be \\(points, dimensions\\)"),
        (({"ce": np.where(np.eye(9), np.nan, 1.0)},), "first is row 0"),
    ],
)
def test_bad_input_says_how_to_mend_it(arguments, message):
    with pytest.raises(ValueError, match=message):
        projection.project(*arguments)


def test_too_many_neighbours_are_refused(embeddings, planes):
    with pytest.raises(ValueError, match="need more than 160 points"):
        projection.quality(embeddings["ce"], planes["ce"], k=80)
