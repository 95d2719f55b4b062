"""How visits and inputs are joined follows the days and the filled cells of the table, through `polytask plan`."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from statistics import mean

import pytest
import yaml

from polytask.cohort.phantom.generator import make_phantom
from polytask.plan import Plan
from polytask.plan.plan_schema import SharedPlan
from tests.journeys.run_cli import run_successfully

Row = dict[str, str]
GAPS = [20, 60, 41, 90, 33, 75, 28, 55, 100, 38, 47, 64]
"""Days from the first visit to the second, irregular: their coefficient of variation is 0.46."""


def plan_phantom(
    folder: Path,
    change: Callable[[list[Row]], list[Row]] = lambda rows: rows,
    visits: int = 2,
    tasks: tuple[str, ...] = ("os", "response"),
    os_visits: list[str] | None = None,
) -> SharedPlan:
    """Write a 2D phantom, change its rows, plan it with the command line, and return the shared part."""
    cohort = make_phantom(folder / "cohort", subjects=12, size=24, dims=2, visits=visits, tasks=tasks)
    with (cohort / "cases.csv").open() as file:
        rows = list(csv.DictReader(file))
    columns = list(rows[0])
    with (cohort / "cases.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(change(rows))
    if os_visits:
        header = yaml.safe_load((cohort / "cohort.yaml").read_text())
        header["tasks"]["os"]["visits"] = os_visits
        (cohort / "cohort.yaml").write_text(yaml.safe_dump(header, sort_keys=False))
    run_successfully("plan", cohort, "-o", folder / "work", "--folds", 2, "--memory", 4)
    return Plan.read(folder / "work").shared


def set_days(rows: list[Row], days: Callable[[int, int], int]) -> list[Row]:
    """Set the day of every visit from the number of its subject and its own number."""
    numbers = {subject: k for k, subject in enumerate(dict.fromkeys(row["subject"] for row in rows))}
    names = ["baseline", *(f"week{6 * k}" for k in range(1, 9))]
    return [{**r, "day": str(days(numbers[r["subject"]], names.index(r["visit"])))} for r in rows]


def test_two_fixed_visits_are_subtracted(tmp_path: Path) -> None:
    shared = plan_phantom(tmp_path, lambda rows: set_days(rows, lambda _, visit: 42 * visit))
    assert shared.model.visit_fusion == "difference"
    reason = shared.why["model.visit_fusion"]
    assert "response joins 2 visits at fixed times (coefficient of variation 0.00 of " in reason
    assert "os reads one visit" in reason


def test_visits_at_irregular_days_are_attended_to(tmp_path: Path) -> None:
    rows: list[Row] = []

    def scatter(table: list[Row]) -> list[Row]:
        rows.extend(set_days(table, lambda subject, visit: GAPS[subject] * visit))
        return rows

    shared = plan_phantom(tmp_path, scatter)
    assert shared.model.visit_fusion == "attention"
    gaps = [float(r["day"]) for r in rows if r["visit"] == "week6" and r["split"] != "test"]
    middle = mean(gaps)
    variation = (sum((g - middle) ** 2 for g in gaps) / (len(gaps) - 1)) ** 0.5 / middle
    assert variation > 0.25
    expected = (
        f"(coefficient of variation {variation:.2f} of {len(gaps)} gaps between visits, {len(gaps)} subjects)"
    )
    assert expected in shared.why["model.visit_fusion"]


@pytest.mark.parametrize(("spread", "fusion"), [(0.24, "difference"), (0.26, "attention")])
def test_the_limit_is_a_quarter(tmp_path: Path, spread: float, fusion: str) -> None:
    """Half of the gaps are `spread` above the mean and half below: the sample's variation is a little larger."""

    def spread_days(rows: list[Row]) -> list[Row]:
        later = [r["subject"] for r in rows if r["visit"] == "week6" and r["split"] != "test"]
        count = len(later) // 2 * 2
        exact = spread * ((count - 1) / count) ** 0.5
        signs = {subject: (-1) ** k for k, subject in enumerate(later[:count])}
        days = {s: round(10_000 * (1 + exact * sign)) for s, sign in signs.items()}
        return [
            {**r, "day": "0" if r["visit"] == "baseline" else str(days.get(r["subject"], ""))} for r in rows
        ]

    assert plan_phantom(tmp_path, spread_days).model.visit_fusion == fusion


