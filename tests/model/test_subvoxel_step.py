"""Networks that begin with a stride: the step back to single voxels, alone and under blocks, decoders and chains."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from polytask.model.building_blocks import EncoderSpec
from polytask.model.export import Exportable
from polytask.model.network import Network
from polytask.model.network_settings import NetworkSpec
from polytask.model.roles import JOINT, TRUNK, private_role
from polytask.model.subvoxel_step import SubvoxelStep
from tests.model.worlds import inputs_of, network_of, tasks_of, total

SETTINGS: dict[str, dict[str, Any]] = {
    "hard": {},
    "mtan, attention decoder": {"sharing": "mtan", "decoder": "attention"},
    "ctan, shared decoder": {"sharing": "ctan", "decoder": "shared"},
    "cross-stitch, no deep supervision": {"sharing": "cross_stitch", "deep_supervision": 0},
    "chain of maps": {"sharing": "single", "after": {"mask": ["dose"], "grade": ["mask"]}},
    "variance, second network": {"after": {"grade": ["mask"]}, "link": {"grade": "channel"}, "uncertainty": "variance"},
}  # fmt: skip
settings = pytest.mark.parametrize("name", SETTINGS)


def strided_network(dims: int, **changes: Any) -> Network:
    """A network of all tasks on an image of 12 voxels an axis, whose first stage halves every axis."""
    strides = ((2,) * dims, (2,) * dims, (1,) * dims)
    return network_of(
        tasks_of("all"),
        dims,
        images={"scan": EncoderSpec(dims, 2, (8, 16, 16), (1, 1, 1), strides)},
        **changes,
    )


@pytest.mark.parametrize("stride", [(2, 2), (1, 2, 2)])
def test_step_is_a_transposed_convolution_of_its_stride(stride: tuple[int, ...]) -> None:
    step, x = SubvoxelStep(6, 3, stride), torch.randn(2, 6, *(3, 4, 5)[: len(stride)])
    with torch.no_grad():
        step.layer.weight.normal_()
    weight = step.layer.weight.view(3, *stride, 6).movedim(-1, 0)
    convolve = (
        torch.nn.functional.conv_transpose2d if len(stride) == 2 else torch.nn.functional.conv_transpose3d
    )
    torch.testing.assert_close(step(x), convolve(x, weight, stride=stride))


def test_voxels_of_a_block_start_alike() -> None:
    maps = SubvoxelStep(6, 3, (2, 2))(torch.randn(1, 6, 3, 4))
    assert torch.equal(maps[:, :, ::2, ::2], maps[:, :, 1::2, 1::2])
    assert not torch.equal(maps[:, 0], maps[:, 1]), "channels differ"


@settings
@pytest.mark.parametrize("dims", [2, 3])
def test_voxel_tasks_answer_at_the_resolution_of_the_image(name: str, dims: int) -> None:
    network = strided_network(dims, **SETTINGS[name])
    outputs = network(inputs_of(dims))
    sizes = [12, 6, 3][: 1 + network.spec.deep_supervision]
    for task in network.voxel:
        assert [tuple(o.shape[2:]) for o in outputs[task]] == [(n,) * dims for n in sizes]
    with torch.no_grad():
        for task, answer in network.eval()(inputs_of(dims)).items():
            if task in network.voxel:
                assert [tuple(o.shape[2:]) for o in answer] == [(12,) * dims]


@settings
def test_measured_roles_equal_declared_ones(name: str) -> None:
    network = strided_network(2, **SETTINGS[name])
    reached: dict[str, set[str]] = {n: set() for n, _ in network.named_parameters()}
    for task, output in network(inputs_of(2)).items():
        network.zero_grad(set_to_none=True)
        total(output).backward(retain_graph=True)
        for parameter, p in network.named_parameters():
            if p.grad is not None and p.grad.abs().sum() > 0:
                reached[parameter].add(task)
    roles = network.roles()
    assert set(roles) == set(reached)
    assert any("enlargers" in n for n in reached)
    for parameter, tasks in reached.items():
        assert tasks, f"{parameter} is dead"
        if roles[parameter] == JOINT:
            assert len(tasks) > 1, parameter
        elif roles[parameter] != TRUNK:
            assert {private_role(t) for t in tasks} == {roles[parameter]}, parameter


def test_networks_without_a_stride_have_no_further_parameters() -> None:
    """Their weights, and the random numbers that these start from, stay those of earlier versions."""
    assert not any("enlargers" in name for name in network_of(tasks_of("all"), 2).state_dict())


def test_network_is_exported() -> None:
    encoder = EncoderSpec(2, 1, (8, 16), (1, 1), ((2, 2), (2, 2)))
    spec = NetworkSpec(images={"scan": encoder}, voxel_image={"mask": "scan"})
    module = Exportable(Network(spec, tasks_of("voxel")))
    given = (torch.randn(1, 1, 1, 16, 16), torch.zeros(1, 1))
    program = torch.export.export(module, given)
    torch.testing.assert_close(program.module()(*given)[0], module(*given)[0])
    assert module(*given)[0].shape == (1, 3, 16, 16)
