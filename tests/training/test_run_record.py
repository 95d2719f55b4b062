"""What a new run is made of."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from polytask.errors import PolytaskError
from polytask.training import run_record
from polytask.training.run_record import assign_networks, find_matched_steps, make_run_record
from tests.training.test_folder import write_run


def test_tasks_share_a_network_or_have_one_each() -> None:
    assert assign_networks(["a", "b"], "hard", {}) == {"": ["a", "b"]}
    assert assign_networks(["a", "b"], "single", {}) == {"a": ["a"], "b": ["b"]}


def test_tasks_that_read_each_other_stay_together() -> None:
    assert assign_networks(["a", "b", "c"], "single", {"c": ["a"]}) == {"a+c": ["a", "c"], "b": ["b"]}
    assert assign_networks(["a", "b", "c"], "single", {"a": ["c"]}) == {"a+c": ["a", "c"], "b": ["b"]}
    chain = assign_networks(["a", "b", "c", "d"], "single", {"b": ["a"], "c": ["b"]})
    assert chain == {"a+b+c": ["a", "b", "c"], "d": ["d"]}
    joined = assign_networks(["a", "b", "c"], "single", {"c": ["a", "b"]})
    assert joined == {"a+b+c": ["a", "b", "c"]}


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"name": "."}, "a run is one folder"),
        ({"name": ".."}, "a run is one folder"),
        ({"name": "a/b"}, "a run is one folder"),
        ({"budget": (1.0, 5, None)}, "give one of them"),
        ({"budget": (None, 5, "other")}, "give one of them"),
        ({"fold": 7}, "fold 7 is not in"),
        ({"tasks": ["size"]}, "task 'size' is not in the plan; it has grade, os"),
        ({"tasks": ["os"]}, "'os' reads the answer of 'grade'"),
    ],
)
def test_what_cannot_be_trained_is_refused_before_anything_is_written(
    changes: dict[str, Any], told: str, tmp_path: Path
) -> None:
    model = SimpleNamespace(after={"os": ["grade"]}, preset="", sharing="hard")
    plan: Any = SimpleNamespace(
        shared=SimpleNamespace(model=model), folds={0: SimpleNamespace(tasks={"grade": {}, "os": {}})}
    )
    usual: dict[str, Any] = {
        "name": "a",
        "plan": plan,
        "fold": 0,
        "seed": 0,
        "tasks": None,
        "budget": (None, None, None),
        "init": None,
        "processes": 1,
    }
    with pytest.raises(PolytaskError, match=told):
        make_run_record(tmp_path, **{**usual, **changes})
    assert list(tmp_path.iterdir()) == []


def test_the_steps_of_another_run_are_those_of_its_schedule(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "runs" / "a")
    with pytest.raises(PolytaskError, match="the run to match has no checkpoint"):
        find_matched_steps(folder)
    (folder / "last").mkdir()
    schedule = {"kind": "cosine", "peak": 0.1, "warmup": 0, "start": 3, "end": 70}
    state = {"plan": "p", "schedule": schedule, "criteria": {}, "step": 10}
    (folder / "last" / "state.json").write_text(json.dumps(state))
    assert find_matched_steps(folder) == 70


def test_a_record_holds_what_was_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    header = SimpleNamespace(model_dump=lambda **how: {"name": "c"})
    monkeypatch.setattr(run_record, "Store", lambda folder: SimpleNamespace(content="store"))
    monkeypatch.setattr(run_record, "find_cohort_folder", lambda work, plan: tmp_path)
    monkeypatch.setattr(run_record, "read_header", lambda path: header)
    monkeypatch.setattr(run_record, "plan_hash", lambda plan, fold: f"hash {fold}")
    monkeypatch.setattr(run_record, "find_matched_steps", lambda folder: 70)
    model = SimpleNamespace(after={}, preset="", sharing="single")
    training = SimpleNamespace(balance=SimpleNamespace(rule="equal"))
    plan: Any = SimpleNamespace(
        shared=SimpleNamespace(model=model, training=training),
        folds={1: SimpleNamespace(tasks={"grade": {}, "os": {}})},
        digest="digest",
    )

    def describe(tasks: list[str] | None, budget: Any, init: str | None = None) -> dict[str, Any]:
        return make_run_record(tmp_path, "a", plan, 1, 3, tasks, budget, init, 2)

    found = describe(None, (None, None, None))
    assert {k: found[k] for k in ("name", "fold", "seed", "preset", "sharing", "balance", "processes")} == {
        "name": "a", "fold": 1, "seed": 3, "preset": None, "sharing": "single", "balance": "equal", "processes": 2,
    }  # fmt: skip
    assert (found["plan"], found["cohort"], found["store"]) == ("hash 1", "digest", "store")
    assert (found["networks"], found["header"], found["init"]) == (
        {"grade": ["grade"], "os": ["os"]},
        {"name": "c"},
        None,
    )
    assert (found["minutes"], found["steps"]) == (None, None)
    assert describe(["os"], (2.5, None, None))["minutes"] == 2.5
    assert describe(["os"], (None, 7, None))["steps"] == 7
    assert describe(["os"], (None, None, "other"))["steps"] == 70
    assert describe(["os"], (None, None, None), "b")["init"] == str(Path("b").resolve())
