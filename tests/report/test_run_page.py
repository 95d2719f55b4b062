from __future__ import annotations

import base64
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from polytask.cohort.cohort import Cohort
from polytask.evaluation.evaluate_run import evaluate_answers
from polytask.evaluation.part_answers import CaseMetrics, PartAnswers
from polytask.inference.pooled_answers import PooledAnswers
from polytask.report.report_material import ReportMaterial, gather_report_material
from polytask.report.run_page import RESEARCH_NOTICE, render_run_page
from tests.report.worlds import add_run, finished

NASTY = "<script>alert(1)</script>"


class Reader(HTMLParser):
    """Tags with their attributes, and the text between."""

    def __init__(self, text: str):
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {k: v or "" for k, v in attrs}))

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(scope="module")
def text(flat: ReportMaterial) -> str:
    return render_run_page(flat)


@pytest.fixture(scope="module")
def whole(text: str) -> Reader:
    return Reader(text)


def test_page_needs_nothing_from_outside(whole: Reader) -> None:
    assert not {"script", "link", "iframe", "object"} & {t for t, _ in whole.tags}
    for _, attributes in whole.tags:
        assert all(attributes.get(k, "data:").startswith("data:") for k in ("src", "srcset"))
        assert attributes.get("href", "#").startswith("#")
        assert not [k for k in attributes if k.startswith("on")]
    links = [a["href"][1:] for t, a in whole.tags if t == "a"]
    assert set(links) <= {a["id"] for _, a in whole.tags if "id" in a}


def test_nothing_is_wider_than_a_telephone(text: str, whole: Reader) -> None:
    """Pictures may shrink to the screen, those of axes hardly need to; tables become cards, each cell with its head."""
    widths = [int(w) for w in re.findall(r'<figure class="" style="width: (\d+)px"', text)]
    assert len(widths) == sum(t == "figure" for t, _ in whole.tags)
    assert max(widths) <= 500, "drawn at 420 pixels, letters keep four fifths of their size"
    cells = [a for t, a in whole.tags if t == "td"]
    assert cells
    assert all("data-head" in a for a in cells)
    assert all("cards" in a["class"] for t, a in whole.tags if t == "table")


def test_page_says_what_the_run_is(whole: Reader, flat: ReportMaterial) -> None:
    for word in (
        RESEARCH_NOTICE,
        "hard",
        "phantom",
        "held-out part: 5 subjects",
        "never touched",
        "2026-01-02 03:04 UTC",
    ):
        assert word in whole.text
    for task in flat.tasks:
        assert task in whole.text
    assert "scan: spacing" in whole.text  # a decision of the plan, with its reason
    assert "median of each axis over" in whole.text


def test_every_kind_has_its_pictures(whole: Reader) -> None:
    images = [a for t, a in whole.tags if t == "img"]
    alts = " | ".join(a["alt"] for a in images)
    for words in (
        "Skill of each task",
        "Loss of each task",
        "Worst case of lesion",
        "Worst case of organs",
        "Worst case of dose: prediction − truth",
        "Dose-volume histograms of dose",
        "ROC of grade",
        "Reliability of grade",
        "Confusion of grade",
        "Confusion of pattern",
        "ROC of findings",
        "Bland–Altman",
        "Kaplan–Meier curves of os",
    ):
        assert words in alts
    assert "Confusion of findings" not in alts
    for image in images:
        kind, _, content = image["src"].partition(";base64,")
        start = base64.b64decode(content)[:60]
        assert start.startswith(b"\x89PNG") if kind == "data:image/png" else b"<?xml" in start, kind


def test_numbers_stand_with_interval_and_n(whole: Reader, flat: ReportMaterial) -> None:
    kappa = flat.evaluation.metrics["grade"]["kappa"]
    text = " ".join(whole.text.split())
    assert kappa.reason == "too few: 4 subjects, 30 needed"
    assert f"{kappa.estimate:.3f} too few for an interval n {kappa.n}" in text


@pytest.mark.usefixtures("voxel_pictures_only")
def test_three_dimensions(solid: ReportMaterial) -> None:
    found = Reader(render_run_page(solid))
    assert "The patient's right is at the left." in found.text
    assert "Axial slice with the largest area of high true dose." in found.text


