"""The batch of all processes, as if one process held it.

Every rank gathers the projections of all, computes its share of the tiles and hands the others
its part of the row sums and of the gradient; the work is divided, not repeated. Under torch's
DistributedDataParallel and accelerate, which average gradients over ranks, the gradient of the
model is then exactly that of one process on the whole batch.
"""

import torch
import torch.distributed as dist
from torch import Tensor


class Ranks:
    """The processes that share a batch.

    Parameters
    ----------
    n_rows : int
        Of this process; ranks may differ, and some may have none.
    device : torch.device
    together : bool
        False makes this process stand alone, whatever torch.distributed says.

    Attributes
    ----------
    rank, size : int
    device : torch.device
    own : slice
        This process's rows within those of all, which come rank by rank.
    """

    def __init__(self, n_rows: int, device: torch.device, together: bool = True):
        self.rank, self.size, self.counts = 0, 1, [n_rows]
        self.device = device
        if together and dist.is_available() and dist.is_initialized():
            self.rank, self.size = dist.get_rank(), dist.get_world_size()
        if self.size > 1:
            count = torch.tensor([n_rows], device=device)
            self.counts = torch.cat(self.collect(count)).tolist()
        start = sum(self.counts[: self.rank])
        self.own = slice(start, start + n_rows)

    def gather(self, rows: Tensor) -> Tensor:
        """The rows of all processes, (N, …) each, in the order of ranks.

        Each rank is to find the gradient of all of them; its own rows take their part of it.
        """
        return rows if self.size == 1 else _Gathered.apply(rows, self)

    def sum(self, tensor: Tensor) -> Tensor:
        """The sum over processes of a tensor that all of them hold, in place."""
        if self.size > 1:
            dist.all_reduce(tensor)
        return tensor

    def all(self, mine: bool) -> bool:
        """Whether it is true on all processes."""
        if self.size == 1:
            return mine
        return int(self.sum(torch.tensor(int(mine), device=self.device))) == self.size

    def log_sum_exp(self, tensor: Tensor) -> Tensor:
        """log Σ exp over processes of a tensor that all of them hold."""
        return torch.stack(self.collect(tensor)).logsumexp(0) if self.size > 1 else tensor

    def collect(self, tensor: Tensor) -> list[Tensor]:
        """Each process's tensor of this shape."""
        parts = [torch.empty_like(tensor) for _ in range(self.size)]
        dist.all_gather(parts, tensor.contiguous())
        return parts


class _Gathered(torch.autograd.Function):
    @staticmethod
    def forward(ctx, rows, ranks):
        ctx.own = ranks.own
        # Collectives want equal shapes: pad to the longest, then cut.
        padded = rows.new_zeros(max(ranks.counts), *rows.shape[1:])
        padded[: len(rows)] = rows
        parts = zip(ranks.collect(padded), ranks.counts, strict=True)
        return torch.cat([part[:n] for part, n in parts])

    @staticmethod
    def backward(ctx, gradient):
        return gradient[ctx.own], None
