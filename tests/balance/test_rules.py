"""What every balancing rule must keep; a new one enters by being registered."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from polytask.balance import RULES, make_rule
from polytask.balance.rule import Array, CombiningRule, LearningRule, Rule, RuleInput, RuleMemory
from polytask.errors import PolytaskError
from polytask.registries import find_summary_line

DRAWN = ("rlw", "pcgrad", "graddrop")
"""Rules that draw: in another order of tasks they draw otherwise."""
FREE_OF_SCALE = ("gls", "si", "imtl_g", "nash")
"""Multiplying a loss by a number does not turn the step."""
NO_CONFLICT = ("mgda", "nash", "upgrad", "fairgrad")
"""The step opposes no task's gradient."""
OF_GRAMIAN = [n for n in RULES if make_rule(n, weights=[1.0] * 8).reads == "gradients"]


def rule_of(name: str, tasks: int = 3) -> Rule:
    return make_rule(name, weights=np.linspace(0.5, 1.5, tasks).tolist())


def gradients_of(seed: int, tasks: int = 3, width: int = 6) -> Array:
    """Gradients that conflict in some pairs, of lengths that differ by an order."""
    draw = np.random.default_rng(seed)
    return draw.standard_normal((tasks, width)) * 10 ** draw.uniform(-0.5, 0.5, (tasks, 1))


def seen_of(gradients: Array, losses: Array, epoch: int = 0, step: int = 0) -> RuleInput:
    present = np.arange(len(gradients))
    return RuleInput(present, losses, gradients @ gradients.T, epoch, np.random.default_rng([7, step]))


def taught(rule: Rule, tasks: int, epochs: int = 6, seed: int = 0) -> RuleMemory:
    """What a rule remembers after some epochs in which every loss falls at its own pace."""
    memory = rule.start(tasks)
    for step in range(3 * epochs):
        gradients = gradients_of(seed + step, tasks)
        losses = np.exp(-0.1 * step * (1 + np.arange(tasks)))
        _, memory = rule.weigh(seen_of(gradients, losses, step // 3, step), memory)
        if isinstance(rule, LearningRule):
            memory = rule.learn(seen_of(gradients, losses), losses * np.linspace(0.8, 1.1, tasks), memory)
    return memory


def step_of(rule: Rule, seen: RuleInput, gradients: Array, memory: RuleMemory) -> Array:
    """The step's direction, Σ wₖ gₖ / K."""
    weights, _ = rule.weigh(seen, memory)
    if isinstance(rule, CombiningRule):
        uniform = torch.from_numpy(seen.draw.random(gradients.shape[1]))
        return rule.combine(list(torch.from_numpy(gradients)), uniform).numpy() / len(gradients)
    return weights @ gradients / len(gradients)


@pytest.mark.parametrize("name", RULES)
@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), tasks=st.integers(2, 6), width=st.integers(1, 8), epochs=st.integers(0, 5))
def test_weights_are_finite_and_the_same_again(
    name: str, seed: int, tasks: int, width: int, epochs: int
) -> None:
    rule = rule_of(name, tasks)
    memory = taught(rule, tasks, epochs)
    before = {k: v.copy() for k, v in memory.items()}
    gradients = gradients_of(seed, tasks, width)
    losses = np.abs(gradients[:, 0])
    first, after = rule.weigh(seen_of(gradients, losses, epochs), memory)
    again, _ = rule.weigh(seen_of(gradients, losses, epochs), memory)
    assert np.isfinite(first).all()
    assert first.shape == (tasks,)
    assert np.array_equal(first, again), (
        "a rule is a function of what it sees, remembers and is given to draw with"
    )
    assert all(np.array_equal(before[k], memory[k], equal_nan=True) for k in memory), (
        "memory is never changed in place"
    )
    assert set(after) == set(memory)
    assert all(after[k].shape == memory[k].shape for k in memory)


@pytest.mark.parametrize("name", [n for n in RULES if n not in DRAWN])
@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_the_order_of_tasks_does_not_matter(name: str, seed: int) -> None:
    rule, order = rule_of(name, 4), np.random.default_rng(seed).permutation(4)
    memory, gradients = taught(rule, 4), gradients_of(seed, 4)
    losses = np.linspace(0.2, 1.4, 4)
    if name == "fixed":
        turned = make_rule("fixed", weights=np.linspace(0.5, 1.5, 4)[order].tolist())
    else:
        turned = rule
    moved = {k: v[..., order] if v.shape[-1] == 4 else v for k, v in memory.items()}
    weights, _ = rule.weigh(seen_of(gradients, losses, 9), memory)
    others, _ = turned.weigh(seen_of(gradients[order], losses[order], 9), moved)
    assert others == pytest.approx(weights[order], rel=1e-4, abs=1e-6)


@pytest.mark.parametrize("name", [*OF_GRAMIAN, "equal", "rlw", "dwa", "famo", "gls"])
def test_equal_gradients_give_that_gradient(name: str) -> None:
    for tasks in (2, 3, 5):
        rule, one = rule_of(name, tasks), gradients_of(1, 1)
        gradients = np.repeat(one, tasks, 0)
        seen = seen_of(gradients, np.full(tasks, 0.7))
        assert step_of(rule, seen, gradients, rule.start(tasks)) == pytest.approx(one[0], rel=1e-4)


