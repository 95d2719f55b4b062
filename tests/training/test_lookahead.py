"""Task affinity: by hand for two linear tasks, without a trace in the training, in few enough steps, and resumable."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Mapping
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn

from polytask.plan.plan_schema import BalancePlan
from polytask.tasks.target import Target
from polytask.training.lookahead import (
    AffinityMeter,
    find_first_look,
    make_affinity_meter,
    measure_affinities,
    read_next_looks,
)
from polytask.training.run import SilentReporter, train
from polytask.training.run_log import RunLog, is_log_entry
from polytask.training.state import FitState
from polytask.training.step import PlacedBatch, take_step
from tests.training.test_loop import ALL, NONE, Lines
from tests.training.worlds import ALONE, batch_of, settings_of, state_of


class SharedLine(nn.Module):
    """Two tasks that read one weight vector (w, v): the first sees w, the second w + v."""

    tasks: Mapping[str, str] = {"a": "a", "b": "b"}

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(2))

    def forward(self, batch: object) -> dict[str, Tensor]:
        return {"a": self.weight[:1], "b": self.weight.sum().reshape(1)}


class SquaredError(nn.Module):
    """(prediction − target)², which is 1 at the start."""

    def count(self, target: Target, ids: list[str]) -> Tensor:
        return target.known.float().sum()

    def forward(self, output: Tensor, target: Target, ids: list[str]) -> tuple[Tensor, Tensor]:
        return ((output - target.value) ** 2 * target.known).sum(), self.count(target, ids)


def make_linear_world(
    make_optimizer: Callable[..., torch.optim.Optimizer], known_b: bool = True, **options: Any
) -> tuple[Any, PlacedBatch]:
    """L_a = (w − 1)² and L_b = (w + v + 1)², at w = v = 0."""
    network = SharedLine()
    optimizer = make_optimizer([{"params": [network.weight], "factor": 1.0}], **options)
    state = SimpleNamespace(
        network=network,
        optimizer=optimizer,
        criteria=nn.ModuleDict({"a": SquaredError(), "b": SquaredError()}),
        balancer=SimpleNamespace(trunk=[network.weight], joint=[], tasks=("a", "b")),
    )
    targets = {
        "a": (Target(torch.ones(1), torch.ones(1, dtype=torch.bool)), ["s"]),
        "b": (Target(-torch.ones(1), torch.full((1,), known_b)), ["s"]),
    }
    batch: Any = SimpleNamespace(subjects=("s",))
    return state, PlacedBatch(batch, targets, torch.tensor([[True], [known_b]]))


def test_two_linear_tasks_by_hand() -> None:
    """Gradients at 0 are (−2, 0) and (2, 2); half of each, times 0.1, is a task's part of a step.

    For a the weights become (0.1, 0): L_a = 0.81, L_b = 1.21. For b they become (−0.1, −0.1): L_a = 1.21, L_b = 0.64.
    """
    state, batch = make_linear_world(torch.optim.SGD, lr=0.1)
    affinities = measure_affinities(state, [batch], ALONE, 0.1, "float32", 0.0)
    assert affinities == pytest.approx({"a a": 0.19, "a b": -0.21, "b a": -0.21, "b b": 0.36}, abs=1e-6)
    assert state.network.weight.tolist() == [0, 0]
    assert state.network.weight.grad is None


def test_a_step_is_clipped_as_the_whole_step_is() -> None:
    """Half the gradients are (−1, 0) and (1, 1); clipped to 0.5 they are (−0.5, 0) and (0.5, 0.5)/√2."""
    state, batch = make_linear_world(torch.optim.SGD, lr=0.1)
    affinities = measure_affinities(state, [batch], ALONE, 0.1, "float32", 0.5)
    moved = 0.05 / 2**0.5
    assert affinities["a a"] == pytest.approx(1 - 0.95**2, abs=1e-6)
    assert affinities["b b"] == pytest.approx(1 - (1 - 2 * moved) ** 2, abs=1e-6)


def test_a_step_is_divided_by_the_roots_of_adams_second_moments() -> None:
    """After one step on (2, 4) the roots are 2 and 4: the steps become 0.1 · (0.5, 0) and −0.1 · (0.5, 0.25)."""
    state, batch = make_linear_world(torch.optim.AdamW, lr=0.1, weight_decay=0.0)
    state.network.weight.grad = torch.tensor([2.0, 4.0])
    state.optimizer.step()
    torch.nn.init.zeros_(state.network.weight)
    affinities = measure_affinities(state, [batch], ALONE, 0.1, "float32", 0.0)
    expected = {"a a": 1 - 0.95**2, "a b": 1 - 1.05**2, "b a": 1 - 1.05**2, "b b": 1 - 0.925**2}
    assert affinities == pytest.approx(expected, abs=1e-5)


def test_absent_tasks_have_no_affinity() -> None:
    state, batch = make_linear_world(torch.optim.SGD, known_b=False, lr=0.1)
    assert list(measure_affinities(state, [batch], ALONE, 0.1, "float32", 0.0)) == ["a a"]


def test_several_batches_of_a_step_count_as_one() -> None:
    """The mean over both batches: task b is known in one of them only."""
    state, whole = make_linear_world(torch.optim.SGD, lr=0.1)
    _, half = make_linear_world(torch.optim.SGD, known_b=False, lr=0.1)
    one = measure_affinities(state, [whole], ALONE, 0.1, "float32", 0.0)
    assert measure_affinities(state, [whole, half], ALONE, 0.1, "float32", 0.0) == pytest.approx(one)


def freeze(state: FitState) -> dict[str, Tensor]:
    """Everything that a checkpoint keeps, copied."""
    tensors = dict(state.network.state_dict()) | state.balancer.make_tensors()
    for index, values in state.optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{k}": torch.as_tensor(v) for k, v in values.items()}
    tensors |= {f"criteria.{k}": v for k, v in state.criteria.state_dict().items() if isinstance(v, Tensor)}
    return copy.deepcopy(tensors)


@pytest.mark.parametrize("rule", ["equal", "famo", "upgrad", "uncertainty"])
def test_a_look_leaves_no_trace(rule: str) -> None:
    """The same steps with and without looks give the same bits, dropout included."""
    settings = settings_of(rule)
    results = []
    for looks in (False, True):
        state = state_of(settings=settings, dropout=0.3)
        for number in range(3):
            batch = batch_of({"grade": ALL, "type": NONE if number == 1 else ALL}, seed=number)
            torch.manual_seed(number)
            if looks:
                before = freeze(state)
                affinities = measure_affinities(state, [batch], ALONE, 1e-3, "float32", 1.0)
                present = (
                    {"grade grade"}
                    if number == 1
                    else {f"{i} {j}" for i in ("grade", "type") for j in ("grade", "type")}
                )
                assert set(affinities) == present
                assert affinities["grade grade"] > 0, "a step on a task's own gradient lowers its loss"
                assert all(torch.equal(v, before[k]) for k, v in freeze(state).items())
                assert state.criteria["grade"].training
            take_step(state, [batch], ALONE, 1e-2, "float32", 1.0)
        results.append(freeze(state))
    assert all(torch.equal(v, results[1][k]) for k, v in results[0].items())


class Clock:
    """Seconds that a test decides."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def train_with_looks(meter: AffinityMeter, clock: Clock, until: int, look: float) -> list[int]:
    """Take steps of 1 second with looks of `look` seconds; returns the steps that looked."""
    looked = []
    state = meter.state
    while state.step < until:
        due = meter.is_due()
        if due:
            looked.append(state.step)
            meter.look_ahead([], 0.1, "float32", 1.0)
        clock.now += 1.0
        state.step += 1
        if due:
            meter.plan_next_look()
    return looked


