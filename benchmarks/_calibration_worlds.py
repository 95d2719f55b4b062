"""Worlds of simulated studies in which the true effect between two arms is exactly 0 (or a given shift).

A world for means draws the differences of two arms `[studies, seeds, subjects]` of a fold, in points; their mean over
all subjects and trainings is 0. A world for other metrics draws the scores of both arms in the same way, so that the
effect is 0 for every metric.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from polytask.array_types import Floats

DrawDifferences = Callable[[np.random.Generator, tuple[int, int, int], int], Floats]
"""(generator, (studies, seeds, subjects), number of the fold) → differences."""
PLAIN_DEVIATIONS = {
    "subjects": (1.0, 0.0, 0.3),
    "mixed": (0.7, 0.1, 0.7),
    "seeds": (0.3, 0.25, 0.3),
    "retraining": (0.0, 0.0, 1.0),
}
"""Standard deviations in the difference of two arms: of arm × subject, of the training, and of training × subject."""


@dataclass(frozen=True)
class World:
    """A world in which the metric is a mean over subjects.

    Args:
        draw: see `DrawDifferences`. skewed: whether a few subjects lose much and the others gain a little.
        unseen: whether the losses are so rare that many studies contain none of them; there no method can keep its
            error rate, so no bound is set.
    """

    draw: DrawDifferences
    skewed: bool = False
    unseen: bool = False


def make_normal_draws(a: float, b: float, c: float) -> DrawDifferences:
    """Draw normal differences; `a`, `b`, `c` as in `PLAIN_DEVIATIONS`."""

    def draw(rng: np.random.Generator, shape: tuple[int, int, int], _: int) -> Floats:
        k, s, n = shape
        return a * rng.normal(size=(k, 1, n)) + b * rng.normal(size=(k, s, 1)) + c * rng.normal(size=shape)

    return draw


def make_partial_draws(
    share: float, loss: float, luck: float, rest: float, each: bool = False
) -> DrawDifferences:
    """Let a share of the subjects differ by `loss`, and the others by as much as makes the mean 0.

    With `each`, every training draws these subjects anew.
    """

    def draw(rng: np.random.Generator, shape: tuple[int, int, int], fold: int) -> Floats:
        who = rng.random(shape if each else (shape[0], 1, shape[2])) < share
        return np.where(who, loss, -loss * share / (1 - share)) + make_normal_draws(0, luck, rest)(
            rng, shape, fold
        )

    return draw


def draw_missed_lesions(rng: np.random.Generator, shape: tuple[int, int, int], fold: int) -> Floats:
    """Draw the Dice of small lesions: each lesion has its own chance to be missed by a training (7 % on average); found
    ones have 75 ± 12."""
    k, _, n = shape
    chance, dice = rng.beta(0.2, 2.5, size=(k, 1, n)), rng.beta(9, 3, size=(k, 1, n))
    arms = [
        100 * np.where(rng.random(shape) < chance, 0, np.clip(dice + 0.05 * rng.normal(size=shape), 0, 1))
        for _ in range(2)
    ]
    return np.asarray(arms[0] - arms[1] + make_normal_draws(0, 1, 0)(rng, shape, fold))


def make_collapsing_draws(both: bool) -> DrawDifferences:
    """Let one training in ten lose 20 points on every subject: in both arms, or only in the first one, whose other
    trainings gain 2 points."""

    def draw(rng: np.random.Generator, shape: tuple[int, int, int], fold: int) -> Floats:
        lost = [20.0 * (rng.random((*shape[:2], 1)) < 0.1) for _ in range(2)]
        gap = lost[1] - lost[0] if both else 2.0 - lost[0]
        return np.asarray(gap + make_normal_draws(5, 1, 5)(rng, shape, fold))

    return draw


def draw_uneven_folds(rng: np.random.Generator, shape: tuple[int, int, int], fold: int) -> Floats:
    """Draw four times as much chance variation between trainings in the first fold as in the others."""
    return make_normal_draws(0.7, 0.1 if fold else 0.4, 0.7)(rng, shape, fold)


def draw_lognormal(rng: np.random.Generator, shape: tuple[int, int, int], fold: int) -> Floats:
    """Draw differences as skewed as a lognormal distribution with σ = 0.75 (skewness 4.3)."""
    own = np.exp(0.75 * rng.normal(size=(shape[0], 1, shape[2]))) - np.exp(0.75**2 / 2)
    return np.asarray(own + make_normal_draws(0, 0.1, 0.5)(rng, shape, fold))


def draw_heavy_tails(rng: np.random.Generator, shape: tuple[int, int, int], fold: int) -> Floats:
    """Draw differences from Student's t with 3 degrees of freedom."""
    own = rng.standard_t(3, size=(shape[0], 1, shape[2]))
    return np.asarray(own + make_normal_draws(0, 0.1, 0.5)(rng, shape, fold))


WORLDS = {
    **{name: World(make_normal_draws(*deviations)) for name, deviations in PLAIN_DEVIATIONS.items()},
    "skewed": World(make_partial_draws(0.08, -30, 0.5, 3), skewed=True),
    "mirrored": World(make_partial_draws(0.08, 30, 0.5, 3), skewed=True),
    "skewed, each training": World(make_partial_draws(0.08, -30, 0.5, 3, each=True), skewed=True),
    "lognormal": World(draw_lognormal, skewed=True),
    "heavy tails": World(draw_heavy_tails),
    "missed lesions": World(draw_missed_lesions),
    "few differ": World(
        lambda rng, shape, _: (
            30 * (rng.random((shape[0], 1, shape[2])) < 0.05) * rng.normal(size=(shape[0], 1, shape[2]))
            + 0.3 * rng.normal(size=shape)
        ),
        skewed=True,
    ),
    "collapses": World(make_collapsing_draws(both=True), skewed=True),
    "uneven luck": World(draw_uneven_folds),
    "rare failures": World(make_partial_draws(0.02, -60, 0.5, 4), skewed=True, unseen=True),
    "one arm collapses": World(make_collapsing_draws(both=False), skewed=True, unseen=True),
}


def draw_scores(
    name: str, rng: np.random.Generator, seeds: int, n: int, sense: Floats, separation: float, shift: float
) -> list[Floats]:
    """Draw the scores of two arms `[seeds, n]`: difficulty of the subject + slope × `sense` + effects of the arm and of
    the training on each subject.

    The worlds in `PLAIN_DEVIATIONS` have their own deviations. In `failing`, each arm reverses the scores of 8 % of the
    subjects, and one training in ten does not separate at all (a collapse).
    """
    a, b, c = (x / np.sqrt(2) for x in PLAIN_DEVIATIONS.get(name, PLAIN_DEVIATIONS["mixed"]))
    own = 0.8 * rng.normal(size=n)
    sides = []
    for by in (shift, 0.0):
        slope = separation + by + b * rng.normal(size=(seeds, 1))
        if name == "failing":
            slope = slope * (rng.random((seeds, 1)) >= 0.1) * np.where(rng.random(n) < 0.08, -1, 1)
        sides.append(own + slope * sense + a * rng.normal(size=n) + c * rng.normal(size=(seeds, n)))
    return sides
