"""How a run is made: the loop, and what may befall it.

==================  ===========================================================================
`loop`              one method, one data set, one seed: start here
`frozen`            a head on features that are there, or are computed once
`checkpoints`       the state after a whole epoch, on disk and back
`processes`         one process or many, on whatever device there is
`failures`          what may go wrong around a run, each as one message
`reproduction`      a finished run made again, and compared
==================  ===========================================================================

`fgcl_utils.train` is the command that calls it.
"""

from fgcl_utils.training.loop import Trainer, train

__all__ = ["Trainer", "train"]
