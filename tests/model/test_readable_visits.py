"""A network computes only the visits that one of its tasks reads."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from polytask.model.crop_reader import CropSpec
from polytask.model.crop_tokens import select_crop_rows
from polytask.model.network import Network
from polytask.model.network_inputs import NetworkInputs
from polytask.model.readable_visits import find_unread_slots
from polytask.tasks import make_task
from tests.model.worlds import FIELDS, Inputs, inputs_of, network_of, tasks_of, total

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


CHAINS: dict[str, dict[str, object]] = {
    "none": {},
    "embedding": {"after": {"every": ("first",)}},
    "gate": {"after": {"first": ("mask",)}, "link": {"first": "gate"}},
    "channel": {"after": {"first": ("mask",)}, "link": {"first": "channel"}},
    "shared channel": {
        "after": {"first": ("mask",), "every": ("mask",)},
        "link": {"first": "channel", "every": "channel"},
        "second_network": "shared",
    },
    "film": {"after": {"first": ("mask",)}, "input_fusion": "film"},
}
"""How tasks follow each other: not at all, or through each link; once with tables that modulate the maps."""


def make_chain(chain: str, sharing: str = "single", **more: object) -> Network:
    """Two subject tasks, of which `first` reads one visit of nine, and a mask where the chain has one."""
    names = ["first", "every", *(["mask"] if "mask" in str(CHAINS[chain]) else [])]
    tasks = {name: make_task(name, FIELDS["mask" if name == "mask" else "response"]) for name in names}
    changes = {
        "visits": {"first": (0,)},
        "max_visits": VISITS,
        "visit_fusion": "attention",
        "sharing": sharing,
    }
    return network_of(tasks, 2, **changes, **CHAINS[chain], **more)


def compute_gradients(network: Network, inputs: NetworkInputs) -> dict[str, torch.Tensor]:
    """Answers by task and, by parameter, gradients of all of them together."""
    network.zero_grad()
    outputs = network(inputs)
    torch.stack([total(output) for output in outputs.values()]).sum().backward()
    gradients = {name: p.grad.clone() for name, p in network.named_parameters() if p.grad is not None}
    return gradients | {f"answer {name}": total(output).detach() for name, output in outputs.items()}


@pytest.mark.parametrize("patch", [False, True])
@pytest.mark.parametrize(
    ("sharing", "form"),
    [("single", "light"), ("hard", "light"), ("mtan", "light"), ("mtan", "paper"), ("task_tokens", "light")],
)
@pytest.mark.parametrize("chain", CHAINS)
def test_what_is_left_out_changes_no_answer_and_no_gradient(
    chain: str, sharing: str, form: str, patch: bool
) -> None:
    network, inputs = make_chain(chain, sharing, form=form), many_visits()
    inputs.visit_known[1, 4] = False
    if patch and "mask" in network.tasks:
        inputs = replace(inputs, patch={"scan": inputs.whole["scan"][:, :, None, :, :8, :8]})
    found = compute_gradients(network, inputs)
    assert network.partly_read["first"] == [0]
    network.partly_read = {}
    wanted = compute_gradients(network, inputs)
    assert found.keys() == wanted.keys()
    for name, value in wanted.items():
        torch.testing.assert_close(found[name], value, rtol=1e-4, atol=1e-6, msg=name)


def test_in_a_chain_of_separate_networks_each_encodes_the_visits_it_reads() -> None:
    inputs = many_visits()
    chain, every = make_chain("embedding"), make_network("every", sharing="single")
    first = make_network("first", sharing="single")
    assert count_flops(chain, inputs) < 1.02 * (count_flops(every, inputs) + count_flops(first, inputs))


@pytest.mark.parametrize("form", ["light", "paper"])
def test_the_attention_of_a_task_runs_at_the_visits_that_it_reads(form: str) -> None:
    """Behind the common encoder of MTAN, what `first` has for itself costs a ninth of what `every` has."""
    inputs, both = many_visits(), make_chain("none", "mtan", form=form)
    cost, encoder = count_flops(both, inputs), count_flops(make_chain("none", "hard"), inputs)
    both.partly_read = {}
    everywhere = count_flops(both, inputs)
    of_one_task = (everywhere - encoder) / 2
    assert (everywhere - cost) / of_one_task == pytest.approx(8 / 9, abs=0.02)


def make_crop_network(*names: str, **changes: object) -> tuple[Network, Inputs]:
    """Tasks that read two crops of five places at each of nine visits, and their inputs."""
    tasks = {name: make_task(name, FIELDS["mask" if name == "mask" else "response"]) for name in names}
    settings: dict[str, object] = {
        "visits": {"first": (0,)},
        "max_visits": VISITS,
        "visit_fusion": "attention",
        "crops": {"scan": CropSpec(2, "mask")},
    }
    crops = torch.randn((2, VISITS, 5, 2, 8, 8), generator=torch.Generator().manual_seed(4))
    known = torch.ones(2, VISITS, 5, dtype=torch.bool)
    inputs = replace(many_visits(), crops={"scan": crops}, crop_known={"scan": known})
    return network_of(tasks, 2, **settings | changes), inputs


@pytest.mark.parametrize("sharing", ["hard", "single", "mtan"])
@pytest.mark.parametrize("fusion", ["concat", "film"])
def test_crops_are_read_at_the_visits_that_some_pooled_task_reads(sharing: str, fusion: str) -> None:
    network, inputs = make_crop_network("first", "mask", sharing=sharing, input_fusion=fusion)
    inputs.visit_known[1, 4] = False
    # In evaluation, because in training places are drawn at random for as many visits as are read.
    network.eval()
    found, cost = compute_gradients(network, inputs), count_flops(network, inputs)
    without_crops, _ = make_crop_network("first", "mask", sharing=sharing, input_fusion=fusion, crops={})
    bare = replace(inputs, crops={}, crop_known={})
    cost -= count_flops(without_crops.eval(), bare)
    network.partly_read = without_crops.partly_read = {}
    wanted, everywhere = compute_gradients(network, inputs), count_flops(network, inputs)
    everywhere -= count_flops(without_crops, bare)
    assert found.keys() == wanted.keys()
    for name, value in wanted.items():
        torch.testing.assert_close(found[name], value, rtol=1e-4, atol=1e-6, msg=name)
    assert cost < everywhere / 8, "two visits of seventeen"


def test_crops_that_one_task_reads_at_all_visits_are_read_at_all() -> None:
    """Which places are read depends on all tasks; the others then read them too."""
    network, inputs = make_crop_network("first", "every", crops={"scan": CropSpec(2)})
    assert select_crop_rows(network, inputs) is None
    alone, _ = make_crop_network("first", "mask")
    rows = select_crop_rows(alone, inputs)
    assert rows is not None
    assert rows.nonzero()[:, 0].tolist() == [0, VISITS]


@pytest.mark.parametrize(
    ("chain", "sharing"),
    [("gate", "single"), ("channel", "single"), ("channel", "hard"), ("gate", "mtan")],
)
def test_a_mask_that_is_only_handed_down_is_found_at_the_visits_that_are_read(
    chain: str, sharing: str
) -> None:
    """Its own answer comes from patches, so that of the whole view only one visit of nine is decoded."""
    inputs, network = many_visits(), make_chain(chain, sharing)
    inputs = replace(inputs, patch={"scan": inputs.whole["scan"][:, :, None, :, :4, :4]})
    cost = count_flops(network, inputs)
    network.partly_read = {}
    assert cost < 0.75 * count_flops(network, inputs)


def test_cross_stitch_needs_every_encoder_at_every_visit() -> None:
    """So nothing can be left out there: what goes to `every` is mixed from the encoder of `first` too."""
    network, inputs = make_chain("none", "cross_stitch"), many_visits()
    inputs.visit_known[:, 0] = False
    total(network(inputs)["every"]).backward()
    encoder = [p for name, p in network.named_parameters() if "encoders.members.@first." in name]
    assert encoder
    assert all(p.grad is not None and bool(p.grad.any()) for p in encoder)


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
