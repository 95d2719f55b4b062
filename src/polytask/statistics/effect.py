"""The effect of an arm against the baseline on one task: how large it is, and how certain."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from polytask.array_types import NAN, Floats
from polytask.errors import PolytaskError
from polytask.plain import make_plain
from polytask.statistics.carriers import find_carriers
from polytask.statistics.metric_values import FoldValues, draw_fold_resamples
from polytask.statistics.pair_variance import estimate_pair_covariance
from polytask.statistics.pivot import Pivot, make_pivot
from polytask.statistics.resample_counts import BOOTSTRAP_RESAMPLES
from polytask.statistics.studentize import studentize
from polytask.statistics.too_few import find_study_shortage
from polytask.statistics.variance import split_variance

ONE_SEED_NOTE = "one training each: no claim; add seeds"
DETECTABLE_POWER = 0.8
FEW_SUBJECTS = 150
ONE_TRAINING_SET_NOTE = (
    "the training sets are not drawn anew, so their part of chance is missing from p and interval: of two different "
    f"methods that are equally good, studies of fewer than {FEW_SUBJECTS} subjects call one better more often than in "
    "5 of 100 studies (with 60 subjects in about 8 of 100)"
)
"""Measured by `benchmarks/training_sets.py`: 8 to 9 % of studies of 60 subjects with ridge regressions of few features,
7 to 8 % at 99, 6 to 7 % at 200, more with many features. The factor that is missing in a variance depends on the
learner (1.3 to 2.0 at 60), so the reader is told and nothing is corrected."""


@dataclass(frozen=True)
class Effect:
    """Arm − baseline in points, positive when the arm is better.

    Args:
        arm, baseline: their values in points, averaged over seeds and folds as the effect is.
        estimate: NaN when nothing could be compared.
        error: standard error; NaN when the variance is not known.
        pivot: how far the estimate may lie from the truth, in standard errors; None without one.
        p: two-sided. 1 for arms that never differ.
        freedom: degrees of freedom of the error.
        subjects_part, seeds_part: of the variance, see `variance`; the second is NaN with one seed.
        folds: fold → its effect. cases: fold → known cases, its weight. seeds: those compared.
        subjects: number of subjects that were resampled, over all folds.
        notes: what a reader must know: what was left out, `ONE_SEED_NOTE`, `ONE_TRAINING_SET_NOTE`.
        carriers: at most three subjects without whom the effect would be different, see `carriers`.
        too_few: why so few subjects, cases or trainings allow no conclusion; "" where they do.
    """

    arm: float
    baseline: float
    estimate: float
    error: float
    pivot: Pivot | None
    p: float
    freedom: float
    subjects_part: float
    seeds_part: float
    folds: dict[int, float]
    cases: dict[int, int]
    seeds: tuple[int, ...]
    subjects: int
    notes: tuple[str, ...]
    carriers: tuple[str, ...] = ()
    too_few: str = ""

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """Return the interval; it excludes 0 exactly when p ≤ 1 − level. NaN when there is none."""
        if self.pivot is None:
            return (self.estimate, self.estimate) if self.error == 0 else (NAN, NAN)
        below, above = self.pivot.ends(level)
        return self.estimate - float(below) * self.error, self.estimate + float(above) * self.error

    def detectable(self, level: float = 0.95, power: float = DETECTABLE_POWER) -> float:
        """Estimate the smallest true effect that a study like this one would have shown with that power.

        It is the longer half of the interval + t(power) × standard error: an estimate from the study as it came out,
        not from its plan. NaN where the variance is not known.
        """
        if self.pivot is None:
            return NAN
        margin = max(float(end) for end in self.pivot.ends(level))
        return self.error * (margin + float(stats.t.ppf(power, self.freedom)))

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON, with the 95 % interval and the degrees of
        freedom; what is not defined is null."""
        low, high = self.interval()
        content = {k: v for k, v in vars(self).items() if k != "pivot"} | {"low": low, "high": high}
        plain_values: dict[str, Any] = make_plain(content)
        return plain_values


