"""Chains: who reaches whom, what travels down a chain, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from polytask.errors import PolytaskError
from polytask.model.network import Network
from polytask.model.order import order_tasks
from polytask.model.order.answer_maps import make_answer_map, make_entropy_map
from polytask.model.order.gate import MIN_GATE_WEIGHT, GateLink
from polytask.model.order.number import NumberLink
from polytask.model.roles import JOINT, private_role
from polytask.model.sharing import SHARINGS
from polytask.tasks import make_task
from tests.model.worlds import FIELDS, inputs_of, network_of, tasks_of, total

CHAINS: dict[str, dict[str, Any]] = {
    "embeddings": {"after": {"response": ["grade", "type"]}},
    "embeddings in a second level": {
        "after": {"response": ["grade", "type"]},
        "second_level": "private",
        "input_fusion": "attention",
    },
    "embeddings beside a gate": {"after": {"grade": ["mask", "type"]}, "second_level": "shared"},
    "gate": {"after": {"grade": ["mask"]}},
    "gate of a subject task": {"after": {"response": ["mask", "grade"]}},
    "second network of a pooled task": {"after": {"response": ["mask"]}, "link": {"response": "channel"}},
    "second network of a voxel task": {"after": {"mask": ["dose"]}},
    "three in a row": {"after": {"mask": ["dose"], "grade": ["mask"], "response": ["grade"]}},
    "with entropy": {"after": {"grade": ["mask"]}, "link": {"grade": "channel"}, "uncertainty": "entropy"},
    "with variance": {"after": {"grade": ["mask"]}, "uncertainty": "variance"},
    "coarse logits": {"after": {"response": ["mask"]}, "link": {"response": "logits"}},
    "coarse logits of two, one visit": {"after": {"grade": ["mask", "dose"]}, "link": {"grade": "logits"}},
    "coarse logits beside a gate": {
        "after": {"response": ["mask"], "grade": ["mask"]},
        "link": {"response": "logits"},
        "visit_fusion": "attention",
        "visit_levels": (1, 3),
    },
    "coarse logits from attention": {
        "after": {"response": ["mask"]},
        "link": {"response": "logits"},
        "decoder": "attention",
    },
    "coarse logits from the decoder of MTAN": {
        "after": {"response": ["mask"]},
        "link": {"response": "logits"},
        "decoder": "mtan",
    },
    "coarse logits without deep supervision": {
        "after": {"response": ["mask"]},
        "link": {"response": "logits"},
        "deep_supervision": 0,
    },
    "from a shared decoder": {"after": {"grade": ["mask"], "type": ["dose"]}, "decoder": "shared"},
    "one second network of two tasks": {
        "after": {"grade": ["mask", "dose"], "response": ["dose", "mask"]},
        "link": {"grade": "channel", "response": "channel"},
        "second_network": "shared",
    },
    "a second network per map": {
        "after": {"grade": ["mask", "dose"], "response": ["dose"], "type": ["mask"]},
        "link": {"grade": "channel", "response": "channel", "type": "channel"},
        "second_network": "map",
    },
    "passes into a second network": {
        "after": {"grade": ["mask"], "type": ["mask"]},
        "link": {"grade": "channel", "type": "channel"},
        "uncertainty": "entropy",
        "passes": 3,
        "second_network": "shared",
    },
    "passes of two maps with variance": {
        "after": {"mask": ["dose"], "grade": ["mask", "dose"]},
        "uncertainty": "variance",
        "passes": 2,
    },
    "passes of a common decoder": {
        "after": {"grade": ["mask"]},
        "uncertainty": "variance",
        "passes": 2,
        "decoder": "attention",
    },
    "passes of the decoder of MTAN": {
        "after": {"grade": ["mask"]},
        "uncertainty": "entropy",
        "passes": 2,
        "decoder": "mtan",
    },
    "numbers and risks": {
        "after": {"grade": ["size", "lesions"], "os": ["grade", "size"], "relapse": ["os"]},
        "tasks": "numbers",
    },
    "numbers in a second level": {
        "after": {"os": ["size"], "relapse": ["size"], "grade": ["size"]},
        "second_level": "shared",
        "tasks": "numbers",
    },
}
chains = pytest.mark.parametrize("chain", CHAINS)


def chain_network(chain: str, dims: int, **changes: Any) -> Network:
    """A network of the tasks of a chain."""
    values = {"tasks": "all", **CHAINS[chain], **changes}
    return network_of(tasks_of(str(values.pop("tasks"))), dims, **values)


def reached(network: Network, dims: int = 2) -> dict[str, set[str]]:
    """Parameter → tasks whose loss reaches it."""
    found: dict[str, set[str]] = {n: set() for n, _ in network.named_parameters()}
    for task, output in network(inputs_of(dims)).items():
        network.zero_grad(set_to_none=True)
        total(output).backward(retain_graph=True)
        for name, p in network.named_parameters():
            if p.grad is not None and p.grad.abs().sum() > 0:
                found[name].add(task)
    return found


@chains
@pytest.mark.parametrize("stop", [False, True])
@pytest.mark.parametrize("sharing", ["hard", "single"])
def test_measured_roles_equal_declared_ones(chain: str, stop: bool, sharing: str) -> None:
    network = chain_network(chain, 2, stop_gradient=stop, sharing=sharing)
    found = reached(network)
    for name, role in network.roles().items():
        assert found[name], f"{name} is dead"
        if role == JOINT:
            assert len(found[name]) > 1, name
        elif role.startswith("private"):
            assert {private_role(t) for t in found[name]} == {role}, name


@chains
def test_the_answer_travels_down_the_chain_and_only_down(chain: str) -> None:
    """Another upstream answer changes the downstream one, and nobody else's; so does another downstream head not
    change the upstream answer."""
    network = chain_network(chain, 3, sharing="single").eval()
    after = CHAINS[chain]["after"]
    with torch.no_grad():
        before = network(inputs_of(3))
        for task, ups in after.items():
            for up in ups:
                head = _head(network, up)
                kept = {n: p.clone() for n, p in head.named_parameters()}
                for p in head.parameters():
                    p.add_(torch.randn_like(p))
                now = network(inputs_of(3))
                changed = {t for t in now if not torch.equal(total(before[t]), total(now[t]))}
                assert {up, task} <= changed
                assert changed <= {up, *_below(up, after)}
                for n, p in head.named_parameters():
                    p.copy_(kept[n])


@chains
def test_a_chain_answers_alike_every_time_and_cases_do_not_see_each_other(chain: str) -> None:
    network = chain_network(chain, 2).eval()
    three = inputs_of(2, 3)
    one = type(three)(**{k: _first(v) for k, v in vars(three).items()})
    with torch.inference_mode():
        together, again, alone = network(three), network(three), network(one)
    for name, task in network.tasks.items():
        a, b, c = (o[name][0] if task.level == "voxel" else o[name] for o in (together, again, alone))
        assert torch.equal(a, b)
        torch.testing.assert_close(a[: len(c)], c, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("sharing", list(SHARINGS))
def test_every_sharing_carries_chains(sharing: str) -> None:
    network = network_of(tasks_of("all"), 2, sharing=sharing, **CHAINS["three in a row"])
    outputs = network(inputs_of(2))
    torch.stack([total(o) for o in outputs.values()]).sum().backward()
    assert [n for n, p in network.named_parameters() if p.grad is None] == []


def test_patches_beside_a_view_are_answered_and_the_chain_reads_the_view() -> None:
    inputs = inputs_of(2)
    inputs.patch["scan"] = torch.randn(3, 2, 4, 2, 8, 8)
    network = network_of(tasks_of("all"), 2, **CHAINS["gate"]).eval()
    outputs = network(inputs)
    assert outputs["mask"][0].shape == (20, 3, 8, 8)
    assert torch.equal(outputs["grade"], network(inputs_of(2))["grade"])


def test_a_gate_gathers_what_lies_inside() -> None:
    """By hand: one plane, one channel, a layer of ones; inside the mask the map is 3, outside 100."""
    gate = GateLink(1, [1], 1)
    nn.init.ones_(gate.layer.weight)
    nn.init.zeros_(gate.layer.bias)
    region = torch.zeros(1, 1, 4, 4)
    region[..., :2, :2] = 1
    maps = torch.full((1, 1, 2, 2), 100.0)
    maps[..., 0, 0] = 3
    weight = 1 + MIN_GATE_WEIGHT, MIN_GATE_WEIGHT
    mean = (3 * weight[0] + 3 * 100 * weight[1]) / (weight[0] + 3 * weight[1])
    strongest = max(3 * weight[0], 100 * weight[1])
    assert gate(region, [maps]).item() == pytest.approx(4 / 16 + 1 + mean + strongest, rel=1e-5)


def test_a_number_travels_as_a_multiple_of_one_vector() -> None:
    """By hand: twice the number moves the token twice as far; a hazard for each interval has a vector of its own."""
    network = chain_network("numbers and risks", 2)
    link = network.embeddings["os size"]
    assert isinstance(link, NumberLink)
    start, one, two = (link(torch.full((1, 1), value)) for value in (0.0, 1.0, 2.0))
    torch.testing.assert_close(two - start, 2 * (one - start))
    assert (one - start).norm() > 0
    assert NumberLink(network.tasks["relapse"], 8).layer.in_features == 2


def test_maps_are_probabilities_and_their_entropy_is_between_0_and_1() -> None:
    mask = tasks_of("all")["mask"]
    even = torch.zeros(1, 3, 2, 2)
    sure = torch.tensor([0.0, 40.0, 0.0]).reshape(1, 3, 1, 1)
    assert make_answer_map(mask, even).shape == (1, 2, 2, 2)
    torch.testing.assert_close(make_answer_map(mask, even), torch.full((1, 2, 2, 2), 1 / 3))
    torch.testing.assert_close(make_entropy_map(mask, even), torch.ones(1, 1, 2, 2))
    assert make_entropy_map(mask, sure).item() < 1e-3


def test_thinned_heads_disagree_where_channels_do() -> None:
    """A map on which every channel votes alike gives no spread beyond the scale's; opposed channels give some."""
    network = network_of(tasks_of("all"), 2, **CHAINS["with variance"])
    heads = network.voxels.heads["mask"]
    quiet = heads.variance(torch.zeros(1, 8, 4, 4))  # type: ignore[operator]
    loud = heads.variance(20 * torch.randn(1, 8, 4, 4))  # type: ignore[operator]
    assert quiet.abs().max() < 1e-6
    assert loud.max() > 0.05
    assert loud.max() <= 1


