"""Who is where and what they are like: counted from the table, without opening the test part."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import skew

from polytask.cohort.cohort import Cohort
from polytask.report.characteristics import build_table_one, compute_skewness, format_spread
from polytask.report.metric_tables import TableCell
from polytask.report.report_material import ReportMaterial
from polytask.report.subject_flow import build_subject_flow


def spoilt_test_part(material: ReportMaterial) -> ReportMaterial:
    """The same with cells of test subjects that cannot be read."""
    cohort = material.cohort
    cases = tuple(replace(c, cells=dict.fromkeys(c.cells, "spoilt")) if c.test else c for c in cohort.cases)
    return replace(material, cohort=Cohort(cohort.header, cohort.root, cohort.table, cohort.columns, cases))


def test_subjects_add_up(flat: ReportMaterial) -> None:
    found = build_subject_flow(flat)
    assert found is not None
    test = len(flat.cohort.list_split_subjects("test"))
    assert test > 0
    assert found.whole.lines == (f"{len(flat.cohort.subjects)} subjects",)
    assert [b.title for b in found.parts] == ["Train", "Tune", "Held out"]
    counts = [int(b.lines[0].split()[0]) for b in (*found.aside, *found.parts)]
    assert sum(counts) == len(flat.cohort.subjects)
    assert found.parts[2].lines[0] == f"{len(flat.evaluation.subjects)} subjects"
    cases = [c for s in flat.parts["train"] for c in flat.cohort.subjects[s]]
    assert f"{len(cases)} visits" in found.parts[0].lines
    assert (
        f"scan: {sum('scan.xr' in c.cells or 'scan.ct' in c.cells for c in cases)} images"
        in found.parts[0].lines
    )


def test_known_answers_of_the_held_out_part_are_those_the_numbers_rest_on(flat: ReportMaterial) -> None:
    found = build_subject_flow(flat)
    assert found is not None
    for name, cells in found.known.rows:
        assert (
            int(cells[2].value)
            == flat.evaluation.counts[name]["known"] + flat.evaluation.counts[name]["unanswered"]
        )
    grade = dict(found.known.rows)["grade"][2].n
    assert grade == ", ".join(f"{k} {n}" for k, n in flat.evaluation.counts["grade"]["classes"].items())


def test_the_test_part_is_counted_and_not_opened(flat: ReportMaterial) -> None:
    spoilt = spoilt_test_part(flat)
    assert build_subject_flow(spoilt) == build_subject_flow(flat)
    assert build_table_one(spoilt) == build_table_one(flat)


def test_a_run_without_its_splits_has_no_flow(flat: ReportMaterial) -> None:
    assert build_subject_flow(replace(flat, parts={})) is None
    assert build_table_one(replace(flat, parts={})) == (None, "")


def test_table_one_by_part(flat: ReportMaterial) -> None:
    table, note = build_table_one(flat)
    assert table is not None
    assert table.columns[1:] == [
        f"{t} (n {len(flat.parts[p])})"
        for t, p in (("Train", "train"), ("Tune", "tune"), ("Held out", "held_out"))
    ]
    rows = dict(table.rows)
    ages = [
        float(c.cells["age"])
        for s in flat.parts["train"]
        for c in flat.cohort.subjects[s][:1]
        if "age" in c.cells
    ]
    shown = rows["age, mean (SD)"][0]
    assert shown.value == f"{np.mean(ages):.1f} ({np.std(ages, ddof=1):.1f})"
    assert shown.n == (
        f"unknown {len(flat.parts['train']) - len(ages)}" if len(ages) < len(flat.parts["train"]) else ""
    )
    women = sum(flat.cohort.subjects[s][0].cells.get("sex") == "female" for s in flat.parts["train"])
    assert rows["sex: female"][0].value.startswith(f"{women} (")
    assert "percent of those known" in note


def test_skewed_values_get_quartiles() -> None:
    values = np.array([1.0, 2.0, 2.0, 3.0, 40.0])
    assert compute_skewness(values) == pytest.approx(abs(skew(values)))
    assert format_spread(values, True, 2) == TableCell("2.0 (2.0 to 3.0)", n="unknown 2")
    assert format_spread(np.zeros(0), False, 4).why == "known for no subject"
    assert compute_skewness(np.ones(5)) == 0
