"""The cross-correlation against a worked example and torch's grouped convolution; and that it carries signal."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from polytask.model.visit_fusion.correlation import (
    CORRELATED_CHANNELS,
    VisitCorrelation,
    correlate_shifts,
    standardize_channels,
)
from tests.model.visit_fusion.maps import CHANNELS, SIZES, known_of

MAPS = {
    "seed": st.integers(0, 10**6),
    "size": st.lists(st.integers(1, 6), min_size=2, max_size=3),
    "radius": st.integers(0, 2),
}


def pair_of(size: list[int], seed: int) -> tuple[Tensor, Tensor]:
    """Two maps `[2, 3, *size]` without mean and scale."""
    g = torch.Generator().manual_seed(seed)
    a, b = (torch.randn((2, 3, *size), generator=g) for _ in range(2))
    return standardize_channels(a), standardize_channels(b)


def test_worked_example() -> None:
    """a = 1 2 / 3 4, b = 5 6 / 7 8. At shift (0, 0): (5 + 12 + 21 + 32) / 4. At (0, 1), b read one to the right:
    a's left column meets b's right one, (1·6 + 3·8) / 4. At (1, 0): (1·7 + 2·8) / 4. At (-1, -1): 4·5 / 4."""
    a, b = torch.tensor([[1.0, 2], [3, 4]])[None, None], torch.tensor([[5.0, 6], [7, 8]])[None, None]
    expected = torch.tensor([[20.0, 15 + 24, 18], [10 + 28, 70, 6 + 24], [14, 7 + 16, 8]]) / 4
    torch.testing.assert_close(correlate_shifts(a, b, 1)[0, 0], expected)


@given(**MAPS)
@settings(max_examples=30, deadline=None)
def test_it_is_a_convolution_with_one_group_per_case_and_channel(
    seed: int, size: list[int], radius: int
) -> None:
    a, b = pair_of(size, seed)
    conv = {2: nn.functional.conv2d, 3: nn.functional.conv3d}[len(size)]
    whole = conv(b.flatten(0, 1)[None], a.flatten(0, 1)[:, None], padding=radius, groups=6)  # type: ignore[operator]
    expected = whole[0].unflatten(0, (2, 3)) / a[0, 0].numel()
    torch.testing.assert_close(correlate_shifts(a, b, radius), expected, atol=1e-6, rtol=1e-5)


@given(**MAPS)
@settings(max_examples=30, deadline=None)
def test_it_is_a_correlation_and_mirrors_when_the_visits_swap(
    seed: int, size: list[int], radius: int
) -> None:
    a, b = pair_of(size, seed)
    found, swapped = correlate_shifts(a, b, radius), correlate_shifts(b, a, radius)
    assert float(found.abs().max()) <= 1 + 1e-5
    torch.testing.assert_close(found, swapped.flip(*range(2, found.dim())), atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("size", [(8, 9), (6, 7, 8)])
def test_a_moved_map_peaks_at_its_shift(size: tuple[int, ...]) -> None:
    a = standardize_channels(torch.randn(1, 2, *size, generator=torch.Generator().manual_seed(0)))
    shift = (1, -1, 0)[: len(size)]
    moved = a.roll(shift, tuple(range(2, a.dim())))
    found = correlate_shifts(a, moved, 1)
    expected = tuple(1 + s for s in shift)
    assert [tuple(int(i) for i in (y == y.max()).nonzero()[0]) for y in found[0]] == [expected] * 2
    torch.testing.assert_close(
        correlate_shifts(a, a, 1)[(0, 0, *[1] * len(size))], torch.tensor(1.0), atol=1e-4, rtol=0
    )


def test_a_constant_map_has_no_correlation() -> None:
    assert bool((standardize_channels(torch.full((1, 2, 4, 4), 7.0)) == 0).all())


@pytest.mark.parametrize("dims", [2, 3])
@torch.inference_mode()
def test_it_tells_the_same_from_a_moved_from_another_image(dims: int) -> None:
    """As built: the same image correlates at 1, and the three kinds of pair lie apart, far beyond the spread within
    each kind. The released RP-Net's answer is one constant for all."""
    torch.manual_seed(0)
    fusion, count = VisitCorrelation(CHANNELS, 2, 16, dims), 24
    g = torch.Generator().manual_seed(1)
    first, other = (
        [torch.randn((count, c, *size), generator=g) for c, size in zip(CHANNELS, SIZES[dims], strict=True)]
        for _ in range(2)
    )
    moved = [m.roll(1, 2) for m in first]
    known, day = torch.ones(count, 2, dtype=torch.bool), torch.zeros(count, 2)
    answers = [
        fusion([torch.stack(m, 1) for m in zip(first, later, strict=True)], known, day)
        for later in (first, moved, other)
    ]
    centers = [answer.mean(0) for answer in answers]
    spread = max(float((a - c).norm(dim=1).mean()) for a, c in zip(answers, centers, strict=True))
    apart = [float((centers[i] - centers[j]).norm()) for i, j in ((0, 1), (0, 2), (1, 2))]
    assert min(apart) > spread


def test_the_same_image_twice_correlates_at_one_and_brightness_does_not_count() -> None:
    torch.manual_seed(0)
    fusion = VisitCorrelation((4,), 2, 8, 2)
    x = torch.randn(1, 4, 6, 6)
    a = standardize_channels(fusion.reduce[0](x))
    torch.testing.assert_close(
        correlate_shifts(a, a, 1)[0, :, 1, 1], torch.ones(CORRELATED_CHANNELS), atol=1e-3, rtol=0
    )
    once, scaled = (
        fusion([torch.stack([x, f * x + s], 1)], known_of("11"), torch.zeros(1, 2))
        for f, s in ((1.0, 0.0), (3.0, 2.0))
    )
    torch.testing.assert_close(once, scaled, atol=1e-3, rtol=0)
