"""Which tasks pull together: what is seen in the gradients, and what is not."""

from __future__ import annotations

import numpy as np

from polytask.study.conclusions.task_affinity import NOT_VISIBLE, group_tasks

TASKS = ("mask", "grade", "size", "os")


def square(value: float, **pairs: float) -> np.ndarray:
    """`value` everywhere but in the pairs named `A_B`."""
    found = np.full((4, 4), value)
    np.fill_diagonal(found, 1.0)
    for pair, x in pairs.items():
        i, j = (TASKS.index(t) for t in pair.split("_"))
        found[i, j] = found[j, i] = x
    return found


def test_clear_conflict_parts_two_tasks_and_leaves_the_rest_where_they_fit() -> None:
    cosine = square(0.1, mask_os=-0.4, grade_os=0.3)
    groups, why = group_tasks(TASKS, cosine, square(0.05), square(1.0), 6)
    assert sorted(map(sorted, groups)) == [["grade", "os"], ["mask", "size"]] or sorted(
        map(sorted, groups)
    ) == [
        ["grade", "os", "size"],
        ["mask"],
    ]
    assert not any({"mask", "os"} <= set(g) for g in groups)
    assert "mask and os −0.40" in why.replace("-", "−")
    assert "± 0.18" in why  # t(1 − 0.05 / 6, 5) = 3.53 times 0.05


def test_a_task_in_conflict_with_all_stands_alone() -> None:
    cosine = square(0.2, mask_os=-0.5, grade_os=-0.5, size_os=-0.5)
    groups, _ = group_tasks(TASKS, cosine, square(0.01), square(1.0), 6)
    assert ("os",) in groups
    assert sorted(len(g) for g in groups) == [1, 3]


def test_what_noise_could_make_is_not_visible() -> None:
    groups, why = group_tasks(TASKS, square(0.1, mask_os=-0.4), square(0.3), square(1.0), 6)
    assert groups == ()
    assert why.startswith(NOT_VISIBLE)
    assert "clearly oppose" in why


def test_tasks_of_different_patients_are_not_judged() -> None:
    groups, why = group_tasks(TASKS, square(-0.5), square(0.01), square(0.2), 6)
    assert groups == ()
    assert why.startswith(NOT_VISIBLE)
    assert "half of the steps" in why
    groups, _ = group_tasks(TASKS, square(-0.5), square(0.01), square(0.2, mask_os=0.9), 6)
    assert len(groups) == 2, "the one pair that can be judged is"


def test_one_run_shows_no_spread_and_so_nothing() -> None:
    groups, why = group_tasks(TASKS, square(-0.9), square(float("nan")), square(1.0), 6)
    assert groups == ()
    assert "3 runs" in why


def test_noise_is_seldom_taken_for_a_conflict() -> None:
    """True cosines of 0: over 400 studies of 3 runs and 4 tasks, groups are recommended in about 5 %."""
    draw = np.random.default_rng(0)
    wrong = 0
    for _ in range(400):
        runs = draw.standard_normal((3, 4, 4)) * 0.2
        runs = (runs + runs.transpose(0, 2, 1)) / 2
        spread = runs.std(0, ddof=1) / np.sqrt(3)
        wrong += bool(group_tasks(TASKS, runs.mean(0), spread, square(1.0), 3)[0])
    assert wrong / 400 < 0.08
