"""Decide which samples make which batch, from (seed, epoch) alone, and read one batch, given its position in the run.

The result does not depend on the process that asks for it, nor on the number of workers and processes.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from torch.utils.data import Dataset

from polytask.cohort.cohort import Cohort, Sample
from polytask.errors import PolytaskError
from polytask.kinds.class_balance import find_draw_chances
from polytask.prepare.batch import Batch
from polytask.prepare.sample_reader import (
    SampleDraw,
    find_sample_frames,
    join_batches,
    pad_whole_views,
    read_sample,
)
from polytask.prepare.sample_table import SampleTable
from polytask.prepare.sample_targets import is_voxel_task_known
from polytask.prepare.schema import BatchSchema
from polytask.prepare.seeded_generators import make_generator
from polytask.prepare.slot_assignment import assign_visit_slots
from polytask.prepare.store import Store

BatchPosition = tuple[int, int]
"""Position of a batch in a run: (epoch, number of the batch in that epoch)."""
KnownSamples = Mapping[str, frozenset[int]]
"""Task → the samples in which it is known, as indices."""


@dataclass(frozen=True)
class BatchFailure:
    """An error in a worker process, as plain text: one line for people, and the traceback as details."""

    line: str
    details: str

    def error(self) -> PolytaskError:
        """Make the exception that the process that asked for the batch raises; the traceback is attached as a note."""
        problem = PolytaskError(self.line)
        problem.add_note(self.details)
        return problem


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


class BatchDataset(Dataset[Batch | BatchFailure]):
    """A torch data set: (epoch, batch) → this process's part of that batch. Holds plain data, for copies in workers.

    Args:
        samples: those that the run goes through.
        batch: samples of one batch of all processes together.
        steps: batches of one epoch.
        shuffle: whether samples come in random order, with rare classes and rare tasks placed often enough.
        augment: whether images, slides and channels are changed at random.
        rank, world: this process takes the places rank, rank + world, … of every batch.
    """

    def __init__(
        self,
        store: Store,
        cohort: Cohort,
        samples: Sequence[Sample],
        schema: BatchSchema,
        seed: int,
        batch: int,
        steps: int,
        shuffle: bool,
        augment: bool,
        rank: int,
        world: int,
    ):
        self.store, self.schema = store, schema
        # The cohort itself is not kept: its rows are parsed here once, and workers get arrays.
        self.table = SampleTable(cohort, samples, schema)
        self.seed, self.batch, self.steps = seed, batch, steps
        self.shuffle, self.augment, self.rank, self.world = shuffle, augment, rank, world
        places: dict[str, list[int]] = {}
        for index, sample in enumerate(samples):
            places.setdefault(sample.subject, []).append(index)
        self._subjects = [tuple(v) for v in places.values()]
        # Only a shuffled order can promise that rare tasks appear often enough.
        every = schema.plan.shared.training.require_every if shuffle else {}
        self._every = {t: n for t, n in every.items() if t in schema.voxel or t in schema.pooled}
        self._known = {task: self._find_known_samples(cohort, samples, task) for task in self._every}
        self._rare_classes = list_rare_classes(self.table, schema) if shuffle else []
        self._row: tuple[int, list[int]] = (-1, [])

    def list_batch_samples(self, place: BatchPosition) -> list[tuple[int, int]]:
        """List this process's samples of one batch: (place in the epoch, index of the sample)."""
        return self._list_all_samples(place)[self.rank :: self.world]

    def _list_all_samples(self, place: BatchPosition) -> list[tuple[int, int]]:
        """List the samples of one batch of all processes together, as `list_batch_samples` does."""
        epoch, step = place
        row = self._list_epoch_samples(epoch)
        places = range(step * self.batch, min((step + 1) * self.batch, len(row)))
        return [(at, row[at]) for at in places]

    def __getitem__(self, place: BatchPosition) -> Batch | BatchFailure:
        """Read, augment and join the samples of one batch. An error is returned as a `BatchFailure` instead of raised.

        Not every exception can be copied from a worker process to this one; plain text always can.
        """
        parts, others = [], []
        for number, (at, index) in enumerate(self._list_all_samples(place)):
            mine = number % self.world == self.rank
            if not (mine or self.schema.padded):
                continue
            subject = self.table.subjects[index]
            draw = SampleDraw((self.seed, place[0], at, subject), self.augment)
            try:
                if mine:
                    parts.append(read_sample(self.store, self.table[index], self.schema, draw))
                else:
                    others.append(find_sample_frames(self.store, self.table[index], self.schema))
            except PolytaskError as error:
                return BatchFailure(f"subject {subject}: {error}", traceback.format_exc())
            except Exception as error:
                line = f"subject {subject}: reading failed with {type(error).__name__}: {error}"
                return BatchFailure(
                    f"{line}; if the files of this subject are correct, run `polytask prepare` again",
                    traceback.format_exc(),
                )
        return join_batches(pad_whole_views(parts, others, self.schema) if self.schema.padded else parts)

    def _list_epoch_samples(self, epoch: int) -> Sequence[int]:
        """Return the samples of an epoch as indices, in order; the order of the last epoch is kept."""
        if not self.shuffle:
            return range(len(self.table.subjects))
        if self._row[0] != epoch:
            accumulation = self.schema.plan.shared.training.accumulation
            # Rare tasks are promised per optimizer step, and several batches may add up to one step.
            group = self.batch * (accumulation if self.steps % accumulation == 0 else 1)
            count = self.steps * self.batch // group
            row = make_epoch_order(
                self._subjects, self.seed, epoch, count, group, self._every, self._known, self._rare_classes
            )
            self._row = (epoch, row)
        return self._row[1]

    def _find_known_samples(self, cohort: Cohort, samples: Sequence[Sample], task: str) -> frozenset[int]:
        """Find the samples, as indices, in which a task is known."""
        if task in self.schema.pooled:
            return frozenset(np.flatnonzero(self.table.list_known(task)).tolist())
        most = self.schema.plan.shared.max_visits
        cases = (assign_visit_slots(cohort, sample, most).cases for sample in samples)
        return frozenset(index for index, row in enumerate(cases) if is_voxel_task_known(cohort, task, row))


