from __future__ import annotations

import base64
from dataclasses import replace
from math import nan

import pytest

from polytask.evaluation.evaluation_result import Estimate, SubgroupResult
from polytask.evaluation.strata_results import estimate_metrics_by_stratum
from polytask.evaluation.subgroup_results import compare_subgroups
from polytask.report.report_material import ReportMaterial
from polytask.report.run_page import render_run_page
from polytask.report.strata_sections import build_strata_sections, restrict_to_stratum
from polytask.report.subgroup_section import build_subgroup_section, describe_worst_group

NOTHING = Estimate(nan, nan, nan, 0)


@pytest.fixture(scope="module")
def parted(flat: ReportMaterial) -> ReportMaterial:
    """The flat run with two strata of about equal size, a third of three, and one subject of none."""
    subjects = list(flat.answers.sites)
    strata = {
        "arm": {s: "" if k == 0 else "AB"[k % 2] for k, s in enumerate(subjects)},
        "age": {s: ("< 50", "50 to < 70", "≥ 70")[k % 3] for k, s in enumerate(subjects)},
    }
    answers = replace(flat.answers, strata=strata)
    results = estimate_metrics_by_stratum(flat.tasks, answers, resamples=20)
    return replace(flat, answers=answers, evaluation=replace(flat.evaluation, strata=results))


@pytest.mark.usefixtures("without_pictures")
def test_two_strata_have_one_difference_and_more_have_one_each(parted: ReportMaterial) -> None:
    arm, age = build_strata_sections(parted)
    size = {stratum: result.subjects for stratum, result in parted.evaluation.strata["arm"].items()}
    assert arm.tables[0].columns == ["task", f"A ({size['A']} subjects)", f"B ({size['B']} subjects)"]
    assert arm.tables[1].columns == ["task", "A − B"]
    assert age.tables[1].columns == [
        "task",
        "< 50 − all others",
        "50 to < 70 − all others",
        "≥ 70 − all others",
    ]
    assert [len(t.rows) for t in (*arm.tables, *age.tables)] == [len(parted.tasks)] * 4
    assert "Left out because the column is empty: 1 subjects." in arm.note
    assert "Left out" not in age.note
    assert f"not corrected for the {len(parted.tasks)} comparisons" in arm.note
    assert len(arm.details) == 2 * len(parted.tasks)
    assert arm.details[0].title.endswith(f"arm A ({size['A']} subjects)")


def test_curves_of_a_stratum_are_of_its_subjects(parted: ReportMaterial) -> None:
    restricted = restrict_to_stratum(parted, "arm", "A")
    members = {s for s, own in parted.answers.strata["arm"].items() if own == "A"}
    for name in parted.tasks:
        assert {s for s, _ in restricted.answers.ids(name)} <= members
        assert restricted.evaluation.metrics[name] == parted.evaluation.strata["arm"]["A"].metrics[name]
    counted = {name: len(a.ids) for name, a in restricted.answers.pooled.items()}
    assert all(0 < n < len(parted.answers.pooled[name].ids) for name, n in counted.items())
    alone = replace(parted.evaluation, strata={"arm": {"A": parted.evaluation.strata["arm"]["A"]}})
    section = build_strata_sections(replace(parted, evaluation=alone))[0]
    drawn = {d.title.partition(",")[0] for d in section.details if d.pictures and "arm A" in d.title}
    assert drawn == {parted.names.task(name) for name in parted.answers.pooled}


@pytest.mark.usefixtures("without_pictures")
def test_the_page_has_the_section_only_with_strata(flat: ReportMaterial, parted: ReportMaterial) -> None:
    assert 'id="strata"' not in render_run_page(flat)
    page = render_run_page(parted)
    assert page.count('id="strata"') == 1
    assert page.count("<details><summary>") == 5 * len(parted.tasks)
    assert "A − B" in page


def test_every_group_is_drawn_and_the_worst_is_named(parted: ReportMaterial) -> None:
    results = compare_subgroups(
        parted.tasks, parted.answers, parted.evaluation.sites, parted.evaluation.strata, 20
    )
    evaluation = replace(parted.evaluation, subgroups=results)
    section = build_subgroup_section(replace(parted, evaluation=evaluation))
    assert section is not None
    assert [t.title for t in section.tables if t.title.startswith("by age")] == [
        "by age: difference from all others",
        "by age: difference of the calibration error",
    ]
    cells = [cell for table in section.tables for _, row in table.rows for cell in row]
    assert any("needed (n " in cell.why for cell in cells), "a small group says why it has no number"
    text = base64.b64decode(section.pictures[0].source.partition(",")[2]).decode()
    assert "arm A (n " in text
    assert "Groups also differ in case mix" in section.note
    assert build_subgroup_section(replace(parted, evaluation=replace(evaluation, subgroups={}))) is None
    name = next(iter(parted.tasks))
    clear = SubgroupResult(90, Estimate(0.5, 0.4, 0.6, 90), Estimate(-0.2, -0.3, -0.1, 200), *[NOTHING] * 2)
    marked = replace(evaluation, subgroups={"arm": {"A": {name: clear}, "B": {}}})
    told = describe_worst_group(replace(parted, evaluation=marked), name)
    assert "worst of 1 groups is arm A" in told
    assert "the interval includes 0" not in told
