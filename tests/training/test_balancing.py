"""Balancing inside one step, without a cohort: what a rule sees, what is weighed, and how two processes add up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import pytest
import torch

from polytask.balance.gradient_sites import FeatureSite, ParameterSite
from polytask.balance.rule import Array, RuleInput, RuleMemory
from polytask.errors import PolytaskError
from polytask.model.building_blocks import no_cut
from polytask.plan.plan_schema import BalancePlan
from polytask.tasks.target import Target
from polytask.training.balancing import BalancedBackward, Balancer
from polytask.training.gathered_gradients import sum_gramian
from polytask.training.state import FitState
from polytask.training.step import StepResult, flatten_target, take_step
from tests.training.worlds import ALONE, batch_of, settings_of, state_of


def make_balancer(rule: str = "equal", tasks: Sequence[str] = ("grade", "type"), **balance: Any) -> Balancer:
    given: dict[str, Any] = {"log_every": 0, **balance}
    return state_of(tasks, settings_of(balance=BalancePlan(rule=rule, **given))).balancer


def test_a_rule_that_reads_gradients_is_due_in_every_step_or_now_and_then() -> None:
    assert [make_balancer("mgda", every=3).needs_gradients(step) for step in range(4)] == [True] * 4, (
        "one pass tells them apart"
    )
    apart = make_balancer("mgda", every=3, cut="parameters")
    assert [apart.needs_gradients(step) for step in range(4)] == [True, False, False, True]
    assert not make_balancer("equal").needs_gradients(0)
    assert not make_balancer("mgda", ["grade"]).needs_gradients(0)


def test_the_log_looks_now_and_then_at_several_tasks() -> None:
    looking = make_balancer(log_every=2)
    assert [looking.logs_gradients(step) for step in range(5)] == [True, False, True, False, True]
    assert [looking.logs_gradients(step, 2) for step in range(5)] == [True, False, False, False, True]
    assert not make_balancer().logs_gradients(0)
    assert not make_balancer("equal", ["grade"], log_every=1).logs_gradients(0)


def test_what_a_balancer_remembers_comes_back_from_a_checkpoint() -> None:
    one, two = make_balancer("famo"), make_balancer("famo")
    one.weights, one.drift = np.array([0.5, 1.5]), 0.25
    one.memory = {name: value + 1 for name, value in one.memory.items()}
    kept = one.make_tensors()
    two.load(kept)
    assert (two.weights.tolist(), two.drift) == ([0.5, 1.5], 0.25)
    assert {k: v.tolist() for k, v in two.memory.items()} == {k: v.tolist() for k, v in one.memory.items()}
    two.load({k: v for k, v in kept.items() if k != "drift"})
    assert two.drift == 0.0


def test_a_new_balancer_weighs_alike_and_knows_whose_parameters_are_whose() -> None:
    found = make_balancer()
    assert (found.weights.tolist(), found.drift, found.seed, found.steps_per_epoch) == ([1.0, 1.0], 0.0, 0, 4)
    assert found.tasks == ("grade", "type")
    assert set(found.own) == {"grade", "type"}
    assert found.trunk
    assert not found.joint
    assert not found.per_task
    assert make_balancer(cut="parameters").per_task


def test_a_rule_without_weights_needs_a_reading_in_every_step() -> None:
    with pytest.raises(PolytaskError, match="no weights for the steps between two readings"):
        make_balancer("graddrop", every=2)
    make_balancer("graddrop", every=1)


class Twins:
    """A world of two processes that have found the same."""

    size, rank, device = 2, 0, torch.device("cpu")

    def total(self, value: torch.Tensor) -> torch.Tensor:
        return 2 * value


def test_gramians_of_features_add_up_and_gradients_of_parameters_do() -> None:
    """Features of different samples are orthogonal: inner products add up. Parameters are the same everywhere: their
    gradients add up first, and inner products of twice as long ones are four times as large."""
    world: Any = Twins()
    found = [{"a": torch.tensor([1.0, 2.0]), "b": torch.tensor([0.0, -1.0])}]
    alone = np.array([[5.0, -2.0], [-2.0, 1.0]])
    features = FeatureSite(False, [], {})
    features.leaves.shared.append(torch.zeros(2))
    np.testing.assert_allclose(sum_gramian(world, features, found, ["a", "b"]), 2 * alone)
    np.testing.assert_allclose(sum_gramian(world, ParameterSite([], {}), found, ["a", "b"]), 4 * alone)


def test_a_rule_is_not_asked_about_losses_that_are_not_finite() -> None:
    balancer = state_of(settings=settings_of("dwa")).balancer
    passes = BalancedBackward.of(balancer, 0, ALONE)
    losses = {"grade": torch.tensor(float("nan"), requires_grad=True), "type": torch.tensor(0.5)}
    passes.backward(losses, {"grade": 1.0, "type": 1.0})
    assert [w.tolist() for w in passes.weights] == [[1.0, 1.0]]
    assert passes.memory is balancer.memory


def test_a_rule_is_asked_where_several_tasks_have_finite_losses() -> None:
    balancer = state_of(settings=settings_of("famo")).balancer
    passes = BalancedBackward.of(balancer, 0, ALONE)
    passes.backward({"grade": torch.tensor(1.0), "type": torch.tensor(0.25)}, {"grade": 1.0, "type": 1.0})
    np.testing.assert_allclose(passes.weights, [[0.4, 1.6]], err_msg="equal shares ÷ losses, summing to 2")


def make_passes(rule: str = "equal", step: int = 0, log_every: int = 0, **balance: Any) -> BalancedBackward:
    settings = settings_of(balance=BalancePlan(rule=rule, log_every=log_every, **balance))
    return BalancedBackward.of(state_of(settings=settings).balancer, step, ALONE)


def make_losses(grade: float = 1.0, kind: float = 0.25) -> dict[str, torch.Tensor]:
    return {"grade": torch.tensor(grade, requires_grad=True), "type": torch.tensor(kind, requires_grad=True)}


def test_losses_are_weighed_and_averaged_over_all_tasks_of_the_network() -> None:
    passes, losses = make_passes("famo"), make_losses()
    passes.backward(losses, {"grade": 1.0, "type": 1.0})
    np.testing.assert_allclose(passes.weights, [[0.4, 1.6]])
    assert [float(x.grad) for x in losses.values() if x.grad is not None] == pytest.approx([0.2, 0.8])
    passes, losses = make_passes(), make_losses()
    passes.backward({"grade": losses["grade"]}, {"grade": 1.0})
    assert [None if x.grad is None else float(x.grad) for x in losses.values()] == [0.5, None]


class NotingRule:
    """Weighs all alike, and notes the epoch of every batch that it is asked about."""

    reads: ClassVar[str] = "losses"

    def __init__(self) -> None:
        self.epochs: list[int] = []

    def start(self, tasks: int) -> RuleMemory:
        return {}

    def weigh(self, batch: RuleInput, memory: RuleMemory) -> tuple[Array, RuleMemory]:
        self.epochs.append(batch.epoch)
        return np.ones(len(batch.losses)), memory


def test_a_rule_is_told_the_epoch_of_the_step() -> None:
    """Four steps an epoch, counted from 0."""
    rule = NotingRule()
    for step in (0, 3, 4, 9):
        passes = make_passes(step=step)
        passes.balancer.rule = rule
        passes.backward(make_losses(), {"grade": 1.0, "type": 1.0})
    assert rule.epochs == [0, 0, 1, 2]


def test_a_batch_without_a_task_does_not_weigh_it() -> None:
    passes, losses = make_passes("famo"), make_losses()
    passes.backward(losses, {"grade": 2.0, "type": 0.0})
    assert losses["type"].grad is None
    assert np.isnan(passes.weights[0][1])
    passes.backward(losses, {"grade": 0.0, "type": 0.0})
    assert len(passes.weights) == 1


def test_a_rule_sees_the_mean_of_the_batch() -> None:
    """Half of the step's visits are in this batch: its own mean is twice its share of the step's."""
    passes = make_passes("famo")
    passes.backward(make_losses(0.5, 0.25), {"grade": 2.0, "type": 1.0})
    np.testing.assert_allclose(passes.weights, [[0.4, 1.6]])


def test_weights_are_remembered_when_a_step_counts_and_not_before() -> None:
    passes = make_passes("famo")
    of = passes.balancer
    passes.backward(make_losses(), {"grade": 1.0, "type": 1.0})
    assert of.weights.tolist() == [1.0, 1.0]
    assert passes.commit_step() is None
    np.testing.assert_allclose(of.weights, [0.4, 1.6])
    half = BalancedBackward.of(of, 1, ALONE)
    half.weights.append(np.array([np.nan, 3.0]))
    half.commit_step()
    np.testing.assert_allclose(of.weights, [0.4, 3.0])


def test_drift_is_how_far_weights_moved_between_two_looks() -> None:
    passes = make_passes("mgda", step=4, every=2, cut="parameters")
    passes.weights.append(np.array([1.5, 0.75]))
    assert passes.reads_gradients
    passes.commit_step()
    assert passes.balancer.drift == pytest.approx((0.5 + 0.25) / 2)
    first = make_passes("mgda", step=0, every=2, cut="parameters")
    first.weights.append(np.array([1.5, 0.75]))
    first.commit_step()
    assert first.balancer.drift == 0.0
    between = make_passes("mgda", step=3, every=2, cut="parameters")
    between.weights.append(np.array([1.5, 0.75]))
    assert not between.reads_gradients
    between.commit_step()
    assert between.balancer.drift == 0.0


def test_a_look_is_told_with_its_drift_where_there_is_one() -> None:
    seen = (np.array([[4.0, 0.0], [0.0, 9.0]]), np.array([1.0, 0.5]))
    for every, there in ((1, False), (2, True)):
        passes = make_passes("mgda", log_every=1, every=every, cut="parameters")
        passes.weights.append(np.ones(2))
        passes.logged_batches.append(seen)
        look = passes.commit_step()
        assert look is not None
        assert look["norms"] == {"grade": 2.0, "type": 3.0}
        assert ("drift" in look) == there


def test_a_step_without_a_reader_takes_no_place() -> None:
    passes = make_passes()
    passes.cut()
    assert passes.site is None
    assert (passes.reads_gradients, passes.logs_gradients, passes.learns_after_step) == (False, False, False)
    looking = make_passes(log_every=2)
    looking.cut()
    assert isinstance(looking.site, FeatureSite)
    assert isinstance(make_passes("mgda", cut="parameters").balancer.make_gradient_site(), ParameterSite)
    assert make_passes("famo").learns_after_step


def test_a_second_look_that_is_not_finite_teaches_nothing() -> None:
    passes = make_passes("famo")
    before = passes.memory
    passes.learn_from_step({"grade": 1.0, "type": 1.0}, {"grade": float("nan"), "type": 0.5})
    passes.learn_from_step({"grade": float("inf"), "type": 1.0}, {"grade": 1.0, "type": 0.5})
    assert passes.memory is before
    passes.learn_from_step({"grade": 1.0, "type": 1.0}, {"grade": 0.25, "type": 0.5})
    assert passes.memory is not before


ALL = [[True, True]] * 3
FEW = [[True, False], [False, False], [False, False]]


def find_gradients(state: FitState) -> dict[str, torch.Tensor]:
    """Each task's gradient of its mean loss at the parameters that both reach, by plain autograd."""
    batch = batch_of({"grade": ALL, "type": ALL})
    state.network.train()
    torch.manual_seed(0)
    outputs = state.network(batch, no_cut)
    found = {}
    for name, task in state.network.tasks.items():
        total, count = state.criteria[name](outputs[name], *flatten_target(batch, task))
        given = torch.autograd.grad(total / count, state.balancer.trunk, retain_graph=True)
        found[name] = torch.cat([g.flatten() for g in given])
    return found


