"""Another cohort's cells in the model's words."""

from __future__ import annotations

from pathlib import Path

import pytest

from polytask.cohort.cell_values import column_value, image_paths, pooled_value, voxel_source
from polytask.evaluation.external.translate_cohort import translate_cohort
from tests.evaluation.external.worlds import OURS, THEIRS, changed, cohort_of, matched, said

WORDS = """\
classes: {pcr: {0: no, 1: yes}}
labels: {tumour: {heart: node}}
units: {os: 30, size: 2, dose: 0.01, age: 0.5}
"""


def test_answers_and_inputs_come_in_the_models_words(tmp_path: Path) -> None:
    own = cohort_of(tmp_path / "c")
    found = translate_cohort(matched(own, said(tmp_path / "m", WORDS)))
    cohort = found.cohort
    a, b = cohort.cases
    assert (cohort.header.name, found.visits_left_out) == ("theirs", 0)
    assert cohort.header.images["scan"].align == "resample", "how their channels lie is their affair"
    value = {
        n: [pooled_value(cohort, (c,), n) for c in (a, b)]
        for n in ("histology", "pcr", "grade", "size", "os")
    }
    assert value == {
        "histology": [0, None],  # NOS is no class of the model
        "pcr": [1, 0],
        "grade": [1, 2],  # their order runs the other way
        "size": [25.0, None],
        "os": [(900.0, 1.0), None],
    }
    assert pooled_value(cohort, (a,), "findings") == (1, None), "a label without a cell is unknown"
    assert pooled_value(cohort, (b,), "findings") == (0, 1)
    assert column_value(cohort, (a,), "clinic", "age") == 30.0
    assert column_value(cohort, (a,), "clinic", "smoker") == "never"
    assert column_value(cohort, (b,), "clinic", "smoker") is None, "cigars is not among the model's words"
    assert image_paths(cohort, a, "scan") == {"ct": own.root / "a.nii.gz", "pet": None}
    assert (a.site, a.row) == ("X", 2)


def test_masks_keep_their_cells_and_only_what_is_asked_is_known(tmp_path: Path) -> None:
    cohort = translate_cohort(matched(cohort_of(tmp_path / "c"), said(tmp_path / "m", WORDS))).cohort
    a, b = (voxel_source(cohort, case, "tumour") for case in cohort.cases)
    assert a is not None
    assert b is not None
    assert (a.paths, a.known) == ((cohort.root / "ma.nii.gz",), (True, True))
    assert b.known == (True, False), "`tumour_known` is in their words"
    assert cohort.written["tumour"].structures == {"tumour": ("tumour",), "node": ("heart",)}
    assert cohort.written["dose"].factor == 0.01
    alone = translate_cohort(matched(cohort_of(tmp_path / "d"))).cohort
    source = voxel_source(alone, alone.cases[0], "tumour")
    assert source is not None
    assert source.known == (True, False), "nobody asks for their heart"


def test_tasks_that_are_not_shared_have_no_cells(tmp_path: Path) -> None:
    cohort = translate_cohort(matched(cohort_of(tmp_path))).cohort
    assert set(cohort.header.tasks) == set(OURS["tasks"])
    assert all(pooled_value(cohort, (case,), "pcr") is None for case in cohort.cases)
    assert not any("pcr" in case.cells or "extra" in case.cells for case in cohort.cases)


def test_several_of_their_labels_can_be_one_of_ours(tmp_path: Path) -> None:
    theirs = changed(THEIRS, "tasks", findings={"kind": "multilabel", "labels": ["left", "right", "nodule"]})
    rows = [
        {"subject": s, "findings.left": a, "findings.right": b} for s, a, b in ("a10", "b00", "c0?", "d1?")
    ]
    rows = [{k: v.replace("?", "") for k, v in row.items()} for row in rows]
    words = said(tmp_path / "m", "labels: {findings: {left: effusion, right: effusion}}")
    cohort = translate_cohort(matched(cohort_of(tmp_path / "c", theirs, rows), words)).cohort
    found = [pooled_value(cohort, (case,), "findings") for case in cohort.cases]
    assert found == [(1, None), (0, None), None, (1, None)], "absent only where both are known to be"


