"""Collects the answers to a part case by case: every prediction is joined with its truth as soon as it is made."""

from __future__ import annotations

from collections.abc import Mapping

from polytask.array_types import NAN
from polytask.cohort import header
from polytask.cohort.cohort import Case, Cohort, Sample
from polytask.evaluation.field_errors import find_error_quantiles
from polytask.evaluation.metric_estimates import list_class_names
from polytask.evaluation.part_answers import CaseMetrics, PartAnswers
from polytask.evaluation.structure_curves import StructureCurve, count_structure_curves
from polytask.evaluation.voxel_truth import VoxelTruth, read_structure_masks, read_voxel_truth
from polytask.images.volume import Volume
from polytask.inference.pooled_answers import CaseId, PooledCollector
from polytask.kinds import find_answer_form
from polytask.predict.case_answer import CaseAnswer
from polytask.prepare.sample_targets import is_known_in_sample
from polytask.tasks.mask_sizes import blank_length_metrics, compute_voxel_size
from polytask.tasks.task import Task, VoxelTask, expect_voxel_task


class AnswerCollector:
    """Joins every predicted case with its truth. Memory holds metrics of voxel tasks, not their volumes.

    Args:
        distances: whether to compute metrics of surfaces, see `VoxelTask.case_metrics`, and to count what promises
            are fitted on.
    """

    def __init__(self, cohort: Cohort, tasks: Mapping[str, Task], distances: bool = True):
        self.cohort, self.tasks, self.distances = cohort, tasks, distances
        self.pooled = PooledCollector(cohort, tasks)
        self.voxel: dict[str, list[tuple[CaseId, dict[str, float]]]] = {
            n: [] for n, t in tasks.items() if t.level == "voxel"
        }
        self.volumes: dict[str, dict[CaseId, dict[str, float]]] = {
            n: {} for n, t in tasks.items() if find_answer_form(t.kind) == "masks"
        }
        self.curves: dict[str, dict[CaseId, dict[str, StructureCurve]]] = {}
        self.errors: dict[str, dict[CaseId, tuple[float, ...]]] = {}

    def __call__(self, answer: CaseAnswer) -> None:
        """Judge everything that was predicted for one case or subject."""
        case_id = (answer.subject, answer.visit)
        for name, prediction in answer.pooled.items():
            self.pooled.add(name, case_id, prediction)
        for name, volume in answer.voxel.items():
            assert answer.case is not None
            task = expect_voxel_task(self.tasks[name])
            if name in self.volumes:
                self.volumes[name][case_id] = measure_mask_volumes(task, volume)
            truth = read_voxel_truth(self.cohort, answer.case, name, volume.grid)
            metrics = measure_voxel_case(self.cohort, answer.case, task, volume, self.distances, truth)
            if truth is None or metrics is None:
                continue
            self.voxel[name].append((case_id, metrics))
            # They are fitted on the answers of one network; an ensemble, judged elsewhere, has several.
            if self.distances and name in answer.computed and len(answer.members) == 1:
                self._count_for_promises(name, answer, truth)

    def _count_for_promises(self, name: str, answer: CaseAnswer, truth: VoxelTruth) -> None:
        """Count what promises about masks and fields are fitted on, while the probabilities are in memory."""
        case_id, volume = (answer.subject, answer.visit), answer.voxel[name]
        if name in self.volumes:
            (seen,) = (own[name] for own in answer.members)
            self.curves.setdefault(name, {})[case_id] = count_structure_curves(
                self.tasks[name], answer.computed[name], volume, seen, truth
            )
        elif quantiles := find_error_quantiles(volume, truth):
            self.errors.setdefault(name, {})[case_id] = quantiles

    def answers(self, samples: list[Sample]) -> PartAnswers:
        """Return all answers, and count the known truths of these samples for which nothing was predicted."""
        pooled = self.pooled.stack()
        voxel = {
            n: CaseMetrics(tuple(i for i, _ in v), tuple(m for _, m in v)) for n, v in self.voxel.items()
        }
        answered = {n: set(a.ids) for n, a in pooled.items()} | {n: set(c.ids) for n, c in voxel.items()}
        # Counted by id, so that a known truth without a prediction (no image, a visit too many) cannot vanish.
        unanswered = {
            name: len(_list_known_ids(self.cohort, task, samples) - answered[name])
            for name, task in self.tasks.items()
        }
        sites = {s.subject: s.cases[0].site for s in samples}
        return PartAnswers(
            sites, pooled, voxel, unanswered, self.volumes, curves=self.curves, errors=self.errors
        )


def measure_mask_volumes(task: Task, answer: Volume) -> dict[str, float]:
    """Measure the size of each structure's mask in ml, cm² or pixels; `answer` is `[1, *space]` 0..K or `[K,
    *space]`."""
    unit = str(getattr(task, "unit", "mm"))
    grid = answer.grid
    size = compute_voxel_size(grid.spacing if unit == "mm" else [1.0] * grid.dims, unit)
    # A picture without a physical scale has no size in ml: unknown, not 0.
    size = NAN if unit == "mm" and not grid.physical else size
    exclusive = bool(getattr(task, "exclusive", True))
    return {
        name: float(((answer.array[0] == k + 1) if exclusive else (answer.array[k] != 0)).sum()) * size
        for k, name in enumerate(list_class_names(task))
    }


def measure_voxel_case(
    cohort: Cohort,
    case: Case,
    task: VoxelTask,
    answer: Volume,
    distances: bool = True,
    truth: VoxelTruth | None = None,
) -> dict[str, float] | None:
    """Compute the metrics of a mask or dose on the source grid; None when the truth is unknown. A dose is also judged
    by the dose-volume histograms of the structures that the header names. The truth is read where it is not given."""
    spec, grid = cohort.header.tasks[task.name], answer.grid
    truth = truth or read_voxel_truth(cohort, case, task.name, grid)
    if truth is None:
        return None
    assert isinstance(spec, header.VoxelSpec)
    judging = spec.judging_masks
    structures = read_structure_masks(cohort, case, judging, grid) if judging else None
    predicted = answer.array if spec.overlapping else answer.array[0]
    metrics = task.case_metrics(
        predicted, truth.value, truth.known, truth.region, grid.spacing, structures, distances
    )
    without_scale = (
        find_answer_form(task.kind) == "masks" and getattr(task, "unit", "mm") == "mm" and not grid.physical
    )
    return blank_length_metrics(metrics) if without_scale else metrics


def _list_known_ids(cohort: Cohort, task: Task, samples: list[Sample]) -> set[CaseId]:
    if task.level == "subject":
        subjects = {s.subject for s in samples}
        return {(s, "") for s in subjects if is_known_in_sample(cohort, task.name, cohort.subjects[s])}
    cases = [c for s in samples for c in s.cases]
    return {(c.subject, c.visit) for c in cases if is_known_in_sample(cohort, task.name, (c,))}