@pytest.mark.parametrize("name", FREE_OF_SCALE)
@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), scale=st.lists(st.floats(1e-3, 1e3), min_size=3, max_size=3))
def test_the_scale_of_a_loss_does_not_turn_the_step(name: str, seed: int, scale: list[float]) -> None:
    rule, gradients, losses = rule_of(name), gradients_of(seed), np.array([0.3, 1.0, 2.0])
    factor = np.array(scale)
    plain = step_of(rule, seen_of(gradients, losses), gradients, {})
    scaled = step_of(
        rule, seen_of(gradients * factor[:, None], losses * factor), gradients * factor[:, None], {}
    )
    cosine = plain @ scaled / np.linalg.norm(plain) / np.linalg.norm(scaled)
    sure = name != "imtl_g" or abs(plain @ gradients[0]) > 1e-6  # a step of length 0 has no direction
    assert not sure or cosine == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("name", NO_CONFLICT)
@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6), tasks=st.integers(2, 6), width=st.integers(1, 8))
def test_no_task_is_opposed(name: str, seed: int, tasks: int, width: int) -> None:
    gradients, rule = gradients_of(seed, tasks, width), rule_of(name, tasks)
    step = step_of(rule, seen_of(gradients, np.ones(tasks)), gradients, {})
    lengths = np.linalg.norm(gradients, axis=1)
    slack = 1e-3 if name == "upgrad" else 1e-5  # it holds diagonals a little firmer, see `geometry.FIRM`
    assert (gradients @ step >= -slack * lengths * max(np.linalg.norm(step), lengths.mean())).all()


def test_opposite_gradients_of_float32_do_not_make_a_long_step() -> None:
    """[a, −3a, b] with the Gramian's rounding: the exact projection would be as long as that is small."""
    draw = np.random.default_rng(0)
    a, b = draw.standard_normal((2, 100_000)).astype(np.float32)
    gradients = np.stack([a, np.float32(-3) * a, b])
    inner = np.array([[np.float32(x @ y) for y in gradients] for x in gradients], np.float64)
    seen = RuleInput(np.arange(3), np.ones(3), inner)
    for name in NO_CONFLICT:
        weights, _ = rule_of(name).weigh(seen, {})
        assert np.linalg.norm(weights @ gradients / 3) < 5 * np.linalg.norm(gradients.mean(0)), name


def test_imtl_g_never_turns_against_every_task() -> None:
    gradients = np.array([[0.0, 1, 0], [-2, 2, -1], [2, 0, 2]])
    weights, _ = rule_of("imtl_g").weigh(seen_of(gradients, np.ones(3)), {})
    assert (gradients @ (weights @ gradients) > 0).all()


def test_the_plain_mean_does_oppose_a_task() -> None:
    gradients = np.array([[1.0, 0.0], [-3.0, 1.0]])
    assert (gradients @ step_of(rule_of("equal", 2), seen_of(gradients, np.ones(2)), gradients, {}) < 0).any()


def test_no_two_rules_take_the_same_step_where_tasks_conflict() -> None:
    gradients, losses = gradients_of(5), np.array([0.4, 0.9, 1.3])
    inner = gradients @ gradients.T
    assert (inner < 0).any()
    steps = {}
    for name in RULES:
        rule = rule_of(name)
        steps[name] = step_of(rule, seen_of(gradients, losses, 7), gradients, taught(rule, 3))
    for one, other in combinations(steps, 2):
        assert not np.allclose(steps[one], steps[other], rtol=1e-6), (one, other)


@pytest.mark.parametrize("name", RULES)
def test_an_absent_task_is_as_if_it_were_not_there(name: str) -> None:
    """It gets no weight, what is remembered of it stands still, and the others are weighed among themselves."""
    rule = rule_of(name)
    memory, gradients = taught(rule, 3), gradients_of(3)
    losses = np.array([0.5, 0.8, 1.1])
    there = np.array([0, 2])
    seen = replace(seen_of(gradients[there], losses[there], 6), present=there)
    weights, after = rule.weigh(seen, memory)
    assert weights.shape == (2,)
    for key, values in after.items():
        if values.shape[-1:] == (3,) and key != "past":
            still = values[..., 1], memory[key][..., 1]
            rolled = key in ("sum", "count") and still[0] == 0
            assert rolled or np.array_equal(*still, equal_nan=True), key
    if not memory and name not in DRAWN and name != "fixed":
        alone, _ = rule.weigh(seen_of(gradients[there], losses[there], 6), {})
        assert weights == pytest.approx(alone)


@pytest.mark.parametrize("name", OF_GRAMIAN)
def test_a_task_without_a_gradient_does_not_stop_the_others(name: str) -> None:
    gradients = gradients_of(2)
    gradients[1] = 0
    weights, _ = rule_of(name).weigh(seen_of(gradients, np.ones(3)), taught(rule_of(name), 3))
    assert np.isfinite(weights).all()
    assert np.linalg.norm(weights @ gradients) > 0


def test_every_rule_says_in_a_line_what_it_is() -> None:
    for name, member in RULES.items():
        assert len(find_summary_line(member)) > 20, name


def test_settings_are_the_rule_s_own() -> None:
    assert make_rule("dwa", {"temperature": 5.0}) == RULES["dwa"](temperature=5.0)
    gentle, strong = (make_rule("cagrad", {"c": c}) for c in (0.1, 0.9))
    gradients = gradients_of(5)
    seen = seen_of(gradients, np.ones(3))
    assert not np.allclose(gentle.weigh(seen, {})[0], strong.weigh(seen, {})[0])
    with pytest.raises(PolytaskError, match="'cagrad' has no setting 'd'; it has c"):
        make_rule("cagrad", {"d": 1.0})
    with pytest.raises(PolytaskError, match="it has none"):
        make_rule("equal", {"d": 1.0})
