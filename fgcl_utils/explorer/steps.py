"""Level blocks at five shares: what the slider of a method steps through.

The embedding of level blocks is a choice made after training, so one run gives many. At one end
the finest level alone counts, at the other the coarser ones alone. Between them lie three steps,
one of which is the choice that the run itself reports.
"""

import numpy as np

from fgcl_utils import runs
from fgcl_utils.files import read_json

FINEST_SHARES = (1.0, 0.75, 0.5, 0.25, 0.0)


def shares_in_steps(chosen):
    """Five shares of the finest level, from all to none, with what was chosen among them.

    Parameters
    ----------
    chosen : sequence of L float
        Shares of the levels, finest first. The coarser ones divide what is left as they do here,
        evenly if they have nothing here.

    Returns
    -------
    list of tuples of L floats
    place : int
        Of `chosen` among them.
    """
    chosen = tuple(map(float, chosen))
    rest = sum(chosen[1:])
    among = [w / rest if rest else 1 / (len(chosen) - 1) for w in chosen[1:]]
    steps = [(s, *((1 - s) * w for w in among)) for s in FINEST_SHARES]
    inner = range(1, len(steps) - 1)
    ends = {1.0: 0, 0.0: len(steps) - 1}
    place = ends.get(chosen[0], min(inner, key=lambda k: abs(FINEST_SHARES[k] - chosen[0])))
    steps[place] = chosen
    return steps, place


def steps_of(run, levels):
    """The embeddings of a finished run in level blocks at five shares.

    Parameters
    ----------
    run : dict
        With the run's ``embeddings``; its ``folder``, where the blocks lie.
    levels : sequence of str

    Returns
    -------
    dict of str to (dict of arrays, or None)
        The shares in words → the arrays at them, None for those that the run reports. {} for a
        run without blocks.
    """
    if "block_dims" not in run["embeddings"] or "folder" not in run:
        return {}
    steps, place = shares_in_steps(read_json(run["folder"] / "metrics.json")["shares"])
    return {
        _in_words(shares, levels): None
        if at == place
        else runs.load_embeddings(run["folder"], shares)
        for at, shares in enumerate(steps)
    }


def _in_words(shares, levels):
    percents = np.round(100 * np.array(shares)).astype(int)
    return ", ".join(f"{name} {p} %" for name, p in zip(levels, percents, strict=True))
