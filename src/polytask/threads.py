"""Run work in threads and give the results as they come, with few pieces under way at any time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from itertools import islice
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")
ITEMS_PER_THREAD = 4
"""Pieces under way for each thread: enough to keep it busy, few enough to go through all of them at every result."""


def run_in_threads(
    function: Callable[[Item], Result], items: Iterable[Item], jobs: int
) -> Iterator[tuple[Item, Result]]:
    """Yield (item, result of the function) for each item, in the order in which they are done.

    Items are taken one by one, and at most `ITEMS_PER_THREAD` per thread are under way. After the first failure, after
    Ctrl-C, or when the caller stops asking, no further item is begun; the running ones are waited for.

    Args:
        jobs: number of threads; at least one is used.
    """
    jobs = max(1, jobs)
    row = iter(items)
    pool = ThreadPoolExecutor(jobs)
    waiting: dict[Future[Result], Item] = {}

    def hand_out(count: int) -> None:
        for item in islice(row, count):
            waiting[pool.submit(function, item)] = item

    try:
        hand_out(ITEMS_PER_THREAD * jobs)
        while waiting:
            # The short wait lets Ctrl-C through on systems where a waiting main thread hears no signal.
            ready, _ = wait(waiting, timeout=0.2, return_when=FIRST_COMPLETED)
            for future in ready:
                item = waiting.pop(future)
                yield item, future.result()
            hand_out(ITEMS_PER_THREAD * jobs - len(waiting))
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
