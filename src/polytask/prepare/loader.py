"""Load the batches of one part of a fold, read by worker processes."""

from __future__ import annotations

import signal
import sys
import threading
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Literal, Self

from torch.utils.data import DataLoader, Sampler

from polytask.cohort.cohort import Cohort, Sample
from polytask.cohort.splits import Splits
from polytask.errors import PolytaskError
from polytask.plan.plan_schema import Plan
from polytask.prepare.batch import Batch
from polytask.prepare.batch_dataset import BatchDataset, BatchFailure, BatchPosition
from polytask.prepare.schema import make_batch_schema
from polytask.prepare.store import Store
from polytask.prepare.store_builder import check_store

FoldPart = Literal["train", "tune", "held_out", "test", "all"]


class DataWorkerError(PolytaskError):
    """Raised when a process that reads batches was killed."""


class Loader:
    """Batches of one part of a fold.

    What a batch holds depends only on (seed, epoch, number of the batch), not on the number of workers, nor on where
    a run was stopped. Subjects come in random order without replacement. An epoch continues the permutation where the
    last one ended, so no batch is short and no subject comes more often. Without `shuffle` an epoch is every sample
    once, in order, and the last batch may be short.

    Args:
        store: the prepared cases.
        cohort: the one that the plan was made from.
        plan: sizes, augmentation, batch, workers.
        fold: number of the fold whose rules normalize the images and tables.
        part: whose samples: `train`, `tune` or `held_out` of the fold, `test`, or `all` (all but test).
        seed: of the run.
        batch: samples of one batch of all processes together; default from the plan.
        tasks: which targets are read; default all.
        shuffle, augment: by default on for `train` only.
        workers: processes that read; default from the plan; 0 = this process reads.
        rank, world: this process takes the places rank, rank + world, … of every batch.
        steps: batches of an epoch; default from the plan (steps × accumulation), or all samples once.
        splits: default from `splits.json` beside the store.
        subjects: read these instead of a part of the fold.
    """

    def __init__(
        self,
        store: Store,
        cohort: Cohort,
        plan: Plan,
        fold: int,
        part: FoldPart,
        seed: int,
        batch: int | None = None,
        tasks: Iterable[str] | None = None,
        augment: bool | None = None,
        workers: int | None = None,
        rank: int = 0,
        world: int = 1,
        shuffle: bool | None = None,
        steps: int | None = None,
        splits: Splits | None = None,
        subjects: Sequence[str] | None = None,
    ):
        check_store(store, cohort, plan)
        training = plan.shared.training
        shuffle = part == "train" if shuffle is None else shuffle
        augment = part == "train" if augment is None else augment
        batch = training.batch if batch is None else batch
        if batch % world:
            raise PolytaskError(
                f"a batch of {batch} cannot be shared by {world} processes: --set training.batch="
                f"{-(-batch // world) * world}, or start fewer processes"
            )
        chosen = list_part_subjects(store, cohort, fold, part, splits) if subjects is None else list(subjects)
        self.samples: list[Sample] = cohort.samples(chosen)
        if not self.samples:
            raise PolytaskError(
                f"fold {fold}: no sample in part {part!r}; check splits.json, or make other folds"
            )
        if steps is None:
            planned = training.steps_per_epoch * training.accumulation
            steps = planned if part == "train" else -(-len(self.samples) // batch)
        self.steps_per_epoch = steps
        self.workers = training.workers if workers is None else workers
        schema = make_batch_schema(cohort, plan, plan.folds[fold], tasks)
        self._batches = BatchDataset(
            store, cohort, self.samples, schema, seed, batch, steps, shuffle, augment, rank, world
        )
        self._rows: Iterator[Batch | BatchFailure] | None = None
        self._next: BatchPosition = (-1, -1)

    def batches(self, epoch: int, start_step: int = 0) -> Iterator[Batch]:
        """Yield the batches of an epoch, from number `start_step` on.

        Workers read ahead into the next epoch. When another batch than the next one is asked for, they start anew.
        """
        for step in range(start_step, self.steps_per_epoch):
            place = (epoch, step)
            if self._rows is None or self._next != place:
                self.close()
                self._rows = self._start(place)
            item = self._take_batch(place)
            self._next = (epoch, step + 1) if step + 1 < self.steps_per_epoch else (epoch + 1, 0)
            yield item

    def close(self) -> None:
        """Stop the workers; the next call of `batches` starts new ones."""
        self._rows = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _start(self, place: BatchPosition) -> Iterator[Batch | BatchFailure]:
        """Start reading at this position, in workers or in this process; the iterator never ends."""
        row = _EndlessBatchSampler(place, self.steps_per_epoch)
        if self.workers == 0:
            return (self._batches[p] for p in row)
        # Forked workers share what this process has loaded and need no main guard in a caller's script.
        start = "fork" if sys.platform == "linux" else "spawn"
        with warnings.catch_warnings(), ignore_worker_deaths():
            # Torch warns of more workers than cores. How many there are was decided in the plan.
            warnings.filterwarnings("ignore", "This DataLoader will create", UserWarning)
            return iter(
                DataLoader(
                    self._batches,
                    batch_size=None,
                    sampler=row,
                    num_workers=self.workers,
                    collate_fn=_pass_through,
                    multiprocessing_context=start,
                    prefetch_factor=2,
                )
            )

    def _take_batch(self, place: BatchPosition) -> Batch:
        """Return the next batch. An error in a worker is raised here, with its cause."""
        assert self._rows is not None
        try:
            item = next(self._rows)
        except (RuntimeError, OSError, EOFError) as error:
            # The traceback would keep the dead workers' iterator alive.
            cause = error.with_traceback(None)
            self.close()
            subjects = ", ".join(
                dict.fromkeys(
                    self._batches.table.subjects[n] for _, n in self._batches.list_batch_samples(place)
                )
            )
            raise DataWorkerError(
                f"a data worker died while subjects {subjects} or the next ones were read "
                f"({_get_first_error_line(cause)}); "
                "the most common cause is too little memory; --workers 0 needs the least"
            ) from cause
        if isinstance(item, BatchFailure):
            self.close()
            raise item.error()
        return item


@contextmanager
def ignore_worker_deaths() -> Iterator[None]:
    """Undo the signal handler that torch installs inside the block, which raises an error when a worker dies.

    The handler would raise wherever this process is at that moment, even in the middle of writing a checkpoint. The
    code that waits for the next batch notices the dead worker within five seconds anyway.
    """
    number = getattr(signal, "SIGCHLD", None)
    if number is None or threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(number)
    try:
        yield
    finally:
        signal.signal(number, before if before is not None else signal.SIG_DFL)


def list_part_subjects(
    store: Store, cohort: Cohort, fold: int, part: FoldPart, splits: Splits | None = None
) -> list[str]:
    """List the subjects of a part of a fold; `splits` is by default read from `splits.json` beside the store."""
    if part == "test":
        return list(cohort.list_split_subjects("test"))
    if part == "all":
        return list(cohort.list_split_subjects("train"))
    splits = Splits.read(store.folder.parent / "splits.json") if splits is None else splits
    if not 0 <= fold < len(splits.folds):
        raise PolytaskError(
            f"there is no fold {fold}: splits.json has 0 to {len(splits.folds) - 1}; choose one of them"
        )
    return list(getattr(splits.folds[fold], part))


class _EndlessBatchSampler(Sampler[BatchPosition]):
    """Yields the positions of batches without an end, epoch after epoch, so that no worker waits between epochs."""

    def __init__(self, start: BatchPosition, steps: int):
        self._place, self._steps = start, steps

    def __iter__(self) -> Iterator[BatchPosition]:
        epoch, step = self._place
        while True:
            yield epoch, step
            step += 1
            if step == self._steps:
                epoch, step = epoch + 1, 0


def _pass_through(item: Any) -> Any:
    """Return the item as it is: batches come complete and need no collating."""
    return item


def _get_first_error_line(error: BaseException) -> str:
    return str(error).strip().split("\n")[0]
