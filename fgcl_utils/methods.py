"""The methods of the study: what each is told, what it trains, and by which loss.

=============  ==========================  ===================================================
`ce`           the finest labels           a classifier on the encoder's features
`supcon`       the finest labels           a head, by SupCon
`hcl`          the labels of all levels    a head, by HCL: relatives are soft positives
`hcl_blocks`   the labels of all levels    a head, a block of its dimensions a level, SupCon in each
`ce_head`      the finest labels           a classifier on the projection head that SupCon has
`ce_levels`    the labels of all levels    a classifier a level on the encoder's features
`ce_blocks`    the labels of all levels    a classifier a level, each on its block of a head
`coarse_only`  those of the second level   a head by SupCon and a classifier: what these hold alone
=============  ==========================  ===================================================

`hcl` is the paper's; `ce_head`, `ce_levels` and `ce_blocks` are the fair partners: the same head,
the same labels, no contrast. A loss of your own is one more entry of `METHODS`: see `Method.loss`.
"""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional as F

from fgcl_utils.losses import (
    HierarchicalContrastiveLoss,
    LevelBlocksLoss,
    SupConLoss,
    level_blocks,
)
from fgcl_utils.losses.ranks import Ranks

CONTRASTIVE = ("temperature", "head", "projection_dim", "ce_weight")


@dataclass(frozen=True)
class Method:
    """What sets a method apart.

    Parameters
    ----------
    notebook : str or None
        The one that runs it.
    reads : tuple of str
        The settings that this method reads and not all others.
    has_head : bool
        Whether the embedding is the projection head's; otherwise it is the encoder's features.
    classified : {"", "finest", "second", "all"}
        Levels that it has classifiers for.
    classifies_head : bool
        Whether the classifiers read the projections; otherwise they read the encoder's features.
    in_blocks : bool
        Whether each level has dimensions of its own.
    needs_levels : bool
        Whether one level is too few.
    loss : function or None
        Of (options, n_classes) to the loss, see `loss_for`; for methods that are not ours.
    """

    notebook: str | None
    reads: tuple[str, ...] = ()
    has_head: bool = True
    classified: str = ""
    classifies_head: bool = False
    in_blocks: bool = False
    needs_levels: bool = False
    loss: Callable | None = None


# The paper's and its continuation, then the controls; figures and tables keep this order.
METHODS = {
    "ce": Method("01_ce_baseline", has_head=False, classified="finest"),
    "supcon": Method("02_supcon", CONTRASTIVE),
    "hcl": Method(
        "03_hcl",
        (*CONTRASTIVE, "soft_weight", "normalization", "level_weights"),
        needs_levels=True,
    ),
    "hcl_blocks": Method(
        "03_hcl",
        (*CONTRASTIVE, "level_weights", "block_dims", "temperatures"),
        in_blocks=True,
        needs_levels=True,
    ),
    "ce_head": Method(None, ("head", "projection_dim"), classified="finest", classifies_head=True),
    "ce_levels": Method(
        None, ("level_weights",), has_head=False, classified="all", needs_levels=True
    ),
    "ce_blocks": Method(
        None,
        ("level_weights", "head", "projection_dim", "block_dims"),
        classified="all",
        classifies_head=True,
        in_blocks=True,
        needs_levels=True,
    ),
    "coarse_only": Method(
        None, ("temperature", "head", "projection_dim"), classified="second", needs_levels=True
    ),
}
# Of level blocks, chosen on validation images of the embedded data.
BLOCK_WEIGHT = 0.2
COARSE_BLOCKS_SHARE = 1 / 4  # of the dimensions
COARSE_TEMPERATURE = 3.0  # times that of the finest level


def level_weights(options, method):
    """Weight of each level in the loss of `method`, finest first.

    ``options.level_weights``, or else for HCL 1, ``soft_weight`` and half of that for each level
    above; 1 and `BLOCK_WEIGHT` for blocks; 1 for all classifiers.
    """
    n_levels = len(options.levels)
    if options.level_weights is not None:
        return tuple(options.level_weights)
    if method == "hcl":
        return (1.0, *(options.soft_weight / 2**l for l in range(n_levels - 1)))
    if METHODS[method].in_blocks:
        return (1.0, *[BLOCK_WEIGHT] * (n_levels - 1))
    return (1.0,) * n_levels


