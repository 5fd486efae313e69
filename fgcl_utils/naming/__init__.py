"""What is on a new photo? A finished run answers, as a careful person would::

    identifier = Identifier.from_run("runs/demo/hcl/seed-0")
    table = identifier.identify(["photo.jpg"])

=============  ===================================================================
`identifier`   photos in, answers out: start here
`photos`       what is to be named
`network`      a run as one network, from pixels to embeddings
`votes`        from similarities to nested probabilities
`namer`        what validation photos teach: how far to believe them
`words`        the answer in words
`journal`      answers kept as they come
`report`       answers as one page
`evidence`     how good a run is at it
`exports`      the network for use elsewhere, `onnx` runs one of them
`card`         what is written beside it
=============  ===================================================================

``python -m fgcl_utils.identify`` and ``python -m fgcl_utils.export`` are the commands.
"""

from fgcl_utils.naming.identifier import Identifier
from fgcl_utils.naming.namer import Namer
from fgcl_utils.naming.words import WARNING

__all__ = ["WARNING", "Identifier", "Namer"]
