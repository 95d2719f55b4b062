"""Whom a case shows: the store's digests are those of the files, and rows of cells stand in where there is no image."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from polytask.cohort.cohort import Cohort
from polytask.cohort.header import Header
from polytask.prepare.case_digests import digest_case
from tests.prepare.worlds import filled, write_cohort

TABLE = {
    "polytask": 1,
    "name": "table",
    "inputs": {
        "clinic": {
            "kind": "table",
            "columns": {
                **{f"m{k}": {"type": "number"} for k in range(5)},
                "sex": {"type": "category", "values": ["f", "m"]},
            },
        }
    },
    "tasks": {"pcr": {"kind": "classification", "level": "subject", "classes": ["no", "yes"]}},
}
COLUMNS = ["subject", "m0", "m1", "m2", "m3", "m4", "sex", "pcr"]


def table_cohort(folder: Path, rows: list[str]) -> Cohort:
    """A cohort without images."""
    folder.mkdir()
    (folder / "cases.csv").write_text("\n".join([",".join(COLUMNS), *rows]) + "\n")
    return Cohort.from_table(Header.model_validate(TABLE), folder / "cases.csv")


def test_prepare_leaves_the_digests_of_the_files_in_the_store(tmp_path: Path) -> None:
    cohort, _, store = filled(tmp_path)
    columns = set()
    for case in cohort.cases:
        found = digest_case(cohort, case)
        assert store.case(case.key).meta["content"] == found
        assert store.case(case.key).meta["subject"] == case.subject
        columns |= set(found)
    assert columns == {"scan.ct", "scan.fl"}


def test_a_row_of_cells_is_the_same_however_its_numbers_are_written(tmp_path: Path) -> None:
    cohort = table_cohort(
        tmp_path / "t", ["a,1,2.50,3,4,5,f,yes", "b,1.0,2.5,3,4,5e0,f,no", "c,1,2.5,3,4,6,f,"]
    )
    a, b, c = (digest_case(cohort, case)["row"] for case in cohort.cases)
    assert a == b
    assert a != c


def test_a_row_without_cells_tells_nobody(tmp_path: Path) -> None:
    cohort = table_cohort(tmp_path / "t", ["a,,,,,,,yes"])
    assert digest_case(cohort, cohort.cases[0]) == {}


def test_an_image_that_is_not_there_has_none(tmp_path: Path) -> None:
    cohort = write_cohort(tmp_path / "c")
    case = replace(cohort.cases[0], cells={"age": "60"})
    assert digest_case(cohort, case) == {}
