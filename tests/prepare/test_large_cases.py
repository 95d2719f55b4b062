import threading
import time
from pathlib import Path

import pytest

from polytask.prepare import large_cases, store_builder
from polytask.prepare.store import Store
from polytask.prepare.store_builder import fill_store
from tests.prepare.worlds import make_plan, write_cohort


@pytest.mark.parametrize(("large", "most"), [(0, 1), (1 << 40, 3)])
def test_large_cases_are_made_one_at_a_time(
    large: int, most: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cohort = write_cohort(tmp_path / "cohort")
    now, together, lock = 0, [], threading.Lock()
    real = store_builder.make_case

    def counted(recipe, store, masks):
        nonlocal now
        with lock:
            now += 1
            together.append(now)
        time.sleep(0.02)
        try:
            return real(recipe, store, masks)
        finally:
            with lock:
                now -= 1

    monkeypatch.setattr(large_cases, "LARGE_CASE_BYTES", large)
    monkeypatch.setattr(store_builder, "make_case", counted)
    done = fill_store(Store(tmp_path / "store"), cohort, make_plan(cohort), jobs=3)
    assert (done.made, max(together)) == (9, most)


def test_bytes_of_a_series_are_those_of_its_files(tmp_path: Path) -> None:
    (tmp_path / "series").mkdir()
    for number in range(3):
        (tmp_path / "series" / f"{number}.dcm").write_bytes(bytes(10))
    assert large_cases.count_file_bytes(tmp_path / "series" / "1.dcm") == 10
    assert large_cases.count_file_bytes(tmp_path / "series") >= 30
    assert large_cases.count_file_bytes(tmp_path / "missing") == 0
