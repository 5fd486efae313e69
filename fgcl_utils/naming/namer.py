"""Names for embeddings, and how far to believe them; all of it learnt on validation photos.

Three questions are asked of a photo, each at every level of the labels:

- *Which class?* By nested probabilities (`votes`), with the temperature at which the labels of the
  validation photos are likeliest, and by the rule whose calibration error there is smaller.
- *Is it like anything seen?* Not if it is farther from every training photo than 95 % of the
  validation photos are (Sun et al., "Out-of-distribution detection with deep nearest neighbors",
  ICML 2022). Nor is it like any species, if it is farther than these from every species' centroid;
  and so on for every level but the coarsest, whose classes are too wide for that.
- *Sure enough?* At the finest level at which such answers were wrong for at most a tenth of the
  validation photos. Each level is judged on those that the finer ones have left unanswered.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd
from sklearn.utils import gen_batches

from fgcl_utils import metrics
from fgcl_utils.naming.votes import RULES, Electorate, within

TEMPERATURES = np.geomspace(0.01, 1, 21)
FALSE_ALARMS = 0.05
COSINES = 2**22  # at once, 16 MiB
FITTED_COSINES = 2**27  # so many are enough: 1,000 validation photos for 134,000 training photos


class Judgement(NamedTuple):
    """What is said of N photos at L levels, finest first."""

    probabilities: list[np.ndarray]  # of each level (N, C), of the classes with training photos
    distances: np.ndarray  # (N, L), to the nearest centroid; at the coarsest level, to a photo
    is_familiar: np.ndarray  # (N, L), at this level and all above it
    answered: np.ndarray  # (N,), position of the finest level that is sure enough; L if none is
    nearest: np.ndarray  # (N, k), rows of the training photos with the highest cosine
    nearest_cosines: np.ndarray  # (N, k)


class Namer:
    """Nested names for embeddings, with calibrated probabilities.

    `Namer.fit` makes one.

    Parameters
    ----------
    electorate : Electorate
        The training photos.
    rule : {"centroids", "neighbours"}
    temperatures, strange_above, sure_from : sequence of L floats
        Of each level, finest first: T; the largest familiar distance; the least probability that is
        sure enough, infinite where none is.
    measured : list of L dicts
        What validation photos gave, see `fit`.
    """

    def __init__(self, electorate, rule, temperatures, strange_above, sure_from, measured=()):
        self.electorate, self.rule = electorate, rule
        self.temperatures = tuple(map(float, temperatures))
        self.strange_above = tuple(map(float, strange_above))
        self.sure_from = tuple(map(float, sure_from))
        self.measured = list(measured)

    @classmethod
    def fit(cls, train, train_labels, val, val_labels, risk=0.1, false_alarms=FALSE_ALARMS):
        """Learn on validation photos how far to believe what training photos say.

        Parameters
        ----------
        train, val : float array (M, D), (N, D)
            Embeddings.
        train_labels, val_labels : int array (M, L), (N, L)
            Codes, finest level first, −1 where a label is not known.
        risk : float
            Share of the answers of a level that may be wrong, (0, 1).
        false_alarms : float
            Share of the validation photos that count as unlike anything seen, (0, 1).

        Returns
        -------
        Namer
            Its ``measured`` has of each level, on validation photos: ``photos`` known there,
            ``accuracy``, ``calibration_error`` and that of each rule,
            ``calibration_error_<rule>``; the photos ``answered`` at this level, and ``risk``, the
            share of these that is wrong (None without any).

        Raises
        ------
        ValueError
            If no validation photo is of a class that training photos have, at some level.
        """
        for name, share in (("risk", risk), ("false_alarms", false_alarms)):
            if not 0 < share < 1:
                raise ValueError(f"{name}={share}: a share greater than 0 and less than 1")
        electorate = Electorate(train, train_labels)
        truth = _positions(electorate, np.asarray(val_labels))
        judged, errors = {}, {}
        for rule in RULES:
            temperatures = _likeliest_temperatures(electorate, rule, val, truth)
            never = [np.inf] * len(temperatures)
            judged[rule] = cls(electorate, rule, temperatures, never, never)
            errors[rule] = _calibration_errors(judged[rule].judge(val).probabilities, truth)
        namer = judged[min(RULES, key=lambda rule: np.mean(errors[rule]))]
        namer._set_thresholds(val, truth, np.asarray(val_labels) >= 0, risk, false_alarms)
        for l, measured in enumerate(namer.measured):
            measured["calibration_error"] = errors[namer.rule][l]
            measured |= {f"calibration_error_{rule}": errors[rule][l] for rule in RULES}
        return namer

    @classmethod
    def of_run(cls, embeddings, labels, risk=0.1):
        """The namer of a finished run.

        Parameters
        ----------
        embeddings : dict of arrays
            As in its embeddings.npz, see `runs.load_embeddings`.
        labels : int array (N, L)
            Codes of the whole data set.
        risk : float

        Raises
        ------
        ValueError
            If the run has no validation photos and no test photos in their place.
        """
        embeddings = with_validation(embeddings)
        if "val" not in embeddings:
            raise ValueError(
                "the run has neither validation nor test photos, and on these it is learnt how far "
                "to believe an answer: make it on data with a split val"
            )
        train, val = (labels[embeddings[f"{split}_index"]] for split in ("train", "val"))
        return cls.fit(embeddings["train"], train, embeddings["val"], val, risk)

    def to_dict(self):
        """All that was learnt on validation photos, as JSON holds it: no infinite numbers."""
        return {
            "rule": self.rule,
            "temperatures": self.temperatures,
            "strange_above": self.strange_above,
            "sure_from": [None if np.isinf(least) else least for least in self.sure_from],
            "measured": self.measured,
        }

    @classmethod
    def from_dict(cls, electorate, values):
        """The namer whose `to_dict` these are."""
        sure_from = [np.inf if least is None else least for least in values["sure_from"]]
        return cls(electorate, **values | {"sure_from": sure_from})

    def judge(self, vectors, k=5) -> Judgement:
        """What is said of embeddings (N, D), with the `k` nearest training photos."""
        vectors = np.asarray(vectors)
        k = min(k, len(self.electorate.train))
        size = max(1, COSINES // len(self.electorate.train))
        blocks = gen_batches(max(1, len(vectors)), size)
        parts = [self._judged(vectors[rows], k) for rows in blocks]
        probabilities, *arrays = zip(*parts, strict=True)
        levels = [np.concatenate(level) for level in zip(*probabilities, strict=True)]
        return Judgement(levels, *map(np.concatenate, arrays))

    def _judged(self, vectors, k):
        cosines = self.electorate.cosines(vectors)  # (n, M)
        votes = [
            self.electorate.log_votes(self.rule, l, temperature, vectors, cosines)
            for l, temperature in enumerate(self.temperatures)
        ]
        probabilities = [np.exp(p) for p in self.electorate.log_probabilities(votes)]
        unit, centroids = metrics.unit(vectors), self.electorate.centroids[:-1]
        closest = [*((unit @ c.T).max(axis=1) for c in centroids), cosines.max(axis=1)]
        distances = 1 - np.stack(closest, axis=1)  # (n, L)
        is_familiar = distances <= self.strange_above
        is_familiar = np.logical_and.accumulate(is_familiar[:, ::-1], axis=1)[:, ::-1]
        confidence = np.stack([p.max(axis=1) for p in probabilities], axis=1)
        is_sure = is_familiar & (confidence >= self.sure_from)
        answered = np.where(is_sure.any(axis=1), is_sure.argmax(axis=1), len(self.sure_from))
        nearest = np.argpartition(-cosines, k - 1, axis=1)[:, :k]  # (n, k)
        near = np.take_along_axis(cosines, nearest, axis=1)
        order = np.argsort(-near, axis=1, kind="stable")
        nearest, near = (np.take_along_axis(a, order, axis=1) for a in (nearest, near))
        rows = self.electorate.rows[nearest]
        return Judgement(probabilities, distances, is_familiar, answered, rows, near)

    def _set_thresholds(self, val, truth, is_labelled, risk, false_alarms):
        """Choose what is strange, then what is sure, and note what came of it."""
        distances = self.judge(val).distances
        self.strange_above = tuple(
            float(np.quantile(far[has_class], 1 - false_alarms, method="inverted_cdf"))
            for far, has_class in zip(distances.T, truth.T >= 0, strict=True)
        )
        said = self.judge(val)
        left, sure_from, self.measured = np.ones(len(val), dtype=bool), [], []
        for l, probabilities in enumerate(said.probabilities):
            confidence, right = probabilities.max(axis=1), probabilities.argmax(1) == truth[:, l]
            may = left & said.is_familiar[:, l]
            judged = may & is_labelled[:, l]
            sure_from.append(metrics.threshold_for_risk(confidence[judged], right[judged], risk))
            left &= ~(may & (confidence >= sure_from[-1]))
            answers = right[judged & (confidence >= sure_from[-1])]
            self.measured.append(
                {
                    "photos": int(is_labelled[:, l].sum()),
                    "accuracy": float(right[is_labelled[:, l]].mean()),
                    "answered": len(answers),
                    "risk": float(1 - answers.mean()) if len(answers) else None,
                }
            )
        self.sure_from = tuple(sure_from)


def with_validation(embeddings):
    """Embeddings of a run by split, in which some photos teach how far to believe an answer.

    Where the data came without validation photos, every second test photo takes their place; the
    others are left to test what was learnt.
    """
    if "val" in embeddings or len(embeddings.get("test", ())) < 2:
        return embeddings
    shared = dict(embeddings)
    for of_val, of_test in (("val", "test"), ("val_index", "test_index")):
        shared[of_val], shared[of_test] = embeddings[of_test][::2], embeddings[of_test][1::2]
    return shared


def _positions(electorate, labels):
    """Codes (N, L) as columns of the probabilities; −1 where there is no such training photo."""
    levels = zip(electorate.classes, labels.T, strict=True)
    truth = np.stack([pd.Index(c).get_indexer(level) for c, level in levels], axis=1)
    if (truth < 0).all(axis=0).any():
        level = np.flatnonzero((truth < 0).all(axis=0))[0]
        raise ValueError(
            f"no validation photo is of a class that training photos have, at level {level}: "
            "probabilities and thresholds are learnt on validation photos. Give the data some "
            "(split val)"
        )
    return truth


def _likeliest_temperatures(electorate, rule, vectors, truth):
    """Of each level the temperature at which the truth is likeliest, given the level above."""
    n = max(1, FITTED_COSINES // len(electorate.train))
    if n < len(vectors):
        rows = np.random.default_rng(0).choice(len(vectors), n, replace=False)
        vectors, truth = np.asarray(vectors)[rows], truth[rows]
    losses = np.zeros((truth.shape[1], len(TEMPERATURES)))
    for rows in gen_batches(len(vectors), max(1, COSINES // len(electorate.train))):
        part, cosines = vectors[rows], electorate.cosines(vectors[rows])
        for l, classes in enumerate(truth[rows].T):
            known = np.flatnonzero(classes >= 0)
            for t, temperature in enumerate(TEMPERATURES):
                votes = electorate.log_votes(rule, l, temperature, part[known], cosines[known])
                losses[l, t] -= within(votes, electorate.parents[l])[
                    range(len(known)), classes[known]
                ].sum()
    return TEMPERATURES[losses.argmin(axis=1)]


def _calibration_errors(probabilities, truth):
    """Of each level the expected calibration error of photos (N,) whose class has a column."""
    return [
        metrics.calibration_error(p[classes >= 0], classes[classes >= 0])
        for p, classes in zip(probabilities, truth.T, strict=True)
    ]
