"""A block of dimensions for each level: what draws a genus together leaves its species apart.

In one space the positives of a coarse level draw together what the finest level pushes apart. Here
projections are cut into blocks, finest level first, and each block is trained by the labels of its
level alone. After training, `level_blocks` puts them together again, with shares that a reader
chooses by the question.
"""

import torch
from torch import Tensor, nn

from fgcl_utils.losses.batch import checked_projections, gathered
from fgcl_utils.losses.contrastive import SupConLoss, scaled_directions
from fgcl_utils.losses.opaque import opaque


class LevelBlocksLoss(nn.Module):
    """Σₗ aₗ · SupCon(block l of the projections, labels of level l, τₗ).

    Exact and linear in memory, as `SupConLoss` is.

    Parameters
    ----------
    block_dims : sequence of L ints
        Dimensions of each level's block, finest level first; projections have their sum.
    level_weights : sequence of L floats
        aₗ ≥ 0, one of them at least positive. They need not fall.
    temperatures : float or sequence of L floats
        τₗ > 0; one number is that of all levels.
    reduction : {"mean", "sum", "none"}
        As for `SupConLoss`, of each level: its mean is over the anchors with a positive there.
    anchors_without_positives : {"ignore", "zero"}
        Whether a level's mean leaves them out or counts them as 0.
    learnable_temperature : bool
        A parameter a level, ``levels[l].log_scale``, kept within τ = 0.01 … 1.
    gather : bool
        Under torch.distributed, take the batch of all ranks.

    Attributes
    ----------
    levels : ModuleList of L SupConLoss

    Raises
    ------
    ValueError
        If an argument is outside its range, or they differ in their number of levels.
    """

    def __init__(
        self,
        block_dims,
        level_weights,
        temperatures=0.1,
        reduction: str = "mean",
        *,
        anchors_without_positives: str = "ignore",
        learnable_temperature: bool = False,
        gather: bool = True,
    ):
        super().__init__()
        self.block_dims = _checked_dims(block_dims)
        weights = _one_a_level(level_weights, "level_weights", self.block_dims)
        self.level_weights = tuple(float(weight) for weight in weights)
        if not (min(self.level_weights) >= 0 < sum(self.level_weights) < torch.inf):
            raise ValueError(
                f"level_weights are {self.level_weights}; none may be negative or infinite, and "
                "one at least must be positive"
            )
        if isinstance(temperatures, (int, float, Tensor)):
            temperatures = [temperatures] * len(self.block_dims)
        self.levels = nn.ModuleList(
            SupConLoss(
                temperature,
                reduction,
                anchors_without_positives=anchors_without_positives,
                learnable_temperature=learnable_temperature,
                gather=gather,
            )
            for temperature in _one_a_level(temperatures, "temperatures", self.block_dims)
        )
        self.gather = gather

    @property
    def temperatures(self) -> tuple[float, ...]:
        """τₗ, as they are now."""
        return tuple(level.temperature for level in self.levels)

    def extra_repr(self):
        return f"block_dims={self.block_dims}, level_weights={self.level_weights}"

    @opaque
    def forward(self, projections: Tensor, labels: Tensor, memory=None) -> Tensor:
        """Loss of a batch, as `SupConLoss.forward`.

        Parameters
        ----------
        projections : Tensor (N, sum(block_dims)), any float dtype
            Blocks of any length each.
        labels : integers (N, L): Tensor, array or lists
            Finest level first; no level needs to be nested in the next. −1 where a class is
            unknown, which can be at the finer levels only: the row is then left out of those
            levels' losses, as an anchor and as a column.
        memory : pair of such Tensors, optional
            As for `SupConLoss`.

        Returns
        -------
        Tensor, () or (N,) if ``reduction="none"``
        """
        batch = gathered(
            projections, labels, memory, len(self.levels), self.gather, sum(self.block_dims)
        )
        of_levels = zip(self.level_weights, self.levels, batch.levels(self.block_dims), strict=True)
        return sum(weight * loss.of_batch(block) for weight, loss, block in of_levels if weight)


def level_blocks(projections: Tensor, block_dims, shares) -> Tensor:
    """The embedding (√w₁ z₁, …, √w_L z_L), where zₗ is block l at unit length.

    The cosine of two of them is the mean of their blocks' cosines, weighted by the shares w.

    Parameters
    ----------
    projections : Tensor (N, sum(block_dims)), any float dtype
    block_dims : sequence of L ints
        As for `LevelBlocksLoss`.
    shares : sequence of L floats
        wₗ ≥ 0 that sum to one. Others are refused, not rescaled: a share is reported with what
        it gave.

    Returns
    -------
    Tensor (N, sum(block_dims)), in float32 at least
        Of unit length; a block without a direction (a zero vector) stays zero.

    Raises
    ------
    ValueError
        If the shares are negative or do not sum to one, or shapes do not fit.
    """
    dims = _checked_dims(block_dims)
    checked_projections(projections, sum(dims))
    shares = _one_a_level(shares, "shares", dims)
    if not (min(shares) >= 0 and abs(sum(shares) - 1) < 1e-6):
        raise ValueError(f"shares are {shares}; they must be 0 or more and sum to 1")
    blocks = zip(projections.split(dims, 1), shares, strict=True)
    return torch.cat([scaled_directions(block, share)[0] for block, share in blocks], 1)


def _checked_dims(block_dims):
    dims = tuple(block_dims)
    if not dims or not all(isinstance(dim, int) and dim > 0 for dim in dims):
        raise ValueError(f"block_dims are {dims}; they must be positive integers, one a level")
    return dims


def _one_a_level(numbers, name, block_dims):
    numbers = tuple(numbers)
    if len(numbers) != len(block_dims):
        raise ValueError(
            f"{name} are {numbers}; the {len(block_dims)} block_dims {block_dims} ask for one each"
        )
    return numbers
