"""Run work in threads and yield the results as they come, with few items in progress at any time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from itertools import islice
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")
ITEMS_PER_THREAD = 4
"""Items in progress for each thread: enough to keep it busy, few enough to check all of them at every result."""


def run_in_threads(
    function: Callable[[Item], Result], items: Iterable[Item], jobs: int
) -> Iterator[tuple[Item, Result]]:
    """Yield (item, result of the function) for each item, in the order in which they are done.

    Items are taken one by one, and at most `ITEMS_PER_THREAD` per thread are in progress. After the first failure,
    after Ctrl-C, or when the caller stops iterating, no further item is started, and the running ones are waited for.

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
            # The timeout is short because on some systems a waiting main thread does not notice Ctrl-C.
            ready, _ = wait(waiting, timeout=0.2, return_when=FIRST_COMPLETED)
            for future in ready:
                item = waiting.pop(future)
                yield item, future.result()
            hand_out(ITEMS_PER_THREAD * jobs - len(waiting))
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
