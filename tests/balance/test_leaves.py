"""Gradients of shared tensors, by task."""

from __future__ import annotations

import torch

from polytask.balance.backward_passes import add_gradient, compute_task_gradients
from polytask.balance.graddrop import GradDrop
from polytask.balance.leaves import CutLeaves, compute_gramian, merge_weighted


def test_inner_products_add_up_over_tensors() -> None:
    one = {"a": torch.tensor([1.0, 2.0]), "b": torch.tensor([3.0, -1.0])}
    two = {"b": torch.tensor([[2.0]]), "c": torch.tensor([[5.0]])}
    assert compute_gramian([one, two], ["a", "b", "c"]).tolist() == [[5, 1, 0], [1, 14, 10], [0, 10, 25]]
    assert compute_gramian([], ["a"]).tolist() == [[0.0]]


def test_gradients_are_weighed_into_one() -> None:
    found = {"a": torch.tensor([1.0, 2.0]), "b": torch.tensor([3.0, -1.0])}
    whole = merge_weighted(found, {"a": 2.0, "b": 0.5}, None, None)
    assert whole is not None
    assert whole.tolist() == [3.5, 3.5]
    assert found["a"].tolist() == [1.0, 2.0], "nothing is changed in place"
    assert merge_weighted({}, {}, None, None) is None


def test_a_rule_that_combines_is_asked_where_there_is_something_to_combine() -> None:
    generator = torch.Generator().manual_seed(0)
    both = {"a": torch.tensor([1.0, -2.0]), "b": torch.tensor([-1.0, 2.0])}
    whole = merge_weighted(both, {"a": 5.0, "b": 5.0}, GradDrop(), generator)
    assert whole is not None
    assert whole.abs().tolist() == [1.0, 2.0], "one of the two signs, without weights"
    alone = merge_weighted({"a": both["a"]}, {"a": 5.0}, GradDrop(), generator)
    assert alone is not None
    assert alone.tolist() == [5.0, -10.0]


def test_leaves_are_apart_or_one_for_all() -> None:
    shared = torch.ones(2, requires_grad=True) * 2
    apart = CutLeaves()(shared, ["a", "b"])
    assert apart["a"] is not apart["b"]
    together = CutLeaves(apart=False)
    found = together(shared, ["a", "b"])
    assert found["a"] is found["b"]
    assert [x is found["a"] for x in together.single] == [True]
    assert not shared.is_leaf
    assert found["a"].is_leaf


def test_a_pass_per_task_leaves_private_gradients_where_they_belong() -> None:
    shared = torch.tensor([1.0, 2.0], requires_grad=True)
    own = {"a": [torch.nn.Parameter(torch.tensor(3.0))], "b": [torch.nn.Parameter(torch.tensor(4.0))]}
    losses = {t: (shared.sum() if t == "a" else shared[0]) * p[0] for t, p in own.items()}
    losses["c"] = torch.tensor(1.0)
    (found,) = compute_task_gradients(losses, [shared], own)
    assert {t: g.tolist() for t, g in found.items()} == {"a": [3.0, 3.0], "b": [4.0, 0.0]}
    assert [None if p[0].grad is None else float(p[0].grad) for p in own.values()] == [3.0, 1.0]
    add_gradient(own["a"][0], torch.tensor(2.0))
    add_gradient(own["a"][0], None)
    assert own["a"][0].grad is not None
    assert float(own["a"][0].grad) == 5.0
