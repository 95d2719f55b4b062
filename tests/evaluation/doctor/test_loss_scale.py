"""When a loss counts as one on another scale, at every bound."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from polytask.evaluation.doctor.finding import Finding
from polytask.evaluation.doctor.loss_scale import find_scale_problems
from tests.evaluation.doctor.worlds import make_chart, make_epochs, make_look

THREE = ("size", "grade", "diameter")


def find_start(first: float, epoch: float, trained: bool = False) -> list[Finding]:
    """What is said of one task whose first look and first epoch have these losses."""
    chart = make_chart([make_look(1, {"size": first}), *make_epochs({"size": epoch})], tasks=["size"])
    if trained:
        chart.run.record["init"] = "work/runs/other"
    return list(find_scale_problems(chart))


@pytest.mark.parametrize(
    ("first", "epoch", "said"),
    [
        (4.0, 4.0, True),
        (3.1, 3.1, True),
        (1.0, 1.0, False),
        (4.0, 3.0, False),
        (0.09, 0.09, True),
        (0.1, 0.09, False),
        (0.09, 0.1, False),
    ],
)
def test_a_loss_begins_at_about_one(first: float, epoch: float, said: bool) -> None:
    assert bool(find_start(first, epoch)) == said


def test_the_constant_that_would_fit_is_told() -> None:
    (found,) = find_start(4.0, 5.0)
    assert found.evidence == {"first": 4.0, "epoch": 5.0, "constant": 0.5}
    assert found.remedy.endswith("folds.0.tasks.size.constant=2")


def test_a_network_that_was_trained_before_may_begin_low_but_not_high() -> None:
    assert not find_start(0.05, 0.05, trained=True)
    assert find_start(4.0, 4.0, trained=True)


def test_without_a_look_the_first_epoch_counts_alone_and_without_epochs_nothing() -> None:
    (found,) = find_scale_problems(make_chart(make_epochs({"size": 4.0}), tasks=["size"]))
    assert found.evidence["first"] == 4.0
    assert not list(find_scale_problems(make_chart([make_look(1, {"size": 4.0})], tasks=["size"])))


def find_rise(first: float, means: Sequence[float]) -> list[Finding]:
    epochs: list[dict[str, Any]] = [{"step": 10 * (k + 1), "loss": {"size": v}} for k, v in enumerate(means)]
    return list(find_scale_problems(make_chart([make_look(1, {"size": first}), *epochs], tasks=["size"])))


def test_a_training_that_ran_away_is_told_by_its_highest_loss() -> None:
    (found,) = find_rise(3.0, [1.0, 7.0, 2.0])
    assert found.says.endswith("size from 3.00 to 7")
    assert found.evidence == {"size": 7.0}
    assert found.remedy.startswith("smaller steps")
    assert not find_rise(3.0, [1.0, 3.0, 2.0])
    assert find_rise(1.0, [1.0, 3.1, 2.0])
    assert not find_rise(3.2, [1.0, 7.0, 2.0])


def find_above(
    tasks: Sequence[str] = ("size", "grade"),
    weight: float = 1.0,
    loss: float = 1.0,
    other: float = 1.0,
    norm: float = 1.0,
    looks: int = 6,
    calm: int = 0,
    **world: Any,
) -> list[Finding]:
    """What is said where `size` has this weight, loss and gradient in the looks; in `calm` more it is as the others."""
    losses = dict.fromkeys(tasks, other) | {"size": loss}
    ill = [make_look(k + 1, losses, {"size": norm}, {"size": weight}) for k in range(looks)]
    well = [make_look(k + 50, dict.fromkeys(tasks, 1.0)) for k in range(calm)]
    return list(find_scale_problems(make_chart([*ill, *well], tasks, **world)))


@pytest.mark.parametrize(
    ("weight", "loss", "other", "said"),
    [
        (11.0, 1.0, 1.0, True),
        (9.0, 1.0, 1.0, False),
        (11.0, 0.3, 1.0, True),
        (11.0, 0.25, 1.0, False),
        (9.0, 1.0, 0.1, False),
        (11.0, 1.0, 2.0, False),
        (6.0, 2.0, 1.0, True),
    ],
)
def test_a_heavy_task_has_ten_times_the_others_weight_and_three_times_their_loss(
    weight: float, loss: float, other: float, said: bool
) -> None:
    assert bool(find_above(weight=weight, loss=loss, other=other)) == said


def test_a_heavy_task_is_told_with_its_weight() -> None:
    (found,) = find_above(weight=12.0)
    assert found.tasks == ("size",)
    assert found.evidence == {"share": 1.0, "looks": 6, "ratio": pytest.approx(12.0), "weight": 12.0}
    assert "over 10 times theirs (median 12 times)" in found.says
    assert found.remedy.startswith("let a rule choose the weights")


def test_it_is_heavy_in_most_of_five_looks_or_more() -> None:
    assert find_above(weight=12.0, looks=5)
    assert not find_above(weight=12.0, looks=4)
    assert find_above(weight=12.0, looks=4, calm=2)
    assert not find_above(weight=12.0, looks=3, calm=3)


def test_a_rule_that_reads_gradients_and_a_small_weight_of_ones_own_are_not_heavy() -> None:
    assert not find_above(weight=12.0, rule="upgrad")
    assert not find_above(weight=12.0, rule="fixed", weights={"size": 1.0})
    (found,) = find_above(weight=12.0, rule="fixed", weights={"size": 12.0})
    assert found.remedy.startswith("its weight was set to 12:")


def test_a_long_gradient_is_a_hundred_times_that_of_two_others() -> None:
    (found,) = find_above(THREE, norm=120.0)
    assert found.evidence == {"share": 1.0, "looks": 6, "ratio": pytest.approx(120.0), "weight": 1.0}
    assert "its weight × gradient at the cut is over 100 times theirs" in found.says
    assert not find_above(THREE, norm=90.0)
    assert not find_above(norm=120.0), "of two tasks it may be the other that is short"
