"""Calibration of a study's verdicts: how often "better" or "worse" is said of arms without any true difference.

    python benchmarks/calibration.py [--metric mean|auc|auc-rare|c|c-rare|kappa|r2] [--studies 4000] [--sizes 20 20 20]
                                     [--seeds 3] [--worlds …] [--seed 0] [--resamples 998] [--json]

Each simulated study has two arms on the same subjects, folds and seeds (`_calibration_worlds.py`). Variance, pivot, p,
interval and the rule for "too few" are the package's own, on batches of studies. Each line describes a world:

- said: false verdicts at p ≤ 0.05 as a share of all studies, two-sided and in each tail ("too few" is no verdict);
- p: the same without the rule for "too few"; t: the same for Student's t test with the same standard error;
- coverage of the 95 % interval; too few: the share of studies without a verdict;
- power (means only): verdicts where the first arm is better by 2.8 standard errors, also for Student's t test.

Bounds: said ≤ 6 %, ≤ 3.5 % in each tail, coverage ≥ 93 %, and p ≥ 3 % in worlds without skew; a bound is missed when it
lies more than two standard errors of the simulation away. Worlds whose rare failures are absent from many studies have
no bound, because no method can see them.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from _calibration_metrics import simulate_subjects
from _calibration_worlds import PLAIN_DEVIATIONS, WORLDS, draw_scores
from _measure import print_and_exit
from polytask.array_types import Floats
from polytask.statistics.pair_variance import estimate_pair_covariance
from polytask.statistics.pivot import make_pivot
from polytask.statistics.resample_counts import draw_counts
from polytask.statistics.studentize import studentize_batch
from polytask.statistics.too_few import find_study_shortage
from polytask.statistics.variance import split_variance

METRICS = ("mean", "auc", "auc-rare", "c", "c-rare", "kappa", "r2")
SEPARATION = 1.3
PAIR_DRAWS = 200
CHUNK = 200


@dataclass(frozen=True)
class Rates:
    """Shares of the studies of a world, in percent; see the module."""

    world: str
    studies: int
    said: float
    better: float
    worse: float
    p: float
    t: float
    coverage: float
    too_few: float
    power: float
    power_t: float
    bound: str
    missed: bool

    def __str__(self) -> str:
        power = f"; power {self.power:.0f} (t {self.power_t:.0f})" if np.isfinite(self.power) else ""
        return (
            f"{self.world}: said {self.said:.2f} (better {self.better:.2f}, worse {self.worse:.2f}); p {self.p:.2f}, "
            f"t {self.t:.2f}; coverage {self.coverage:.1f}; too few {self.too_few:.1f}{power}; {self.bound}"
        )


@dataclass(frozen=True)
class Studies:
    """A batch of studies: estimate, p, Student's p, whether subjects are too few, the interval; each `[studies]`."""

    estimate: Floats
    p: Floats
    t: Floats
    few: Floats
    low: Floats
    high: Floats


def judge_effects(
    rows: Sequence[Floats],
    rare: Sequence[dict[str, int]],
    pairs: Sequence[Floats] | None,
    resamples: int,
    seed: int,
) -> Studies:
    """Judge the effects `[studies, seeds, subjects]` of each fold as a study does."""
    w = np.array([x.shape[-1] for x in rows], np.float64)
    w = w / w.sum()
    variance = split_variance(rows, w.tolist(), pairs)
    counts = [draw_counts(x.shape[-1], resamples, (seed, k)) for k, x in enumerate(rows)]
    drawn = studentize_batch([x.mean(1) for x in rows], w.tolist(), counts)
    pivot = make_pivot(
        drawn, variance.by_subjects, variance.luck, variance.by_seeds, variance.retraining, places=998
    )
    error = np.where(variance.error > 0, variance.error, np.inf)
    below, above = pivot.ends(0.95)
    few = [bool(find_study_shortage([x[k] for x in rows], w.tolist(), rare)) for k in range(len(error))]
    ratio = variance.estimate / error
    return Studies(
        variance.estimate,
        pivot.p(ratio),
        np.asarray(2 * stats.t.sf(np.abs(ratio), variance.freedom())),
        np.array(few, np.float64),
        variance.estimate - below * variance.error,
        variance.estimate + above * variance.error,
    )


def draw_means(world: str, sizes: Sequence[int], seeds: int, studies: int, seed: int) -> list[Floats]:
    """Draw the differences `[studies, seeds, subjects]` of each fold."""
    rng = np.random.default_rng((seed, 1))
    return [WORLDS[world].draw(rng, (studies, seeds, n), k) for k, n in enumerate(sizes)]


