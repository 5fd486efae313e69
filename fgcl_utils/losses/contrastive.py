"""Supervised contrastive loss and its hierarchical form, for labels of any number of levels.

For projections of unit length z, a temperature τ and pair weights w, an anchor i with positives
contributes

    ℓᵢ = −Σⱼ wᵢⱼ log( exp(zᵢ·zⱼ/τ) / Σ_{k≠i} exp(zᵢ·zₖ/τ) ) / Σⱼ wᵢⱼ
       = log Σ_{k≠i} exp(zᵢ·zₖ/τ) − zᵢ·mᵢ/τ

where wᵢⱼ is the weight of the finest level that i and j share, and mᵢ the weighted mean of i's
positives. The second line is what is computed: its first term tile by tile (`log_sum_exp`, or
`kernels` on a GPU), mᵢ from class sums (`positives`). SupCon is the case of one level.
"""

import itertools
import math
from contextlib import nullcontext

import torch
from torch import Tensor, nn

from fgcl_utils.losses.batch import Batch, gathered
from fgcl_utils.losses.direct import DirectLosses
from fgcl_utils.losses.matrices import row_blocks
from fgcl_utils.losses.opaque import opaque
from fgcl_utils.losses.tiled import TiledLosses

# Up to so many pairs of rows, all of them at once are faster than tiles.
DIRECT_PAIRS = 512**2

# A learnable temperature stays in the range that CLIP (Radford et al., 2021) gives it.
LEARNABLE_TEMPERATURES = (0.01, 1.0)
# Shorter vectors have no direction: they count as zero vectors, similar to nothing.
SHORTEST = 1e-12


