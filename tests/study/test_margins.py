"""Margins: 2 points, 5 % of a constant answer's error, or what a person says; nothing else."""

from __future__ import annotations

import pytest

from polytask.errors import PolytaskError
from polytask.study.margins import choose_default_margin, read_margins
from polytask.tasks import make_task

DICE = make_task(
    "mask", {"kind": "segmentation", "level": "voxel", "structures": ["core"], "exclusive": True}
)
DOSES = [
    make_task("dose", {"kind": "dose", "level": "voxel", "unit": "Gy", "deviation": d}) for d in (2.0, 3.0)
]


def test_defaults() -> None:
    assert choose_default_margin([DICE, DICE]) == 2.0
    assert choose_default_margin(DOSES) == pytest.approx(0.05 * 2.5)


def test_a_number_is_for_tasks_in_points_and_a_name_for_one() -> None:
    defaults = {"mask": 2.0, "os": 2.0, "dose": 0.125}
    assert read_margins(["3"], defaults) == {"mask": 3.0, "os": 3.0, "dose": 0.125}
    assert read_margins(["3", "os=1", "dose=0.5"], defaults) == {"mask": 3.0, "os": 1.0, "dose": 0.5}
    assert read_margins([], defaults) == defaults


@pytest.mark.parametrize("text", ["0", "-1", "mask=", "mask=x", "inf", "nan", "=2"])
def test_what_is_no_margin_is_refused(text: str) -> None:
    with pytest.raises(PolytaskError, match="--margin"):
        read_margins([text], {"mask": 2.0})


def test_an_unknown_task_is_named() -> None:
    with pytest.raises(PolytaskError, match="did you mean 'mask'"):
        read_margins(["msk=2"], {"mask": 2.0})
