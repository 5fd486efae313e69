"""What a loss is given: checked, gathered from all processes, with rows of the past beside it."""

from typing import NamedTuple

import torch
from torch import Tensor

from fgcl_utils.losses.positives import nested_classes
from fgcl_utils.losses.ranks import Ranks

UNKNOWN = -1


class Batch(NamedTuple):
    """Rows that are anchors, rows that are columns only, and the labels of both.

    Attributes
    ----------
    anchors : Tensor (N, D)
        Projections of all processes.
    past : Tensor (P, D) or None
        Projections of earlier batches.
    labels : Tensor (N + P, L), integer
    ranks : Ranks
    complete : bool
        Whether no label is unknown.
    """

    anchors: Tensor
    past: Tensor | None
    labels: Tensor
    ranks: Ranks
    complete: bool

    def levels(self, block_dims) -> list["Batch"]:
        """For each level its block of the projections, with its labels alone."""
        pasts = [None] * len(block_dims)
        if self.past is not None:
            pasts = self.past.split(block_dims, 1)
        blocks = zip(self.anchors.split(block_dims, 1), pasts, self.labels.split(1, 1), strict=True)
        return [Batch(*block, self.ranks, self.complete) for block in blocks]

    def of_known(self) -> tuple["Batch", Tensor]:
        """Without the rows of which nothing is known; and the numbers of the anchors that remain.

        Among the others a class that is unknown is one of its own.
        """
        own = UNKNOWN - 1 - torch.arange(len(self.labels), device=self.labels.device)
        labels = self.labels.where(self.labels != UNKNOWN, own[:, None])
        nested_classes(labels)  # while samples have the numbers that an error should name
        some = self.labels[:, -1] != UNKNOWN
        rows = some[: len(self.anchors)].nonzero()[:, 0]
        anchors = self.anchors.index_select(0, rows)
        past = None if self.past is None else self.past[some[len(self.anchors) :]]
        return Batch(anchors, past, labels[some], self.ranks, True), rows


def gathered(projections, labels, memory, n_levels: int, together: bool, dim=None) -> Batch:
    """The batch of all processes if `together`, with `memory` beside it.

    Raises
    ------
    ValueError
        Wrong shapes or number of levels, no sample at all, labels that are negative or unknown
        where they cannot be.
    TypeError
        Projections that are not floating-point, labels that are not integers.
    """
    labels = checked_labels(projections, labels, n_levels, dim)
    ranks = Ranks(len(projections), projections.device, together)
    labels, anchors = ranks.gather(labels), ranks.gather(projections)
    if len(anchors) == 0:
        raise ValueError("the batch is empty: projections have shape (0, D) on every rank")
    past = None
    if memory is not None and len(memory[0]):
        past, past_labels = memory
        past_labels = checked_labels(past, past_labels, n_levels, anchors.shape[1])
        labels = torch.cat([labels, past_labels.to(labels)])
    return Batch(anchors, past, labels, ranks, all_known(labels))


def all_known(labels: Tensor) -> bool:
    """Whether no label is −1; raises where one is, though a finer one is known.

    Parameters
    ----------
    labels : Tensor (N, L), integer
    """
    if labels.numel() == 0 or int(labels.min()) >= 0:
        return True
    if (labels < UNKNOWN).any():
        i, level = (labels < UNKNOWN).nonzero()[0].tolist()
        raise ValueError(
            f"sample {i} has the label {int(labels[i, level])}; labels are 0 or more, or −1 where "
            "the class is unknown"
        )
    above_known = (labels[:, 1:] == UNKNOWN) & (labels[:, :-1] != UNKNOWN)
    if above_known.any():
        i = int(above_known.any(1).nonzero()[0])
        raise ValueError(
            f"sample {i} has the labels {labels[i].tolist()}, finest level first; once a class is "
            "known, the coarser ones are: −1 (unknown) stands at the finer levels only"
        )
    return False


def checked_labels(projections: Tensor, labels, n_levels: int, dim=None) -> Tensor:
    """Labels (N, n_levels) of int64, if all is well with the shapes and types of both."""
    checked_projections(projections, dim)
    labels, expected = _integers(labels), (len(projections), n_levels)
    if n_levels == 1 and labels.shape == expected[:1]:
        labels = labels[:, None]
    if labels.shape != expected:
        one_hot = labels.ndim == 2 and bool(((labels != 0).sum(1) == 1).all())
        raise ValueError(
            f"labels have shape {tuple(labels.shape)}; {len(projections)} projections and "
            f"{n_levels} level_weights ask for {expected}"
            + "; one-hot rows become classes by labels.argmax(1)"
            * one_hot
        )
    return labels.to(projections.device, torch.int64)


def _integers(labels):
    """Labels as a tensor of integers: theirs, or those of an array or of lists."""
    if not isinstance(labels, Tensor):
        try:
            # pandas' columns are sequences by name, not by position: their array is meant.
            labels = torch.tensor(labels.__array__() if hasattr(labels, "__array__") else labels)
        except (TypeError, ValueError, RuntimeError, OverflowError) as error:
            raise TypeError(
                f"labels are no integers ({error}); names become integers by "
                "numpy.unique(names, return_inverse=True)[1]"
            ) from error
    if labels.dtype == torch.bool:
        raise TypeError(
            "labels must be integers, not booleans: two classes are labels.long(), one-hot rows "
            "labels.long().argmax(1)"
        )
    if labels.is_floating_point() or labels.is_complex():
        raise TypeError(
            f"labels must be integers, not {labels.dtype}: whole numbers are labels.long(), "
            "one-hot rows or probabilities labels.argmax(1)"
        )
    return labels


def checked_projections(projections: Tensor, dim=None) -> None:
    """Raise unless they are a floating-point tensor (N, D), with D = dim where one is given."""
    if not isinstance(projections, Tensor):
        raise TypeError(f"projections must be a torch.Tensor, not {type(projections).__name__}")
    if projections.ndim != 2 or projections.shape[1] == 0:
        raise ValueError(f"projections must be (N, D), not {tuple(projections.shape)}")
    if dim is not None and projections.shape[1] != dim:
        raise ValueError(f"projections are (N, {projections.shape[1]}); they must be (N, {dim})")
    if not projections.is_floating_point():
        raise TypeError(f"projections must be floating-point, not {projections.dtype}")
