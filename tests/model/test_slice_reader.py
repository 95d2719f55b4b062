"""Volumes read slice by slice: which slices reach which task, and what the weights of slices are."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from polytask.errors import PolytaskError
from polytask.model.building_blocks import EncoderSpec
from polytask.model.export import Exportable
from polytask.model.network import Network
from polytask.model.roles import JOINT, TRUNK, private_role
from polytask.model.sharing import SHARINGS
from polytask.model.slice_reader import SliceAttention, stack_slices
from polytask.tasks import make_task
from tests.model.worlds import FIELDS, Inputs, inputs_of, network_of, total

TASKS = ("grade", "type", "response")


def sliced_network(axis: int = 2, tasks: tuple[str, ...] = TASKS, **changes: Any) -> Network:
    """A network of pooled tasks that reads a volume along an axis."""
    image = EncoderSpec(2, 2, (8, 16), (1, 1), ((1, 1), (2, 2)), (), axis)
    made = {n: make_task(n, FIELDS[n]) for n in tasks}
    return network_of(made, 3, images={"scan": image}, **changes).eval()


def volumes(depth: int = 5) -> Inputs:
    """Volumes of 12 × 12 × depth."""
    inputs = inputs_of(3)
    return replace(inputs, whole={"scan": inputs.whole["scan"][..., :depth].contiguous()})


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_slices_are_planes_along_the_axis(axis: int) -> None:
    x = torch.randn(2, 3, 4, 5, 6)
    slices = stack_slices(x, axis)
    assert slices.shape[:3] == (2, x.shape[axis + 2], 3)
    for index in range(slices.shape[1]):
        torch.testing.assert_close(slices[:, index], x.select(axis + 2, index))


def test_attention_is_that_of_torch() -> None:
    """Against torch's own attention with the same weights: the vector, and the weights averaged over queries."""
    torch.manual_seed(0)
    ours, x = SliceAttention(6, 8), torch.randn(3, 5, 6)
    theirs = nn.MultiheadAttention(8, 4, batch_first=True)
    theirs.load_state_dict(
        {
            "in_proj_weight": ours.read.weight,
            "in_proj_bias": ours.read.bias,
            "out_proj.weight": ours.out.weight,
            "out_proj.bias": ours.out.bias,
        }
    )
    h = ours.project(x)
    attended, attention = theirs(h, h, h, average_attn_weights=True)
    vector, weights = ours(x)
    torch.testing.assert_close(vector, (h + attended).mean(1))
    torch.testing.assert_close(weights, attention.mean(1))
    torch.testing.assert_close(weights.sum(1), torch.ones(3))


@torch.no_grad()
def test_a_slice_is_encoded_by_itself() -> None:
    """The encoder never sees two slices at once: another slice leaves the maps of this one as they are."""
    network, inputs = sliced_network(), volumes()
    block = network.blocks["scan"]
    assert isinstance(block, nn.Module)
    made: list[Tensor] = []
    block.register_forward_hook(lambda _, given, out: made.append(out["grade"][-1]))
    network(inputs)
    inputs.whole["scan"][..., 3] += 1
    network(inputs)
    before, after = (m.unflatten(0, (-1, 5)) for m in made)
    same = [i for i in range(5) if torch.equal(before[:, i], after[:, i])]
    assert same == [0, 1, 2, 4]


@torch.no_grad()
def test_every_slice_reaches_every_task_and_has_a_weight() -> None:
    network, inputs = sliced_network(), volumes()
    before = network.compute_with_side_outputs(inputs)
    shapes = {t: tuple(before.side_outputs[t]["slices.scan"].shape) for t in TASKS}
    assert shapes == {"grade": (6, 5), "type": (6, 5), "response": (3, 2, 5)}
    sums = before.side_outputs["response"]["slices.scan"].sum(-1)
    torch.testing.assert_close(sums, inputs.visit_known.float())  # an absent visit has no weights
    for index in range(5):
        changed = volumes()
        changed.whole["scan"][..., index] += 1
        after = network(changed)
        assert all(not torch.allclose(before.outputs[t][0], after[t][0]) for t in TASKS)


@torch.no_grad()
def test_absent_visits_and_images_do_not_matter() -> None:
    network, clean, dirty = sliced_network(), volumes(), volumes()
    dirty.whole["scan"][1, 1] = float("nan")
    torch.testing.assert_close(network(clean)["response"], network(dirty)["response"])
    torch.testing.assert_close(network(clean)["grade"][:3], network(dirty)["grade"][:3])


@pytest.mark.parametrize("sharing", list(SHARINGS))
@pytest.mark.parametrize("fusion", ["concat", "attention", "film"])
def test_measured_roles_equal_declared_ones(sharing: str, fusion: str) -> None:
    after = {"response": ["grade"]}
    network = sliced_network(
        sharing=sharing, input_fusion=fusion, after=after, visit_fusion="difference"
    ).train()
    reached: dict[str, set[str]] = {n: set() for n, _ in network.named_parameters()}
    for task, output in network(volumes()).items():
        network.zero_grad(set_to_none=True)
        total(output).backward(retain_graph=True)
        for name, p in network.named_parameters():
            if p.grad is not None and p.grad.abs().sum() > 0:
                reached[name].add(task)
    roles = network.roles()
    for name, role in roles.items():
        assert reached[name], f"{name} is dead"
        if role == JOINT:
            assert len(reached[name]) > 1, name
        elif role != TRUNK:
            assert {private_role(t) for t in reached[name]} == {role}, name


def test_plain_tensors_answer_as_a_batch_does() -> None:
    module, given = Exportable(sliced_network()), volumes()
    given.visit_known[:] = True
    known = given.visit_known[..., None]
    given = replace(
        given,
        channel_known={"scan": known.expand(-1, -1, 2)},
        table_known={"clinic": known.expand(-1, -1, 3)},
    )
    with torch.inference_mode():
        batch = module.network(given)
        answers = module(given.whole["scan"], given.tables["clinic"], given.day)
    for ours, theirs in zip(answers, batch.values(), strict=True):
        torch.testing.assert_close(ours, theirs)


def test_a_mask_on_slices_is_refused_in_one_line() -> None:
    with pytest.raises(
        PolytaskError, match=r"^images.scan.trunk: 'mask' is drawn .*; set trunk to null, or .*$"
    ):
        sliced_network(tasks=("mask", "grade"))
