"""Steps that were skipped, whose loss it was, and the subject that was always there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from polytask.evaluation.doctor.finding import Finding
from polytask.evaluation.doctor.skipped_steps import find_skipped_steps
from polytask.evaluation.doctor.training_curves import TrainingCurves
from tests.evaluation.doctor.worlds import World


def find_skipped(subjects: Sequence[str], of: str = "loss of size") -> list[Finding]:
    entries = [
        {
            "step": k + 1,
            "skipped": f"step {k}: {of} is not finite; subjects {s}; step skipped ({k + 1} so far)",
        }
        for k, s in enumerate(subjects)
    ]
    course = TrainingCurves.of("", ["size", "grade"], [*entries, {"step": 50}])
    return list(find_skipped_steps(replace(World(tasks=("size", "grade")).chart(), courses=(course,))))


def test_no_skipped_step_is_no_finding() -> None:
    assert not find_skipped([])


def test_steps_and_losses_are_counted() -> None:
    (found,) = find_skipped(["a, b", "c, d"])
    assert found.says == "2 of 50 steps were skipped: the loss of size (2 times) was not finite"
    assert found.evidence == {"skipped": 2, "steps": 50, "share": 0.04}
    assert found.tasks == ("size",)


def test_a_gradient_that_is_not_finite_concerns_all_tasks() -> None:
    (found,) = find_skipped(["a, b"], of="gradient")
    assert found.says == "1 of 50 steps were skipped: the gradient was not finite"
    assert found.tasks == ("size", "grade")


@pytest.mark.parametrize(
    ("batches", "named"),
    [
        (["a, b", "a, c", "d, e", "a, f", "g"], "; subject a was in 3 of them"),
        (["a, b", "a, c", "d, e", "f", "g"], ""),
        (["a, b", "a, c", "d, e", "f"], ""),
        (["a"], ""),
    ],
)
def test_a_subject_is_named_that_was_in_more_than_half_of_them(batches: list[str], named: str) -> None:
    (found,) = find_skipped(batches)
    assert found.says.endswith(f"was not finite{named}")
    assert ("look at subject a" in found.remedy) == bool(named)