def draw_metric(
    metric: str, world: str, sizes: Sequence[int], seeds: int, studies: int, seed: int
) -> tuple[list[Floats], list[dict[str, int]], list[Floats]]:
    """Draw the effects by fold in points, the mean number of rare cases, and the variance part of pairs.

    Studies in which the metric is not defined are left out.
    """
    rng = np.random.default_rng((seed, 2))
    a, _, c = (x / np.sqrt(2) for x in PLAIN_DEVIATIONS.get(world, PLAIN_DEVIATIONS["mixed"]))
    scale = float(np.sqrt(SEPARATION**2 + 0.8**2 + a**2 + c**2))
    rows: list[list[Floats]] = [[] for _ in sizes]
    pairs: list[list[Floats]] = [[] for _ in sizes]
    rare: list[dict[str, int]] = [{} for _ in sizes]
    for _ in range(studies):
        effects, pair_parts = [], []
        for k, n in enumerate(sizes):
            observed = simulate_subjects(metric, rng, n, scale)
            sides = draw_scores(world, rng, seeds, n, observed.sense, SEPARATION, 0.0)
            rare[k] = {name: rare[k].get(name, 0) + count for name, count in observed.rare.items()}
            counts = next(draw_counts(n, max(PAIR_DRAWS, 5 * n), (seed, k)))
            values, drawn = [], []
            for side in sides:
                whole = [observed.judge(s) for s in side]
                values.append(np.stack([v + np.sqrt(n * (n - 1)) * (x - x.mean()) for v, x in whole]))
                drawn.append(observed.resample(side, counts))
            effects.append(100 * (values[0] - values[1]))
            pair_parts.append(1e4 * estimate_pair_covariance(drawn[0] - drawn[1], counts))
        if all(np.isfinite(x).all() for x in effects):
            for k, (x, q) in enumerate(zip(effects, pair_parts, strict=True)):
                rows[k].append(x)
                pairs[k].append(q)
    mean = [{name: round(count / studies) for name, count in r.items()} for r in rare]
    return [np.stack(x) for x in rows], mean, [np.stack(x) for x in pairs]


def measure_rates(
    metric: str, world: str, sizes: Sequence[int], seeds: int, studies: int, resamples: int, seed: int
) -> Rates:
    """Count the verdicts in percent of the studies of one world."""
    alike, apart = [], []
    for start in range(0, studies, CHUNK):
        number, count = 1000 * seed + start, min(CHUNK, studies - start)
        if metric == "mean":
            rows = draw_means(world, sizes, seeds, count, number)
            alike.append(judge_effects(rows, [], None, resamples, number))
            w = np.array(sizes) / sum(sizes)
            shift = 2.8 * float(np.std(sum(k * x.mean((1, 2)) for k, x in zip(w, rows, strict=True))))
            apart.append(judge_effects([x + shift for x in rows], [], None, resamples, number))
        else:
            alike.append(
                judge_effects(*draw_metric(metric, world, sizes, seeds, count, number), resamples, number)
            )
    p, t, few, estimate, low, high = (
        np.concatenate([getattr(x, name) for x in alike])
        for name in ("p", "t", "few", "estimate", "low", "high")
    )
    said = (p <= 0.05) & (few == 0)
    shown = np.concatenate([(x.p <= 0.05) & (x.few == 0) for x in apart]) if apart else np.array([np.nan])
    by_t = np.concatenate([x.t <= 0.05 for x in apart]) if apart else np.array([np.nan])
    content = {
        "said": said.mean(),
        "better": (said & (estimate > 0)).mean(),
        "worse": (said & (estimate < 0)).mean(),
        "p": (p <= 0.05).mean(),
        "t": (t <= 0.05).mean(),
        "coverage": ((low <= 0) & (high >= 0)).mean(),
        "too_few": few.mean(),
        "power": shown.mean(),
        "power_t": by_t.mean(),
    }
    percent = {name: float(100 * value) for name, value in content.items()}
    unseen = metric == "mean" and WORLDS[world].unseen
    skewed = world == "failing" or (metric == "mean" and WORLDS[world].skewed)
    problems = [] if unseen else find_problems(percent, len(p), skewed)
    bound = (
        "no bound: what errs cannot be seen"
        if unseen
        else ("MISSED: " + ", ".join(problems) if problems else "ok")
    )
    return Rates(world=f"{metric}, {world}", studies=len(p), bound=bound, missed=bool(problems), **percent)


def find_problems(percent: dict[str, float], studies: int, skewed: bool) -> list[str]:
    """List the bounds that are missed by more than two standard errors."""

    def slack(bound: float) -> float:
        return 2 * float(np.sqrt(bound * (100 - bound) / studies))

    problems = [
        name
        for name, most in (("said", 6.0), ("better", 3.5), ("worse", 3.5))
        if percent[name] > most + slack(most)
    ]
    if percent["coverage"] < 93 - slack(93):
        problems.append("coverage")
    if not skewed and percent["p"] < 3 - slack(3):
        problems.append("p below 3")
    return problems


def main() -> None:
    """Simulate all worlds and print the shares."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--studies", type=int, default=4000)
    parser.add_argument("--sizes", type=int, nargs="+", default=[20, 20, 20], help="subjects of each fold")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--metric", choices=METRICS, default="mean")
    parser.add_argument("--worlds", nargs="+", choices=[*WORLDS, "failing"])
    parser.add_argument("--seed", type=int, default=0, help="of the simulation")
    parser.add_argument("--resamples", type=int, default=998)
    parser.add_argument("--json", action="store_true", help="one JSON document instead of lines")
    chosen = parser.parse_args()
    started = time.perf_counter()
    worlds = chosen.worlds or (list(WORLDS) if chosen.metric == "mean" else [*PLAIN_DEVIATIONS, "failing"])
    rates = []
    for world in worlds:
        rates.append(
            measure_rates(
                chosen.metric,
                world,
                chosen.sizes,
                chosen.seeds,
                chosen.studies,
                chosen.resamples,
                chosen.seed,
            )
        )
        print(rates[-1], file=sys.stderr, flush=True)
    size = (
        f"{sum(chosen.sizes)} subjects in folds of {', '.join(map(str, chosen.sizes))}, {chosen.seeds} seeds"
    )
    print_and_exit(rates, chosen.json, {"studies of": f"{size}; {time.perf_counter() - started:.0f} s"})


if __name__ == "__main__":
    main()
