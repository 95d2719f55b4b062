from collections.abc import Iterator

import pytest

from polytask import threads
from polytask.threads import ITEMS_PER_THREAD, run_in_threads


def test_every_item_comes_back_with_its_result() -> None:
    found = dict(run_in_threads(lambda n: n * n, range(500), jobs=3))
    assert found == {n: n * n for n in range(500)}


def test_a_result_costs_the_same_however_many_items_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    looked = []
    real = threads.wait

    def counted(waiting, **more):
        looked.append(len(waiting))
        return real(waiting, **more)

    monkeypatch.setattr(threads, "wait", counted)
    list(run_in_threads(lambda n: n, range(1000), jobs=2))
    assert max(looked) <= ITEMS_PER_THREAD * 2
    assert sum(looked) <= ITEMS_PER_THREAD * 2 * 1000


def test_items_are_taken_as_they_are_needed() -> None:
    taken = []

    def items() -> Iterator[int]:
        for n in range(1000):
            taken.append(n)
            yield n

    row = run_in_threads(lambda n: n, items(), jobs=1)
    next(row)
    assert len(taken) <= ITEMS_PER_THREAD
    row.close()


def test_after_a_failure_no_further_item_is_begun() -> None:
    begun = []

    def fail_at_three(n: int) -> int:
        begun.append(n)
        if n == 3:
            raise ValueError("three")
        return n

    with pytest.raises(ValueError, match="three"):
        list(run_in_threads(fail_at_three, range(1000), jobs=1))
    assert len(begun) <= 4 + ITEMS_PER_THREAD


def test_no_items_and_no_jobs() -> None:
    assert list(run_in_threads(lambda n: n, [], jobs=2)) == []
    assert list(run_in_threads(lambda n: n, [1], jobs=0)) == [(1, 1)]
