"""The visits so far: nothing of a later visit reaches an earlier answer, and everything of an earlier one may."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from polytask.model.visit_fusion.past_visits import (
    PastAttention,
    PastVisits,
    encode_past_time,
    find_past_visits,
)
from polytask.model.visit_fusion.visit_attention import DAY_SCALES
from tests.model.visit_fusion.maps import CHANNELS, days_of, known_of, maps_of

WORLDS = st.integers(2, 5).flatmap(
    lambda v: st.tuples(
        st.lists(st.tuples(*[st.booleans()] * v), min_size=1, max_size=3),
        st.lists(st.integers(-3, 6), min_size=v, max_size=v),
    )
)
"""Which visits of some subjects are known, and days of the visits: not sorted, with ties."""


def fusion_of(visits: int, width: int = 8) -> PastVisits:
    """A fusion in 2D."""
    torch.manual_seed(0)
    return PastVisits(CHANNELS, visits, width, 2)


@given(world=WORLDS)
@settings(max_examples=40, deadline=None)
def test_later_visits_never_change_earlier_answers(
    world: tuple[list[tuple[bool, ...]], list[int]],
) -> None:
    """A later visit is taken away, or replaced: same answer, bit for bit; its gradient there is 0, and not 0 at the
    known earlier visits."""
    known, day = torch.tensor(world[0]), 10.0 * torch.tensor(world[1]).expand(len(world[0]), -1)
    subjects, visits = known.shape
    fusion = fusion_of(visits)
    maps = [m.requires_grad_() for m in maps_of(2, subjects, visits)]
    answer = fusion.join_each_visit(maps, known, day)
    for reader in range(visits):
        later = torch.tensor([(float(day[0, v]), v) > (float(day[0, reader]), reader) for v in range(visits)])
        other = [torch.where(later[None, :, None, None, None], 7.0, m) for m in maps]
        torch.testing.assert_close(fusion.join_each_visit(other, known, day)[:, reader], answer[:, reader])
        gone = fusion.join_each_visit(maps, known & ~later, day)
        torch.testing.assert_close(gone[:, reader], answer[:, reader])
        # The vector of the reader itself may be one that a leaky ReLU of 0 hides; `sum` of squares shows the rest.
        gradient = torch.autograd.grad(answer[:, reader].square().sum(), maps, retain_graph=True)
        per_visit = sum((g.abs().flatten(2).sum(-1) for g in gradient), torch.zeros(subjects, visits))
        assert bool((per_visit[:, later] == 0).all()), "a later visit has a say"
        assert bool((per_visit[known & ~later] > 0).all()), "an earlier visit has no say"


@given(world=WORLDS)
@settings(max_examples=20, deadline=None)
def test_the_answer_of_a_subject_is_that_at_its_last_known_visit(
    world: tuple[list[tuple[bool, ...]], list[int]],
) -> None:
    known, day = torch.tensor(world[0]), 10.0 * torch.tensor(world[1]).expand(len(world[0]), -1)
    fusion, maps = fusion_of(known.shape[1]), maps_of(2, *known.shape)
    each, answer = fusion.join_each_visit(maps, known, day), fusion(maps, known, day)
    for subject, row in enumerate(known.tolist()):
        order = sorted((float(day[subject, v]), v) for v, there in enumerate(row) if there)
        if order:
            torch.testing.assert_close(answer[subject], each[subject, order[-1][1]])


def test_who_may_read_whom() -> None:
    """Days 0, 5, 5, 3: the fourth slot lies between the first and the second, the third is not known."""
    past = find_past_visits(known_of("1101"), torch.tensor([[0.0, 5, 5, 3]]))[0].int().tolist()
    assert past == [[1, 0, 0, 0], [1, 1, 0, 1], [1, 1, 0, 1], [1, 0, 0, 1]]


def test_time_is_told_as_day_since_the_first_and_until_the_reader() -> None:
    def told(*times: float) -> Tensor:
        return torch.tensor([t / (abs(t) + scale) for t in times for scale in DAY_SCALES])

    day = torch.tensor([[10.0, 40, 99]])
    code = encode_past_time(find_past_visits(known_of("110"), day), day)
    torch.testing.assert_close(code[0, 1, 0], told(10, 0, 30))
    torch.testing.assert_close(code[0, 1, 1], told(40, 30, 0))
    torch.testing.assert_close(code[0, 2, 1], told(40, 30, 59))
    assert bool((code[0, 0, 1] == 0).all()), "the later visit is not there"


@pytest.mark.parametrize("width", [7, 8])
def test_the_answer_is_the_mean_of_the_visits_so_far_beside_the_visit_itself(width: int) -> None:
    """By hand, for the last of three visits of which one is missing."""
    torch.manual_seed(0)
    past, vectors = PastAttention(5, 3, width), torch.randn(1, 3, 5)
    known, day = known_of("101"), days_of(1, 3)
    found = past(vectors, known, day)[0, 2]
    assert past.time is not None
    assert past.query is not None
    code = encode_past_time(find_past_visits(known, day), day)[0, 2]
    read = torch.nn.functional.leaky_relu(past.embed(vectors[0]) + past.time(code), 0.01)[[0, 2]]
    heads = read.unflatten(-1, (past.heads, -1))
    shares = ((heads * past.query).sum(-1) / heads.shape[-1] ** 0.5).softmax(0)
    mean = (shares[..., None] * past.value(read).unflatten(-1, (past.heads, -1))).sum(0).flatten()
    torch.testing.assert_close(found, past.out(torch.cat([mean, read[1]])))


def test_where_nothing_can_be_read_the_answer_is_finite_and_a_constant() -> None:
    fusion, maps = fusion_of(2), maps_of(2, 2)
    each = fusion.join_each_visit(maps, known_of("00", "01"), days_of(2, 2))
    torch.testing.assert_close(each[0, 0], fusion.past.out.bias)
    torch.testing.assert_close(each[0, 1], each[1, 0])
