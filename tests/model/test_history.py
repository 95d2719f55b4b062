"""Visit tasks with a history, in whole networks: they read earlier visits of every source, and never a later one."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from polytask.model.network import Network
from polytask.tasks import make_task
from tests.model.worlds import FIELDS, Inputs, inputs_of, network_of, total

VISITS = 4
CHAIN = {"type": ("grade",)}


def long_inputs() -> Inputs:
    """Three subjects with four visits; the second lacks two, the third has no table at its second visit."""
    flat = inputs_of(2, subjects=3 * VISITS // 2)
    known = torch.tensor([[1, 1, 1, 1], [1, 0, 1, 0], [1, 1, 1, 0]]).bool()
    table = known[..., None].expand(-1, -1, 3).clone()
    table[2, 1] = False
    return Inputs(
        visit_known=known,
        day=torch.tensor([0.0, 90, 200, 400]).repeat(3, 1) * known,
        whole={"scan": flat.whole["scan"].flatten(0, 1).unflatten(0, (3, VISITS))},
        channel_known={"scan": known[..., None].expand(-1, -1, 2)},
        tables={"clinic": flat.tables["clinic"].flatten(0, 1).unflatten(0, (3, VISITS))},
        table_known={"clinic": table},
    )


def network(*history: str, **changes: object) -> Network:
    """Two visit tasks, some of them with a history."""
    tasks = {name: make_task(name, FIELDS[name]) for name in ("grade", "type")}
    return network_of(tasks, 2, max_visits=VISITS, history=frozenset(history), **changes).eval()


def change_visits(inputs: Inputs, slots: Tensor) -> Inputs:
    """The same inputs with other images and cells at some slots `[V]`, and other days there."""
    return replace(
        inputs,
        day=torch.where(slots, inputs.day + 30, inputs.day),
        whole={"scan": torch.where(slots[:, None, None, None], 3.0, inputs.whole["scan"])},
        tables={"clinic": torch.where(slots[:, None], -2.0, inputs.tables["clinic"])},
    )


def by_visit(output: Tensor | list[Tensor]) -> Tensor:
    """`[B·V, outputs] → [B, V, outputs]`."""
    assert isinstance(output, Tensor)
    return output.unflatten(0, (3, VISITS))


@pytest.mark.parametrize(
    "changes",
    [
        {"input_fusion": "concat"},
        {"input_fusion": "attention", "sharing": "ctan"},
        {"after": CHAIN, "sharing": "single"},
        {"after": CHAIN, "second_level": "private"},
    ],
    ids=str,
)
def test_an_answer_depends_on_earlier_visits_and_never_on_later_ones(changes: dict[str, object]) -> None:
    net, inputs = network("grade", "type", **changes), long_inputs()
    with torch.no_grad():
        answers = net(inputs)
        for slot in range(VISITS - 1):
            later = net(change_visits(inputs, torch.arange(VISITS) > slot))
            known = inputs.visit_known.clone()
            known[:, slot + 1 :] = False
            flags = {"channel_known": {"scan": known[..., None].expand(-1, -1, 2)}}
            cells = {"clinic": inputs.table_known["clinic"] & known[..., None]}
            gone = net(replace(inputs, visit_known=known, table_known=cells, **flags))
            earlier = net(change_visits(inputs, torch.arange(VISITS) < slot + 1))
            for task in answers:
                here, there = by_visit(answers[task]), inputs.visit_known[:, : slot + 1]
                for other in (later, gone):
                    found = by_visit(other[task])[:, : slot + 1]
                    torch.testing.assert_close(found[there], here[:, : slot + 1][there])
                after = inputs.visit_known[:, slot + 1 :]
                changed = (by_visit(earlier[task]) - here)[:, slot + 1 :][after].abs().sum(-1)
                assert bool((changed > 1e-6).all()), "an earlier visit has no say"


def test_without_a_history_a_visit_task_sees_its_own_visit_only() -> None:
    net, inputs = network("grade"), long_inputs()
    with torch.no_grad():
        answers, other = net(inputs), net(change_visits(inputs, torch.arange(VISITS) == 0))
    later = inputs.visit_known.clone()
    later[:, 0] = False
    torch.testing.assert_close(by_visit(answers["type"])[later], by_visit(other["type"])[later])
    assert bool((by_visit(answers["grade"]) - by_visit(other["grade"]))[later].abs().gt(1e-6).any())


def test_every_parameter_learns() -> None:
    net = network("grade", "type", after=CHAIN).train()
    torch.stack([total(o) for o in net(long_inputs()).values()]).sum().backward()
    dead = [n for n, p in net.named_parameters() if p.grad is None or not bool((p.grad != 0).any())]
    assert dead == []
