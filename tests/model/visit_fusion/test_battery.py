"""What every fusion of visits keeps, by being registered."""

from __future__ import annotations

from typing import cast

import pytest
import torch
from torch import Tensor, nn

from polytask.errors import PolytaskError
from polytask.model.visit_fusion import MIN_FUSION_VISITS, VISIT_FUSIONS
from tests.model.visit_fusion.maps import CHANNELS, days_of, known_of, maps_of

WIDTH = 8
WHATEVER = pytest.mark.parametrize("rubbish", [1e6, float("nan"), float("inf")])
NAMES = pytest.mark.parametrize("name", list(VISIT_FUSIONS))
DIMS = pytest.mark.parametrize("dims", [2, 3])


def fusion_of(name: str, dims: int, visits: int = 2, levels: int = 3) -> nn.Module:
    """A fusion whose every parameter differs from zero."""
    torch.manual_seed(1)
    fusion = cast(nn.Module, VISIT_FUSIONS[name](CHANNELS[-levels:], visits, WIDTH, dims))
    with torch.no_grad():
        for parameter in fusion.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    return fusion


def gradients(fusion: nn.Module, answer: Tensor) -> dict[str, Tensor]:
    """Of a scalar that every output reaches with a different weight."""
    fusion.zero_grad()
    (answer.float().tanh() * torch.linspace(0.5, 1.5, answer.numel()).view_as(answer)).sum().backward()
    return {n: p.grad for n, p in fusion.named_parameters() if p.grad is not None}


@NAMES
@DIMS
@pytest.mark.parametrize(("subjects", "visits"), [(1, 2), (3, 2), (2, 4)])
def test_any_number_of_visits_becomes_one_vector(name: str, dims: int, subjects: int, visits: int) -> None:
    known = torch.ones(subjects, visits, dtype=torch.bool)
    maps, day = maps_of(dims, subjects, visits), days_of(subjects, visits)
    assert fusion_of(name, dims, visits)(maps, known, day).shape == (subjects, WIDTH)


@NAMES
def test_too_few_visits_are_refused_in_one_line(name: str) -> None:
    visits = MIN_FUSION_VISITS[name]
    known = torch.ones(2, visits, dtype=torch.bool)
    fusion_of(name, 2, visits)(maps_of(2, 2, visits), known, days_of(2, visits))
    if visits > 1:
        with pytest.raises(
            PolytaskError, match=rf"^model.visit_fusion: '{name}' .* reads 1; name two `visits`.*$"
        ):
            fusion_of(name, 2, visits - 1)


@NAMES
@pytest.mark.parametrize("levels", [1, 2])
def test_an_encoder_may_have_fewer_levels(name: str, levels: int) -> None:
    known = torch.ones(3, 2, dtype=torch.bool)
    answer = fusion_of(name, 2, levels=levels)(maps_of(2)[-levels:], known, days_of(3, 2))
    assert answer.shape == (3, WIDTH)


@NAMES
@DIMS
@WHATEVER
def test_what_stands_at_unknown_visits_does_not_matter(name: str, dims: int, rubbish: float) -> None:
    fusion, known = fusion_of(name, dims, 3), known_of("110", "011", "000")
    clean, day = maps_of(dims, 3, 3), days_of(3, 3)
    dirty = [level.clone() for level in clean]
    for level in dirty:
        level[~known] = rubbish
        level.requires_grad_()
    ours, theirs = fusion(clean, known, day), fusion(dirty, known, torch.where(known, day, rubbish))
    torch.testing.assert_close(ours, theirs)
    assert bool(theirs.isfinite().all())
    expected, found = gradients(fusion, ours), gradients(fusion, theirs)
    torch.testing.assert_close(expected, found)
    for level in dirty:
        assert level.grad is not None
        assert bool(level.grad[known].abs().flatten(1).sum(1).gt(0).all()), "a known visit has no say"
        assert bool((level.grad[~known] == 0).all()), "an unknown visit has a say"


@NAMES
def test_with_no_visit_at_all_answer_and_gradients_are_finite(name: str) -> None:
    fusion, known = fusion_of(name, 2), torch.zeros(2, 2, dtype=torch.bool)
    answer = fusion(maps_of(2, 2), known, days_of(2, 2))
    torch.testing.assert_close(answer[0], answer[1])
    assert all(bool(g.isfinite().all()) for g in gradients(fusion, answer).values())


@NAMES
@DIMS
@pytest.mark.parametrize("more", [0, 1])
def test_no_parameter_is_dead(name: str, dims: int, more: int) -> None:
    visits = MIN_FUSION_VISITS[name] + more
    fusion, known = fusion_of(name, dims, visits), torch.ones(3, visits, dtype=torch.bool)
    found = gradients(fusion, fusion(maps_of(dims, 3, visits), known, days_of(3, visits)))
    largest = max(float(g.abs().max()) for g in found.values())
    dead = [
        n for n, _ in fusion.named_parameters() if n not in found or found[n].abs().max() < 1e-5 * largest
    ]
    assert dead == []


@NAMES
@DIMS
def test_subjects_do_not_see_each_other(name: str, dims: int) -> None:
    fusion, known = fusion_of(name, dims, 3).train(), known_of("111", "101", "110")
    maps, day = maps_of(dims, 3, 3), days_of(3, 3)
    together = fusion(maps, known, day)
    alone = [fusion([m[i : i + 1] for m in maps], known[i : i + 1], day[i : i + 1]) for i in range(3)]
    torch.testing.assert_close(together, torch.cat(alone))


@NAMES
def test_which_image_came_first_and_how_long_ago_both_matter(name: str) -> None:
    fusion, known = fusion_of(name, 2), torch.ones(3, 2, dtype=torch.bool)
    maps, day = maps_of(2), days_of(3, 2) + torch.tensor([[0.0, 1.0]])
    with torch.inference_mode():
        answer = fusion(maps, known, day)
        swapped, slower = fusion([m.flip(1) for m in maps], known, day), fusion(maps, known, 3 * day)
    assert bool(((swapped - answer).norm(dim=1) > 1e-3 * answer.norm(dim=1)).all())
    assert bool(((slower - answer).norm(dim=1) > 1e-3 * answer.norm(dim=1)).all())


@NAMES
@DIMS
def test_bf16_answers_and_gradients_are_those_of_float32(name: str, dims: int) -> None:
    """Gradients to a half: rounding moves a maximum to another position now and then (up to a quarter of the norm was
    seen). What torch's faulty convolution gives at edges of 2 is larger by orders of magnitude, or NaN."""
    fusion, known = fusion_of(name, dims, 3), known_of("111", "110", "011")
    maps, day = maps_of(dims, 3, 3), days_of(3, 3)
    exact = fusion(maps, known, day)
    gradient = gradients(fusion, exact)
    with torch.autocast("cpu", torch.bfloat16):
        rounded = fusion([m.bfloat16() for m in maps], known, day)
    found = gradients(fusion, rounded)
    assert (rounded - exact).norm() < 0.03 * exact.norm()
    assert [n for n, g in gradient.items() if not (found[n] - g).norm() < 0.5 * g.norm()] == []
