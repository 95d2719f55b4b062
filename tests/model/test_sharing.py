"""The battery every sharing block passes by being registered, in each of its forms, inside a network.

What is asked of a block alone, for any number of tasks, is in `sharing/test_blocks.py`.
"""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from polytask.model.building_blocks import EncoderSpec
from polytask.model.network import Network
from polytask.model.roles import JOINT, TRUNK, private_role
from polytask.model.sharing import SHARINGS, list_forms
from tests.model.worlds import MIXES, inputs_of, network_of, tasks_of, total

pytestmark = pytest.mark.parametrize(("sharing", "form"), [(s, f) for s in SHARINGS for f in list_forms(s)])
every_place = pytest.mark.parametrize(("dims", "mix"), [(d, m) for d in (2, 3) for m in MIXES])
places = pytest.mark.parametrize(("dims", "mix"), [*((2, m) for m in MIXES), (3, "all")])


@every_place
def test_shapes(sharing: str, form: str, dims: int, mix: str) -> None:
    tasks = tasks_of(mix)
    outputs = network_of(tasks, dims, sharing=sharing, form=form)(inputs_of(dims))
    assert list(outputs) == list(tasks)
    for name, task in tasks.items():
        if task.level == "voxel":
            assert [tuple(o.shape) for o in outputs[name]][:2] == [
                (5, task.outputs, *(12,) * dims),
                (5, task.outputs, *(6,) * dims),
            ]
        else:
            assert outputs[name].shape == (3 if task.level == "subject" else 6, task.outputs)


@places
def test_measured_roles_equal_declared_ones(sharing: str, form: str, dims: int, mix: str) -> None:
    """Each task's loss alone: which parameters does it reach? No parameter may be dead."""
    network = network_of(tasks_of(mix), dims, sharing=sharing, form=form)
    reached: dict[str, set[str]] = {name: set() for name, _ in network.named_parameters()}
    for task, output in network(inputs_of(dims)).items():
        network.zero_grad(set_to_none=True)
        total(output).backward(retain_graph=True)
        for name, parameter in network.named_parameters():
            if parameter.grad is not None and parameter.grad.abs().sum() > 0:
                reached[name].add(task)
    roles = network.roles()
    assert set(roles) == set(reached)
    for name, tasks in reached.items():
        assert tasks, f"{name} is dead"
        if roles[name] == JOINT:
            assert len(tasks) > 1, name
        elif roles[name] != TRUNK:
            assert {private_role(t) for t in tasks} == {roles[name]}, name


@places
def test_trunk_gradient_at_the_cut_is_that_of_the_summed_loss(
    sharing: str, form: str, dims: int, mix: str
) -> None:
    network = network_of(tasks_of(mix), dims, sharing=sharing, form=form)
    inputs = inputs_of(dims)
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
    roles, parameters = network.roles(), dict(network.named_parameters())
    assert [n for n, role in roles.items() if role == TRUNK and parameters[n].grad is not None] == []
    if shared:
        back = [
            torch.stack([t.grad for t in by_task.values() if t.grad is not None]).sum(0) for by_task in leaves
        ]
        torch.autograd.backward(shared, back)
    for name, role in roles.items():
        if role == TRUNK:
            ours, theirs = parameters[name].grad, summed[name]
            assert ours is not None
            assert (ours - theirs).norm() <= 1e-5 * theirs.norm().clamp(min=1e-3), name


@places
def test_permuting_tasks_permutes_outputs(sharing: str, form: str, dims: int, mix: str) -> None:
    tasks = tasks_of(mix)
    network = network_of(tasks, dims, sharing=sharing, form=form)
    turned = Network(network.spec, dict(reversed(tasks.items())))
    turned.load_state_dict(network.state_dict())
    ours, theirs = network(inputs_of(dims)), turned(inputs_of(dims))
    assert list(theirs) == list(reversed(tasks))
    for name in tasks:
        torch.testing.assert_close(total(ours[name]), total(theirs[name]))