@pytest.mark.parametrize(
    ("after", "words"),
    [
        ({"grade": ["type"], "type": ["grade"]}, "cycle: (grade → type → grade|type → grade → type)"),
        ({"grade": ["nothing"]}, "'nothing' is not known"),
        ({"mask": ["response"]}, "'mask' is asked at a visit"),
        ({"grade": ["response"]}, "later visits"),
    ],
)
def test_impossible_orders_are_refused(after: dict[str, list[str]], words: str) -> None:
    with pytest.raises(PolytaskError, match=words):
        order_tasks(tasks_of("all"), after)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"after": {"grade": ["mask"]}, "link": {"grade": "embedding"}}, "choose gate, channel or logits"),
        ({"after": {"mask": ["dose"]}, "link": {"mask": "gate"}}, "choose channel"),
        ({"after": {"mask": ["dose"]}, "link": {"mask": "logits"}}, "choose channel"),
        ({"after": {"grade": ["mask"]}, "uncertainty": "doubt"}, "none, entropy, variance"),
        ({"after": {"grade": ["mask"]}, "passes": 4}, "choose model.uncertainty too"),
        ({"after": {"response": ["pfs"]}}, "'pfs' is not known"),
        (
            {"after": {"mask": ["dose"]}, "uncertainty": "entropy"},
            "'dose' predicts a number per voxel; choose variance or none",
        ),
    ],
)
def test_impossible_links_are_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(PolytaskError, match=words):
        network_of(tasks_of("all"), 2, **changes)


