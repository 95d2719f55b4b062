"""`RunRequest`: one list of what can be asked of a run, for Python, the command line and a study."""

from __future__ import annotations

import inspect
import re
from dataclasses import fields, replace
from pathlib import Path

import pytest

from polytask.cli import train as train_verb
from polytask.study.run_spec import RunSpec
from polytask.training import RunRequest, train

FIELDS = [field.name for field in fields(RunRequest)]
SPEC = RunSpec("/s", "s.hard-fold1-seed2", "hard", "hard", "famo", "", 1, 2, 9, ("a",), ("b=1",), "cpu", 1, 5)


def test_keywords_become_fields_and_the_rest_keeps_its_default() -> None:
    request = RunRequest.from_options({"fold": 3, "tasks": ["grade"]})
    assert request == RunRequest(fold=3, tasks=["grade"])
    assert replace(request, fold=0, tasks=None) == RunRequest()


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ("sharng", "did you mean 'sharing'"),
        ("reportr", "did you mean 'reporter'"),
        ("zzz", "use one of .*fold"),
    ],
)
def test_an_unknown_keyword_is_named_with_the_nearest(tmp_path: Path, wrong: str, words: str) -> None:
    with pytest.raises(TypeError, match=f"no option '{wrong}'; .*{words}"):
        train(tmp_path, **{wrong: 1})  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())


def test_every_field_is_explained_in_its_order() -> None:
    told = re.findall(r"^ +(\w+): ", inspect.getdoc(RunRequest) or "", re.MULTILINE)
    assert told == FIELDS


def test_people_see_the_options_of_train_by_name() -> None:
    shown = inspect.signature(train).parameters
    assert list(shown) == ["work", "reporter", *FIELDS]
    assert shown["sharing"].kind is inspect.Parameter.KEYWORD_ONLY
    assert shown["fold"].default == 0


def test_the_verb_passes_on_every_field() -> None:
    text = inspect.getsource(train_verb)
    assert [name for name in FIELDS if not re.search(rf"\b{name}=", text)] == []


def test_a_study_asks_for_the_run_of_its_arm() -> None:
    wanted = RunRequest(
        fold=1,
        seed=2,
        sharing="hard",
        balance="famo",
        name=SPEC.name,
        tasks=("a",),
        steps=9,
        overrides=("b=1",),
        keep_sizes=True,
        device="cpu",
    )
    assert SPEC.make_run_request() == wanted
    of_preset = replace(SPEC, preset="mtan").make_run_request()
    assert of_preset == replace(wanted, preset="mtan", sharing=None), "a preset brings its own sharing"


def test_the_run_of_an_arm_has_the_form_of_the_arm() -> None:
    published = replace(SPEC, sharing="mtan", form="paper").make_run_request()
    assert (published.sharing, published.overrides) == ("mtan", ("b=1",))
    light = replace(SPEC, sharing="mtan", form="light").make_run_request()
    assert (light.sharing, light.overrides) == ("mtan_light", ("b=1",))


def test_the_run_of_an_older_study_is_the_same_run() -> None:
    """Its identity has no form, and the names of its arm mean the light forms."""
    assert "form" not in SPEC.identity()
    assert replace(SPEC, form="light").identity()["form"] == "light"
    older = replace(SPEC, sharing="mtan").make_run_request()
    assert older.overrides == ("model.form=light", "b=1")
    of_preset = replace(SPEC, sharing="mtan", preset="mtan").make_run_request()
    assert of_preset.overrides == ("model.form=light", "model.decoder=private", "b=1")


def test_the_values_of_an_arm_win_over_those_of_the_study() -> None:
    own = replace(SPEC, values=("b=2", "c=3"))
    assert own.make_run_request().overrides == ("b=1", "b=2", "c=3")
    assert own.identity()["values"] == ["b=2", "c=3"]
    assert "values" not in SPEC.identity()
