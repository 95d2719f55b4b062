"""The result of a cross-check: a second test beside an effect."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from polytask.plain import make_plain

CROSS_CHECK_EXPLANATION = (
    "Wilcoxon’s signed rank test asks whether differences lie symmetrically around 0, so about their median rather "
    "than their mean; sign flips ask about the mean, but take the differences to be symmetric where the arms are "
    "alike, so few who lose much mislead them; DeLong asks about the difference of AUCs with normal quantiles; swaps "
    "exchange the two arms’ answers subject by subject and ask whether it matters whose is whose."
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