def block_dims(options):
    """Dimensions of each level's block, finest first.

    ``options.block_dims``, or else a quarter of ``projection_dim``, divided among the levels above
    the finest, which has the rest: 96 and 32 of 128.
    """
    if options.block_dims is not None:
        return tuple(options.block_dims)
    n_coarse = len(options.levels) - 1
    each = max(2, int(options.projection_dim * COARSE_BLOCKS_SHARE) // max(1, n_coarse))
    return (options.projection_dim - each * n_coarse, *[each] * n_coarse)


def temperatures(options):
    """τ of each level's block, finest first."""
    if options.temperatures is not None:
        return tuple(options.temperatures)
    coarse = COARSE_TEMPERATURE * options.temperature
    return (options.temperature, *[coarse] * (len(options.levels) - 1))


def projection_dim(options, method):
    """Outputs of the projection head."""
    return sum(block_dims(options)) if METHODS[method].in_blocks else options.projection_dim


def blocks_of(options, method):
    """Dimensions of each level's block; None for a method in one space."""
    return block_dims(options) if METHODS[method].in_blocks else None


def classified_levels(options, method):
    """Positions of the levels that `method` has a classifier for."""
    kind = METHODS[method].classified
    if not kind and options.ce_weight:
        kind = "finest"
    return {"": [], "finest": [0], "second": [1], "all": [*range(len(options.levels))]}[kind]


def classified_blocks(options, method):
    """Dimensions of the block that each classifier reads; None where it reads all there is."""
    return blocks_of(options, method) if METHODS[method].classifies_head else None


def embedding(projections, options, method) -> Tensor:
    """The unit vectors that the loss acts on, float32 (N, D).

    Blocks come with equal shares, from which any others follow: see `metrics.at_shares`.
    """
    dims = blocks_of(options, method)
    if dims is None:
        return F.normalize(projections.float(), dim=1)
    return level_blocks(projections.float(), dims, [1 / len(dims)] * len(dims))


def loss_for(options, method, n_classes):
    """The loss of `method`, a function of projections (N, D), logits (N, ΣC) and labels (N, L).

    Parameters
    ----------
    options : Settings or HeadTransformer
        Has the settings that the method reads.
    method : str
    n_classes : sequence of int
        Of each level, finest first.
    """
    if METHODS[method].loss:
        return METHODS[method].loss(options, n_classes)
    contrast = _contrast(options, method)
    levels = classified_levels(options, method)
    sizes = [n_classes[l] for l in levels]
    in_all = METHODS[method].classified == "all"
    weights = level_weights(options, method) if in_all else [1.0]

    def classify(logits, labels):
        parts = zip(levels, weights, logits.split(sizes, dim=1), strict=True)
        return sum(w * cross_entropy(part, labels[:, l]) for l, w, part in parts)

    if contrast is None:
        return lambda projections, logits, labels: classify(logits, labels)
    if not levels:
        return lambda projections, logits, labels: contrast(projections, labels)
    weight = 1.0 if method == "coarse_only" else options.ce_weight
    return lambda projections, logits, labels: (
        contrast(projections, labels) + weight * classify(logits, labels)
    )


def _contrast(options, method):
    """The contrastive part, a function of projections (N, D) and labels (N, L); None for CE's."""
    if method in ("supcon", "coarse_only"):
        level = 0 if method == "supcon" else 1
        loss = SupConLoss(temperature=options.temperature)
        return lambda projections, labels: loss(projections, labels[:, level])
    if method == "hcl":
        return HierarchicalContrastiveLoss(
            level_weights=level_weights(options, method),
            temperature=options.temperature,
            normalization=options.normalization,
        )
    if method == "hcl_blocks":
        return LevelBlocksLoss(
            block_dims(options), level_weights(options, method), temperatures(options)
        )
    return None


def cross_entropy(logits, labels):
    """Mean over the labels that are known (not −1) in the batch of all processes.

    Exact once gradients have been averaged over processes; 0 where no label is known.
    """
    ranks = Ranks(len(labels), labels.device)
    known = (labels >= 0).sum()
    n_here, n_all = int(known), int(ranks.sum(known.clone()))
    if not n_here:
        return 0.0 * logits.sum()
    mean = F.cross_entropy(logits.float(), labels, ignore_index=-1)
    return mean * (n_here * ranks.size / n_all)  # by 1 where all processes know equally many
