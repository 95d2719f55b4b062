"""What a reader is told beside the numbers of another hospital."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from polytask.evaluation.external.reader_notes import list_few_words, write_reader_notes
from polytask.evaluation.external.training_overlap import TrainingOverlap
from polytask.evaluation.external.word_gaps import WordGap
from polytask.predict.training_digests import TrainingDigests


def tell(
    *gaps: WordGap,
    known: TrainingOverlap | None = None,
    why_not: str = "",
    seen: TrainingDigests | None = TrainingDigests("00", frozenset("x"), frozenset(), 5, "images"),
    drafted: Path | None = None,
    test: int = 0,
    **external: Any,
) -> list[str]:
    usual: dict[str, Any] = {
        "cohort": "away",
        "drop": [],
        "lacking": {},
        "same_id": [],
        "left_out": {"cannot be read": {}, "rows at unknown visits": 0},
    }
    model: Any = SimpleNamespace(why_not=why_not, seen=seen, unseen="nobody knows")
    people: Any = SimpleNamespace(subjects={f"s{k}": (SimpleNamespace(test=k < test),) for k in range(5)})
    return write_reader_notes({**usual, **external}, gaps, model, known or TrainingOverlap(), drafted, people)


def test_nothing_to_tell_is_nothing_told() -> None:
    assert tell() == []


def test_the_drop_comes_first_and_says_what_was_missing() -> None:
    drop = [{"sentence": "It fell."}]
    assert tell(drop=drop) == ["It fell."]
    assert tell(drop=drop, lacking={"channels": {}, "tasks": []}) == [
        "It fell.",
        "At held-out the model had channels that away lacks: the drop includes the effect of missing them.",
    ]
    assert tell(lacking={"channels": {}}) == []
    assert tell(drop=drop, lacking={"channels": {}}, why_not="it was not judged") == [
        "It fell.",
        "No drop from held-out: it was not judged.",
    ]


@pytest.mark.parametrize(
    ("known", "told"),
    [
        (TrainingOverlap(trained=("a",)), "Left out, because their images are in the training: a."),
        (TrainingOverlap(held_out=("a",)), "Judged, although their images are in the held-out part too: a;"),
        (
            TrainingOverlap(ambiguous_subjects=("a",)),
            "Judged, although somebody in the training has the same table cells: a;",
        ),
        (TrainingOverlap(unchecked=("a",)), "Not checked against the training, because there is nothing"),
    ],
)
def test_people_who_were_met_before_are_named(known: TrainingOverlap, told: str) -> None:
    (found,) = tell(known=known)
    assert found.startswith(told)


def test_what_could_not_be_checked_is_told() -> None:
    assert tell(seen=None) == ["Whether subjects were in the training was not checked: nobody knows."]
    coarse = TrainingDigests("00", frozenset(), frozenset(), 5, "cells")
    (found,) = tell(seen=coarse, known=TrainingOverlap(unchecked=("a",)))
    assert found.endswith("too coarse to tell people apart.")
    fine = TrainingDigests("00", frozenset("x"), frozenset(), 5, "cells")
    (found,) = tell(seen=fine, known=TrainingOverlap(trained=("a",)))
    assert found.startswith("Left out, because their table cells are in")
    assert tell(seen=fine) == []


def test_equal_ids_are_a_warning() -> None:
    (found,) = tell(same_id=["a", "b"])
    assert found.endswith("occur in the training too: a, b. They are judged, because their images differ.")
    assert "it is not known whether they are the same people" in tell(same_id=["a"], seen=None)[0]


def test_who_was_left_out_or_in_a_test_part_is_told() -> None:
    left = {"cannot be read": {"a": "no ct"}, "rows at unknown visits": 0}
    assert tell(left_out=left) == ["Left out, because an input that the model needs is missing: a (no ct)."]
    left = {"cannot be read": {}, "rows at unknown visits": 3}
    assert tell(left_out=left) == ["Left out: 3 rows at visits the model does not know."]
    assert tell(test=2) == ["2 of the subjects are the test part of their own cohort."]


@pytest.mark.parametrize(
    ("gap", "told"),
    [
        (
            WordGap("units", "os", ("months",), ("days",)),
            ["os is unknown: away gives it in months, the model in days;"],
        ),
        (
            WordGap("kinds", "size", ("count",), ("regression",)),
            ["size is unknown: count at away, regression in the"],
        ),
        (
            WordGap("classes", "t", ("x",), ()),
            ["Unknown, because the model has no such words: classes of t x."],
        ),
        (WordGap("labels", "t", ("x",), ()), []),
        (
            WordGap("labels", "t", ("x",), ("y",)),
            ["Not used, because they were not mapped", "away lacks structures or"],
        ),
        (
            WordGap("classes", "t", ("x",), ("y",)),
            ["Unknown, because the model has no", "away lacks classes of t y."],
        ),
        (WordGap("tasks", "", (), ("y",)), ["away lacks tasks y."]),
    ],
)
def test_a_gap_is_told_by_what_it_costs(gap: WordGap, told: list[str]) -> None:
    found = tell(gap)
    assert len(found) == len(told)
    assert all(sentence.startswith(start) for sentence, start in zip(found, told, strict=True))


def test_a_draft_is_told_at_the_end() -> None:
    assert "a draft of a mapping lies in mapping.yaml" in tell(drafted=Path("out/mapping.yaml"))[-1]


def test_a_dozen_names_are_listed() -> None:
    names = [str(k) for k in range(13)]
    assert list_few_words(names[:12]) == ", ".join(names[:12])
    assert list_few_words(names) == ", ".join(names[:12]) + " and 1 more"
