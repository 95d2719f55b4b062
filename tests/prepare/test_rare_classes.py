"""Samples of rare classes are drawn with the planned shares, and only in place of samples with a known answer."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from polytask.prepare.batch_dataset import RareClasses, insert_rare_classes, make_epoch_order
from polytask.prepare.loader import Loader
from tests.prepare.worlds import SUBJECTS, filled, make_plan

# 100 samples: 84, 10, 4 and 2 of four grades; 100 more in which the task is unknown.
GRADES = np.repeat([0, 1, 2, 3], [84, 10, 4, 2])
SAMPLES = tuple(tuple(np.flatnonzero(k == GRADES).tolist()) for k in range(4))
CHANCES = (0.0, 0.0204321, 0.0341638, 0.0317264)
"""Chances by which 84/10/4/2 % become 76.7/11.2/7.1/5 %."""
RARE = RareClasses("grade", frozenset(range(100)), SAMPLES, CHANCES)
SUBJECT_SAMPLES = [(i,) for i in range(200)]


def draw_epochs(epochs: int, rare: RareClasses, seed: int = 0) -> list[int]:
    return [
        sample
        for epoch in range(epochs)
        for sample in make_epoch_order(SUBJECT_SAMPLES, seed, epoch, 50, 4, {}, {}, [rare])
    ]


def test_classes_are_drawn_with_the_planned_shares() -> None:
    row = draw_epochs(400, RARE)
    known = np.array([s for s in row if s < 100])
    # Half of 80,000 places; the standard error of the smallest share, 5 %, is 0.11 points.
    shares = np.bincount(GRADES[known], minlength=4) / known.size
    assert shares == pytest.approx([0.7674859, 0.1118034, 0.0707107, 0.05], abs=0.005)
    assert known.size == len(row) / 2, "the task is known as often as before"
    rarest = Counter(s for s in known.tolist() if s >= 98)
    assert min(rarest.values()) > 0.4 * sum(rarest.values()), "both cases of the rarest grade have their turn"


def test_without_chances_or_known_samples_nothing_changes() -> None:
    row = list(range(200))
    assert insert_rare_classes(row, [], 0, 0) == row
    never = RareClasses("grade", RARE.known, SAMPLES, (0.0, 0.0, 0.0, 0.0))
    assert insert_rare_classes(row, [never], 0, 0) == row
    unknown = RareClasses("grade", frozenset(), SAMPLES, CHANCES)
    assert insert_rare_classes(row, [unknown], 0, 0) == row
    assert row == list(range(200))


def test_draws_depend_on_seed_epoch_and_task_alone() -> None:
    row = list(range(200))
    found = insert_rare_classes(row, [RARE], 3, 5)
    assert found == insert_rare_classes(row, [RARE], 3, 5)
    assert found[:60] == insert_rare_classes(row[:60], [RARE], 3, 5), "not on the length of the epoch"
    other_task = RareClasses("stage", RARE.known, SAMPLES, CHANCES)
    others = [
        insert_rare_classes(row, [rare], *at)
        for rare, *at in ((RARE, 4, 5), (RARE, 3, 6), (other_task, 3, 5))
    ]
    assert all(found != other for other in others)


def test_the_loader_draws_as_the_plan_says(tmp_path: Path) -> None:
    """Two subjects have G1, two G2, one an unknown grade; nobody has G3, so nothing can be drawn for it."""
    cohort, _, store = filled(tmp_path)
    plan = make_plan(cohort)

    def count_grades(**fields: object) -> Counter[int]:
        grade = {"kind": "ordinal", "frequencies": [0.4, 0.4, 0.2], "classes": ["G1", "G2", "G3"], **fields}
        plan.folds[0].tasks["grade"] = grade
        options = {"part": "train", "seed": 1, "subjects": SUBJECTS, "tasks": ["grade", "os"]}
        with Loader(store, cohort, plan, 0, **options, batch=5, steps=40) as loader:  # type: ignore[arg-type]
            row = [i for step in range(40) for _, i in loader._batches.list_batch_samples((0, step))]
            value, known = loader._batches.table._targets["grade"]
        return Counter(int(v) for i in row for v, k in zip(value[i], known[i], strict=True) if k)

    plain = count_grades(balanced=False, drawn_shares=[0.2, 0.6, 0.2])
    assert plain == count_grades(balanced=True, drawn_shares=[])
    assert plain == {0: 80, 1: 80}
    # The chances are 0, 0.4 and 0.1 (not used), so G2 is expected in 0.5 · 0.6 + 0.4 of 160.
    drawn = count_grades(balanced=True, drawn_shares=[0.2, 0.6, 0.2])
    assert drawn == {0: 160 - drawn[1], 1: pytest.approx(112, abs=12)}
