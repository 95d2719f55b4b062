"""Reasons of a plan's values, and how numbers are written in them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


class Why:
    """Dotted path → reason with its statistic; `at` gives a view on a branch of the same reasons."""

    def __init__(self, reasons: dict[str, str] | None = None, prefix: str = ""):
        self.reasons = {} if reasons is None else reasons
        self.prefix = prefix

    def at(self, path: str) -> Why:
        """The reasons below `path`."""
        return Why(self.reasons, f"{self.prefix}{path}.")

    def __setitem__(self, path: str, reason: str) -> None:
        """Give the reason of a value below this branch; "." is the branch itself."""
        self.reasons[self._full(path)] = reason

    def extend(self, path: str, more: str) -> None:
        """Add to a reason that was given."""
        self.reasons[self._full(path)] += more

    def _full(self, path: str) -> str:
        return self.prefix.rstrip(".") if path == "." else f"{self.prefix}{path}"


def times(sizes: Iterable[float | int], unit: str = "") -> str:
    """(64, 64, 48) → 64×64×48."""
    return "×".join(f"{s:g}" for s in sizes) + (f" {unit}" if unit else "")


def percent(share: float) -> str:
    """0.123 → 12 %; small shares keep two digits."""
    value = 100 * share
    return f"{value:.0f} %" if value >= 10 or value == 0 else f"{value:.2g} %"


def few(names: Sequence[str], most: int = 4) -> str:
    """The first names, and how many more."""
    rest = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + rest


STARTS = "loss of answering these alone: the loss starts about 1"
"""Reason of `constant` where frequencies or a mean are answered."""


def round_number(value: float, digits: int = 6) -> float:
    """Rounded to so many significant digits: files stay readable."""
    return float(f"{value:.{digits}g}")


def join_numbers(values: Sequence[float]) -> str:
    """1, 2.5, 1000 as text."""
    return ", ".join(f"{v:g}" for v in values)
