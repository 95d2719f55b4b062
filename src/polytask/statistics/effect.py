"""The effect of an arm against the baseline on one task: how large, how sure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from polytask.errors import PolytaskError
from polytask.plain import plain
from polytask.statistics.draws import Floats
from polytask.statistics.spread import covariance
from polytask.statistics.uncertainty import Uncertainty
from polytask.statistics.values import FoldValues
from polytask.statistics.variance import Seeds, variance

NAN = float("nan")
ONE_SEED = "seed variation not measured"
UNKNOWN = Uncertainty(NAN, 0.0, 0.0, NAN)


@dataclass(frozen=True)
class Effect:
    """Arm − baseline in points, positive when the arm is better.

    Args:
        arm, baseline: their values in points, averaged over seeds and folds as the effect is.
        estimate: NaN when nothing could be compared.
        uncertainty: its standard error and degrees of freedom; the error is NaN when the variance is not known.
        p: two-sided. 1 for arms that never differ.
        subjects_part, seeds_part: of the variance, see `variance`; the second NaN with one seed.
        folds: fold → its effect. cases: fold → known cases, its weight. seeds: those compared.
        subjects: who were resampled, over all folds.
        notes: what a reader must be told: what was left out, and `ONE_SEED`.
    """

    arm: float
    baseline: float
    estimate: float
    uncertainty: Uncertainty
    p: float
    subjects_part: float
    seeds_part: float
    folds: dict[int, float]
    cases: dict[int, int]
    seeds: tuple[int, ...]
    subjects: int
    notes: tuple[str, ...]

    @property
    def error(self) -> float:
        """Standard error."""
        return float(self.uncertainty.error)

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """Two-sided t interval; NaN when there is none."""
        half = float(self.uncertainty.margin(1 - level))
        return self.estimate - half, self.estimate + half

    def as_dict(self) -> dict[str, Any]:
        """For JSON, with the 95 % interval and its degrees of freedom; what is not defined is null."""
        low, high = self.interval()
        content = asdict(self) | {"low": low, "high": high, "error": self.error}
        del content["uncertainty"]
        freedom = float(self.uncertainty.freedom()) if self.error > 0 else NAN
        found: dict[str, Any] = plain(content | {"freedom": freedom})
        return found


def effect(
    folds: Sequence[FoldValues],
    arm: str,
    baseline: str = "single",
    higher: bool = True,
    points: float = 100.0,
    seeds: Seeds = "crossed",
) -> Effect:
    """Compare two arms on one task.

    The difference of the primary metric is taken within a fold and a seed, averaged over seeds, then over folds with
    the number of known cases as weight. No case of one model is ever ranked against a case of another.

    Args:
        folds: made with the same resamples for both arms (`values.fold_values`, `primary.from_statistics`).
        higher: whether more of the metric is better; otherwise the sign is turned.
        points: points in one unit of the metric: 100 for Dice, AUC, κ, C and R²; 1 to keep a unit (a dose, years).
        seeds: whether folds share their seeds' luck, see `variance`.
    """
    if arm == baseline:
        raise PolytaskError(f"arm {arm}: compared with itself; name another arm or another baseline")
    scale = points if higher else -points
    kept, chosen, notes = whole(folds, arm, baseline)
    if not kept:
        return Effect(NAN, NAN, NAN, UNKNOWN, NAN, NAN, NAN, {}, {}, (), 0, tuple(notes))
    sides = [np.array([[f.runs[a, s].whole for s in chosen] for f in kept]) for a in (arm, baseline)]
    effects = scale * (sides[0] - sides[1])
    spread = np.stack([covariance(scale * differences(f, arm, baseline, chosen), f.weights) for f in kept])
    cases = {f.fold: f.n for f in kept}
    weights = np.array(list(cases.values()), np.float64)
    found = variance(effects, spread, np.array([f.subjects for f in kept], np.float64), weights, seeds)
    estimate, error = float(found.estimate), float(found.uncertainty.error)
    known = Uncertainty(
        error, float(found.uncertainty.share), found.uncertainty.by_seeds, found.uncertainty.by_subjects
    )
    if len(chosen) == 1:
        notes.append(ONE_SEED)
    if not np.isfinite(error):
        notes.append("no interval: the metric is not defined on most resamples of a fold")
        known = UNKNOWN
    elif effects.any() and error <= 1e-9 * max(np.abs(scale * s).max() for s in sides):
        notes.append("no interval: every subject differs by the same amount")
        known = UNKNOWN
    w = weights / weights.sum()
    return Effect(
        arm=float(points * w @ sides[0].mean(1)),
        baseline=float(points * w @ sides[1].mean(1)),
        estimate=estimate,
        uncertainty=known,
        p=float(known.p(estimate)),
        subjects_part=float(found.subjects),
        seeds_part=float(found.seeds),
        folds={f.fold: float(e) for f, e in zip(kept, effects.mean(1), strict=True)},
        cases=cases,
        seeds=tuple(chosen),
        subjects=sum(f.subjects for f in kept),
        notes=tuple(notes),
    )


def whole(
    folds: Sequence[FoldValues], arm: str, baseline: str
) -> tuple[list[FoldValues], list[int], list[str]]:
    """Folds and seeds of which both arms have every value, and what was left out for that.

    While a value is missing (a run failed, a metric is not defined on a fold), the fold or the seed that lacks the
    largest share of its values goes: so most runs stay.
    """
    notes = []
    kept = []
    for f in folds:
        if f.subjects < 2:
            notes.append(f"fold {f.fold} is left out: fewer than two subjects with a known answer")
        else:
            kept.append(f)
    seeds = sorted({s for f in kept for a, s in f.runs if a in (arm, baseline)})
    while kept and seeds:
        missing = np.array(
            [[not all(defined(f, a, s) for a in (arm, baseline)) for s in seeds] for f in kept], np.float64
        )
        if not missing.any():
            return kept, seeds, notes
        by_fold, by_seed = missing.mean(1), missing.mean(0)
        if by_fold.max() == 1 or by_fold.max() > by_seed.max():
            gone = kept.pop(int(by_fold.argmax())).fold
            notes.append(f"fold {gone} is left out: {arm} or {baseline} has no metric there")
        else:
            lost = seeds.pop(int(by_seed.argmax()))
            notes.append(f"seed {lost} is left out: {arm} or {baseline} has no metric in every fold")
    return [], [], [*notes, f"{arm} and {baseline} have no fold and seed in common"]


def defined(fold: FoldValues, arm: str, seed: int) -> bool:
    """Whether a run is there with a metric."""
    return (arm, seed) in fold.runs and bool(np.isfinite(fold.runs[arm, seed].whole))


def differences(fold: FoldValues, arm: str, baseline: str, seeds: Sequence[int]) -> Floats:
    """Arm − baseline on the fold's resamples `[seeds, resamples]`."""
    runs = fold.runs
    return np.stack([runs[arm, s].drawn - runs[baseline, s].drawn for s in seeds])
