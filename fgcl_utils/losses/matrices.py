"""Large matrices block by block: temporaries stay small, and products use the faster library.

torch multiplies float32 matrices with MKL. On AMD's processors with AVX-512 this reaches half the
rate of oneDNN, which torch brings for its layers (98 of 219 GFLOP/s on one core of an EPYC). Its
matrices are opaque to other operations, hence `prepared`.
"""

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn.functional import linear

ROWS = 1024
# Where torch is too old to tell, products are MKL's, as they are on all other processors.
_CPU = getattr(torch.cpu, "get_capabilities", dict)()
ONEDNN_IS_FASTER = (
    _CPU.get("cpu_name", "").startswith("AMD")
    and _CPU.get("avx512_f", False)
    and torch.backends.mkldnn.is_available()
)


def row_blocks(*tensors: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """Views of the same rows of each tensor, up to `ROWS` at a time."""
    return zip(*(tensor.split(ROWS) for tensor in tensors), strict=True)


def prepared(left: Tensor) -> Tensor:
    """A matrix, or its copy in oneDNN's form, as the left factor of products; see `product`."""
    onednn = ONEDNN_IS_FASTER and left.device.type == "cpu" and left.dtype == torch.float32
    return left.to_mkldnn() if onednn else left


def product(left: Tensor, right: Tensor) -> Tensor:
    """left @ right, where `left` or its transpose comes from `prepared`."""
    if left.is_mkldnn:
        return linear(left, right.T.contiguous()).to_dense()
    return left @ right
