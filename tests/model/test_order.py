from __future__ import annotations

import pytest
import torch

from polytask.errors import PolytaskError
from polytask.model.order import sequence
from polytask.model.roles import JOINT, private
from tests.model.worlds import inputs_of, network_of, tasks_of, total

CHAIN = {"response": ["grade", "type"]}


def reached(stop: bool) -> dict[str, set[str]]:
    """Parameter → tasks whose loss reaches it."""
    network = network_of(tasks_of("all"), 2, after=CHAIN, stop_gradient=stop)
    found: dict[str, set[str]] = {n: set() for n, _ in network.named_parameters()}
    for task, output in network(inputs_of(2)).items():
        network.zero_grad(set_to_none=True)
        total(output).backward(retain_graph=True)
        for name, p in network.named_parameters():
            if p.grad is not None and p.grad.abs().sum() > 0:
                found[name].add(task)
    for name, role in network.roles().items():
        if role == JOINT:
            assert len(found[name]) > 1, name
        elif role.startswith("private"):
            assert {private(t) for t in found[name]} == {role}, name
    return found


def test_a_chain_is_trained_end_to_end_unless_stopped() -> None:
    grade = [n for n in reached(stop=False) if n.startswith("branches.members.@grade")]
    assert all("response" in reached(stop=False)[n] for n in grade)
    assert all("response" not in reached(stop=True)[n] for n in grade)


def test_the_upstream_answer_matters() -> None:
    network = network_of(tasks_of("all"), 2, after=CHAIN).eval()
    before = network(inputs_of(2))["response"]
    with torch.no_grad():
        for parameter in network.branches["grade"].head.parameters():  # type: ignore[union-attr]
            parameter.add_(3.0)
    assert not torch.allclose(before, network(inputs_of(2))["response"])


@pytest.mark.parametrize(
    ("after", "words"),
    [
        ({"grade": ["type"], "type": ["grade"]}, "cycle: (grade → type → grade|type → grade → type)"),
        ({"grade": ["nothing"]}, "'nothing' is not there"),
        ({"grade": ["mask"]}, "voxel task"),
        ({"grade": ["response"]}, "later visits"),
    ],
)
def test_impossible_orders_are_refused(after: dict[str, list[str]], words: str) -> None:
    with pytest.raises(PolytaskError, match=words):
        sequence(tasks_of("all"), after)