def test_more_than_three_visits_are_attended_to(tmp_path: Path) -> None:
    shared = plan_phantom(tmp_path, lambda rows: set_days(rows, lambda _, visit: 42 * visit), visits=4)
    assert shared.model.visit_fusion == "attention"
    assert "response joins 4 visits, more than 3" in shared.why["model.visit_fusion"]


def test_three_visits_of_one_schedule_have_places(tmp_path: Path) -> None:
    """Days 0, 30 and 365 for everybody are regular, although the two gaps differ."""
    shared = plan_phantom(
        tmp_path, lambda rows: set_days(rows, lambda _, visit: (0, 30, 365)[visit]), visits=3
    )
    assert shared.model.visit_fusion == "concat"
    assert (
        "response joins 3 visits at fixed times (coefficient of variation 0.00"
        in shared.why["model.visit_fusion"]
    )


def test_a_visit_that_many_lack_is_not_subtracted(tmp_path: Path) -> None:
    def lose_second_visits(rows: list[Row]) -> list[Row]:
        subjects = [r["subject"] for r in rows if r["response"] and r["split"] != "test"]
        lost = set(list(dict.fromkeys(subjects))[:3])
        return [r for r in rows if r["subject"] not in lost or r["visit"] == "baseline"]

    shared = plan_phantom(tmp_path, lose_second_visits)
    assert shared.model.visit_fusion == "attention"
    assert "and 3 of the " in shared.why["model.visit_fusion"]


def test_nothing_is_joined_where_each_task_reads_one_visit(tmp_path: Path) -> None:
    shared = plan_phantom(tmp_path, tasks=("os",))
    assert shared.model.visit_fusion == "concat"
    assert shared.why["model.visit_fusion"].startswith("concat: not used")


def test_inputs_with_gaps_are_weighed(tmp_path: Path) -> None:
    def empty_tables(rows: list[Row]) -> list[Row]:
        lost = {f"{k:04d}" for k in range(1, 5)}
        return [r if r["subject"] not in lost else {**r, "age": "", "sex": "", "marker": ""} for r in rows]

    shared = plan_phantom(tmp_path, empty_tables)
    assert shared.model.input_fusion == "attention"
    reason = shared.why["model.input_fusion"]
    rows = list(csv.DictReader((tmp_path / "cohort/cases.csv").open()))
    train = {r["subject"] for r in rows if r["split"] != "test"}
    lost = {r["subject"] for r in rows if not (r["age"] or r["sex"] or r["marker"])} & train
    assert f"missing are clinic in {100 * len(lost) / len(train):.0f} % of {len(train)} subjects" in reason


def test_complete_inputs_are_concatenated(tmp_path: Path) -> None:
    shared = plan_phantom(tmp_path)
    assert shared.model.input_fusion == "concat"
    assert "no input is missing in any of" in shared.why["model.input_fusion"]


def test_a_task_that_reads_one_visit_does_not_pay_for_nine(tmp_path: Path) -> None:
    """Nine visits of which only the first is read get the sizes and the costs of one visit."""
    one = plan_phantom(tmp_path / "one", visits=1, tasks=("os",))
    nine = plan_phantom(tmp_path / "nine", visits=9, tasks=("os",))
    assert nine.max_visits == 9
    assert "only baseline (1 of 9) are read by a task" in nine.why["max_visits"]
    assert nine.images["scan"].view == one.images["scan"].view
    assert nine.why["training.batch"] == one.why["training.batch"]
    assert nine.why["images.scan.field"] == one.why["images.scan.field"]
    every = plan_phantom(tmp_path / "every", visits=9, tasks=("os", "response"))
    assert "× 9 visits" in every.why["images.scan.field"]
