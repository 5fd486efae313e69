"""One set of checks, whichever door a batch comes in by; settings that say what they are."""

import math
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch

from fgcl_utils.losses import (
    HierarchicalContrastiveLoss,
    LevelBlocksLoss,
    ProjectionQueue,
    SupConLoss,
)

ROWS = torch.eye(4)


def memory_of(projections, labels):
    return SupConLoss()(ROWS, torch.arange(4) % 2, memory=(projections, labels))


# Every door that takes labels of one level.
DOORS = {
    "SupConLoss": SupConLoss(),
    "HierarchicalContrastiveLoss": HierarchicalContrastiveLoss((1,)),
    "LevelBlocksLoss": LevelBlocksLoss((4,), (1,)),
    "memory": memory_of,
    "ProjectionQueue": lambda *batch: ProjectionQueue(size=8, dim=4).add(*batch),
}
doors = pytest.mark.parametrize("door", DOORS.values(), ids=DOORS)


@doors
@pytest.mark.parametrize(
    ("labels", "error", "named"),
    [
        (torch.zeros(4), TypeError, r"integers, not torch.float32: .* labels.long\(\)"),
        (np.array([0.0, 1, 1, 0]), TypeError, "integers, not torch.float64"),
        ([0, 1, 1.5, 0], TypeError, "integers, not torch.float32"),
        (torch.zeros(4, dtype=torch.complex64), TypeError, "integers, not torch.complex64"),
        (torch.tensor([True, False, True, False]), TypeError, "booleans: two classes are"),
        ([True, False, True, False], TypeError, "booleans"),
        (["owl", "owl", "tit", "tit"], TypeError, r"names become integers by numpy\.unique"),
        (np.array(["owl", "owl", "tit", "tit"]), TypeError, r"names become integers by"),
        (pd.Series(["owl", "owl", "tit", "tit"]), TypeError, r"names become integers by"),
        ([0, None, 1, 1], TypeError, r"labels are no integers"),
        (torch.eye(4, dtype=int), ValueError, r"one-hot rows become classes by labels.argmax\(1\)"),
        (torch.eye(4), TypeError, r"one-hot rows or probabilities labels.argmax\(1\)"),
        (torch.zeros(3, dtype=int), ValueError, r"shape \(3,\)"),
        (torch.zeros(4, 2, dtype=int), ValueError, r"shape \(4, 2\)"),
        (torch.tensor([0, 1, -5, 1]), ValueError, "label -5"),
    ],
    ids=str,
)
def test_labels_that_are_no_integers_a_row_are_refused(door, labels, error, named):
    with pytest.raises(error, match=named):
        door(ROWS, labels)


@doors
@pytest.mark.parametrize(
    ("projections", "error", "named"),
    [
        (ROWS.numpy(), TypeError, "torch.Tensor, not ndarray"),
        (ROWS.tolist(), TypeError, "torch.Tensor, not list"),
        (ROWS.int(), TypeError, "floating-point, not torch.int32"),
        (ROWS[0], ValueError, r"\(N, D\), not \(4,\)"),
    ],
    ids=str,
)
def test_projections_that_are_no_rows_are_refused(door, projections, error, named):
    with pytest.raises(error, match=named):
        door(projections, torch.tensor([0, 0, 1, 1]))


@pytest.mark.parametrize("door", ["LevelBlocksLoss", "memory", "ProjectionQueue"])
def test_projections_of_another_length_are_refused(door):
    with pytest.raises(ValueError, match=r"\(N, 3\); they must be \(N, 4\)"):
        DOORS[door](ROWS[:, :3], torch.tensor([0, 0, 1, 1]))


@pytest.mark.parametrize(
    "labels",
    [
        [0, 0, 1, 1],
        (0, 0, 1, 1),
        [[0], [0], [1], [1]],
        np.array([0, 0, 1, 1]),
        np.array([0, 0, 1, 1], dtype=np.uint16),
        pd.Series([0, 0, 1, 1], index=[7, 8, 9, 10]),
        torch.tensor([0, 0, 1, 1], dtype=torch.uint8),
        list(torch.tensor([0, 0, 1, 1])),
    ],
    ids=lambda labels: type(labels).__name__,
)
def test_integers_of_any_make_are_labels(labels):
    expected = torch.tensor([0, 0, 1, 1])
    for loss in (SupConLoss(), LevelBlocksLoss((4,), (1,))):
        torch.testing.assert_close(loss(ROWS, labels), loss(ROWS, expected))
    queue = ProjectionQueue(size=4, dim=4)
    queue.add(ROWS, labels)
    assert torch.equal(queue.contents()[1][:, 0], expected)


