"""The loader: batches of one part of a fold, read by worker processes."""

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
from polytask.plan.plan import Plan
from polytask.prepare.batch import Batch
from polytask.prepare.batches import Batches, Failure, Place
from polytask.prepare.make import check_store
from polytask.prepare.schema import make_schema
from polytask.prepare.store import Store

Part = Literal["train", "tune", "held_out", "test", "all"]


class DataWorkerError(PolytaskError):
    """A process that reads batches was killed."""


class Loader:
    """Batches of one part of a fold.

    What a batch holds is a function of (seed, epoch, number of the batch): not of the number of workers, nor of
    where a run stopped. Order is uniform over subjects without replacement; an epoch goes on in the permutation
    where the last one ended, so no batch is short and no subject is favoured by the border. Without `shuffle`
    an epoch is every sample once, in order, and the last batch may be short.

    Args:
        store: of prepared cases.
        cohort: the plan's.
        plan: sizes, augmentation, batch, workers.
        fold: which of the plan's folds normalises and defines the tasks.
        part: whose samples: `train`, `tune` or `held_out` of the fold, `test`, or `all` (all but test).
        seed: of the run.
        batch: samples of one batch of all processes together; default from the plan.
        tasks: which targets are read; default all.
        shuffle, augment: default only for `train`.
        workers: reading processes; default from the plan; 0 = this one reads.
        rank, world: this process takes the places rank, rank + world, … of every batch.
        steps: batches of an epoch; default from the plan (steps × accumulation), or all samples once.
        splits: default from `splits.json` beside the store.
        subjects: these instead of a part of the fold.
    """

    def __init__(
        self,
        store: Store,
        cohort: Cohort,
        plan: Plan,
        fold: int,
        part: Part,
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
        chosen = part_of(store, cohort, fold, part, splits) if subjects is None else list(subjects)
        self.samples: list[Sample] = cohort.samples(chosen)
        if not self.samples:
            raise PolytaskError(
                f"fold {fold}: no sample in part {part!r}; look at splits.json, make other folds"
            )
        if steps is None:
            planned = training.steps_per_epoch * training.accumulation
            steps = planned if part == "train" else -(-len(self.samples) // batch)
        self.steps_per_epoch = steps
        self.workers = training.workers if workers is None else workers
        schema = make_schema(cohort, plan, plan.folds[fold], tasks)
        self._batches = Batches(
            store, cohort, self.samples, schema, seed, batch, steps, shuffle, augment, rank, world
        )
        self._rows: Iterator[Batch | Failure] | None = None
        self._next: Place = (-1, -1)

    def batches(self, epoch: int, start_step: int = 0) -> Iterator[Batch]:
        """The batches `start_step … steps_per_epoch` of an epoch.

        Workers read ahead into the next epoch; asking for another place than the next one starts them anew.
        """
        for step in range(start_step, self.steps_per_epoch):
            place = (epoch, step)
            if self._rows is None or self._next != place:
                self.close()
                self._rows = self._start(place)
            item = self._take(place)
            self._next = (epoch, step + 1) if step + 1 < self.steps_per_epoch else (epoch + 1, 0)
            yield item

    def close(self) -> None:
        """Send the workers home."""
        self._rows = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _start(self, place: Place) -> Iterator[Batch | Failure]:
        row = _Row(place, self.steps_per_epoch)
        if self.workers == 0:
            return (self._batches[p] for p in row)
        # Forked workers share what this process has loaded and need no main guard in a caller's script.
        start = "fork" if sys.platform == "linux" else "spawn"
        with warnings.catch_warnings(), deaf_to_workers():
            # Torch warns of more workers than cores. How many there are was decided in the plan.
            warnings.filterwarnings("ignore", "This DataLoader will create", UserWarning)
            return iter(
                DataLoader(
                    self._batches,
                    batch_size=None,
                    sampler=row,
                    num_workers=self.workers,
                    collate_fn=_as_it_is,
                    multiprocessing_context=start,
                    prefetch_factor=2,
                )
            )

    def _take(self, place: Place) -> Batch:
        """The next batch; what went wrong in a worker goes wrong here, with its cause."""
        assert self._rows is not None
        try:
            item = next(self._rows)
        except (RuntimeError, OSError, EOFError) as error:
            # The traceback would keep the dead workers' iterator alive.
            cause = error.with_traceback(None)
            self.close()
            subjects = ", ".join(dict.fromkeys(s.subject for _, s in self._batches.members(place)))
            raise DataWorkerError(
                f"a data worker died while subjects {subjects} or the next ones were read ({_first_line(cause)}); "
                "most often memory ran out: --workers 0 needs least"
            ) from cause
        if isinstance(item, Failure):
            self.close()
            raise item.error()
        return item


@contextmanager
def deaf_to_workers() -> Iterator[None]:
    """Inside, torch may ask to be called when a worker dies; afterwards it no longer is.

    It would raise its error wherever this process is just then, also in the middle of writing a checkpoint. Whoever
    waits for the next batch finds the dead worker within five seconds.
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


def part_of(store: Store, cohort: Cohort, fold: int, part: Part, splits: Splits | None = None) -> list[str]:
    """Subjects of a part; `splits` by default from `splits.json` beside the store."""
    if part == "test":
        return list(cohort.in_split("test"))
    if part == "all":
        return list(cohort.in_split("train"))
    splits = Splits.read(store.folder.parent / "splits.json") if splits is None else splits
    if not 0 <= fold < len(splits.folds):
        raise PolytaskError(
            f"there is no fold {fold}: splits.json has 0 to {len(splits.folds) - 1}; choose one of them"
        )
    return list(getattr(splits.folds[fold], part))


class _Row(Sampler[Place]):
    """Batch after batch, epoch after epoch, without an end: workers never wait at the border of an epoch."""

    def __init__(self, start: Place, steps: int):
        self._place, self._steps = start, steps

    def __iter__(self) -> Iterator[Place]:
        epoch, step = self._place
        while True:
            yield epoch, step
            step += 1
            if step == self._steps:
                epoch, step = epoch + 1, 0


def _as_it_is(item: Any) -> Any:
    return item


def _first_line(error: BaseException) -> str:
    return str(error).strip().split("\n")[0]
