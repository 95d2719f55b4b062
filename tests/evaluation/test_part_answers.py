"""Answers kept in a file, and parts of them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from polytask.errors import PolytaskError
from polytask.evaluation.part_answers import CaseMetrics, PartAnswers
from tests.evaluation.worlds import answers, items


def make_answers() -> PartAnswers:
    grade = items({"p": [[0.5, 0.5], [0.25, 0.75]]}, [0, 1])
    size = items({"value": [1.5, np.nan]}, [2.0, np.nan], [True, False])
    lesion = CaseMetrics((("s0", ""), ("s1", "")), ({"n": 1.0, "dice": 0.5}, {"n": 1.0, "dice": np.nan}))
    return answers({"grade": grade, "size": size}, {"lesion": lesion})


def test_numbers_read_back_as_they_were_and_null_is_not_a_number(tmp_path: Path) -> None:
    make_answers().write(tmp_path / "answers.json")
    text = (tmp_path / "answers.json").read_text(encoding="utf-8")
    assert "NaN" not in text
    assert json.loads(text)["polytask"] == 1, "the version of the format"
    found = PartAnswers.read(tmp_path / "answers.json")
    grade, size = found.pooled["grade"], found.pooled["size"]
    assert grade.value.dtype.kind == "i", "classes are whole numbers"
    assert grade.value.tolist() == [0, 1]
    np.testing.assert_array_equal(grade.prediction["p"], [[0.5, 0.5], [0.25, 0.75]])
    np.testing.assert_array_equal(size.value, [2.0, np.nan])
    np.testing.assert_array_equal(size.prediction["value"], [1.5, np.nan])
    assert size.known.tolist() == [True, False]
    np.testing.assert_array_equal(found.voxel["lesion"].column("dice"), [0.5, np.nan])


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("pooled", "grade", "value"), ["low", "high"]),
        (("pooled", "grade", "ids"), [["s0", ""]]),
        (("voxel", "lesion", "ids"), [["s0", ""]]),
        (("pooled", "grade"), 3),
    ],
)
def test_a_file_that_was_changed_is_refused_in_one_line(
    tmp_path: Path, place: tuple[str, ...], value: object
) -> None:
    path = tmp_path / "answers.json"
    make_answers().write(path)
    document = json.loads(path.read_text(encoding="utf-8"))
    at = document
    for key in place[:-1]:
        at = at[key]
    at[place[-1]] = value
    path.write_text(json.dumps(document), encoding="utf-8")
    with pytest.raises(PolytaskError) as raised:
        PartAnswers.read(path)
    assert "answers.json" in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_part_has_its_ids_in_the_order_asked_for() -> None:
    found = make_answers().only({"grade": [("s1", ""), ("s0", "")], "lesion": [("s1", "")]})
    assert found.pooled["grade"].value.tolist() == [1, 0]
    assert found.pooled["grade"].prediction["p"].tolist() == [[0.25, 0.75], [0.5, 0.5]]
    assert found.voxel["lesion"].ids == (("s1", ""),)
    assert set(found.pooled) == {"grade"}
