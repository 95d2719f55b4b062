"""The decoder of PAD-Net: first answers, messages between tasks, last answers; under every sharing."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor
from torch.nn.functional import conv2d

from polytask.errors import PolytaskError
from polytask.model.building_blocks import Decoder, EncoderSpec
from polytask.model.decoders import DECODERS, find_decoder_kind
from polytask.model.network import Network
from polytask.model.padnet_decoder import PadnetDecoder
from polytask.model.roles import JOINT, TRUNK, private_role
from polytask.model.sharing import SHARINGS
from polytask.plan.model_plan import ModelPlan
from tests.model.worlds import inputs_of, network_of, tasks_of, total

STAGES = {
    "three": EncoderSpec(2, 2, (8, 16, 16), (1, 2, 1), ((1, 1), (2, 2), (2, 2))),
    "two": EncoderSpec(2, 2, (8, 16), (1, 1), ((1, 1), (2, 2))),
    "strided": EncoderSpec(2, 2, (8, 16, 16), (1, 1, 1), ((2, 2), (2, 2), (2, 2))),
}


def decoder_of(network: Network) -> PadnetDecoder:
    decoder = network.voxels.decoders["image scan"]
    assert isinstance(decoder, PadnetDecoder)
    return decoder


def find_reached(network: Network, output: Tensor) -> set[str]:
    """The parameters that a loss on one output reaches."""
    network.zero_grad(set_to_none=True)
    total(output).backward(retain_graph=True)
    return {n for n, p in network.named_parameters() if p.grad is not None and p.grad.abs().sum() > 0}


@pytest.mark.parametrize(
    ("sharing", "changes"),
    [(s, {}) for s in SHARINGS]
    + [
        ("cross_stitch", {"input_fusion": "film"}),
        ("ple", {"images": {"scan": STAGES["two"]}}),
        ("nddr", {"images": {"scan": STAGES["strided"]}}),
        ("nddr", {"after": {"response": ["mask"]}, "link": {"response": "logits"}}),
        ("hard", {"after": {"grade": ["mask"], "response": ["dose"]}}),
        ("hard", {"deep_supervision": 0}),
    ],
)
def test_measured_roles_equal_declared_ones(sharing: str, changes: dict[str, object]) -> None:
    network = network_of(tasks_of("all"), 2, sharing=sharing, decoder="padnet", **changes)
    reached: dict[str, set[str]] = {name: set() for name, _ in network.named_parameters()}
    for task, output in network(inputs_of(2)).items():
        network.zero_grad(set_to_none=True)
        total(output).backward(retain_graph=True)
        for name, parameter in network.named_parameters():
            if parameter.grad is not None and parameter.grad.abs().sum() > 0:
                reached[name].add(task)
    for name, role in network.roles().items():
        assert reached[name], f"{name} is dead"
        if role == JOINT:
            assert len(reached[name]) > 1, name
        elif role != TRUNK:
            assert {private_role(t) for t in reached[name]} == {role}, name


@torch.no_grad()
def test_messages_are_those_of_the_formula() -> None:
    """F'_t = F_t + Σ_{a≠t} σ(W_att F_a) ⊙ (W F_a), computed here with plain convolutions."""
    torch.manual_seed(0)
    tasks = ["a", "b", "c"]
    decoder = PadnetDecoder(2, [4, 8, 8], tasks)
    pyramids = {t: [torch.randn(2, c, s, s) for c, s in ((4, 8), (8, 4), (8, 2))] for t in tasks}
    maps = decoder(pyramids)
    for task in tasks:
        own = decoder.first[task](pyramids[task][1:])[0]
        told = own.clone()
        for other in (t for t in tasks if t != task):
            message = decoder.messages[task][other]
            theirs = decoder.first[other](pyramids[other][1:])[0]
            gate, value = (conv2d(theirs, w.get_parameter("weight"), padding=1) for w in message.children())
            told += 1 / (1 + (-gate).exp()) * value
        torch.testing.assert_close(maps[task][1], own)
        torch.testing.assert_close(maps[task][0], decoder.last[task](told, pyramids[task][0]))


