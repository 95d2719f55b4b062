"""Attention over visits: a set, its weights, and what it is told of time."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from polytask.model.visit_fusion.visit_attention import DAY_SCALES, VisitAttention, encode_time
from tests.model.visit_fusion.maps import CHANNELS, days_of, known_of, maps_of

MASKS = st.integers(1, 5).flatmap(lambda v: st.lists(st.tuples(*[st.booleans()] * v), min_size=1, max_size=4))


def attention_of(visits: int, width: int = 8) -> VisitAttention:
    """A fusion in 2D."""
    torch.manual_seed(0)
    return VisitAttention(CHANNELS, visits, width, 2)


@given(rows=MASKS, data=st.data())
@settings(max_examples=30, deadline=None)
def test_the_slot_of_a_visit_does_not_matter(rows: list[tuple[bool, ...]], data: st.DataObject) -> None:
    known = torch.tensor(rows)
    subjects, visits = known.shape
    order = data.draw(st.permutations(range(visits)))
    fusion, maps, day = attention_of(5), maps_of(2, subjects, visits), days_of(subjects, visits)
    moved = [m[:, order] for m in maps]
    torch.testing.assert_close(fusion(maps, known, day), fusion(moved, known[:, order], day[:, order]))
    torch.testing.assert_close(
        fusion.weights(maps, known, day)[:, order], fusion.weights(moved, known[:, order], day[:, order])
    )


@given(rows=MASKS)
@settings(max_examples=30, deadline=None)
def test_weights_sum_to_one_over_the_known_visits(rows: list[tuple[bool, ...]]) -> None:
    known = torch.tensor(rows)
    maps, day = maps_of(2, *known.shape), days_of(*known.shape)
    weights = attention_of(known.shape[1]).weights(maps, known, day)
    assert bool((weights >= 0).all())
    assert bool((weights[~known] == 0).all())
    torch.testing.assert_close(weights.sum(1), known.any(1).float())


def test_the_answer_is_the_mean_of_the_visits_under_the_weights() -> None:
    """By one head (an odd width), so that the weights of the answer and their mean over heads are the same."""
    fusion, known = attention_of(3, width=7), known_of("111", "101")
    maps, day = maps_of(2, 2, 3), days_of(2, 3)
    weights = fusion.weights(maps, known, day).detach()
    code = encode_time(known, day)
    pooled = torch.cat([f(m.flatten(3), -1) for m in maps for f in (torch.mean, torch.amax)], -1)
    pooled = torch.where(known[..., None], pooled, 0.0)
    vectors = torch.nn.functional.leaky_relu(fusion.embed(torch.cat([pooled, code], -1)), 0.01)
    assert fusion.query is not None
    logits = (vectors @ fusion.query[0, 0] / 7**0.5).masked_fill(~known, -torch.inf)
    torch.testing.assert_close(weights, logits.softmax(1))
    assert float(weights[0].std()) > 1e-3
    mean = (weights[..., None] * fusion.value(vectors)).sum(1)
    torch.testing.assert_close(fusion(maps, known, day), fusion.out(mean))


def test_without_any_visit_nothing_is_attended_to() -> None:
    fusion = attention_of(2)
    maps, known, day = maps_of(2, 1), known_of("00"), days_of(1, 2)
    assert bool((fusion.weights(maps, known, day) == 0).all())
    torch.testing.assert_close(fusion(maps, known, day)[0], fusion.out.bias)


def test_more_visits_than_it_was_built_for() -> None:
    fusion, known = attention_of(2), known_of("11100", "11111")
    maps, day = maps_of(2, 2, 5), days_of(2, 5)
    three = [m[:1, :3] for m in maps]
    torch.testing.assert_close(fusion(maps, known, day)[:1], fusion(three, known[:1, :3], day[:1, :3]))


def test_time_is_told_as_day_since_the_first_and_until_the_last_known_visit() -> None:
    def told(*times: float) -> Tensor:
        return torch.tensor([t / (abs(t) + scale) for t in times for scale in DAY_SCALES])

    code = encode_time(known_of("0110", "0000"), torch.tensor([[-9.0, 10, 40, 99], [1.0, 2, 3, 4]]))
    torch.testing.assert_close(code[0, 1], told(10, 0, 30))
    torch.testing.assert_close(code[0, 2], told(40, 30, 0))
    assert bool((code[~known_of("0110", "0000")] == 0).all())


@pytest.mark.parametrize("width", [1, 2, 6, 7, 8, 128])
def test_any_width_has_heads(width: int) -> None:
    fusion = attention_of(2, width)
    assert width % fusion.heads == 0
    assert fusion(maps_of(2), torch.ones(3, 2, dtype=torch.bool), days_of(3, 2)).shape == (3, width)
