"""Calibration of a study's statistics: false positives 5 ± 1 % with equal arms, coverage of 95 % intervals 93–97 %.

    python benchmarks/calibration.py [--metric mean|auc|c|kappa|r2] [--studies 10000] [--subjects 60] [--folds 3]
                                     [--seeds 3] [--layout nested|crossed] [--seed 0] [--resamples 500] [--json]

Each simulated study has two arms on the same subjects, folds and seeds. A score is the subject's own (both arms) + the
arm's way with the subject + the luck of a training (crossed: half of its variance is common to a seed's trainings in
all folds) + what that training does to that subject. `WORLDS` differ in which of these carries the difference. Arms
are alike, or the first is better by two standard errors. Variance, degrees of freedom, p and interval are the package's
own (`statistics/variance.py`), on batches of studies. A rate outside its bound is a miss; with 10,000 studies its
own standard error is 0.2 points. The familywise error of Holm over eight comparisons is printed beside, without bound.
With one seed the statistics speak of these trainings only, so that no bound holds where seeds matter.

`mean`: over cases, of the scores themselves. `auc`: half of a fold is positive. The others have a latent value
z ~ N(0, 1) behind each subject's truth, and arm and seed change the slope of the score on z
(`_calibration_metrics.py`). `c`: Harrell's C of the score as a risk; event times are exponential with rate e^z, 40 % of
subjects are censored. `kappa`: quadratic weighted, of four classes (40, 30, 20, 10 %) cut from z and from the score.
`r2`: of z, answered by the score shrunk as least squares would. The true effect is the difference over all subjects and
trainings, in closed form or by quadrature, without Monte Carlo error.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass

import numpy as np
from scipy import stats

from _calibration_metrics import METRICS, Truth, expected
from _measure import finish
from polytask.statistics.draws import Floats, draw
from polytask.statistics.spread import covariance
from polytask.statistics.variance import variance

WORLDS = {
    "subjects": (1.0, 0.0, 0.3),
    "mixed": (0.7, 0.1, 0.7),
    "seeds": (0.3, 0.25, 0.3),
    "retraining": (0.0, 0.0, 1.0),
}
"""Standard deviations of arm × subject, seed, and seed × subject, each of the difference of two arms."""
DIFFICULTY, SEPARATION = 0.8, 1.3
TOGETHER = 8


@dataclass(frozen=True)
class Rate:
    """A share of studies and the bounds it is held against."""

    name: str
    value: float
    studies: int
    low: float
    high: float

    @property
    def missed(self) -> bool:
        """Whether it lies outside."""
        return not self.low <= self.value <= self.high

    def __str__(self) -> str:
        error = 100 * (self.value * (1 - self.value) / self.studies) ** 0.5
        verdict = "MISSED" if self.missed else "ok"
        return (
            f"{self.name}: {100 * self.value:.2f} % (± {error:.2f}, {self.studies} studies); "
            f"{100 * self.low:g} to {100 * self.high:g} %: {verdict}"
        )


@dataclass(frozen=True)
class Design:
    """One kind of study in one world."""

    world: str
    metric: str
    folds: tuple[int, ...]
    seeds: int
    layout: str
    resamples: int

    @property
    def deviations(self) -> tuple[float, float, float]:
        """Of arm × subject, seed, seed × subject."""
        return WORLDS[self.world]

    @property
    def common(self) -> float:
        """Share of a seed's variance that its trainings in all folds have in common."""
        return 0.5 if self.layout == "crossed" else 0.0

    @property
    def shift(self) -> float:
        """Two standard errors of the mean effect; for other metrics, as much separation or slope."""
        a, b, c = self.deviations
        n = sum(self.folds)
        seed = b**2 * (self.common + (1 - self.common) / len(self.folds)) / self.seeds
        return float(2 * np.sqrt(a**2 / n + seed + c**2 / (n * self.seeds)))

    @property
    def noise(self) -> float:
        """Variance of a score around slope × z."""
        a, _, c = self.deviations
        return float(DIFFICULTY**2 + (a**2 + c**2) / 2)

    def truth(self, shift: float) -> float:
        """The effect over all subjects and seeds."""
        if self.metric == "mean":
            return shift
        a, b, c = self.deviations
        if self.metric in METRICS:
            means = [
                expected(METRICS[self.metric], SEPARATION + x, b / np.sqrt(2), SEPARATION, self.noise)
                for x in (shift, 0.0)
            ]
            return means[0] - means[1]
        spread = np.sqrt(2 * (DIFFICULTY**2 + (a**2 + c**2) / 2) + b**2 / 2)
        found = stats.norm.cdf(np.array([SEPARATION + shift, SEPARATION]) / spread)
        return float(found[0] - found[1])