def find_shared(state: FitState) -> tuple[torch.Tensor, StepResult]:
    """What the optimizer of one step gets at these parameters, and what the step says."""
    kept: list[torch.Tensor] = []

    def keep(*_: Any) -> None:
        kept.extend(p.grad.flatten().clone() for p in state.balancer.trunk if p.grad is not None)

    state.optimizer.register_step_pre_hook(keep)
    torch.manual_seed(0)
    result = take_step(state, [batch_of({"grade": ALL, "type": ALL})], ALONE, 0.0, "float32", 0.0)
    return torch.cat(kept), result


def make_state(rule: str, **balance: Any) -> FitState:
    return state_of(settings=settings_of(balance=BalancePlan(rule=rule, **balance)))


@pytest.mark.parametrize("cut", ["features", "parameters"])
def test_a_look_sees_the_gradients_of_the_tasks_and_changes_nothing(cut: str) -> None:
    alone = find_gradients(make_state("equal", log_every=0))
    state = make_state("equal", log_every=1, cut=cut)
    shared, result = find_shared(state)
    torch.testing.assert_close(shared, (alone["grade"] + alone["type"]) / 2)
    assert result.gradient_summary is not None
    norms, cosines = (dict(result.gradient_summary[key]) for key in ("norms", "cosines"))  # type: ignore[call-overload]
    if cut == "parameters":
        assert norms == pytest.approx({t: float(g.norm()) for t, g in alone.items()}, rel=1e-4)
        cosine = torch.nn.functional.cosine_similarity(alone["grade"], alone["type"], dim=0)
        assert cosines == {"grade type": pytest.approx(float(cosine), abs=1e-4)}
    assert result.gradient_summary["weights"] == {"grade": 1.0, "type": 1.0}


