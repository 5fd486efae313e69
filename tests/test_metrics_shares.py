"""Shares of level blocks: the curve equals the plain computation, the choice obeys its rule."""

import numpy as np
import pytest

from fgcl_utils import metrics
from fgcl_utils.metrics import shares


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def make_blocks(rng, lineage, dims, noise):
    """Unit blocks around directions of the classes of every level of `lineage` (N, L)."""
    blocks = []
    for classes, d in zip(lineage.T, dims, strict=True):
        block = np.random.default_rng(d).normal(size=(classes.max() + 1, d))[classes]
        block += noise * rng.normal(size=block.shape)
        blocks.append(block / np.linalg.norm(block, axis=1, keepdims=True))
    return blocks


@pytest.fixture
def run(rng):
    """Blocks and labels of 200 training and 120 validation samples, 15 species in 4 genera."""
    species = np.concatenate([np.arange(15), rng.integers(0, 15, 305)])
    labels = np.column_stack([species, species // 4])
    blocks = make_blocks(rng, labels, (12, 5), 1.0)
    return [b[:200] for b in blocks], labels[:200], [b[200:] for b in blocks], labels[200:]


def embedded(blocks, row):
    return metrics.at_shares(np.column_stack(blocks), [block.shape[1] for block in blocks], row)


def plain_curve(train_blocks, train_labels, blocks, labels, grid):
    """Right answers (G, L) from the embedding itself, one choice after the other."""
    right = []
    for row in grid:
        train, test = embedded(train_blocks, row), embedded(blocks, row)
        right.append(
            [
                (metrics.nearest_centroid(train, train_labels[:, l], test) == labels[:, l]).sum()
                for l in range(labels.shape[1])
            ]
        )
    return np.array(right)


def test_curve_equals_the_plain_computation(run, monkeypatch):
    monkeypatch.setattr(shares, "BLOCK", 400)  # several blocks of samples
    curve = metrics.share_curve(*run)
    grid = metrics.share_grid(2)
    right = plain_curve(*run, grid)
    np.testing.assert_array_equal(curve[["species_share", "genus_share"]], grid)
    np.testing.assert_array_equal(curve["genus_outliers"], 120 - right[:, 1])
    np.testing.assert_allclose(curve["genus_accuracy"], right[:, 1] / 120)
    np.testing.assert_allclose(curve["species_accuracy"], right[:, 0] / 120)
    assert curve["genus_outliers"].nunique() > 3
    assert "species_outliers" not in curve


def test_curve_of_three_levels_and_partly_known_labels(rng):
    species = np.concatenate([np.arange(16), rng.integers(0, 16, 244)])
    labels = np.column_stack([species, species // 4, species // 8])
    blocks = make_blocks(rng, labels, (9, 5, 4), 1.2)
    labels[rng.random(260) < 0.3, 0] = -1
    labels[rng.random(260) < 0.1, :2] = -1
    parts = [b[:160] for b in blocks], labels[:160], [b[160:] for b in blocks], labels[160:]
    grid = metrics.share_grid(3)[::9]
    curve = metrics.share_curve(*parts, grid=grid, levels=("species", "genus", "family"))
    right, known = plain_curve(*parts, grid), (labels[160:] >= 0).sum(axis=0)
    for l, level in enumerate(("species", "genus", "family")):
        np.testing.assert_allclose(curve[f"{level}_accuracy"], right[:, l] / known[l])
    np.testing.assert_array_equal(curve["family_outliers"], known[2] - right[:, 2])
    assert known[0] < known[1] < known[2] == 100


def test_cosines_at_shares_are_weighted_means_of_the_blocks(run):
    blocks = [block.astype(np.float32) for block in run[0]]
    embedding = embedded(blocks, (0.7, 0.3))
    assert embedding.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(embedding, axis=1), 1, rtol=1e-6)
    expected = 0.7 * blocks[0] @ blocks[0].T + 0.3 * blocks[1] @ blocks[1].T
    np.testing.assert_allclose(embedding @ embedding.T, expected, atol=1e-6)
    with pytest.raises(ValueError, match="12, 4 dimensions and 2 shares do not fit vectors of 17"):
        metrics.at_shares(np.column_stack(blocks), (12, 4), (0.7, 0.3))


def test_length_of_a_block_is_not_its_share(run):
    train_blocks, train_labels, blocks, labels = run
    longer = [3 * block for block in train_blocks], train_labels, [7 * blocks[0], blocks[1]], labels
    assert metrics.share_curve(*longer).equals(metrics.share_curve(*run))


def test_grid_covers_the_simplex_and_leaves_the_finest_a_part():
    np.testing.assert_allclose(metrics.share_grid(2)[:, 1], np.arange(0, 0.91, 0.05))
    np.testing.assert_array_equal(metrics.share_grid(1), [[1.0]])
    for n_levels in range(1, 9):
        grid = metrics.share_grid(n_levels)
        np.testing.assert_allclose(grid.sum(axis=1), 1)
        assert grid.min() >= 0
        assert grid[:, 0].min() >= 0.1 - 1e-12
        assert len(np.unique(grid, axis=0)) == len(grid) <= 400


def test_choice_has_the_fewest_outliers_among_the_accurate(run):
    chosen, curve = metrics.choose_shares(*run)
    allowed = [
        row
        for row in curve.itertuples()
        if row.species_accuracy >= curve["species_accuracy"].max() - 0.01
    ]
    assert 0 < len(allowed) < len(curve)
    best = min(allowed, key=lambda row: (row.genus_outliers, -row.species_accuracy, row.Index))
    assert chosen == (best.species_share, best.genus_share)
    assert best.genus_outliers < curve["genus_outliers"][0]


def test_choice_counts_the_outliers_of_all_coarser_levels(run, monkeypatch):
    curve = {
        "a_share": [0.8, 0.5, 0.4, 0.2], "b_share": [0.1, 0.3, 0.3, 0.4],
        "c_share": [0.1, 0.2, 0.3, 0.4], "a_accuracy": [0.700, 0.695, 0.691, 0.650],
        "b_outliers": [20, 9, 8, 1], "c_outliers": [7, 3, 4, 0],
    }  # fmt: skip
    monkeypatch.setattr(shares, "share_curve", lambda *_: shares.pd.DataFrame(curve))
    chosen, _ = metrics.choose_shares(None, None, None, np.zeros((1, 3)), levels=("a", "b", "c"))
    assert chosen == (0.5, 0.3, 0.2)  # as few as 0.4 has, but more accurate; 0.2 costs too much


def test_without_validation_samples_shares_are_equal(run):
    train_blocks, train_labels, blocks, labels = run
    assert metrics.choose_shares(train_blocks, train_labels, None, None) == ((0.5, 0.5), None)
    empty = [block[:0] for block in blocks]
    found = metrics.choose_shares(train_blocks, train_labels, empty, labels[:0])
    assert found == ((0.5, 0.5), None)
    thirds, _ = metrics.choose_shares([], [], None, None, levels=("a", "b", "c"))
    assert thirds == pytest.approx((1 / 3,) * 3)


def test_one_level_has_one_choice(run):
    train_blocks, train_labels, blocks, labels = run
    chosen, curve = metrics.choose_shares(
        train_blocks[:1], train_labels[:, :1], blocks[:1], labels[:, :1], levels=("breed",)
    )
    assert chosen == (1.0,)
    right = metrics.nearest_centroid(train_blocks[0], train_labels[:, 0], blocks[0]) == labels[:, 0]
    assert curve["breed_accuracy"].tolist() == [right.mean()]


def test_what_does_not_fit_is_refused(run):
    train_blocks, train_labels, blocks, labels = run
    with pytest.raises(ValueError, match=r"1 blocks, labels of shape \(120, 2\).* give a block"):
        metrics.share_curve(train_blocks, train_labels, blocks[:1], labels)
    with pytest.raises(ValueError, match="119 labels for blocks of 120"):
        metrics.share_curve(train_blocks, train_labels, blocks, labels[:-1])
    with pytest.raises(ValueError, match="sum to 1"):
        metrics.share_curve(*run, grid=[[0.5, 0.6]])
    with pytest.raises(ValueError, match="no training samples of a known genus"):
        metrics.share_curve(train_blocks, train_labels * [1, 0] - [0, 1], blocks, labels)
