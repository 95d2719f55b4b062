"""One encoder for several image inputs, under every sharing: what each loss reaches, and what it does not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from polytask.errors import PolytaskError
from polytask.model.building_blocks import EncoderSpec, no_cut
from polytask.model.export import Exportable
from polytask.model.network import Network, count_parameters
from polytask.model.network_inputs import CompleteInputs
from polytask.model.roles import JOINT, TRUNK, private_role
from polytask.model.sharing import SHARINGS, list_forms
from polytask.tasks import make_task
from polytask.tasks.task import Task
from tests.model.worlds import FIELDS, Inputs, inputs_of, network_of, total

PLANES = {"scan": 2, "pet": 1, "late": 1}
"""Three inputs, two of them with as many planes."""
VOXEL_IMAGE = {"mask": "scan", "dose": "pet"}
every_block = pytest.mark.parametrize(("sharing", "form"), [(s, f) for s in SHARINGS for f in list_forms(s)])


def images_of(dims: int, names: Sequence[str] = tuple(PLANES)) -> dict[str, EncoderSpec]:
    strides = ((1,) * dims, (2,) * dims, (2,) * dims)
    return {n: EncoderSpec(dims, PLANES[n], (8, 16, 16), (1, 2, 1), strides) for n in names}


def tasks_named(*names: str) -> dict[str, Task]:
    return {name: make_task(name, FIELDS[name]) for name in names or FIELDS}


def shared_network(tasks: Mapping[str, Task], dims: int = 2, **changes: Any) -> Network:
    images = changes.pop("images", None) or images_of(dims)
    voxel_image = {t: i for t, i in VOXEL_IMAGE.items() if t in tasks}
    return network_of(tasks, dims, images=images, voxel_image=voxel_image, trunk="shared", **changes)


def inputs_with(dims: int = 2, absent: str = "", names: Sequence[str] = tuple(PLANES)) -> Inputs:
    """Random images of all inputs; the input `absent` is known for nobody."""
    inputs, noise = inputs_of(dims), torch.Generator().manual_seed(7)
    known = inputs.visit_known[..., None]
    whole = {n: torch.randn((3, 2, PLANES[n], *(12,) * dims), generator=noise) for n in PLANES}
    flags = {n: known & (n != absent) for n in PLANES}
    return replace(inputs, whole={n: whole[n] for n in names}, channel_known={n: flags[n] for n in names})


def list_reached(network: Network, output: Tensor | list[Tensor]) -> set[str]:
    network.zero_grad(set_to_none=True)
    total(output).backward(retain_graph=True)
    return {n for n, p in network.named_parameters() if p.grad is not None and p.grad.abs().sum() > 0}


@every_block
def test_measured_roles_equal_declared_ones(sharing: str, form: str) -> None:
    network = shared_network(tasks_named(), sharing=sharing, form=form)
    assert network.blocks.names() == ["shared"]
    reached: dict[str, set[str]] = {name: set() for name, _ in network.named_parameters()}
    for task, output in network(inputs_with()).items():
        for name in list_reached(network, output):
            reached[name].add(task)
    roles = network.roles()
    assert set(roles) == set(reached)
    for name, role in roles.items():
        assert reached[name], f"{name} is dead"
        if role == JOINT:
            assert len(reached[name]) > 1, name
        elif role != TRUNK:
            assert {private_role(t) for t in reached[name]} == {role}, name


@every_block
def test_each_input_teaches_the_common_weights_and_its_own_code(sharing: str, form: str) -> None:
    network = shared_network(tasks_named("mask", "dose"), sharing=sharing, form=form)
    outputs = network(inputs_with())
    by_task = {t: list_reached(network, outputs[t]) for t in VOXEL_IMAGE}
    common = {n for n in by_task["mask"] & by_task["dose"] if n.startswith("blocks.")}
    # `single` shares nothing between tasks: there the inputs of one task have an encoder in common.
    assert bool(common) == (sharing != "single")
    for task, image in VOXEL_IMAGE.items():
        codes = {
            n.split("codes.members.@")[1].split(".")[0]
            for n in by_task[task]
            if ".codes.members" in n and "stems" in n
        }
        assert codes == {image}


@every_block
@pytest.mark.parametrize("fusion", ["concat", "attention"])
def test_an_absent_input_gets_no_gradient(sharing: str, form: str, fusion: str) -> None:
    network = shared_network(
        tasks_named("mask", "grade", "response"), sharing=sharing, form=form, input_fusion=fusion
    )
    outputs = network(inputs_with(absent="pet"))
    reached = set().union(*(list_reached(network, output) for output in outputs.values()))
    stems = {n for n in reached if n.startswith("stems.")}
    assert stems, "the others do"
    assert not any("@pet." in n for n in stems)
    everywhere = network(inputs_with())
    assert any("@pet." in n for n in list_reached(network, everywhere["grade"]))


@every_block
def test_the_order_of_inputs_does_not_matter(sharing: str, form: str) -> None:
    """Whatever a task reads of an image; how it joins the images is the matter of the input fusion."""
    names, inputs = ["late", "pet", "scan"], inputs_with()
    ours, theirs = (
        shared_network(tasks_named(), sharing=sharing, form=form, images=images_of(2, n))
        for n in (names, list(reversed(names)))
    )
    theirs.load_state_dict(ours.state_dict())
    for name in names:
        view = inputs.whole[name].flatten(0, 1)
        a, b = (
            n.run_view(name, view, n.list_image_tasks(name), n.pooled, None, no_cut) for n in (ours, theirs)
        )
        for task, maps in a.pyramids.items():
            for level, other in zip(maps, b.pyramids[task], strict=True):
                assert (level is None) == (other is None)
                assert level is None or torch.equal(level, other if other is not None else level[:0])
        assert a.outputs.keys() == b.outputs.keys()
        for task, output in a.outputs.items():
            torch.testing.assert_close(total(output), total(b.outputs[task]))


def test_initial_weights_do_not_depend_on_the_order_of_inputs() -> None:
    weights = []
    for names in (["late", "pet", "scan"], ["scan", "late", "pet"]):
        spec = shared_network(tasks_named("mask", "grade"), images=images_of(2, names)).spec
        torch.manual_seed(3)
        weights.append(Network(spec, tasks_named("mask", "grade")).state_dict())
    for name in (n for n in weights[0] if n.startswith(("blocks.", "stems."))):
        assert torch.equal(weights[0][name], weights[1][name]), name


@every_block
@pytest.mark.parametrize("dims", [2, 3])
def test_trunk_gradient_at_the_cut_is_that_of_the_summed_loss(sharing: str, form: str, dims: int) -> None:
    network, inputs = shared_network(tasks_named(), dims, sharing=sharing, form=form), inputs_with(dims)
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
    parameters = dict(network.named_parameters())
    trunk = [n for n, role in network.roles().items() if role == TRUNK]
    assert [n for n in trunk if parameters[n].grad is not None] == []
    pairs = [
        (s, [t.grad for t in own.values() if t.grad is not None])
        for s, own in zip(shared, leaves, strict=True)
    ]
    used = [(s, torch.stack(grads).sum(0)) for s, grads in pairs if grads]
    if used:
        torch.autograd.backward([s for s, _ in used], [g for _, g in used])
    for name in (n for n in trunk if n.startswith(("blocks.", "stems."))):
        ours, theirs = parameters[name].grad, summed[name]
        assert ours is not None
        assert (ours - theirs).norm() <= 1e-5 * theirs.norm().clamp(min=1e-3), name


@every_block
def test_cases_do_not_see_each_other_and_padded_visits_do_not_matter(sharing: str, form: str) -> None:
    network = shared_network(tasks_named(), sharing=sharing, form=form).eval()
    clean, dirty = inputs_with(), inputs_with()
    for image in dirty.whole.values():
        image[1, 1] = 1e6
        image[2] = 0.0
    with torch.inference_mode():
        ours, theirs = network(clean), network(dirty)
    torch.testing.assert_close(ours["response"][:2], theirs["response"][:2])
    torch.testing.assert_close(ours["grade"][:3], theirs["grade"][:3])
    torch.testing.assert_close(ours["mask"][0][:3], theirs["mask"][0][:3])


@pytest.mark.parametrize("sharing", ["hard", "cross_stitch", "task_tokens"])
@pytest.mark.parametrize("decoder", ["private", "padnet"])
def test_transformers_and_messages_between_tasks_stand_behind_the_stems(sharing: str, decoder: str) -> None:
    images = {name: replace(spec, encoder="swin") for name, spec in images_of(2).items()}
    tasks, voxel_image = tasks_named(), {"mask": "pet", "dose": "pet"}
    network = network_of(
        tasks, 2, images=images, voxel_image=voxel_image, trunk="shared", sharing=sharing, decoder=decoder
    )
    reached: dict[str, set[str]] = {name: set() for name, _ in network.named_parameters()}
    for task, output in network(inputs_with()).items():
        for name in list_reached(network, output):
            reached[name].add(task)
    for name, role in network.roles().items():
        assert reached[name], f"{name} is dead"
        assert role in (JOINT, TRUNK) or {private_role(t) for t in reached[name]} == {role}, name
        assert role != JOINT or len(reached[name]) > 1, name


def test_a_code_changes_what_the_encoder_reads() -> None:
    network = shared_network(tasks_named("mask", "dose"))
    before = network(inputs_with())
    with torch.no_grad():
        network.stems["every task"].codes["pet"]().copy_(torch.randn(2, 8))
    after = network(inputs_with())
    assert torch.equal(before["mask"][0], after["mask"][0])
    assert not torch.equal(before["dose"][0], after["dose"][0])


def test_inputs_with_as_many_planes_share_the_layer_before_the_encoder() -> None:
    stems = shared_network(tasks_named("grade")).stems["every task"]
    assert stems.layers.names() == ["1", "2"]
    assert sorted(stems.codes.names()) == sorted(PLANES)


def test_parameters_drop() -> None:
    tasks = tasks_named("mask", "grade")
    one, own = shared_network(tasks), shared_network(tasks)
    own = Network(replace(own.spec, trunk=""), tasks)
    assert own.blocks.names() == list(PLANES)
    assert own.stems.names() == []
    assert count_parameters(one.blocks) < 0.4 * count_parameters(own.blocks)


def test_a_network_of_one_image_has_no_stem() -> None:
    network = shared_network(tasks_named("mask"))
    assert network.stems.names() == []
    assert network.blocks.names() == ["scan"]
    assert network(inputs_with())["mask"][0].shape == (5, 3, 12, 12)


def test_a_chain_and_crops_of_levels_read_the_shared_trunk() -> None:
    changes: dict[str, Any] = {"after": {"grade": ["mask"], "response": ["dose"]}, "visit_levels": (1, 3)}
    network = shared_network(tasks_named(), sharing="nddr", visit_fusion="difference", **changes)
    for task, output in network(inputs_with()).items():
        assert total(output).isfinite(), task
        assert list_reached(network, output)
    channel = shared_network(tasks_named(), after={"grade": ["mask"]}, link={"grade": "channel"})
    assert ("grade", "scan") not in channel.reads
    assert ("grade", "pet") in channel.reads
    assert total(channel(inputs_with())["grade"]).isfinite()


def test_the_state_goes_through_a_file_and_a_graph() -> None:
    network = shared_network(tasks_named("mask", "grade")).eval()
    other = Network(network.spec, network.tasks).eval()
    other.load_state_dict(network.state_dict())
    module = Exportable(other)
    whole, day = inputs_with().whole, torch.zeros(3, 2)
    tensors = (*[whole[n] for n in module.images], torch.zeros(3, 2, 3), day)
    graph = torch.export.export(module, tensors)
    with torch.no_grad():
        wanted = network(CompleteInputs(whole, {"clinic": torch.zeros(3, 2, 3)}, day))
        found = graph.module()(*tensors)
    torch.testing.assert_close(found[0], wanted["mask"][0])
    torch.testing.assert_close(found[1], wanted["grade"])


def test_inputs_that_one_encoder_cannot_read_are_refused_in_one_line() -> None:
    mixed = images_of(2) | {"pet": images_of(3)["pet"]}
    with pytest.raises(PolytaskError, match=r"'scan' and 'pet' have 2 and 3 dimensions; set it to null"):
        shared_network(tasks_named("grade"), images=mixed)
    other = images_of(2)
    other["late"] = replace(other["late"], widths=(8, 16, 32))
    with pytest.raises(PolytaskError, match=r"'scan' and 'late' have different stages"):
        shared_network(tasks_named("grade"), images=other)