def renamed(material: ReportMaterial, old: str, new: str) -> ReportMaterial:
    """The same with another id of one subject."""

    def ids(given: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
        return tuple((new if s == old else s, v) for s, v in given)

    answers = material.answers
    changed = PartAnswers(
        {(new if s == old else s): NASTY for s in answers.sites},
        {n: PooledAnswers(ids(i.ids), i.prediction, i.value, i.known) for n, i in answers.pooled.items()},
        {n: CaseMetrics(ids(c.ids), c.metrics) for n, c in answers.voxel.items()},
        answers.unanswered,
    )
    found = evaluate_answers(
        material.tasks, changed, {**material.record, "name": NASTY}, "held_out", resamples=5
    )
    return replace(material, answers=changed, evaluation=replace(found, created="2026-01-02T04:00"))


@pytest.mark.usefixtures("voxel_pictures_only")
def test_ids_sites_and_names_are_escaped(flat: ReportMaterial, tmp_path: Path) -> None:
    cases = flat.answers.voxel["lesion"]
    worst = cases.ids[int(np.argmin(cases.column("dice")))][0]
    material = renamed(flat, worst, NASTY)
    cohort = material.cohort
    cohort = Cohort(
        cohort.header,
        cohort.root,
        cohort.table,
        cohort.columns,
        tuple(replace(c, subject=NASTY) if c.subject == worst else c for c in cohort.cases),
    )
    table = (flat.folder / "predictions.csv").read_text()
    (tmp_path / "predictions.csv").write_text(re.sub(rf"(?m)^{worst},", f"{NASTY},", table))
    (tmp_path / "predictions").symlink_to(flat.folder / "predictions")
    text = render_run_page(replace(material, cohort=cohort, folder=tmp_path))
    assert NASTY not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert "script" not in {t for t, _ in Reader(text).tags}


def test_class_missing_nothing_known_no_site_no_log(flat: ReportMaterial) -> None:
    pooled = dict(flat.answers.pooled)
    one = pooled["pattern"]
    pooled["pattern"] = PooledAnswers(one.ids, one.prediction, np.zeros_like(one.value), one.known)
    for name in ("grade", "os", "diameter", "findings"):
        items = pooled[name]
        pooled[name] = PooledAnswers(items.ids, items.prediction, items.value, np.zeros_like(items.known))
    nobody = PooledAnswers((), {}, np.zeros(0), np.zeros(0, bool))
    pooled["response"] = nobody
    answers = PartAnswers(
        dict.fromkeys(flat.answers.sites, ""),
        pooled,
        {n: CaseMetrics((), ()) for n in flat.answers.voxel},
        flat.answers.unanswered,
    )
    found = evaluate_answers(flat.tasks, answers, flat.record, "held_out", resamples=5)
    text = Reader(render_run_page(replace(flat, answers=answers, evaluation=found, log={}))).text
    assert text.count("not defined") > 10
    assert "not named" in text
    assert "By site" not in text
    assert "nan" not in text.lower().replace("finance", "")


def test_a_missing_prediction_file_is_named(flat: ReportMaterial, tmp_path: Path) -> None:
    from polytask.errors import PolytaskError

    with pytest.raises(PolytaskError, match=r"predictions\.csv: no row of subject"):
        render_run_page(replace(flat, folder=tmp_path))


def test_comparison_table_and_costs(tmp_path: Path) -> None:
    run = finished(tmp_path, dims=2, tasks=["grade", "diameter", "os"])
    cohort = Cohort.read(tmp_path / "cohort")
    add_run(cohort, run.work, "single", 0.2, steps=80)
    material = gather_report_material(run.folder, [run.work / "runs" / "single"], resamples=30)
    page = render_run_page(material)
    assert render_run_page(material) == page, "the same material gives the same page"
    text = Reader(page).text
    assert "hard against single" in text
    assert "One training each" in text
    assert "Not trained equally long: 40 steps against 80" in text
    assert "one step of every network" in text
    gap = material.comparisons[0].tasks["diameter"]
    assert gap.values[0] > gap.values[1]
    assert material.comparisons[0].as_dict()["tasks"]["diameter"]["difference"]["n"] == gap.difference.n