def test_an_answer_that_rests_on_nothing_is_no_source() -> None:
    """Without image and table the upstream answer is a constant: no weight goes to it."""
    tasks = tasks_of("all")
    network = network_of(tasks, 2, input_fusion="attention", after={"response": ["grade"]}).eval()
    inputs = inputs_of(2)
    for known in (inputs.channel_known, inputs.table_known):
        for name in known:
            known[name] = known[name].clone()
            known[name][0] = False
    with torch.inference_mode():
        side_outputs = network.compute_with_side_outputs(inputs).side_outputs
    weights = torch.stack(list(side_outputs["response"].values()), 1)
    assert set(side_outputs["response"]) == {"source.scan", "source.clinic", "source.after grade"}
    torch.testing.assert_close(weights.sum(1), torch.tensor([0.0, 1.0, 1.0]))


def test_side_outputs_come_with_the_answers_that_forward_gives() -> None:
    network = network_of(tasks_of("all"), 2, input_fusion="attention", after={"response": ["grade"]}).eval()
    inputs = inputs_of(2)
    with torch.inference_mode():
        computed, again = network.compute_with_side_outputs(inputs), network.compute_with_side_outputs(inputs)
        answers = network(inputs)
    assert set(computed.side_outputs) == set(network.pooled)
    for name in network.pooled:
        assert torch.equal(computed.outputs[name], answers[name])
        # Nothing of one call is left for the next.
        assert list(computed.side_outputs[name]) == list(again.side_outputs[name])
        assert all(
            torch.equal(computed.side_outputs[name][k], v) for k, v in again.side_outputs[name].items()
        )
    assert list(computed.outputs) == list(answers)


def test_a_chain_shows_no_task_a_visit_it_may_not_read() -> None:
    """Both answers are of the subject; one reads the first visit alone."""
    tasks = tasks_of("all")
    tasks["early"] = make_task("early", FIELDS["response"])
    after = {"early": ["response"]}
    with pytest.raises(PolytaskError, match="'early' reads fewer visits than 'response'"):
        network_of(tasks, 2, after=after, visits={"early": [0]})
    network_of(tasks, 2, after=after)
    network = network_of(tasks, 2, after={"response": ["early"]}, visits={"early": [0]}).eval()
    now, later = inputs_of(2), inputs_of(2)
    later.whole["scan"][0, 1] += 3
    with torch.inference_mode():
        ours, theirs = network(now), network(later)
    assert torch.equal(ours["early"], theirs["early"])
    assert not torch.equal(ours["response"][0], theirs["response"][0])


def _head(network: Network, task: str) -> nn.Module:
    if task in network.voxel:
        return network.voxels.heads[task]
    return network.branches[task].head  # type: ignore[return-value]


def _below(task: str, after: dict[str, list[str]]) -> set[str]:
    """Tasks that read a task's answer, through others too."""
    direct = {t for t, ups in after.items() if task in ups}
    return direct.union(*[_below(t, after) for t in direct])


def _first(value: object) -> object:
    if isinstance(value, dict):
        return {k: v[:1] for k, v in value.items()}
    assert isinstance(value, torch.Tensor)
    return value[:1]
