"""The network of a finished run, for use elsewhere::

    python -m fgcl_utils.export runs/demo/hcl/seed-0 --to timm
    python -m fgcl_utils.export runs/demo/hcl/seed-0 --to onnx --out exports/hcl

timm: the encoder, as `timm.create_model(..., checkpoint_path=…)` loads it. onnx: encoder and head,
with which `fgcl_utils.identify` names photos. torchscript: encoder and head for PyTorch alone.
The folder has a model card, README.md, and the layout of the Hugging Face hub.
"""

import argparse
import sys
from pathlib import Path

from fgcl_utils.naming.exports import KINDS, export


def main(argv=None):
    parser = argparse.ArgumentParser(
        prog="python -m fgcl_utils.export",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("run", type=Path, help="such as runs/demo/hcl/seed-0")
    parser.add_argument("--to", choices=KINDS, required=True)
    parser.add_argument("--out", type=Path, help="a folder; default: RUN/export-KIND")
    arguments = parser.parse_args(argv)
    try:
        out = arguments.out or arguments.run / f"export-{arguments.to}"
        print(export(arguments.run, arguments.to, out))
    except (ValueError, OSError, ImportError, RuntimeError) as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