def shuffle_samples(subjects: Sequence[Sequence[int]], seed: int, start: int, count: int) -> list[int]:
    """Return the samples at the places `start … start + count` of an endless random sequence.

    The sequence is one permutation of the subjects after another, so every subject comes once before any comes twice,
    across the borders of batches and epochs (the last batch is filled from the next permutation). A subject with
    several samples (its visits, when no task looks across visits) shows another one each time.

    Args:
        subjects: the samples of each subject, as indices.
        seed: of the run.
    """
    row = []
    for place in range(start, start + count):
        turn, index = divmod(place, len(subjects))
        if index == 0 or place == start:
            permutation = make_generator(seed, "order", turn).permutation(len(subjects))
        # The subject's own number shifts the turn, so that not all subjects show their first visit together.
        own_samples = subjects[int(permutation[index])]
        row.append(own_samples[(turn + int(permutation[index])) % len(own_samples)])
    return row


def list_rare_classes(table: SampleTable, schema: BatchSchema) -> list[RareClasses]:
    """List the tasks of a loader that have rare classes to draw on purpose."""
    rare_classes = []
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
        rare_classes.append(RareClasses(task, frozenset(samples.tolist()), groups, possible))
    return rare_classes


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


def insert_rare_tasks(
    row: list[int], batch: int, max_gaps: Mapping[str, int], known: KnownSamples, draw: Callable[[int], float]
) -> list[int]:
    """Replace samples so that each rare task is known at least once in any `max_gaps[task]` steps in a row.

    A task is due in the first step of an epoch, and when that many steps have passed without it. A sample in which it
    is known then replaces one that no other due task needs, or one of which it serves the due tasks as well. Where
    neither exists (more rare tasks than places), the task stays due.

    Args:
        row: the samples of an epoch, `batch` for each step.
        max_gaps: task → steps.
        known: task → samples in which it is known.
        draw: number of the draw → uniform in [0, 1).

    Returns:
        a new list; `row` stays as it is.
    """
    row, last, draws = list(row), {task: -steps for task, steps in max_gaps.items()}, 0
    for step in range(len(row) // batch):
        places = range(step * batch, (step + 1) * batch)
        due = [t for t, steps in max_gaps.items() if step - last[t] >= steps and known[t]]
        for task in due:
            missing = [t for t in due if not any(row[p] in known[t] for p in places)]
            if task not in missing:
                continue
            needs = {p: [t for t in due if [q for q in places if row[q] in known[t]] == [p]] for p in places}
            for place in sorted(places, key=lambda p: len(needs[p])):
                fitting = known[task].intersection(*(known[t] for t in needs[place]))
                if fitting:
                    most = max(sum(s in known[t] for t in missing) for s in fitting)
                    # Sorted, because a set has no defined order and every process must choose the same sample.
                    best = sorted(s for s in fitting if sum(s in known[t] for t in missing) == most)
                    row[place] = best[int(draw(draws) * len(best))]
                    draws += 1
                    break
        for task in max_gaps:
            if any(row[p] in known[task] for p in places):
                last[task] = step
    return row


def make_epoch_order(
    subjects: Sequence[Sequence[int]],
    seed: int,
    epoch: int,
    steps: int,
    batch: int,
    every: Mapping[str, int],
    known: KnownSamples,
    rare_classes: Sequence[RareClasses] = (),
) -> list[int]:
    """Return the samples of one epoch, `batch` for each of its steps, with rare classes and tasks often enough."""
    row = shuffle_samples(subjects, seed, epoch * steps * batch, steps * batch)
    row = insert_rare_classes(row, rare_classes, seed, epoch)
    # Rare tasks come last, because their number of steps is a promise and a class's share is an average.
    return insert_rare_tasks(
        row, batch, every, known, lambda n: float(make_generator(seed, "rare", epoch, n).random())
    )
