from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from polytask.evaluation.part_answers import CaseMetrics, PartAnswers
from polytask.images.volume import Grid
from polytask.report.report_material import ReportMaterial
from polytask.report.view_planes import choose_view_planes, choose_zoom_ranges
from polytask.report.voxel_cases import choose_shown_cases, read_voxel_case, split_structure_masks


@pytest.mark.parametrize("name", ["flat", "solid"])
def test_a_case_reads_back_as_it_was_predicted(name: str, request: pytest.FixtureRequest) -> None:
    material: ReportMaterial = request.getfixturevalue(name)
    for task in ("lesion", "organs", "dose"):
        cases = material.answers.voxel[task]
        for who, metrics in zip(cases.ids[:4], cases.metrics, strict=False):
            seen = read_voxel_case(material, task, who)
            assert seen.answer.shape == seen.truth.value.shape
            again = material.tasks[task].case_metrics(  # type: ignore[attr-defined]
                seen.answer, seen.truth.value, seen.truth.known, seen.truth.region, seen.grid.spacing
            )
            primary = material.tasks[task].primary
            assert again[primary] == pytest.approx(metrics[primary], rel=1e-6)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0.2, 0.9, 0.5], {"best": 0.9, "median": 0.5, "worst": 0.2}),
        ([0.2, 0.9], {"best": 0.9, "worst": 0.2}),
        ([0.4], {"only case": 0.4}),
        ([], {}),
        ([0.2, float("nan"), 0.9, 0.5], {"best": 0.9, "median": 0.5, "worst": 0.2}),
    ],
)
def test_best_median_worst(flat: ReportMaterial, values: list[float], expected: dict[str, float]) -> None:
    def with_values(task: str, metric: str) -> ReportMaterial:
        cases = CaseMetrics(
            tuple((str(i), "") for i in range(len(values))), tuple({metric: v} for v in values)
        )
        return replace(flat, answers=PartAnswers({}, {}, {task: cases}, {}))

    assert {s.word: s.value for s in choose_shown_cases(with_values("lesion", "dice"), "lesion")} == expected
    turned = {s.word: s.value for s in choose_shown_cases(with_values("dose", "mae"), "dose")}
    if "best" in expected:  # of an error the smallest is the best
        assert turned["best"] == expected["worst"]
        assert turned["worst"] == expected["best"]


@pytest.mark.parametrize("signs", [(1, 1, 1), (-1, -1, 1), (1, -1, -1)])
def test_cuts_show_the_patients_right_at_the_left(signs: tuple[int, int, int]) -> None:
    """A mark at the patient's right, front and top is at the upper left of the axial and coronal cut."""
    affine = np.diag([*(2.0 * s for s in signs), 1.0])
    shape = (10, 12, 8)
    grid = Grid(shape, affine)
    mark = np.zeros(shape, bool)
    mark[tuple(n - 2 if s > 0 else 1 for n, s in zip(shape, signs, strict=True))] = True
    found = {p.name: np.argwhere(p.cut(mark, grid)) for p in choose_view_planes(grid, mark)}
    assert found["axial"].tolist() == [[1, 1]]
    assert found["coronal"].tolist() == [[1, 1]]
    assert found["sagittal"].tolist() == [[1, 1]]


def test_turned_axes_and_the_middle_of_an_empty_mask() -> None:
    affine = np.zeros((4, 4))
    affine[1, 0], affine[2, 1], affine[0, 2], affine[3, 3] = 1.0, 2.0, 3.0, 1.0  # axes run front, up, right
    grid = Grid((5, 6, 7), affine)
    cuts = choose_view_planes(grid, np.zeros(grid.shape, bool))
    assert [p.cut(np.zeros(grid.shape), grid).shape for p in cuts] == [(5, 7), (6, 7), (6, 5)]
    assert cuts[0].spacing == (1.0, 3.0)
    assert cuts[0].at == (2, 3)


def test_a_picture_lies_as_in_its_file() -> None:
    raster = np.diag([-1.0, -1.0, 1.0, 1.0])[[1, 0, 2, 3]]  # rows run to the back, columns to the left
    plane = choose_view_planes(Grid((4, 6), raster), np.zeros((4, 6), bool))[0]
    picture = np.arange(24).reshape(4, 6)
    np.testing.assert_array_equal(plane.cut(picture, Grid((4, 6), raster)), picture)


def test_window_holds_the_masks_with_a_margin() -> None:
    mask = np.zeros((100, 100), bool)
    mask[40:50, 60:80] = True
    rows, columns = choose_zoom_ranges([mask, np.zeros_like(mask)], (1.0, 1.0))
    assert rows[0] < 40 and rows[1] > 50 and columns[0] < 60 and columns[1] > 80  # noqa: PT018
    assert rows[1] - rows[0] == columns[1] - columns[0] == 50
    assert choose_zoom_ranges([np.zeros_like(mask)], (1.0, 1.0)) == ((0, 100), (0, 100))
    corner = np.zeros_like(mask)
    corner[99, 99] = True
    assert choose_zoom_ranges([corner], (1.0, 1.0)) == ((50, 100), (50, 100))


def test_masks_of_labels_and_of_planes() -> None:
    labels = np.array([[0, 1], [2, 2]], np.uint8)
    assert [m.sum() for m in split_structure_masks(labels, 2)] == [1, 2]
    stacked = np.array([[[1, 0], [1, 1]], [[0, 0], [1, 0]]], bool)
    assert [m.sum() for m in split_structure_masks(stacked, 2)] == [3, 1]
