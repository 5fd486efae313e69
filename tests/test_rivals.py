"""The losses of others are what their restatements say, and are trained as every method is."""

import json
import math
import sys
from dataclasses import asdict

import pytest
import torch
import yaml
from tiny_runs import SMALL, make_project
from torch.nn import functional as F

from fgcl_utils.files import project_root
from fgcl_utils.losses import SupConLoss
from fgcl_utils.methods import METHODS
from fgcl_utils.settings import Settings

OPTIONS = Settings()
N_CLASSES = (6, 3)


@pytest.fixture
def rivals(monkeypatch):
    monkeypatch.syspath_prepend(project_root() / "experiments")
    for name in ("hmlc", "cpcc", "summed"):
        monkeypatch.setitem(METHODS, name, None)
    import rivals

    METHODS.update(rivals.RIVALS)
    yield rivals
    sys.modules.pop("rivals")


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(0)
    species = torch.arange(48) % 6
    labels = torch.stack([species, species // 2], dim=1)
    projections = torch.randn(48, 8, generator=generator, dtype=torch.float64)
    return projections, torch.randn(48, 6, generator=generator, dtype=torch.float64), labels


def test_hmlc_weighs_the_finest_level_most_and_keeps_the_order(rivals, batch):
    projections, _, labels = batch
    fine, coarse = (SupConLoss(0.1)(projections, of_level) for of_level in labels.T)
    expected = (2 * fine + math.sqrt(2) * max(fine, coarse)) / 2
    torch.testing.assert_close(rivals.hmlc(OPTIONS, N_CLASSES)(*batch), expected)


def test_cpcc_rewards_distances_like_those_in_the_tree(rivals, batch):
    projections, logits, labels = batch
    means = [projections[labels[:, 0] == c].mean(dim=0) for c in range(6)]
    distances, in_tree = [], []
    for a in range(6):
        for b in range(a + 1, 6):
            distances.append(float((means[a] - means[b]).norm()))
            in_tree.append(2.0 if a // 2 == b // 2 else 4.0)
    correlation = torch.corrcoef(torch.tensor([distances, in_tree], dtype=torch.float64))[0, 1]
    expected = F.cross_entropy(logits, labels[:, 0]) - correlation
    value = rivals.cpcc(OPTIONS, N_CLASSES)(*batch)
    torch.testing.assert_close(value.double(), expected, rtol=1e-5, atol=1e-5)
    alone = rivals.cpcc(OPTIONS, N_CLASSES)(projections[:1], logits[:1], labels[:1])
    torch.testing.assert_close(alone, F.cross_entropy(logits[:1], labels[:1, 0]), check_dtype=False)


def test_summed_probabilities_of_species_are_those_of_their_genus(rivals, batch):
    _, logits, labels = batch
    probability = logits.softmax(dim=1)
    of_genus = torch.stack([probability[:, 2 * g : 2 * g + 2].sum(dim=1) for g in range(3)], dim=1)
    expected = F.nll_loss(probability.log(), labels[:, 0]) + F.nll_loss(
        of_genus.log(), labels[:, 1]
    )
    value = rivals.summed(OPTIONS, N_CLASSES)(*batch)
    torch.testing.assert_close(value, expected, check_dtype=False)
    short = labels.clone()
    short[::2, 0] = -1  # known to the genus only
    assert rivals.summed(OPTIONS, N_CLASSES)(batch[0], logits, short).isfinite()


def test_rivals_are_trained_and_summarised_beside_the_methods(rivals, tmp_path, monkeypatch):
    monkeypatch.chdir(make_project(tmp_path))
    settings = Settings(**SMALL | {"encoder": "frozen", "epochs": 1, "run_name": "frozen"})
    profile = tmp_path / "profiles" / "tiny.yaml"
    profile.parent.mkdir(exist_ok=True)
    profile.write_text(yaml.safe_dump(json.loads(json.dumps(asdict(settings)))), encoding="utf-8")
    rivals.main([str(profile), "--seeds", "1"])
    groups = json.loads((tmp_path / "results" / "tiny.json").read_bytes())["groups"]
    assert set(groups) == set(METHODS)
    for name in rivals.RIVALS:
        assert groups[name]["test"]["genus_outliers"]["mean"] > 0
        assert groups[name]["change"]["test"] is not None
    (tmp_path / "results" / "tiny.json").write_text("{")
    with pytest.raises(SystemExit, match="cannot be read"):
        rivals.main([str(profile), "--seeds", "2"])
    assert not list(tmp_path.glob("runs/*/*/seed-1"))
    profile.write_text("encoder: trained\n", encoding="utf-8")
    with pytest.raises(SystemExit, match="give a profile with encoder: frozen"):
        rivals.main([str(profile)])
