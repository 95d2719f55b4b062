"""The fingerprint: one pass over the images of every subject outside the test part, in parallel threads."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

from polytask.cohort.cohort import Case, Cohort
from polytask.plan.measure import case_digest, measure_case
from polytask.plan.records import VERSION, CaseRecord, Fingerprint

Progress = Callable[[int, int, str], None]
"""(cases done, cases in all, key of the case just done)."""


def fingerprint(
    cohort: Cohort,
    jobs: int = 2,
    progress: Progress | None = None,
    previous: Fingerprint | None = None,
    save: Callable[[Fingerprint], object] | None = None,
) -> Fingerprint:
    """Measure every case of every non-test subject.

    Args:
        jobs: threads (decompression and numpy release the lock).
        progress: called from this thread after every case.
        previous: an earlier fingerprint; a case whose files and header words have the same hash is taken from it.
        save: called with what is measured so far when somebody interrupts.
    """
    cases = [case for case in cohort.cases if not case.test]
    known = previous.cases if previous is not None and previous.version == VERSION else {}

    def measured(case: Case) -> CaseRecord:
        digest = case_digest(cohort, case)
        old = known.get(case.key)
        return old if old is not None and old.digest == digest else measure_case(cohort, case, digest)

    with ThreadPoolExecutor(max(1, jobs)) as pool:
        futures = {pool.submit(measured, case): case for case in cases}
        left, done = set(futures), 0
        try:
            while left:
                ready, left = wait(left, timeout=0.2, return_when=FIRST_COMPLETED)
                for future in ready:
                    future.result()
                    done += 1
                    if progress is not None:
                        progress(done, len(cases), futures[future].key)
        except BaseException as error:
            pool.shutdown(wait=True, cancel_futures=True)
            if save is not None and isinstance(error, KeyboardInterrupt):
                save(_collected(futures))
            raise
    return _collected(futures)


def _collected(futures: dict[Future[CaseRecord], Case]) -> Fingerprint:
    """What is finished, in the table's order."""
    whole = {f: c for f, c in futures.items() if f.done() and not f.cancelled() and f.exception() is None}
    return Fingerprint(cases={case.key: future.result() for future, case in whole.items()})