@pytest.fixture
def quiet_meter(monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[AffinityMeter, Clock, Lines]]:
    """A meter of two tasks whose looks only take time."""

    def make(look: float, step: int = 0, **planned: Any) -> tuple[AffinityMeter, Clock, Lines]:
        clock, lines = Clock(), Lines()

        def measure(*_: object) -> dict[str, float]:
            clock.now += look
            return {"a b": 0.5}

        monkeypatch.setattr("polytask.training.lookahead.measure_affinities", measure)
        state: Any = SimpleNamespace(step=step, balancer=SimpleNamespace(tasks=("a", "b")))
        log: Any = lines
        return AffinityMeter(0.05, state, ALONE, log, planned.get("planned", {}), clock), clock, lines

    return make


@pytest.mark.parametrize("look", [0.4, 2.0, 7.3])
def test_looks_take_at_most_their_share(look: float, quiet_meter: Callable[..., Any]) -> None:
    """The first look waits as if each task cost a step; later ones wait as long as the last one has cost."""
    meter, clock, lines = quiet_meter(look)
    looked = train_with_looks(meter, clock, 2000, look)
    assert looked[0] == find_first_look(2, 0.05) == 40
    assert all(look / 0.05 <= b - a < look / 0.05 + 2 for a, b in pairwise(looked))
    assert (len(looked) - 1) * look <= 0.05 * 2000, "the first look tells what a look costs"
    assert [step for step, _ in lines.find("affinity")] == [s + 1 for s in looked]
    assert lines.find("lookahead")[0] == (41, {"cost": pytest.approx(look), "next": looked[1]})