def test_a_queue_of_several_levels_wants_all_of_them():
    queue = ProjectionQueue(size=4, dim=4, n_levels=2)
    with pytest.raises(ValueError, match=r"ask for \(4, 2\)"):
        queue.add(ROWS, torch.tensor([0, 0, 1, 1]))


# ---- the temperature


@pytest.mark.parametrize("step", [-1000.0, -7.0, 0.5, 7.0, 1000.0])
def test_a_learnt_temperature_is_in_its_range_after_any_step(step):
    one = SupConLoss(learnable_temperature=True)
    blocks = LevelBlocksLoss((2, 2), (1, 1), (0.1, 0.5), learnable_temperature=True)
    for loss in (one, blocks):
        with torch.no_grad():
            for parameter in loss.parameters():
                parameter.add_(step)
    for temperature in (one.temperature, *blocks.temperatures):
        assert 0.01 <= temperature <= 1
    for saved in [*one.state_dict().values(), *torch.nn.Sequential(blocks).state_dict().values()]:
        assert 0.01 <= math.exp(-saved) + 1e-8
        assert math.exp(-saved) - 1e-8 <= 1


@pytest.mark.parametrize("learnable", [False, True])
def test_a_parameter_as_temperature_is_refused(learnable):
    parameter = torch.nn.Parameter(torch.tensor(0.1))
    for make in (SupConLoss, lambda *a, **k: LevelBlocksLoss((2, 2), (1, 1), *a, **k)):
        with pytest.raises(TypeError, match="learnable_temperature=True"):
            make(parameter, learnable_temperature=learnable)
    with pytest.raises(TypeError, match="learnable_temperature=True"):
        LevelBlocksLoss((2, 2), (1, 1), (0.1, parameter))


# ---- what they say of themselves


def test_repr_shows_the_settings():
    assert repr(HierarchicalContrastiveLoss((1, 0.5), 0.2, "pair", "sum", gather=False)) == (
        "HierarchicalContrastiveLoss(temperature=0.2, level_weights=(1.0, 0.5), "
        "normalization='pair', reduction='sum', anchors_without_positives='ignore', "
        "learnable_temperature=False, gather=False)"
    )
    assert repr(SupConLoss(0.1, learnable_temperature=True)) == (
        "SupConLoss(temperature=0.1, reduction='mean', anchors_without_positives='ignore', "
        "learnable_temperature=True, gather=True)"
    )
    shown = repr(LevelBlocksLoss((96, 32), (1, 0.2), (0.1, 0.3)))
    assert "block_dims=(96, 32), level_weights=(1.0, 0.2)" in shown
    assert "(1): SupConLoss(temperature=0.3, " in shown
    assert repr(ProjectionQueue(5, 4, 2)) == "ProjectionQueue(size=5, dim=4, n_levels=2)"


# ---- what they need


WITH_TORCH_ALONE = """
import re, sys
from importlib.metadata import PackageNotFoundError, packages_distributions, requires

def plain(name):
    return re.match(r"[\\w.-]+", name)[0].lower().replace("_", "-")

needed, todo = set(), ["torch"]
while todo:
    name = todo.pop()
    needed.add(name)
    try:
        of_torch = [plain(r) for r in requires(name) or [] if "extra ==" not in r]
    except PackageNotFoundError:  # that of another platform
        continue
    todo += set(of_torch) - needed
absent = {
    module
    for module, owners in packages_distributions().items()
    if module != "fgcl_utils" and not needed & set(map(plain, owners))
}
assert {"numpy", "pandas", "sklearn", "timm", "torchvision"} <= absent
sys.modules.update(dict.fromkeys(absent))

import torch
from fgcl_utils.losses import HierarchicalContrastiveLoss, LevelBlocksLoss

for n in (8, 600):
    labels = [[0, 0], [1, 0]] * (n // 2)
    for loss in (HierarchicalContrastiveLoss(), LevelBlocksLoss((2, 2), (1, 1))):
        projections = torch.randn(n, 4, requires_grad=True)
        loss(projections, labels).backward()
        assert projections.grad.isfinite().all()
print("fine")
"""


def test_torch_is_all_that_the_losses_need():
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", WITH_TORCH_ALONE], capture_output=True, text=True
    )
    assert done.stdout == "fine\n", done.stderr
