"""What may stand behind `--prevalence`, and what is refused in one line."""

from __future__ import annotations

import pytest

from polytask.errors import PolytaskError
from polytask.tasks import make_task
from polytask.tasks.task import Task
from polytask.trust.prevalence_request import (
    PrevalenceRequest,
    parse_prevalences,
    read_stored_prevalence,
    store_prevalence,
)

TASKS: dict[str, Task] = {
    "response": make_task("response", {"kind": "classification", "level": "visit", "classes": ("no", "yes")}),
    "grade": make_task("grade", {"kind": "ordinal", "level": "visit", "classes": ("G1", "G2", "G3")}),
    "signs": make_task("signs", {"kind": "multilabel", "level": "visit", "labels": ("a", "b=c")}),
    "size": make_task("size", {"kind": "regression", "level": "visit", "deviation": 1.0}),
}


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("response=0.08", [("response", "", (0.92, 0.08))]),
        ("response=yes:0.08,no:0.92", [("response", "", (0.92, 0.08))]),
        ("response=estimate", [("response", "", None)]),
        ("grade=G3:0.1,G1:0.6,G2:0.3", [("grade", "", (0.6, 0.3, 0.1))]),
        ("signs.b=c=0.25", [("signs", "b=c", (0.75, 0.25))]),
        ("signs=estimate", [("signs", "a", None), ("signs", "b=c", None)]),
    ],
)
def test_every_form_is_understood(text: str, wanted: list[tuple[str, str, tuple[float, ...] | None]]) -> None:
    assert parse_prevalences([text], TASKS) == [PrevalenceRequest(*own) for own in wanted]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("response", "expected TASK=SHARE"),
        ("respons=0.1", "no task 'respons'; did you mean 'response'?"),
        ("size=0.1", "size is a regression"),
        ("response=0", "above 0 and below 1"),
        ("response=1", "above 0 and below 1"),
        ("response=nan", "above 0 and below 1"),
        ("response=guess", "or 'estimate'; got 'guess'"),
        ("response=yes:0.1", "no share for class 'no'"),
        ("grade=0.1", "expected a share for each class"),
        ("grade=G1:0.5,G2:0.5,G4:0.1", "no class 'G4'"),
        ("grade=G1:0.5,G2:0.5,G3:0.1", "add up to 1.1"),
        ("grade=G1:0.5,G1:0.5", "class 'G1' is named twice"),
        ("grade=G1:1.5,G2:-0.4,G3:-0.1", "above 0 and below 1"),
        ("signs=0.1", "signs has labels; name one, e.g. signs.a=0.1"),
    ],
)
def test_everything_else_is_one_line(text: str, told: str) -> None:
    with pytest.raises(PolytaskError) as raised:
        parse_prevalences([text], TASKS)
    assert told in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_question_is_asked_once() -> None:
    with pytest.raises(PolytaskError, match=r"signs\.a is named twice"):
        parse_prevalences(["signs=estimate", "signs.a=0.3"], TASKS)


def test_a_model_keeps_what_it_was_exported_for() -> None:
    promises = {"level": 0.9, "seal": "old"}
    stored = store_prevalence(TASKS, promises, ["response=0.08"])
    assert read_stored_prevalence(stored) == [PrevalenceRequest("response", "", (0.92, 0.08))]
    assert stored["seal"] != "old"
    assert read_stored_prevalence(promises) == read_stored_prevalence(None) == []
    for given, texts, told in (
        (None, ["response=0.1"], "run `polytask trust RUN` first"),
        (promises, ["response=estimate"], "exported for a stated prevalence"),
    ):
        with pytest.raises(PolytaskError, match=told):
            store_prevalence(TASKS, given, texts)
