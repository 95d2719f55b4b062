"""Read one batch, given its position in the run. The result does not depend on the process that asks for it."""

from __future__ import annotations

import traceback
from collections.abc import Sequence
from dataclasses import dataclass

from torch.utils.data import Dataset

from polytask.cohort.cohort import Cohort, Sample
from polytask.errors import PolytaskError
from polytask.prepare.batch import Batch
from polytask.prepare.sample_order import make_epoch_order
from polytask.prepare.sample_reader import SampleDraw, join_batches, read_sample
from polytask.prepare.sample_targets import is_known_in_sample
from polytask.prepare.schema import BatchSchema
from polytask.prepare.slot_assignment import assign_visit_slots
from polytask.prepare.store import Store

BatchPosition = tuple[int, int]
"""Position of a batch in a run: (epoch, number of the batch in that epoch)."""


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


class BatchDataset(Dataset[Batch | BatchFailure]):
    """A torch data set: (epoch, batch) → this process's part of that batch. Holds plain data, for copies in workers.

    Args:
        samples: those that the run goes through.
        batch: samples of one batch of all processes together.
        steps: batches of one epoch.
        shuffle: whether samples come in random order, with rare tasks placed often enough.
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
        self.store, self.cohort, self.samples, self.schema = store, cohort, list(samples), schema
        self.seed, self.batch, self.steps = seed, batch, steps
        self.shuffle, self.augment, self.rank, self.world = shuffle, augment, rank, world
        places: dict[str, list[int]] = {}
        for index, sample in enumerate(self.samples):
            places.setdefault(sample.subject, []).append(index)
        self._subjects = [tuple(v) for v in places.values()]
        # Only a shuffled order can promise that rare tasks appear often enough.
        every = schema.plan.shared.training.require_every if shuffle else {}
        self._every = {t: n for t, n in every.items() if t in schema.voxel or t in schema.pooled}
        self._known = {task: self._known_samples(task) for task in self._every}
        self._row: tuple[int, list[int]] = (-1, [])

    def members(self, place: BatchPosition) -> list[tuple[int, Sample]]:
        """List this process's samples of one batch, each with its place in the epoch."""
        epoch, step = place
        first = step * self.batch
        row = self._list_epoch_samples(epoch)
        mine = range(first + self.rank, min(first + self.batch, len(row)), self.world)
        return [(at, self.samples[row[at]]) for at in mine]

    def __getitem__(self, place: BatchPosition) -> Batch | BatchFailure:
        """Read, augment and join the samples of one batch. An error is returned as a `BatchFailure` instead of raised.

        Not every exception can be copied from a worker process to this one; plain text always can.
        """
        parts = []
        for at, sample in self.members(place):
            draw = SampleDraw((self.seed, place[0], at, sample.subject), self.augment)
            try:
                parts.append(read_sample(self.store, self.cohort, sample, self.schema, draw))
            except PolytaskError as error:
                return BatchFailure(f"subject {sample.subject}: {error}", traceback.format_exc())
            except Exception as error:
                line = f"subject {sample.subject}: reading failed with {type(error).__name__}: {error}"
                return BatchFailure(
                    f"{line}; if its files are right, run `polytask prepare` again", traceback.format_exc()
                )
        return join_batches(parts)

    def _list_epoch_samples(self, epoch: int) -> Sequence[int]:
        """Return the samples of an epoch as indices, in order; the order of the last epoch is kept."""
        if not self.shuffle:
            return range(len(self.samples))
        if self._row[0] != epoch:
            accumulation = self.schema.plan.shared.training.accumulation
            # Rare tasks are promised per optimizer step, and several batches may add up to one step.
            group = self.batch * (accumulation if self.steps % accumulation == 0 else 1)
            count = self.steps * self.batch // group
            row = make_epoch_order(self._subjects, self.seed, epoch, count, group, self._every, self._known)
            self._row = (epoch, row)
        return self._row[1]

    def _known_samples(self, task: str) -> frozenset[int]:
        """Find the samples, as indices, in which a task is known."""
        found = set()
        for index, sample in enumerate(self.samples):
            cases = assign_visit_slots(self.cohort, sample, self.schema.plan.shared.max_visits).cases
            if is_known_in_sample(self.cohort, task, cases):
                found.add(index)
        return frozenset(found)
