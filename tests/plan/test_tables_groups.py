"""Groups of columns by name, subsets of sources, and odd cells of tables."""

from __future__ import annotations

from pathlib import Path

import pytest

from polytask.cohort.check import check_cohort
from polytask.cohort.cohort import Cohort
from polytask.errors import PolytaskError
from polytask.plan.rules import column_screening
from polytask.plan.rules.source_subsets import describe_source_subsets
from tests.plan.molecular import TASKS, Cells, basis_of, cells_of, molecular, names, planned, world
from tests.plan.worlds import cohort_of, header


@pytest.mark.parametrize(
    ("columns", "groups", "how"),
    [
        (names(40, "g{}_rna") + names(30, "g{}.mut"), {"rna": 40, "mut": 30}, "last part"),
        (names(40, "rna_g{}") + names(30, "mut_g{}x"), {"rna": 40, "mut": 30}, "part before the last"),
        (names(40, "rna_g{}_5p") + names(30, "mut_g{0}_q{0}"), {"rna": 40, "mut": 30}, "first part"),
        (names(70), {"1-64": 64, "65-70": 6}, "neighboring columns"),
        ([*names(69, "g{}_rna"), "age_mut"], {"1-64": 64, "65-70": 6}, "neighboring columns"),
    ],
)
def test_groups_by_name(
    columns: list[str], groups: dict[str, int], how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(column_screening, "MAX_SMALL_TABLE", 100)
    mixed = [*columns[::2], *columns[1::2]]
    fold = planned(world(mixed, cells_of(23, mixed))).folds[0]
    found = [c.group for c in fold.tables["mol"].values()]
    assert {g: found.count(g) for g in found} == groups
    assert found == sorted(found, key=found.index), "a group is in one piece"
    assert f"{len(groups)} groups" in fold.why["tables.mol"]
    assert how in fold.why["tables.mol"]


def test_groups_of_the_header_come_first() -> None:
    inputs = molecular(["a1", "b1", "a2", "b2", "c"])
    for name, spec in inputs["mol"]["columns"].items():
        spec |= {"group": name[0]} if name != "c" else {}
    fold = planned(world([], cells_of(12, ["a1", "b1", "a2", "b2", "c"]), inputs=inputs)).folds[0]
    assert {n: c.group for n, c in fold.tables["mol"].items()} == {
        "a1": "a", "a2": "a", "b1": "b", "b2": "b", "c": None}  # fmt: skip
    assert list(fold.tables["mol"]) == ["a1", "a2", "b1", "b2", "c"]
    assert fold.why["tables.mol"] == (
        "5 of 5 columns are used; 3 groups of columns, as in the header: a 2, b 2, no group 1"
    )


def test_the_plan_says_which_subsets_of_sources_were_seen() -> None:
    inputs = {"scan": {"kind": "image", "channels": {"ct": "CT"}}, **molecular(["age"])}
    rows: Cells = [{"grade": f"G{1 + i % 3}"} for i in range(12)]
    for i, row in enumerate(rows):
        row |= {"scan.ct": f"{i}.nii.gz"} if i > 0 else {}
        row |= {"age": str(i)} if i not in (0, 3, 4) else {}
    cohort = cohort_of(header(inputs=inputs, tasks={"grade": TASKS["grade"]}), rows)
    text = describe_source_subsets(basis_of(cohort, [f"s{i:02d}" for i in range(9)]))
    assert text == (
        "inputs of the 9 training samples: scan + mol 6, scan 2, none 1; other combinations are learned only from "
        "inputs hidden at random (source_dropout)"
    )
    rows[4] = {"grade": "G2", "age": "3"}
    whole = cohort_of(cohort.header, rows)
    assert describe_source_subsets(basis_of(whole, ["s02", "s03", "s04"])).endswith(
        "; every combination of inputs occurs"
    )
    assert ": scan + mol 6" in planned(cohort).folds[0].why["sources"]


def test_a_subject_column_on_another_visit_counts_and_one_input_is_said() -> None:
    rows: Cells = [
        {"subject": f"s{i}", "visit": v, "grade": "G1"} | ({"age": "3"} if v == "b" else {})
        for i in range(2)
        for v in "ab"
    ]
    for level, words in (("subject", "mol 4"), ("visit", "mol 2, none 2")):
        head = header(
            inputs=molecular(["age"], level=level), tasks={"grade": TASKS["grade"]}, visits=["a", "b"]
        )
        text = describe_source_subsets(basis_of(cohort_of(head, rows)))
        assert text == f"inputs of the 4 training samples: {words}; there is only one input"


def strings(folder: Path) -> Path:
    """A cohort on disk with a column of words that the header calls a number."""
    head = "polytask: 1\nname: w\ninputs:\n  mol: {kind: table, columns: {smoker: {type: number}}}\ntasks:\n"
    folder.mkdir()
    (folder / "cohort.yaml").write_text(head + "  type: {kind: classification, classes: [a, b]}\n")
    lines = [f"s{i},{'never' if i % 3 else 'now'},{'ab'[i % 2]}" for i in range(12)]
    (folder / "cases.csv").write_text("subject,smoker,type\n" + "\n".join(lines) + "\n")
    return folder


def test_a_column_of_strings_declared_numeric_is_one_line_in_check_and_plan(tmp_path: Path) -> None:
    folder = strings(tmp_path / "cohort")
    found = [p for p in check_cohort(folder) if p.code == "odd-cell"]
    assert {(p.row, p.subject, p.column) for p in found} == {(i + 2, f"s{i}", "smoker") for i in range(12)}
    assert "'now' is not a number" in found[0].message
    assert "write a number" in found[0].remedy
    with pytest.raises(PolytaskError) as raised:
        planned(Cohort.read(folder))
    line = str(raised.value)
    assert "\n" not in line
    for word in ("cases.csv, row 2, subject s0, column smoker", "'now' is not a number", "write a number"):
        assert word in line


def test_a_string_among_very_many_columns_is_found_too() -> None:
    columns = names(400)
    cells = cells_of(18, columns)
    cells[4]["gene321"] = "high"
    with pytest.raises(
        PolytaskError, match="row 6, subject s04, column gene321: 'high' is not a number; write"
    ):
        planned(world(columns, cells))
