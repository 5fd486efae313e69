"""Large matrices block by block: temporaries stay small, and products use the faster library.

torch multiplies float32 matrices with MKL. On AMD's processors with AVX-512 this is slower than
oneDNN, which torch brings for its layers; on some by half (98 of 219 GFLOP/s on one core of an
EPYC). torch compiles layers to the operation that is used here, which takes matrices as they are.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

ROWS = 1024
# Where torch is too old to tell, products are MKL's, as they are on all other processors.
_CPU = getattr(torch.cpu, "get_capabilities", dict)()
ONEDNN_IS_FASTER = (
    _CPU.get("cpu_name", "").startswith("AMD")
    and _CPU.get("avx512_f", False)
    and hasattr(torch.ops.mkldnn, "_linear_pointwise")
)


def row_blocks(*tensors: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """Views of the same rows of each tensor, up to `ROWS` at a time."""
    return zip(*(tensor.split(ROWS) for tensor in tensors), strict=True)


def product(left: Tensor, right: Tensor) -> Tensor:
    """left @ right, without a gradient."""
    if ONEDNN_IS_FASTER and left.device.type == "cpu" and left.dtype == torch.float32:
        if not left.is_contiguous():
            # It would be copied; as the weights of a layer it can lie either way.
            return _linear(right.T.contiguous(), left).T
        return _linear(left, right.T)
    return left @ right


def _linear(rows, weights):
    """rows @ weights.T"""
    return torch.ops.mkldnn._linear_pointwise(rows, weights, None, "none", [], "")
