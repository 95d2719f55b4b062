"""One patient with all answers: pictures and words of everything that was asked."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from polytask.report.answer_lines import AnswerLine, write_pooled_line
from polytask.report.report_material import ReportMaterial
from polytask.report.run_page import RESEARCH_NOTICE, render_run_page
from polytask.report.shown_patients import MAX_SHOWN_PATIENTS, build_patient, select_patients
from polytask.tasks import make_task
from tests.evaluation.worlds import items


@pytest.mark.usefixtures("voxel_pictures_only")
def test_a_patient_has_every_answer(flat: ReportMaterial) -> None:
    """Every task that was answered for the subject, and the picture of every mask."""
    found = select_patients(flat)
    assert len(found) == MAX_SHOWN_PATIENTS
    for one in found:
        asked = {name for name in flat.tasks if one.subject in {s for s, _ in flat.answers.ids(name)}}
        told = {line.question.split(",")[0] for line in one.lines}
        assert told == asked
        assert one.pictures
        assert {k.text for k in one.keys} >= {"lesion", "node"}
    text = render_run_page(flat)
    section = text[text.index('id="patients"') : text.index("</section>", text.index('id="patients"'))]
    assert RESEARCH_NOTICE in section


def test_patients_are_not_chosen_by_how_good_the_answers_are(flat: ReportMaterial) -> None:
    worse = {
        n: replace(i, prediction={k: v[::-1] for k, v in i.prediction.items()})
        for n, i in flat.answers.pooled.items()
    }
    other = replace(flat, answers=replace(flat.answers, pooled=worse))
    assert [p.subject for p in select_patients(other)] == [p.subject for p in select_patients(flat)]


def line_of(flat: ReportMaterial, kind: str, fields: dict[str, Any], *answer: Any) -> AnswerLine:
    task: Any = make_task("t", {"kind": kind, "level": "subject", **fields})
    return write_pooled_line(flat, task, items(*answer), 0)


def test_answers_in_words(flat: ReportMaterial) -> None:
    p = {"p": np.array([[0.75, 0.25]])}
    classes = {"classes": ("no", "yes")}
    assert line_of(flat, "classification", classes, p, [1]) == AnswerLine(
        "t", "no", "no 75 %, yes 25 %", "yes", False
    )
    unknown = line_of(flat, "classification", classes, p, [1], np.array([False]))
    assert (unknown.truth, unknown.right) == ("not known", None)
    number = {"value": np.array([12.34])}
    assert line_of(flat, "regression", {"unit": "mm"}, number, [11.0]) == AnswerLine(
        "t", "12.3 mm", "", "11.0 mm"
    )
    labels = {"labels": ("a", "b")}
    both = line_of(
        flat, "multilabel", labels, {"p": np.array([[0.9, 0.2]])}, [[1, 0]], np.array([[True, False]])
    )
    assert both == AnswerLine("t", "a", "a 90 %, b 20 %", "a (not known: b)")


@pytest.mark.parametrize(
    ("value", "truth"),
    [([412.0, 1], "event after 412 days"), ([812.0, 0], "no event in 812 days of follow-up")],
)
def test_survival_in_words(flat: ReportMaterial, value: list[float], truth: str) -> None:
    fields = {"horizons": (365.0,), "unit": "days"}
    answer = {"risk": np.array([2.0, 1.0]), "p": np.array([[0.3], [0.2]])}
    line = line_of(flat, "survival", fields, answer, [value, [10.0, 1]])
    assert line == AnswerLine(
        "t", "event by 365 days 30 %", "risk higher than in 50 % of the judged subjects", truth
    )
    bare = line_of(flat, "survival", fields, answer | {"p": np.full((2, 1), np.nan)}, [value, [10.0, 1]])
    assert bare.answer == "risk score 2.000"


def test_without_masks_the_image_stands_alone(flat: ReportMaterial) -> None:
    answers = replace(flat.answers, voxel={})
    bare = build_patient(replace(flat, answers=answers), flat.evaluation.subjects[0])
    assert len(bare.pictures) == 1
    assert bare.keys == []
