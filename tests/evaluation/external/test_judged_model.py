"""What is known of the past of a model."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from polytask.errors import PolytaskError
from polytask.evaluation.external import judged_model as external_model
from polytask.evaluation.external.judged_model import JudgedModel, open_model

FOUND = {"size": {"r2": {"estimate": 0.5, "low": 0.25, "high": 0.75, "n": 60}}}
MEMBER = {"evaluation": FOUND, "run": {"sharing": "hard", "created": "2026-01-01"}}
DESCRIBED = {
    "name": "cohort",
    "sha256": "seal",
    "members": [MEMBER, {**MEMBER, "run": {"sharing": "mtan", "created": "2026-01-02"}}],
    "environment": {"polytask": "1", "torch": "2"},
}


def make_predictor(**columns: Any) -> Any:
    member = SimpleNamespace(fold=2, seed=7, plan=SimpleNamespace(tables={"clinic": columns}))
    sex = SimpleNamespace(values=["f", "m"])
    header = SimpleNamespace(
        name="cohort",
        tables={"clinic": SimpleNamespace(columns={"sex": sex, "age": SimpleNamespace(values=None)})},
    )
    return SimpleNamespace(members=[member, member], header=header)


def open_it(folder: Path, monkeypatch: pytest.MonkeyPatch, described: Any) -> JudgedModel:
    (folder / "model.json").write_text(json.dumps(described))
    monkeypatch.setattr(
        external_model, "Predictor", SimpleNamespace(load=lambda source, device=None: make_predictor())
    )
    return open_model(folder)


def test_an_exported_model_says_what_its_members_were(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = open_it(tmp_path, monkeypatch, DESCRIBED)
    assert (found.run, found.trained_on, found.weights) == (None, "cohort", {"": "seal"})
    assert found.record == {
        "name": tmp_path.name,
        "fold": 2,
        "seed": 7,
        "sharing": "hard, mtan",
        "created": "2026-01-01",
        "polytask": "1",
        "torch": "2",
    }
    assert [m["size"]["r2"].estimate for m in found.held_out] == [0.5, 0.5]
    assert (found.why_not, found.seen) == ("", None)
    assert found.unseen.startswith("the model holds no digests")
    assert found.ids == frozenset()


def test_a_member_that_was_not_evaluated_leaves_no_held_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    described = {**DESCRIBED, "members": [MEMBER, {**MEMBER, "evaluation": None}]}
    found = open_it(tmp_path, monkeypatch, described)
    assert found.held_out == ()
    assert found.why_not.startswith("the model was exported before its runs were evaluated")


def test_a_description_of_another_form_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(PolytaskError, match="not as `polytask export` wrote it"):
        open_it(tmp_path, monkeypatch, {**DESCRIBED, "members": [{"run": {}}]})


def test_categories_are_those_of_the_header_and_of_every_member() -> None:
    learned = SimpleNamespace(values=["m", "x"])
    predictor = make_predictor(sex=learned, smoker=SimpleNamespace(values=["never"]))
    model = JudgedModel(predictor, None, {}, "", {}, (), "", None, "")
    assert model.categories == {"sex": ["f", "m", "x"], "smoker": ["never"]}
