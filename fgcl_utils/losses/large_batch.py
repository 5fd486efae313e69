"""Batches beyond memory: in chunks with the exact gradient, or with a queue of past batches."""

from collections.abc import Callable
from contextlib import contextmanager, nullcontext

import torch
from torch import Tensor, nn

from fgcl_utils.losses.batch import gathered


def backward_in_chunks(
    embed: Callable[[Tensor], Tensor],
    loss: Callable[[Tensor, Tensor], Tensor],
    inputs: Tensor,
    labels: Tensor,
    chunk_size: int,
    backward: Callable[[Tensor], None] = Tensor.backward,
) -> Tensor:
    """Backward pass of a batch of which only `chunk_size` inputs fit into memory at once.

    All inputs are embedded without a graph, the loss and its gradient at the embeddings computed
    on the whole batch, then each chunk is embedded again and takes its part of that gradient
    (GradCache: Gao et al., 2021, arXiv 2101.06983). Parameters receive the gradient of the whole
    batch. Random numbers (dropout) are the same in both passes; batch normalisation in training
    mode is not a function of each input alone, and sees chunks instead of the batch.

    Parameters
    ----------
    embed : callable
        From inputs (n, …) to projections (n, D). A DistributedDataParallel model synchronises
        its gradients once, with the last chunk.
    loss : callable
        From projections (N, D) and labels to a scalar.
    inputs : Tensor (N, …)
    labels : Tensor (N,) or (N, L)
    chunk_size : int
    backward : callable
        Starts the backward pass from the loss; pass ``accelerator.backward`` where one is used.

    Returns
    -------
    Tensor, ()
        The loss, detached.
    """
    chunks = inputs.split(chunk_size)
    random_states, projections = [], []
    with torch.no_grad():
        for chunk in chunks:
            random_states.append(_random_state(chunk.device))
            projections.append(embed(chunk))
    projections = torch.cat(projections).requires_grad_()
    value = loss(projections, labels)
    backward(value)

    gradients = projections.grad.split(chunk_size)
    for k, (chunk, state, gradient) in enumerate(
        zip(chunks, random_states, gradients, strict=True)
    ):
        last = k == len(chunks) - 1
        synchronised = nullcontext() if last else getattr(embed, "no_sync", nullcontext)()
        with synchronised, _replayed(state, chunk.device):
            embed(chunk).backward(gradient)
    return value.detach()


class ProjectionQueue(nn.Module):
    """The last projections and their labels, as further columns for later batches.

    Cross-batch memory (XBM: Wang et al., 2020, arXiv 1912.06798): projections drift slowly, so
    those of past batches still serve as positives and negatives. Use with any of the losses::

        value = loss(projections, labels, memory=queue.contents())
        queue.add(projections, labels)

    Under torch.distributed each rank holds the same queue, of the projections of all ranks.
    What it holds is part of its ``state_dict``.

    Parameters
    ----------
    size : int
        Projections to hold.
    dim : int
        Their length.
    n_levels : int
        Label levels.
    """

    def __init__(self, size: int, dim: int, n_levels: int = 1):
        super().__init__()
        if min(size, dim, n_levels) < 1:
            raise ValueError(f"size, dim and n_levels must be positive, not {size, dim, n_levels}")
        self.register_buffer("projections", torch.zeros(size, dim))
        self.register_buffer("labels", torch.zeros(size, n_levels, dtype=torch.int64))
        self.register_buffer("n_added", torch.zeros((), dtype=torch.int64))

    def extra_repr(self):
        size, dim = self.projections.shape
        return f"size={size}, dim={dim}, n_levels={self.labels.shape[1]}"

    def contents(self) -> tuple[Tensor, Tensor]:
        """Projections (n, dim) and labels (n, n_levels), n ≤ size, in no particular order."""
        n = min(int(self.n_added), len(self.labels))
        # Copies, because `add` overwrites what a loss may still need for its backward pass.
        return self.projections[:n].clone(), self.labels[:n].clone()

    @torch.no_grad()
    def add(self, projections: Tensor, labels: Tensor) -> None:
        """Take in a batch (N, dim) with labels (N,) or (N, n_levels); the oldest make room.

        Of what the losses accept, and refused as they do.
        """
        n_levels, (size, dim) = self.labels.shape[1], self.projections.shape
        batch = gathered(projections, labels, None, n_levels, True, dim)
        projections, labels = batch.anchors, batch.labels
        places = torch.arange(len(labels), device=self.labels.device)[-size:]
        slots = (self.n_added + places) % size
        self.projections[slots] = projections[-size:].to(self.projections)
        self.labels[slots] = labels[-size:].to(self.labels)
        self.n_added += len(labels)


def _random_state(device):
    on_device = torch.cuda.get_rng_state(device) if device.type == "cuda" else None
    return torch.get_rng_state(), on_device


@contextmanager
def _replayed(state, device):
    """Draw the random numbers that were drawn after `state`, then go on where we were."""
    on_cpu, on_device = state
    with torch.random.fork_rng(devices=[] if on_device is None else [device]):
        torch.set_rng_state(on_cpu)
        if on_device is not None:
            torch.cuda.set_rng_state(on_device, device)
        yield
