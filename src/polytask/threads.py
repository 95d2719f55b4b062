"""Work in threads: results as they come, with few pieces under way, so that each piece costs the same however many."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from itertools import islice
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")
AHEAD = 4
"""Pieces handed out for each thread: enough to keep it busy, few enough to be looked through at every result."""


def run_in_threads(
    function: Callable[[Item], Result], items: Iterable[Item], jobs: int
) -> Iterator[tuple[Item, Result]]:
    """Each item with what the function makes of it, in the order in which they are done.

    Items are taken one by one, and at most four for each thread are under way. After the first failure, Ctrl-C, or
    when the caller stops asking, no further item is begun; those at work are waited for.

    Args:
        jobs: threads; at least one is used.
    """
    jobs = max(1, jobs)
    row = iter(items)
    pool = ThreadPoolExecutor(jobs)
    waiting: dict[Future[Result], Item] = {}

    def hand_out(count: int) -> None:
        for item in islice(row, count):
            waiting[pool.submit(function, item)] = item

    try:
        hand_out(AHEAD * jobs)
        while waiting:
            # The short wait lets Ctrl-C through on systems where a waiting main thread hears no signal.
            ready, _ = wait(waiting, timeout=0.2, return_when=FIRST_COMPLETED)
            for future in ready:
                item = waiting.pop(future)
                yield item, future.result()
            hand_out(AHEAD * jobs - len(waiting))
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