class HierarchicalContrastiveLoss(nn.Module):
    """Contrastive loss with graded positives: same species, same genus, same family, …

    Exact, and linear in memory: O(N·D). Never NaN for finite projections.

    Parameters
    ----------
    level_weights : sequence of float
        Weight of a positive that shares level l and nothing finer, finest level first: the first
        positive, none negative, none larger than the one before.
    temperature : float
        τ > 0.
    normalization : {"level", "pair"}
        "pair": every positive counts by its weight, as in the formula above. "level": the
        positives of each level are averaged first and the levels then mixed by their weights, so
        that a weight means the same whatever the batch holds. At the default weights it keeps
        far more species accuracy on validation data (`results/sweep.json`), hence the default;
        "pair" wants smaller ones.
    reduction : {"mean", "sum", "none"}
        "none" gives one value an anchor, 0 where it has no positive.
    anchors_without_positives : {"ignore", "zero"}
        Whether the mean leaves them out or counts them as 0.
    learnable_temperature : bool
        Makes `log_scale` = log 1/τ a parameter, kept within τ = 0.01 … 1 as in CLIP: in every
        forward pass, in `temperature` and in the ``state_dict``.
    gather : bool
        Under torch.distributed, take the batch of all ranks; see `forward`.

    Raises
    ------
    ValueError
        If an argument is outside its range.
    TypeError
        If the temperature is a parameter: see `learnable_temperature`.
    """

    def __init__(
        self,
        level_weights=(1.0, 0.3),
        temperature: float = 0.1,
        normalization: str = "level",
        reduction: str = "mean",
        *,
        anchors_without_positives: str = "ignore",
        learnable_temperature: bool = False,
        gather: bool = True,
    ):
        super().__init__()
        self.level_weights = _checked_weights(level_weights)
        self.normalization = _one_of(normalization, "normalization", ("pair", "level"))
        self.reduction = _one_of(reduction, "reduction", ("mean", "sum", "none"))
        self.anchors_without_positives = _one_of(
            anchors_without_positives, "anchors_without_positives", ("ignore", "zero")
        )
        self.gather = gather
        self.learnable_temperature = learnable_temperature
        self._temperature = _checked_temperature(temperature, learnable_temperature)
        log_scale = torch.tensor(-math.log(self._temperature))
        self.log_scale = nn.Parameter(log_scale) if learnable_temperature else None

    @property
    def temperature(self) -> float:
        """τ, as it is now."""
        if self.log_scale is None:
            return self._temperature
        low, high = LEARNABLE_TEMPERATURES  # which a rounded log may miss
        return min(max(1 / self._scale().item(), low), high)

    def extra_repr(self):
        names = ["reduction", "anchors_without_positives", "learnable_temperature", "gather"]
        if not isinstance(self, SupConLoss):
            names = ["level_weights", "normalization", *names]
        settings = [f"{name}={getattr(self, name)!r}" for name in names]
        return ", ".join([f"temperature={self.temperature:.6g}", *settings])

    def _save_to_state_dict(self, *arguments):
        self._scale()
        super()._save_to_state_dict(*arguments)

    @opaque  # torch.compile would unroll the tiles
    def forward(self, projections: Tensor, labels: Tensor, memory=None) -> Tensor:
        """Loss of a batch.

        Two views of each image are a batch of twice the length: concatenate the projections and
        repeat the labels.

        Parameters
        ----------
        projections : Tensor (N, D), any float dtype
            Of any length; computed in float32 at least, whatever autocast says. (Kernels for GPUs
            multiply the gradient of half-precision input in float16: see `kernels`.)
        labels : integers (N,) or (N, L): Tensor, array or lists
            Nested, finest level first, with L = len(level_weights); −1 where a class is unknown,
            which can be at the finer levels only. A row known from level l on counts as the only
            one of its finer classes: those that share its class at level l are its positives with
            that level's weight, whatever finer class they may have in common, and to all others it
            is what they are to each other. (All rows share one denominator, so what draws a pair
            together is all that a level decides.) A row of which nothing is known is left out,
            as an anchor and as a column.
        memory : pair of such Tensors, optional
            Projections and labels of earlier batches (see `ProjectionQueue`): further positives
            and negatives for the anchors in `projections`, without a gradient of their own.

        Returns
        -------
        Tensor, () or (N,) if ``reduction="none"``
            In float32 at least. 0 with a zero gradient if no anchor has a positive. Under several
            processes the mean and the sum are those of the whole batch, on every rank, and the
            gradient, averaged over ranks as DistributedDataParallel does, is that of one process.
            All ranks must call; local batches may differ in length and even be empty.

        Raises
        ------
        ValueError
            Wrong shapes or number of levels, no sample at all, labels that are not nested,
            projections that are NaN or infinite.
        TypeError
            Projections that are not floating-point, labels that are not integers.
        """
        return self.of_batch(
            gathered(projections, labels, memory, len(self.level_weights), self.gather)
        )

    def of_batch(self, batch: Batch) -> Tensor:
        """As `forward`, of a batch that is gathered already."""
        n_anchors, rows = len(batch.anchors), None
        if not batch.complete:
            batch, rows = batch.of_known()
        anchors, past, labels, ranks, _ = batch
        value = _Loss.apply(anchors, self._scale(), past, labels, self, ranks)
        if self.reduction != "none":
            return value
        if rows is not None:
            value = value.new_zeros(n_anchors).index_copy(0, rows, value)
        return value[ranks.own]

    def _shares(self, exist, dtype):
        """What each anchor's loss counts for in the result (N,), given which have a positive."""
        shares = exist.to(dtype)
        if self.reduction == "mean":
            ignored = self.anchors_without_positives == "ignore"
            shares /= exist.sum().clamp_(min=1) if ignored else len(exist)
        return shares

    def _scale(self):
        """1/τ: a number, or a tensor where it is learnt, back in its range after any step."""
        if self.log_scale is None:
            return 1 / self._temperature
        low, high = LEARNABLE_TEMPERATURES
        with torch.no_grad():
            self.log_scale.clamp_(-math.log(high), -math.log(low))
        return self.log_scale.exp()


class SupConLoss(HierarchicalContrastiveLoss):
    """Supervised contrastive loss (Khosla et al., 2020): all positives alike, one label level.

    With one label an image, shared by its two views, it is SimCLR's loss (Chen et al., 2020).
    Options are those of `HierarchicalContrastiveLoss`.
    """

    def __init__(self, temperature: float = 0.1, reduction: str = "mean", **options):
        super().__init__((1.0,), temperature, reduction=reduction, **options)


