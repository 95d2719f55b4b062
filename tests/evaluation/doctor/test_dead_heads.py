"""When a head counts as dead, at every bound."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from polytask.evaluation.doctor.dead_heads import find_dead_heads
from polytask.evaluation.doctor.finding import Finding
from polytask.evaluation.doctor.training_curves import TrainingCurves
from tests.evaluation.doctor.worlds import World, make_chart, make_epochs, make_look


def find_dead(
    norms: Sequence[float] = (0.0,) * 6,
    end: float = 1.0,
    other: float = 0.5,
    epochs: int = 4,
    weight: float = 1.0,
    by_hand: float = 1.0,
) -> list[Finding]:
    """What is said of two tasks: `size` has these gradients beside 1 of `grade`; both end at these losses."""
    losses = {"size": end, "grade": other}
    looks = [make_look(k + 1, losses, {"size": norm}, {"size": weight}) for k, norm in enumerate(norms)]
    return list(
        find_dead_heads(make_chart([*looks, *make_epochs(losses, epochs)], weights={"size": by_hand}))
    )


def test_a_head_without_a_gradient_whose_loss_is_a_constants_is_dead() -> None:
    (found,) = find_dead()
    assert found.tasks == ("size",)
    assert {k: v for k, v in found.evidence.items() if k != "gradient"} == {
        "loss": 1.0,
        "weight": 1.0,
        "share": 1.0,
        "seen": 6,
    }
    assert found.evidence["gradient"] < 1e-9
    assert (
        "its loss ends at 1.00 (a constant answer has 1) while grade ends at 0.50; in 6 of 6 gradient records"
        in found.says
    )


@pytest.mark.parametrize(
    ("end", "other", "said"),
    [(0.95, 0.5, True), (0.94, 0.5, False), (1.0, 0.9, True), (1.0, 0.91, False), (1.0, 1.0, False)],
)
def test_it_has_not_learned_while_another_has(end: float, other: float, said: bool) -> None:
    assert bool(find_dead(end=end, other=other)) == said


def test_little_is_said_of_few_epochs_and_few_looks() -> None:
    assert not find_dead(epochs=3)
    assert find_dead(norms=[0.0] * 5)
    assert not find_dead(norms=[0.0] * 4)


def test_most_of_its_gradients_are_a_thousandth_of_the_others() -> None:
    assert find_dead(norms=[0.0] * 4 + [1.0] * 2)
    assert not find_dead(norms=[0.0] * 3 + [1.0] * 3)
    assert find_dead(norms=[0.9e-3] * 6)
    assert not find_dead(norms=[1.5e-3] * 6)
    assert find_dead(weight=1e-4, norms=[1.0] * 6), "the weight counts"


def test_the_remedy_is_of_who_made_it_so() -> None:
    assert "its weight was set to 0:" in find_dead(by_hand=0.0)[0].remedy
    assert find_dead(weight=1e-4)[0].remedy.startswith("the rule equal gives it no weight")
    assert find_dead()[0].remedy.startswith("units that are always 0 do not recover")
    assert find_dead(by_hand=1e-3)[0].remedy.startswith("units that are always 0 do not recover")
    assert find_dead(by_hand=0.5)[0].remedy.startswith("units that are always 0 do not recover")


def find_dead_alone(length: float, epochs: int = 4, other: float = 1.0) -> list[Finding]:
    """What is said of two networks with one task each, whose gradients have these lengths."""
    logs = {"size": (1.0, length), "grade": (0.5, other)}
    courses = tuple(
        TrainingCurves.of(t, [t], [{**e, "gradient_norm": norm} for e in make_epochs({t: loss}, epochs)])
        for t, (loss, norm) in logs.items()
    )
    return list(find_dead_heads(replace(World(tasks=("size", "grade")).chart(), courses=courses)))


def test_of_networks_of_their_own_the_whole_gradients_are_compared() -> None:
    (found,) = find_dead_alone(0.0)
    assert found.evidence == {"loss": 1.0, "gradient": 0.0, "weight": 1.0, "share": 1.0, "seen": 4}
    assert "in 4 of 4 epochs" in found.says
    assert not find_dead_alone(0.1)
    assert not find_dead_alone(1e-3), "a thousandth is not less than a thousandth"
    assert find_dead_alone(5e-3, other=10.0), "half a thousandth of the other's"
    assert not find_dead_alone(5e-3, other=0.1), "a twentieth of it"
    assert find_dead_alone(0.8e-3), "compared with the other networks alone, not with itself"
    assert not find_dead_alone(0.0, epochs=3)
    assert not find_dead_alone(0.0, other=0.0)
