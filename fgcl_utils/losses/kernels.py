"""The log-sum-exp over everybody else on a GPU, in Triton kernels that keep similarities on chip.

A program of a kernel takes a block of anchors and walks over all rows, as attention kernels do:
one product a pair in the forward pass, two in the backward pass, 6 N²D operations in all. The tiles
of `log_sum_exp` need 4 N²D, since each serves its rows and its columns, but they pass through the
memory of the GPU. (Attention itself, as torch.nn.attention.flex_attention offers it with its
log-sum-exp, would also compute the weighted values and their gradients: 14 N²D.)

bfloat16 and float16 projections are multiplied as they are and scaled afterwards, so that nothing
is rounded before the sum; the gradient's second product takes its factors in float16, whose eleven
bits are enough after scaling. float32 projections are multiplied in three TensorFloat-32 products,
which is float32 up to rounding.
"""

import math
import os
from contextlib import nullcontext

import torch
import triton
import triton.language as tl
from torch import Tensor

from fgcl_utils.losses.log_sum_exp import LOG2E
from fgcl_utils.losses.ranks import Ranks

# How the second product of the gradient takes its factors.
PRODUCTS = {
    torch.bfloat16: tl.float16,
    torch.float16: tl.float16,
    torch.float32: tl.float32,
    torch.float64: tl.float64,
}
# Softmaxes reach down to 1/N: what is at most 2 fills float16's range from above.
_LARGEST = 2.0**14
# By Triton's interpreter, in Python on a CPU: only the tests want that.
_INTERPRETED = tl.constexpr(os.environ.get("TRITON_INTERPRET") == "1")
# Rows and columns of a block, warps, stages of the pipeline: Triton measures which are fastest for
# a dtype and width when they first come.
_SHAPES = [(128, 128, 8, 2), (128, 64, 8, 3), (128, 64, 4, 3), (64, 64, 4, 3), (32, 32, 4, 2)]
_CONFIGS = [
    triton.Config({"ROWS": rows, "COLUMNS": columns}, num_warps=warps, num_stages=stages)
    for rows, columns, warps, stages in ([(16, 16, 4, 1)] if _INTERPRETED.value else _SHAPES)
]
_tuned = triton.autotune(_CONFIGS, key=["DIM"])


