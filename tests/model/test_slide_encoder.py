"""The slide encoder and gated attention: by hand, masked, and the same however a bag is divided."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from polytask.model import slide_encoder as module
from polytask.model.slide_encoder import GatedAttention, SlideEncoder, SlideSpec

PIXELS = SlideSpec(None, (4, 8), (200.0, 150.0, 180.0), (40.0, 40.0, 30.0))
FEATURES = SlideSpec(6, (), (0.5,), (2.0,))


def bag(spec: SlideSpec, count: int, patches: int) -> torch.Tensor:
    random = torch.Generator().manual_seed(count * 100 + patches)
    if spec.features is None:
        return torch.randint(0, 256, (count, patches, 3, 16, 16), dtype=torch.uint8, generator=random)
    return torch.randn((count, patches, spec.features), generator=random)


def encoder(spec: SlideSpec) -> SlideEncoder:
    torch.manual_seed(0)
    return SlideEncoder(spec, 5)


def test_attention_by_hand() -> None:
    """Width 2, hidden 1: V = (1, 0), U = (0, 1), w = 2, no biases. Patches (1, 0), (0, 1), (1, 1).

    Scores 2·tanh(h₁)·sigmoid(h₂): 2·0.761594·0.5 = 0.761594; 0; 2·0.761594·0.731059 = 1.113540.
    exp: 2.141688, 1, 3.045120; sum 6.186808; weights 0.346170, 0.161634, 0.492196.
    z = (0.346170 + 0.492196, 0.161634 + 0.492196) = (0.838366, 0.653830).
    """
    attention = GatedAttention(2, hidden=1)
    with torch.no_grad():
        attention.value.weight.copy_(torch.tensor([[1.0, 0.0]]))
        attention.gate.weight.copy_(torch.tensor([[0.0, 1.0]]))
        attention.score.weight.fill_(2.0)
        attention.value.bias.zero_()
        attention.gate.bias.zero_()
    h = torch.tensor([[[1.0, 0.0], [0.0, 1.0], [1.0, 1.0], [9.0, 9.0]]])
    pooled, weights = attention(h, torch.tensor([[True, True, True, False]]))
    assert weights[0].tolist() == pytest.approx([0.346170, 0.161634, 0.492196, 0.0], abs=1e-5)
    assert pooled[0].tolist() == pytest.approx([0.838366, 0.653830], abs=1e-5)


@pytest.mark.parametrize("fill", [math.nan, 1e9])
def test_unknown_patches_are_not_read(fill: float) -> None:
    torch.manual_seed(1)
    attention = GatedAttention(4)
    known = torch.tensor([[True, False, True], [False, False, False]])
    h = torch.randn(2, 3, 4)
    gradients = []
    for value in (0.0, fill):
        attention.zero_grad()
        pooled, weights = attention(h.masked_fill(~known[..., None], value), known)
        pooled.square().sum().backward()
        gradients.append([p.grad.clone() for p in attention.parameters() if p.grad is not None])
        assert torch.isfinite(pooled).all()
        assert torch.equal(weights[~known], torch.zeros(4))
        assert weights[0].sum().item() == pytest.approx(1.0)
        assert torch.equal(pooled[1], torch.zeros(4))
        assert torch.equal(weights[1], torch.zeros(3))
    assert len(gradients[0]) == 5
    assert all(torch.equal(a, b) and torch.isfinite(a).all() for a, b in zip(*gradients, strict=True))


def test_attention_does_not_know_the_order() -> None:
    torch.manual_seed(2)
    attention, h = GatedAttention(4), torch.randn(1, 6, 4)
    known = torch.tensor([[True, True, False, True, True, False]])
    turn = torch.tensor([3, 5, 0, 2, 1, 4])
    pooled, weights = attention(h, known)
    again, turned = attention(h[:, turn], known[:, turn])
    assert torch.allclose(pooled, again, atol=1e-6)
    assert torch.allclose(weights[:, turn], turned, atol=1e-6)


@pytest.mark.parametrize("spec", [PIXELS, FEATURES], ids=["pixels", "features"])
def test_every_parameter_learns_and_padding_is_zero(spec: SlideSpec) -> None:
    net, attention = encoder(spec), GatedAttention(5)
    known = torch.tensor([[True, True, True], [True, False, False]])
    vectors = net(bag(spec, 2, 3), known)
    assert vectors.shape == (2, 3, 5)
    assert torch.equal(vectors[~known], torch.zeros(2, 5))
    attention(vectors, known)[0].square().sum().backward()
    for module_ in (net, attention):
        dead = [n for n, p in module_.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
        assert dead == []


@pytest.mark.parametrize("spec", [PIXELS, FEATURES], ids=["pixels", "features"])
def test_chunks_and_neighbours_change_nothing(spec: SlideSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    net = encoder(spec).eval()
    bags, known = bag(spec, 2, 7), torch.rand(2, 7, generator=torch.Generator().manual_seed(5)) < 0.8
    whole = net(bags, known)
    monkeypatch.setattr(module, "PATCHES_PER_CHUNK", {"pixels": 3, "features": 3})
    with torch.no_grad():
        assert torch.allclose(net(bags, known), whole, atol=1e-6)
        assert torch.allclose(net(bags[1:], known[1:]), whole[1:], atol=1e-6)


@pytest.mark.parametrize("spec", [PIXELS, FEATURES], ids=["pixels", "features"])
def test_an_empty_bag_is_finite(spec: SlideSpec) -> None:
    known = torch.zeros(2, 1, dtype=torch.bool)
    vectors = encoder(spec)(bag(spec, 2, 1), known)
    pooled, weights = GatedAttention(5)(vectors, known)
    assert torch.equal(pooled, torch.zeros(2, 5))
    assert torch.equal(weights, torch.zeros(2, 1))


def test_stored_numbers_are_scaled_by_the_plan() -> None:
    net = SlideEncoder(FEATURES, 6)
    linear = net.project[0]
    assert isinstance(linear, nn.Linear)
    with torch.no_grad():
        linear.weight.copy_(torch.eye(6))
        linear.bias.zero_()
    x = torch.full((1, 1, 6), 4.5, dtype=torch.float16)
    assert torch.equal(net(x, torch.ones(1, 1, dtype=torch.bool)), torch.full((1, 1, 6), 2.0))
    assert not [name for name in net.state_dict() if name in ("mean", "sd")]


def test_a_bag_of_fifty_thousand_is_encoded_in_chunks() -> None:
    seen: list[int] = []
    net = encoder(FEATURES).eval()
    net.project.register_forward_hook(lambda _, given, __: seen.append(len(given[0])))
    with torch.no_grad():
        found = net(torch.zeros(1, 1, 6).expand(1, 50_000, 6), torch.ones(1, 50_000, dtype=torch.bool))
    assert found.shape == (1, 50_000, 5)
    assert max(seen) <= module.PATCHES_PER_CHUNK["features"]
    assert sum(seen) == 50_000


def test_attention_finds_the_patch_that_tells() -> None:
    """A bag is positive when one of its ten patches is odd: after training that patch has most of the weight."""
    random = torch.Generator().manual_seed(0)

    def bags(count: int) -> tuple[torch.Tensor, torch.Tensor]:
        x = torch.randn(count, 10, 6, generator=random)
        label = torch.arange(count) % 2
        x[torch.arange(count), torch.arange(count) % 10, 0] += 5.0 * label
        return x, label.float()

    torch.manual_seed(0)
    net, attention, head = encoder(FEATURES), GatedAttention(5), nn.Linear(5, 1)
    optimizer = torch.optim.Adam([*net.parameters(), *attention.parameters(), *head.parameters()], 0.02)
    known = torch.ones(64, 10, dtype=torch.bool)
    for _ in range(120):
        x, label = bags(64)
        answer = head(attention(net(x, known), known)[0])[:, 0]
        loss = nn.functional.binary_cross_entropy_with_logits(answer, label)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    x, label = bags(64)
    with torch.no_grad():
        pooled, weights = attention(net(x, known), known)
        right = ((head(pooled)[:, 0] > 0) == (label > 0)).float().mean()
    odd = weights[torch.arange(64), torch.arange(64) % 10]
    assert right > 0.9
    assert odd[label > 0].mean() > 0.5
    assert odd[label == 0].mean() < 0.3
