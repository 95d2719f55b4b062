"""Cascades as Mehta passes uncertainty on: which tensor reaches the second network, and what the passes cost."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from polytask.model.building_blocks import no_cut
from polytask.model.network import Network
from polytask.model.order.channel import ChannelLink
from polytask.model.order.monte_carlo import KEPT_SHARE, ChannelDropout
from polytask.model.roles import JOINT
from tests.model.worlds import inputs_of, network_of, tasks_of, total

PASSES = 3
CASCADE: dict[str, Any] = {
    "sharing": "single",
    "after": {"grade": ["mask"], "type": ["mask"]},
    "link": {"grade": "channel", "type": "channel"},
    "uncertainty": "entropy",
    "passes": PASSES,
    "second_network": "shared",
}


def cascade(**changes: Any) -> Network:
    """A mask, and two visit tasks that read it."""
    tasks = {name: task for name, task in tasks_of("all").items() if name in ("mask", "grade", "type")}
    return network_of(tasks, 2, **{**CASCADE, **changes})


def watch(network: Network, kind: type[nn.Module]) -> list[tuple[Any, ...]]:
    """The arguments of every call of modules of a class, as they come."""
    calls: list[tuple[Any, ...]] = []
    for module in network.modules():
        if isinstance(module, kind):
            module.register_forward_pre_hook(lambda module, arguments: calls.append(arguments))
    return calls


def repeat_by_hand(network: Network, image: Tensor) -> list[Tensor]:
    """The probabilities `[N, classes, *space]` of each pass, channel by channel."""
    pyramid = network.blocks["scan"](image, ["mask"], lambda x, tasks: dict.fromkeys(tasks, x))["mask"]
    heads, dropout = network.voxels.heads["mask"], network.voxels.dropouts["mask"]
    answers = []
    for number in range(PASSES):
        kept = dropout.get_buffer("kept2")[number]
        maps = [*pyramid[:2], pyramid[2] * kept[None, :, None, None]]
        (decoder,) = (d for _, d in network.voxels.decoders.items())
        answers.append(heads.heads[0](decoder(maps)[0]).softmax(1))
    return answers


@pytest.mark.parametrize("uncertainty", ["entropy", "variance"])
def test_the_second_network_reads_the_mean_of_the_passes_and_their_uncertainty(uncertainty: str) -> None:
    network, inputs = cascade(uncertainty=uncertainty).eval(), inputs_of(2)
    calls = watch(network, ChannelLink)
    with torch.no_grad():
        network(inputs)
        image = inputs.whole["scan"].flatten(0, 1)[inputs.visit_known.flatten()]
        answers = torch.stack(repeat_by_hand(network, image))
    ((read, (handed,)),) = calls
    torch.testing.assert_close(read, image)
    mean = answers.mean(0)
    torch.testing.assert_close(handed[:, :2], mean[:, 1:], rtol=1e-4, atol=1e-5)
    wanted = 4 * answers.var(0, correction=0)[:, 1:].mean(1)
    if uncertainty == "entropy":
        wanted = torch.distributions.Categorical(mean.movedim(1, -1)).entropy() / torch.tensor(3.0).log()
    torch.testing.assert_close(handed[:, 2], wanted, rtol=1e-2, atol=1e-6)
    assert handed[:, 2].max() > 1e-4, "the passes differ"


def test_one_second_network_serves_the_tasks_that_read_the_same_maps() -> None:
    network = cascade()
    assert network.seconds.names() == ["grade scan"]
    assert {role for name, role in network.roles().items() if name.startswith("seconds.")} == {JOINT}
    calls = watch(network, ChannelLink)
    network(inputs_of(2))
    assert len(calls) == 1
    private = cascade(second_network="")
    assert private.seconds.names() == ["grade scan", "type scan"], "as plans without the value have it"
    assert not any(role == JOINT for name, role in private.roles().items() if name.startswith("seconds."))


def test_a_second_network_per_map_serves_all_tasks_that_read_the_map() -> None:
    tasks = {
        name: task for name, task in tasks_of("all").items() if name in ("mask", "dose", "grade", "type")
    }
    after = {"grade": ["mask", "dose"], "type": ["mask"]}
    network = network_of(
        tasks, 2, **{**CASCADE, "after": after, "second_network": "map", "uncertainty": "variance"}
    ).eval()
    assert sorted(network.seconds.names()) == ["dose scan", "mask scan"]
    roles = network.roles()
    assert {roles[name] for name in roles if name.startswith("seconds.members.@mask scan.")} == {JOINT}
    assert {roles[name] for name in roles if name.startswith("seconds.members.@dose scan.")} == {
        "private:grade"
    }
    read, pyramids = [], {}
    for name, module in network.seconds.items():
        module.register_forward_hook(lambda module, given, made, name=name: pyramids.update({name: made}))
        module.register_forward_pre_hook(lambda module, given: read.append(len(given[1])))
    seen = network.run_view(
        "scan",
        torch.randn(2, *inputs_of(2).whole["scan"].shape[2:]),
        ["mask", "dose"],
        ["grade", "type"],
        None,
        no_cut,
    )
    assert read == [1, 1], "each network runs once, and reads one map"
    for level, maps in enumerate(seen.pyramids["grade"]):
        mean = (pyramids["mask scan"][level] + pyramids["dose scan"][level]) / 2
        torch.testing.assert_close(maps, mean)
    assert torch.equal(seen.pyramids["type"][-1], pyramids["mask scan"][-1])


def test_passes_differ_in_training_and_are_fixed_in_prediction() -> None:
    network, inputs = cascade(), inputs_of(2)
    maps = watch(network, ChannelLink)
    with torch.no_grad():
        network(inputs)
        network(inputs)
        network.eval()
        network(inputs)
        network(inputs)
    handed = [arguments[1][0] for arguments in maps]
    assert not torch.equal(handed[0], handed[1])
    assert torch.equal(handed[2], handed[3])


def test_only_the_pass_with_the_loss_keeps_anything_for_the_backward_pass() -> None:
    network = cascade()
    grads: list[bool] = []
    (decoder,) = (d for _, d in network.voxels.decoders.items())
    decoder.register_forward_hook(lambda module, arguments, maps: grads.append(maps[0].requires_grad))
    outputs = network(inputs_of(2))
    assert grads == [True, False, False]
    total(outputs["grade"]).backward()
    reached = [p.grad is not None and bool(p.grad.abs().sum() > 0) for p in decoder.parameters()]
    assert all(reached), "and through it the loss of the grade reaches the decoder of the mask"


def test_the_answer_of_the_mask_itself_has_all_its_channels() -> None:
    network, plain = cascade().eval(), cascade(passes=0).eval()
    plain.load_state_dict(network.state_dict())
    with torch.no_grad():
        answers, others = network(inputs_of(2)), plain(inputs_of(2))
    assert torch.equal(answers["mask"][0], others["mask"][0])
    assert not torch.equal(answers["grade"], others["grade"])


def test_channels_are_left_out_and_scaled() -> None:
    dropout, finest = ChannelDropout([8, 1000], 2), torch.ones(2, 8, 16)
    fine, maps = dropout([finest, torch.ones(2, 1000, 4)])
    assert fine is finest, "the upper half of the levels keeps its channels"
    assert maps is not None
    assert set(maps.unique().tolist()) == {0.0, torch.tensor(1 / KEPT_SHARE).item()}
    assert maps.mean().item() == pytest.approx(1, abs=0.05)
    assert not torch.equal(maps[0], maps[1]), "each case loses channels of its own while training"
    assert dropout.state_dict() == {}, "bundles hold no channel draws"
