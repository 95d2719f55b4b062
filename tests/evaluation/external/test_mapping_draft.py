"""The draft of a mapping: the nearest names as proposals, nothing overwritten, and it can be given back as it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from polytask.cohort.header import Header
from polytask.evaluation.external.cohort_match import list_draft_gaps
from polytask.evaluation.external.mapping_draft import (
    MAPPING_FILE,
    find_unit_factor,
    format_mapping_draft,
    measure_likeness,
    needs_mapping,
    propose_counterparts,
    write_mapping_draft,
)
from polytask.evaluation.external.word_gaps import WordGap
from polytask.evaluation.external.word_map import read_word_map
from tests.evaluation.external.worlds import OURS, THEIRS, changed, cohort_of, matched

RENAMED = changed(
    changed(
        THEIRS,
        "tasks",
        tumour=None, GTV={"kind": "segmentation", "image": "CT", "labels": {"gtv": 1, "lymph_node": 2}},
        dose={"kind": "dose", "image": "CT", "unit": "cGy"},
        histology={"kind": "classification", "level": "subject", "classes": ["Squamous", "ADC", "nos"]},
        os=None, os_months={"kind": "survival", "unit": "months"},
    ),
    "inputs",
    scan=None, CT={"kind": "image", "channels": {"CT": "CT"}},
)  # fmt: skip


def test_the_nearest_names_of_every_section_in_one_go(tmp_path: Path) -> None:
    own = cohort_of(tmp_path / "c", RENAMED, [{"subject": "a"}])
    ours = Header.model_validate(OURS)
    path = write_mapping_draft(list_draft_gaps(ours, list(ours.tasks), {}, own), tmp_path / "out")
    assert path == tmp_path / "out" / MAPPING_FILE
    found = read_word_map(path)
    assert found.tasks == {"GTV": "tumour", "os_months": "os"}, "`extra` is of no kind that is asked"
    assert found.inputs == {"CT": "scan"}
    assert found.channels == {"scan": {"CT": "ct"}}
    assert found.labels == {"tumour": {"gtv": "tumour", "lymph_node": "node"}}
    assert found.classes["histology"] == {"Squamous": "squamous", "ADC": "adeno", "nos": None}
    assert found.classes["pcr"] == {"0": "no", "1": "yes"}
    assert found.units == {"os": 30.4375, "dose": 0.01}
    again = matched(own, found)
    assert set(again.tasks) == set(OURS["tasks"]), "given back as it is, everything is joined"


def test_nothing_is_written_where_no_word_differs_or_over_a_file(tmp_path: Path) -> None:
    same = cohort_of(tmp_path / "c", {**OURS, "name": "same"}, [{"subject": "a"}])
    ours = Header.model_validate(OURS)
    assert (
        write_mapping_draft(
            list_draft_gaps(ours, list(ours.tasks), {"smoker": ["never", "now"]}, same), tmp_path
        )
        is None
    )
    fewer = cohort_of(tmp_path / "f", changed(OURS, "tasks", os=None, dose=None), [{"subject": "a"}])
    assert (
        write_mapping_draft(
            list_draft_gaps(ours, list(ours.tasks), {"smoker": ["never", "now"]}, fewer), tmp_path
        )
        is None
    )
    assert not (tmp_path / MAPPING_FILE).exists()
    (tmp_path / MAPPING_FILE).write_text("mine")
    write_mapping_draft([WordGap("tasks", "", ("a",), ("b",))], tmp_path)
    assert (tmp_path / MAPPING_FILE).read_text() == "mine"


def test_likeness_proposes_one_word_once() -> None:
    assert propose_counterparts(WordGap("classes", "g", ("G1", "G2", "other"), ("grade G2", "grade G1"))) == {
        "G1": "grade G1", "G2": "grade G2", "other": None,
    }  # fmt: skip
    assert propose_counterparts(WordGap("inputs", "", ("xray",), ("scan",))) == {"xray": "scan"}, (
        "the only one left"
    )
    assert propose_counterparts(WordGap("classes", "g", ("xray",), ("scan",))) == {"xray": None}, (
        "a class is another matter"
    )
    assert propose_counterparts(WordGap("visits", "", ("pre", "post"), ("t0", "t1"))) == {
        "pre": "t0",
        "post": "t1",
    }
    assert measure_likeness("Yes", "1") == measure_likeness("lung_left", "Lung-Left") == 1.0


@pytest.mark.parametrize(
    ("theirs", "ours", "factor"),
    [
        ("months", "days", 30.4375), ("years", "months", 12.0), ("weeks", "days", 7.0), ("cm", "mm", 10.0),
        ("cGy", "Gy", 0.01), ("kg", "g", 1000.0), ("days", "mm", None), ("HU", "HU", None), ("(no unit)", "mm", None),
    ],
)  # fmt: skip
def test_factors_of_common_units(theirs: str, ours: str, factor: float | None) -> None:
    assert find_unit_factor(theirs, ours) == (None if factor is None else pytest.approx(factor))


def test_words_that_yaml_would_read_otherwise_come_back_as_they_were(tmp_path: Path) -> None:
    odd = ("yes", "1.0", "a: b", "- x", "", "#1")
    text = format_mapping_draft([WordGap("classes", "t", odd, ("no",))])
    (tmp_path / MAPPING_FILE).write_text(text, encoding="utf-8")
    assert tuple(read_word_map(tmp_path / MAPPING_FILE).classes["t"]) == odd


@pytest.mark.parametrize(
    ("a", "b", "value"),
    [
        ("Yes", "1", 1.0),
        ("absent", "no", 1.0),
        ("m", "male", 1.0),
        ("GTV", "tumor", 1.0),
        (" lung_left ", "lung left", 1.0),
        ("ct", "pet ct", 0.9),
        ("a", "abc", 0.5),
        ("ADC", "adenocarcinoma", 0.6),
        ("abcd", "bcde", 0.75),
        ("x", "y", 0.0),
    ],
)
def test_likeness_by_hand(a: str, b: str, value: float) -> None:
    assert measure_likeness(a, b) == measure_likeness(b, a) == pytest.approx(value)


def test_half_of_the_letters_are_near_enough() -> None:
    assert propose_counterparts(WordGap("classes", "t", ("ab",), ("bc",))) == {"ab": "bc"}
    assert propose_counterparts(WordGap("classes", "t", ("abc",), ("cde",))) == {"abc": None}


def test_without_likeness_only_what_is_left_alone_is_proposed() -> None:
    assert propose_counterparts(WordGap("channels", "scan", ("xx",), ("yy",))) == {"xx": "yy"}
    assert propose_counterparts(WordGap("channels", "scan", ("xx", "zz"), ("yy", "ww"))) == {
        "xx": None,
        "zz": None,
    }
    assert propose_counterparts(WordGap("inputs", "", ("xx",), ("yy", "ww"))) == {"xx": None}
    assert propose_counterparts(WordGap("visits", "", ("xx", "zz"), ("yy",))) == {"xx": None, "zz": None}
    assert propose_counterparts(WordGap("tasks", "", ("xx",), ("yy",))) == {"xx": None}


@pytest.mark.parametrize(
    ("gap", "needed"),
    [
        (WordGap("classes", "t", ("a",), ()), True),
        (WordGap("values", "c", ("a",), ()), True),
        (WordGap("labels", "t", ("a",), ()), False),
        (WordGap("labels", "t", ("a",), ("b",)), True),
        (WordGap("tasks", "", ("a",), ("b",)), True),
        (WordGap("tasks", "", (), ("b",)), False),
        (WordGap("kinds", "t", ("a",), ("b",)), False),
    ],
)
def test_a_person_can_close_a_gap_with_a_word_on_either_side(gap: WordGap, needed: bool) -> None:
    assert needs_mapping(gap) == needed
    assert bool(format_mapping_draft([gap])) == needed


@pytest.mark.parametrize(
    ("theirs", "ours", "factor"),
    [
        ("d", "weeks", 1 / 7),
        ("mo", "days", 365.25 / 12),
        ("y", "days", 365.25),
        ("year", "month", 12.0),
        ("um", "mm", 0.001),
        ("m", "mm", 1000.0),
        ("mm3", "ml", 0.001),
        ("cc", "cm3", 1.0),
        ("L", "ml", 1000.0),
        ("mg", "g", 0.001),
        (" Gy ", "cGy", 100.0),
    ],
)
def test_a_factor_says_how_many_of_ours_one_of_theirs_is(theirs: str, ours: str, factor: float) -> None:
    assert find_unit_factor(theirs, ours) == pytest.approx(factor)


def test_a_unit_is_drafted_with_its_factor_or_without() -> None:
    assert "  os: 30.4375  # the cohort says months" in format_mapping_draft(
        [WordGap("units", "os", ("months",), ("days",))]
    )
    assert "  os:  # the cohort says HU" in format_mapping_draft([WordGap("units", "os", ("HU",), ("days",))])
    text = format_mapping_draft([WordGap("tasks", "", ("a",), ("b",)), WordGap("classes", "t", ("x",), ())])
    assert text.endswith(
        "tasks:\n  a:\n  # left over in the model: b\nclasses:\n  t:\n    x:\n    # left over in the model: (nothing)\n"
    )
