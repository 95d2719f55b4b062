"""What makes `mtmedformer` the system it is named after: which tensor of its transformers reaches which task."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from polytask.model.building_blocks import EncoderStage
from polytask.model.network import Network
from polytask.model.roles import TRUNK, private_role
from polytask.model.sharing.task_tokens import TaskTokens
from polytask.model.swin_stage import SwinStage
from polytask.plan.presets import PRESETS
from tests.model.worlds import MIXES, inputs_of, network_of, tasks_of, total


def make_network(dims: int, mix: str = "all") -> Network:
    return network_of(tasks_of(mix), dims, tables={}, **PRESETS["mtmedformer"].model).eval()


def answer_with_change(network: Network, dims: int, changed: int) -> tuple[dict[str, float], list[list[str]]]:
    """The answers where the tensor of the cut with this number is another one, and who reads each tensor."""
    readers: list[list[str]] = []

    def cut(shared: Tensor, tasks: Sequence[str]) -> dict[str, Tensor]:
        readers.append(list(tasks))
        return dict.fromkeys(tasks, shared.flip(1) if len(readers) - 1 == changed else shared)

    with torch.inference_mode():
        outputs = network(inputs_of(dims), cut)
    return {task: float(total(output)) for task, output in outputs.items()}, readers


@pytest.mark.parametrize(("dims", "mix"), [(2, "all"), (3, "voxel+visit")])
def test_masks_read_every_stage_and_each_task_its_token(dims: int, mix: str) -> None:
    """Finer maps reach the tasks with decoders, the deepest map every task, and a token the task that it belongs to."""
    network, every = make_network(dims, mix), list(MIXES[mix])
    before, readers = answer_with_change(network, dims, -1)
    # `response` joins visits at several levels: it reads finer maps as masks do.
    fine = sorted({"mask", "dose", "response"} & set(every))
    assert [sorted(names) for names in readers[:3]] == [fine, fine, sorted(every)]
    assert readers[3:] == [[task] for task in every]
    for number, names in enumerate(readers):
        after, _ = answer_with_change(network, dims, number)
        assert {task for task in every if abs(after[task] - before[task]) > 1e-6} == set(names), number


@pytest.mark.parametrize("dims", [2, 3])
def test_the_encoder_is_of_transformers_behind_the_stage_at_full_resolution(dims: int) -> None:
    network = make_network(dims)
    block = network.blocks["scan"]
    assert isinstance(block, TaskTokens)
    assert [type(stage) for stage in block.encoder.stages] == [EncoderStage, SwinStage, SwinStage]
    roles = network.roles()
    shared = [name for name in roles if ".encoder." in name or ".tokens." in name or ".blocks." in name]
    assert {roles[name] for name in shared if name.startswith("blocks.members.@scan.")} == {TRUNK}
    decoders = {role for name, role in roles.items() if name.startswith("voxels.decoders.")}
    assert decoders == {private_role("mask"), private_role("dose")}, "a decoder per task"


def test_a_pixel_reaches_an_answer_far_away_through_the_deepest_positions() -> None:
    """Windows alone would not reach across 64 pixels; at the deepest stage every position reads every other."""
    network = make_network(2, "voxel")
    x = torch.randn(1, 2, 64, 64, requires_grad=True)
    output = network.voxel_outputs("scan", x)["mask"]
    maps = output if isinstance(output, Tensor) else output[0]
    (grad,) = torch.autograd.grad(maps[..., -1, -1].sum(), x)
    assert grad[..., :4, :4].abs().max() > 0


def test_the_older_form_has_a_preset_of_its_own() -> None:
    assert PRESETS["task_tokens"].model == {"sharing": "task_tokens"}
    assert PRESETS["mtmedformer"].model == {"encoder": "swin", "sharing": "task_tokens"}


def test_bf16_gives_nearly_the_same_answers() -> None:
    network, given = make_network(3), inputs_of(3)
    with torch.inference_mode():
        exact = network(given)
        with torch.autocast("cpu", torch.bfloat16):
            rounded = network(given)
    for task, output in exact.items():
        ours, theirs = (o[task] if isinstance(o[task], Tensor) else o[task][0] for o in (exact, rounded))
        assert (ours - theirs).abs().max() < 0.1 * output[0].abs().max() + 0.05, task
