"""How often resamples hold each subject."""

from __future__ import annotations

import numpy as np

from polytask.statistics.resample_counts import BOOTSTRAP_RESAMPLES, COUNTS_PER_BLOCK, draw_counts


def test_every_resample_holds_as_many_as_there_are() -> None:
    (counts,) = draw_counts(7)
    assert counts.shape == (BOOTSTRAP_RESAMPLES, 7) == (9998, 7)
    assert (counts.sum(1) == 7).all()
    assert np.allclose(counts.mean(0), 1, atol=0.05)


def test_draws_are_those_of_the_generator() -> None:
    drawn = np.random.default_rng((3, 1)).integers(0, 4, size=(5, 4), dtype=np.int64)
    (counts,) = draw_counts(4, 5, (3, 1))
    assert counts.tolist() == [np.bincount(row, minlength=4).tolist() for row in drawn]


def test_blocks_are_no_larger_than_two_million_numbers() -> None:
    assert COUNTS_PER_BLOCK == 2_097_152
    sizes = [block.shape[0] for block in draw_counts(COUNTS_PER_BLOCK // 2, 5)]
    assert sizes == [2, 2, 1]
    assert [b.shape for b in draw_counts(COUNTS_PER_BLOCK + 1, 2)] == [(1, COUNTS_PER_BLOCK + 1)] * 2
