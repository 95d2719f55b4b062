"""How unsure an answer is: entropy of probabilities, spread of numbers, and how much hangs on single features."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from polytask.array_types import Floats
from polytask.inference.head_passes import PASSES
from polytask.kinds.kind import AnswerForm
from polytask.tasks.task import Arrays

TOTAL, EPISTEMIC, FOLDS = "u", "u.epistemic", "u.folds"
"""Columns after the name of a task."""
Figures = dict[str, float]


def measure_uncertainty(form: AnswerForm, members: Sequence[Arrays]) -> Figures:
    """Measure how unsure the answer of one case is: column → number, as far as the form has one.

    Total and epistemic part are means over the members of what each says of itself; how far the members disagree stands
    beside them.

    Args:
        members: decoded arrays of each member, with a leading axis of 1.
    """
    measure = {"class": measure_classes, "grade": measure_classes, "labels": measure_labels}.get(form)
    if measure is None:
        return measure_numbers("value" if form == "number" else "risk", members)
    own = [measure(np.asarray(told.get(PASSES, told["p"][:, None])[0], np.float64)) for told in members]
    figures = {TOTAL: float(np.mean([total for total, _ in own]))}
    if all(PASSES in told for told in members):
        figures[EPISTEMIC] = float(np.mean([part for _, part in own]))
    if len(members) > 1:
        figures[FOLDS] = measure(np.concatenate([told["p"] for told in members]).astype(np.float64))[1]
    return figures


def measure_classes(p: Floats) -> tuple[float, float]:
    """Measure probabilities `[P, C]` of several passes: the entropy of their mean, and its part that is the passes'
    disagreement (mutual information); 1 is the entropy where every class is as likely."""
    total = compute_entropy(p.mean(0))
    return total, max(total - float(np.mean([compute_entropy(own) for own in p])), 0.0)


def measure_labels(p: Floats) -> tuple[float, float]:
    """Measure probabilities `[P, L]` of labels as `measure_classes` does, each label by itself; the mean over them."""
    each = [measure_classes(np.stack([1 - own, own], 1)) for own in p.T]
    return float(np.mean([total for total, _ in each])), float(np.mean([part for _, part in each]))


def measure_numbers(key: str, members: Sequence[Arrays]) -> Figures:
    """Measure numbers: the told spread, and the standard deviation over the passes and over the members."""
    figures: Figures = {}
    if all("spread" in told for told in members):
        figures[TOTAL] = float(np.mean([told["spread"][0] for told in members]))
    if all(PASSES in told for told in members):
        figures[EPISTEMIC] = float(np.mean([np.std(told[PASSES][0]) for told in members]))
    # Risks of two members have no common scale.
    if key == "value" and len(members) > 1:
        figures[FOLDS] = float(np.std([told[key][0] for told in members]))
    return figures


def compute_entropy(p: Floats) -> float:
    """Compute the entropy of probabilities `[C]` in units of that of C equal ones: between 0 and 1."""
    return float(measure_entropy_maps(p, exclusive=True))


def measure_entropy_maps(p: Floats, exclusive: bool) -> Floats:
    """Compute the entropy per voxel, between 0 and 1: `[C, …] → […]` of exclusive classes, else `[K, …]` of each of K
    structures by itself."""
    if not exclusive:
        return np.stack([measure_entropy_maps(np.stack([1 - own, own]), True) for own in p])
    bits = np.where(p > 0, p * np.log(np.where(p > 0, p, 1.0)), 0.0)
    # A probability of 1 would leave −0.
    return np.asarray(np.maximum(-bits.sum(0) / np.log(len(p)), 0.0))


def compute_expected_dice(p: Floats, mask: Floats) -> float:
    """Compute 2 Σ p m / (Σ p + Σ m), the Dice that probabilities expect of a mask; NaN where the mask is empty.

    It is the ratio of the expected overlap and the expected sizes, near to the expected Dice of many voxels.
    """
    size = float(mask.sum())
    return 2 * float((p * mask).sum()) / (float(p.sum()) + size) if size else float("nan")
