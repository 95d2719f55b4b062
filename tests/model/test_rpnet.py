"""RP-Net's distinguishing parts: which tensors reach the head of the response, and in which form."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from torch import Tensor
from torch.nn.functional import interpolate

import polytask.model
from polytask.model.network import Network
from polytask.model.order.logits import LogitsLink, list_coarse_levels
from polytask.model.task_branches import Token
from polytask.model.visit_fusion import find_visit_levels
from polytask.tasks import make_task
from tests.model.worlds import FIELDS, Inputs, inputs_of, network_of

PRESET = Path(polytask.model.__file__).parent / "presets" / "rpnet.yaml"
DIMS = pytest.mark.parametrize("dims", [2, 3])


def rpnet_of(dims: int, **changes: Any) -> Network:
    """A network of mask and response as the preset describes it, in eval mode."""
    model: dict[str, Any] = yaml.safe_load(PRESET.read_text(encoding="utf-8"))["model"]
    chain = {"after": {"response": ["mask"]}, "link": {"response": "logits"}}
    tasks = {n: make_task(n, FIELDS[n]) for n in ("mask", "response")}
    return network_of(tasks, dims, **{**model, **chain, **changes}).eval()


def read_tokens(network: Network, inputs: Inputs) -> dict[str, Token]:
    """What the branch of the response gets."""
    found: dict[str, Token] = {}

    def keep(module: torch.nn.Module, given: tuple[Mapping[str, Token], Tensor]) -> None:
        found.update(given[0])

    branch = network.branches["response"]
    assert isinstance(branch, torch.nn.Module)
    handle = branch.register_forward_pre_hook(keep)
    with torch.no_grad():
        network(inputs)
    handle.remove()
    return found


@DIMS
def test_the_response_reads_the_deepest_level_the_second_above_and_the_logits_between(dims: int) -> None:
    """Of a pyramid of three levels the finest and the deepest; of the decoder the logits of its second level."""
    tokens = read_tokens(rpnet_of(dims), inputs_of(dims, size=16))
    shapes = {name: [tuple(m.shape[2:]) for m in token.maps] for name, token in tokens.items()}
    cube = {edge: (edge,) * dims for edge in (4, 8, 16)}
    assert shapes == {
        "scan": [(8, *cube[16]), (16, *cube[4])],
        "after mask": [(3, *cube[8])],  # background and two structures
        "clinic": [(8,)],
    }


def test_coarse_logits_are_two_levels_added_up() -> None:
    fine, coarse, coarser = (torch.randn(2, 3, n, n) for n in (8, 4, 2))
    link = LogitsLink()
    torch.testing.assert_close(link([fine, coarse, coarser]), coarse + interpolate(coarser, scale_factor=2))
    torch.testing.assert_close(link([fine, coarse]), coarse)
    torch.testing.assert_close(link([fine]), fine)
    torch.testing.assert_close(link([fine, coarse, coarser, coarser]), link([fine, coarse, coarser]))
    assert [list(list_coarse_levels(n)) for n in (1, 2, 3, 5)] == [[0], [1], [1, 2], [1, 2]]


def test_evaluating_reads_the_same_logits_as_training() -> None:
    """Coarse heads answer only while the network trains; the response reads them always."""
    network = rpnet_of(2)
    ours = read_tokens(network, inputs_of(2))["after mask"].maps[0]
    theirs = read_tokens(network.train(), inputs_of(2))["after mask"].maps[0]
    torch.testing.assert_close(ours, theirs)


@torch.no_grad()
def test_coarse_heads_move_the_response_and_the_finest_head_does_not() -> None:
    network, inputs = rpnet_of(2), inputs_of(2)
    before = network(inputs)
    heads = network.voxels.heads["mask"].heads
    for level, moved in ((0, False), (1, True)):
        kept = {n: p.clone() for n, p in heads[level].named_parameters()}
        for p in heads[level].parameters():
            p.add_(torch.randn_like(p))
        now = network(inputs)
        assert (not torch.equal(now["response"][0], before["response"][0])) == moved
        assert (not torch.equal(now["mask"][0], before["mask"][0])) != moved
        for n, p in heads[level].named_parameters():
            p.copy_(kept[n])


@torch.no_grad()
def test_only_the_change_of_the_logits_counts() -> None:
    """Adding the same to the logits of both visits leaves the response as it was; to one visit alone it does not."""
    network, inputs = rpnet_of(2), inputs_of(2)
    tokens, branch = read_tokens(network, inputs), network.branches["response"]
    logits = tokens["after mask"].maps[0]

    def answer(shift: Tensor) -> Tensor:
        moved = Token((logits + shift,), tokens["after mask"].known)
        found: Tensor = branch({**tokens, "after mask": moved}, inputs.day)[0]
        return found

    noise = torch.randn(logits.shape[0], 1, *logits.shape[2:])
    same, one = noise.expand_as(logits), torch.cat([noise, torch.zeros_like(noise)], 1)
    torch.testing.assert_close(answer(same), answer(torch.zeros_like(logits)), atol=1e-4, rtol=1e-4)
    assert (answer(one) - answer(torch.zeros_like(logits)))[0].abs().max() > 1e-3


@torch.no_grad()
def test_a_subject_with_one_visit_has_no_change() -> None:
    """Neither image nor logits of a visit that is not there are read, and one visit makes no pair."""
    network, inputs, other = rpnet_of(2), inputs_of(2), inputs_of(2)
    other.whole["scan"][1] = torch.randn_like(other.whole["scan"][1])
    ours, theirs = network(inputs)["response"], network(other)["response"]
    torch.testing.assert_close(ours[1], theirs[1])  # the second subject has one visit
    other.whole["scan"][0] = torch.randn_like(other.whole["scan"][0])
    assert not torch.allclose(ours[0], network(other)["response"][0])


def test_levels_are_counted_from_the_deepest() -> None:
    assert find_visit_levels("difference", (1, 3), 5) == [2, 4]
    assert find_visit_levels("difference", (1, 3), 2) == [1]
    assert find_visit_levels("difference", (), 5) == [2, 3, 4]
    assert find_visit_levels("difference", (), 2) == [0, 1]