def scores(
    design: Design, rng: np.random.Generator, studies: int, shift: float
) -> list[tuple[Floats, Floats, Truth]]:
    """By fold, arm and baseline `[studies, seeds, subjects]` and, for METRICS, the truth `[studies, subjects]`.

    For areas the first half of a fold's subjects is positive.
    """
    a, b, c = (x / np.sqrt(2) for x in design.deviations)
    h = design.common
    by_seed = [rng.normal(size=(studies, design.seeds)) for _ in range(2)]
    metric = METRICS.get(design.metric)
    found: list[tuple[Floats, Floats, Truth]] = []
    for n in design.folds:
        own = DIFFICULTY * rng.normal(size=(studies, 1, n))
        z, truth = np.ones((studies, n)), Truth()
        if metric:
            z = rng.normal(size=(studies, n))
            truth = metric.observe(rng, z)
        sides = []
        for k, by in enumerate((shift, 0.0)):
            luck = b * (np.sqrt(h) * by_seed[k] + np.sqrt(1 - h) * rng.normal(size=by_seed[k].shape))
            gain = (by + luck)[..., None]
            if design.metric == "auc":
                gain = (SEPARATION + gain) * (np.arange(n) < n // 2)
            elif metric:
                gain = (SEPARATION + gain) * z[:, None]
            way = a * rng.normal(size=(studies, 1, n))
            score = own + gain + way + c * rng.normal(size=(studies, design.seeds, n))
            sides.append(metric.answer(score, SEPARATION, design.noise) if metric else score)
        found.append((sides[0], sides[1], truth))
    return found


def resampled(
    design: Design, arm: Floats, baseline: Floats, truth: Truth, weights: Floats
) -> tuple[Floats, Floats]:
    """Effects `[studies, seeds]` and those on resamples `[studies, seeds, resamples]`."""
    n = arm.shape[-1]
    if design.metric in METRICS:
        values, once = METRICS[design.metric].values, np.ones((1, n))
        whole = values(arm, truth, once) - values(baseline, truth, once)
        return whole[..., 0], values(arm, truth, weights) - values(baseline, truth, weights)
    if design.metric == "mean":
        gap = arm - baseline
        return gap.mean(-1), gap @ weights.T / n
    m = n // 2
    wins = [(x[..., :m, None] > x[..., None, m:]).astype(np.float64) for x in (arm, baseline)]
    gap = wins[0] - wins[1]
    p, q = weights[:, :m], weights[:, m:]
    count = p.sum(1) * q.sum(1)
    drawn = np.einsum("...pb,bp->...b", gap @ q.T, p) / np.where(count > 0, count, np.nan)
    return gap.mean((-2, -1)), drawn


def covariances(drawn: Floats, weights: Floats) -> Floats:
    """The package's, of each study by itself where its resamples are not defined in the way of the others."""
    known = np.isfinite(drawn).all(1)
    usual = (known == known.any(0)).all(1)
    if usual.all():
        return covariance(drawn, weights)
    found = np.empty((*drawn.shape[:-1], drawn.shape[1]))
    found[usual] = covariance(drawn[usual], weights)
    for k in np.flatnonzero(~usual):
        found[k] = covariance(drawn[k], weights)
    return found


def simulate(design: Design, studies: int, shift: float, seed: int) -> tuple[Floats, Floats]:
    """(p-values, whether the interval covers the truth) of so many studies."""
    rng = np.random.default_rng(seed)
    weights = [draw(n, design.resamples, (seed, k)).weights for k, n in enumerate(design.folds)]
    effects, spread = [], []
    for (arm, baseline, truth), w in zip(scores(design, rng, studies, shift), weights, strict=True):
        whole, drawn = resampled(design, arm, baseline, truth, w)
        effects.append(whole)
        spread.append(covariances(drawn, w))
    n = np.array(design.folds, np.float64)
    found = variance(np.stack(effects, 1), np.stack(spread, 1), n, n, design.layout)
    p = found.uncertainty.p(found.estimate)
    covered = np.abs(found.estimate - design.truth(shift)) <= found.uncertainty.margin(0.05)
    return p, covered.astype(np.float64)


def rates(design: Design, studies: int, seed: int, chunk: int = 250) -> tuple[list[Rate], float]:
    """False positives, coverage without and with an effect; and the familywise error of Holm."""
    found = []
    for k, shift in enumerate((0.0, design.shift)):
        parts = [
            simulate(design, min(chunk, studies - start), shift, 2_000_000 * seed + 1_000_000 * k + start)
            for start in range(0, studies, chunk)
        ]
        found.append([np.concatenate(x) for x in zip(*parts, strict=True)])
    (p, alike), (_, apart) = found
    name = f"{design.metric}, {design.world}"
    family = p[: studies // TOGETHER * TOGETHER].reshape(-1, TOGETHER).min(1) <= 0.05 / TOGETHER
    return [
        Rate(f"{name}: false positives, arms alike", float((p <= 0.05).mean()), studies, 0.04, 0.06),
        Rate(f"{name}: coverage, arms alike", float(alike.mean()), studies, 0.93, 0.97),
        Rate(f"{name}: coverage, a true effect", float(apart.mean()), studies, 0.93, 0.97),
    ], float(family.mean())


def main() -> None:
    """Simulate and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--studies", type=int, default=10_000)
    parser.add_argument("--subjects", type=int, default=60)
    parser.add_argument("--folds", type=int, default=3)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--metric", choices=["mean", "auc", *METRICS], default="mean")
    parser.add_argument(
        "--layout", choices=["crossed", "nested"], default="nested", help="nested: as studies are"
    )
    parser.add_argument("--worlds", nargs="+", choices=list(WORLDS), default=list(WORLDS))
    parser.add_argument("--seed", type=int, default=0, help="of the simulation")
    parser.add_argument("--resamples", type=int, default=500)
    parser.add_argument("--json", action="store_true", help="one JSON document instead of lines")
    chosen = parser.parse_args()
    folds = tuple(len(x) for x in np.array_split(np.arange(chosen.subjects), chosen.folds))
    started = time.perf_counter()
    found: list[Rate] = []
    details: dict[str, str] = {}
    for world in chosen.worlds:
        design = Design(world, chosen.metric, folds, chosen.seeds, chosen.layout, chosen.resamples)
        more, family = rates(design, chosen.studies, chosen.seed)
        found += more
        details[f"{world}: an error among {TOGETHER} comparisons, Holm"] = f"{100 * family:.1f} %"
    size = f"{chosen.subjects} subjects, {chosen.folds} folds, {chosen.seeds} seeds, {chosen.layout}"
    details["studies of"] = f"{size}; {time.perf_counter() - started:.0f} s"
    finish(found, chosen.json, details)


if __name__ == "__main__":
    main()
