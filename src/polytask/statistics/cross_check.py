"""The result of a cross-check: a second test beside an effect."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from polytask.plain import make_plain

CROSS_CHECK_EXPLANATION = (
    "Wilcoxon’s signed rank test asks whether the differences lie symmetrically around 0, so it tests their median "
    "rather than their mean. Sign flips test the mean, but assume that the differences are symmetric when the arms are "
    "equally good, so a few subjects with large losses mislead them. DeLong tests the difference of two AUCs with the "
    "normal distribution. Swaps exchange the answers of the two arms for random subjects, and test whether that "
    "changes the difference."
)
"""Explains to the reader of cross-checks what each of them tests."""


@dataclass(frozen=True)
class CrossCheck:
    """The result of one cross-check.

    Args:
        name: of the test.
        estimate: what it tests against 0, in the metric's own unit.
        statistic, p: two-sided; p is 1 when nothing differs, NaN when the test is not defined.
        n: number of cases.
    """

    name: str
    estimate: float
    statistic: float
    p: float
    n: int

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON; what is not defined is null."""
        plain_values: dict[str, Any] = make_plain(asdict(self))
        return plain_values
