"""Draws samples of rare classes and grades more often, with the shares that the plan says (`drawn_shares`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from polytask.kinds.class_balance import find_draw_chances
from polytask.prepare.sample_table import SampleTable
from polytask.prepare.schema import BatchSchema
from polytask.prepare.seeded_generators import make_generator


@dataclass(frozen=True)
class RareClasses:
    """The samples of a task's K classes, and how likely one of each class takes the place of another sample.

    Args:
        task: name of the task; it decides the random numbers.
        known: the samples, as indices, in which the task is known.
        samples: for each class the samples that show it, in ascending order.
        chances: for each class the chance of a place; their sum is below 1.
    """

    task: str
    known: frozenset[int]
    samples: tuple[tuple[int, ...], ...]
    chances: tuple[float, ...]


def list_rare_classes(table: SampleTable, schema: BatchSchema) -> list[RareClasses]:
    """List the tasks of a loader that have rare classes to draw on purpose."""
    found = []
    for task in schema.pooled:
        chances = find_draw_chances(schema.fold.tasks.get(task, {}))
        if not chances.any():
            continue
        classes, samples = table.list_shown_classes(task).T
        # The pairs are sorted by class, so that the samples of a class lie between two borders.
        borders = np.searchsorted(classes, np.arange(chances.size + 1))
        groups = tuple(tuple(samples[a:b].tolist()) for a, b in pairwise(borders.tolist()))
        # A class without a sample (a part of the cohort, another site) cannot be drawn.
        possible = tuple(
            float(chance) if group else 0.0 for chance, group in zip(chances, groups, strict=True)
        )
        found.append(RareClasses(task, frozenset(samples.tolist()), groups, possible))
    return found


def insert_rare_classes(row: list[int], tasks: Sequence[RareClasses], seed: int, epoch: int) -> list[int]:
    """Replace samples at random by samples of rare classes, for one task after another.

    Only a sample in which the task is known gives way, so that the task is known as often as before.

    Args:
        row: the samples of an epoch.
        seed: of the run; it decides with the epoch and the task what is drawn.

    Returns:
        a new list; `row` stays as it is.
    """
    row = list(row)
    for rare in tasks:
        draws = make_generator(seed, "class", rare.task, epoch).random((len(row), 2))
        # The class of each place; the number of classes where the sample stays.
        classes = np.searchsorted(np.cumsum(rare.chances), draws[:, 0], side="right")
        for place in np.flatnonzero(classes < len(rare.chances)).tolist():
            if row[place] in rare.known:
                samples = rare.samples[classes[place]]
                row[place] = samples[int(draws[place, 1] * len(samples))]
    return row
