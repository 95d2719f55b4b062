"""Affinities by looking ahead, on the page: the matrix with its direction, the groupings, and what was trained."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from polytask.study.conclusions.draw_conclusions import Conclusions
from polytask.study.conclusions.lookahead_affinity import LookaheadAffinity, RatedGrouping
from polytask.study.report.lookahead_section import (
    describe_groupings,
    format_affinity,
    make_lookahead_picture,
    use_lookahead_titles,
)
from polytask.study.report.study_page import render_study_page
from tests.study.report.markup import Markup

PAIR = (("lesion", "grade"), ("os",))


@pytest.fixture
def measured() -> LookaheadAffinity:
    """Lesion helps grade, os hurts both."""
    affinity = np.array([[0.2, 0.004, 0.001], [0.0004, 0.1, np.nan], [-0.002, -0.01, 0.3]])
    spread = np.full((3, 3), 0.0005)
    groupings = (
        RatedGrouping((("lesion", "grade", "os"),), -0.001, 6),
        RatedGrouping(PAIR, 0.0015, 4),
    )
    trained = {"groups": {PAIR: 4, (("lesion",), ("grade", "os")): 2}}
    return LookaheadAffinity("hard", 6, 42, ("lesion", "grade", "os"), affinity, spread, groupings, trained)


def test_a_matrix_has_both_directions(measured: LookaheadAffinity) -> None:
    picture = make_lookahead_picture(measured)
    assert picture is not None
    assert "lesion onto grade +0.4 % ± 0.1;" in picture.alt
    assert "grade onto lesion +0.04 % ± 0.1;" in picture.alt
    assert "os onto grade −1 % ± 0.1" in picture.alt
    assert "6 runs of hard, 42 looks in all" in picture.note
    assert format_affinity(measured, 1, 2) == "–"
    few = replace(measured, runs=1, spread=np.full((3, 3), np.nan))
    assert format_affinity(few, 0, 1) == "+0.4 %"
    one = make_lookahead_picture(few)
    assert one is not None
    assert "a standard error needs 3 runs" in one.note
    assert make_lookahead_picture(replace(measured, tasks=("lesion",))) is None


def test_groupings_are_told_with_how_sure_they_are(measured: LookaheadAffinity) -> None:
    lines = describe_groupings(measured)
    assert lines[0] == "1 network: {lesion, grade, os}, score −0.1 %"
    assert (
        lines[1] == "2 networks: {lesion, grade} · {os}, score +0.15 %; the best in 4 of 6 runs taken alone"
    )
    assert lines[2] == "By affinity alone, {lesion, grade} · {os} would be trained together."
    assert lines[3].startswith(
        "The arm groups trained {lesion, grade} · {os} in 4 runs; {lesion} · {grade, os} in 2 runs: "
    )
    assert "which has to be paid too" in lines[3]
    worse = tuple(replace(g, score=-0.1) for g in measured.groupings)
    alone = describe_groupings(replace(measured, groupings=worse, trained={}))
    assert (
        alone[-1]
        == "By affinity alone, each task would be trained by itself: no grouping has a positive score."
    )
    assert describe_groupings(replace(measured, groupings=(), trained={})) == []


@pytest.mark.usefixtures("blank_pictures")
def test_the_page_has_them_beside_the_cosines(full: Conclusions, measured: LookaheadAffinity) -> None:
    titled = {**full.asked, "os": replace(full.asked["os"], title="Overall survival")}
    gathered = replace(full.gathered, asked=titled)
    conclusions = replace(full, lookahead=measured, gathered=gathered)
    looked = use_lookahead_titles(conclusions)
    assert looked is not None
    assert looked.groupings[1].groups == (("lesion", "grade"), ("Overall survival",))
    assert next(iter(looked.trained["groups"])) == (("lesion", "grade"), ("Overall survival",))
    page = Markup(render_study_page(conclusions))
    assert "One step ahead" in page.text
    assert "2 networks: {lesion, grade} · {Overall survival}" in page.text
    assert len(page.all("source")) == len(page.all("img")) == 8
    assert use_lookahead_titles(full) is None
    assert conclusions.as_dict()["lookahead"]["groupings"][1]["runs"] == 4
    assert conclusions.as_dict()["lookahead"]["trained"]["groups"][0] == {
        "groups": [["lesion", "grade"], ["os"]],
        "runs": 4,
    }
