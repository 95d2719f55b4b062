"""Predictions without inputs that the cases have: they show how good a model is when these are missing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch

from polytask.cohort.cohort import Cohort, Sample
from polytask.inference.sample_prediction import list_flips
from polytask.predict.case_answer import CaseAnswer
from polytask.predict.in_memory_store import InMemoryCase, InMemoryStore
from polytask.predict.missing_inputs import ModelInputs, find_missing_combination
from polytask.prepare.prepared_image import PreparedImage
from polytask.prepare.slide_bags import PreparedBag
from polytask.training.freed_memory import give_freed_memory_back, keep_freed_memory

if TYPE_CHECKING:
    from polytask.predict.predictor import Predictor

MAX_COMBINATIONS = 16
"""Largest number of combinations: each costs a prediction of the whole part."""
InputCombination = tuple[str, ...]
"""Inputs (`clinic`) and channels (`scan.mr`)."""


def choose_combinations(
    reading: ModelInputs, cohort: Cohort
) -> tuple[list[InputCombination], list[InputCombination]]:
    """Return (combinations to hide, combinations without which nothing can be predicted).

    First come each input and each channel that may be missing alone, then the combinations that cases of the cohort
    lack, the most frequent first. There is nothing to hide where a model reads one input whose channels are always
    there. Cases of the test part are not looked at.
    """
    tasks = list(reading.tasks)
    inputs = [n for n in reading.header.inputs if any(n in read for read in reading.tasks.values())]
    images = reading.plan.shared.images
    wanted: list[InputCombination] = [(n,) for n in inputs]
    wanted += [
        (f"{n}.{c}",)
        for n in inputs
        if n in images and images[n].channel_flags and len(images[n].channels) > 1
        for c in images[n].channels
    ]
    if len(wanted) < 2:
        return [], []
    lacking = Counter(
        find_missing_combination(reading.missing(cohort, (case,), tasks))
        for case in cohort.cases
        if not case.test
    )
    wanted += [key for key, _ in lacking.most_common() if key]
    chosen: dict[frozenset[str], InputCombination] = {}
    for key in wanted:
        # As a set: the same inputs in another order are the same combination. The dict keeps the order of first use.
        chosen.setdefault(frozenset(key), key)
    needed = [key for key in chosen.values() if set(inputs) <= set(key)]
    return [key for key in chosen.values() if key not in needed][:MAX_COMBINATIONS], needed


def list_affected_tasks(reading: ModelInputs, hidden: InputCombination) -> list[str]:
    """List the tasks that read something of what is hidden."""
    names = {key.partition(".")[0] for key in hidden}
    return [task for task, read in reading.tasks.items() if names & set(read)]


def predict_without_inputs(
    predictor: Predictor,
    cohort: Cohort,
    samples: Sequence[Sample],
    combinations: Sequence[InputCombination],
    tta: bool = False,
) -> Iterator[tuple[InputCombination, CaseAnswer]]:
    """Yield (combination, answer) for every case and combination, with the tasks that it affects.

    Files are read and prepared once for all combinations; the sliding windows of voxel tasks run only where something
    they read is hidden.
    """
    torch.set_num_threads(predictor.plan.shared.training.threads)
    keep_freed_memory()
    flips = list_flips(predictor.flip_axes()) if tta else [()]
    fresh = InMemoryStore(cohort, predictor.plan)
    without = {key: hide_cells(cohort, key) for key in combinations}
    tasks = {key: list_affected_tasks(predictor.model_inputs, key) for key in combinations}
    try:
        for sample in samples:
            fresh.begin(sample.cases)
            keys = {case.key for case in sample.cases}
            for hidden, reduced in without.items():
                cases = tuple(c for c in reduced.subjects[sample.subject] if c.key in keys)
                voxel = any(predictor.tasks[t].level == "voxel" for t in tasks[hidden])
                for answer in predictor.answer_sample(
                    reduced,
                    Sample(sample.subject, cases),
                    HidingStore(fresh, hidden),
                    tasks[hidden],
                    flips,
                    voxel,
                ):
                    yield hidden, answer
    finally:
        give_freed_memory_back()


def hide_cells(cohort: Cohort, hidden: Iterable[str]) -> Cohort:
    """Return the cohort with empty cells in all columns of hidden tables."""
    tables = [t for n, t in cohort.header.tables.items() if n in set(hidden)]
    columns = {column for table in tables for column in table.columns}
    if not columns:
        return cohort
    cases = (
        replace(case, cells={k: v for k, v in case.cells.items() if k not in columns})
        for case in cohort.cases
    )
    return Cohort(cohort.header, cohort.root, cohort.table, cohort.columns, tuple(cases))


@dataclass(frozen=True)
class HidingStore:
    """A view of an `InMemoryStore` that does not give what is hidden."""

    fresh: InMemoryStore
    hidden: InputCombination

    def case(self, key: str) -> HidingCase:
        """Return a case of the present sample, without what is hidden."""
        return HidingCase(self.fresh.case(key), self.hidden)


@dataclass(frozen=True)
class HidingCase:
    """One case of an `InMemoryStore`, without what is hidden."""

    case: InMemoryCase
    hidden: InputCombination

    def prepared(self, name: str) -> PreparedImage | None:
        """Return the image with its hidden channels marked as unknown; None when no channel is left."""
        if name in self.hidden:
            return None
        image = self.case.prepared(name)
        if image is None or not any(key.startswith(f"{name}.") for key in self.hidden):
            return image
        channels = list(self.case.recipe.plans[name].channels)
        known = tuple(
            is_known and f"{name}.{channel}" not in self.hidden
            for channel, is_known in zip(channels, image.channel_known, strict=True)
        )
        return replace(image, channel_known=known) if any(known) else None

    def bag(self, name: str) -> PreparedBag | None:
        """Return the slide as a bag of patches; None when it is hidden."""
        return None if name in self.hidden else self.case.bag(name)
