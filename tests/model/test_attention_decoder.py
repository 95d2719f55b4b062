"""One decoder with attention stages per task, under every sharing."""

from __future__ import annotations

import pytest
import torch

from polytask.model.attention_decoder import AttentionDecoder
from polytask.model.roles import JOINT, TRUNK, private_role
from polytask.model.sharing import SHARINGS
from tests.model.worlds import inputs_of, network_of, tasks_of, total


@pytest.mark.parametrize("sources", ["concat", "film"])
@pytest.mark.parametrize("sharing", list(SHARINGS))
def test_measured_roles_equal_declared_ones(sharing: str, sources: str) -> None:
    network = network_of(tasks_of("all"), 2, sharing=sharing, input_fusion=sources, decoder="attention")
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


@pytest.mark.parametrize("dims", [2, 3])
def test_shapes_and_one_task_alone(dims: int) -> None:
    outputs = network_of(tasks_of("all"), dims, decoder="attention")(inputs_of(dims))
    assert outputs["mask"][0].shape == (5, 3, *(12,) * dims)
    assert outputs["dose"][1].shape == (5, 1, *(6,) * dims)
    alone = network_of(tasks_of("voxel"), dims, decoder="attention")
    assert total(alone(inputs_of(dims))["mask"]).isfinite()


def test_a_task_masks_what_all_share() -> None:
    """With masks of ½ everywhere (2 · sigmoid(0) = 1) a task sees the shared map itself."""
    decoder = AttentionDecoder(2, [8, 16], ["a", "b"])
    with torch.no_grad():
        for task in "ab":
            for stage in decoder.stages[task]:  # type: ignore[union-attr]
                stage.mask.weight.zero_()
                stage.mask.bias.zero_()
    pyramid = [torch.randn(1, 8, 8, 8), torch.randn(1, 16, 4, 4)]
    found = decoder({"a": pyramid, "b": pyramid})
    shared = decoder.decoder(pyramid)
    torch.testing.assert_close(found["a"][0], shared[0])
    torch.testing.assert_close(found["b"][0], shared[0])
