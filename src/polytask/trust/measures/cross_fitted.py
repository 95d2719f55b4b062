"""Known answers that were calibrated by other subjects than their own: what every measure of trust is computed from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from polytask.array_types import Floats, Mask
from polytask.inference.pooled_answers import PooledAnswers
from polytask.tasks.task import Arrays


@dataclass(frozen=True)
class CrossFitted:
    """The known held-out answers of one member to one task.

    Args:
        subjects: `[N]`, whose answer it is.
        raw: the answers as predicted, `p [N, C]` or `value [N]`, see `PooledAnswers.prediction`.
        calibrated: the same, calibrated by subjects other than their own; `raw` where nothing is calibrated.
        truth, known: `[N]`, of labels `[N, L]`.
    """

    subjects: npt.NDArray[np.str_]
    raw: Arrays
    calibrated: Arrays
    truth: npt.NDArray[np.generic]
    known: Mask

    @property
    def uncalibrated(self) -> CrossFitted:
        """The same answers, left as they are: calibrating was refused."""
        return replace(self, calibrated=self.raw)


def cross_fit(
    answers: PooledAnswers, checked: Sequence[npt.NDArray[np.int64]], calibrated: Sequence[Floats | None]
) -> CrossFitted:
    """Average the calibrated probabilities of each answer over the halves that it was checked in.

    Args:
        answers: all known answers. checked: of each split the positions of the answers that did not fit.
        calibrated: of each split their calibrated probabilities; None without a calibrator.
    """
    subjects = np.array([subject for subject, _ in answers.ids])
    raw = answers.prediction
    own = raw
    shown = [(place, p) for place, p in zip(checked, calibrated, strict=True) if p is not None]
    if shown:
        total, count = np.zeros_like(raw["p"], dtype=np.float64), np.zeros(len(subjects))
        for place, p in shown:
            total[place] += p
            count[place] += 1
        # Of 50 splits an answer is checked in about 25; one that never was stays as it is.
        seen = count > 0
        own = {**raw, "p": np.where(seen[:, None], total / np.maximum(count, 1)[:, None], raw["p"])}
    return CrossFitted(subjects, raw, own, answers.value, answers.known)


def stack_cross_fitted(members: Sequence[CrossFitted]) -> CrossFitted:
    """Put the answers of several members behind one another; their subjects differ."""
    keys = members[0].raw.keys()
    return CrossFitted(
        np.concatenate([m.subjects for m in members]),
        {k: np.concatenate([m.raw[k] for m in members]) for k in keys},
        {k: np.concatenate([m.calibrated[k] for m in members]) for k in keys},
        np.concatenate([m.truth for m in members]),
        np.concatenate([m.known for m in members]),
    )
