"""Promises applied to new answers: cells and volumes, of one model and of several folds."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch

from polytask.cohort.header import DoseSpec, SegmentationSpec
from polytask.errors import PolytaskError
from polytask.images.formats import read_image_file
from polytask.images.volume import Grid
from polytask.predict.case_answer import CaseAnswer
from polytask.predict.mask_presence import measure_presence
from polytask.predict.output_files import AnswerFileWriter
from polytask.predict.predictor import Predictor
from polytask.predict.source_grid import GriddedPrediction
from polytask.tasks.task import Task
from polytask.trust.voxels.apply_voxels import TrustedVoxels
from polytask.trust.voxels.field_trust import FieldTrust
from polytask.trust.voxels.fit_voxels import VoxelTrust
from polytask.trust.voxels.structure_cases import gather_structure_cases
from polytask.trust.voxels.structure_trust import choose_steps, fit_structure
from polytask.trust.voxels.voxel_file import describe_voxels, parse_voxels
from tests.evaluation.worlds import write_drawing
from tests.trust.voxels.worlds import draw_cases

NAMES = ("a", "b")
TASKS = {
    "mask": SimpleNamespace(name="mask", kind="segmentation", structures=NAMES, exclusive=False, unit="mm"),
    "dose": SimpleNamespace(name="dose", kind="dose", unit="Gy"),
}
MODEL = cast(Predictor, SimpleNamespace(tasks=TASKS))
PLACE = Path("trust.json")
GRID = Grid((4, 5), np.diag([2.0, 5.0, 1.0, 1.0]))


def promise(seed: int, folds: int = 1, present: int = 30) -> dict[str, VoxelTrust]:
    """What some folds promise at 0.8; structure b is known in two cases only."""
    random = np.random.default_rng(seed)
    members: dict[str, list[Any]] = {name: [] for name in NAMES}
    for _ in range(folds):
        for name, count in zip(NAMES, (present, 2), strict=True):
            cases = gather_structure_cases([draw_cases(random, count, 10 if name == "a" else 1, name)], name)
            members[name].append(fit_structure(cases, 0.2))
    fields = tuple(FieldTrust(np.arange(1.0, 10.0) / folds) for _ in range(folds))
    return {
        "mask": VoxelTrust({name: tuple(own) for name, own in members.items()}),
        "dose": VoxelTrust(fields=fields, unit="Gy"),
    }


def answer(folds: int = 1) -> CaseAnswer:
    """The answer of some folds to one case."""
    random = np.random.default_rng(0)
    p = [
        torch.from_numpy(random.uniform(0, 1, (1, 2, *GRID.shape)).astype(np.float32) ** 4)
        for _ in range(folds)
    ]
    spec = SegmentationSpec(kind="segmentation", image="scan", structures=list(NAMES))
    dose = torch.full((1, *GRID.shape), 7.0)
    computed = {
        "mask": GriddedPrediction(spec, {"p": torch.stack(p).mean(0)}, GRID, GRID),
        "dose": GriddedPrediction(
            DoseSpec(kind="dose", image="scan", unit="Gy"), {"value": dose}, GRID, GRID
        ),
    }
    members = tuple({"mask": measure_presence(cast(Task, TASKS["mask"]), {"p": own})} for own in p)
    voxel = {name: own.restore_answer() for name, own in computed.items()}
    return CaseAnswer("s1", "", None, {}, voxel, {}, members=members, computed=computed)


def test_wider_masks_hold_the_plain_one_and_every_voxel_above_the_threshold() -> None:
    trust, case = promise(0), answer()
    made = {(t, c): v.array for t, c, v in TrustedVoxels(MODEL, trust, 0.2, [[0]], PLACE).make_volumes(case)}
    assert set(made) == {("mask", f"outer.{k}") for k in ("mean", "patient")} | {
        ("dose", "low"),
        ("dose", "high"),
    }
    assert (made["dose", "low"] == 7 - 8).all()
    assert (made["dose", "high"] == 7 + 8).all()
    thresholds = describe_voxels(trust["mask"], 0.2)["structures"]
    p, plain = case.computed["mask"].prediction["p"][0].numpy(), case.voxel["mask"].array
    for which in ("mean", "patient"):
        least = thresholds["a"]["thresholds"][which]
        assert 0 < least <= 0.5
        assert (
            made["mask", f"outer.{which}"][0].tolist()
            == ((p[0] >= np.float32(least)) | (plain[0] > 0)).tolist()
        )
        # Too few cases have structure b: everything.
        assert thresholds["b"]["thresholds"][which] == 0
        assert made["mask", f"outer.{which}"][1].all()


def test_sizes_are_in_ml_or_cm2_and_absence_is_a_rank() -> None:
    trust, case = promise(1), answer()
    cells = TrustedVoxels(MODEL, trust, 0.2, [[0]], PLACE).make_cells(case)
    drawn = int(case.voxel["mask"].array[0].sum())
    (own,) = trust["mask"].structures["a"]
    factor = np.exp(np.sort(own.volumes["drawn"])[int(np.ceil((len(own.volumes["drawn"]) + 1) * 0.8)) - 1])
    assert float(cells["mask.high.a"]) == pytest.approx(0.1 * ((drawn + 1) * factor - 1), rel=1e-4)
    assert float(cells["mask.low.a"]) == pytest.approx(0.1 * ((drawn + 1) / factor - 1), rel=1e-4)
    assert cells["mask.low.b"] == cells["mask.high.b"] == ""
    seen = case.members[0]["mask"]["presence"][0, 0]
    assert float(cells["mask.absent_p.a"]) == pytest.approx(
        (1 + (own.absent >= seen).sum()) / (1 + len(own.absent)), abs=1e-3
    )
    unscaled = replace(case.voxel["mask"], grid=replace(GRID, physical=False))
    unknown = TrustedVoxels(MODEL, trust, 0.2, [[0]], PLACE).make_cells(
        replace(case, voxel=case.voxel | {"mask": unscaled})
    )
    assert unknown["mask.high.a"] == ""


def test_folds_are_pooled_and_where_nothing_is_known_no_file_is_made() -> None:
    trust = promise(2, folds=2)
    made = list(TrustedVoxels(MODEL, trust, 0.2, [[0], [1]], PLACE).make_volumes(answer(2)))
    high = next(v for t, c, v in made if (t, c) == ("dose", "high"))
    assert (high.array == 7 + 4).all()
    cells = TrustedVoxels(MODEL, trust, 0.2, [[0], [1]], PLACE).make_cells(answer(2))
    assert 0 < float(cells["mask.absent_p.a"]) <= 1
    nothing = {"mask": promise(3, present=2)["mask"], "dose": VoxelTrust(fields=(FieldTrust(np.ones(2)),))}
    assert list(TrustedVoxels(MODEL, nothing, 0.2, [[0]], PLACE).make_volumes(answer())) == []


def test_promises_of_other_structures_or_folds_are_refused() -> None:
    for trust, numbers in (
        (promise(0), [[0], [1]]),
        ({"mask": VoxelTrust({"a": promise(0)["mask"].structures["a"]})}, [[0]]),
        ({"other": promise(0)["mask"]}, [[0]]),
        ({"dose": promise(0)["mask"]}, [[0]]),
    ):
        with pytest.raises(PolytaskError, match="promises of another task; run `polytask trust` again"):
            TrustedVoxels(MODEL, trust, 0.2, numbers, PLACE)


def test_what_is_written_is_read_again_and_chooses_the_same() -> None:
    for own in promise(4, folds=2).values():
        again = parse_voxels(describe_voxels(own, 0.2))
        assert describe_voxels(again, 0.2) == describe_voxels(own, 0.2)
        for name, members in own.structures.items():
            assert choose_steps(again.structures[name], 0.2) == choose_steps(members, 0.2)
    entry = describe_voxels(own, 0.2)
    assert entry["fields"][0]["check"] is None
    broken = describe_voxels(promise(4)["mask"], 0.2)
    broken["structures"]["a"]["members"][0]["reached"][0] = 99
    with pytest.raises(ValueError, match="masks of other steps"):
        parse_voxels(broken)


@pytest.mark.parametrize("spacing", [None, 2.0])
def test_pictures_get_a_file_for_each_structure_and_other_images_a_plane(
    tmp_path: Path, spacing: float | None
) -> None:
    mask = np.zeros((2, 6, 6), np.uint8)
    if spacing is None:
        cohort = write_drawing(tmp_path, {"labels": {"a": 1, "b": 2}}, mask[0])
    else:
        cohort = write_drawing(tmp_path, {"structures": list(NAMES)}, mask, spacing)
    case = replace(answer(), case=cohort.cases[0])
    made = [
        ("lesion", c, v)
        for t, c, v in TrustedVoxels(MODEL, promise(0), 0.2, [[0]], PLACE).make_volumes(case)
        if t == "mask"
    ]
    paths = AnswerFileWriter(tmp_path / "out", cohort).write_more(case, made)
    if spacing is None:
        assert paths["lesion.outer.mean.b"] == "predictions/lesion/s1.b.outer.mean.png"
        array = read_image_file(tmp_path / "out" / paths["lesion.outer.mean.a"], dims=2).array[0]
        assert array.tolist() == made[0][2].array[0].tolist()
    else:
        assert paths["lesion.outer.mean"] == "predictions/lesion/s1.outer.mean.nii.gz"
        array = read_image_file(tmp_path / "out" / paths["lesion.outer.mean"], dims=2).array
        assert array.tolist() == made[0][2].array.tolist()
