"""An evaluation and its file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from polytask.errors import PolytaskError
from polytask.evaluation.evaluation_result import Estimate, Evaluation, parse_metrics

NAN = float("nan")


def make_evaluation(**more: Any) -> Evaluation:
    task = {
        "kind": "regression",
        "level": "visit",
        "primary": "r2",
        "higher": True,
        "unit": "mm",
        "names": [],
    }
    found = Estimate(0.5, 0.25, 0.75, 60)
    return Evaluation(
        run="r",
        fold=1,
        seed=2,
        sharing="hard",
        part="held_out",
        subjects=("a", "b"),
        tasks={"size": task},
        metrics={"size": {"r2": found, "mae": Estimate(1.0, NAN, NAN, 3, "too few")}},
        sites={"S": {"size": {"r2": found}}},
        skill={"size": found},
        mean_skill=Estimate(NAN, NAN, NAN, 0),
        counts={"size": {"items": 2, "known": 2, "subjects": 2, "unanswered": 0}},
        **more,
    )


def test_a_file_reads_back_the_same(tmp_path: Path) -> None:
    given = make_evaluation(
        verdicts=("Nothing.",), needed=("ct",), hidden={"ct": {"size": Estimate(0.1, NAN, NAN, 5)}}
    )
    given.write(tmp_path / "evaluation.json")
    found = Evaluation.read(tmp_path / "evaluation.json")
    assert json.dumps(found.as_dict()) == json.dumps(given.as_dict())
    assert (found.subjects, found.verdicts, found.needed) == (("a", "b"), ("Nothing.",), ("ct",))
    assert found.primary("size") == Estimate(0.5, 0.25, 0.75, 60)
    content = json.loads((tmp_path / "evaluation.json").read_text())
    assert content["polytask"] == 1
    assert content["mean_skill"] == {"estimate": None, "low": None, "high": None, "n": 0, "reason": ""}


def test_what_is_not_said_is_usual() -> None:
    found = make_evaluation()
    assert (found.test_touched, found.tta, found.resamples) == (0, False, 1000)
    assert (found.weights, found.verdicts, found.hidden) == ({}, (), {})


def test_null_is_not_a_number_and_a_reason_may_be_missing() -> None:
    (found,) = parse_metrics({"t": {"m": {"estimate": 0, "low": None, "high": 1, "n": 3}}})["t"].values()
    assert (found.estimate, found.high, found.n, found.reason) == (0.0, 1.0, 3, "")
    assert np.isnan(found.low)


def test_a_file_that_is_not_there_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(PolytaskError, match="first"):
        Evaluation.read(tmp_path / "evaluation.json")
