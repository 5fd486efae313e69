"""What each method is told, and by which loss it learns."""

from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F

from fgcl_utils import methods
from fgcl_utils.losses import HierarchicalContrastiveLoss, SupConLoss, level_blocks
from fgcl_utils.methods import METHODS, Method
from fgcl_utils.settings import Settings, SettingsError

THREE = Settings(levels=("species", "genus", "form"), projection_dim=16)
TWO = Settings(projection_dim=16)


@pytest.fixture
def batch():
    """Projections (24, 16), labels (24, 3) and their numbers of classes."""
    generator = torch.Generator().manual_seed(0)
    species = torch.randint(12, (24,), generator=generator)
    labels = torch.stack([species, species // 2, species // 6], dim=1)
    return torch.randn(24, 16, generator=generator), labels, (12, 6, 2)


def logits_for(options, method, n_classes, n=24):
    width = sum(n_classes[l] for l in methods.classified_levels(options, method))
    return torch.randn(n, width, generator=torch.Generator().manual_seed(1)) if width else None


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("options", [TWO, THREE], ids=["two levels", "three levels"])
def test_a_method_ignores_the_labels_that_it_is_not_told(batch, method, options):
    projections, labels, n_classes = batch
    n_levels = len(options.levels)
    labels, n_classes = labels[:, :n_levels], n_classes[:n_levels]
    loss = methods.loss_for(options, method, n_classes)
    logits = logits_for(options, method, n_classes)
    value = loss(projections, logits, labels)
    assert value.isfinite() and value.ndim == 0
    told = {"": [0], "finest": [0], "second": [1], "all": list(range(n_levels))}
    heard = set(told[METHODS[method].classified])
    heard |= set(range(n_levels)) if method in ("hcl", "hcl_blocks") else set()
    for level in range(n_levels):
        coarser = labels.clone()
        coarser[:, level] = 0 if level else labels[:, 0]
        if level not in heard:
            assert loss(projections, logits, coarser) == value


def test_ce_levels_is_the_sum_of_its_classifiers(batch):
    projections, labels, n_classes = batch
    logits = logits_for(THREE, "ce_levels", n_classes)
    parts = zip(logits.split(n_classes, dim=1), labels.T, strict=True)
    each = torch.stack([F.cross_entropy(part, label) for part, label in parts])
    loss = methods.loss_for(THREE, "ce_levels", n_classes)
    torch.testing.assert_close(loss(projections, logits, labels), each.sum())
    weighted = replace(THREE, level_weights=[1, 0.2, 0.1])
    loss = methods.loss_for(weighted, "ce_levels", n_classes)
    expected = (each * torch.tensor([1, 0.2, 0.1])).sum()
    torch.testing.assert_close(loss(projections, logits, labels), expected)


def test_hcl_is_the_papers_loss_with_soft_weights(batch):
    projections, labels, n_classes = batch
    expected = HierarchicalContrastiveLoss((1.0, 0.03), 0.1, "pair")(projections, labels[:, :2])
    loss = methods.loss_for(TWO, "hcl", n_classes[:2])
    torch.testing.assert_close(loss(projections, None, labels[:, :2]), expected)
    assert methods.level_weights(THREE, "hcl") == (1.0, 0.03, 0.015)


def test_blocks_learn_each_by_supcon(batch):
    projections, labels, n_classes = batch
    options = replace(
        THREE, block_dims=[8, 4, 4], level_weights=[1, 0.5, 2], temperatures=[0.1, 0.2, 0.3]
    )
    parts = zip(
        (1, 0.5, 2), (0.1, 0.2, 0.3), projections.split([8, 4, 4], dim=1), labels.T, strict=True
    )
    expected = sum(a * SupConLoss(t)(part, label) for a, t, part, label in parts)
    loss = methods.loss_for(options, "hcl_blocks", n_classes)
    torch.testing.assert_close(loss(projections, None, labels), expected)
    embedded = methods.embedding(projections, options, "hcl_blocks")
    torch.testing.assert_close(embedded.norm(dim=1), torch.ones(24))
    torch.testing.assert_close(embedded, level_blocks(projections, [8, 4, 4], [1 / 3] * 3))


@pytest.mark.parametrize("dim", [8, 16, 100, 128])
@pytest.mark.parametrize("n_levels", range(1, 5))
def test_blocks_fill_the_projection_and_most_of_it_is_the_finest_level_s(dim, n_levels):
    levels = [f"level{l}" for l in range(n_levels)]
    options = Settings(dataset="csv", data_root="x", levels=levels, projection_dim=dim)
    dims = methods.block_dims(options)
    assert sum(dims) == dim and len(dims) == n_levels and min(dims) >= 2
    assert dims[0] == max(dims)
    assert len(methods.temperatures(options)) == n_levels


def test_cross_entropy_leaves_out_what_is_not_known(batch):
    _, labels, _ = batch
    logits = torch.randn(24, 12, requires_grad=True)
    some = torch.where(torch.arange(24) % 3 == 0, -1, labels[:, 0])
    known = some >= 0
    expected = F.cross_entropy(logits[known], some[known])
    torch.testing.assert_close(methods.cross_entropy(logits, some), expected)
    nothing = methods.cross_entropy(logits, torch.full((24,), -1))
    nothing.backward()
    assert nothing == 0 and not logits.grad.any()


def test_a_loss_of_one_s_own_is_one_more_method(batch, monkeypatch):
    projections, labels, n_classes = batch

    def loss_of(options, sizes):
        assert sizes == n_classes
        return lambda projections, logits, labels: options.temperature * projections.sum()

    monkeypatch.setitem(METHODS, "mine", Method(None, ("temperature",), loss=loss_of))
    loss = methods.loss_for(THREE, "mine", n_classes)
    assert loss(projections, None, labels) == THREE.temperature * projections.sum()
    assert replace(THREE, seed=1).identity("mine")["temperature"] == THREE.temperature


def test_one_level_is_no_hierarchy():
    one = Settings(levels=["species"])
    for method, what in METHODS.items():
        if what.needs_levels:
            with pytest.raises(SettingsError, match=f"{method} compares levels.*no hierarchy"):
                one.check_method(method)
        else:
            one.check_method(method)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"levels": []}, "1 to 8 different names"),
        ({"levels": list("abcdefghi")}, "1 to 8 different names"),
        ({"levels": ["a", "a"]}, "1 to 8 different names"),
        ({"levels": ["image", "a"]}, "cannot be called 'image'"),
        ({"levels": "species"}, "levels='species' is str: expected a list, each text"),
        ({"levels": [1]}, "levels=1 is int: expected text"),
        ({"level_weights": [1]}, "level_weights=.1.0. has 1 values.*species, genus"),
        ({"level_weights": [1, -1]}, "level_weights=-1.0 is out of range: at least 0"),
        ({"block_dims": [64, 1]}, "block_dims=1 is out of range: at least 2"),
        ({"temperatures": [0.1, 0]}, "temperatures=0.0 is out of range: greater than 0"),
        ({"levels": "[species, genus"}, "begins like a list or mapping and is none"),
    ],
)
def test_lists_are_checked_value_by_value(values, message):
    with pytest.raises(SettingsError, match=message):
        Settings.from_dict(values)