def test_weights_of_losses_do_not_hide_the_gradients_from_a_look() -> None:
    alone = find_gradients(make_state("equal", log_every=0))
    state = make_state("si", log_every=1, cut="parameters")
    _, result = find_shared(state)
    assert result.gradient_summary is not None
    assert result.gradient_summary["norms"] == pytest.approx(
        {t: float(g.norm()) for t, g in alone.items()}, rel=1e-4
    )


def test_the_shortest_vector_between_two_gradients_is_the_step() -> None:
    alone = find_gradients(make_state("equal", log_every=0))
    one, two = alone["grade"], alone["type"]
    share = float(((two - one) @ two / (one - two).square().sum()).clamp(0, 1))
    state = make_state("mgda", log_every=1, cut="parameters")
    found, result = find_shared(state)
    torch.testing.assert_close(found, share * one + (1 - share) * two, rtol=1e-3, atol=1e-6)
    assert state.balancer.weights.tolist() == pytest.approx([2 * share, 2 - 2 * share], rel=1e-3)
    assert result.gradient_summary is not None
    assert "cuts" not in result.gradient_summary


def test_a_look_at_the_features_tells_how_far_the_parameters_are_apart() -> None:
    state = make_state("mgda", log_every=1)
    _, result = find_shared(state)
    assert result.gradient_summary is not None
    cosine = result.gradient_summary["cuts"]
    assert isinstance(cosine, float)
    assert -1 <= cosine <= 1.0001
    result = take_step(state, [batch_of({"grade": ALL, "type": ALL})], ALONE, 0.0, "float32", 0.0)
    assert result.gradient_summary is not None
    assert "cuts" not in result.gradient_summary, "only one of ten looks does"


