"""Degrees of freedom of a variance that is a sum of estimates."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from polytask.statistics.draws import Floats

Array = float | Floats


def satterthwaite(parts: Sequence[Array], freedoms: Sequence[Array]) -> Floats:
    """(Σ v_k)² / Σ (v_k² / ν_k), Satterthwaite 1946; of two sample means it is Welch's. Elementwise; NaN for sum 0."""
    pairs = [(np.asarray(v, np.float64), np.asarray(f)) for v, f in zip(parts, freedoms, strict=True)]
    total = np.asarray(sum(v for v, _ in pairs))
    spread = np.asarray(sum(v**2 / f for v, f in pairs))
    return np.where(spread > 0, total**2 / np.where(spread > 0, spread, 1.0), np.nan)


def held_back(share: Array, freedom: float, alpha: Array = 0.05) -> Floats:
    """Degrees of freedom for a part of a variance, estimated with few of them, beside a part that is nearly known.

    Satterthwaite's formula believes the share r it sees: with the other part known, df = ν/r². With ν = S − 1 = 2 a
    seed variance that came out small by chance makes the standard error too small and, in the same breath, the degrees
    of freedom too many: two-sided tests at 5 % then err in up to 7.8 % (ν = 2) or 12.8 % (ν = 1) of studies, most
    where seeds carry about nine tenths of the variance, and at the small levels of many comparisons in several times
    as many as they say. Here the part is given

        ν (b + (1 − b) r²)    in place of ν,    b = max(0.05, (ν − 1)/(ν + 1)) · min(1, α/0.05)^(1.4/ν),

    so that with the other part known df = ν + b (ν/r² − ν): what Satterthwaite gains over ν is held back, the more the
    smaller the level α at which the test is made. The ends stay exact (r = 1: ν, r → 0: the normal distribution). The
    factor was fitted by integration over all true shares (tests/statistics/test_freedom.py): at 5 % the error is
    4.3 to 5.7 % for ν ≥ 2, and 3.2 to 6.2 % for ν = 1; at 0.5 % it is 0.27 to 0.8 % for ν = 2, and at most 0.6 % for
    ν ≥ 3.
    """
    r = np.asarray(share, np.float64)
    b = max(0.05, (freedom - 1) / (freedom + 1)) * np.minimum(1.0, np.asarray(alpha) / 0.05) ** (
        1.4 / freedom
    )
    return np.asarray(freedom * (b + (1 - b) * r**2), np.float64)
