"""A phantom cohort and somebody who answers it: nearly right, by a seed, without any training."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from polytask.cohort import header
from polytask.cohort.cell_values import image_paths, pooled_value
from polytask.cohort.cohort import Case, Cohort, Sample
from polytask.cohort.input_specs import ImageInput
from polytask.cohort.phantom import make_phantom
from polytask.cohort.text_table import write_cases_table
from polytask.evaluation.part_answers import CaseMetrics, PartAnswers
from polytask.evaluation.voxel_truth import read_voxel_truth
from polytask.images.formats import read_image_file
from polytask.images.formats import write_image_file as write_image
from polytask.images.volume import Grid, Volume
from polytask.inference.pooled_answers import PooledAnswers
from polytask.plan.plan_schema import Plan
from polytask.predict.case_answer import CaseAnswer
from polytask.predict.missing_inputs import ModelInputs
from polytask.tasks import make_task
from polytask.tasks.task import Arrays, Task
from polytask.training.decisions import Decisions

CENSORING = {"times": (400.0, 900.0, 5000.0), "survival": (0.9, 0.7, 0.05)}


def tasks_of(cohort: Cohort) -> dict[str, Task]:
    """The tasks of a cohort without a plan."""
    found = {}
    for name, spec in cohort.header.tasks.items():
        fields: dict[str, Any] = {"kind": spec.kind, "level": spec.level}
        if isinstance(spec, header.SegmentationSpec):
            fields |= {"structures": spec.names, "exclusive": spec.exclusive}
        elif isinstance(spec, header.ClassificationSpec):
            fields["classes"] = spec.classes
        elif isinstance(spec, header.OrdinalSpec):
            fields["classes"] = spec.order
        elif isinstance(spec, header.MultilabelSpec):
            fields["labels"] = spec.labels
        elif isinstance(spec, header.SurvivalSpec):
            fields |= {"horizons": spec.horizons, "unit": spec.unit, "censoring": CENSORING}
        elif isinstance(spec, header.RegressionSpec | header.DoseSpec):
            fields["unit"] = spec.unit
        found[name] = make_task(name, fields)
    return found


@dataclass
class Someone:
    """Stands where a `Predictor` stands; `skill` 1 answers right, 0 at random."""

    cohort: Cohort
    skill: float = 0.7
    seed: int = 0

    def __post_init__(self) -> None:
        self.tasks = tasks_of(self.cohort)
        self.model_inputs = ModelInputs(
            dict.fromkeys(self.tasks, ()), {}, cast(Plan, None), self.cohort.header
        )
        self.members = [type("Member", (), {"fold": 0, "seed": self.seed})()]
        self.decisions = Decisions()

    def answers(
        self, cohort: Cohort, samples: Sequence[Sample] | None = None, **_: Any
    ) -> Iterator[CaseAnswer]:
        """A guess for every case and subject."""
        self.random = np.random.default_rng(self.seed)
        for sample in cohort.samples() if samples is None else samples:
            for case in sample.cases:
                pooled = {n: self.guess(n, (case,)) for n, t in self.tasks.items() if t.level == "visit"}
                voxel = {n: self.paint(n, case) for n, t in self.tasks.items() if t.level == "voxel"}
                yield CaseAnswer(sample.subject, case.visit, case, pooled, voxel, {})
            pooled = {n: self.guess(n, sample.cases) for n, t in self.tasks.items() if t.level == "subject"}
            if pooled:
                yield CaseAnswer(sample.subject, "", None, pooled, {}, {})

    def guess(self, name: str, cases: Sequence[Case]) -> Arrays:
        """Truth and noise, mixed."""
        task, truth = self.tasks[name], pooled_value(self.cohort, cases, name)
        noise = self.random.random(8)
        mixed = self.skill if truth is not None else 0.0
        if task.kind in ("classification", "ordinal"):
            count = len(task.classes)  # type: ignore[attr-defined]
            p = (1 - mixed) * noise[:count] / noise[:count].sum()
            if isinstance(truth, int):
                p[truth] += mixed
            return {"p": (p / p.sum())[None]}
        if task.kind == "multilabel":
            labels = truth if isinstance(truth, tuple) else (None,) * task.outputs
            p = [noise[k] if v is None else mixed * v + (1 - mixed) * noise[k] for k, v in enumerate(labels)]
            return {"p": np.array([p])}
        if task.kind == "survival":
            time = truth[0] if isinstance(truth, tuple) else 500.0
            risk = mixed * -np.log(float(time or 1.0)) + (1 - mixed) * 4 * noise[0]
            horizons = task.horizons  # type: ignore[attr-defined]
            return {"risk": np.array([risk]), "p": noise[None, 1 : 1 + len(horizons)]}
        value = truth if isinstance(truth, float) else 0.0
        return {"value": np.array([value + (1 - mixed) * 10 * (noise[0] - 0.5)])}

    def paint(self, name: str, case: Case) -> Volume:
        """The truth, shifted by a voxel or two unless all is answered right."""
        grid = grid_of(self.cohort, case, name)
        truth = read_voxel_truth(self.cohort, case, name, grid)
        task = self.tasks[name]
        plain = task.kind == "dose" or task.exclusive  # type: ignore[attr-defined]
        shape = grid.shape if plain else (task.outputs, *grid.shape)
        value = np.zeros(shape, np.uint8) if truth is None else np.asarray(truth.value)
        moved = np.roll(value, int(self.random.integers(0, 3)) if self.skill < 1 else 0, axis=-1)
        moved = moved.astype(np.float32) if task.kind == "dose" else moved
        return Volume(moved[None] if plain else moved, grid)


def grid_of(cohort: Cohort, case: Case, task: str) -> Grid:
    """Source grid of the task's image."""
    spec = cohort.header.tasks[task]
    assert isinstance(spec, header.VoxelSpec)
    image = cohort.header.inputs[spec.image]
    assert isinstance(image, ImageInput)
    path = next(p for p in image_paths(cohort, case, spec.image).values() if p)
    return read_image_file(path, dims=image.dims).grid


