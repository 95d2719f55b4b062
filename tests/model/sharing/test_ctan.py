from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from polytask.model.building_blocks import no_cut
from polytask.model.roles import JOINT, TRUNK, private_role
from polytask.model.sharing.ctan import CTAN, FullExchange, LowRankExchange
from polytask.model.sharing.task_attention import ATTENTION_FORMS
from polytask.model.sharing.token_attention import CrossTaskAttention
from polytask.model.transformer_block import TokenAttention, encode_positions
from tests.model.sharing.test_blocks import NEEDS, block_of, first, images, spec_of


@pytest.mark.parametrize("form", ATTENTION_FORMS)
def test_tasks_read_each_other(form: str) -> None:
    block = block_of("ctan", form, 2, NEEDS)
    assert block.interacts
    before = block(images(2), list(NEEDS), no_cut)
    with torch.no_grad():
        for parameter in block.path.masks[1]["kind"].parameters():  # type: ignore[attr-defined]
            parameter.add_(0.5)
    after = block(images(2), list(NEEDS), no_cut)
    assert all(not torch.equal(before[t][-1], after[t][-1]) for t in NEEDS)  # type: ignore[arg-type]
    torch.testing.assert_close(before["dose"][0], after["dose"][0])


@pytest.mark.parametrize("form", ATTENTION_FORMS)
def test_one_task_has_nobody_to_read(form: str) -> None:
    block = CTAN(spec_of(2), first(1), form)
    assert not block.interacts
    assert len(block.exchanges) == len(block.meeting.cross.items()) == 0
    assert set(block.roles().values()) == {TRUNK, private_role("outline")}


def test_only_what_follows_the_last_exchange_is_private() -> None:
    roles = CTAN(spec_of(2), first(3)).roles()
    for name, role in roles.items():
        alone = name.startswith(("meeting.cross.", "meeting.feed."))
        assert role == (
            TRUNK if "encoder" in name else private_role(name.split("@")[1].split(".")[0]) if alone else JOINT
        )


@pytest.mark.parametrize("form", ATTENTION_FORMS)
def test_a_fresh_exchange_adds_little(form: str) -> None:
    torch.manual_seed(0)
    exchange = LowRankExchange(16, list(NEEDS)) if form == "light" else FullExchange(2, 16, list(NEEDS))
    meeting = CrossTaskAttention(16, list(NEEDS), 8, 16)
    maps = {t: torch.randn(2, 16, 5, 4) for t in NEEDS}
    for ours in (exchange(maps), meeting(maps, list(NEEDS))):
        for task in NEEDS:
            added = (ours[task] - maps[task]).norm() / maps[task].norm()
            assert 1e-4 < added < 0.2


def test_a_low_rank_exchange_by_hand() -> None:
    """Identities throughout: each task gets its own map and the activated, normed sum of the others'."""
    exchange = LowRankExchange(4, ["a", "b", "c"])
    for _, give in exchange.give.items():
        give.weight.data = torch.eye(4)
    for _, take in exchange.take.items():
        take[-1].weight.data = torch.eye(4)  # type: ignore[index]
    maps = {t: torch.randn(1, 4, 3, 3) for t in "abc"}
    others = maps["a"] + maps["c"]
    normed = (others - others.mean()) / (others.var(unbiased=False) + 1e-5).sqrt()
    expected = maps["b"] + torch.where(normed > 0, normed, 0.01 * normed)
    torch.testing.assert_close(exchange(maps)["b"], expected)


def test_attention_is_that_of_torch() -> None:
    """Against `nn.MultiheadAttention` with the same weights."""
    torch.manual_seed(0)
    ours, theirs = TokenAttention(16, 16), nn.MultiheadAttention(16, ours_heads := 2, batch_first=True)
    assert ours.heads == ours_heads
    with torch.no_grad():
        theirs.in_proj_weight.copy_(torch.cat([ours.query.weight, ours.key.weight, ours.value.weight]))
        theirs.in_proj_bias.zero_()
        theirs.out_proj.load_state_dict(ours.out.state_dict())
    tokens, others = torch.randn(2, 5, 16), torch.randn(2, 7, 16)
    place, places = torch.randn(5, 16), torch.randn(7, 16)
    asking, read = ours.norm(tokens), ours.norm(others)
    expected, weights = theirs(asking + place, read + places, read)
    torch.testing.assert_close(ours(tokens, others, place, places), expected)
    torch.testing.assert_close(weights.sum(-1), torch.ones(2, 5))


def test_a_meeting_by_hand() -> None:
    """First a task's own places, then those of the others and not its own again, then each place by itself."""
    torch.manual_seed(0)
    meeting = CrossTaskAttention(16, ["a", "b", "c"], 8, 16)
    maps = {t: torch.randn(2, 16, 2, 3) for t in "abc"}
    place = encode_positions((2, 3), 16, torch.zeros(1))
    rows = {t: m.flatten(2).transpose(1, 2) for t, m in maps.items()}
    rows = {t: z + meeting.own[t](z, z, place, place) for t, z in rows.items()}
    seen = torch.cat([rows["c"], rows["a"]], 1)
    read = rows["b"] + meeting.cross["b"](rows["b"], seen, place, torch.cat([place, place]))
    expected = read + meeting.feed["b"](read)
    answers = meeting(maps, ["b"])
    assert list(answers) == ["b"]
    torch.testing.assert_close(answers["b"], expected.transpose(1, 2).reshape(2, 16, 2, 3))


def test_positions_by_hand() -> None:
    code = encode_positions((2, 3), 8, torch.zeros(1))
    assert code.shape == (6, 8)
    slow = math.exp(-9.2103 / 2)
    first_axis = [math.sin(1), math.sin(slow), math.cos(1), math.cos(slow)]
    second_axis = [math.sin(2), math.sin(2 * slow), math.cos(2), math.cos(2 * slow)]
    torch.testing.assert_close(code[-1], torch.tensor([*first_axis, *second_axis]))
    torch.testing.assert_close(code[0], torch.tensor([0.0, 0, 1, 1, 0, 0, 1, 1]))


@pytest.mark.parametrize("space", [(1, 1), (4, 7), (3, 4, 5), (16, 16, 16)])
@pytest.mark.parametrize("channels", [8, 20])
def test_every_place_has_a_code_of_its_own(space: tuple[int, ...], channels: int) -> None:
    code = encode_positions(space, channels, torch.zeros(1))
    assert code.shape == (math.prod(space), channels)
    assert len(torch.unique(code, dim=0)) == math.prod(space)
