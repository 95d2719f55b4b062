from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from polytask.prepare.batch_dataset import insert_rare_tasks, make_epoch_order, shuffle_samples


def test_every_subject_once_before_any_twice() -> None:
    subjects = [(i,) for i in range(7)]
    row = shuffle_samples(subjects, 3, 0, 70)
    for turn in range(10):
        assert sorted(row[7 * turn : 7 * turn + 7]) == list(range(7))
    assert shuffle_samples(subjects, 3, 25, 20) == row[25:45]


def test_visits_of_a_subject_take_turns() -> None:
    row = shuffle_samples([(0, 1), (2,), (3, 4, 5)], 0, 0, 18)
    assert Counter(row) == {0: 3, 1: 3, 2: 6, 3: 2, 4: 2, 5: 2}


@settings(max_examples=60, deadline=None)
@given(
    count=st.integers(2, 20),
    batch=st.integers(1, 3),
    steps=st.integers(1, 30),
    every=st.integers(1, 6),
    seed=st.integers(0, 99),
)
def test_a_rare_task_is_there_as_often_as_promised(
    count: int, batch: int, steps: int, every: int, seed: int
) -> None:
    known = {"rare": frozenset({0})}
    gap = every
    for epoch in range(3):
        row = make_epoch_order(
            [(i,) for i in range(count)], seed, epoch, steps, batch, {"rare": every}, known
        )
        assert len(row) == steps * batch
        for step in range(steps):
            gap = 1 if 0 in row[step * batch : (step + 1) * batch] else gap + 1
            assert gap <= every or epoch == step == 0


def test_two_rare_tasks_in_one_batch() -> None:
    row = insert_rare_tasks(
        [5, 6, 7, 8], 2, {"a": 1, "b": 1}, {"a": frozenset({1}), "b": frozenset({2})}, lambda n: 0.0
    )
    assert [set(row[:2]), set(row[2:])] == [{1, 2}, {1, 2}]


def test_one_sample_can_serve_two_tasks() -> None:
    known = {"a": frozenset({1, 3}), "b": frozenset({2, 3})}
    assert insert_rare_tasks([5, 6], 1, {"a": 1, "b": 1}, known, lambda n: 0.0) == [3, 3]


def test_what_is_common_enough_is_left_alone() -> None:
    row = [0, 1, 2, 0, 1, 2]
    assert insert_rare_tasks(row, 1, {"a": 3}, {"a": frozenset({0})}, lambda n: 0.0) == row


def test_every_sample_of_a_rare_task_has_its_turn() -> None:
    """Which of them takes the place is drawn evenly, anew for each draw and epoch."""
    known = {"a": frozenset({1, 2, 3, 4})}
    for place, drawn in ((1, 0.0), (1, 0.24), (2, 0.26), (4, 0.99)):
        assert insert_rare_tasks([9], 1, {"a": 1}, known, lambda n, drawn=drawn: drawn) == [place]
    assert insert_rare_tasks([9, 9, 9], 1, {"a": 1}, known, lambda n: n / 4) == [1, 2, 3]
    subjects = [(i,) for i in range(400)]
    met = Counter(
        s
        for epoch in range(40)
        for s in make_epoch_order(subjects, 0, epoch, 10, 1, {"a": 1}, known)
        if s in known["a"]
    )
    assert sorted(met) == [1, 2, 3, 4]
    assert min(met.values()) > 70
