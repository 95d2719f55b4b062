"""Simple models beside a network, on the same cases."""

from __future__ import annotations

import json
from dataclasses import replace
from math import exp
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from polytask.evaluation.baselines.judge_baselines import judge_baselines, read_or_fit_baselines
from tests.evaluation.baselines.test_apply_baseline import INPUTS, make_model
from tests.evaluation.baselines.test_fit_baselines import AGES, FOLD, SIZE, write_cohort
from tests.evaluation.worlds import answers, items

MODEL = make_model("regression", [[2.0]], [1.0], method="linear regression", features=["x"], n=12)


def judge(tmp_path: Path, *members: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Sizes 1 to 4 answered 1 too large; the simple model says 1, 2, 3 and is silent about the last."""
    tmp_path.mkdir(exist_ok=True)
    cohort = write_cohort(tmp_path, [40.0] * 4, 4)
    ours = answers({"size": items({"value": np.array([2.0, 3.0, 4.0, 5.0])}, [1.0, 2.0, 3.0, 4.0])})
    volumes = {"mask": {(f"s{k}", ""): {"s": exp(1 + k) - 1} for k in range(3)}}
    return judge_baselines({"size": SIZE}, replace(ours, volumes=volumes), cohort, members, 20)


def test_both_are_judged_where_the_simple_model_answers(tmp_path: Path) -> None:
    found = judge(tmp_path, [MODEL])["size"]["volume of mask"]
    assert (found["metric"], found["higher"], found["method"]) == ("r2", True, "linear regression")
    assert (found["features"], found["fitted_on"]) == (1, 12)
    assert (found["estimate"]["estimate"], found["estimate"]["n"]) == (1.0, 3)
    assert found["network"] == pytest.approx(1 - 3 / 2)
    assert (found["difference"]["estimate"], found["difference"]["n"]) == (pytest.approx(-1.5), 3)


def test_a_model_that_some_member_lacks_is_left_out(tmp_path: Path) -> None:
    assert judge(tmp_path / "a", [MODEL], []) == {}
    assert judge(tmp_path / "b") == {}
    both = judge(tmp_path / "c", [MODEL], [{**MODEL, "intercepts": [3.0]}])
    assert both["size"]["volume of mask"]["estimate"]["estimate"] == pytest.approx(1 - 3 / 2)
    assert judge(tmp_path / "d", [{**MODEL, "task": "other"}]) == {}
    silent = {"volumes": {**INPUTS["volumes"], "task": "other"}}
    assert judge(tmp_path / "e", [{**MODEL, "inputs": silent}]) == {}


def test_models_are_fitted_once_for_a_plan(tmp_path: Path) -> None:
    cohort = write_cohort(tmp_path, AGES, len(AGES))

    def fit(plan: str, train: list[str]) -> tuple[Any, ...]:
        return read_or_fit_baselines(tmp_path, plan, cohort, {"size": SIZE}, FOLD, train, tmp_path / "store")

    first = fit("p", list(cohort.subjects))
    assert [(m["task"], m["name"], m["n"]) for m in first] == [("size", "table", len(AGES))]
    assert json.loads((tmp_path / "baselines.json").read_text())["plan"] == "p"
    assert fit("p", []) == first
    assert fit("other", []) == ()
