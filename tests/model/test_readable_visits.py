"""A network computes only the visits that one of its tasks reads."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from polytask.model.network import Network
from polytask.model.network_inputs import NetworkInputs
from polytask.model.readable_visits import find_unread_slots
from polytask.tasks import make_task
from tests.model.worlds import FIELDS, Inputs, inputs_of, network_of, tasks_of

VISITS = 9


def many_visits() -> Inputs:
    """Two subjects with nine visits, all of them known."""
    few = inputs_of(2, subjects=VISITS)
    everything = torch.ones(2, VISITS, dtype=torch.bool)
    image = few.whole["scan"].flatten(0, 1).unflatten(0, (2, VISITS))
    return Inputs(
        visit_known=everything,
        day=torch.arange(VISITS).float().expand(2, VISITS),
        whole={"scan": image},
        channel_known={"scan": everything[..., None].expand(-1, -1, 2)},
        tables={"clinic": torch.zeros(2, VISITS, 3)},
        table_known={"clinic": everything[..., None].expand(-1, -1, 3)},
    )


def make_network(*names: str, sharing: str = "hard") -> Network:
    """Subject tasks of nine visits; the task `first` reads only the first one."""
    tasks = {name: make_task(name, FIELDS["response"]) for name in names}
    changes = {
        "visits": {"first": (0,)},
        "max_visits": VISITS,
        "visit_fusion": "attention",
        "sharing": sharing,
    }
    return network_of(tasks, 2, **changes)


def count_flops(network: Network, inputs: NetworkInputs) -> int:
    """The operations of a forward pass."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(inputs)
    return int(counter.get_total_flops())


def take_first_visit(inputs: Inputs) -> Inputs:
    """The same subjects as if they had their first visit only."""
    known = inputs.visit_known.clone()
    known[:, 1:] = False
    return replace(inputs, visit_known=known)


@pytest.mark.parametrize("sharing", ["hard", "single"])
def test_a_task_that_reads_one_visit_of_nine_costs_one(sharing: str) -> None:
    inputs = many_visits()
    first, every = make_network("first", sharing=sharing), make_network("every", sharing=sharing)
    cost = count_flops(first, inputs)
    assert cost == count_flops(first, take_first_visit(inputs))
    assert cost < count_flops(every, inputs) / 7


def test_beside_a_task_that_reads_all_visits_it_costs_almost_nothing() -> None:
    inputs = many_visits()
    both, every = (
        count_flops(make_network("every", "first"), inputs),
        count_flops(make_network("every"), inputs),
    )
    assert both < 1.02 * every


def test_visits_that_no_task_reads_do_not_matter() -> None:
    network, inputs = make_network("first").eval(), many_visits()
    answer = network(inputs)["first"]
    inputs.whole["scan"][:, 1:] = float("nan")
    torch.testing.assert_close(network(inputs)["first"], answer)


def test_a_batch_in_which_nobody_has_the_visit_is_answered() -> None:
    network, inputs = make_network("first"), many_visits()
    late = inputs.visit_known.clone()
    late[:, 0] = False
    output = network(replace(inputs, visit_known=late))["first"]
    assert isinstance(output, torch.Tensor)
    assert bool(torch.isfinite(output).all())


def test_a_visit_task_needs_every_visit() -> None:
    assert find_unread_slots({"response": [0]}, tasks_of("subject"), 2) == [1]
    assert find_unread_slots({"response": [0]}, tasks_of("all"), 2) == []
