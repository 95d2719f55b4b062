from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from polytask.cohort.cohort import Case, Cohort, FileVoxelSpec
from polytask.cohort.header import DoseSpec, SegmentationSpec
from polytask.errors import PolytaskError
from polytask.evaluation.voxel_truth import (
    VoxelTruth,
    read_structure_masks,
    read_voxel_truth,
    rename_structures,
)
from polytask.images.formats import read_image_file, write_image_file
from polytask.images.volume import Grid, Volume
from tests.prepare.worlds import write_cohort


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Cohort:
    return write_cohort(tmp_path_factory.mktemp("truth") / "c")


def with_cells(case: Case, **cells: str) -> Case:
    kept = {k: v for k, v in {**case.cells, **cells}.items() if v}
    return dataclasses.replace(case, cells=kept)


def raw(cohort: Cohort, case: Case, column: str) -> np.ndarray:
    return np.asarray(nib.load(cohort.path(case.cells[column])).dataobj)  # type: ignore[attr-defined]


def grid_of(cohort: Cohort, case: Case) -> Grid:
    return read_image_file(cohort.path(case.cells["scan.ct"])).grid


def make_spec(**says: Any) -> SegmentationSpec:
    return SegmentationSpec.model_validate({"kind": "segmentation", "image": "ct", **says})


def test_structures_of_files_become_those_of_the_header() -> None:
    """Their left and right lung are the header's lung; nobody knows their heart."""
    theirs = make_spec(labels={"left": 1, "right": 2, "heart": 3})
    truth = VoxelTruth(np.array([0, 1, 2, 3], np.uint8), np.array([True, True, False]), None)
    written = FileVoxelSpec(theirs, {"lung": ("left", "right"), "pump": ("heart",)})
    one = rename_structures(truth, written, make_spec(labels={"lung": 1, "pump": 2, "other": 3}))
    assert (one.value.tolist(), one.known.tolist(), one.region) == ([0, 1, 1, 2], [True, False, False], None)
    several = rename_structures(truth, written, make_spec(structures=["pump", "lung"]))
    assert several.value.tolist() == [[0, 0, 0, 1], [0, 1, 1, 0]]
    assert several.known.tolist() == [False, True]


def test_a_voxel_that_two_exclusive_structures_claim_does_not_count() -> None:
    theirs = make_spec(structures=["a", "b"])
    value = np.array([[1, 1, 0, 0], [0, 1, 1, 0]], np.uint8)
    written = FileVoxelSpec(theirs, {"x": ("a",), "y": ("b",)})
    asked = make_spec(labels={"x": 1, "y": 2})
    found = rename_structures(VoxelTruth(value, np.array([True, True]), None), written, asked)
    assert found.region is not None
    assert (found.value.tolist(), found.region.tolist()) == ([1, 2, 2, 0], [True, False, True, True])
    region = np.array([True, True, False, True])
    found = rename_structures(VoxelTruth(value, np.array([True, True]), region), written, asked)
    assert found.region is not None
    assert found.region.tolist() == [True, False, False, True]
    apart = np.array([[1, 0, 0, 0], [0, 0, 1, 0]], np.uint8)
    kept = rename_structures(VoxelTruth(apart, np.array([True, True]), region), written, asked)
    assert kept.region is region


def test_a_dose_in_another_unit_is_a_multiple() -> None:
    spec = DoseSpec.model_validate({"kind": "dose", "image": "ct"})
    truth = VoxelTruth(np.array([100.0, 200.0], np.float32), np.array([True]), None)
    assert rename_structures(truth, FileVoxelSpec(spec, {}, 0.01), spec).value.tolist() == pytest.approx(
        [1.0, 2.0]
    )


def test_labels_become_1_to_k_in_the_files_own_orientation(cohort: Cohort) -> None:
    case = next(c for c in cohort.cases if c.subject == "s2")
    truth = read_voxel_truth(cohort, case, "tumour", grid_of(cohort, case))
    assert truth is not None
    file = raw(cohort, case, "tumour")
    np.testing.assert_array_equal(truth.value, np.where(file == 2, 1, np.where(file == 5, 2, 0)))
    np.testing.assert_array_equal(truth.region, file != 9)
    assert truth.known.tolist() == [True, True]


