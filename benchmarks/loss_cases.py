"""What implementations of the supervised contrastive loss do on hard cases: run, not read.

    python benchmarks/loss_cases.py

Each case is a small batch; the table says whether loss and gradient are those of the definition
(a loop in float64 on the same inputs, anchors without positives left out). Writes
results/loss_cases.json.
"""

import json
import time
from functools import partial
from pathlib import Path

import loss_peers
import torch
from provenance import provenance
from torch.nn.functional import normalize

from fgcl_utils.losses import SupConLoss

ROOT = Path(__file__).parents[1]
EXACT = 1e-3  # relative: a value within it is called exact


def random_batch(n=64, dim=32, n_classes=8, dtype=torch.float32):
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(n) % n_classes
    centres = torch.randn(n_classes, dim, generator=generator)
    projections = centres[labels] + torch.randn(n, dim, generator=generator)
    return normalize(projections).to(dtype), labels


def with_labels(change):
    projections, labels = random_batch()
    return projections, change(labels)


def one_lonely(labels):
    return torch.cat([labels[:-1], torch.tensor([99])])


def duplicated():
    projections, labels = random_batch(32)
    return projections.repeat(2, 1), labels.repeat(2)


def perfect_class():
    """Two coinciding samples, opposite to all others: their loss is 0 to rounding."""
    projections, labels = random_batch(8, dim=2, n_classes=2)
    projections[:, 0] = projections[:, 0].abs() + 0.2
    projections = torch.cat([normalize(projections), torch.tensor([[-1.0, 0], [-1, 0]])])
    return projections, torch.cat([labels, torch.tensor([9, 9])])


def zero_vector():
    projections, labels = random_batch()
    projections[3] = 0
    return projections, labels


def far_vector():
    """One sample on the far side of all others, its own class included."""
    projections, labels = random_batch()
    projections[3] = -projections.mean(0)
    return normalize(projections), labels


# Name: (batch, temperature)
CASES = {
    "an ordinary batch": (random_batch, 0.1),
    "one anchor without a positive": (partial(with_labels, one_lonely), 0.1),
    "no anchor with a positive": (partial(with_labels, lambda labels: torch.arange(64)), 0.1),
    "one class only": (partial(with_labels, torch.zeros_like), 0.1),
    "a single sample": (partial(random_batch, n=1), 0.1),
    "every vector twice": (duplicated, 0.1),
    "some losses at exactly 0": (perfect_class, 0.05),
    "a zero vector": (zero_vector, 0.1),
    "temperature 0.01": (random_batch, 0.01),
    "temperature 0.01, a vector far from all": (far_vector, 0.01),
    "float16, temperature 0.03": (partial(random_batch, dtype=torch.float16), 0.03),
    "float16, temperature 0.01": (partial(random_batch, dtype=torch.float16), 0.01),
    "bfloat16, temperature 0.01": (partial(random_batch, dtype=torch.bfloat16), 0.01),
}


def ours(projections, labels, temperature):
    return SupConLoss(temperature)(projections, labels)


def hmlc(projections, labels, temperature):
    return loss_peers.hmlc(projections, labels[:, None], temperature) / 2  # its weight of level 1


IMPLEMENTATIONS = {
    "fgcl_utils": ours,
    "HobbitLong (restated)": loss_peers.hobbitlong,
    "pytorch-metric-learning": loss_peers.metric_learning,
    "HMLC (restated)": hmlc,
}


def exact(projections, labels, temperature):
    """The definition, by a loop over anchors in float64: value and gradient."""
    projections = projections.double().requires_grad_()
    z = projections / projections.norm(dim=1, keepdim=True).clamp(min=1e-12)
    losses = []
    for i in range(len(z)):
        rest = torch.arange(len(z)) != i
        positives = (labels == labels[i])[rest]
        if positives.any():
            log_softmax = (z[rest] @ z[i] / temperature).log_softmax(0)
            losses.append(-log_softmax[positives].mean())
    value = torch.stack(losses).mean() if losses else z.sum() * 0
    value.backward()
    return value.item(), projections.grad


def outcome(loss, projections, labels, temperature):
    """In words what becomes of value and gradient."""
    expected, expected_gradient = exact(projections, labels, temperature)
    projections = projections.clone().requires_grad_()
    try:
        value = loss(projections, labels, temperature)
        value.backward()
    except Exception as error:
        return f"raises {type(error).__name__}"
    value = describe(torch.tensor(value.item()).double(), torch.tensor(expected).double())
    # A zero vector has no direction, hence no gradient to agree on.
    some = projections.detach().any(1)
    gradient = describe(projections.grad[some].double(), expected_gradient[some], tolerance=1e-2)
    if not projections.grad.isfinite().all():
        gradient = "NaN"
    return value if value == gradient else f"{value}, gradient {gradient}"


def describe(found, expected, tolerance=EXACT):
    if not found.isfinite().all():
        return "NaN" if found.isnan().any() else "infinite"
    error = (found - expected).norm().item()
    size = expected.norm().item()
    if error <= tolerance * size + 1e-6:
        return "exact"
    if not found.any():
        return "0"
    return f"off by {error / size:.1%}" if size > 1e-6 else "not 0"


def main():
    began = time.perf_counter()
    columns = ["case", *IMPLEMENTATIONS]
    rows = [
        [case, *(outcome(loss, *make(), temperature) for loss in IMPLEMENTATIONS.values())]
        for case, (make, temperature) in CASES.items()
    ]
    table = {
        "caption": "Loss and gradient on hard cases, against the definition in float64",
        "columns": columns,
        "rows": rows,
    }
    print("\n".join(" | ".join(row) for row in [columns, *rows]))
    output = ROOT / "results" / "loss_cases.json"
    output.parent.mkdir(exist_ok=True)
    about = provenance(began, ["torch", "pytorch-metric-learning"])
    result = {"tables": {"cases": table}, "provenance": about}
    output.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
