"""Tasks that hardly move the shared features, and those that only look like it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from polytask.evaluation.doctor.finding import Finding
from polytask.evaluation.doctor.starved_tasks import find_starved_tasks
from polytask.evaluation.doctor.training_curves import TrainingCurves
from tests.evaluation.doctor.worlds import World, make_chart, make_epochs, make_look


def find_starved(size_loss: float, other_loss: float, norm: float = 0.01, looks: int = 6) -> list[Finding]:
    """Two pooled tasks: the gradient of `size` is `norm` of the other's; both end at these losses."""
    entries: list[dict[str, Any]] = [
        {
            "step": k + 1,
            "gradients": {
                "losses": {"size": size_loss, "grade": other_loss},
                "norms": {"size": norm, "grade": 1.0},
                "weights": {"size": 1.0, "grade": 1.0},
                "cosines": {},
            },
        }
        for k in range(looks)
    ]
    entries.append({"step": looks, "loss": {"size": size_loss, "grade": other_loss}})
    chart = World(tasks=("size", "grade")).chart()
    return list(
        find_starved_tasks(replace(chart, courses=(TrainingCurves.of("", ["size", "grade"], entries),)))
    )


def test_a_short_gradient_starves_a_task_that_stays_behind() -> None:
    (found,) = find_starved(size_loss=0.95, other_loss=0.4)
    assert found.tasks == ("size",)
    assert found.evidence["share"] == 1
    assert found.evidence["ratio"] == pytest.approx(0.01)
    assert found.remedy.endswith("--balance imtl_g")


def test_a_task_that_keeps_up_is_not_starved_however_short_its_gradient() -> None:
    assert not find_starved(size_loss=0.6, other_loss=0.4)


@pytest.mark.parametrize(("other", "said"), [(0.85, True), (0.92, False)])
def test_nobody_is_behind_where_the_others_have_not_fallen_by_a_tenth(other: float, said: bool) -> None:
    assert bool(find_starved(size_loss=0.99, other_loss=other)) == said


def test_before_the_first_epoch_is_over_nobody_is_behind() -> None:
    looks = [make_look(k + 1, {"size": 1.0, "grade": 1.0}, norms={"size": 0.01}) for k in range(6)]
    assert list(find_starved_tasks(make_chart(looks))) == []


def test_a_gradient_of_a_tenth_is_short_enough_for_nothing() -> None:
    assert not find_starved(size_loss=0.95, other_loss=0.4, norm=0.1)


def test_a_solved_task_and_too_few_looks_say_nothing() -> None:
    assert not find_starved(size_loss=0.05, other_loss=0.01)
    assert not find_starved(size_loss=0.95, other_loss=0.4, looks=4)


def find_light(
    weight: float = 0.01, loss: float = 1.0, looks: int = 6, calm: int = 0, end: float = 1.0, **world: Any
) -> list[Finding]:
    """Two tasks: `size` has this weight and loss beside 1 and 1 of `grade`; in `calm` more looks both have 1."""
    losses = {"size": loss, "grade": 1.0}
    ill = [make_look(k + 1, losses, weights={"size": weight}) for k in range(looks)]
    well = [make_look(k + 50, {"size": 1.0, "grade": 1.0}) for k in range(calm)]
    return list(
        find_starved_tasks(make_chart([*ill, *well, *make_epochs({"size": end, "grade": end})], **world))
    )


@pytest.mark.parametrize(
    ("weight", "loss", "said"),
    [
        (1 / 31, 1.0, True),
        (1 / 30, 1.0, False),
        (1 / 29, 1.0, False),
        (1 / 31, 3.0, True),
        (1 / 31, 3.2, False),
        (0.01, 0.1, True),
        (0.01, 0.09, False),
    ],
)
def test_a_light_task_has_a_thirtieth_of_the_weight_and_a_tenth_of_the_loss(
    weight: float, loss: float, said: bool
) -> None:
    assert bool(find_light(weight, loss)) == said


def test_a_light_task_is_told_with_its_weight() -> None:
    (found,) = find_light()
    assert found.evidence == {
        "share": 1.0,
        "looks": 6,
        "ratio": pytest.approx(0.01),
        "weight": 0.01,
        "norm": 1.0,
    }
    assert "in 6 of 6 gradient records its weight is under 1/30 of the others'" in found.says
    assert "its gradient 1, the others' 1" in found.says


def test_it_is_light_in_most_of_five_looks_or_more() -> None:
    assert find_light(looks=5)
    assert not find_light(looks=4)
    assert find_light(looks=4, calm=2)
    assert not find_light(looks=3, calm=3)


def test_a_rule_that_reads_gradients_and_a_large_weight_of_ones_own_starve_nobody() -> None:
    assert not find_light(rule="upgrad")
    assert not find_light(rule="fixed", weights={"size": 1.0})
    (found,) = find_light(rule="fixed", weights={"size": 0.5})
    assert found.remedy.startswith("its weight was set to 0.5:")
    assert "--balance imtl_g" in find_light()[0].remedy
    assert find_light(rule="uncertainty")[0].remedy.startswith(
        "the rule uncertainty gives it too little weight"
    )


@pytest.mark.parametrize(("size", "said"), [(0.71, True), (0.7, False)])
def test_behind_is_who_fell_by_less_than_half_of_the_others(size: float, said: bool) -> None:
    assert bool(find_starved(size_loss=size, other_loss=0.4)) == said


@pytest.mark.parametrize(("norm", "said"), [(1 / 31, True), (1 / 30, False), (1 / 29, False)])
def test_a_short_gradient_is_a_thirtieth(norm: float, said: bool) -> None:
    assert bool(find_starved(size_loss=0.95, other_loss=0.4, norm=norm)) == said