TWO = {**THEIRS, "visits": ["t0", "t1", "t9"]}
VISITS = [
    {"subject": "a", "visit": "t0", "size": "3", "histology": "", "grade": "1", "age": "50", "type": "adeno"},
    {"subject": "a", "visit": "t1", "size": "4", "grade": "2", "age": "50"},
    {"subject": "b", "visit": "t0", "grade": "3", "age": "50", "type": "squamous"},
    {"subject": "b", "visit": "t1", "grade": "3.0", "age": "51"},
    {"subject": "c", "visit": "t9", "grade": "1"},
]


def test_visits_and_levels(tmp_path: Path) -> None:
    ours = changed({**OURS, "visits": ["baseline", "week6"]}, "tasks", histology={
        "kind": "classification", "level": "visit", "classes": ["adeno", "squamous"]}, grade={
        "kind": "ordinal", "level": "subject", "order": ["1", "2", "3"]})  # fmt: skip
    words = said(tmp_path / "m", "visits: {t0: baseline, t1: week6}")
    found = translate_cohort(matched(cohort_of(tmp_path / "c", TWO, VISITS), words, ours))
    cohort = found.cohort
    assert found.visits_left_out == 1
    assert [(c.subject, c.visit) for c in cohort.cases] == [
        ("a", "baseline"), ("a", "week6"), ("b", "baseline"), ("b", "week6"),
    ]  # fmt: skip
    assert [pooled_value(cohort, cohort.subjects[s], "grade") for s in "ab"] == [None, 2], "visits that agree"
    assert all(pooled_value(cohort, (c,), "histology") is None for c in cohort.cases), "which visit was it?"
    assert [column_value(cohort, cohort.subjects[s], "clinic", "age") for s in "ab"] == [50.0, None]


def test_odd_cells_are_named_in_their_place(tmp_path: Path) -> None:
    from polytask.errors import PolytaskError

    own = cohort_of(tmp_path, rows=[{"subject": "a", "size": "big"}])
    with pytest.raises(PolytaskError, match="row 2, subject a, column size: 'big' is not a number"):
        translate_cohort(matched(own))


def test_a_column_about_the_visit_keeps_each_visits_own_cell(tmp_path: Path) -> None:
    rows = [
        {"subject": "a", "visit": "t0", "smoker": "never", "age": "50"},
        {"subject": "a", "visit": "t1", "smoker": "now", "age": "51"},
    ]
    ours = {**OURS, "visits": ["baseline", "week6"]}
    words = said(tmp_path / "m", "visits: {t0: baseline, t1: week6}")
    cohort = translate_cohort(matched(cohort_of(tmp_path / "c", TWO, rows), words, ours)).cohort
    assert [column_value(cohort, (c,), "clinic", "smoker") for c in cohort.cases] == ["never", "now"]
    assert column_value(cohort, cohort.cases, "clinic", "age") is None, (
        "of the subject, and the visits disagree"
    )


def test_an_answer_about_a_subject_is_one_about_its_visit_where_there_is_one_visit(tmp_path: Path) -> None:
    theirs = changed(TWO, "tasks", size={"kind": "regression", "unit": "mm", "level": "subject"})
    rows = [
        {"subject": "a", "visit": "t0", "size": "3"},
        {"subject": "b", "visit": "t0", "size": "4"},
        {"subject": "b", "visit": "t1", "size": "4"},
    ]
    ours = {**OURS, "visits": ["baseline", "week6"]}
    words = said(tmp_path / "m", "visits: {t0: baseline, t1: week6}")
    cohort = translate_cohort(matched(cohort_of(tmp_path / "c", theirs, rows), words, ours)).cohort
    assert [pooled_value(cohort, (c,), "size") for c in cohort.cases] == [3.0, None, None]