class _Loss(torch.autograd.Function):
    """The loss of the batch of all ranks, or of each of its anchors (N,), and its gradient."""

    @staticmethod
    def forward(ctx, anchors, scale, past, labels, options, ranks):
        n_anchors = len(anchors)
        rows = anchors if past is None else torch.cat([anchors, past])
        z, per_length = scaled_directions(rows, float(scale))
        arguments = z, labels, n_anchors, options.level_weights, options.normalization
        with _without_autocast(z.device.type):
            if n_anchors * len(z) <= DIRECT_PAIRS:
                losses = DirectLosses(*arguments)
            else:
                losses = TiledLosses(*arguments, per_length, rows.dtype, float(scale), ranks)
        shares = options._shares(losses.exist, z.dtype)
        if any(ctx.needs_input_grad):
            ctx.save_for_backward(z, per_length, shares)
            ctx.losses, ctx.ranks = losses, ranks
            ctx.scale, ctx.dtype = float(scale), anchors.dtype
        return losses.value if options.reduction == "none" else losses.value.dot(shares)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad_output):
        z, per_length, shares = ctx.saved_tensors
        # Whatever any rank makes of an anchor's loss comes back to all.
        weights = ctx.ranks.sum(grad_output * shares)
        with _without_autocast(z.device.type):
            gradient = ctx.losses.gradient(z, weights)

        # z = √scale · projection / length: the gradient along z is for the scale alone, the
        # gradient across z for the projection.
        n_anchors, learnt = len(gradient), ctx.needs_input_grad[1]
        scale_gradient = gradient.new_zeros(()) if learnt else None
        blocks = row_blocks(gradient, z[:n_anchors], per_length[:n_anchors])
        for part, anchors, factor in blocks:
            along = (part * anchors).sum(1, keepdim=True)
            if learnt:
                scale_gradient += along.sum() / (2 * ctx.scale * ctx.ranks.size)
            part.addcmul_(anchors, along, value=-1 / ctx.scale).mul_(factor)
        return gradient.to(ctx.dtype), scale_gradient, None, None, None, None


def _without_autocast(device_type):
    """Autocast would lower the products to bfloat16, whatever the dtype of z."""
    enabled = torch.is_autocast_enabled(device_type)
    return torch.autocast(device_type, enabled=False) if enabled else nullcontext()


def scaled_directions(rows: Tensor, scale: float) -> tuple[Tensor, Tensor]:
    """√scale · rows / length, whose products are cosines over temperature; √scale / length."""
    rows = rows.to(torch.promote_types(rows.dtype, torch.float32))
    length = torch.linalg.vector_norm(rows, dim=1, keepdim=True)
    if not math.isfinite(length.detach().sum()):
        raise ValueError("projections hold NaN, infinity, or a row too long for its dtype")
    per_length = math.sqrt(scale) / torch.threshold(length, SHORTEST, 1.0)
    return rows * per_length, per_length


def _checked_weights(level_weights):
    weights = tuple(float(weight) for weight in level_weights)
    falling = all(a >= b for a, b in itertools.pairwise(weights))
    if not weights or not (0 < weights[0] < math.inf and falling and weights[-1] >= 0):
        raise ValueError(
            f"level_weights are {weights}; they go from the finest level to the coarsest: the "
            "first positive, none negative, none larger than the one before"
        )
    return weights


def _checked_temperature(temperature, learnable):
    if isinstance(temperature, Tensor) and temperature.requires_grad:
        raise TypeError(
            "temperature is a tensor with a gradient, which it would not receive: pass a number "
            "and learnable_temperature=True"
        )
    low, high = LEARNABLE_TEMPERATURES if learnable else (0.0, math.inf)
    if not (0 < temperature < math.inf and low <= temperature <= high):
        allowed = f"within {low} … {high}" if learnable else "positive and finite"
        raise ValueError(f"temperature is {temperature}; it must be {allowed}")
    return float(temperature)


def _one_of(value, name, allowed):
    if value not in allowed:
        raise ValueError(f"{name} is {value!r}; it must be one of {', '.join(map(repr, allowed))}")
    return value
