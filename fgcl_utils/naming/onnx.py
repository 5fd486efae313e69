"""The network of an export, run by onnxruntime."""

from importlib import import_module
from pathlib import Path

import numpy as np


class OnnxEmbedder:
    """An exported network as a function: uint8 (N, S, S, 3) → float32 (N, D), on the CPU.

    Parameters
    ----------
    path : path
        The file ``model.onnx``.
    """

    def __init__(self, path):
        runtime = needed("onnxruntime")
        self._session = runtime.InferenceSession(
            str(Path(path)), providers=["CPUExecutionProvider"]
        )

    def __call__(self, squares):
        pixels = np.ascontiguousarray(squares.transpose(0, 3, 1, 2), dtype=np.float32) / 255
        (embedding,) = self._session.run(["embedding"], {"pixels": pixels})
        return embedding


def needed(module):
    """The module, or ImportError with the command that installs it."""
    try:
        return import_module(module)
    except ImportError as error:
        raise ImportError(
            f"{module} is not installed: pip install onnx onnxruntime onnxscript, which are the "
            "package's extra `export`"
        ) from error
