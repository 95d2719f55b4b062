"""The second level of MM-DLS: class vectors beside the inputs, and one level for all tasks that read the same ones."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from polytask.model.network import Network
from polytask.model.roles import JOINT, private_role
from polytask.model.sharing import SHARINGS
from polytask.tasks import make_task
from tests.model.worlds import FIELDS, inputs_of, network_of, total

ANSWERS = ["grade", "type"]
OUTCOMES = ["response", "relapse"]


def network_with(level: str, after: dict[str, list[str]] | None = None, **changes: Any) -> Network:
    """Two graded answers at each visit, and two of the subject that read them."""
    tasks = {n: make_task(n, FIELDS[n]) for n in [*ANSWERS, "response"]}
    tasks["relapse"] = make_task("relapse", FIELDS["response"])
    chain = dict.fromkeys(OUTCOMES, ANSWERS) if after is None else after
    return network_of(tasks, 2, after=chain, second_level=level, input_fusion="attention", **changes).eval()


def keep_inputs(module: object) -> list[Tensor]:
    """Keep what a module reads; the list is filled when it runs."""
    assert isinstance(module, nn.Module)
    read: list[Tensor] = []
    module.register_forward_pre_hook(lambda _, given: read.extend(given))
    return read


@torch.no_grad()
def test_heads_of_several_outcomes_read_one_vector() -> None:
    network = network_with("shared")
    response, relapse = (keep_inputs(network.branches[t].head) for t in OUTCOMES)
    network(inputs_of(2))
    assert torch.equal(response[0], relapse[0])
    assert network.second_levels.names() == ["response"]


@torch.no_grad()
def test_it_is_a_layer_on_the_mean_of_what_the_tasks_know_and_the_class_vectors() -> None:
    """Against the formula, for the first subject: u is the mean over the outcomes, e one vector for each answer."""
    network, inputs = network_with("shared"), inputs_of(2)
    head = keep_inputs(network.branches["response"].head)
    parts = keep_inputs(network.second_levels["response"])
    fusions = [network.branches[t].fusion for t in OUTCOMES]
    fused: list[Tensor] = []
    for fusion in fusions:
        assert isinstance(fusion, nn.Module)
        fusion.register_forward_hook(lambda _, given, made: fused.append(made[0]))
    network(inputs)
    vector, answers = parts
    torch.testing.assert_close(vector, (fused[0] + fused[1]) / 2)
    assert answers.shape == (3, 2, 8)
    layer = network.second_levels["response"].layer
    joined = torch.cat([vector, answers[:, 0], answers[:, 1]], 1)
    torch.testing.assert_close(head[0], nn.functional.leaky_relu(layer(joined), 0.01))


@pytest.mark.parametrize("level", ["", "private", "shared"])
@torch.no_grad()
def test_a_second_level_takes_no_weight_from_the_inputs(level: str) -> None:
    """As one source more the answers compete with the inputs in one softmax; beside them they do not."""
    weights = network_with(level).compute_with_side_outputs(inputs_of(2)).side_outputs
    inputs = {"source.scan", "source.clinic"}
    answers = {f"source.after {up}" for up in ANSWERS}
    for task in OUTCOMES:
        assert set(weights[task]) == (inputs if level else inputs | answers)
        torch.testing.assert_close(torch.stack(list(weights[task].values())).sum(0), torch.ones(3))


@torch.no_grad()
def test_other_probabilities_move_the_outcomes_and_not_their_weights() -> None:
    network, inputs = network_with("shared"), inputs_of(2)
    before = network.compute_with_side_outputs(inputs)
    for p in network.branches["grade"].head.parameters():  # type: ignore[attr-defined]
        p.add_(torch.randn_like(p))
    after = network.compute_with_side_outputs(inputs)
    for task in OUTCOMES:
        assert not torch.allclose(before.outputs[task], after.outputs[task])
        for name, weight in before.side_outputs[task].items():
            assert torch.equal(weight, after.side_outputs[task][name])


@pytest.mark.parametrize(
    ("level", "after", "visits", "groups"),
    [
        ("shared", None, {}, {"response": OUTCOMES}),
        ("private", None, {}, {"response": ["response"], "relapse": ["relapse"]}),
        ("", None, {}, {}),
        (
            "shared",
            {"response": ["grade"], "relapse": ANSWERS},
            {},
            {"response": ["response"], "relapse": ["relapse"]},
        ),
        ("shared", {"response": ANSWERS}, {}, {"response": ["response"]}),
        ("shared", None, {"relapse": (0,)}, {"response": ["response"], "relapse": ["relapse"]}),
    ],
)
def test_a_level_is_common_to_tasks_with_the_same_answers_and_visits(
    level: str, after: dict[str, list[str]] | None, visits: dict[str, Any], groups: dict[str, list[str]]
) -> None:
    network = network_with(level, after, visits=visits)
    assert network.levels == groups
    assert set(network(inputs_of(2))) == {*ANSWERS, *OUTCOMES}


@pytest.mark.parametrize("stop", [False, True])
@pytest.mark.parametrize("sharing", list(SHARINGS))
def test_measured_roles_equal_declared_ones_and_nothing_is_dead(sharing: str, stop: bool) -> None:
    network = network_with("shared", sharing=sharing, stop_gradient=stop).train()
    reached: dict[str, set[str]] = {n: set() for n, _ in network.named_parameters()}
    for task, output in network(inputs_of(2)).items():
        network.zero_grad(set_to_none=True)
        total(output).backward(retain_graph=True)
        for name, p in network.named_parameters():
            if p.grad is not None and p.grad.abs().sum() > 0:
                reached[name].add(task)
    for name, role in network.roles().items():
        assert reached[name], f"{name} is dead"
        if role == JOINT:
            assert len(reached[name]) > 1, name
        elif role.startswith("private"):
            assert {private_role(t) for t in reached[name]} == {role}, name


@torch.no_grad()
def test_an_answer_that_rests_on_nothing_adds_nothing() -> None:
    network, inputs = network_with("shared"), inputs_of(2)
    for known in (inputs.channel_known, inputs.table_known):
        for name in known:
            known[name] = known[name].clone()
            known[name][0] = False
    parts = keep_inputs(network.second_levels["response"])
    network(inputs)
    assert bool((parts[1][0] == 0).all())
    assert bool((parts[1][1:] != 0).any())