def phantom(folder: Path, dims: int = 2, subjects: int = 12, seed: int = 0, **options: Any) -> Cohort:
    """A small phantom."""
    return Cohort.read(make_phantom(folder, subjects, 24, seed, dims, **options))  # type: ignore[arg-type]


def items(prediction: dict[str, Any], value: Any, known: Any = None, subjects: Any = None) -> PooledAnswers:
    """Items of subjects s0, s1, … without visits."""
    value = np.asarray(value)
    names = [f"s{i}" for i in range(len(value))] if subjects is None else subjects
    there = np.ones(value.shape[:1], bool) if known is None else np.asarray(known, bool)
    return PooledAnswers(
        tuple((s, "") for s in names), {k: np.asarray(v) for k, v in prediction.items()}, value, there
    )


def answers(
    pooled: dict[str, PooledAnswers] | None = None,
    voxel: dict[str, CaseMetrics] | None = None,
    sites: dict[str, str] | None = None,
) -> PartAnswers:
    """Answers whose subjects are those of the items."""
    found = {**(pooled or {}), **(voxel or {})}
    named = dict.fromkeys(s for entry in found.values() for s, _ in entry.ids)
    return PartAnswers(
        sites if sites is not None else dict.fromkeys(named, ""),
        pooled or {},
        voxel or {},
        dict.fromkeys(found, 0),
    )


def write_drawing(
    folder: Path, spec: dict[str, Any], mask: npt.NDArray[np.uint8], spacing: float | None = None
) -> Cohort:
    """A cohort of one subject with one 2D image and one mask, which belongs to the task `lesion`.

    Args:
        spec: of the task, without its kind and image. mask: `[rows, columns]`, or a plane for each structure.
        spacing: in mm. Without one the files are PNG, which have no physical scale.
    """
    ending = "png" if spacing is None else "nii.gz"
    shape = (mask.shape[-2], mask.shape[-1])
    grid = Grid(shape, np.diag([spacing or 1.0] * 2 + [1.0, 1.0]), spacing is not None)
    write_image(folder / f"scan.{ending}", Volume(np.full((1, *shape), 7, np.uint8), grid))
    write_image(folder / f"lesion.{ending}", Volume(mask if mask.ndim == 3 else mask[None], grid))
    given = {
        "polytask": 1,
        "name": "drawing",
        "inputs": {"scan": {"kind": "image", "dims": 2, "channels": {"ct": "CT"}}},
        "tasks": {"lesion": {"kind": "segmentation", "image": "scan", **spec}},
    }
    row = {"subject": "s1", "scan.ct": f"scan.{ending}", "lesion": f"lesion.{ending}"}
    write_cases_table(folder / "cases.csv", list(row), [row])
    return Cohort.from_table(header.Header.model_validate(given), folder / "cases.csv")
