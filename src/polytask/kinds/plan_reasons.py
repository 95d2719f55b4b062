"""Collects the reasons of a plan's values, and formats the numbers in them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


class PlanReasons:
    """The reasons of a plan: dotted path → reason with its statistic. `at` gives access to one branch of them."""

    def __init__(self, reasons: dict[str, str] | None = None, prefix: str = ""):
        self.reasons = {} if reasons is None else reasons
        self.prefix = prefix

    def at(self, path: str) -> PlanReasons:
        """Return a view of the reasons below `path`; writing to it writes to the same dict."""
        return PlanReasons(self.reasons, f"{self.prefix}{path}.")

    def __setitem__(self, path: str, reason: str) -> None:
        """Set the reason of a value below this branch; the path "." stands for the branch itself."""
        self.reasons[self._full(path)] = reason

    def extend(self, path: str, more: str) -> None:
        """Append text to a reason that was set before."""
        self.reasons[self._full(path)] += more

    def _full(self, path: str) -> str:
        return self.prefix.rstrip(".") if path == "." else f"{self.prefix}{path}"


def format_sizes(sizes: Iterable[float | int], unit: str = "") -> str:
    """Format sizes with their unit: (64, 64, 48) → 64×64×48."""
    return "×".join(f"{s:g}" for s in sizes) + (f" {unit}" if unit else "")


def format_share_percent(share: float) -> str:
    """Format a share as a percentage: 0.123 → 12 %; shares below 10 % keep two significant digits."""
    value = 100 * share
    return f"{value:.0f} %" if value >= 10 or value == 0 else f"{value:.2g} %"


def join_first_names(names: Sequence[str], most: int = 4) -> str:
    """Join the first names, and say how many more there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


CONSTANT_LOSS_REASON = (
    "loss of an answer that is the same for every case: the loss is divided by it and so starts near 1"
)
"""The reason of `constant` for kinds whose constant answer is a mean or the class frequencies."""


def round_number(value: float, digits: int = 6) -> float:
    """Round to this number of significant digits, so that files stay readable."""
    return float(f"{value:.{digits}g}")


def join_numbers(values: Sequence[float]) -> str:
    """Join numbers as text, e.g. "1, 2.5, 1000"."""
    return ", ".join(f"{v:g}" for v in values)
