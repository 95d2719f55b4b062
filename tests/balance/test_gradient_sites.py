"""Gradients gathered at the cut, or at the parameters, are the tasks' own."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from polytask.balance.gradient_sites import FeatureSite, ParameterSite
from polytask.balance.leaves import CutLeaves, compute_gramian, merge_weighted
from polytask.errors import PolytaskError


class Toy(nn.Module):
    """Two shared levels, the second computed from the first; two heads read both."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.second = nn.Linear(3, 4), nn.Linear(4, 4)
        self.heads = nn.ModuleDict({t: nn.Linear(8, 1) for t in "ab"})
        self.mix = nn.Linear(8, 8)

    def forward(self, x: Tensor, cut, mixed: bool = False) -> dict[str, Tensor]:  # type: ignore[no-untyped-def]
        low = torch.tanh(self.first(x))
        lows = cut(low, ["a", "b"])
        highs = cut(torch.tanh(self.second(low)), ["a", "b"])
        both = {t: torch.cat([lows[t], highs[t]], 1) for t in "ab"}
        if mixed:
            both = {t: both[t] + self.mix(sum(both.values())) for t in "ab"}
        return {t: self.heads[t](both[t]).square().mean() * (1 + (t == "b")) for t in "ab"}

    def shared(self) -> list[nn.Parameter]:
        return [*self.first.parameters(), *self.second.parameters()]


X = torch.linspace(-1, 1, 15).view(5, 3)
WEIGHTS = {"a": 0.3, "b": 1.7}


def expected(toy: Toy, mixed: bool) -> tuple[list[Tensor], Tensor]:
    """Gradient of Σ w L at the shared parameters, and Gramian of the tasks' gradients there, by plain autograd."""
    by_task = {}
    for task in WEIGHTS:
        losses = toy(X, lambda x, tasks: dict.fromkeys(tasks, x), mixed)
        by_task[task] = torch.autograd.grad(losses[task], toy.shared())
    rows = torch.stack([torch.cat([g.flatten() for g in by_task[t]]) for t in WEIGHTS])
    return [sum(WEIGHTS[t] * by_task[t][i] for t in WEIGHTS) for i in range(4)], rows @ rows.T


@pytest.mark.parametrize("mixed", [False, True])
def test_weighed_gradients_reach_the_trunk(mixed: bool) -> None:
    toy = Toy()
    want, _ = expected(toy, mixed)
    joint = list(toy.mix.parameters()) if mixed else []
    place = FeatureSite(mixed, joint, {t: list(toy.heads[t].parameters()) for t in "ab"})
    found = place.gather(toy(X, place.cut, mixed))
    place.release([merge_weighted(one, WEIGHTS, None, None) for one in found])
    for parameter, gradient in zip(toy.shared(), want, strict=True):
        torch.testing.assert_close(parameter.grad, gradient, rtol=1e-5, atol=1e-7)
    plain = toy(X, lambda x, tasks: dict.fromkeys(tasks, x), mixed)
    for task in "ab":
        own = torch.autograd.grad(plain[task], toy.heads[task].weight, retain_graph=True)[0]
        torch.testing.assert_close(toy.heads[task].weight.grad, own, msg="a head keeps its plain gradient")
    if mixed:
        total = sum(WEIGHTS[t] * plain[t] for t in "ab")
        torch.testing.assert_close(toy.mix.weight.grad, torch.autograd.grad(total, toy.mix.weight)[0])


def test_one_pass_and_a_pass_per_task_find_the_same() -> None:
    toy = Toy()
    found = []
    for per_task in (False, True):
        place = FeatureSite(per_task, [], {})
        found.append(compute_gramian(place.gather(toy(X, place.cut)), ["a", "b"]))
    torch.testing.assert_close(*found)
    assert found[0][0, 0] > 0


@pytest.mark.parametrize("mixed", [False, True])
def test_gradients_at_the_parameters(mixed: bool) -> None:
    toy = Toy()
    want, inner = expected(toy, mixed)
    place = ParameterSite(toy.shared(), {t: list(toy.heads[t].parameters()) for t in "ab"})
    found = place.gather(toy(X, place.cut, mixed))
    torch.testing.assert_close(compute_gramian(found, ["a", "b"]), inner)
    place.release([merge_weighted(one, WEIGHTS, None, None) for one in found])
    for parameter, gradient in zip(toy.shared(), want, strict=True):
        torch.testing.assert_close(parameter.grad, gradient)


def test_from_the_features_on_the_gradients_are_those_of_the_parameters() -> None:
    toy = Toy()
    _, inner = expected(toy, False)
    place = FeatureSite(False, [], {})
    found = place.gather(toy(X, place.cut))
    through = place.carry_to_trunk(found, toy.shared(), ["a", "b"])
    torch.testing.assert_close(compute_gramian(through, ["a", "b"]), inner)


@pytest.mark.parametrize("kind", [FeatureSite, ParameterSite])
def test_a_place_says_whether_the_gramians_of_the_parts_of_a_batch_add_up(
    kind: type[FeatureSite] | type[ParameterSite],
) -> None:
    toy = Toy()

    def find_gramian(x: Tensor) -> Tensor:
        place = FeatureSite(False, [], {}) if kind is FeatureSite else ParameterSite(toy.shared(), {})
        losses = {t: loss * len(x) / len(X) for t, loss in toy(x, place.cut).items()}
        return compute_gramian(place.gather(losses), ["a", "b"])

    parts = find_gramian(X[:2]) + find_gramian(X[2:])
    assert torch.allclose(parts, find_gramian(X)) == kind.additive


def test_a_task_that_reads_nothing_has_no_gradient() -> None:
    leaves = CutLeaves()
    shared = torch.ones(2, requires_grad=True) * 2
    leaf = leaves(shared, ["a"])["a"]
    leaf.sum().backward()
    assert compute_gramian(leaves.gathered(), ["a", "b"]).tolist() == [[2.0, 0.0], [0.0, 0.0]]
    constant = torch.ones(2)
    assert leaves(constant, ["a"])["a"] is constant, "what no parameter made needs no leaf"


def test_no_features_in_common() -> None:
    with pytest.raises(PolytaskError, match="--cut parameters"):
        FeatureSite(False, [], {}).gather({})


def test_a_task_that_does_not_reach_a_shared_parameter_has_zeros_there() -> None:
    toy = Toy()
    site = ParameterSite(toy.shared(), {})
    losses = toy(X, site.cut)
    losses["b"] = toy.first(X).square().mean()  # does not pass the second level
    gathered = site.gather(losses)
    reached = {name: [bool(one[name].any()) for one in gathered] for name in "ab"}
    assert reached["a"] == [True] * len(gathered)
    assert reached["b"] == [parameter in set(toy.first.parameters()) for parameter in toy.shared()]