def test_a_region_file_and_ignored_voxels_both_do_not_count(cohort: Cohort) -> None:
    case = next(c for c in cohort.cases if c.subject == "s1")
    truth = read_voxel_truth(cohort, case, "tumour", grid_of(cohort, case))
    assert truth is not None
    region = raw(cohort, case, "tumour_region") != 0
    np.testing.assert_array_equal(truth.region, region & (raw(cohort, case, "tumour") != 9))
    assert truth.region is not None
    assert not truth.region[..., 14:].any()


def test_known_labels_absent_structures_and_no_file(cohort: Cohort) -> None:
    case = next(c for c in cohort.cases if c.subject == "s1")
    grid = grid_of(cohort, case)
    some = read_voxel_truth(cohort, with_cells(case, tumour_known="rim"), "tumour", grid)
    assert some is not None
    assert some.known.tolist() == [False, True]
    single = with_cells(case, sides="", **{"sides.lung_l": "absent"})
    truth = read_voxel_truth(cohort, single, "sides", grid)
    assert truth is not None
    assert truth.known.tolist() == [True, False]
    assert not truth.value.any()
    assert read_structure_masks(cohort, single, "sides", grid).keys() == {"lung_l"}
    nothing = with_cells(case, sides="")
    assert read_voxel_truth(cohort, nothing, "sides", grid) is None
    assert read_structure_masks(cohort, nothing, "sides", grid) == {}


def test_overlapping_planes_and_dose_are_the_files(cohort: Cohort) -> None:
    case = next(c for c in cohort.cases if c.subject == "s2")
    grid = grid_of(cohort, case)
    sides, dose = (read_voxel_truth(cohort, case, t, grid) for t in ("sides", "dose"))
    assert sides is not None
    assert dose is not None
    np.testing.assert_array_equal(sides.value, np.moveaxis(raw(cohort, case, "sides"), -1, 0))
    np.testing.assert_array_equal(dose.value, raw(cohort, case, "dose"))
    masks = read_structure_masks(cohort, case, "halves", grid)
    np.testing.assert_array_equal(masks["left"], raw(cohort, case, "halves") == 1)


def test_structure_masks_leave_out_what_is_ignored(cohort: Cohort, tmp_path: Path) -> None:
    case = next(c for c in cohort.cases if c.subject == "s1")
    masks = read_structure_masks(cohort, case, "tumour", grid_of(cohort, case))
    file, region = raw(cohort, case, "tumour"), raw(cohort, case, "tumour_region") != 0
    np.testing.assert_array_equal(masks["core"], (file == 2) & region)


def test_a_mask_of_another_size_is_refused_by_name(cohort: Cohort, tmp_path: Path) -> None:
    case = next(c for c in cohort.cases if c.subject == "s2")
    write_image_file(
        tmp_path / "small.nii.gz", Volume(np.ones((1, 4, 4, 4), np.uint8), Grid((4, 4, 4), np.eye(4)))
    )
    odd = with_cells(case, tumour=str(tmp_path / "small.nii.gz"))
    with pytest.raises(PolytaskError, match=r"tumour: .*size 4×4×4, but its image has 22×18×16"):
        read_voxel_truth(cohort, odd, "tumour", grid_of(cohort, case))


def spec_of(cohort: Cohort, task: str) -> SegmentationSpec:
    spec = cohort.header.tasks[task]
    assert isinstance(spec, SegmentationSpec)
    return spec


