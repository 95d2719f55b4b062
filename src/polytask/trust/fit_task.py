"""Fits what one task promises on its held-out answers, and checks it on subjects that fitted nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from polytask.array_types import NAN, Floats, Indices, Mask
from polytask.inference.pooled_answers import PooledAnswers
from polytask.trust.answer_forms import FormTrust, Scores
from polytask.trust.calibration_measures import compute_debiased_error, compute_smooth_error
from polytask.trust.calibrators import Calibrator, fit_calibrator, measure_log_loss
from polytask.trust.class_sets import draw_shares
from polytask.trust.conformal import find_smallest_count
from polytask.trust.group_coverage import GroupChecks, GroupsBySubject, check_groups
from polytask.trust.implied_priors import ImpliedPrior, fit_implied_priors
from polytask.trust.measures.cross_fitted import CrossFitted, cross_fit
from polytask.trust.spread_scale import SpreadScale, fit_spread_scale

CHECK_SPLITS = 50
"""How many times the subjects are split in two halves: one fits, the other checks."""
MIN_SUBJECTS = 4
"""Where there are fewer subjects, a half would hold one, and nothing can be checked."""


@dataclass(frozen=True)
class Spread:
    """A figure over the splits of a check: its mean, and the standard deviation from split to split."""

    mean: float
    sd: float


@dataclass(frozen=True)
class TaskCheck:
    """What a check saw on the halves that fitted nothing.

    Args:
        coverage: share of the sets that held the truth. size: of the sets, see `FormTrust.measure_size`.
        endless: share of the sets that held every answer because too few were known.
        strata: stratum → coverage there. n: known answers, subjects: their subjects.
        log_loss: (raw, calibrated) on the checking halves; None without probabilities.
        errors: (debiased, smooth) calibration errors of (raw, calibrated) answers; None without probabilities.
        groups: the same for every site and subgroup, see `group_coverage.py`.
        answers: the answers that were checked, from which measures are computed; they are not written.
    """

    coverage: Spread
    size: Spread
    endless: float = 0.0
    strata: dict[str, Spread] = field(default_factory=dict)
    n: int = 0
    subjects: int = 0
    log_loss: tuple[Spread, Spread] | None = None
    errors: tuple[tuple[float, float], tuple[float, float]] | None = None
    groups: GroupChecks = field(default_factory=dict)
    answers: CrossFitted | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True)
class TaskTrust:
    """What one member promises for one task.

    Args:
        scores: stratum → scores of its known held-out answers.
        calibrator: None where the form has no probabilities, or calibrating made the log loss of others worse.
        check: see `TaskCheck`; None where there are too few subjects.
        needed: how many known answers of a stratum the level needs.
        priors: of each question the prevalence that its answers, after calibration, were made for; empty without
            probabilities.
        refused: why answers are not calibrated. spread: factor on the told spread; None where none is told.
    """

    scores: Scores
    calibrator: Calibrator | None
    check: TaskCheck | None
    needed: int
    refused: str = ""
    priors: tuple[ImpliedPrior | None, ...] = ()
    spread: SpreadScale | None = None


def fit_task(
    form: FormTrust,
    task: str,
    answers: PooledAnswers,
    alpha: float,
    seed: int = 0,
    groups: GroupsBySubject | None = None,
) -> TaskTrust:
    """Fit the sets and the calibrator of a task on all of its known held-out answers, and check them on halves, also
    group by group."""
    seen = answers.known if answers.known.ndim == 1 else answers.known.any(1)
    known = answers.take(np.flatnonzero(seen))
    scores = form.list_scores(known.prediction, known.value, known.known, draw_shares(known.ids, task))
    check = check_task(form, task, known, alpha, seed, groups)
    calibrator, refused = None, ""
    if form.calibrator is not None and len(known.ids):
        calibrator = fit_calibrator(form.calibrator, known.prediction["p"], known.value, known.known)
        if check is None:
            calibrator, refused = None, "too few subjects to see whether calibrating helps"
        elif check.log_loss is not None and check.log_loss[1].mean >= check.log_loss[0].mean:
            calibrator, refused = None, "it made the log loss of other subjects worse"
    priors: tuple[ImpliedPrior | None, ...] = ()
    if form.calibrator is not None and len(known.ids):
        raw = np.asarray(known.prediction["p"], dtype=np.float64)
        priors = fit_implied_priors(known, calibrator.apply(raw) if calibrator else raw, seed)
    spread = fit_spread_scale(known, seed)
    return TaskTrust(scores, calibrator, check, find_smallest_count(alpha), refused, priors, spread)


def check_task(
    form: FormTrust,
    task: str,
    answers: PooledAnswers,
    alpha: float,
    seed: int,
    groups: GroupsBySubject | None = None,
) -> TaskCheck | None:
    """Split the subjects in two halves many times, fit on one and look at the other.

    Whole subjects go to one half: visits of one subject resemble each other.
    """
    subjects = np.array([subject for subject, _ in answers.ids])
    names = np.unique(subjects)
    if len(names) < MIN_SUBJECTS:
        return None
    random, draws = np.random.default_rng(seed), draw_shares(answers.ids, task)
    rows = [
        _check_half(form, answers, draws, subjects, random.permutation(names)[: len(names) // 2], alpha)
        for _ in range(CHECK_SPLITS)
    ]
    strata = sorted({stratum for row in rows for stratum in row.strata})
    losses = [row.losses for row in rows if row.losses is not None]
    judged = cross_fit(answers, [row.checked for row in rows], [row.calibrated for row in rows])
    return TaskCheck(
        _summarize([row.coverage for row in rows]),
        _summarize(
            [float(row.sizes[np.isfinite(row.sizes)].mean()) for row in rows if np.isfinite(row.sizes).any()]
        ),
        float(np.mean([np.isinf(row.sizes).mean() for row in rows])),
        {s: _summarize([row.strata[s] for row in rows if s in row.strata]) for s in strata},
        int(answers.known.sum()),
        len(names),
        (_summarize([raw for raw, _ in losses]), _summarize([own for _, own in losses])) if losses else None,
        _measure_errors(judged) if form.calibrator else None,
        check_groups(
            answers,
            _average_covered(answers, rows),
            judged.calibrated["p"] if form.calibrator else None,
            groups or {},
        ),
        judged,
    )


@dataclass(frozen=True)
class _HalfCheck:
    """What one split showed: the positions of the checked answers, their calibrated probabilities, and the figures."""

    checked: Indices
    covered: Floats
    calibrated: Floats | None
    coverage: float
    sizes: Floats
    strata: dict[str, float]
    losses: tuple[float, float] | None


def _check_half(
    form: FormTrust,
    answers: PooledAnswers,
    draws: Floats,
    subjects: npt.NDArray[np.str_],
    fitted: npt.NDArray[np.str_],
    alpha: float,
) -> _HalfCheck:
    mine = np.isin(subjects, fitted)
    fit, checked = answers.take(np.flatnonzero(mine)), np.flatnonzero(~mine)
    other = answers.take(checked)
    scores = form.list_scores(fit.prediction, fit.value, fit.known, draws[mine])
    sets = form.make_sets([other.prediction], [scores], alpha, draws[checked])
    covered, known = form.find_covered(sets, other.value), _as_questions(other.known)
    strata = {
        name: float(covered[which & known].mean())
        for name, which in form.list_strata(other.value).items()
        if (which & known).any()
    }
    sizes = form.measure_size(sets)
    calibrated, losses = None, None
    if form.calibrator is not None:
        raw = other.prediction["p"]
        calibrated = fit_calibrator(form.calibrator, fit.prediction["p"], fit.value, fit.known).apply(raw)
        every = known.all(1)
        if every.any():
            truth = other.value[every]
            before, after = (float(measure_log_loss(p[every], truth).mean()) for p in (raw, calibrated))
            losses = before, after
    return _HalfCheck(checked, covered, calibrated, float(covered[known].mean()), sizes, strata, losses)


def _average_covered(answers: PooledAnswers, rows: Sequence[_HalfCheck]) -> Floats:
    """Average over the splits that checked an answer whether its set held the truth: `[N, questions]`, NaN where it is
    unknown or was never checked."""
    known = _as_questions(answers.known)
    total, count = np.zeros(known.shape), np.zeros((len(known), 1))
    for row in rows:
        total[row.checked] += row.covered
        count[row.checked] += 1
    return np.where(known & (count > 0), total / np.maximum(count, 1), NAN)


def _measure_errors(judged: CrossFitted) -> tuple[tuple[float, float], tuple[float, float]]:
    """Measure the calibration errors of raw answers and of answers calibrated by other subjects."""
    raw, calibrated = judged.raw["p"], judged.calibrated["p"]
    truth = judged.truth
    happened = truth if truth.ndim == 2 else np.eye(raw.shape[1])[truth.astype(np.int64)]
    chosen = np.broadcast_to(_as_questions(judged.known), raw.shape)
    pairs = [(p[chosen], happened[chosen].astype(np.float64)) for p in (raw, calibrated)]
    before, after = ((compute_debiased_error(*pair), compute_smooth_error(*pair)) for pair in pairs)
    return before, after


def _as_questions(known: Mask) -> Mask:
    return known if known.ndim == 2 else known[:, None]


def _summarize(values: Sequence[float]) -> Spread:
    if not values:
        return Spread(NAN, NAN)
    return Spread(float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else 0.0)
