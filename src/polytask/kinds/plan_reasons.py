"""Collects the reasons of a plan's values, hands rules the values set by hand, and formats numbers in reasons."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol, TypeVar

PlannedValue = TypeVar("PlannedValue")


class SetValues(Protocol):
    """Values of one part of a plan that were set by hand (`plan/fixed_values.py`)."""

    reasons: dict[str, str]
    """Path → reason of every value that a rule has already asked for."""
    warnings: list[str]
    """What the user should know about the plan that these values lead to."""

    def has_value(self, path: str) -> bool:
        """Whether the value at a path, or a single entry of it, was set by hand."""

    def quote_settings(self, path: str) -> str:
        """Quote what the user wrote for a path."""

    def replace_value(self, path: str, planned: PlannedValue) -> PlannedValue:
        """Return the value set by hand for a path, else the planned one."""


class PlanReasons:
    """The reasons of a plan: dotted path → reason with its statistic. `at` gives access to one branch of them.

    A rule that decides a value asks `choose_value` for it: if the value was set by hand, the rule gets that one, and
    everything it decides afterwards follows from it. The reason is then "set by hand", and the rule's own is ignored.
    """

    def __init__(
        self, reasons: dict[str, str] | None = None, prefix: str = "", fixed: SetValues | None = None
    ):
        self.reasons = {} if reasons is None else reasons
        self.prefix = prefix
        self.fixed = fixed

    def at(self, path: str) -> PlanReasons:
        """Return a view of the reasons below `path`; writing to it writes to the same dict."""
        return PlanReasons(self.reasons, f"{self.prefix}{path}.", self.fixed)

    def __setitem__(self, path: str, reason: str) -> None:
        """Set the reason of a value below this branch; the path "." stands for the branch itself."""
        full = self._full(path)
        if self.fixed is None or full not in self.fixed.reasons:
            self.reasons[full] = reason

    def extend(self, path: str, more: str) -> None:
        """Append text to a reason that was set before."""
        self.reasons[self._full(path)] += more

    def add_fact(self, path: str, fact: str) -> None:
        """Append what a value set by hand leads to; the reason of a planned value says it already."""
        full = self._full(path)
        if self.fixed is not None and full in self.fixed.reasons:
            self.reasons[full] = self.fixed.reasons[full] = f"{self.fixed.reasons[full]}: {fact}"

    def warn_of_settings(self, problem: str) -> None:
        """Note a problem of the plan that comes from values set by hand; a plan without any has none."""
        if self.fixed is not None:
            self.fixed.warnings.append(problem)

    def is_fixed(self, path: str) -> bool:
        """Whether a value below this branch was set by hand."""
        return self.fixed is not None and self.fixed.has_value(self._full(path))

    def quote_settings(self, *paths: str) -> str:
        """Quote what the user wrote for some paths below this branch."""
        fixed = self.fixed
        return " ".join(fixed.quote_settings(self._full(path)) for path in paths) if fixed else ""

    def choose_value(self, path: str, planned: PlannedValue) -> PlannedValue:
        """Return the value that was set by hand for a path below this branch, else the planned one."""
        if self.fixed is None:
            return planned
        value = self.fixed.replace_value(self._full(path), planned)
        self.reasons.update(self.fixed.reasons)
        return value

    def lock_reason(self, path: str, reason: str) -> None:
        """Set the reason of a value that follows from one set by hand, so that no rule replaces it."""
        if self.fixed is not None and not self.is_fixed(path):
            self.reasons[self._full(path)] = self.fixed.reasons[self._full(path)] = reason

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
