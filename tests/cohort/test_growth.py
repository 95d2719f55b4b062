"""What grows with the cohort: counted in calls and comparisons, since seconds depend on the machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from polytask.cohort import splits
from polytask.cohort.checks import header_columns
from polytask.cohort.checks.evidence import Evidence
from polytask.cohort.checks.header_columns import check_header_columns
from polytask.cohort.cohort import Cohort
from polytask.cohort.header import Header
from polytask.cohort.strata import Stratum
from polytask.cohort.stratify import stratify_subjects
from polytask.cohort.text_table import TextTable, _check_column_names
from polytask.errors import PolytaskError
from polytask.kinds import header_words


class Counted(str):
    """Text that counts how often it is compared or looked up."""

    __slots__ = ()
    comparisons = 0

    def __hash__(self) -> int:
        Counted.comparisons += 1
        return str.__hash__(self)

    def __eq__(self, other: object) -> bool:
        Counted.comparisons += 1
        return str.__eq__(self, other)


def counted(count: int) -> list[str]:
    Counted.comparisons = 0
    return [Counted(f"word {n}") for n in range(count)]


def test_repeated_words_are_found_without_comparing_each_with_each(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    real = header_words.parse_cell_number
    monkeypatch.setattr(header_words, "parse_cell_number", lambda cell: calls.append(cell) or real(cell))
    assert header_words.find_repeated_words([f"gene{n}" for n in range(2000)]) == []
    assert len(calls) <= 2 * 2000


def test_repeated_words_as_before() -> None:
    assert header_words.find_repeated_words(["a", "b", "a", "2", "2.0", "+2", "1e0", "1", "nan", "nan"]) == [
        "a",
        "2.0",
        "+2",
        "1",
        "nan",
    ]
    assert header_words.is_same_word("2.0", "2")
    assert header_words.is_same_word("-0", "0")
    assert not header_words.is_same_word("2.0", "two")


def test_columns_of_one_name_are_found_without_comparing_each_with_each() -> None:
    _check_column_names(Path("cases.csv"), counted(1500), ",")
    assert Counted.comparisons <= 10 * 1500
    with pytest.raises(PolytaskError, match="column 'word 3' occurs twice"):
        _check_column_names(Path("cases.csv"), [*counted(10), "word 3"], ",")


def test_checking_columns_compares_few_of_them() -> None:
    names = counted(1500)
    header = Header.model_validate(
        {
            "polytask": 1,
            "name": "wide",
            "inputs": {"genes": {"kind": "table", "columns": {str(n): {"type": "number"} for n in names}}},
            "tasks": {"grade": {"kind": "classification", "classes": ["low", "high"]}},
        }
    )
    table = TextTable(Path("cases.csv"), ("subject", "grade", *names), ())
    cohort = Cohort(header, Path(), Path("cases.csv"), table.columns, ())
    Counted.comparisons = 0
    assert list(check_header_columns(Evidence(cohort, table))) == []
    assert Counted.comparisons <= 20 * len(names)


def test_of_many_missing_columns_few_are_compared_with_all_others(monkeypatch: pytest.MonkeyPatch) -> None:
    compared = []
    monkeypatch.setattr(
        header_columns, "suggest_word", lambda word, words: compared.append(word) or "did you mean 'x'?"
    )
    header = Header.model_validate(
        {
            "polytask": 1,
            "name": "wide",
            "inputs": {
                "genes": {"kind": "table", "columns": {f"g{n}": {"type": "number"} for n in range(300)}}
            },
            "tasks": {"grade": {"kind": "classification", "classes": ["low", "high"]}},
        }
    )
    table = TextTable(Path("cases.csv"), ("subject", "grade", *(f"G{n}" for n in range(300))), ())
    cohort = Cohort(header, Path(), Path("cases.csv"), table.columns, ())
    found = [p for p in check_header_columns(Evidence(cohort, table)) if p.code == "missing-column"]
    assert len(found) == 300
    assert len(compared) <= 20
    assert found[0].remedy == "did you mean 'x'?"
    assert found[-1].remedy.startswith("add the column")


def test_a_fold_asks_each_subject_once_whether_it_is_held_out() -> None:
    subjects = counted(400)
    held = [subjects[n::4] for n in range(4)]
    brought = {s: frozenset({Stratum("grade", "low")}) for s in subjects}
    Counted.comparisons = 0
    splits._make_folds(held, brought, frozenset(), "0")
    assert Counted.comparisons <= 100 * len(subjects)


def test_repeated_subjects_are_counted_once() -> None:
    subjects = counted(1000)
    assert splits._list_repeated_words([*subjects, subjects[5]]) == ["word 5"]
    assert Counted.comparisons <= 50 * len(subjects)


def test_stratifying_many_rare_marks_looks_at_each_holder_once() -> None:
    """A mark of its own for every subject: all of them once stood in every round."""
    looked = 0

    class Rare(Stratum):
        def __hash__(self) -> int:
            nonlocal looked
            looked += 1
            return hash((self.task, self.word))

    def count(subjects: int) -> int:
        nonlocal looked
        marks = {f"s{n}": frozenset({Rare("site", str(n)), Rare("grade", "low")}) for n in range(subjects)}
        looked = 0
        parts = stratify_subjects(marks, [subjects // 2, subjects - subjects // 2], "0")
        assert [len(p) for p in parts] == [subjects // 2, subjects - subjects // 2]
        return looked

    assert count(400) <= 2.2 * count(200)


def test_the_division_is_the_one_that_was_always_made() -> None:
    """Expected: what the first published form of this function gave; splits of one seed must stay."""
    marks = {
        f"s{n}": frozenset({Stratum("grade", f"G{n % 3}"), *([Stratum("os", "event")] if n % 4 == 0 else [])})
        for n in range(12)
    }
    found = stratify_subjects(marks, [4, 4, 4], "7/0")
    assert found == [["s10", "s2", "s3", "s8"], ["s0", "s11", "s7", "s9"], ["s1", "s4", "s5", "s6"]]
