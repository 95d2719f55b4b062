from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from polytask.cohort.cohort import Cohort
from polytask.cohort.header import Header
from polytask.cohort.header_file import load_header, make_canonical_text, read_header
from polytask.cohort.strata_columns import find_stratum, list_bands
from polytask.cohort.subject_strata import read_subject_strata
from polytask.errors import PolytaskError
from tests.cohort.worlds import World


def add_column(world: World, name: str, words: dict[str, str]) -> None:
    """Write a word for each subject on its first row, and leave its other rows empty."""
    written = set()
    for row in world.rows:
        row[name] = words.get(row["subject"], "") if row["subject"] not in written else ""
        written.add(row["subject"])


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("sex", {"sex": []}),
        (["sex", {"age": [50, 70]}], {"sex": [], "age": [50.0, 70.0]}),
        ({"sex": None, "age": [50]}, {"sex": [], "age": [50.0]}),
    ],
)
def test_strata_may_be_written_shortly(world: World, written: Any, read: dict[str, list[float]]) -> None:
    world.header["strata"] = written
    world.write()
    assert read_header(world.folder / "cohort.yaml").strata == read


@pytest.mark.parametrize(
    ("written", "message"),
    [
        (["sex", "sex"], "'sex' is named twice"),
        ({"age": [70, 50]}, "do not ascend"),
        ({"age": list(range(12))}, "at most 11"),
        ({"age": ["old"]}, "valid number"),
        ("site", "results per site are given anyway"),
        ("subject", "fixed meaning"),
    ],
)
def test_odd_strata_are_one_problem(world: World, written: Any, message: str) -> None:
    world.header["strata"] = written
    world.write()
    header, problems = load_header(world.folder / "cohort.yaml")
    assert header is None
    assert [message in f"{p.message}; {p.remedy}" for p in problems] == [True], problems


def test_a_value_at_a_cut_belongs_to_the_upper_band() -> None:
    assert [find_stratum(cell, [50, 70]) for cell in ("49.9", "50", "69", "70", "old")] == [
        "< 50",
        "50 to < 70",
        "50 to < 70",
        "≥ 70",
        "",
    ]
    assert list_bands([0.5]) == ["< 0.5", "≥ 0.5"]
    assert find_stratum("F", []) == "F"


def test_strata_are_read_by_subject(world: World) -> None:
    subjects = list(dict.fromkeys(row["subject"] for row in world.rows))
    # The first two write the same number in two ways, the last one is unknown.
    add_column(world, "arm", {subjects[0]: "2", subjects[1]: "2.0", subjects[2]: "1"})
    add_column(world, "years", {subjects[0]: "40", subjects[1]: "71", subjects[2]: "50"})
    world.header["strata"] = ["arm", {"years": [50]}]
    cohort = Cohort.read(world.write())
    strata = read_subject_strata(cohort, subjects)
    assert [strata["arm"][s] for s in subjects] == ["2", "2", "1", *[""] * (len(subjects) - 3)]
    assert [strata["years"][s] for s in subjects[:3]] == ["< 50", "≥ 50", "≥ 50"]
    assert list(read_subject_strata(cohort, subjects[2:3])["arm"]) == [subjects[2]]
    # The columns are not "ignored", but the groups of so few subjects are told.
    assert {p.code for p in world.problems()} == {"small-group"}


def test_faults_of_the_columns_are_told(world: World) -> None:
    world.header["strata"] = ["sexx"]
    assert "'sexx'" in world.only("missing-column").message
    with pytest.raises(PolytaskError, match=r"no column 'sexx', which `strata` names"):
        read_subject_strata(Cohort.read(world.folder))

    world.header["strata"] = {"years": [50]}
    add_column(world, "years", {world.rows[0]["subject"]: "old"})
    assert "'old', which is not a number" in world.only("odd-cell").message

    world.header["strata"] = "years"
    add_column(world, "years", {})
    world.rows[0]["years"] = "40"
    next(r for r in world.rows[1:] if r["subject"] == world.rows[0]["subject"])["years"] = "41"
    assert "'41', but '40' in row 2" in world.only("disagreement").message
    # Both lie in one band, so they agree; but it is the only band.
    world.header["strata"] = {"years": [50]}
    assert "has one group, '< 50', for all subjects" in world.only("one-group").message
    add_column(world, "years", {})
    assert "'years' under `subgroups` is empty" in world.only("one-group").message


def test_a_column_with_many_values_asks_for_cuts(tmp_path: Path) -> None:
    rows = "".join(f"{k},{k}.5\n" for k in range(13))
    (tmp_path / "cases.csv").write_text(f"subject,age\n{rows}")
    header = {
        "polytask": 1,
        "name": "x",
        "inputs": {"t": {"kind": "table", "columns": {"age": {"type": "number"}}}},
        "tasks": {},
        "strata": "age",
    }
    cohort = Cohort.from_table(Header.model_validate(header), tmp_path / "cases.csv")
    with pytest.raises(PolytaskError, match=r"13 different values, more than 12; .*cut its numbers"):
        read_subject_strata(cohort)
    twelve = Cohort(cohort.header, cohort.root, cohort.table, cohort.columns, cohort.cases[:12])
    assert len(set(read_subject_strata(twelve)["age"].values())) == 12


def test_strata_change_no_hash(world: World) -> None:
    before = Cohort.read(world.write()).digest
    world.header["strata"] = {"site2": []}
    assert Cohort.read(world.write()).digest == before


def test_subgroups_are_another_word_for_strata(world: World) -> None:
    subjects = list(dict.fromkeys(row["subject"] for row in world.rows))
    for column in ("sex", "years"):
        add_column(world, column, {s: str(k % 2 * 60) for k, s in enumerate(subjects)})
    world.header["strata"] = "sex"
    world.header["subgroups"] = {"years": [0, 50, 70]}
    cohort = Cohort.read(world.write())
    assert list(read_subject_strata(cohort)) == ["sex", "years"]
    assert set(read_subject_strata(cohort)["years"].values()) == {"0 to < 50", "50 to < 70"}
    plain = {key: own for key, own in world.header.items() if key not in ("strata", "subgroups")}
    assert make_canonical_text(cohort.header) == make_canonical_text(Header.model_validate(plain))
    odd = {"sex": "also under `strata`", "site": "results per site", ("years", 70, 50): "do not ascend"}
    for key, message in odd.items():
        written = key if isinstance(key, str) else {key[0]: list(key[1:])}
        world.header["subgroups"] = written
        world.write()
        header, problems = load_header(world.folder / "cohort.yaml")
        assert header is None
        assert [message in f"{p.message}; {p.remedy}" for p in problems] == [True], problems
