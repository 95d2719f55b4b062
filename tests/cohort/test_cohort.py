from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polytask.cohort import Case, Cohort
from polytask.errors import PolytaskError
from tests.cohort.worlds import SUBJECTS, World


def test_reads_cases_subjects_and_samples(world: World) -> None:
    cohort = Cohort.read(world.write())
    assert tuple(cohort.subjects) == SUBJECTS
    assert [c.visit for c in cohort.subjects["001"]] == ["baseline", "week6"]
    first = cohort.cases[0]
    assert (first.subject, first.visit, first.day, first.site, first.test, first.row) == (
        "001",
        "baseline",
        0.0,
        "A",
        False,
        2,
    )
    assert "pcr" not in first.cells
    assert "site" not in first.cells
    assert "finding.stone" not in cohort.cases[2].cells
    assert cohort.list_split_subjects("test") == ("012",)
    samples = cohort.samples(["002", "001"])
    assert [(s.key, len(s.cases)) for s in samples] == [("002", 2), ("001", 2)]


def test_without_subject_tasks_a_sample_is_a_case(world: World) -> None:
    for name in ("os", "pcr"):
        del world.header["tasks"][name]
    cohort = Cohort.read(world.write())
    assert [s.key for s in cohort.samples(["001"])] == ["001@baseline", "001@week6"]
    assert len(cohort.samples()) == 24


def test_visits_follow_the_header_not_the_rows(world: World) -> None:
    world.rows.reverse()
    cohort = Cohort.read(world.write())
    assert [c.visit for c in cohort.subjects["004"]] == ["baseline", "week6"]


def test_digest_is_of_the_meaning(world: World) -> None:
    before = Cohort.read(world.write()).digest
    world.rows.reverse()
    assert Cohort.read(world.write()).digest == before
    world.row("001")["grade"] = "3"
    assert Cohort.read(world.write()).digest != before


def test_site_and_split_hold_for_all_rows_of_a_subject(world: World) -> None:
    world.row("002", "week6").update(site="", split="")
    world.row("012", "week6").update(split="")
    cohort = Cohort.read(world.write())
    assert {c.site for c in cohort.subjects["002"]} == {"B"}
    assert all(c.test for c in cohort.subjects["012"])


@pytest.mark.parametrize(
    ("breakage", "words"),
    [
        (lambda w: w.row("002").update(visit="week12"), ["row 4", "'week12'", "week6"]),
        (lambda w: w.row("002").update(visit=""), ["row 4", "visit is empty"]),
        (lambda w: w.row("002", "week6").update(visit="baseline"), ["row 5", "is already in row 4"]),
        (lambda w: w.row("002").update(split="valid"), ["row 4", "neither train nor test"]),
        (lambda w: w.row("002").update(split="test"), ["row 5", "'train'", "'test' in row 4"]),
        (lambda w: w.row("002").update(site="Z"), ["row 5", "site"]),
        (lambda w: w.row("002").update(subject=""), ["row 4", "subject is empty"]),
        (lambda w: w.row("002").update(day="soon"), ["row 4", "'soon' is not a number"]),
        (lambda w: w.header.update(visits=None, tasks={}), ["row 2", "names no visits"]),
    ],
)  # fmt: skip
def test_reading_refuses_uncertain_subjects_visits_and_splits(
    world: World, breakage: object, words: list[str]
) -> None:
    breakage(world)  # type: ignore[operator]
    with pytest.raises(PolytaskError) as caught:
        Cohort.read(world.write())
    assert all(word in str(caught.value) for word in words), str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_table_without_targets_reads_for_prediction(world: World, tmp_path: Path) -> None:
    cohort = Cohort.read(world.write())
    (tmp_path / "new.tsv").write_text("subject\tvisit\tscan.ct\n9\tbaseline\ta.nii.gz\n", encoding="utf-8")
    new = Cohort.from_table(cohort.header, tmp_path / "new.tsv")
    assert new.cases == (Case("9", "baseline", row=2, cells={"scan.ct": "a.nii.gz"}),)
    assert new.path("a.nii.gz") == tmp_path / "a.nii.gz"


@given(st.lists(st.tuples(st.text(min_size=1), st.text()), unique=True, max_size=20))
def test_keys_are_unique_and_safe_file_names(pairs: list[tuple[str, str]]) -> None:
    keys = [Case(subject, visit).key for subject, visit in pairs if not _surrogate(subject + visit)]
    assert len(set(keys)) == len(keys)
    for key in keys:
        assert set(key) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.%@~")
        assert not key.startswith(".")


def _surrogate(text: str) -> bool:
    return any(0xD800 <= ord(c) <= 0xDFFF for c in text)


def test_keys_that_differ_only_in_case_get_a_hash_and_others_stay(world: World) -> None:
    for row in world.rows:
        row["subject"] = {"001": "Anna", "002": "anna"}.get(row["subject"], row["subject"])
    keys = [case.key for case in Cohort.read(world.write()).cases]
    assert len({k.lower() for k in keys}) == len(keys)
    assert sum("~" in k for k in keys) == 4
    assert "003@baseline" in keys
