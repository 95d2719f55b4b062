"""Makes the fingerprint: one pass over the images of every subject outside the test part, in parallel threads."""

from __future__ import annotations

from collections.abc import Callable

from polytask.cohort.cohort import Case, Cohort
from polytask.plan.fingerprint_records import FINGERPRINT_VERSION, CaseRecord, Fingerprint
from polytask.plan.measure_case import hash_case_files, measure_case
from polytask.threads import run_in_threads

Progress = Callable[[int, int, str], None]
"""Called with (number of cases done, number of all cases, key of the case that was just done)."""


def make_fingerprint(
    cohort: Cohort,
    jobs: int = 2,
    progress: Progress | None = None,
    previous: Fingerprint | None = None,
    save: Callable[[Fingerprint], object] | None = None,
) -> Fingerprint:
    """Measure every case of every subject outside the test part.

    Args:
        jobs: number of threads (decompression and numpy release Python's lock, so threads do run in parallel).
        progress: called from this thread after every case.
        previous: an earlier fingerprint. A case is copied from it when the hash of its files and of the header's
            statements about them is the same.
        save: called with the cases measured so far when the user interrupts.
    """
    cases = [case for case in cohort.cases if not case.test]
    known = previous.cases if previous is not None and previous.version == FINGERPRINT_VERSION else {}

    records: dict[str, CaseRecord] = {}

    def measure(case: Case) -> None:
        digest = hash_case_files(cohort, case)
        old = known.get(case.key)
        same = old is not None and old.digest == digest
        records[case.key] = old if old is not None and same else measure_case(cohort, case, digest)

    def collect() -> Fingerprint:
        # Threads finish in any order; the order of the table keeps the written file the same from run to run.
        return Fingerprint(cases={c.key: records[c.key] for c in cases if c.key in records})

    try:
        for done, (case, _) in enumerate(run_in_threads(measure, cases, jobs), start=1):
            if progress is not None:
                progress(done, len(cases), case.key)
    except KeyboardInterrupt:
        if save is not None:
            save(collect())
        raise
    return collect()
