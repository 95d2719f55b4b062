"""Calibrates what single members say, before it is said how unsure they are."""

from __future__ import annotations

import numpy as np

from polytask.inference.head_passes import PASSES
from polytask.tasks.task import Arrays
from polytask.trust.apply_trust import TrustedColumns


def calibrate_member(trusted: TrustedColumns, task: str, number: int, told: Arrays) -> Arrays:
    """Calibrate probabilities, those of each pass, and the spread of a member as its own fold has fitted it.

    Args:
        number: of the member. told: its arrays with a leading axis of 1.
    """
    if task not in trusted.trust.tasks:
        return told
    fold = next(k for k, numbers in enumerate(trusted.numbers) if number in numbers)
    own, adjusted = trusted.trust.tasks[task][fold], dict(told)
    if own.calibrator is not None:
        adjusted["p"] = own.calibrator.apply(np.asarray(told["p"], np.float64))
        if PASSES in told:
            adjusted[PASSES] = own.calibrator.apply(np.asarray(told[PASSES][0], np.float64))[None]
    if own.spread is not None and "spread" in told:
        adjusted["spread"] = told["spread"] * own.spread.factor
    return adjusted
