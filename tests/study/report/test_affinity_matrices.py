from __future__ import annotations

from dataclasses import replace

import numpy as np

from polytask.study.conclusions.draw_conclusions import Conclusions
from polytask.study.report import affinity_matrices


def test_every_pair_is_told(full: Conclusions) -> None:
    assert full.affinity is not None
    found = affinity_matrices.make_affinity_picture(full.affinity)
    assert found is not None
    assert found.alt.count("with a common sample in 90 % of steps") == 6
    assert "9 runs of hard" in found.note
    assert affinity_matrices.format_cosine(full.affinity, 1, 0).startswith("−0.")
    assert "\n± 0." in affinity_matrices.format_cosine(full.affinity, 1, 0)


def test_what_is_not_known_is_a_dash(full: Conclusions) -> None:
    assert full.affinity is not None
    empty = np.full((4, 4), np.nan)
    found = replace(full.affinity, cosine=empty, spread=empty, common=empty)
    assert (
        affinity_matrices.format_cosine(found, 1, 0)
        == affinity_matrices.format_common_share(found, 1, 0)
        == "–"
    )
    assert affinity_matrices.make_affinity_picture(found) is not None


def test_the_grouping_is_told_as_it_stands(full: Conclusions) -> None:
    assert full.affinity is not None
    grouped = replace(
        full.affinity, groups=(("a", "b"), ("c",)), why="gradients that oppose each other: a and c"
    )
    assert affinity_matrices.describe_task_groups(grouped) == (
        "Suggested groups: {a, b} · {c}, for gradients that oppose each other: a and c."
    )
    unseen = replace(full.affinity, groups=(), why="not visible: too little")
    assert affinity_matrices.describe_task_groups(unseen) == "Not visible: too little."


def test_many_tasks_and_one(full: Conclusions) -> None:
    assert full.affinity is not None
    many = np.full((5, 5), 0.1)
    tasks = tuple(f"task {k}" for k in range(5))
    found = affinity_matrices.make_affinity_picture(
        replace(full.affinity, tasks=tasks, cosine=many, spread=many, common=many)
    )
    assert found is not None
    assert found.alt.count("90 %") == 0
    assert found.alt.count("10 % of steps") == 10
    one = np.ones((1, 1))
    assert (
        affinity_matrices.make_affinity_picture(
            replace(full.affinity, tasks=("a",), cosine=one, spread=one, common=one)
        )
        is None
    )
