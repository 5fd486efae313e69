"""Tiles or fused kernels: the log-sum-exp over the others by what is faster on this device.

Kernels run on NVIDIA's and AMD's GPUs where Triton is at hand, which comes with torch on Linux.
Whether they beat the tiles there is not assumed but measured, once a kind of input, together with
whether they agree with them; whatever goes wrong, the tiles remain.
"""

import functools
import time
import warnings
from importlib.util import find_spec

import torch
from torch import Tensor

from fgcl_utils.losses.others import LogSumExpOfOthers
from fgcl_utils.losses.ranks import Ranks

TRIAL_ROWS = 8192
FUSED_DTYPES = (torch.bfloat16, torch.float16, torch.float32)
# Of the norm of the result, for the second product in bfloat16.
TOLERANCE = 1e-2


def log_sum_exp_of_others(
    z: Tensor, per_length: Tensor, dtype: torch.dtype, n_anchors: int, bound: float, ranks: Ranks
):
    """A `LogSumExpOfOthers` or its fused twin, whichever is faster here.

    Parameters are theirs: `bound` of the first; `per_length` and `dtype` of the second.
    """
    # All ranks divide the work in the same way.
    if ranks.all(fused_is_faster(z.device, dtype, z.shape[1])):
        return _fused(z, per_length, dtype, n_anchors, ranks)
    return LogSumExpOfOthers(z, n_anchors, bound, ranks)


def _fused(*arguments):
    # Importing Triton takes time, which only its users should pay.
    from fgcl_utils.losses.fused import FusedLogSumExpOfOthers

    return FusedLogSumExpOfOthers(*arguments)


def fused_is_faster(device: torch.device, dtype: torch.dtype, dim: int) -> bool:
    """Whether the kernels work for such projections on this device, and beat the tiles."""
    if device.type != "cuda" or dtype not in FUSED_DTYPES or find_spec("triton") is None:
        return False
    return _wins_a_trial(device, dtype, dim)


@functools.cache
def _wins_a_trial(device, dtype, dim):
    """As `fused_is_faster`, measured on random rows; a warning says why where they do not work."""
    generator = torch.Generator(device).manual_seed(0)
    scale, ranks = 10.0, Ranks(TRIAL_ROWS, device, together=False)
    rows = torch.randn(TRIAL_ROWS, dim, device=device, generator=generator).to(dtype)
    per_length = scale**0.5 / rows.float().norm(dim=1, keepdim=True)
    z = rows * per_length
    weights = torch.rand(TRIAL_ROWS, device=device, generator=generator)

    def result(way, *arguments):
        others = way(*arguments, ranks)
        return others.value, others.gradient(z, weights)

    tiles = functools.partial(result, LogSumExpOfOthers, z, TRIAL_ROWS, scale)
    fused = functools.partial(result, _fused, z, per_length, dtype, TRIAL_ROWS)
    try:
        for found, expected in zip(fused(), tiles(), strict=True):
            error = float((found - expected).norm() / expected.norm())
            if not error < TOLERANCE:
                raise ArithmeticError(f"a result differs by {error:.1%} of its norm")
        return _seconds(fused) < _seconds(tiles)
    # Compilers fail in many ways: without a C compiler, with an old driver, on a new GPU.
    except Exception as reason:
        warnings.warn(
            f"The loss's fused kernels do not work on {device} for {dtype}: {reason}. "
            "The result is the same without them, and takes longer.",
            RuntimeWarning,
            stacklevel=2,
        )
        return False


def _seconds(compute):
    """The shortest of some runs; what `compute` returns is waited for."""
    times = []
    for _ in range(5):
        began = time.perf_counter()
        [float(tensor.sum()) for tensor in compute()]
        times.append(time.perf_counter() - began)
    return min(times)
