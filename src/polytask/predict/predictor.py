"""`Predictor`: one trained model, or an ensemble of several, ready for new cases."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from polytask.cohort import header
from polytask.cohort.cohort import Cohort, Sample
from polytask.cohort.header import Header
from polytask.errors import PolytaskError
from polytask.inference.head_passes import HeadPasses
from polytask.inference.sample_prediction import (
    Predictions,
    average_predictions,
    list_flips,
    predict_sample,
)
from polytask.plan.plan_schema import Plan
from polytask.predict.case_answer import CaseAnswer
from polytask.predict.in_memory_store import InMemoryStore
from polytask.predict.input_measures import InputWatch
from polytask.predict.load_bundle import load_bundle
from polytask.predict.load_runs import load_runs
from polytask.predict.member import Member
from polytask.predict.member_answers import MemberAnswers
from polytask.predict.missing_inputs import ModelInputs
from polytask.predict.model_errors import attribute_errors_to_model
from polytask.predict.source_grid import GriddedPrediction, order_after_mirroring
from polytask.prepare.evaluation_sample import CaseSource, full_sample
from polytask.prepare.geometry_draw import find_flips
from polytask.prepare.mirrored_channels import order_mirrored_channels
from polytask.prepare.slot_assignment import assign_visit_slots
from polytask.prepare.views import find_left_right_axis
from polytask.tasks.task import Prediction, Task
from polytask.training.decisions import Decisions, merge_decisions
from polytask.training.distributed import choose_device
from polytask.training.folder import list_nearby_runs
from polytask.training.freed_memory import give_freed_memory_back, keep_freed_memory

PREDICT_LOGGER = logging.getLogger("polytask.predict")


class Predictor:
    """Predictions of one model, or of an ensemble of folds and seeds.

    >>> predictor = Predictor.load("work/runs/hard")           # doctest: +SKIP
    >>> predictor.predict("new-patients", "out")               # doctest: +SKIP
    """

    def __init__(
        self,
        header: Header,
        plan: Plan,
        members: Sequence[Member],
        device: torch.device,
        notices: Sequence[str] = (),
        origin: Path | None = None,
        promises: Mapping[str, Any] | None = None,
        promise_folder: Path | None = None,
    ):
        self.header, self.plan, self.members, self.device = header, plan, tuple(members), device
        self.origin, self.promises, self.promise_folder = origin, promises, promise_folder
        self.notices = tuple(notices)
        """What a person must know about the model itself, e.g. that it has no seal."""
        self.watches_inputs = False
        """Whether answers also hold what is measured of the inputs; see `CaseAnswer.measures`."""
        self.head_passes = 0
        """How many times heads answer with some features left out; see `HeadPasses`."""
        for member in members:
            for network in member.networks:
                network.to(device).eval()

    @classmethod
    def load(cls, *sources: Path | str, device: str | None = None) -> Predictor:
        """Load runs of one plan (several are an ensemble), or one exported model."""
        folders = [Path(s) for s in sources]
        place = choose_device(device)
        if len(folders) == 1 and (folders[0] / "model.json").exists():
            model = load_bundle(folders[0])
        else:
            for folder in folders:
                if not (folder / "run.yaml").exists():
                    raise PolytaskError(
                        f"{folder}: neither a run (run.yaml) nor an exported model (model.json); expected "
                        f"RUN|MODEL first and the input last{list_nearby_runs(folder)}"
                    )
            model = load_runs(folders)
        about = (model.notices, model.origin, model.promises, model.promise_folder)
        return cls(model.header, model.plan, model.members, place, *about)

    @property
    def tasks(self) -> dict[str, Task]:
        """The tasks, as the first member knows them."""
        return self.members[0].tasks

    @property
    def decisions(self) -> Decisions:
        """Cut-offs of risk groups and thresholds of operating points: the model's own, or the mean over members."""
        return merge_decisions([m.decisions for m in self.members])

    @cached_property
    def model_inputs(self) -> ModelInputs:
        """The inputs, channels and columns that each task's answer is computed from."""
        return ModelInputs.of(self)

    def flip_axes(self) -> list[int]:
        """Axes along which test-time augmentation may mirror: those that training flipped."""
        shared = self.plan.shared
        flips = {find_flips(shared.augmentation, image.dims) for image in shared.images.values()}
        return [axis for axis in range(3) if any(axis < len(own) and own[axis] for own in flips)]

    def answers(
        self,
        cohort: Cohort,
        samples: Sequence[Sample] | None = None,
        *,
        tta: bool = False,
        probabilities: bool = False,
        overlap: float = 0.5,
    ) -> Iterator[CaseAnswer]:
        """Predict sample by sample; memory holds one sample at a time.

        Args:
            cohort: its header's inputs must be the model's.
            samples: the samples to predict, all by default.
            tta: average over mirror images as well.
            probabilities: also keep voxel probabilities.
            overlap: share of a sliding window that the next one covers again.
        """
        torch.set_num_threads(self.plan.shared.training.threads)
        keep_freed_memory()
        flips = list_flips(self.flip_axes()) if tta else [()]
        fresh = InMemoryStore(cohort, self.plan)
        try:
            for sample in cohort.samples() if samples is None else samples:
                fresh.begin(sample.cases)
                yield from self.answer_sample(
                    cohort, sample, fresh, list(self.tasks), flips, True, overlap, probabilities
                )
        finally:
            give_freed_memory_back()

    def answer_sample(
        self,
        cohort: Cohort,
        sample: Sample,
        source: CaseSource,
        tasks: Sequence[str],
        flips: Sequence[Sequence[int]] = ((),),
        voxel: bool = True,
        overlap: float = 0.5,
        probabilities: bool = False,
    ) -> Iterator[CaseAnswer]:
        """Predict one sample; yield its answers for `tasks`.

        Args:
            source: the store that gives images and slides; tables are read from `cohort`.
            voxel: whether sliding windows run; without them, voxel tasks may have no answer.
        """
        with attribute_errors_to_model(self.origin):
            slots = assign_visit_slots(cohort, sample, self.plan.shared.max_visits)
            keys = tuple(None if case is None else case.key for case in slots.cases)
            told = MemberAnswers(self.tasks, InputWatch() if self.watches_inputs else None)
            means = self._average_predictions(cohort, sample, source, keys, flips, overlap, not voxel, told)
            told.measure_inputs(cohort, sample.cases, source, self.plan)
            wanted = {task: by_slot for task, by_slot in means.items() if task in tasks}
            answers = list(self._make_case_answers(sample, keys, wanted, source, probabilities, told))
        yield from answers

    def predict(self, source: Path | str, out: Path | str, **options: Any) -> Path:
        """Predict a cohort folder, a table or a plain folder of images into `out`; see `predict_cases`.

        What a person must know about the answers (unknown inputs, answers that are no numbers) is logged as warnings.
        """
        from polytask.predict.prediction_pipeline import predict_cases

        summary = predict_cases(self, source, out, **options)
        for line in (
            *summary.notes,
            *(f"{answer} is not a finite number and left empty" for answer in summary.not_finite),
        ):
            PREDICT_LOGGER.warning(line)
        return summary.out

    def _average_predictions(
        self,
        cohort: Cohort,
        sample: Sample,
        source: CaseSource,
        keys: Sequence[str | None],
        flips: Sequence[Sequence[int]],
        overlap: float,
        pooled_only: bool,
        told: MemberAnswers,
    ) -> Predictions:
        """Return task → visit slot → mean of the members' probabilities and values. Each member reads the sample with
        its own fold's normalization.

        Args:
            keys: the key of the case in each visit slot, None where there is no visit.
            told: notes what each member says.
        """

        def restore_sides(task: str, slot: int, axes: Sequence[int], prediction: Prediction) -> Prediction:
            spec, key = self.header.tasks[task], keys[slot]
            if not axes or key is None or not isinstance(spec, header.MaskSpec) or not spec.mirror:
                return prediction
            prepared = source.case(key).prepared(spec.image)
            # Mirroring turns a left lung into a right one: the planes swap names before they are averaged.
            mirrored = prepared is not None and find_left_right_axis(prepared.grid) in axes
            return {"p": prediction["p"][:, order_after_mirroring(spec)]} if mirrored else prediction

        def find_channel_order(name: str, slot: int, axes: Sequence[int]) -> Sequence[int]:
            key = keys[slot]
            order = order_mirrored_channels(self.header.images[name], self.plan.shared.images[name])
            prepared = source.case(key).prepared(name) if key is not None and order else None
            return order if prepared is not None and find_left_right_axis(prepared.grid) in axes else ()

        def predict_members() -> Iterator[Predictions]:
            for number, member in enumerate(self.members):
                full = full_sample(source, cohort, sample, self.plan, member.plan, self.tasks)
                options = (overlap, flips, pooled_only, restore_sides, find_channel_order)
                for network in member.networks:
                    hears = told.listen(number, full, network)
                    with HeadPasses(network, self.head_passes) as heads:
                        said = predict_sample(network, full, self.plan, self.device, *options, listener=hears)
                    yield told.add(number, heads.add_passes(said))

        # Every member has each task once, in one of its networks.
        return average_predictions(predict_members(), len(self.members))

    def _make_case_answers(
        self,
        sample: Sample,
        keys: Sequence[str | None],
        predictions: Predictions,
        source: CaseSource,
        probabilities: bool,
        told: MemberAnswers,
    ) -> Iterator[CaseAnswer]:
        by_key = {c.key: c for c in sample.cases}
        # Slot -1 holds the answers about the whole subject; they come last.
        for slot in [*range(len(keys)), -1]:
            key = keys[slot] if slot >= 0 else None
            if slot >= 0 and key is None:
                continue
            predicted = {t: by_slot[slot] for t, by_slot in predictions.items() if slot in by_slot}
            finite = {t: p for t, p in predicted.items() if is_finite(p)}
            not_finite = tuple(t for t in predicted if t not in finite)
            pooled = {
                t: {k: v.numpy() for k, v in p.items()}
                for t, p in finite.items()
                if self.tasks[t].level != "voxel"
            }
            computed: dict[str, GriddedPrediction] = {}
            for name in finite:
                spec = self.header.tasks[name]
                if key is None or not isinstance(spec, header.VoxelSpec):
                    continue
                prepared = source.case(key).prepared(spec.image)
                assert prepared is not None
                computed[name] = GriddedPrediction(spec, finite[name], prepared.grid, prepared.source_grid)
            masks = [n for n in computed if probabilities and isinstance(computed[n].spec, header.MaskSpec)]
            if predicted:
                case = by_key.get(key or "")
                visit = case.visit if case else ""
                yield CaseAnswer(
                    sample.subject,
                    visit,
                    case,
                    pooled,
                    {name: own.restore_answer() for name, own in computed.items()},
                    {name: computed[name].restore_probabilities() for name in masks},
                    not_finite,
                    told.select_slot(slot),
                    told.select_measures(visit if key else None),
                    computed,
                )


def is_finite(prediction: Prediction) -> bool:
    """Whether an answer is made of finite numbers. For survival only the risk counts: probabilities may be NaN where
    follow-up ended or a baseline is not known, and become empty cells."""
    keys = ["risk"] if "risk" in prediction else [k for k in ("p", "value") if k in prediction]
    return all(bool(torch.isfinite(prediction[k]).all()) for k in keys)
