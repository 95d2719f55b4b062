"""The decoder of MTAN as published: which tensor reaches which head."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from torch import Tensor

from polytask.model.building_blocks import ConvNormAct
from polytask.model.mtan_decoder import MtanDecoder
from polytask.model.network import Network
from polytask.model.roles import JOINT, TRUNK, private_role
from polytask.model.sharing import SHARINGS
from polytask.plan.rules.sharing_parameters import count_reader_parameters
from polytask.plan.rules.view_readers import find_view_readers
from polytask.plan.step_memory import make_plan_topology
from polytask.training.assemble import make_network, make_network_spec, make_tasks
from tests.model.worlds import inputs_of, network_of, tasks_of, total


def published(mix: str = "all", dims: int = 2, **changes: str) -> Network:
    return network_of(
        tasks_of(mix), dims, **{"sharing": "mtan", "form": "paper", "decoder": "mtan", **changes}
    )


@torch.no_grad()
def find_changed_tasks(network: Network, part: torch.nn.Module) -> set[str]:
    """The tasks whose answer changes when a part of the network is changed."""
    network.eval()
    before = network(inputs_of(2))
    for parameter in part.parameters():
        parameter.copy_(2 * torch.randn_like(parameter))
    after = network(inputs_of(2))
    firsts = [
        {t: o[0] if isinstance(o, list) else o for t, o in outputs.items()} for outputs in (before, after)
    ]
    return {task for task in before if not torch.equal(firsts[0][task], firsts[1][task])}


@pytest.mark.parametrize("fusion", ["concat", "film"])
@pytest.mark.parametrize("sharing", list(SHARINGS))
def test_measured_roles_equal_declared_ones(sharing: str, fusion: str) -> None:
    network = network_of(tasks_of("all"), 2, sharing=sharing, input_fusion=fusion, decoder="mtan")
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


@pytest.mark.parametrize("level", [0, 1])
def test_attention_in_the_decoder_reaches_the_answer_of_its_task_only(level: int) -> None:
    network = published()
    decoder = network.voxels.decoders["image scan"]
    assert isinstance(decoder, MtanDecoder)
    assert decoder.masks.at(level).names() == ["mask", "dose"], "voxel tasks have it, pooled tasks do not"
    assert find_changed_tasks(network, decoder.masks.at(level)["mask"]) == {"mask"}


def test_attention_in_the_encoder_reaches_the_answer_of_its_task_only() -> None:
    """The common decoder reads the maps of the encoder before any task has masked them."""
    for task in ("mask", "dose", "grade"):
        network = published()
        assert find_changed_tasks(network, network.blocks["scan"].path.masks.at(0)[task]) == {task}  # type: ignore[attr-defined]
    under_attention = published(decoder="attention")
    masks = under_attention.blocks["scan"].path.masks.at(0)["mask"]  # type: ignore[attr-defined]
    assert find_changed_tasks(under_attention, masks) == {"mask", "dose"}, "the decoder that reads their mean"


def test_all_tasks_share_the_3x3_refinement_of_the_decoder() -> None:
    network = published()
    decoder = network.voxels.decoders["image scan"]
    assert isinstance(decoder, MtanDecoder)
    for refine in decoder.refine:
        assert isinstance(refine, ConvNormAct)
        assert refine[0].weight.shape[2:] == (3, 3)  # type: ignore[union-attr]
        fresh = published()
        fresh.load_state_dict(network.state_dict())
    assert find_changed_tasks(network, decoder.refine.at(0)) == {"mask", "dose"}
    paths = network.blocks["scan"].path.refine  # type: ignore[attr-defined]
    assert all(set(level.names()) == {"mask", "dose", "grade", "type", "response"} for level in paths)
    assert paths.at(0)["grade"][0].weight.shape[2:] == (3, 3)


def test_masks_of_one_are_the_shared_maps() -> None:
    decoder = MtanDecoder(2, [8, 16], ["a", "b"])
    with torch.no_grad():
        for level in decoder.masks:
            for _, mask in level.items():
                mask.norm.weight.zero_()  # type: ignore[operator]
                mask.norm.bias.fill_(40.0)  # type: ignore[operator]
    own, shared = ([torch.randn(1, 8, 8, 8), torch.randn(1, 16, 4, 4)] for _ in range(2))
    found = decoder({"a": own, "b": own}, {"a": shared, "b": shared})
    torch.testing.assert_close(found["a"][0], decoder.decoder(shared)[0])
    torch.testing.assert_close(found["b"][0], decoder.decoder(shared)[0])
    alone = decoder({"a": own, "b": own}, {})
    torch.testing.assert_close(alone["a"][0], decoder.decoder(own)[0])


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("mix", ["voxel", "voxel+visit", "all"])
def test_every_mix_of_tasks_has_finite_answers_of_the_right_shape(dims: int, mix: str) -> None:
    outputs = published(mix, dims)(inputs_of(dims))
    assert set(outputs) == set(tasks_of(mix))
    assert outputs["mask"][0].shape == (5, 3, *(12,) * dims)
    assert all(total(output).isfinite() for output in outputs.values())


@pytest.mark.parametrize("mix", ["voxel", "all"])
def test_trunk_gradient_at_the_cut_is_that_of_the_summed_loss(mix: str) -> None:
    """The common decoder reads the leaves of all its tasks: what they get adds up to what the shared maps get."""
    network, inputs = published(mix), inputs_of(2)
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


def test_its_parameters_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two masks and two grades: encoder, attention and decoder, without norms and heads."""
    monkeypatch.syspath_prepend(Path(__file__).parents[2] / "benchmarks")
    models = importlib.import_module("models")
    setting = next(s for s in models.SETTINGS if s.preset == "mtan")
    plan, header = models.make_setting_plan(setting)
    topology = make_plan_topology(plan.shared.images["scan"], header.images["scan"])
    readers = find_view_readers(header, "scan", plan.shared.model, "whole")
    fold = plan.folds[0]
    network = make_network(make_network_spec(plan, fold, header), make_tasks(fold), 0)
    weights = [
        p.numel()
        for n, p in network.named_parameters()
        if n.startswith(("blocks.", "voxels.decoders.")) and p.dim() > 1
    ]
    assert count_reader_parameters(topology, readers) == pytest.approx(sum(weights), rel=0.01)
