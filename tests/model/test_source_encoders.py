"""The table encoder, plain and by groups: self-normalizing, and no group sees another before the last layer."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from polytask.model.source_encoders import GroupedLayers, TableEncoder

SIZES = [[6], [1, 5, 2], [40, 3, 3, 7]]


def cells(cases: int, features: int, seed: int = 0, share: float = 0.8) -> tuple[Tensor, Tensor]:
    """Values `[cases, 2, F]` and known flags."""
    g = torch.Generator().manual_seed(seed)
    values = torch.randn((cases, 2, features), generator=g)
    return values, torch.rand(values.shape, generator=g) < share


@pytest.mark.parametrize("sizes", SIZES)
def test_an_unknown_cell_is_not_read_but_its_flag_is(sizes: Sequence[int]) -> None:
    torch.manual_seed(0)
    encoder = TableEncoder(sizes, 16)
    values, known = cells(3, sum(sizes))
    token = encoder(values, known)
    assert token.shape == (3, 2, 16)
    torch.testing.assert_close(encoder(torch.where(known, values, float("nan")), known), token)
    values[0, 0, 0], zero = 0.0, known.clone()
    known[0, 0, 0], zero[0, 0, 0] = True, False
    assert not torch.allclose(encoder(values, known)[0, 0], encoder(values, zero)[0, 0])


@pytest.mark.parametrize("sizes", SIZES)
def test_no_parameter_is_dead(sizes: Sequence[int]) -> None:
    torch.manual_seed(0)
    encoder = TableEncoder(sizes, 16)
    values, known = cells(32, sum(sizes))
    (encoder(values, known) * torch.linspace(0.5, 1.5, 16)).tanh().sum().backward()
    assert [n for n, p in encoder.named_parameters() if p.grad is None or bool((p.grad == 0).any())] == []


@pytest.mark.parametrize("sizes", [*SIZES, [250] * 4, [16] * 50])
def test_it_keeps_mean_and_variance(sizes: Sequence[int]) -> None:
    """Klambauer's fixed point: standardized columns come out with mean near 0 and variance near 1, untrained."""
    found = []
    for seed in range(6):
        torch.manual_seed(seed)
        values, known = cells(256, sum(sizes), seed, share=1.0)
        found.append(TableEncoder(sizes, 64)(values, known).detach())
    outputs = torch.stack(found)
    assert abs(float(outputs.mean())) < 0.2
    assert 0.6 < float(outputs.var()) < 1.4


@settings(max_examples=25, deadline=None)
@given(sizes=st.lists(st.integers(1, 9), min_size=2, max_size=6), seed=st.integers(0, 1000))
def test_the_batched_product_equals_a_small_network_per_group(sizes: list[int], seed: int) -> None:
    torch.manual_seed(seed)
    groups = GroupedLayers(sizes, 16).double()
    values, known = cells(3, sum(sizes), seed)
    flags, seen = known.double(), torch.where(known, values, 0.0).double()
    parts, start = [], 0
    for group, size in enumerate(sizes):
        own = slice(start, start + size)
        first = torch.selu(
            seen[..., own] @ groups.values[own] + flags[..., own] @ groups.flags[own] + groups.bias[group]
        )
        parts.append(torch.selu(first @ groups.second[group] + groups.second_bias[group]))
        start += size
    torch.testing.assert_close(groups(seen, flags), torch.cat(parts, -1))


def test_a_group_sees_no_other() -> None:
    groups = GroupedLayers([3, 4], 16)
    values, known = cells(2, 7)
    other = values.clone()
    other[..., 3:] += 1
    flags = known.float()
    half = groups.outputs // 2
    before, after = groups(values, flags), groups(other, flags)
    torch.testing.assert_close(before[..., :half], after[..., :half], rtol=0, atol=0)
    assert not torch.allclose(before[..., half:], after[..., half:])


def test_groups_save_weights_and_padding_costs_none() -> None:
    """Of 1,600 columns: one row of weights per value and one per flag, however unequal the groups."""
    grouped = TableEncoder([1500, 60, 40], 128)
    first = sum(p.numel() for n, p in grouped.named_parameters() if n in ("groups.values", "groups.flags"))
    assert first == 2 * 1600 * 32
    plain = sum(p.numel() for p in TableEncoder(1600, 128).parameters())
    assert sum(p.numel() for p in grouped.parameters()) < plain / 3


def test_one_group_is_the_plain_encoder_whether_told_as_number_or_list() -> None:
    values, known = cells(2, 5)
    tokens = []
    for groups in (5, [5], (0, 5, 0)):
        torch.manual_seed(3)
        encoder = TableEncoder(groups, 8)
        assert [n for n, _ in encoder.named_parameters()] == [
            f"layers.{i}.{w}" for i in (0, 2) for w in ("weight", "bias")
        ]
        tokens.append(encoder(values, known))
    torch.testing.assert_close(tokens[0], tokens[1], rtol=0, atol=0)
    torch.testing.assert_close(tokens[0], tokens[2], rtol=0, atol=0)


@pytest.mark.parametrize("groups", [0, [], [0, 0]])
def test_a_table_without_features_gives_a_finite_token(groups: int | Sequence[int]) -> None:
    values, known = cells(2, 0)
    token = TableEncoder(groups, 8)(values, known)
    assert token.shape == (2, 2, 8)
    assert bool(torch.isfinite(token).all())


@pytest.mark.parametrize("sizes", SIZES)
def test_alpha_dropout_acts_in_training_only_and_adds_no_weight(sizes: Sequence[int]) -> None:
    encoder, values, known = TableEncoder(sizes, 64, dropout=0.2), *cells(64, sum(sizes), share=1.0)
    bare = TableEncoder(sizes, 64)
    assert sum(p.numel() for p in encoder.parameters()) == sum(p.numel() for p in bare.parameters())
    torch.manual_seed(0)
    once, twice = encoder(values, known).detach(), encoder(values, known).detach()
    assert not torch.allclose(once, twice)
    assert 0.5 < float(once.var()) < 1.6
    encoder.eval()
    torch.testing.assert_close(encoder(values, known), encoder(values, known), rtol=0, atol=0)


@pytest.mark.parametrize("sizes", SIZES)
def test_a_state_dict_makes_the_round_trip(sizes: Sequence[int]) -> None:
    values, known = cells(2, sum(sizes))
    ours, theirs = TableEncoder(sizes, 8), TableEncoder(sizes, 8)
    theirs.load_state_dict(ours.state_dict())
    torch.testing.assert_close(ours(values, known), theirs(values, known), rtol=0, atol=0)