@pytest.mark.parametrize("stages", STAGES)
def test_a_first_answer_reads_its_own_task_and_a_last_one_all(stages: str) -> None:
    network = network_of(tasks_of("all"), 2, decoder="padnet", images={"scan": STAGES[stages]})
    levels = network(inputs_of(2))["mask"]
    first = decoder_of(network).level + (stages == "strided") + (stages == "two")
    prefix = "voxels.decoders.members.@image scan."
    last, early = find_reached(network, levels[0]), find_reached(network, levels[first])
    assert any(n.startswith(f"{prefix}first.members.@dose.") for n in last)
    assert any(n.startswith(f"{prefix}messages.members.@mask.members.@dose.") for n in last)
    assert {n for n in early if n.startswith(prefix)} == {
        f"{prefix}first.members.@mask.{n}" for n, _ in decoder_of(network).first["mask"].named_parameters()
    }
    assert not any(n.startswith("voxels.heads.members.@dose.") for n in last | early)


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("deep", [0, 1, 2])
def test_first_answers_get_a_loss_however_few_levels_are_supervised(dims: int, deep: int) -> None:
    network = network_of(tasks_of("all"), dims, decoder="padnet", deep_supervision=deep)
    outputs = network(inputs_of(dims))
    assert [tuple(o.shape[2:]) for o in outputs["mask"]] == [(12,) * dims, (6,) * dims]
    assert [len(o["dose"]) for o in (outputs, network.eval()(inputs_of(dims)))] == [2, 1]


@pytest.mark.parametrize("dims", [2, 3])
def test_one_voxel_task_has_a_plain_decoder(dims: int) -> None:
    alone, plain = (network_of(tasks_of("voxel+visit"), dims, decoder=d) for d in ("padnet", "private"))
    assert isinstance(alone.voxels.decoders["image scan"], Decoder)
    found, wanted = ([o.shape for o in n(inputs_of(dims))["mask"]] for n in (alone, plain))
    assert found == wanted
    assert set(alone.roles().values()) == set(plain.roles().values())


def test_the_order_of_tasks_does_not_matter() -> None:
    tasks = tasks_of("all")
    network = network_of(tasks, 2, decoder="padnet")
    turned = Network(network.spec, dict(reversed(tasks.items())))
    turned.load_state_dict(network.state_dict())
    ours, theirs = network(inputs_of(2)), turned(inputs_of(2))
    for name in tasks:
        torch.testing.assert_close(total(ours[name]), total(theirs[name]))


def test_trunk_gradient_at_the_cut_is_that_of_the_summed_loss() -> None:
    network, inputs = network_of(tasks_of("all"), 2, decoder="padnet"), inputs_of(2)
    torch.stack([total(o) for o in network(inputs).values()]).sum().backward()
    summed = {n: p.grad.clone() for n, p in network.named_parameters() if p.grad is not None}
    network.zero_grad(set_to_none=True)
    shared: list[Tensor] = []
    leaves: list[dict[str, Tensor]] = []

    def cut(tensor: Tensor, readers: Sequence[str]) -> dict[str, Tensor]:
        shared.append(tensor)
        leaves.append({task: tensor.detach().requires_grad_() for task in readers})
        return leaves[-1]

    torch.stack([total(o) for o in network(inputs, cut).values()]).sum().backward()
    back = [torch.stack([t.grad for t in own.values() if t.grad is not None]).sum(0) for own in leaves]
    torch.autograd.backward(shared, back)
    parameters = dict(network.named_parameters())
    for name in (n for n, role in network.roles().items() if role == TRUNK):
        ours, theirs = parameters[name].grad, summed[name]
        assert ours is not None
        assert (ours - theirs).norm() <= 1e-5 * theirs.norm().clamp(min=1e-3), name


def test_the_plan_knows_every_decoder() -> None:
    for name in DECODERS:
        assert ModelPlan(decoder=name).decoder == name  # type: ignore[arg-type]
    with pytest.raises(PolytaskError, match=r"model.decoder: 'padnett': did you mean 'padnet'"):
        find_decoder_kind("padnett")