def test_the_cuts_are_compared_by_the_means_of_the_first_batch() -> None:
    """Of several batches the first is compared: the same as in a step of that batch alone, though its losses were
    divided by the counts of both."""
    batches = [batch_of({"grade": ALL, "type": FEW}), batch_of({"grade": FEW, "type": ALL}, seed=1)]
    cuts = []
    for chosen in (batches, batches[:1]):
        result = take_step(make_state("mgda", log_every=1), chosen, ALONE, 0.0, "float32", 0.0)
        assert result.gradient_summary is not None
        cuts.append(result.gradient_summary["cuts"])
    assert cuts[0] == pytest.approx(cuts[1], abs=1e-4)


def test_signs_are_drawn_element_by_element() -> None:
    alone = find_gradients(make_state("equal", log_every=0))
    found, _ = find_shared(make_state("graddrop", log_every=0, cut="parameters"))
    both = torch.stack([alone["grade"], alone["type"]]) / 2
    kept = torch.stack([both.clamp_min(0).sum(0), both.clamp_max(0).sum(0)])
    assert ((found - kept).abs().amin(0) < 1e-6).all()
    assert ((found - kept[0]).abs() < 1e-6).any()
    assert ((found - kept[1]).abs() < 1e-6).any()


def test_of_three_tasks_a_look_sees_each_one_s_own_gradient() -> None:
    names = ("grade", "type", "response")
    known = Target(torch.ones(3, dtype=torch.long), torch.ones(3, dtype=torch.bool))
    batch = batch_of({"grade": ALL, "type": ALL})
    batch = replace(batch, targets={**batch.targets, "response": known})

    def make(**balance: Any) -> FitState:
        return state_of(names, settings_of(balance=BalancePlan(rule="equal", **balance)))

    state = make(log_every=0)
    state.network.train()
    torch.manual_seed(0)
    outputs = state.network(batch, no_cut)
    expected = {}
    for name, task in state.network.tasks.items():
        total, count = state.criteria[name](outputs[name], *flatten_target(batch, task))
        given = torch.autograd.grad(total / count, state.balancer.trunk, retain_graph=True)
        expected[name] = float(torch.cat([g.flatten() for g in given]).norm())
    looked = make(log_every=1, cut="parameters")
    torch.manual_seed(0)
    result = take_step(looked, [batch], ALONE, 0.0, "float32", 0.0)
    assert result.gradient_summary is not None
    assert result.gradient_summary["norms"] == pytest.approx(expected, rel=1e-4)
