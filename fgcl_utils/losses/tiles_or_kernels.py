"""Tiles or fused kernels: the log-sum-exp over the others by what is faster on this device.

Kernels run on NVIDIA's GPUs where Triton is at hand, which comes with torch on Linux. Whether they
beat the tiles there is not assumed but measured, once a kind of input, together with whether they
are right; where they are not, or the trial fails, the tiles remain.
"""

import functools
import time
import warnings
from importlib.util import find_spec

import torch
from torch import Tensor

from fgcl_utils.losses.log_sum_exp import LogSumExpOfOthers
from fgcl_utils.losses.ranks import Ranks

# Enough to fill the largest GPU.
TRIAL_ROWS = 32_768
# Largest error of value and gradient, as a part of their norm.
TOLERANCES = {torch.bfloat16: 5e-3, torch.float16: 5e-3, torch.float32: 1e-4}
# Wider rows leave a program no registers for their gradient.
WIDEST = 256
# The first with tensor cores for all of these dtypes.
CAPABILITY = (8, 0)


def log_sum_exp_of_others(
    z: Tensor, per_length: Tensor, dtype: torch.dtype, n_anchors: int, bound: float, ranks: Ranks
):
    """A `LogSumExpOfOthers` or a `FusedLogSumExpOfOthers`, whichever is faster here.

    Parameters are those of the latter.
    """
    # All ranks divide the work in the same way.
    if ranks.all(fused_is_faster(z.device, dtype, z.shape[1])):
        return _fused(z, per_length, dtype, n_anchors, bound, ranks)
    return LogSumExpOfOthers(z, n_anchors, bound, ranks)


def _fused(*arguments):
    # Importing Triton takes time, which only its users should pay.
    from fgcl_utils.losses.kernels import FusedLogSumExpOfOthers

    return FusedLogSumExpOfOthers(*arguments)


@functools.cache
def fused_is_faster(device: torch.device, dtype: torch.dtype, dim: int) -> bool:
    """Whether the kernels work for such projections on this device, and beat the tiles."""
    if device.type != "cuda" or dtype not in TOLERANCES or dim > WIDEST:
        return False
    if torch.version.hip or torch.cuda.get_device_capability(device) < CAPABILITY:
        return False
    return find_spec("triton") is not None and _wins_a_trial(device, dtype, dim)


def _wins_a_trial(device, dtype, dim):
    """As `fused_is_faster`, measured on random rows; a warning says why where they do not work.

    Takes some seconds and a few hundred MiB, most of it for Triton's own measurements.
    """
    try:
        return _trial(device, dtype, dim)
    # Compilers fail in many ways: without a C compiler, with an old driver, on a new GPU.
    except Exception as reason:
        warnings.warn(
            f"The loss's fused kernels are not used on {device} for {dtype}: {reason}. "
            "The result is the same without them, and may take longer.",
            RuntimeWarning,
            stacklevel=2,
        )
        return False


def _trial(device, dtype, dim):
    generator = torch.Generator(device).manual_seed(0)
    bound, ranks = 10.0, Ranks(TRIAL_ROWS, device, together=False)
    # Clusters: their similarities, and hence their softmaxes, differ widely.
    rows = torch.randn(TRIAL_ROWS, dim, device=device, generator=generator)
    rows = (rows + 2 * rows[torch.arange(TRIAL_ROWS, device=device) % 64]).to(dtype)
    per_length = bound**0.5 / rows.double().norm(dim=1, keepdim=True)
    weights = torch.rand(TRIAL_ROWS, device=device, generator=generator)

    def result(way, z, *arguments):
        others = way(z, *arguments, TRIAL_ROWS, bound, ranks)
        return others.value, others.gradient(z, weights.to(z.dtype))

    exact = rows * per_length
    z, per_length = exact.float(), per_length.float()
    tiles = functools.partial(result, LogSumExpOfOthers, z)
    fused = functools.partial(result, _fused, z, per_length, dtype)
    for found, expected in zip(fused(), result(LogSumExpOfOthers, exact), strict=True):
        error = float((found - expected).norm() / expected.norm())
        if not error < TOLERANCES[dtype]:
            raise ArithmeticError(f"a result is off by {error:.2g} of its norm")
    return _seconds(fused) < _seconds(tiles)


def _seconds(compute):
    """The shortest of some runs; what `compute` returns is waited for."""
    times = []
    for _ in range(5):
        began = time.perf_counter()
        [float(tensor.sum()) for tensor in compute()]
        times.append(time.perf_counter() - began)
    return min(times)
