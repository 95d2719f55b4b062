from __future__ import annotations

from collections.abc import Callable

from polytask.study.conclusions.draw_conclusions import Conclusions
from polytask.study.report import reproduction


def test_plans_of_folds_are_told_apart(full: Conclusions) -> None:
    told = {f.name: f.value for f in reproduction.list_hash_facts(full)}
    assert told["plan"] == f"fold 0: {'0' * 16}, fold 1: {'1' * 16}, fold 2: {'2' * 16}"
    assert told["prepared store"] == "c" * 16


def test_versions_are_those_of_all_runs(full: Conclusions) -> None:
    told = {f.name: f.value for f in reproduction.list_version_facts(full)}
    assert told["torch"] == "2.13"
    assert told["numpy"] == "not recorded"
    assert reproduction.join_distinct_values(["2.12", "2.13", "2.12", None, ""]) == "2.12, 2.13"


def test_runs_are_counted_by_state(study: Callable[..., Conclusions]) -> None:
    found = study(arms=("single", "hard", "ctan"), failed=("ctan",))
    counts = {
        name: [c.value for c in cells[-3:]] for name, cells in reproduction.build_arms_table(found).rows
    }
    assert counts == {"single": ["4", "0", "0"], "hard": ["4", "0", "0"], "ctan": ["0", "4", "0"]}
    assert [why for _, why in reproduction.list_failed_runs(found)] == ["out of memory"] * 4
    assert len(reproduction.build_runs_table(found).rows) == 12
    assert reproduction.build_arms_table(found).rows[0][1][1].value == "–", "balance does not apply to single"


def test_the_arms_say_what_they_are(full: Conclusions) -> None:
    told = {
        name: (cells[0].value, cells[1].value) for name, cells in reproduction.build_arms_table(full).rows
    }
    assert told["hard+famo"] == ("hard", "famo")
