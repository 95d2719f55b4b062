"""Every illness is found with its numbers and remedy; what is just not ill is left alone; a healthy log is silent."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from polytask.evaluation.doctor import FINDINGS, Finding, diagnose_run
from polytask.evaluation.doctor.doctor_chart import (
    DEFAULT_LEARNING_RATE,
    MIN_EPOCHS_TO_JUDGE,
    MIN_GRADIENT_LOOKS,
)
from polytask.evaluation.doctor.rare_tasks import MIN_STEPS_FOR_PRESENCE
from polytask.evaluation.doctor.task_ratios import compute_ratio_to_others
from polytask.plan.plan_schema import TrainingPlan
from tests.evaluation.doctor.worlds import World

RARE = {"diameter": 0.1, "size": 0.95}


def falls(at: float) -> float:
    """A skill that peaks at a quarter of the training."""
    return 0.7 * min(1.0, at / 0.25) - max(0.0, at - 0.25) * 0.9


ILL: dict[str, tuple[World, str, tuple[str, ...], str]] = {
    "weight of 0.01": (
        World(weights={"grade": 0.01}, rule="fixed"),
        "starved",
        ("grade",),
        "--set training.weights.grade=1",
    ),
    "short gradient": (
        World(scale={"size": 0.01}, end={"size": 0.9}),
        "starved",
        ("size",),
        "--balance imtl_g",
    ),
    "left behind by a rule": (
        World(scale={"size": 0.01}, end={"size": 0.9}, rule="mgda"),
        "starved",
        ("size",),
        "--balance equal",
    ),
    "weight of 0": (
        World(weights={"grade": 0.0}, scale={"grade": 0.0}, end={"grade": 1.0}, rule="fixed"),
        "dead",
        ("grade",),
        "--set training.weights.grade=1",
    ),
    "units that are off": (
        World(scale={"size": 1e-5}, end={"size": 1.02}),
        "dead",
        ("size",),
        "--set training.rate=0.00033",
    ),
    "few are known": (World(known=RARE), "seldom", ("diameter",), "--set training.require_every.diameter=2"),
    "asked for every second step": (
        World(known=RARE, require={"diameter": 2}),
        "seldom",
        ("diameter",),
        "--set training.accumulation=2",
    ),
    "heavy, of two": (
        World(tasks=("grade", "size"), weights={"size": 100.0}, rule="fixed"),
        "scale",
        ("size",),
        "--set training.weights.size=1",
    ),
    "light, of two": (
        World(tasks=("grade", "size"), weights={"grade": 0.01}, rule="fixed"),
        "starved",
        ("grade",),
        "--set training.weights.grade=1",
    ),
    "heavy": (
        World(weights={"size": 30.0}, rule="fixed"),
        "scale",
        ("size",),
        "--set training.weights.size=1",
    ),
    "wrong constant": (
        World(start={"grade": 40.0}, end={"grade": 20.0}),
        "scale",
        ("grade",),
        "folds.0.tasks.grade.constant=",
    ),
    "tiny constant": (
        World(start={"grade": 0.01}, end={"grade": 0.005}),
        "scale",
        ("grade",),
        "folds.0.tasks.grade.constant=",
    ),
    "long gradient": (World(scale={"size": 300.0}), "scale", ("size",), "--balance uncertainty"),
    "ran away": (World(end={"size": 50.0}), "scale", ("size",), "--set training.clip=1"),
    "against": (
        World(against={("grade", "size"): 0.6}),
        "conflict",
        ("grade", "size"),
        "--balance upgrad",
    ),
    "against under a rule": (
        World(against={("grade", "size"): 0.6}, rule="upgrad"),
        "conflict",
        ("grade", "size"),
        "--sharing mtan_light",
    ),
    "no common samples": (
        World(rule="upgrad", together=False),
        "strangers",
        ("lesion", "grade", "diameter", "size"),
        "--balance upgrad --cut parameters",
    ),
    "by heart": (World(skill={"size": falls}, end={"size": 0.05}), "overfit", ("size",), "model.dropout=0.3"),
    "nothing learned, but a gradient": (World(end={"size": 1.0}), "unlearned", ("size",), "polytask check"),
    "not finite": (
        World(
            skipped=[
                f"step {k}: loss of grade is not finite; subjects 0001, 00{k}; step skipped ({k - 10} so far)"
                for k in range(11, 14)
            ]
        ),
        "skipped",
        ("grade",),
        "--set training.precision=float32",
    ),
}


def found(world: World) -> list[Finding]:
    return diagnose_run(world.chart())


@pytest.mark.parametrize("name", ILL)
def test_an_illness_is_found_and_nothing_else(name: str) -> None:
    world, illness, tasks, remedy = ILL[name]
    (finding,) = found(world)
    assert (finding.name, set(finding.tasks)) == (illness, set(tasks))
    assert remedy in finding.remedy
    assert all(t in finding.says for t in tasks[:2]) or illness == "strangers"
    assert finding.evidence
    assert all(np.isfinite(v) for v in finding.evidence.values())
    assert "\n" not in finding.says + finding.remedy


def test_every_illness_is_tried() -> None:
    assert {illness for _, illness, _, _ in ILL.values()} == set(FINDINGS)


@pytest.mark.parametrize("name", ILL)
def test_the_order_of_the_tasks_does_not_matter(name: str) -> None:
    world, illness, tasks, _ = ILL[name]
    (finding,) = found(
        replace(world, tasks=world.tasks[::-1], against={(b, a): s for (a, b), s in world.against.items()})
    )
    assert (finding.name, set(finding.tasks)) == (illness, set(tasks))


WELL = {
    "as planned": World(),
    "two tasks": World(tasks=("grade", "size")),
    "one task": World(tasks=("grade",)),
    "a voxel task alone among pooled ones": World(scale={"lesion": 0.01}, end={"lesion": 0.9}),
    "a short gradient that keeps up": World(scale={"size": 0.01}),
    "a weight of a tenth": World(weights={"grade": 0.1}, rule="fixed"),
    "a task that is solved": World(end={"grade": 0.01}, scale={"grade": 0.01}),
    "a weight that makes up for a learned loss": World(end={"grade": 0.01}, rule="uncertainty", adapts=True),
    "known in half of the steps": World(known={"grade": 0.75, "size": 0.75}),
    "now and then against": World(against={("grade", "size"): 0.15}),
    "no common samples under equal": World(together=False),
    "no common samples at the parameters": World(together=False, rule="upgrad", cut="parameters"),
    "a fall that is luck": World(skill={"size": falls}, end={"size": 0.05}, size=3),
    "a fall while the loss rests": World(skill={"size": falls}, start={"size": 0.55}, end={"size": 0.5}),
    "a late fall": World(skill={"size": lambda at: 0.6 * at if at < 0.8 else 0.1}, end={"size": 0.05}),
}


@pytest.mark.parametrize("name", WELL)
def test_what_is_not_ill_is_left_alone(name: str) -> None:
    assert found(WELL[name]) == []


@pytest.mark.parametrize("rule", ["equal", "upgrad", "uncertainty"])
def test_a_healthy_log_is_silent(rule: str) -> None:
    """Short and long logs; the noise of another seed may look like a finding once in some thousand logs."""
    for seed, looks in enumerate([1, 3, *range(4, 34, 3)]):
        assert found(World(seed=seed, rule=rule, looks=looks, per_epoch=10)) == [], (seed, looks)


@pytest.mark.parametrize("name", ["weight of 0.01", "short gradient", "heavy", "against", "weight of 0"])
def test_a_few_looks_say_nothing_of_gradients(name: str) -> None:
    world = replace(ILL[name][0], looks=MIN_GRADIENT_LOOKS - 1)
    assert [f.name for f in found(world)] == ["unlearned"] * (name == "weight of 0")
    assert str(MIN_GRADIENT_LOOKS) not in world.chart().longer_log_advice
    assert "training.balance.log_every=30" in world.chart().longer_log_advice


def test_a_task_that_few_have_needs_steps_and_no_looks() -> None:
    """Every step is counted: what the log holds is the share, no estimate of it."""
    rare = ILL["few are known"][0]
    (told,) = found(replace(rare, looks=0))
    assert told.name == "seldom"
    assert told.evidence["share"] == pytest.approx(0.1, abs=0.04)
    assert found(replace(rare, looks=0, epochs=1, per_epoch=MIN_STEPS_FOR_PRESENCE - 1)) == []
    assert found(World(known={"diameter": 0.6})) == []


def test_a_few_epochs_say_nothing() -> None:
    ill = replace(ILL["weight of 0"][0], epochs=MIN_EPOCHS_TO_JUDGE - 1)
    assert [f.name for f in found(ill)] != ["dead"]
    assert ill.chart().longer_log_advice == f"train at least {MIN_EPOCHS_TO_JUDGE} epochs"
    assert found(replace(ILL["by heart"][0], epochs=5)) == []


def test_evidence_is_that_of_the_log() -> None:
    world = ILL["wrong constant"][0]
    chart = world.chart()
    (finding,) = diagnose_run(chart)
    first = next(e["gradients"]["losses"]["grade"] for e in world.entries() if "gradients" in e)
    assert finding.evidence["first"] == pytest.approx(first)
    assert finding.remedy.endswith(f"constant={0.5 * first:.4g}")
    (finding,) = found(ILL["not finite"][0])
    assert (
        finding.says
        == "3 of 300 steps were skipped: the loss of grade (3 times) was not finite; subject 0001 was in 3 of them"
    )


def test_beside_by_hand() -> None:
    """Two: the quotient. Three: over the middle one. Zeros and what is not there are left out."""
    nan = np.nan
    values = np.array([[8.0, 2.0, 4.0], [8.0, 2.0, nan], [8.0, 0.0, 2.0], [nan, 1.0, 1.0], [8.0, nan, nan]])
    expected = [2.0, 4.0, 4.0, nan, nan]
    np.testing.assert_allclose(compute_ratio_to_others(values, 0, [1, 2]), expected)


def test_usual_rate_is_the_plans() -> None:
    assert TrainingPlan.model_fields["rate"].default == DEFAULT_LEARNING_RATE
