"""How many windows run at once, counted by hand."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from polytask.inference import window_batch
from polytask.inference.window_batch import MAX_WINDOW_BATCH, choose_window_batch
from polytask.model.building_blocks import EncoderSpec

CPU = torch.device("cpu")
ONE_STAGE = EncoderSpec(2, 1, (4,), (1,), ((1, 1),))
"""2 · (1·4·(9 + 1) + 4·4·9) = 368 FLOP and 4 · (1 + 4·4 + 4 + 4·4) = 148 bytes a pixel."""


@pytest.mark.parametrize(
    ("pixels", "memory", "windows"),
    [
        (1000, 1 << 40, MAX_WINDOW_BATCH["cpu"]),
        (6_700_000, 1 << 40, 4),  # 2.47 GFLOP a window: two are 4.93
        (6_800_000, 1 << 40, 2),  # two are 5.005 GFLOP
        (13_500_000, 1 << 40, 2),  # 4.97 GFLOP a window
        (13_600_000, 1 << 40, 1),  # 5.005 GFLOP
        (1000, 8 * 148 * 1000 * 4, 4),  # an eighth of the memory holds four windows, or only three
        (1000, 8 * 148 * 1000 * 3, 2),
        (1000, 1, 1),  # one window always runs
    ],
)
def test_windows_by_hand(pixels: int, memory: int, windows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(window_batch, "measure_host_memory", lambda: memory)
    assert choose_window_batch(ONE_STAGE, (pixels, 1), 1, CPU) == windows


@given(st.integers(4, 64), st.sampled_from([4, 16, 64]), st.integers(1, 3))
def test_a_heavier_window_never_runs_in_a_larger_batch(edge: int, width: int, decoders: int) -> None:
    def choose(edge: int, width: int, decoders: int) -> int:
        spec = EncoderSpec(3, 1, (width, 2 * width), (1, 1), ((1, 1, 1), (2, 2, 2)))
        return choose_window_batch(spec, (edge, edge, edge), decoders, CPU)

    here = choose(edge, width, decoders)
    assert here in (1, 2, 4)
    for other in (
        choose(2 * edge, width, decoders),
        choose(edge, 2 * width, decoders),
        choose(edge, width, 5),
    ):
        assert other <= here


@pytest.mark.parametrize(("width", "windows"), [(32, 2), (16, 4), (64, 1)])
def test_small_maps_of_a_strided_network_run_together(width: int, windows: int) -> None:
    """7.2, 1.8 and 28.5 GFLOP a window of 64³: a batch is full at 12 GFLOP, and without a stride at 5."""
    spec = EncoderSpec(3, 1, (width, 2 * width), (1, 1), ((2, 2, 2), (2, 2, 2)))
    assert choose_window_batch(spec, (64,) * 3, 1, CPU) == windows
