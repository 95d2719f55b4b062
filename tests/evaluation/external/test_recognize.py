"""Who of another cohort was in the training, where images are not there to tell."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from polytask.cohort.cohort import Cohort
from polytask.evaluation.external.recognize import expected_strangers, recognize
from polytask.predict.seen import Seen, blur
from polytask.prepare.content import digest_case
from tests.prepare.test_content import table_cohort

SALT = "00" * 16


def seen_of(cohort: Cohort, trained: str, held_out: str, subjects: int) -> Seen:
    digests = {c.subject: {blur(d, SALT) for d in digest_case(cohort, c).values()} for c in cohort.cases}

    def of(names: str) -> frozenset[str]:
        return frozenset(d for s in names for d in digests[s])

    return Seen(SALT, of(trained), of(held_out), subjects, "cells")


def test_telling_rows_are_recognized_and_rows_without_cells_are_not_checked(tmp_path: Path) -> None:
    rows = [f"{s},{k}.5,{k * k},{7 - k},{k % 3}.25,{k + 0.125},f,yes" for k, s in enumerate("abcdefgh")]
    home = table_cohort(tmp_path / "home", rows)
    away = table_cohort(tmp_path / "away", [*[r.replace(r[0], r[0].upper(), 1) for r in rows], "Z,,,,,,f,no"])
    found = recognize(away, seen_of(home, "ab", "c", 50))
    assert (found.trained, found.held_out, found.alike, found.unchecked) == (("A", "B"), ("C",), (), ("Z",))


def test_a_row_that_strangers_share_leaves_nobody_out(tmp_path: Path) -> None:
    rows = [f"{s},{k % 2},1,0,{k // 2 % 2},1,f,yes" for k, s in enumerate("abcdefgh")]
    cohort = table_cohort(tmp_path / "c", rows)
    found = recognize(cohort, seen_of(cohort, "ab", "", 50))
    assert found.trained == ()
    assert set("ab") <= set(found.alike), "a, e share their cells, and so may anybody"


def test_expected_strangers_multiply_the_chances_of_the_columns(tmp_path: Path) -> None:
    cohort = table_cohort(tmp_path / "c", ["a,1,5,,,,f,", "b,1,6,,,,f,", "c,2,7,,,,m,", "d,2,8,,,,f,"])
    chance = (2 * 0.5**2) * (4 * 0.25**2) * (0.75**2 + 0.25**2)
    assert expected_strangers(cohort, 100)["a"] == 100 * chance
    bare = replace(cohort, cases=tuple(replace(c, cells={}) for c in cohort.cases))
    assert expected_strangers(bare, 100)["a"] == 100, "nothing is known: anybody"
