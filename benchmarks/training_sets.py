"""False verdicts about two linear learners of equal risk, because intervals leave out the luck of the training sets.

    python benchmarks/training_sets.py [--studies 1000] [--subjects 60 99 200] [--folds 3] [--features 3 6 12]
                                       [--seed 0] [--json]

A study cross-validates two ridge regressions on one sample: x ~ N(0, I), y = xβ + noise, |β|² = noise variance = 1. One
sees the first half of the features, the other the second half, and β is alike on both, so that over training sets their
risks are equal by symmetry. The folds' training sets overlap and come from one sample, which the interval of a study
treats as fixed. Differences of squared errors go through the package's own variance and pivot, with one training each
(a ridge regression has no random training). Printed are the share of false verdicts, the true variance ÷ the mean of
the estimated one, and the share of false verdicts if the variance were multiplied by 1.1, 1.2 or 1.3. There is no
bound, because the excess depends on the learner.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass

import numpy as np

from _measure import print_and_exit
from polytask.array_types import Floats
from polytask.statistics.pivot import make_pivot
from polytask.statistics.resample_counts import draw_counts
from polytask.statistics.studentize import studentize_batch
from polytask.statistics.variance import split_variance

FACTORS = (1.0, 1.1, 1.2, 1.3)
PENALTY = 1.0
CHUNK = 250


@dataclass(frozen=True)
class Excess:
    """The false verdicts at one size: shares of studies in percent, one for each of `FACTORS`."""

    subjects: int
    folds: int
    features: int
    ratio: float
    said: tuple[float, ...]
    missed: bool = False

    def __str__(self) -> str:
        more = ", ".join(f"× {f} {x:.1f} %" for f, x in zip(FACTORS[1:], self.said[1:], strict=True))
        return (
            f"{self.subjects} subjects, {self.folds} folds, {self.features} features each: false words "
            f"{self.said[0]:.1f} %; true ÷ estimated variance {self.ratio:.2f}; {more}"
        )


def draw_error_differences(
    rng: np.random.Generator, subjects: int, folds: int, features: int
) -> list[Floats]:
    """Draw one study: the differences of the squared errors of both learners, by fold `[subjects]`."""
    x = rng.normal(size=(subjects, 2 * features))
    y = x.sum(1) / np.sqrt(2 * features) + rng.normal(size=subjects)
    differences = []
    for held_out in np.array_split(np.arange(subjects), folds):
        train = np.setdiff1d(np.arange(subjects), held_out)
        errors = []
        for seen in (x[:, :features], x[:, features:]):
            gram = seen[train].T @ seen[train] + PENALTY * np.eye(features)
            weights = np.linalg.solve(gram, seen[train].T @ y[train])
            errors.append((y[held_out] - seen[held_out] @ weights) ** 2)
        differences.append(errors[0] - errors[1])
    return differences


def measure_excess(subjects: int, folds: int, features: int, studies: int, seed: int) -> Excess:
    """Measure the share of false verdicts over this number of studies."""
    rng = np.random.default_rng(seed)
    estimates, variances, p = [], [], []
    for start in range(0, studies, CHUNK):
        drawn = [
            draw_error_differences(rng, subjects, folds, features) for _ in range(min(CHUNK, studies - start))
        ]
        rows = [np.stack([d[k] for d in drawn])[:, None] for k in range(folds)]
        w = [x.shape[-1] / subjects for x in rows]
        variance = split_variance(rows, w)
        counts = [draw_counts(x.shape[-1], 998, (seed, start, k)) for k, x in enumerate(rows)]
        far = studentize_batch([x[:, 0] for x in rows], w, counts)
        pivot = make_pivot(far, variance.by_subjects, places=998)
        estimates.append(variance.estimate)
        variances.append(variance.error**2)
        p.append([pivot.p(variance.estimate / variance.error / np.sqrt(f)) for f in FACTORS])
    ratio = float(np.var(np.concatenate(estimates)) / np.mean(np.concatenate(variances)))
    said = 100 * (np.concatenate(p, axis=1) <= 0.05).mean(1)
    return Excess(subjects, folds, features, ratio, tuple(float(x) for x in said))


def main() -> None:
    """Simulate all sizes and print the shares."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--studies", type=int, default=1000)
    parser.add_argument("--subjects", type=int, nargs="+", default=[60, 99, 200])
    parser.add_argument("--folds", type=int, default=3)
    parser.add_argument("--features", type=int, nargs="+", default=[3, 6, 12])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true", help="one JSON document instead of lines")
    chosen = parser.parse_args()
    excesses = [
        measure_excess(n, chosen.folds, q, chosen.studies, chosen.seed)
        for n in chosen.subjects
        for q in chosen.features
    ]
    print_and_exit(excesses, chosen.json)  # type: ignore[arg-type]


if __name__ == "__main__":
    main()
