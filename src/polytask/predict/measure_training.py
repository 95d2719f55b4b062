"""Measures the inputs of subjects of a run's own store, with its networks: those it learned from, and held-out ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import torch

from polytask.cohort.cohort import Case, Cohort, Sample
from polytask.errors import PolytaskError
from polytask.inference.sample_prediction import predict_sample
from polytask.kinds import find_answer_form
from polytask.plan.plan_file import ensure_cohort
from polytask.plan.plan_schema import Plan
from polytask.predict.input_measures import InputWatch, VisitMeasures
from polytask.predict.predictor import Predictor
from polytask.prepare.evaluation_sample import full_sample
from polytask.prepare.sample_targets import make_pooled_target
from polytask.prepare.store import Store
from polytask.tasks.task import Task
from polytask.training.folder import Run
from polytask.training.freed_memory import give_freed_memory_back, keep_freed_memory
from polytask.training.run import find_run_cohort_folder


class MeasuredRun:
    """A run whose cohort and store are as they were in training.

    Raises:
        PolytaskError: they are gone, or have changed since.
    """

    def __init__(self, run: Run, device: str | None = None):
        self.plan = Plan.read(run.folder)
        self.cohort = Cohort.read(find_run_cohort_folder(run, self.plan))
        ensure_cohort(self.plan, self.cohort)
        self.store = Store(run.work / "store")
        if self.store.content != run.record["store"]:
            raise PolytaskError(
                f"{self.store.folder}: not the store that {run.folder} was trained on; run `polytask prepare` again"
            )
        self.predictor = Predictor.load(run.folder, device=device)
        self.inputs = {name for read in self.predictor.model_inputs.tasks.values() for name in read}
        """The inputs that some task reads; others are no business of the model."""

    def list_samples(self, subjects: Sequence[str]) -> list[Sample]:
        """List the samples of these subjects."""
        return self.cohort.samples(subjects)

    def measure(self, samples: Sequence[Sample], on_sample: Callable[[], None]) -> Iterator[VisitMeasures]:
        """Measure samples one by one; sliding windows run only where no visit or subject task reads the view."""
        predictor, device, (member,) = self.predictor, self.predictor.device, self.predictor.members
        torch.set_num_threads(self.plan.shared.training.threads)
        keep_freed_memory()
        try:
            for sample in samples:
                watch = InputWatch()
                full = full_sample(self.store, self.cohort, sample, self.plan, member.plan, predictor.tasks)
                for network in member.networks:
                    hears, pooled_only = watch.listen(0, full, network), bool(network.pooled)
                    if self.plan.shared.images:
                        predict_sample(
                            network, full, self.plan, device, pooled_only=pooled_only, listener=hears
                        )
                cases = {case.visit: case for case in sample.cases}
                for own in watch.measure(self.cohort, sample.cases, self.store, self.plan):
                    classes = read_classes(self.cohort, cases[own.visit], predictor.tasks)
                    read = {name: q for name, q in own.quantities.items() if name in self.inputs}
                    yield replace(own, classes=classes, quantities=read)
                on_sample()
        finally:
            give_freed_memory_back()


def read_classes(cohort: Cohort, case: Case, tasks: dict[str, Task]) -> dict[str, int]:
    """Read the known classes and grades of a case: task → class."""
    classes = {}
    for name, task in tasks.items():
        if find_answer_form(task.kind) in ("class", "grade"):
            target = make_pooled_target(cohort, name, (case,))
            if bool(target.known.all()):
                classes[name] = int(target.value)
    return classes
