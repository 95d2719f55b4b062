"""Masks that a table of answers names, read onto the grid of the case's image."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from tests.evaluation.worlds import tasks_of, write_drawing

from polytask.cohort.cohort import Cohort
from polytask.cohort.text_table import write_cases_table
from polytask.errors import PolytaskError
from polytask.evaluation.other_answers.answer_table import AnswerTable, read_answer_table
from polytask.evaluation.other_answers.other_masks import (
    measure_other_masks,
    read_other_volume,
    require_answer_files,
)
from polytask.images.formats import write_image_file
from polytask.images.volume import Grid, Volume

DRAWN = np.array([[0, 1, 2, 0], [0, 2, 2, 1], [0, 0, 0, 0]], np.uint8)
WHOLE, CORE = DRAWN > 0, DRAWN == 2
OVERLAPPING = {"labels": {"whole": [1, 2], "core": [2]}}


def answer_with(cohort: Cohort, folder: Path, cells: dict[str, npt.NDArray[np.uint8] | str]) -> AnswerTable:
    """A reader's table about the one subject; arrays are written to NIfTI files beside it."""
    row = {"subject": "s1"}
    folder.mkdir()
    for column, cell in cells.items():
        row[column] = cell if isinstance(cell, str) else f"{column}.nii.gz"
        if not isinstance(cell, str):
            array = cell if cell.ndim == 3 else cell[None]
            write_image_file(folder / row[column], Volume(array, Grid(array.shape[1:], np.eye(4))))
    write_cases_table(folder / "reader.csv", list(row), [row])
    return read_answer_table(folder / "reader.csv", tasks_of(cohort), cohort)


def read_answer(cohort: Cohort, table: AnswerTable) -> Volume:
    return read_other_volume(
        table, table.rows["lesion"]["s1", ""], tasks_of(cohort)["lesion"], cohort, cohort.cases[0]
    )


@pytest.mark.parametrize("inside", [1, 7])
def test_a_plane_for_each_overlapping_label_holds_what_is_not_zero(tmp_path: Path, inside: int) -> None:
    cohort = write_drawing(tmp_path, OVERLAPPING, DRAWN, spacing=1.0)
    planes = (np.stack([WHOLE, CORE]) * inside).astype(np.uint8)
    table = answer_with(cohort, tmp_path / "reader", {"lesion": planes})
    np.testing.assert_array_equal(read_answer(cohort, table).array, np.stack([WHOLE, CORE]))
    (metrics,) = measure_other_masks(table, tasks_of(cohort)["lesion"], cohort, [("s1", "")]).metrics
    assert metrics["dice.whole"] == metrics["dice.core"] == 1


def test_a_label_map_of_overlapping_labels_is_taken_apart_as_the_header_says(tmp_path: Path) -> None:
    cohort = write_drawing(tmp_path, OVERLAPPING, DRAWN, spacing=1.0)
    table = answer_with(cohort, tmp_path / "reader", {"lesion": DRAWN})
    np.testing.assert_array_equal(read_answer(cohort, table).array, np.stack([WHOLE, CORE]))


def test_labels_that_exclude_each_other_stay_one_map(tmp_path: Path) -> None:
    cohort = write_drawing(tmp_path, {"labels": {"rim": 1, "core": 2}}, DRAWN, spacing=1.0)
    table = answer_with(cohort, tmp_path / "reader", {"lesion": DRAWN})
    np.testing.assert_array_equal(read_answer(cohort, table).array, DRAWN[None])


def test_structures_may_have_a_file_each_and_be_absent(tmp_path: Path) -> None:
    planes = np.stack([WHOLE, CORE]).astype(np.uint8)
    cohort = write_drawing(tmp_path, {"structures": ["whole", "core"]}, planes, spacing=1.0)
    cells = {"lesion.whole": WHOLE.astype(np.uint8), "lesion.core": "absent"}
    table = answer_with(cohort, tmp_path / "reader", cells)
    np.testing.assert_array_equal(read_answer(cohort, table).array, [WHOLE, np.zeros_like(CORE)])


def test_a_structure_without_a_file_or_with_one_that_is_not_there_is_told(tmp_path: Path) -> None:
    planes = np.stack([WHOLE, CORE]).astype(np.uint8)
    cohort = write_drawing(tmp_path, {"structures": ["whole", "core"]}, planes, spacing=1.0)
    task = tasks_of(cohort)["lesion"]
    table = answer_with(cohort, tmp_path / "a", {"lesion.whole": "absent"})
    with pytest.raises(PolytaskError, match=r"subject s1: no mask of 'core' for lesion"):
        require_answer_files(table, task)
    table = answer_with(cohort, tmp_path / "b", {"lesion": "nowhere.nii.gz"})
    with pytest.raises(PolytaskError, match=r"subject s1, column lesion: there is no file 'nowhere.nii.gz'"):
        require_answer_files(table, task)


def test_only_the_wanted_cases_are_judged(tmp_path: Path) -> None:
    cohort = write_drawing(tmp_path, OVERLAPPING, DRAWN, spacing=1.0)
    table = answer_with(cohort, tmp_path / "reader", {"lesion": DRAWN})
    assert measure_other_masks(table, tasks_of(cohort)["lesion"], cohort, []).ids == ()
