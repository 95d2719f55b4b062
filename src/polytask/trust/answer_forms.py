"""What trust does with each form of an answer: its scores, its calibrator, and the sets that are made of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from polytask.array_types import Floats, Mask
from polytask.kinds.kind import AnswerForm
from polytask.tasks.task import Arrays
from polytask.trust.class_sets import (
    group_by_class,
    join_grades,
    make_class_sets,
    score_classes,
    score_grades,
)
from polytask.trust.number_intervals import (
    make_intervals,
    make_quantile_intervals,
    score_numbers,
    score_quantiles,
)

Scores = dict[str, Floats]
"""Stratum → scores of its known answers: a class, `LABEL=yes` and `LABEL=no` of a label, "" of a number."""
YES, NO = "=yes", "=no"
QUANTILES = frozenset({"low", "high"})
"""Keys of a prediction with the quantiles that a network tells of a number."""


@dataclass(frozen=True)
class Sets:
    """The sets of N answers, of the form of their task.

    Args:
        kept: `[N, C]` classes or `[N, L, 2]` (no, yes) of labels; of numbers nothing.
        low, high: `[N]` of numbers; of others nothing.
        empty: sets that were empty and hold the answer that fits best instead.
    """

    kept: Mask = field(default_factory=lambda: np.zeros((0, 0), bool))
    low: Floats = field(default_factory=lambda: np.zeros(0))
    high: Floats = field(default_factory=lambda: np.zeros(0))
    empty: int = 0


class FormTrust(Protocol):
    """What trust needs of a form of answers. `truth` and `known` are the arrays of the answers of N cases, `draws` the
    number `[N]` between 0 and 1 that `draw_shares` draws for each of them."""

    calibrator: str | None
    """Key of `CALIBRATORS`; None: the form has no probabilities."""

    def list_scores(self, prediction: Arrays, truth: Floats, known: Mask, draws: Floats) -> Scores:
        """List the scores of the known answers, stratum by stratum."""

    def make_sets(
        self, predictions: Sequence[Arrays], known: Sequence[Scores], alpha: float, draws: Floats
    ) -> Sets:
        """Make the sets of N answers from the predictions and the known scores of each member."""

    def find_covered(self, sets: Sets, truth: Floats) -> Floats:
        """Find which sets hold the truth: `[N, questions]`, 0 or 1."""

    def measure_size(self, sets: Sets) -> Floats:
        """Measure the size of each set `[N]`: how many answers it holds, or its length."""

    def list_strata(self, truth: Floats) -> dict[str, Mask]:
        """List the strata of known truths: stratum → which questions `[N, questions]` belong to it."""


class ClassTrust:
    """Classes, and with `ordered` grades, whose sets are intervals."""

    def __init__(self, ordered: bool):
        self.score = score_grades if ordered else score_classes
        self.ordered = ordered
        self.calibrator: str | None = "cut_points" if ordered else "temperature"

    def list_scores(self, prediction: Arrays, truth: Floats, known: Mask, draws: Floats) -> Scores:
        """List the scores of the known answers by their true class."""
        by_class = group_by_class(self.score(prediction["p"][known], draws[known]), truth[known])
        return {str(k): scores for k, scores in by_class.items()}

    def make_sets(
        self, predictions: Sequence[Arrays], known: Sequence[Scores], alpha: float, draws: Floats
    ) -> Sets:
        """Make the sets of N answers from the predictions and the known scores of each member."""
        sets = make_class_sets(
            [self.score(own["p"], draws) for own in predictions],
            [{int(k): scores for k, scores in own.items()} for own in known],
            alpha,
        )
        kept = join_grades(sets.kept) if self.ordered else sets.kept
        return Sets(kept, empty=int(sets.empty.sum()))

    def find_covered(self, sets: Sets, truth: Floats) -> Floats:
        """Find which sets hold the truth: `[N, 1]`, 0 or 1."""
        held = sets.kept[np.arange(len(truth)), truth.astype(np.int64)]
        return np.asarray(held[:, None], dtype=np.float64)

    def measure_size(self, sets: Sets) -> Floats:
        """Measure the size of each set `[N]`: the number of its classes."""
        return np.asarray(sets.kept.sum(1), dtype=np.float64)

    def list_strata(self, truth: Floats) -> dict[str, Mask]:
        """List the classes that occur."""
        return {str(int(k)): (truth == k)[:, None] for k in np.unique(truth)}


class LabelTrust:
    """Labels: each is answered yes, no or either."""

    calibrator: str | None = "labels"

    def list_scores(self, prediction: Arrays, truth: Floats, known: Mask, draws: Floats) -> Scores:
        """List the scores of the known answers by label and truth."""
        scores: Scores = {}
        for label in range(prediction["p"].shape[1]):
            p, true = prediction["p"][known[:, label], label], truth[known[:, label], label] > 0.5
            scores[f"{label}{YES}"], scores[f"{label}{NO}"] = np.sort(1 - p[true]), np.sort(p[~true])
        return scores

    def make_sets(
        self, predictions: Sequence[Arrays], known: Sequence[Scores], alpha: float, draws: Floats
    ) -> Sets:
        """Make the sets of N answers: `kept[N, L, 2]` says whether "no" and "yes" are held."""
        kept, empty = [], 0
        for label in range(predictions[0]["p"].shape[1]):
            sets = make_class_sets(
                [np.stack([own["p"][:, label], 1 - own["p"][:, label]], 1) for own in predictions],
                [{0: own[f"{label}{NO}"], 1: own[f"{label}{YES}"]} for own in known],
                alpha,
            )
            kept.append(sets.kept)
            empty += int(sets.empty.sum())
        return Sets(np.stack(kept, 1), empty=empty)

    def find_covered(self, sets: Sets, truth: Floats) -> Floats:
        """Find which labels of each set hold the truth: `[N, L]`, 0 or 1."""
        return np.where(truth > 0.5, sets.kept[..., 1], sets.kept[..., 0]).astype(np.float64)

    def measure_size(self, sets: Sets) -> Floats:
        """Measure the size of each set `[N]`: the mean number of answers that a label keeps."""
        return np.asarray(sets.kept.sum(2).mean(1), dtype=np.float64)

    def list_strata(self, truth: Floats) -> dict[str, Mask]:
        """List yes and no of each label."""
        yes = truth > 0.5
        only = np.eye(truth.shape[1], dtype=bool)
        return {
            f"{k}{word}": which & only[k]
            for k in range(truth.shape[1])
            for word, which in ((NO, ~yes), (YES, yes))
        }


class NumberTrust:
    """Numbers and counts: an interval around the answer, wider where the answer has a larger spread; where a network
    tells quantiles, an interval around these."""

    calibrator: str | None = None

    def list_scores(self, prediction: Arrays, truth: Floats, known: Mask, draws: Floats) -> Scores:
        """List the scores of the known answers; they have one stratum."""
        if prediction.keys() >= QUANTILES:
            low, high = (prediction[key][known] for key in ("low", "high"))
            return {"": np.sort(score_quantiles(low, high, truth[known]))}
        value, spread = prediction["value"][known], find_spread(prediction)[known]
        return {"": np.sort(score_numbers(value, truth[known], spread))}

    def make_sets(
        self, predictions: Sequence[Arrays], known: Sequence[Scores], alpha: float, draws: Floats
    ) -> Sets:
        """Make the intervals of N answers."""
        scores = [own[""] for own in known]
        if all(own.keys() >= QUANTILES for own in predictions):
            lows, highs = ([own[key] for own in predictions] for key in ("low", "high"))
            low, high = make_quantile_intervals(lows, highs, scores, alpha)
            return Sets(low=low, high=high)
        values, spreads = [own["value"] for own in predictions], [find_spread(own) for own in predictions]
        low, high = make_intervals(values, spreads, scores, alpha)
        return Sets(low=low, high=high)

    def find_covered(self, sets: Sets, truth: Floats) -> Floats:
        """Find which intervals hold the truth: `[N, 1]`, 0 or 1."""
        return ((sets.low <= truth) & (truth <= sets.high))[:, None].astype(np.float64)

    def measure_size(self, sets: Sets) -> Floats:
        """Measure the length of each interval `[N]`."""
        return np.asarray(sets.high - sets.low)

    def list_strata(self, truth: Floats) -> dict[str, Mask]:
        """List nothing: numbers have no strata."""
        return {}


def find_spread(prediction: Arrays) -> Floats:
    """Return the spread that a member expects of its numbers `[N]`; 1 everywhere if it does not say."""
    return np.asarray(prediction.get("spread", np.ones(len(prediction["value"]))), dtype=np.float64)


FORMS: dict[AnswerForm, FormTrust] = {
    "class": ClassTrust(ordered=False),
    "grade": ClassTrust(ordered=True),
    "labels": LabelTrust(),
    "number": NumberTrust(),
}
"""Form of an answer → what trust does with it. The other forms have no promise yet."""
