from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from polytask.inference.window_blending import blend_windows
from polytask.prepare.tiles import find_window_starts
from tests.model.worlds import network_of, tasks_of


@given(st.integers(1, 200), st.integers(1, 64), st.sampled_from([0.0, 0.25, 0.5, 0.75]))
def test_windows_cover_the_axis_with_the_overlap(size: int, patch: int, overlap: float) -> None:
    starts = find_window_starts(size, patch, overlap)
    assert starts[0] == 0
    if size > patch:
        assert starts[-1] == size - patch
        step = max(1, int(patch * (1 - overlap)))
        assert all(0 < b - a <= step for a, b in pairwise(starts))


@pytest.mark.parametrize("shape", [(20, 17, 9), (5, 30, 8), (40, 33)])
def test_a_pointwise_network_is_reproduced_exactly(shape: tuple[int, ...]) -> None:
    image = torch.randn(2, *shape)
    patch = (8,) * len(shape)
    out = blend_windows(lambda x: {"t": 3 * x + 1}, image, patch, 0.5, batch=3)["t"]
    torch.testing.assert_close(out, 3 * image + 1)


def test_windows_at_once_answer_as_windows_one_at_a_time() -> None:
    """The tolerance is that of the test above, torch's own for float32: 1.3e-6 relative, 1e-5 absolute."""
    network = network_of(tasks_of("voxel"), 3).eval()
    image = torch.randn(2, 20, 17, 12)

    def forward(windows: torch.Tensor) -> dict[str, torch.Tensor]:
        return {name: output[0] for name, output in network.voxel_outputs("scan", windows).items()}

    with torch.inference_mode():
        one, several = (blend_windows(forward, image, (12, 12, 12), 0.5, batch=n)["mask"] for n in (1, 4))
    assert one.std() > 0.01
    torch.testing.assert_close(several, one)


def test_centers_count_more_than_borders() -> None:
    """Each window answers with its own number: near a window's center its number prevails."""
    calls: list[int] = []

    def forward(x: torch.Tensor) -> dict[str, torch.Tensor]:
        calls.append(1)
        return {"t": torch.full_like(x, float(len(calls)))}

    out = blend_windows(forward, torch.zeros(1, 24), (16,), 0.5)["t"][0]
    assert len(calls) == 2
    assert abs(out[7] - 1) < 0.2
    assert abs(out[16] - 2) < 0.2