def test_masks_in_other_words_than_the_headers_are_read_in_the_headers(cohort: Cohort) -> None:
    case = next(c for c in cohort.cases if c.subject == "s2")
    grid, file = grid_of(cohort, case), raw(cohort, case, "tumour")
    own = spec_of(cohort, "tumour").model_copy(update={"labels": {"GTV": 2, "edema": 5}})
    asked = spec_of(cohort, "tumour").model_copy(update={"labels": {"rim": 1, "core": 4, "node": 7}})
    header = cohort.header.model_copy(update={"tasks": {**cohort.header.tasks, "tumour": asked}})
    parts = {"core": ("GTV",), "rim": ("edema",), "node": ()}
    other = dataclasses.replace(cohort, header=header, written={"tumour": FileVoxelSpec(own, parts)})
    truth = read_voxel_truth(other, case, "tumour", grid)
    assert truth is not None
    np.testing.assert_array_equal(truth.value, np.where(file == 2, 2, np.where(file == 5, 1, 0)))
    np.testing.assert_array_equal(truth.region, file != 9)
    assert truth.known.tolist() == [True, True, False], "the cohort has no node: unknown, not absent"
    joined = dataclasses.replace(other, written={"tumour": FileVoxelSpec(own, {"core": ("GTV", "edema")})})
    truth = read_voxel_truth(joined, case, "tumour", grid)
    assert truth is not None
    np.testing.assert_array_equal(truth.value == 2, np.isin(file, (2, 5)))
    assert truth.known.tolist() == [False, True, False]


def test_a_part_that_is_unknown_makes_the_structure_unknown(cohort: Cohort) -> None:
    case = with_cells(next(c for c in cohort.cases if c.subject == "s2"), tumour_known="core")
    own = spec_of(cohort, "tumour")
    whole = own.model_copy(update={"labels": {"mass": 1, "heart": 2}})
    header = cohort.header.model_copy(update={"tasks": {**cohort.header.tasks, "tumour": whole}})
    both = FileVoxelSpec(own, {"mass": ("core", "rim"), "heart": ("core",)})
    truth = read_voxel_truth(dataclasses.replace(cohort, header=header, written={"tumour": both}), case, "tumour",
                        grid_of(cohort, case))  # fmt: skip
    assert truth is not None
    assert truth.known.tolist() == [False, True]


def test_overlapping_masks_become_exclusive_ones_and_doubt_does_not_count(
    cohort: Cohort, tmp_path: Path
) -> None:
    case = next(c for c in cohort.cases if c.subject == "s2")
    grid = grid_of(cohort, case)
    masks = np.zeros((2, *grid.shape), np.uint8)
    masks[0, 2:6, 3:6, 3:6], masks[1, 5:9, 3:6, 3:6] = 1, 1
    write_image_file(tmp_path / "two.nii.gz", Volume(masks, grid))
    own = SegmentationSpec.model_validate(
        {"kind": "segmentation", "image": "scan", "structures": ["a", "b"], "column": "halves"}
    )
    there = with_cells(case, halves=str(tmp_path / "two.nii.gz"))
    written = {"halves": FileVoxelSpec(own, {"left": ("a",), "right": ("b",)})}
    truth = read_voxel_truth(dataclasses.replace(cohort, written=written), there, "halves", grid)
    assert truth is not None
    twice = masks.sum(0) == 2
    assert twice.any()
    np.testing.assert_array_equal(truth.region, ~twice)
    np.testing.assert_array_equal(truth.value == 1, (masks[0] > 0) & ~twice)
    assert truth.known.tolist() == [True, True]


def test_a_dose_in_another_unit_is_multiplied(cohort: Cohort) -> None:
    case = next(c for c in cohort.cases if "dose" in c.cells)
    spec = cohort.header.tasks["dose"]
    assert isinstance(spec, DoseSpec)
    written = {"dose": FileVoxelSpec(spec.model_copy(update={"unit": "cGy"}), factor=0.01)}
    grid = grid_of(cohort, case)
    plain, other = (
        read_voxel_truth(c, case, "dose", grid)
        for c in (cohort, dataclasses.replace(cohort, written=written))
    )
    assert plain is not None
    assert other is not None
    np.testing.assert_allclose(other.value, np.asarray(plain.value, np.float32) * 0.01, rtol=1e-6)
