"""How good a finished run is at naming photos, on photos that neither it nor its namer has seen."""

from typing import NamedTuple

import numpy as np
import pandas as pd

from fgcl_utils import metrics
from fgcl_utils.naming.namer import Judgement, with_validation


class Trial(NamedTuple):
    """What a run says of a split, and the truth."""

    judgement: Judgement
    truth: np.ndarray  # (N, L) columns of the probabilities, −1 where training had no such class
    is_labelled: np.ndarray  # (N, L)

    def answers(self, level):
        """Confidence and whether the answer is right, of the photos that are labelled there."""
        labelled = self.is_labelled[:, level]
        probabilities = self.judgement.probabilities[level][labelled]
        right = probabilities.argmax(axis=1) == self.truth[labelled, level]
        return probabilities.max(axis=1), right

    def risk(self, level):
        """Of the photos that are answered at a level: their share, and how many are wrong of it."""
        answered = (self.judgement.answered == level) & self.is_labelled[:, level]
        named = self.judgement.probabilities[level][answered].argmax(axis=1)
        wrong = (named != self.truth[answered, level]).mean() if answered.any() else np.nan
        return float(answered.mean()), float(wrong)


def trial(namer, run, dataset, split="test"):
    """What a run's namer says of a split: test, or unseen, species that training never saw.

    Of the test photos, those that `with_validation` has not given to the namer.
    """
    arrays = with_validation(run["embeddings"])
    labels = dataset.labels[arrays[f"{split}_index"]]
    levels = zip(namer.electorate.classes, labels.T, strict=True)
    truth = np.stack([pd.Index(c).get_indexer(level) for c, level in levels], axis=1)
    return Trial(namer.judge(arrays[split]), truth, labels >= 0)


def measures(test, unseen, levels):
    """What counts for naming photos, as one flat dict.

    Parameters
    ----------
    test : Trial
    unseen : Trial or None
    levels : sequence of L str

    Returns
    -------
    dict
        Of every level: ``<level>_aurc`` (see `metrics.area_under_risk_coverage`),
        ``<level>_calibration_error``, the share of the test photos ``<level>_answered`` there, and
        the ``<level>_risk`` of these. ``false_alarms``: the share of the test photos that are
        called unlike anything. Of unseen species also: the ``unseen_named`` share, which is named
        at the finest level and so wrongly; ``unseen_placed``: named rightly at a level above;
        ``unseen_noticed``: called unlike any class of the finest level.
    """
    values = {}
    for l, level in enumerate(levels):
        known = test.truth[:, l] >= 0
        probabilities = test.judgement.probabilities[l][known]
        values[f"{level}_aurc"] = metrics.area_under_risk_coverage(*test.answers(l))
        error = metrics.calibration_error(probabilities, test.truth[known, l])
        values[f"{level}_calibration_error"] = error
        values[f"{level}_answered"], values[f"{level}_risk"] = test.risk(l)
    values["false_alarms"] = float(1 - test.judgement.is_familiar[:, -1].mean())
    if unseen is not None:
        values["unseen_named"] = unseen.risk(0)[0]
        placed = [share * (1 - risk) for share, risk in map(unseen.risk, range(1, len(levels)))]
        values["unseen_placed"] = float(np.nansum(placed))
        values["unseen_noticed"] = float(1 - unseen.judgement.is_familiar[:, 0].mean())
    return values
