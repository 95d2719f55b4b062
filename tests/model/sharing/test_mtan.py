from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor, nn

from polytask.model.building_blocks import EncoderSpec, no_cut
from polytask.model.sharing.hard import HardSharing
from polytask.model.sharing.mtan import MTAN
from polytask.model.sharing.task_attention import ATTENTION_FORMS, Mask, apply_coarse_mask
from tests.model.sharing.test_blocks import NEEDS, block_of, first, images, spec_of


def hard_like(block: MTAN) -> HardSharing:
    """Hard sharing with the block's encoder."""
    hard = HardSharing(spec_of(2), block.needs)
    hard.encoder.load_state_dict(block.path.encoder.state_dict())
    return hard


@pytest.mark.parametrize("form", ATTENTION_FORMS)
def test_open_masks_are_hard_sharing(form: str) -> None:
    block = MTAN(spec_of(2), NEEDS, form)
    with torch.no_grad():
        for module in block.modules():
            if isinstance(module, Mask):
                last = module.norm if isinstance(module.norm, nn.GroupNorm) else module.out
                last.weight.zero_()
                last.bias.fill_(40.0)  # type: ignore[union-attr]
    ours, theirs = (b(images(2), list(NEEDS), no_cut) for b in (block, hard_like(block)))
    for task in NEEDS:
        for a, b in zip(ours[task], theirs[task], strict=True):
            torch.testing.assert_close(a, b)


@pytest.mark.parametrize("form", ATTENTION_FORMS)
def test_a_fresh_block_is_nearly_hard_sharing(form: str) -> None:
    torch.manual_seed(0)
    block = MTAN(spec_of(2), NEEDS, form)
    ours, theirs = (b(images(2), list(NEEDS), no_cut) for b in (block, hard_like(block)))
    for task in NEEDS:
        for a, b in zip(ours[task], theirs[task], strict=True):
            if a is not None:
                share = a / b
                assert (share - 0.88).abs().max() < 0.1
                assert share.std() > 1e-4


@pytest.mark.parametrize("form", ATTENTION_FORMS)
def test_what_a_task_took_reaches_its_next_level_and_no_other_task(form: str) -> None:
    block = block_of("mtan", form, 2, NEEDS)
    before = block(images(2), list(NEEDS), no_cut)
    with torch.no_grad():
        for parameter in block.path.masks[0]["kind"].parameters():  # type: ignore[attr-defined]
            parameter.add_(0.5)
    after = block(images(2), list(NEEDS), no_cut)
    changed = {t for t in NEEDS if not torch.equal(before[t][-1], after[t][-1])}  # type: ignore[arg-type]
    assert changed == {"kind"}


def test_on_demand_full_resolution_is_for_those_who_read_it() -> None:
    calls: list[tuple[tuple[int, ...], tuple[str, ...]]] = []

    def cut(shared: Tensor, tasks: Sequence[str]) -> dict[str, Tensor]:
        calls.append((tuple(shared.shape[2:]), tuple(tasks)))
        return dict.fromkeys(tasks, shared)

    everyone = ("outline", "kind", "dose")
    block_of("mtan", "light", 2, first(3))(images(2), everyone, cut)
    full, half, small = (6, 12), (6, 6), (3, 3)
    pooled = [(half, everyone)] * 2  # the first stage has two blocks: last map and first map
    assert calls == [(full, ("outline", "dose")), *pooled, (half, everyone), (small, everyone)]


@pytest.mark.parametrize("strides", [((1, 1),), ((1, 1), (1, 1)), ((1, 1), (3, 2), (1, 2))])
@pytest.mark.parametrize("form", ATTENTION_FORMS)
def test_any_strides(strides: tuple[tuple[int, int], ...], form: str) -> None:
    levels = len(strides)
    spec = EncoderSpec(2, 1, (8,) * levels, (1,) * levels, strides)
    needs = {"outline": frozenset(range(levels)), "kind": frozenset({levels - 1})}
    block, hard = MTAN(spec, needs, form), HardSharing(spec, needs)
    x = torch.randn(1, 1, 11, 13)
    for task, pyramid in block(x, list(needs), no_cut).items():
        for ours, theirs in zip(pyramid, hard(x, list(needs), no_cut)[task], strict=True):
            assert (ours is None) == (theirs is None)
            assert ours is None or theirs is None or ours.shape == theirs.shape


def test_a_coarse_mask_by_hand() -> None:
    mask = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]])
    expected = torch.tensor([[1, 1, 2, 2], [3, 3, 4, 4], [3, 3, 4, 4]]).float()
    torch.testing.assert_close(apply_coarse_mask(torch.ones(1, 1, 4, 4), mask)[0, 0, 1:], expected)