def test_lists_and_mappings_may_come_as_text():
    """As papermill's -p hands them over."""
    settings = Settings(
        dataset="csv",
        data_root="here",
        levels="[variant, maker]",
        level_weights="[1, 0.5]",
        columns="{image: path}",
    )
    assert settings.levels == ("variant", "maker")
    assert settings.level_weights == (1.0, 0.5)
    assert settings.columns == {"image": "path"}


def test_the_fields_data_sets_bring_their_levels():
    aircraft = Settings(dataset="fgvc_aircraft", data_root="here")
    assert aircraft.levels == ("variant", "family", "manufacturer")
    assert Settings(dataset="fgvc_aircraft", data_root="here", levels=["variant"]).levels == (
        "variant",
    )
    with pytest.raises(SettingsError, match="those of fgvc_aircraft are variant, family"):
        Settings(dataset="fgvc_aircraft", data_root="here", levels=["make"])


def test_what_a_method_does_not_read_is_not_its_identity():
    other = replace(TWO, block_dims=[12, 4], temperatures=[0.1, 0.2], level_weights=[1, 0.5])
    for method in ("ce", "ce_head", "supcon", "coarse_only"):
        assert TWO.identity(method) == other.identity(method)
    for method in ("hcl", "hcl_blocks", "ce_levels"):
        assert TWO.identity(method) != other.identity(method)
