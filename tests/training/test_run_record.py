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
from polytask.training.run_request import RunRequest
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
        ({"minutes": 1.0, "steps": 5}, "give one of them"),
        ({"steps": 5, "match": "other"}, "give one of them"),
        ({"fold": 7}, "fold 7 is not in"),
        ({"tasks": ["size"]}, "task 'size' is not in the plan; it has grade, os"),
        ({"tasks": ["os"]}, "'os' reads the answer of 'grade'"),
    ],
)
def test_what_cannot_be_trained_is_refused_before_anything_is_written(
    changes: dict[str, Any], told: str, tmp_path: Path
) -> None:
    model = SimpleNamespace(groups=None, after={"os": ["grade"]}, preset="", sharing="hard")
    plan: Any = SimpleNamespace(
        shared=SimpleNamespace(model=model),
        folds={0: SimpleNamespace(tasks={"grade": {}, "os": {}}, untrained={})},
    )
    request = RunRequest.from_options(changes)
    with pytest.raises(PolytaskError, match=told):
        make_run_record(tmp_path, request.name or "a", plan, request, processes=1)
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
    pace = {"spent": 1.0, "per_step": 0.5, "per_tune": 0.5}
    for finished in (True, False):
        timed = json.dumps(state | {"pace": pace, "finished": finished})
        (folder / "last" / "state.json").write_text(timed)
        if finished:
            assert find_matched_steps(folder) == 70
    with pytest.raises(
        PolytaskError, match=r"its number of steps may change; finish it first: .* --resume a"
    ):
        find_matched_steps(folder)


def test_a_record_holds_what_was_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    header = SimpleNamespace(model_dump=lambda **how: {"name": "c"})
    monkeypatch.setattr(run_record, "Store", lambda folder: SimpleNamespace(content="store"))
    monkeypatch.setattr(run_record, "find_cohort_folder", lambda work, plan: tmp_path)
    monkeypatch.setattr(run_record, "read_header", lambda path: header)
    monkeypatch.setattr(run_record, "plan_hash", lambda plan, fold: f"hash {fold}")
    monkeypatch.setattr(run_record, "find_matched_steps", lambda folder: 70)
    model = SimpleNamespace(groups=None, after={}, preset="", sharing="single")
    training = SimpleNamespace(balance=SimpleNamespace(rule="equal"))
    plan: Any = SimpleNamespace(
        shared=SimpleNamespace(model=model, training=training),
        folds={1: SimpleNamespace(tasks={"grade": {}, "os": {}}, untrained={})},
        digest="digest",
    )

    def describe(**options: Any) -> dict[str, Any]:
        return make_run_record(tmp_path, "a", plan, RunRequest(fold=1, seed=3, **options), 2)

    found = describe()
    assert {k: found[k] for k in ("name", "fold", "seed", "preset", "sharing", "balance", "processes")} == {
        "name": "a", "fold": 1, "seed": 3, "preset": None, "sharing": "single", "balance": "equal", "processes": 2,
    }  # fmt: skip
    assert (found["plan"], found["cohort"], found["store"]) == ("hash 1", "digest", "store")
    assert {"polytask", "torch", "numpy", "python", "machine", "created"} <= set(found)
    assert (found["networks"], found["header"], found["init"]) == (
        {"grade": ["grade"], "os": ["os"]},
        {"name": "c"},
        None,
    )
    assert (found["minutes"], found["steps"]) == (None, None)
    assert describe(tasks=["os"], minutes=2.5)["minutes"] == 2.5
    assert describe(tasks=["os"], steps=7)["steps"] == 7
    assert describe(tasks=["os"], match="other")["steps"] == 70
    assert describe(tasks=["os"], init="b")["init"] == str(Path("b").resolve())
