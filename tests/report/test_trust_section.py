"""The section "How sure": with simulated promises, and without any."""

from __future__ import annotations

import base64
from dataclasses import replace

import numpy as np
import pytest

from polytask.cli.trust import show_promises
from polytask.report.report_material import ReportMaterial
from polytask.report.run_page import render_run_page
from polytask.report.trust_section import build_trust_sections
from polytask.trust.answer_forms import FORMS
from polytask.trust.fit_runs import RunsTrust, TrustMember, measure_members
from polytask.trust.fit_task import TaskTrust, fit_task
from polytask.trust.survival.fit_survival import fit_survival
from tests.report.test_run_page import Reader
from tests.trust.survival.simulate import draw_survival, make_cox_task
from tests.trust.test_fit_task import draw_grades, draw_labels, draw_numbers


def fit_simulated(folds: int, count: int) -> RunsTrust:
    """Promises about a grade that the network is too sure of, two findings, and a number."""
    drawn = {
        "grade": ("grade", lambda seed: draw_grades(seed, count, 3.0)),
        "findings": ("labels", lambda seed: draw_labels(seed, count)),
        "diameter": ("number", lambda seed: draw_numbers(seed, count)),
    }
    tasks: dict[str, tuple[TaskTrust, ...]] = {}
    measures = {}
    for name, (form, draw) in drawn.items():
        own = tuple(fit_task(FORMS[form], name, draw(seed), 0.1) for seed in range(folds))  # type: ignore[index]
        tasks[name] = own
        measured = measure_members(form, own, {"grade": 0.2, "findings": 0.001}.get(name))  # type: ignore[arg-type]
        assert measured is not None
        measures[name] = measured
    words = {"grade": ("G1", "G2", "G3"), "findings": ("left_spot", "right_spot"), "diameter": ()}
    members = tuple(TrustMember(k, (f"fold{k}",), {f"fold{k}": {"": "x"}}) for k in range(folds))
    without = {"lesion": "nothing is promised for segmentation yet"}
    return RunsTrust(0.9, members, tasks, words, without, measures=measures)


@pytest.fixture(scope="module")
def fitted() -> RunsTrust:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("polytask.trust.fit_task.CHECK_SPLITS", 10)
        return fit_simulated(1, 120)


@pytest.fixture(scope="module")
def promised(flat: ReportMaterial, fitted: RunsTrust) -> ReportMaterial:
    return replace(flat, promises=(fitted,))


def test_the_section_says_on_what_data_and_whether_it_holds(
    promised: ReportMaterial, fitted: RunsTrust
) -> None:
    (section,) = build_trust_sections(promised)
    assert section.title == "This network"
    assert "these answers chose nothing" in section.lead
    sets, errors, brier, answering = (t.table for t in section.tables)
    held = fitted.average_coverage("grade")
    assert held is not None
    assert [name for name, _ in sets.rows] == ["grade", "findings", "diameter"]
    cell = sets.rows[0][1][0]
    assert (cell.value, cell.n) == (f"{held.mean:.0%}", f"n {sum(fitted.count_known('grade'))}")
    assert all(
        t.columns[0] == "task" and len(t.columns) == len(t.rows[0][1]) + 1
        for t in (sets, errors, brier, answering)
    )
    assert len(errors.rows) == len(brier.rows) == 2, "a number has no probabilities"
    raw, after = fitted.measures["grade"].calibration or (None, None)
    assert raw is not None
    assert after is not None
    assert errors.rows[0][1][0].interval == f"{raw.debiased.low:.3f} to {raw.debiased.high:.3f}"
    assert errors.rows[0][1][4].value == "calibrated"
    assert [name for name, _ in answering.rows] == [
        "grade",
        "findings: left_spot",
        "findings: right_spot",
        "diameter",
    ]
    by_task = dict(answering.rows)
    assert by_task["grade"][4].n == "asked 0.2"
    assert by_task["findings: left_spot"][3].value == "none"
    assert by_task["diameter"][3].value == "not asked for"
    assert "lesion: nothing is promised for segmentation yet" in section.remarks


def test_the_page_has_the_section_with_its_pictures(promised: ReportMaterial, without_pictures: None) -> None:
    page = Reader(render_run_page(promised))
    assert ("section", {"id": "trust"}) in page.tags
    assert ("a", {"href": "#trust"}) in page.tags
    alts = [a["alt"] for t, a in page.tags if t == "img"]
    for words in (
        "Reliability of grade before and after",
        "Risk against coverage of grade",
        "Reliability of findings",
    ):
        assert any(words in alt for alt in alts)
    assert not any("Risk against coverage of diameter" in alt for alt in alts), (
        "all its answers are equally sure"
    )
    for name in ("grade", "findings"):
        picture = next(a["src"] for t, a in page.tags if t == "img" and f"coverage of {name}" in a["alt"])
        assert b"<svg" in base64.b64decode(picture.partition(",")[2])
    cells = [a for t, a in page.tags if t == "td"]
    assert all("data-head" in a for a in cells)


def test_folds_together_describe_single_networks(
    flat: ReportMaterial, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("polytask.trust.fit_task.CHECK_SPLITS", 4)
    (section,) = build_trust_sections(replace(flat, promises=(fit_simulated(2, 24),)))
    assert section.title == "2 networks together: fold0, fold1"
    assert "All figures describe single networks" in section.lead
    proved = section.tables[0].table.rows[2][1][3].value
    assert float(proved.strip("%")) < 85
    assert any("for 2 folds together at least" in text for text in section.remarks)


def test_without_promises_the_page_says_which_command_makes_them(
    flat: ReportMaterial, without_pictures: None
) -> None:
    text = Reader(render_run_page(flat)).text
    assert f"polytask trust {flat.folder}" in text
    assert "no answer comes with a promise" in text
    stale = replace(flat, promise_notes=("trust.json belongs to other weights",))
    assert "belongs to other weights" in Reader(render_run_page(stale)).text


def test_what_was_not_checked_is_said(flat: ReportMaterial) -> None:
    few = fit_task(FORMS["number"], "diameter", draw_numbers(0, 3), 0.1)
    alone = RunsTrust(0.9, (TrustMember(0, ("a",), {}),), {"diameter": (few,)}, {"diameter": ()})
    (section,) = build_trust_sections(replace(flat, promises=(alone,)))
    assert section.tables[0].table.rows[0][1][0].value == "not checked"
    assert section.pictures == []
    assert np.isnan(few.scores[""]).sum() == 0


def test_bounds_of_survival_stand_in_a_table_also_where_nothing_else_is_promised(
    flat: ReportMaterial, capsys: pytest.CaptureFixture[str]
) -> None:
    survival = fit_survival([make_cox_task()], [draw_survival(0, 40)[0]], 0.2)
    alone = RunsTrust(0.8, (), {}, {}, survival={"os": survival})
    (section,) = build_trust_sections(replace(flat, promises=(alone,)))
    (bounds,) = (t.table for t in section.tables)
    ((name, cells),) = bounds.rows
    assert name == flat.names.task("os")
    check = survival.places[""].members[0].check
    assert check is not None
    assert cells[1].value == f"{check.low.mean:.0%} to {check.high.mean:.0%}"
    assert len(cells) + 1 == len(bounds.columns)
    show_promises(alone)
    assert cells[1].value in capsys.readouterr().out