def test_a_killed_run_looks_at_the_steps_of_one_that_was_not(quiet_meter: Callable[..., Any]) -> None:
    """It goes back to step 50 with the log of a look at 140; a slower machine does not change the looks that were."""
    meter, clock, lines = quiet_meter(5.0)
    assert train_with_looks(meter, clock, 145, 5.0) == [40, 140]
    planned = {step - 1: line["next"] for step, line in lines.find("lookahead")}
    again, clock, lines = quiet_meter(9.0, step=50, planned=planned)
    assert train_with_looks(again, clock, 300, 9.0) == [140, 240]
    assert [line["next"] for _, line in lines.find("lookahead")] == [420], "only the new look is planned anew"


def test_a_log_tells_the_looks_of_each_network(tmp_path: Path) -> None:
    log, other = RunLog(tmp_path, 0), RunLog(tmp_path, 0, "b+c")
    log.write(41, {"affinity": {"a b": 0.1}})
    log.write(41, {"lookahead": {"cost": 2.0, "next": 80}})
    other.write(61, {"lookahead": {"cost": 2.0, "next": 100}})
    assert read_next_looks(tmp_path, "") == {40: 80}
    assert read_next_looks(tmp_path, "b+c") == {60: 100}
    RunLog(tmp_path, 10)  # a run that goes back drops what it measures again, not when it looked
    assert read_next_looks(tmp_path, "") == {40: 80}
    assert "affinity" not in (tmp_path / "metrics.jsonl").read_text()
    assert read_next_looks(tmp_path / "nowhere", "") == {}
    assert not is_log_entry({"step": 3, "affinity": {"a b": "x"}})


def test_nothing_is_measured_where_nothing_is_shared(tmp_path: Path) -> None:
    state = state_of()
    assert make_affinity_meter(0.05, state, ALONE, None, tmp_path, "") is not None
    assert make_affinity_meter(0.0, state, ALONE, None, tmp_path, "") is None
    assert make_affinity_meter(0.05, state_of(["grade"]), ALONE, None, tmp_path, "") is None
    state.balancer.trunk, state.balancer.joint = [], []
    assert make_affinity_meter(0.05, state, ALONE, None, tmp_path, "") is None


class Killed(SilentReporter):
    """Ends the training as a kill would, at a step."""

    def __init__(self, at: int) -> None:
        self.at = at

    def step(self, step: int, losses: Any) -> None:
        if step == self.at:
            raise RuntimeError("killed")


def read_lines(run: Path) -> list[dict[str, Any]]:
    """The log without its clock."""
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [{k: v for k, v in line.items() if k != "seconds_per_step"} for line in lines]


def sort_looks(lines: list[dict[str, Any]]) -> list[tuple[int, str]]:
    """The lines about looks, by step."""
    return sorted((line["step"], json.dumps(line)) for line in lines if {"affinity", "lookahead"} & set(line))


def test_a_run_that_measures_has_the_weights_of_one_that_does_not_also_when_killed(work: Path) -> None:
    """Masks by a criterion with state, survival with a risk-set buffer, dropout; killed after a look."""
    same: dict[str, Any] = {"tasks": ["lesion", "grade", "os"], "workers": 0}
    train(work, name="plain", **same)
    with pytest.raises(RuntimeError, match="killed"):
        train(work, name="cut", overrides=["training.balance.affinity=0.75"], reporter=Killed(7), **same)
    before = read_lines(work / "runs" / "cut")
    train(work, resume="cut")
    after = read_lines(work / "runs" / "cut")
    for path in sorted((work / "runs" / "plain").rglob("*.safetensors")):
        other = work / "runs" / "cut" / path.relative_to(work / "runs" / "plain")
        assert path.read_bytes() == other.read_bytes(), path
    looks = [line for line in after if "affinity" in line]
    assert looks[0]["step"] == find_first_look(3, 0.75) + 1 == 5
    # Killed after step 7: what was measured until then is measured again, and when the next look is stays.
    assert sort_looks(before) == [look for look in sort_looks(after) if look[0] <= 7]
    assert len({line["step"] for line in looks}) == len(looks)
    assert {pair.split()[0] for pair in looks[0]["affinity"]} <= set(same["tasks"])


@pytest.mark.parametrize("wrong", [-0.1, 2.0, float("nan")])
def test_a_share_that_is_none_is_refused(wrong: float) -> None:
    with pytest.raises(ValidationError, match="affinity"):
        BalancePlan(affinity=wrong)
