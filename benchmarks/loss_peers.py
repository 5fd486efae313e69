"""Other implementations of supervised contrastive losses, all called as loss(projections, labels).

Those of libraries are called; those published as scripts are restated here from their papers'
formulae, N × N matrices and all, the way they are computed there.
"""

import torch
from torch.nn.functional import normalize

TEMPERATURE = 0.1


def hobbitlong(projections, labels, temperature=TEMPERATURE):
    """SupCon as in HobbitLong/SupContrast (Khosla et al., 2020, equation 2, L_out)."""
    z = normalize(projections, dim=1)
    log_softmax, positives = _log_softmax_and_positives(z, labels, temperature)
    n_positives = positives.sum(1)
    n_positives = torch.where(n_positives < 1e-6, 1, n_positives)
    return -((positives * log_softmax).sum(1) / n_positives).mean()


def _log_softmax_and_positives(z, labels, temperature):
    similarities = z @ z.T / temperature
    similarities = similarities - similarities.max(dim=1, keepdim=True).values.detach()
    others = torch.ones_like(similarities).fill_diagonal_(0)
    positives = torch.eq(labels[:, None], labels[None]).to(z.dtype) * others
    exp = similarities.exp() * others
    return similarities - torch.log(exp.sum(1, keepdim=True)), positives


def pair_weights_autograd(projections, labels, weights=(1.0, 0.3), temperature=TEMPERATURE):
    """The formula of our loss with N × N weights, left to autograd."""
    z = normalize(projections, dim=1)
    similarities = z @ z.T / temperature
    itself = torch.eye(len(z), dtype=torch.bool, device=z.device)
    log_softmax = similarities - similarities.masked_fill(itself, -torch.inf).logsumexp(
        1, keepdim=True
    )
    w = torch.zeros_like(similarities)
    for level in reversed(range(labels.shape[1])):
        w = torch.where(labels[:, None, level] == labels[None, :, level], weights[level], w)
    w = w.masked_fill(itself, 0.0)
    total = w.sum(1)
    losses = -(w * log_softmax).sum(1) / total.clamp(min=1e-12)
    return losses[total > 0].mean()


def hmlc(projections, labels, temperature=TEMPERATURE):
    """HiMulConE of Zhang et al. (2022): SupCon at each level, a coarser one never below a finer.

    Beyond the finest level one row a class stands for it, as in the published code.
    """
    z = normalize(projections, dim=1)
    n_levels = labels.shape[1]
    total, least = z.new_zeros(()), z.new_tensor(-torch.inf)
    for level in range(n_levels):
        log_softmax, positives = _log_softmax_and_positives(z, labels[:, level], temperature)
        value = -((positives * log_softmax).sum(1) / positives.sum(1)).mean()
        value = torch.maximum(least, value)
        total = total + 2 ** (1 / (level + 1)) * value
        least = value
        _, code = labels[:, level].unique(return_inverse=True)
        rows = torch.arange(len(code), device=code.device).flip(0)
        first = torch.zeros_like(code[: code.max() + 1]).scatter_(0, code.flip(0), rows)
        z, labels = z[first], labels[first]
    return total / n_levels


def metric_learning(projections, labels, temperature=TEMPERATURE):
    """pytorch-metric-learning's SupConLoss."""
    from pytorch_metric_learning.losses import SupConLoss

    return SupConLoss(temperature)(projections, labels)


def lightly(projections, labels, temperature=TEMPERATURE):
    """lightly's NT-Xent: for two views an image, one after the other; it takes no labels."""
    from lightly.loss import NTXentLoss

    return NTXentLoss(temperature)(*projections.chunk(2))


def inf_cl(projections, labels, temperature=TEMPERATURE):
    """Inf-CL's tiled loss between two sets of views (Cheng et al., 2024): Triton kernels."""
    from inf_cl import cal_flash_loss

    first, second = normalize(projections, dim=1).chunk(2)
    return cal_flash_loss(first, second, scale=1 / temperature, head_dim=first.shape[1]).mean()


def memeff(projections, labels, temperature=TEMPERATURE):
    """memeff's CLIP loss between two sets of views: Triton kernels."""
    from memeff import MemoryEfficientCLIPLoss

    first, second = projections.chunk(2)
    return MemoryEfficientCLIPLoss(1 / temperature)(first, second)