class FusedLogSumExpOfOthers:
    """log Σ_{k≠i} exp(zᵢ·zₖ) for each anchor i, with its gradient.

    Parameters
    ----------
    z : Tensor (M, D) with M ≥ 2, float32 or float64
        The anchors, then rows that are columns only.
    per_length : Tensor (M, 1)
        What z was multiplied by: z / per_length are the projections.
    dtype : torch.dtype
        Of the projections.
    n_anchors : int
    bound : float
        Of the rows' squared length.
    ranks : Ranks
        The processes that hold the same z and divide the anchors among them.

    Attributes
    ----------
    value : Tensor (n_anchors,)
    """

    def __init__(
        self,
        z: Tensor,
        per_length: Tensor,
        dtype: torch.dtype,
        n_anchors: int,
        bound: float,
        ranks: Ranks,
    ):
        self.per_length, self.dtype = per_length, dtype
        self.n_anchors, self.bound, self.ranks = n_anchors, bound, ranks
        log2_value = z.new_zeros(n_anchors)
        self._run(_log2_sum_exp2, z, log2_value)
        self.value = ranks.sum(log2_value).div_(LOG2E)

    def gradient(self, z: Tensor, weights: Tensor) -> Tensor:
        """∂/∂z of Σᵢ weightsᵢ valueᵢ over the anchors: (n_anchors, D)."""
        unit = weights.abs().amax().clamp_(min=torch.finfo(z.dtype).tiny) / _LARGEST
        # A row that is no anchor has weight 0 and, lest 0 meet infinity, a value that hides it.
        log2_value = z.new_full((len(z),), torch.inf)
        torch.mul(self.value, LOG2E, out=log2_value[: self.n_anchors])
        padded = z.new_zeros(len(z))
        torch.div(weights, unit, out=padded[: self.n_anchors])
        gradient = z.new_zeros(self.n_anchors, z.shape[1])
        self._run(_softmax_products, z, gradient, log2_value, padded)
        return self.ranks.sum(gradient).mul_(unit * math.sqrt(self.bound))

    def _run(self, kernel, z, out, *more):
        """Let a kernel write this rank's share of the anchors' results to `out`.

        Both kernels take the same arguments, whether they need them or not.
        """
        share = -(-self.n_anchors // self.ranks.size)
        start = min(share * self.ranks.rank, self.n_anchors)
        stop = min(start + share, self.n_anchors)
        if start == stop:
            return
        # Dividing gives back the projections: bfloat16 and float16 exactly, float32 up to rounding.
        rows = (z / self.per_length).to(self.dtype).contiguous()
        factor = (self.per_length * math.sqrt(LOG2E)).squeeze(1)
        with torch.cuda.device(z.device) if z.is_cuda else nullcontext():
            kernel[lambda meta: (triton.cdiv(stop - start, meta["ROWS"]),)](
                rows,
                factor,
                *more,
                out,
                1 / math.sqrt(self.bound * LOG2E),
                start,
                stop,
                len(z),
                DIM=z.shape[1],
                WIDTH=max(16, triton.next_power_of_2(z.shape[1])),
                PRODUCT=PRODUCTS[self.dtype],
            )


@triton.jit
def _block(rows, factor, i, stop, DIM: tl.constexpr, WIDTH: tl.constexpr):
    """Rows i and their factors, zeros beyond `stop` and from DIM to WIDTH."""
    d = tl.arange(0, WIDTH)
    inside = (i[:, None] < stop) & (d[None, :] < DIM)
    offset = i.to(tl.int64)[:, None] * DIM + d[None, :]
    block = tl.load(rows + offset, mask=inside, other=0.0)
    return block, tl.load(factor + i, mask=i < stop, other=0.0)


@triton.jit
def _add_product(total, left, right):
    if _INTERPRETED:  # it takes a bfloat16 for an integer
        left, right = left.to(total.dtype), right.to(total.dtype)
    return tl.dot(left, right, total, input_precision="tf32x3", out_dtype=total.dtype)


@triton.jit
def _similarities(anchors, anchor_factor, columns, column_factor, i, j, n):
    """zᵢ·zⱼ in units of log 2; −∞ for an anchor itself and for what is no row."""
    s = tl.zeros([anchors.shape[0], columns.shape[0]], anchor_factor.dtype)
    s = _add_product(s, anchors, tl.trans(columns))
    s *= anchor_factor[:, None] * column_factor[None, :]
    return tl.where((i[:, None] != j[None, :]) & (j[None, :] < n), s, -float("inf"))


@_tuned
@triton.jit(do_not_specialize=["start", "stop", "n"])
def _log2_sum_exp2(
    rows,
    factor,
    out,
    per_bound,
    start,
    stop,
    n,
    DIM: tl.constexpr,
    WIDTH: tl.constexpr,
    PRODUCT: tl.constexpr,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
):
    i = start + tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    anchors, anchor_factor = _block(rows, factor, i, stop, DIM, WIDTH)
    # The shift grows with the largest similarity so far; finite, lest −∞ meet −∞.
    shift = tl.full([ROWS], -1e30, anchor_factor.dtype)
    total = tl.zeros([ROWS], anchor_factor.dtype)
    for first in range(0, n, COLUMNS):
        j = first + tl.arange(0, COLUMNS)
        columns, column_factor = _block(rows, factor, j, n, DIM, WIDTH)
        s = _similarities(anchors, anchor_factor, columns, column_factor, i, j, n)
        before, shift = shift, tl.maximum(shift, tl.max(s, 1))
        total = total * tl.exp2(before - shift) + tl.sum(tl.exp2(s - shift[:, None]), 1)
    tl.store(out + i, shift + tl.log2(total), mask=i < stop)


@_tuned
@triton.jit(do_not_specialize=["start", "stop", "n"])
def _softmax_products(
    rows,
    factor,
    log2_value,
    weights,
    out,
    per_bound,
    start,
    stop,
    n,
    DIM: tl.constexpr,
    WIDTH: tl.constexpr,
    PRODUCT: tl.constexpr,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
):
    i = start + tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    anchors, anchor_factor = _block(rows, factor, i, stop, DIM, WIDTH)
    value = tl.load(log2_value + i, mask=i < stop, other=float("inf"))
    weight = tl.load(weights + i, mask=i < stop, other=0.0)
    gradient = tl.zeros([ROWS, WIDTH], anchor_factor.dtype)
    for first in range(0, n, COLUMNS):
        j = first + tl.arange(0, COLUMNS)
        columns, column_factor = _block(rows, factor, j, n, DIM, WIDTH)
        s = _similarities(anchors, anchor_factor, columns, column_factor, i, j, n)
        column_value = tl.load(log2_value + j, mask=j < n, other=float("inf"))
        column_weight = tl.load(weights + j, mask=j < n, other=0.0)
        # The softmax of row i, and that of row j, in which zᵢ·zⱼ stands too.
        pull = tl.exp2(s - value[:, None]) * weight[:, None]
        pull += tl.exp2(s - column_value[None, :]) * column_weight[None, :]
        directions = columns * (column_factor * per_bound)[:, None]  # no longer than 1
        gradient = _add_product(gradient, pull.to(PRODUCT), directions.to(PRODUCT))
    d = tl.arange(0, WIDTH)
    inside = (i[:, None] < stop) & (d[None, :] < DIM)
    offset = i.to(tl.int64)[:, None] * DIM + d[None, :]
    tl.store(out + offset, gradient, mask=inside)
