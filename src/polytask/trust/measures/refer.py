"""When not to answer: a threshold of confidence below which a case is referred to people."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from polytask.array_types import NAN, Floats
from polytask.trust.measures.questions import Question
from polytask.trust.measures.risk_coverage import trace_risk_coverage

REFER_SPLITS = 50


@dataclass(frozen=True)
class ReferRule:
    """The confidence from which on a question is answered, so that the error among the answered stays below a target.

    Args:
        target: the stated error: a share of wrong answers, or a mean absolute error.
        threshold: the smallest confidence that is answered; None: none reaches the target, everything is referred.
        answered, error: (mean, standard deviation) over halves that did not choose the threshold: the share that is
            answered, and the error among the answered; NaN where nothing was answered.
        refused: why there is no threshold.
    """

    target: float
    threshold: float | None
    answered: tuple[float, float]
    error: tuple[float, float]
    refused: str = ""

    def is_answered(self, confidence: Floats) -> npt.NDArray[np.bool_]:
        """Tell which of these confidences are answered; the others are referred."""
        if self.threshold is None:
            return np.zeros(len(confidence), bool)
        return np.asarray(confidence >= self.threshold)


def choose_refer_threshold(
    confidence: Floats, loss: Floats, target: float, worst: float = 1.0
) -> float | None:
    """Choose the smallest confidence at which the loss of the answered stays within the target.

    One more answer with the worst loss is counted than was seen: a threshold that a few answers reach by chance
    promises nothing. None where no confidence reaches the target.
    """
    curve = trace_risk_coverage(confidence, loss)
    given = curve.coverage * len(confidence)
    reached = np.flatnonzero((given * curve.risk + worst) / (given + 1) <= target)
    return float(curve.confidence[reached[-1]]) if len(reached) else None


def fit_refer_rule(question: Question, target: float, seed: int = 0) -> ReferRule:
    """Choose the threshold on all known answers, and check it: half of the subjects choose, the other half are looked
    at, many times. A threshold whose error lies there above the target by more than its standard error is refused."""
    confidence, loss = question.confidence, question.loss
    # Of numbers an error has no limit: the largest one seen stands for the worst.
    worst = max(1.0, float(loss.max())) if len(loss) and not np.isin(loss, (0, 1)).all() else 1.0
    threshold = choose_refer_threshold(confidence, loss, target, worst)
    names, random = np.unique(question.subjects), np.random.default_rng(seed)
    shares, errors, wrong, given = [], [], 0.0, 0
    for _ in range(REFER_SPLITS if len(names) > 1 else 0):
        chosen = np.isin(question.subjects, random.permutation(names)[: len(names) // 2])
        own = choose_refer_threshold(confidence[chosen], loss[chosen], target, worst)
        answered = ~chosen & (confidence >= (np.inf if own is None else own))
        shares.append(answered.sum() / max((~chosen).sum(), 1))
        if answered.any():
            errors.append(float(loss[answered].mean()))
            wrong, given = wrong + float(loss[answered].sum()), given + int(answered.sum())
    error = wrong / given if given else NAN
    refused = ""
    if threshold is None:
        refused = f"{len(loss)} known answers: at no confidence the error is seen to stay within {target:g}"
    elif not given:
        refused = f"half of the {len(loss)} known answers are too few to choose a threshold and check it"
    elif error - target > _find_standard_error(loss[confidence >= threshold]):
        refused = f"of other subjects the answered have an error of {error:.3g}"
    return ReferRule(
        target,
        None if refused else threshold,
        (float(np.mean(shares)) if shares else NAN, _find_spread(shares)),
        (error, _find_spread(errors)),
        refused,
    )


def _find_standard_error(loss: Floats) -> float:
    return float(loss.std(ddof=1) / np.sqrt(len(loss))) if len(loss) > 1 else 0.0


def _find_spread(values: list[float]) -> float:
    return float(np.std(values, ddof=1)) if len(values) > 1 else NAN
