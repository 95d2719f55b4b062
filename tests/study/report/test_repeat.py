from __future__ import annotations

from collections.abc import Callable

from polytask.study.conclusions.make import Conclusions
from polytask.study.report import repeat


def test_plans_of_folds_are_told_apart(full: Conclusions) -> None:
    told = {f.name: f.value for f in repeat.hashes(full)}
    assert told["plan"] == f"fold 0: {'0' * 16}, fold 1: {'1' * 16}, fold 2: {'2' * 16}"
    assert told["prepared store"] == "c" * 16


def test_versions_are_those_of_all_runs(full: Conclusions) -> None:
    told = {f.name: f.value for f in repeat.versions(full)}
    assert told["torch"] == "2.13"
    assert told["numpy"] == "not recorded"
    assert repeat.distinct(["2.12", "2.13", "2.12", None, ""]) == "2.12, 2.13"


def test_runs_are_counted_by_state(study: Callable[..., Conclusions]) -> None:
    found = study(arms=("single", "hard", "ctan"), failed=("ctan",))
    counts = {name: [c.value for c in cells[-3:]] for name, cells in repeat.arms(found).rows}
    assert counts == {"single": ["4", "0", "0"], "hard": ["4", "0", "0"], "ctan": ["0", "4", "0"]}
    assert [why for _, why in repeat.failures(found)] == ["out of memory"] * 4
    assert len(repeat.runs(found).rows) == 12
    assert repeat.arms(found).rows[0][1][1].value == "–", "balance does not apply to single"


def test_the_arms_say_what_they_are(full: Conclusions) -> None:
    told = {name: (cells[0].value, cells[1].value) for name, cells in repeat.arms(full).rows}
    assert told["hard+famo"] == ("hard", "famo")
