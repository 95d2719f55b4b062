"""A voxel task after a visit task: the answer changes the maps of its decoder, and no more (MB-DCNN's last step)."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from polytask.errors import PolytaskError
from polytask.model.building_blocks import Decoder
from polytask.model.crop_reader import CropSpec
from polytask.model.network import Network
from polytask.model.roles import JOINT, private_role
from polytask.model.sharing import SHARINGS
from polytask.tasks import make_task
from tests.model.worlds import FIELDS, FIELDS_OF_NUMBERS, inputs_of, network_of, total

COARSE_TO_FINE: dict[str, Any] = {"after": {"type": ["coarse"], "mask": ["type", "coarse"]}}
"""MB-DCNN: a coarse mask guides the diagnosis; both guide the mask that is drawn again."""


def make_network(dims: int = 2, **changes: Any) -> Network:
    """A coarse mask, a diagnosis, a size, and a mask."""
    fields = {
        "coarse": FIELDS["mask"],
        "type": FIELDS["type"],
        "size": FIELDS_OF_NUMBERS["size"],
        "mask": FIELDS["mask"],
    }
    tasks = {name: make_task(name, own) for name, own in fields.items()}
    return network_of(tasks, dims, **{**COARSE_TO_FINE, **changes})


def watch_pyramids(network: Network, task: str) -> list[list[torch.Tensor]]:
    """The maps that the decoder of a task reads, call by call."""
    read: list[list[torch.Tensor]] = []
    decoder = network.voxels.decoders[network.voxels.keys[task]]
    assert isinstance(decoder, Decoder)
    decoder.register_forward_pre_hook(lambda module, arguments: read.append(list(arguments[0])))
    return read


@pytest.mark.parametrize("upstream", ["type", "size"])
def test_the_answer_scales_and_shifts_the_maps_of_the_decoder_below_the_finest(upstream: str) -> None:
    network = make_network(after={"mask": [upstream]}).eval()
    read = watch_pyramids(network, "mask")
    with torch.no_grad():
        answer = network(inputs_of(2))[upstream]
        link = network.modulations["mask"]
        vector = link.vectors[0](answer)  # type: ignore[index, operator]
        parts = link.modulation.layer(vector).split([16, 16, 16, 16], 1)  # type: ignore[union-attr, operator]
        link.modulation.layer.weight.zero_()  # type: ignore[union-attr, operator]
        network(inputs_of(2))
    known = inputs_of(2).visit_known.flatten()
    changed, plain = read
    assert torch.equal(changed[0], plain[0]), "the finest maps stay as they are"
    for level in (1, 2):
        scale, shift = (p[known][:, :, None, None] for p in parts[2 * level - 2 : 2 * level])
        torch.testing.assert_close(changed[level], plain[level] * (1 + scale) + shift, rtol=1e-4, atol=1e-5)
        assert not torch.equal(changed[level], plain[level])


@pytest.mark.parametrize("sharing", list(SHARINGS))
@pytest.mark.parametrize("decoder", ["private", "attention"])
def test_a_change_of_the_answer_changes_the_mask_and_not_the_coarse_one(sharing: str, decoder: str) -> None:
    """Also with a decoder in common: through it the mask would feed itself, so that it has one of its own."""
    network = make_network(sharing=sharing, decoder=decoder).eval()
    with torch.no_grad():
        before = network(inputs_of(2))
        for parameter in network.branches["type"].head.parameters():
            parameter.add_(3 * torch.randn_like(parameter))
        after = network(inputs_of(2))
    changed = {name for name in before if not torch.equal(total(before[name]), total(after[name]))}
    assert changed == {"type", "mask"}


@pytest.mark.parametrize("stop", [False, True])
@pytest.mark.parametrize("changes", [{}, {"after": {"mask": ["type", "size"]}}, {"input_fusion": "film"}])
def test_measured_roles_equal_declared_ones(stop: bool, changes: dict[str, Any]) -> None:
    network = make_network(stop_gradient=stop, sharing="single", **changes)
    reached: dict[str, set[str]] = {name: set() for name, _ in network.named_parameters()}
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


def test_patches_are_drawn_with_the_answer_of_their_visit() -> None:
    """The view beside the patches answers; each patch is drawn with the answer of its own case."""
    network, inputs = make_network().eval(), inputs_of(2)
    inputs.patch["scan"] = torch.randn(3, 2, 4, 2, 8, 8)
    with torch.no_grad():
        together = network.compute_with_side_outputs(inputs)
        assert together.answers is not None
        rows = inputs.visit_known.flatten().nonzero()[:, 0]
        assert together.outputs["mask"][0].shape == (20, 3, 8, 8)
        for index, row in enumerate(rows.tolist()):
            patches = inputs.patch["scan"].flatten(0, 1)[row]
            alone = network.voxel_outputs(
                "scan", patches, None, together.answers.take(torch.tensor([row])).repeat(4)
            )
            own = together.outputs["mask"][0][4 * index : 4 * index + 4]
            torch.testing.assert_close(alone["mask"][0], own, rtol=1e-4, atol=1e-5)
        assert set(network.voxel_outputs("scan", patches)) == {"coarse"}, "the other waits for its answer"


def test_a_case_alone_gets_the_mask_that_it_gets_in_a_batch() -> None:
    network, three = make_network(3).eval(), inputs_of(3)
    values = {
        k: {n: t[:1] for n, t in v.items()} if isinstance(v, dict) else v[:1] for k, v in vars(three).items()
    }
    one = type(three)(**values)
    with torch.inference_mode():
        together, alone = network(three)["mask"][0], network(one)["mask"][0]
    torch.testing.assert_close(together[: len(alone)], alone, rtol=1e-4, atol=1e-5)


def test_passes_go_on_to_a_voxel_task_behind_an_answer() -> None:
    """A map of a late task, itself read by another one; and nothing is left without a gradient."""
    after = {"type": ["coarse"], "mask": ["type"], "dose": ["mask"]}
    fields = {
        "coarse": FIELDS["mask"],
        "type": FIELDS["type"],
        "mask": FIELDS["mask"],
        "dose": FIELDS["dose"],
    }
    tasks = {name: make_task(name, own) for name, own in fields.items()}
    network = network_of(tasks, 2, after=after, sharing="single", uncertainty="entropy", passes=2)
    outputs = network(inputs_of(2))
    torch.stack([total(o) for o in outputs.values()]).sum().backward()
    assert [n for n, p in network.named_parameters() if p.grad is None] == []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"after": {"type": ["mask"], "mask": ["type"]}}, "a cycle: (type → mask → type|mask → type → mask)"),
        (
            {"after": {"mask": ["type"], "size": ["mask"]}},
            "'size' reads 'mask', which follows a visit task itself; visit and subject tasks can only follow",
        ),
        (
            {"crops": {"scan": CropSpec(2, "mask")}},
            "roi.task: 'mask' chooses the crops that visit and subject tasks read, and follows one of them: it would "
            "feed itself through its decoder",
        ),
    ],
)
def test_a_task_that_would_feed_itself_is_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(PolytaskError, match=words):
        make_network(**changes)


def test_a_mask_at_a_visit_does_not_see_later_ones() -> None:
    tasks = {"mask": make_task("mask", FIELDS["mask"]), "response": make_task("response", FIELDS["response"])}
    with pytest.raises(PolytaskError, match="'mask' is asked at a visit, 'response' of the whole subject"):
        network_of(tasks, 2, after={"mask": ["response"]})
