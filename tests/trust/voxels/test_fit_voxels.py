from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import cast

import numpy as np

from polytask.evaluation.part_answers import CaseMetrics, PartAnswers
from polytask.tasks.task import Task
from polytask.trust.voxels.fit_voxels import VoxelTrust, fit_voxels
from tests.trust.voxels.worlds import draw_cases

IDS = tuple((f"s{k}", "") for k in range(12))
DOSE = cast(Task, SimpleNamespace(name="dose", kind="dose", unit="Gy"))
MASK = cast(Task, SimpleNamespace(name="mask", kind="segmentation", structures=("tumor",)))


def make_answers(folder: Path, errors: bool = True) -> PartAnswers:
    """Answers of one run, written and read again: a dose that is off by 0.50, …, 1.00 times k, and masks."""
    table = {who: tuple(k * np.arange(50, 101) / 100) for k, who in enumerate(IDS)}
    voxel = {name: CaseMetrics(IDS, ({"n": 1.0},) * len(IDS)) for name in ("dose", "mask")}
    curves = {"mask": draw_cases(np.random.default_rng(0), 8, 4)}
    given = {"dose": table} if errors else {}
    answers = PartAnswers({s: "" for s, _ in IDS}, {}, voxel, {}, curves=curves, errors=given)
    answers.write(folder / "answers.json")
    return PartAnswers.read(folder / "answers.json")


def test_a_dose_is_scored_by_the_error_at_the_level(tmp_path: Path) -> None:
    fitted = fit_voxels(DOSE, [[make_answers(tmp_path)]], 0.2, 0)
    assert isinstance(fitted, VoxelTrust)
    assert np.allclose(fitted.fields[0].scores, 0.8 * np.arange(12))
    assert fitted.unit == "Gy"


def test_masks_are_fitted_on_what_was_written(tmp_path: Path) -> None:
    fitted = fit_voxels(MASK, [[make_answers(tmp_path)]], 0.2, 0)
    assert isinstance(fitted, VoxelTrust)
    (own,) = fitted.structures["tumor"]
    assert (own.present, len(own.absent)) == (8, 4)


def test_an_older_evaluation_says_what_to_do(tmp_path: Path) -> None:
    answers = make_answers(tmp_path, errors=False)
    assert fit_voxels(DOSE, [[answers]], 0.2, 0) == (
        "the evaluation is of an older version; run `polytask evaluate` again"
    )
    nobody = PartAnswers({}, {}, {"dose": CaseMetrics((), ())}, {})
    assert fit_voxels(DOSE, [[nobody]], 0.2, 0) == "no held-out answer is known"
