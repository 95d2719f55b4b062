"""How many steps fit into a time budget, on a clock that moves by hand."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest

from polytask.training import time_budget
from polytask.training.time_budget import find_step_budget
from tests.training.worlds import ALONE, settings_of

START = 1000.0
"""What the clock says at first: nobody knows where a clock begins."""


class Clock:
    """Stands where `time` stands; a pass and an evaluation on tune move it on by their seconds."""

    def __init__(self, passes: list[float], tunes: list[float]) -> None:
        self.now, self.passes, self.tunes = START, passes, tunes
        self.passed, self.list_tune_metrics = 0, 0

    def perf_counter(self) -> float:
        return self.now

    def run_pass(self) -> None:
        self.now += self.passes[min(self.passed, len(self.passes) - 1)]
        self.passed += 1

    def run_tune(self) -> None:
        self.now += self.tunes[min(self.list_tune_metrics, len(self.tunes) - 1)]
        self.list_tune_metrics += 1


def count(
    monkeypatch: pytest.MonkeyPatch, minutes: float, passes: list[float], tunes: list[float], **changes: Any
) -> tuple[int, int, Clock]:
    """(steps, `tune_every`, the clock)."""
    clock = Clock(passes, tunes)

    class Network:
        tasks: ClassVar[dict[str, Any]] = {}

        def train(self) -> Network:
            return self

        def eval(self) -> Network:
            return self

        def zero_grad(self, set_to_none: bool) -> None:
            pass

        def __call__(self, batch: Any) -> dict[str, Any]:
            clock.run_pass()
            return {}

    def batches() -> Iterator[Any]:
        while True:
            yield SimpleNamespace()

    nothing: Any = SimpleNamespace(eval=lambda: None, train=lambda: None)
    state: Any = SimpleNamespace(network=Network(), criteria=nothing, structures={})
    monkeypatch.setattr(time_budget, "time", clock)
    monkeypatch.setattr(
        time_budget, "place_batch", lambda state, batch, device: SimpleNamespace(batch=batch, targets={})
    )
    settings = settings_of(**{"steps_per_epoch": 16, **changes})
    found = find_step_budget(minutes, state, batches(), clock.run_tune, settings, ALONE)
    assert found.spent == pytest.approx(clock.now - START)
    return found.end, found.tune_every, clock


def test_steps_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """Passes of 1 s after a first one of 5 s: 2 % of 600 s are 12 more of them. A step is taken to need 1.05 s. Tune
    needs 30 s, which is 15 % of 12 epochs of 16 steps. Of 600 s are gone 5 + 1 + 12 + 30; the other 552 s are enough
    for 440 steps, with tune after 192, 384 and 440."""
    steps, every, clock = count(monkeypatch, 10, [5.0, 1.0], [30.0])
    assert (clock.passed, clock.list_tune_metrics) == (14, 1)
    assert every == 12
    assert steps == 440 == int((552 - 3 * 30) / 1.05)


def test_a_step_of_several_batches_needs_so_many_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    steps, every, _ = count(monkeypatch, 10, [5.0, 1.0], [30.0], accumulation=2)
    assert every == 6
    assert steps == int((552 - 3 * 30) / 2.1) == 220, "tune after 96, 192 and 220 steps"


@pytest.mark.parametrize(("minutes", "passes"), [(0.5, 2 + 1), (1, 2 + 1), (5, 2 + 6), (60, 2 + 40)])
def test_at_least_one_and_at_most_forty_more_passes_are_timed(
    minutes: float, passes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert count(monkeypatch, minutes, [1.0], [0.1])[2].passed == passes


def test_a_short_first_evaluation_is_measured_again(monkeypatch: pytest.MonkeyPatch) -> None:
    steps, every, clock = count(monkeypatch, 10, [1.0], [3.0, 1.0])
    assert (clock.list_tune_metrics, every) == (2, 1)
    assert steps == int((600 - (14 + 3 + 1) - 33) / 1.05) == 522, "32 epochs and a part of one: tune 33 times"
    assert count(monkeypatch, 10, [1.0], [12.0])[2].list_tune_metrics == 1
    assert count(monkeypatch, 10, [1.0], [3.0, 1.0], tune_every=2)[2].list_tune_metrics == 1, (
        "as seldom as planned"
    )


def test_the_plan_may_look_at_tune_more_seldom(monkeypatch: pytest.MonkeyPatch) -> None:
    assert count(monkeypatch, 10, [1.0], [1.0], tune_every=7)[1] == 7


def test_a_moment_in_which_the_machine_was_busy_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    steps = count(monkeypatch, 10, [1.0, 1.0, 50.0, 1.0], [1.0])[0]
    assert steps == int((600 - (13 + 50 + 2) - 30) / 1.05) == 480, "30 epochs: tune 30 times"


def test_a_budget_that_is_gone_leaves_one_step(monkeypatch: pytest.MonkeyPatch) -> None:
    assert count(monkeypatch, 0.01, [1.0], [1.0])[0] == 1
