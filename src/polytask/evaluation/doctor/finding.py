"""One problem that was found in a training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Finding:
    """One problem: what it is, which tasks it concerns, how it shows, and what helps.

    Args:
        name: its name in `FINDINGS`.
        tasks: the tasks that it concerns.
        says: the sentence, with the numbers of the log in it.
        evidence: the same numbers by name.
        remedy: a command or an option, and what it changes.
    """

    name: str
    tasks: tuple[str, ...]
    says: str
    evidence: Mapping[str, float]
    remedy: str

    def as_dict(self) -> dict[str, Any]:
        """Return the finding as plain dicts for `--json`."""
        return asdict(self)
