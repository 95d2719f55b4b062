"""Titles of the header stand on the page; files keep the names."""

from __future__ import annotations

from dataclasses import replace

import pytest

from polytask.cohort.cohort import Cohort
from polytask.cohort.header import Header
from polytask.report.report_material import ReportMaterial
from polytask.report.run_page import render_run_page
from tests.report.test_run_page import NASTY, Reader

pytestmark = pytest.mark.usefixtures("without_pictures")


def titled(material: ReportMaterial, nasty: str = "") -> ReportMaterial:
    """The same under a header with titles."""
    content = material.cohort.header.model_dump(mode="json", exclude_defaults=True)
    content["name"] = f"Sarcoma{nasty}"
    content["tasks"]["os"]["title"] = f"Overall survival{nasty}"
    content["tasks"]["grade"]["titles"] = {"G1": f"Grade one{nasty}"}
    content["tasks"]["lesion"]["titles"] = {"lesion": f"Primary tumour{nasty}"}
    content["inputs"]["clinic"]["columns"]["age"]["title"] = f"Age (years){nasty}"
    cohort = material.cohort
    return replace(
        material,
        cohort=Cohort(
            Header.model_validate(content), cohort.root, cohort.table, cohort.columns, cohort.cases
        ),
    )


def test_titles_stand_where_people_read(flat: ReportMaterial) -> None:
    text = " ".join(Reader(render_run_page(titled(flat))).text.split())
    for title in ("Sarcoma", "Overall survival", "Grade one", "Primary tumour", "Age (years), mean (SD)"):
        assert title in text
    heads = [t for t in text.split("  ") if t == "os"]
    assert heads == []
    assert "G2" in text, "a class without a title keeps its name"


def test_titles_are_escaped(flat: ReportMaterial) -> None:
    text = render_run_page(titled(flat, NASTY))
    assert NASTY not in text
    assert "script" not in {t for t, _ in Reader(text).tags}


def test_verdicts_come_first(flat: ReportMaterial) -> None:
    first = f"nothing learned yet: grade {NASTY}"
    text = render_run_page(
        replace(flat, evaluation=replace(flat.evaluation, verdicts=(first, "site explains the classes")))
    )
    assert NASTY not in text
    body = text[text.index("<h1>") :]
    assert body.index("nothing learned yet: grade &lt;script") < body.index("site explains the classes")
    assert body.index("site explains the classes") < body.index('class="facts"') < body.index("<table")
    assert 'class="verdicts"' not in render_run_page(flat)


def test_what_was_made_stands_below_the_results(flat: ReportMaterial) -> None:
    text = render_run_page(flat)
    results, training = text.index('id="results"'), text.index('id="training"')
    for word in ("<dt>parameters</dt>", "<dt>steps</dt>", "mean skill", "<dt>versions</dt>"):
        assert results < training < text.index(word)
    assert text.index("<h1>phantom") < results
    assert "<title>phantom: hard" in text