def compare_arms(
    folds: Sequence[FoldValues],
    arm: str,
    baseline: str = "single",
    higher: bool = True,
    points: float = 100.0,
    resamples: int = BOOTSTRAP_RESAMPLES,
) -> Effect:
    """Compare two arms on one task.

    The difference of the primary metric is taken within a fold and a seed, averaged over seeds, then over folds with
    the number of known cases as weight. No case of one model is ever ranked against a case of another. The standard
    error has a part of the subjects and a part of the trainings (`variance`). p and intervals come from the studentized
    bootstrap of the subjects, together with the trainings' t (`pivot`).

    Args:
        folds: with the same subjects for all runs of a fold (`metric_values.make_fold_values`,
            `study.conclusions.primary_metric.collect_fold_values`).
        higher: whether more of the metric is better; otherwise the sign is turned.
        points: points in one unit of the metric: 100 for Dice, AUC, κ, C and R²; 1 to keep a unit (a dose, years).
    """
    if arm == baseline:
        raise PolytaskError(f"arm {arm}: compared with itself; name another arm or another baseline")
    scale = points if higher else -points
    complete_folds, seeds, notes = select_complete_runs(folds, arm, baseline)
    if not complete_folds:
        return Effect(NAN, NAN, NAN, NAN, None, NAN, NAN, NAN, NAN, {}, {}, (), 0, tuple(notes))
    sides = [np.array([[f.runs[a, s].whole for s in seeds] for f in complete_folds]) for a in (arm, baseline)]
    effects = scale * (sides[0] - sides[1])
    cases = {f.fold: f.n for f in complete_folds}
    weights = np.array(list(cases.values()), np.float64) / sum(cases.values())
    rows = [scale * subtract_contributions(f, arm, baseline, seeds) for f in complete_folds]
    pairs = [scale**2 * estimate_pair_part(f, arm, baseline, seeds) for f in complete_folds]
    variance = split_variance(rows, weights.tolist(), pairs)
    estimate, error = float(weights @ effects.mean(1)), float(variance.error)
    pivot, p = None, NAN
    carriers: tuple[str, ...] = ()
    size = max(np.abs(scale * s).max() for s in sides)
    if len(seeds) == 1:
        notes.append(ONE_SEED_NOTE)
    if sum(len(f.subjects) for f in complete_folds) < FEW_SUBJECTS:
        notes.append(ONE_TRAINING_SET_NOTE)
    if not np.isfinite(error):
        notes.append("no interval: without one of its subjects the metric is not defined in a fold")
    elif not effects.any() and not error:
        p = 1.0
    # An error that is only rounding would make any estimate infinitely certain.
    elif error <= 1e-9 * size:
        notes.append("no interval: every subject differs by the same amount")
        error = NAN
    else:
        # Everything is computed for a positive estimate and mirrored back, so that swapping the arms gives
        # the same p.
        means, sign = [row.mean(0) for row in rows], 1.0 if estimate >= 0 else -1.0
        drawn = studentize([sign * m for m in means], weights.tolist(), resamples)
        luck, by_seeds, retraining = (
            float(x) for x in (variance.luck, variance.by_seeds, variance.retraining)
        )
        toward = make_pivot(drawn, variance.by_subjects, luck, by_seeds, retraining)
        pivot = toward if sign > 0 else Pivot(-toward.places[::-1])
        p = float(pivot.p(estimate / error))
        carriers = find_carriers(
            means, [f.subjects for f in complete_folds], weights, estimate, error, p, pivot
        )
    return Effect(
        arm=float(points * weights @ sides[0].mean(1)),
        baseline=float(points * weights @ sides[1].mean(1)),
        estimate=estimate,
        error=error,
        pivot=pivot,
        p=p,
        freedom=float(variance.freedom()) if pivot else NAN,
        subjects_part=float(variance.subjects),
        seeds_part=float(variance.seeds),
        folds={f.fold: float(e) for f, e in zip(complete_folds, effects.mean(1), strict=True)},
        cases=cases,
        seeds=tuple(seeds),
        subjects=sum(len(f.subjects) for f in complete_folds),
        notes=tuple(notes),
        carriers=carriers,
        too_few=find_study_shortage(rows, weights.tolist(), [f.rare for f in complete_folds])
        if pivot
        else "",
    )


def select_complete_runs(
    folds: Sequence[FoldValues], arm: str, baseline: str
) -> tuple[list[FoldValues], list[int], list[str]]:
    """Select the folds and seeds for which both arms have every value, and list what was left out.

    While a value is missing (a run failed, a metric is not defined on a fold), the fold or the seed that lacks the
    largest share of its values is dropped: so most runs stay.
    """
    notes = []
    complete_folds = []
    for f in folds:
        if len(f.subjects) < 2:
            notes.append(f"fold {f.fold} is left out: fewer than two subjects with a known answer")
        else:
            complete_folds.append(f)
    seeds = sorted({s for f in complete_folds for a, s in f.runs if a in (arm, baseline)})
    while complete_folds and seeds:
        missing = np.array(
            [[not all(has_metric(f, a, s) for a in (arm, baseline)) for s in seeds] for f in complete_folds],
            np.float64,
        )
        if not missing.any():
            return complete_folds, seeds, notes
        by_fold, by_seed = missing.mean(1), missing.mean(0)
        if by_fold.max() == 1 or by_fold.max() > by_seed.max():
            dropped_fold = complete_folds.pop(int(by_fold.argmax())).fold
            notes.append(f"fold {dropped_fold} is left out: {arm} or {baseline} has no metric there")
        else:
            dropped_seed = seeds.pop(int(by_seed.argmax()))
            notes.append(f"seed {dropped_seed} is left out: {arm} or {baseline} has no metric in every fold")
    return [], [], [*notes, f"{arm} and {baseline} have no fold and seed in common"]


def has_metric(fold: FoldValues, arm: str, seed: int) -> bool:
    """Whether a run exists and has a metric."""
    return (arm, seed) in fold.runs and bool(np.isfinite(fold.runs[arm, seed].whole))


def subtract_contributions(fold: FoldValues, arm: str, baseline: str, seeds: Sequence[int]) -> Floats:
    """Compute what each subject contributes to arm − baseline under each seed, `[seeds, subjects]`."""
    runs = fold.runs
    return np.stack([runs[arm, s].values - runs[baseline, s].values for s in seeds])


def estimate_pair_part(fold: FoldValues, arm: str, baseline: str, seeds: Sequence[int]) -> Floats:
    """Estimate what is subtracted from the covariance of the seeds' effects for a measure of rank, `[seeds, seeds]`."""
    sides = [[fold.runs[a, s].drawn for s in seeds] for a in (arm, baseline)]
    known = [[d for d in side if d is not None] for side in sides]
    if any(len(side) < len(seeds) for side in known):
        return np.zeros((len(seeds), len(seeds)))
    gap = np.stack(known[0]) - np.stack(known[1])
    return estimate_pair_covariance(gap, draw_fold_resamples(len(fold.subjects)))
