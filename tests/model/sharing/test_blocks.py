"""What every sharing block does by itself, for any number of tasks; registered blocks enter by being there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest
import torch
from torch import Tensor, nn

from polytask.errors import PolytaskError
from polytask.model.building_blocks import EncoderSpec, no_cut
from polytask.model.roles import TRUNK, private_role
from polytask.model.sharing import SHARINGS, SharedPyramid, SharingBlock, list_forms, make_block

FORMS = [(name, form) for name in SHARINGS for form in list_forms(name)]
every_block = pytest.mark.parametrize(("name", "form"), FORMS)
ALL, DEEP, TWO = frozenset({0, 1, 2}), frozenset({2}), frozenset({1, 2})
NEEDS = {"outline": ALL, "kind": DEEP, "dose": ALL, "change": TWO, "age": DEEP}
"""Voxel tasks read all levels, others one or two of the deepest."""


def spec_of(dims: int) -> EncoderSpec:
    """Three stages; the second halves all axes but the first."""
    return EncoderSpec(dims, 1, (8, 16, 16), (2, 1, 1), ((1,) * dims, (1, *[2] * (dims - 1)), (2,) * dims))


def block_of(
    name: str, form: str, dims: int, needs: Mapping[str, frozenset[int]], seed: int = 0
) -> SharingBlock:
    """A block away from its starting values."""
    torch.manual_seed(seed)
    block = make_block(name, spec_of(dims), needs, form)
    assert isinstance(block, nn.Module)
    with torch.no_grad():
        for parameter in block.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    return block


def images(dims: int, count: int = 2) -> Tensor:
    return torch.randn((count, 1, 6, 12, 8)[: 2 + dims], generator=torch.Generator().manual_seed(7))


def first(count: int) -> dict[str, frozenset[int]]:
    return dict(list(NEEDS.items())[:count])


def weighed(pyramid: SharedPyramid) -> Tensor:
    """A scalar that every value reaches with a different weight."""
    maps = [m for m in pyramid if m is not None]
    return torch.stack([(m * torch.linspace(-1, 1, m.numel()).view_as(m)).sum() for m in maps]).sum()


@every_block
@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_any_number_of_tasks(name: str, form: str, dims: int, count: int) -> None:
    needs = first(count)
    block = block_of(name, form, dims, needs)
    pyramids = block(images(dims), list(needs), no_cut)
    sizes = [(6, 12, 8), (6, 6, 4), (3, 3, 2)]
    assert block.channels == (8, 16, 16)
    for task, levels in needs.items():
        shapes = [None if m is None else tuple(m.shape) for m in pyramids[task]]
        full = [(2, c, *size[:dims]) for c, size in zip(block.channels, sizes, strict=True)]
        assert shapes == [s if level in levels else None for level, s in enumerate(full)]
    torch.stack([weighed(p) for p in pyramids.values()]).sum().backward()
    parameters = dict(block.named_parameters())  # type: ignore[attr-defined]
    assert set(block.roles()) == set(parameters)
    assert [n for n, p in parameters.items() if p.grad is None or not p.grad.abs().sum() > 0] == []


@every_block
def test_an_answer_does_not_depend_on_who_is_asked_beside_it(name: str, form: str) -> None:
    block = block_of(name, form, 2, NEEDS)
    together = block(images(2), list(NEEDS), no_cut)
    for asked in (["outline", "dose"], ["kind"], ["age", "change"]):
        alone = block(images(2), asked, no_cut)
        assert list(alone) == asked
        for task in asked:
            for ours, theirs in zip(together[task], alone[task], strict=True):
                torch.testing.assert_close(ours, theirs)
    assert block(images(2), [], no_cut) == {}


@every_block
def test_nothing_private_to_a_task_runs_when_it_is_not_asked_for(name: str, form: str) -> None:
    block = block_of(name, form, 2, NEEDS)
    assert isinstance(block, nn.Module)
    ran: set[str] = set()
    for path, module in block.named_modules():
        owned = {f"{path}.{n}" for n, _ in module.named_parameters(recurse=False)}
        module.register_forward_hook(lambda *_, owned=owned: ran.update(owned))
    block(images(2), ["outline", "kind"], no_cut)
    roles = block.roles()
    assert {roles[n] for n in ran} & {private_role(t) for t in ("dose", "change", "age")} == set()
    assert any(role in (TRUNK, private_role("kind")) for n, role in roles.items() if n in ran)


@every_block
def test_whether_branches_meet_behind_the_cut_is_as_declared(name: str, form: str) -> None:
    """A task's loss reaches its own leaves, and those of others exactly where the block interacts."""
    block, leaves = block_of(name, form, 2, NEEDS), []

    def cut(shared: Tensor, tasks: Sequence[str]) -> dict[str, Tensor]:
        leaves.append({task: shared.detach().requires_grad_() for task in tasks})
        return leaves[-1]

    pyramids = block(images(2), list(NEEDS), cut)
    for task, pyramid in pyramids.items():
        weighed(pyramid).backward(retain_graph=True)
        reached = {t for by_task in leaves for t, leaf in by_task.items() if leaf.grad is not None}
        assert reached == (set(NEEDS) if block.interacts else {task} if leaves else set())
        for by_task in leaves:
            for leaf in by_task.values():
                leaf.grad = None


@every_block
def test_the_order_in_which_tasks_are_named_does_not_matter(name: str, form: str) -> None:
    ours, theirs = (
        block_of(name, form, 2, NEEDS),
        block_of(name, form, 2, dict(reversed(NEEDS.items())), seed=3),
    )
    theirs.load_state_dict(ours.state_dict())  # type: ignore[attr-defined]
    mine, other = ours(images(2), list(NEEDS), no_cut), theirs(images(2), list(reversed(NEEDS)), no_cut)
    assert list(other) == list(reversed(mine))
    for task in NEEDS:
        for a, b in zip(mine[task], other[task], strict=True):
            torch.testing.assert_close(a, b)


@every_block
def test_maps_stay_in_half_precision(name: str, form: str) -> None:
    """A map that slips into float32 doubles the time of all that follows."""
    block = block_of(name, form, 3, first(3))
    with torch.autocast("cpu", torch.bfloat16):
        pyramids = block(images(3), list(first(3)), no_cut)
    kinds = {m.dtype for pyramid in pyramids.values() for m in pyramid if m is not None}
    assert kinds == {torch.bfloat16}
    torch.stack([weighed(p).float() for p in pyramids.values()]).sum().backward()


@pytest.mark.parametrize(
    ("name", "form", "words"),
    [
        ("crossstitch", "light", "no sharing is called 'crossstitch': did you mean 'cross_stitch'?"),
        ("zzz", "light", "choose from hard, single"),
        ("hard", "paper", "'hard' has no form 'paper': choose from light"),
        ("mtan", "heavy", "'mtan' has no form 'heavy': choose from light, paper"),
    ],
)
def test_what_does_not_exist_is_refused(name: str, form: str, words: str) -> None:
    with pytest.raises(PolytaskError, match=words.replace("?", r"\?")):
        make_block(name, spec_of(2), NEEDS, form)
