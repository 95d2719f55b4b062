"""A problem that repeats itself is one line; few ones stay as they are."""

from __future__ import annotations

from polytask.cohort.problem_groups import group_problems
from polytask.errors import Problem


def missing(n: int, column: str = "scan.ct") -> Problem:
    place = {"file": f"i/{n}.nii.gz", "row": n + 2, "subject": f"s{n}", "column": column}
    return Problem("error", "missing-file", f"{column}: no such file", "mend the path", **place)  # type: ignore[arg-type]


def test_two_thousand_are_one_line_with_a_count_and_three_examples() -> None:
    (group,) = group_problems(missing(n) for n in range(2000))
    line = str(group)
    assert line.startswith("error: 2,000 times: scan.ct: no such file (")
    assert "i/0.nii.gz, row 2, subject s0" in line
    assert "i/2.nii.gz, row 4, subject s2" in line
    assert "i/3.nii.gz" not in line
    assert line.endswith("→ mend the path [missing-file]")
    assert group.as_dict()["count"] == 2000
    assert [e["subject"] for e in group.as_dict()["examples"]] == ["s0", "s1", "s2"]
    assert group.as_dict()["code"] == "missing-file", "the keys of a single problem stay"


def test_up_to_three_are_told_one_by_one() -> None:
    found = [missing(n) for n in range(3)]
    assert [str(g) for g in group_problems(found)] == [str(p) for p in found]
    assert [g.count for g in group_problems([*found, missing(3)])] == [4]


def test_messages_that_differ_in_words_of_the_cell_are_one_problem() -> None:
    cells = [
        Problem(
            "error", "unknown-class", f"grade: '{w}' is no class", "use 1", "cases.csv", n, f"p{n}", "grade"
        )
        for n, w in enumerate(["4", "G9", "x", "y"], start=2)
    ]
    (group,) = group_problems(cells)
    assert "cases.csv: 4 times: row 2, subject p2: grade: '4' is no class" in str(group)
    assert "row 3, subject p3: grade: 'G9'" in str(group)


def test_columns_are_kept_apart_until_there_are_many() -> None:
    apart = group_problems([missing(n, c) for c in ("scan.ct", "tumour") for n in range(5)])
    assert [(g.problems[0].column, g.count) for g in apart] == [("scan.ct", 5), ("tumour", 5)]
    columns = [
        Problem("warning", "empty-column", f"gene_{n}: no cell is filled", "remove it", "cases.csv", column=f"gene_{n}")
        for n in range(2400)
    ]  # fmt: skip
    (group,) = group_problems(columns)
    assert group.count == 2400
    assert "gene_0: no cell is filled; gene_1: no cell is filled" in str(group)


def test_different_levels_codes_and_remedies_stay_apart_and_the_order_is_that_of_the_first() -> None:
    mixed: list[Problem] = []
    for n in range(4):
        mixed += [
            missing(n),
            Problem(
                "warning",
                "missing-file",
                "scan.ct: no such file",
                "mend the path",
                row=n + 2,
                column="scan.ct",
            ),
            Problem(
                "error", "unreadable", "scan.ct: truncated", "copy it again", row=n + 2, column="scan.ct"
            ),
        ]
    groups = group_problems(mixed)
    assert [(g.problems[0].level, g.problems[0].code, g.count) for g in groups] == [
        ("error", "missing-file", 4),
        ("warning", "missing-file", 4),
        ("error", "unreadable", 4),
    ]
    assert sum(g.count for g in groups) == len(mixed)


def test_classes_of_the_header_are_told_one_by_one_while_they_are_few() -> None:
    def rare(n: int) -> Problem:
        message = f"task 'grade': class 'G{n}' in 2 subjects, fewer than the 5 folds"
        return Problem(
            "warning", "rare-class", message, f"merge 'G{n}' with another", "cases.csv", column="grade"
        )

    assert [g.count for g in group_problems(map(rare, range(12)))] == [1] * 12
    assert [g.count for g in group_problems(map(rare, range(13)))] == [13]
