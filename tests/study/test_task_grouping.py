"""Groupings by affinity: by hand, against all partitions, with chains; and the run that trains them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from polytask.array_types import Floats
from polytask.errors import PolytaskError
from polytask.study.task_grouping import (
    MAX_GROUPED_TASKS,
    deal_out_tasks,
    find_best_grouping,
    write_groups,
)

NAMES = tuple("abcdefgh")


def list_partitions(items: Sequence[int]) -> Iterator[list[list[int]]]:
    """List every way to divide items into groups."""
    if not items:
        yield []
        return
    first, *rest = items
    for partition in list_partitions(rest):
        yield [[first], *partition]
        for place in range(len(partition)):
            yield [*partition[:place], [first, *partition[place]], *partition[place + 1 :]]


def score(affinity: Floats, partition: list[list[int]]) -> float:
    """The mean over all tasks of the mean affinity that the others of their group have onto them."""
    onto = [
        np.mean([affinity[i, j] for i in group if i != j]) if len(group) > 1 else 0.0
        for group in partition
        for j in group
    ]
    return float(np.mean(onto))


def test_three_tasks_by_hand() -> None:
    """a and b help each other, c hurts both: c alone. Onto a: 0.2, onto b: 0.4, c: 0; the mean over three is 0.2."""
    affinity = np.array([[1.0, 0.4, 0.3], [0.2, 1.0, 0.1], [-0.1, -0.1, 1.0]])
    best = find_best_grouping(("a", "b", "c"), affinity, 2)
    assert best.groups == (("a", "b"), ("c",))
    assert best.score == pytest.approx(0.2)
    together = find_best_grouping(("a", "b", "c"), affinity, 1)
    assert together.groups == (("a", "b", "c"),)
    assert together.score == pytest.approx(((0.2 - 0.1) / 2 + (0.4 - 0.1) / 2 + (0.3 + 0.1) / 2) / 3)
    assert find_best_grouping(("a", "b", "c"), affinity, 3).score == 0


def test_the_direction_counts() -> None:
    """c helps a, but a hurts c: what counts for a group is the help that its tasks receive."""
    affinity = np.zeros((3, 3))
    affinity[2, 0], affinity[0, 2], affinity[1, 2] = 0.1, -0.5, 0.2
    assert find_best_grouping(("a", "b", "c"), affinity, 2).groups == (("a",), ("b", "c"))
    assert find_best_grouping(("a", "b", "c"), affinity.T, 2).groups == (("a",), ("b", "c"))


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_no_grouping_is_better(data: st.DataObject) -> None:
    count = data.draw(st.integers(2, 6))
    networks = data.draw(st.integers(1, count))
    affinity = np.array(
        data.draw(st.lists(st.floats(-1, 1), min_size=count * count, max_size=count * count))
    ).reshape(count, count)
    best = find_best_grouping(NAMES[:count], affinity, networks)
    assert sorted(t for group in best.groups for t in group) == list(NAMES[:count])
    assert len(best.groups) == networks
    own = [[NAMES.index(t) for t in group] for group in best.groups]
    assert best.score == pytest.approx(score(affinity, own), abs=1e-9)
    others = [p for p in list_partitions(range(count)) if len(p) == networks]
    assert best.score == pytest.approx(max(score(affinity, p) for p in others), abs=1e-9)


def test_chains_stay_together() -> None:
    """a and d do not like each other; without the chain, each would rather be alone."""
    affinity = np.full((4, 4), -0.2)
    affinity[0, 3] = affinity[3, 0] = -0.1
    affinity[1, 2] = affinity[2, 1] = 0.3
    assert find_best_grouping(NAMES[:4], affinity, 3).groups == (("a",), ("b", "c"), ("d",))
    best = find_best_grouping(NAMES[:4], affinity, 2, [["a", "d"], ["b"], ["c"]])
    assert best.groups == (("a", "d"), ("b", "c"))
    assert find_best_grouping(NAMES[:4], affinity, 4, [["a", "d"]]).groups == (("a", "d"), ("b",), ("c",))


def test_what_was_never_measured_is_no_evidence() -> None:
    unknown = np.full((3, 3), np.nan)
    unknown[1, 2] = unknown[2, 1] = 0.3
    best = find_best_grouping(("a", "b", "c"), unknown, 2)
    assert (best.groups, best.score) == ((("a",), ("b", "c")), pytest.approx(0.2))


def test_too_many_tasks_are_refused() -> None:
    count = MAX_GROUPED_TASKS + 1
    with pytest.raises(PolytaskError, match=r"at most 12 tasks\); group them by hand"):
        find_best_grouping([str(k) for k in range(count)], np.zeros((count, count)), 2)
    most = find_best_grouping([str(k) for k in range(MAX_GROUPED_TASKS)], np.eye(MAX_GROUPED_TASKS), 6)
    assert len(most.groups) == 6, "12 tasks take a moment, not minutes"


def test_tasks_are_dealt_out_in_order() -> None:
    assert deal_out_tasks(NAMES[:5], 2, {}) == (("a", "c", "e"), ("b", "d"))
    assert deal_out_tasks(NAMES[:4], 2, {"d": ["a"]}) == (("b", "a", "d"), ("c",))
    assert deal_out_tasks(NAMES[:2], 3, {}) == (("a",), ("b",))
    assert write_groups((("a", "b"), ("ö",))) == 'model.groups=[["a", "b"], ["ö"]]'
