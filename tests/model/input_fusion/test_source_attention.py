"""Attention over sources: its weights, what unknown sources may not do, and that noise loses weight."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from polytask.model.input_fusion.source_attention import SourceAttention


def tokens_of(seed: int, cases: int, sources: int, width: int = 8) -> tuple[Tensor, Tensor]:
    """Tokens of very different scale, and a mask that leaves some out."""
    g = torch.Generator().manual_seed(seed)
    scale = 10.0 ** torch.arange(sources)[:, None]
    known = torch.rand((cases, sources), generator=g) < 0.6
    return scale * torch.randn((cases, sources, width), generator=g), known


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), cases=st.integers(1, 6), sources=st.integers(1, 4))
def test_weights_are_shares_of_the_known_sources(seed: int, cases: int, sources: int) -> None:
    torch.manual_seed(seed)
    tokens, known = tokens_of(seed, cases, sources)
    vector, weights = SourceAttention(sources, 8)(tokens, known)
    assert vector.shape == (cases, 8)
    assert weights.shape == known.shape
    assert bool(torch.isfinite(vector).all())
    assert bool((weights >= 0).all())
    assert bool((weights[~known] == 0).all())
    assert bool((weights[known] > 0).all())
    torch.testing.assert_close(weights.sum(1), known.any(1).float())


def test_the_vector_is_the_weighted_sum_of_the_values() -> None:
    """By hand: width 2, tokens (3, 1) and (5, 9) become (1, −1) and (−1, 1)."""
    fusion = SourceAttention(2, 2)
    with torch.no_grad():
        fusion.value.copy_(torch.tensor([[[1.0, 0.0], [0.0, 1.0]], [[2.0, 0.0], [0.0, 4.0]]]))
        fusion.value_bias.copy_(torch.tensor([[1.0, 2.0], [3.0, 0.0]]))
        fusion.score.zero_()
        fusion.score_bias.copy_(torch.tensor([[9.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0]]))
        fusion.query.copy_(torch.tensor([2.0, 5.0]))
    vector, weights = fusion(torch.tensor([[[3.0, 1.0], [5.0, 9.0]]]), torch.ones(1, 2, dtype=torch.bool))
    share = 1 / (1 + torch.exp(torch.tensor(-1.0)))  # scores 2·tanh(9)·σ(0) = 1 and 0
    torch.testing.assert_close(weights, torch.stack([share, 1 - share])[None], rtol=0, atol=1e-5)
    expected = share * torch.tensor([2.0, 1.0]) + (1 - share) * torch.tensor([1.0, 4.0])
    torch.testing.assert_close(vector, expected[None], rtol=0, atol=1e-4)


def test_scale_and_offset_of_a_source_do_not_buy_weight() -> None:
    fusion, (tokens, _) = SourceAttention(3, 8), tokens_of(0, 4, 3)
    known = torch.ones(4, 3, dtype=torch.bool)
    louder = tokens.clone()
    louder[:, 1] = 1000 * louder[:, 1] + 7
    for ours, theirs in zip(fusion(tokens, known), fusion(louder, known), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("dirt", [1e30, float("nan"), float("inf")])
def test_what_stands_in_an_unknown_token_changes_neither_value_nor_gradient(dirt: float) -> None:
    torch.manual_seed(0)
    fusion, (clean, known) = SourceAttention(3, 8), tokens_of(1, 5, 3)
    known[0], known[1] = False, torch.tensor([True, False, True])
    found = []
    for tokens in (clean, torch.where(known[..., None], clean, dirt)):
        fusion.zero_grad()
        leaf = tokens.clone().requires_grad_()
        vector, weights = fusion(leaf, known)
        vector.square().sum().backward()
        assert leaf.grad is not None
        found.append([vector, weights, leaf.grad, *(p.grad for p in fusion.parameters())])
    for ours, theirs in zip(*found, strict=True):
        assert bool(torch.isfinite(theirs).all())
        torch.testing.assert_close(ours, theirs, rtol=0, atol=0)


def test_one_source_has_weight_one_and_no_source_none() -> None:
    tokens, _ = tokens_of(2, 2, 1)
    _, weights = SourceAttention(1, 8)(tokens, torch.tensor([[True], [False]]))
    assert weights.tolist() == [[1.0], [0.0]]
    vector, weights = SourceAttention(2, 8)(torch.randn(1, 2, 8), torch.zeros(1, 2, dtype=torch.bool))
    assert weights.tolist() == [[0.0, 0.0]]
    assert not vector.any()


@pytest.mark.parametrize("sources", [1, 2, 3])
def test_every_number_of_every_parameter_is_used(sources: int) -> None:
    torch.manual_seed(0)
    fusion, (tokens, _) = SourceAttention(sources, 8), tokens_of(3, 16, sources)
    vector, _ = fusion(tokens, torch.ones(16, sources, dtype=torch.bool))
    (vector * torch.linspace(0.5, 1.5, 8)).tanh().sum().backward()
    assert [n for n, p in fusion.named_parameters() if p.grad is None or bool((p.grad == 0).any())] == []


def test_it_starts_nearly_even() -> None:
    torch.manual_seed(0)
    with torch.no_grad():
        weights = torch.stack(
            [SourceAttention(2, 64)(torch.randn(32, 2, 64), torch.ones(32, 2).bool())[1] for _ in range(8)]
        )
    assert bool((weights > 0.1).all())
    assert 0.45 < float(weights[..., 0].mean()) < 0.55


def test_under_autocast_the_weights_still_sum_to_one() -> None:
    fusion, (tokens, known) = SourceAttention(3, 8), tokens_of(4, 6, 3)
    with torch.autocast("cpu", torch.bfloat16):
        vector, weights = fusion(tokens, known)
    torch.testing.assert_close(weights.sum(1), known.any(1).float())
    assert bool(torch.isfinite(vector).all())


def learn(seed: int, draw: Callable[[torch.Generator, Tensor], Tensor], steps: int = 200) -> Tensor:
    """Mean weight of each source on new cases, after learning a yes or no from tokens."""
    g = torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)
    fusion, head = SourceAttention(2, 16), nn.Linear(16, 1)
    known = torch.ones(32, 2, dtype=torch.bool)
    optimizer = torch.optim.AdamW([*fusion.parameters(), *head.parameters()], lr=3e-3)
    for _ in range(steps):
        answer = (torch.rand((32,), generator=g) < 0.5).float()
        vector, _ = fusion(draw(g, answer), known)
        loss = nn.functional.binary_cross_entropy_with_logits(head(vector)[:, 0], answer)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        weights: Tensor = fusion(draw(g, (torch.rand((32,), generator=g) < 0.5).float()), known)[1]
    return weights.mean(0)


@pytest.mark.parametrize("noise", [0, 1])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_pure_noise_gets_less_weight_than_what_informs(seed: int, noise: int) -> None:
    """One source holds the answer under noise, the other nothing, at ten times its scale."""

    def draw(g: torch.Generator, answer: Tensor) -> Tensor:
        tokens = torch.randn((32, 2, 16), generator=g)
        tokens[:, 1 - noise, :8] += (2 * answer - 1)[:, None]
        tokens[:, noise] *= 10
        return tokens

    weights = learn(seed, draw)
    assert weights[noise] < weights[1 - noise] - 0.2
