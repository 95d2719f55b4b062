"""Arms are timed in turns, so that a ratio of two arms is of the same minute."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from polytask.cohort.cohort import Cohort
from polytask.errors import PolytaskError
from polytask.plan.plan_schema import Plan
from polytask.plan.plan_settings import set_values
from polytask.study import arm_timing as module
from polytask.study.arm_timing import NO_GRADIENT_LOG, NetworkStopwatch, time_arms
from polytask.study.study_design import ArmTiming, RatioQuartiles

TASKS = ("lesion", "grade", "os")


def timed(folder: Path, arms: dict[str, list[str]], said: list[str]) -> dict[str, ArmTiming]:
    plan = Plan.read(folder / "work")
    plans: dict[str, Plan] = {
        arm: set_values(plan, [f"model.sharing={arm.partition('+')[0]}", NO_GRADIENT_LOG, *changes])
        for arm, changes in arms.items()
    }
    cohort = Cohort.read(folder / "cohort")
    return time_arms(folder / "work", cohort, plans, 0, TASKS, "cpu", said.append)


def test_paces_and_their_ratio(prepared_once: Path) -> None:
    said: list[str] = []
    found = timed(
        prepared_once, {"single": [], "hard": [], "hard+upgrad": ["training.balance.rule=upgrad"]}, said
    )
    assert said == ["timing single", "timing hard", "timing hard+upgrad"]
    assert found["single"].beside == RatioQuartiles(1.0, 1.0, 1.0)
    assert found["single"].parameters > found["hard"].parameters == found["hard+upgrad"].parameters
    for pace in found.values():
        assert pace.step > 0
        assert pace.tune > 0
        assert pace.beside is not None
        assert 0 < pace.beside.low <= pace.beside.median <= pace.beside.high
    hard = found["hard"].beside
    assert hard is not None
    assert hard.median < 1, "three networks take longer than one"


def test_an_arm_that_breaks_down_takes_no_other_with_it(
    prepared_once: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In its third turn, when all have been timed twice."""
    turn = NetworkStopwatch.turn

    def breaks(self: NetworkStopwatch, number: int) -> float:
        if number == 2 and len(self.rehearsal.state.network.tasks) > 1:
            raise RuntimeError("out of memory\nand more")
        return turn(self, number)

    monkeypatch.setattr(NetworkStopwatch, "turn", breaks)
    said: list[str] = []
    found = timed(prepared_once, {"single": [], "hard": []}, said)
    assert set(found) == {"single"}
    broken = "arm hard cannot be timed: RuntimeError: out of memory"
    assert said == ["timing single", "timing hard", broken, "timing hard", broken]


def test_without_single_networks_there_is_no_ratio(prepared_once: Path) -> None:
    assert timed(prepared_once, {"hard": []}, [])["hard"].beside is None


def test_what_fails_beside_the_others_is_timed_by_itself(
    prepared_once: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A device that holds one arm and not two; and weights gone wild, which a training would refuse, stop no study."""
    turn, joint = NetworkStopwatch.turn, count()

    def narrow(self: NetworkStopwatch, number: int) -> float:
        if len(self.rehearsal.state.network.tasks) > 1 and next(joint) == 0:
            raise PolytaskError("20 in a row")
        return turn(self, number)

    monkeypatch.setattr(NetworkStopwatch, "turn", narrow)
    said: list[str] = []
    found = timed(prepared_once, {"single": [], "hard": []}, said)
    assert found["hard"].step > 0
    assert found["hard"].beside is None
    assert said[2:] == ["arm hard cannot be timed: PolytaskError: 20 in a row", "timing hard"]


def test_bad_input_is_no_arm_that_cannot_be_timed(prepared_once: Path) -> None:
    with pytest.raises(PolytaskError, match=r"training\.balance\.every"):
        timed(prepared_once, {"hard": ["training.balance.rule=graddrop", "training.balance.every=4"]}, [])


@pytest.mark.parametrize(
    "changes",
    [
        ["training.balance.rule=graddrop"],
        ["training.balance.rule=famo", "training.accumulation=2"],
        ["training.balance.rule=mgda", "training.balance.every=4", "model.sharing=ctan"],
    ],
)
def test_every_rule_and_option_can_be_timed(prepared_once: Path, changes: list[str]) -> None:
    assert timed(prepared_once, {"hard": changes}, [])["hard"].step > 0


@pytest.mark.parametrize(
    ("every", "workers", "step"),
    [
        (1, 0, 10.0 + 2.0),
        (5, 0, (10.0 + 4 * 1.0) / 5 + 2.0),
        (1, 4, 10.0),
        (100, 1, 2.0),  # reading beside the steps takes longer than they do
    ],
)
def test_a_step_as_the_mean_over_a_run(
    every: int, workers: int, step: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """10 s where the rule looks at gradients, 1 s between, 2 s to read a batch."""
    balance = SimpleNamespace(every=every)
    settings = SimpleNamespace(balance=balance, workers=workers, accumulation=3)
    rehearsal: Any = SimpleNamespace(
        context=SimpleNamespace(plan=SimpleNamespace(shared=SimpleNamespace(training=settings))),
        state=SimpleNamespace(step=None),
    )
    clock = SimpleNamespace(now=0.0)

    def batches() -> Iterator[Any]:
        while True:
            clock.now += 2.0
            yield None

    monkeypatch.setattr(module, "time", SimpleNamespace(perf_counter=lambda: clock.now))
    monkeypatch.setattr(module, "time_call", lambda what, of: 10.0 if of.state.step % every == 0 else 1.0)
    watch = NetworkStopwatch(rehearsal, batches(), tune=0.0)
    watch.turn(0)
    assert watch.turns == [], "the first turn warms up"
    watch.turn(1)
    assert watch.turns == [pytest.approx(3 * step)]


def test_a_ratio_by_hand() -> None:
    assert RatioQuartiles.of([1, 2, 3, 4, 10], [2, 2, 2, 2, 2]) == RatioQuartiles(1.5, 1.0, 2.0)
