"""Affinities over runs, and how many of the runs alone find the same groups."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from polytask.plan.plan_schema import PLAN_FILE
from polytask.study.arms import Arm
from polytask.study.conclusions.lookahead_affinity import measure_lookahead_affinity, rate_groupings

TASKS = ("lesion", "grade", "os")


def make_run(folder: Path, plan: Path, networks: dict[str, list[str]], *looks: dict[str, float]) -> Any:
    """A finished run as far as it is read here."""
    folder.mkdir(parents=True)
    (folder / PLAN_FILE).write_text(plan.read_text())
    lines = [json.dumps({"step": k + 1, "affinity": look}) for k, look in enumerate(looks)]
    (folder / "metrics.jsonl").write_text("".join(f"{line}\n" for line in lines))
    evaluated = SimpleNamespace(run=SimpleNamespace(networks=networks))
    return SimpleNamespace(run=SimpleNamespace(folder=folder), evaluated=evaluated)


def test_runs_count_alike_however_often_they_looked(tmp_path: Path, prepared_once: Path) -> None:
    plan, joint = prepared_once / "work" / PLAN_FILE, {"": list(TASKS)}
    apart = {"lesion+grade": ["lesion", "grade"], "os": ["os"]}
    by_arm = {
        "hard": [
            make_run(tmp_path / "a", plan, joint, {"lesion grade": 0.2}, {"lesion grade": 0.4}),
            make_run(tmp_path / "b", plan, joint, {"lesion grade": 0.1, "os grade": -0.3}),
            make_run(tmp_path / "c", plan, joint, {"lesion grade": -0.1, "os grade": 0.3}),
        ],
        "ctan": [make_run(tmp_path / "d", plan, joint, *[{"lesion grade": 9.0}] * 9)],
        "groups": [make_run(tmp_path / n, plan, apart) for n in ("e", "f")],
    }
    arms = (
        Arm("single", "single"),
        Arm("ctan", "ctan"),
        Arm("hard", "hard"),
        Arm("groups", "hard", groups=2),
    )
    gathered: Any = SimpleNamespace(
        asked=dict.fromkeys(TASKS),
        arms=["single", "ctan", "hard", "groups"],
        of_arm=lambda arm: by_arm.get(arm, []),
        study=SimpleNamespace(arms=arms),
    )
    measured = measure_lookahead_affinity(gathered)
    assert measured is not None
    assert (measured.arm, measured.runs, measured.looks) == ("hard", 3, 4), (
        "the arm that groups are made from"
    )
    assert measured.affinity[0, 1] == pytest.approx((0.3 + 0.1 - 0.1) / 3)
    assert measured.spread[0, 1] == pytest.approx(np.std([0.3, 0.1, -0.1], ddof=1) / 3**0.5)
    assert measured.groupings[1].groups == (("lesion", "grade"), ("os",))
    assert measured.groupings[1].runs == 2, "the third run alone would put grade and os together"
    assert measured.trained == {"groups": {(("lesion", "grade"), ("os",)): 2}}
    by_arm["hard"] = []
    other = measure_lookahead_affinity(gathered)
    assert other is not None
    assert other.arm == "ctan"
    by_arm.pop("ctan")
    assert measure_lookahead_affinity(gathered) is None


def test_many_tasks_are_not_grouped() -> None:
    tasks = tuple(f"t{k}" for k in range(13))
    assert rate_groupings(tasks, np.zeros((13, 13)), [np.zeros((13, 13))]) == ()