@places
def test_eval_is_deterministic_and_cases_do_not_see_each_other(
    sharing: str, form: str, dims: int, mix: str
) -> None:
    network = network_of(tasks_of(mix), dims, sharing=sharing, form=form).eval()
    three, one = inputs_of(dims, 3), inputs_of(dims, 3)
    one = type(one)(**{k: _first(v) for k, v in vars(one).items()})
    with torch.inference_mode():
        together, again, alone = network(three), network(three), network(one)
    for name, task in network.tasks.items():
        if task.level == "voxel":
            assert len(together[name]) == 1
            pairs = (together[name][0], again[name][0], alone[name][0], 2)
        else:
            pairs = (together[name], again[name], alone[name], 2 if task.level == "visit" else 1)
        full, repeat, single, count = pairs
        torch.testing.assert_close(full, repeat, rtol=0, atol=0)
        torch.testing.assert_close(full[:count], single, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("dims", [2, 3])
def test_padded_visits_do_not_matter(sharing: str, form: str, dims: int) -> None:
    network = network_of(tasks_of("all"), dims, sharing=sharing, form=form).eval()
    clean, dirty = inputs_of(dims), inputs_of(dims)
    dirty.whole["scan"][1, 1] = 1e6
    dirty.tables["clinic"][1, 1] = 1e6
    dirty.day[1, 1] = 1e6
    with torch.inference_mode():
        ours, theirs = network(clean), network(dirty)
    for name, task in network.tasks.items():
        known = clean.visit_known.flatten() if task.level == "visit" else slice(None)
        a, b = (o[name][0] if task.level == "voxel" else o[name][known] for o in (ours, theirs))
        torch.testing.assert_close(a, b)


@places
def test_batch_of_one(sharing: str, form: str, dims: int, mix: str) -> None:
    network = network_of(tasks_of(mix), dims, sharing=sharing, form=form)
    for output in network(inputs_of(dims, subjects=1)).values():
        total(output).backward(retain_graph=True)
        assert total(output).isfinite()
    assert all(p.grad is None or p.grad.isfinite().all() for p in network.parameters())


@pytest.mark.parametrize("mix", [m for m in MIXES if len(MIXES[m]) == 1])
def test_one_task_trains(sharing: str, form: str, mix: str) -> None:
    """The block alone is trained: what it feeds stays as it is."""
    network, inputs = network_of(tasks_of(mix), 2, sharing=sharing, form=form), inputs_of(2)
    generator = torch.Generator().manual_seed(0)
    optimizer = torch.optim.Adam(network.blocks.parameters(), lr=3e-3)
    losses, target = [], None
    for _ in range(12):
        (output,) = network(inputs).values()
        answer = output[0] if isinstance(output, list) else output
        if target is None:
            target = answer.detach() + torch.randn(answer.shape, generator=generator)
        loss = (answer - target).square().mean()
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert losses[-1] < 0.97 * losses[0]


@pytest.mark.parametrize("size", [9, 13])
def test_any_size_passes(sharing: str, form: str, size: int) -> None:
    outputs = network_of(tasks_of("all"), 2, sharing=sharing, form=form)(inputs_of(2, size=size))
    assert outputs["mask"][0].shape[2:] == (size, size)


def test_state_dict_round_trip(sharing: str, form: str) -> None:
    network, other = (network_of(tasks_of("all"), 2, sharing=sharing, form=form) for _ in range(2))
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.zero_()
    other.load_state_dict(network.state_dict())
    ours, theirs = network(inputs_of(2)), other(inputs_of(2))
    for name in ours:
        torch.testing.assert_close(total(ours[name]), total(theirs[name]), rtol=0, atol=0)


def test_shared_decoder_is_joint(sharing: str, form: str) -> None:
    network = network_of(tasks_of("all"), 2, sharing=sharing, form=form, decoder="shared")
    roles = network.roles()
    assert {r for n, r in roles.items() if n.startswith("voxels.decoders.")} == {JOINT}
    assert set(roles) == {n for n, _ in network.named_parameters()}
    calls: list[int] = []
    for _, decoder in network.voxels.decoders.items():
        decoder.register_forward_hook(lambda *_: calls.append(1))
    outputs = network(inputs_of(2))
    assert len(calls) == (1 if sharing == "hard" else 2)
    assert outputs["mask"][0].shape == (5, 3, 12, 12)
    assert outputs["dose"][0].shape == (5, 1, 12, 12)


def _first(value: object) -> object:
    """The first subject of every tensor."""
    if isinstance(value, dict):
        return {k: v[:1] for k, v in value.items()}
    assert isinstance(value, Tensor)
    return value[:1]


def test_flat_kernels_of_the_encoder_hold_in_every_block(sharing: str, form: str) -> None:
    """No convolution of the two finest levels reaches along the coarse axis; the shapes of the outputs stay."""
    strides = ((1, 1, 1), (1, 2, 2), (2, 2, 2))
    spec = EncoderSpec(3, 2, (8, 16, 32), (1, 2, 1), strides, ((1, 3, 3), (1, 3, 3), (3, 3, 3)))
    network = network_of(tasks_of("voxel+visit"), 3, sharing=sharing, form=form, images={"scan": spec})
    assert network(inputs_of(3))["mask"][0].shape[2:] == (12, 12, 12)
    wide = [n for n, p in network.named_parameters() if p.dim() == 5 and p.shape[2] > 1]
    assert wide, "the deepest stage has 3×3×3"
    assert all(min(p.shape[:2]) >= 16 for n, p in network.named_parameters() if n in wide)
    flat = [n for n, p in network.named_parameters() if p.dim() == 5 and tuple(p.shape[2:]) == (1, 3, 3)]
    assert len(flat) >= 8, "two blocks of two and more convolutions in each of two stages, and the decoder"
