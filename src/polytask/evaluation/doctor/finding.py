"""One thing that is wrong with a training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Finding:
    """What it is, whom it concerns, how it shows, what helps.

    Args:
        name: its member of `FINDINGS`.
        tasks: those concerned.
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
        """Plain form for `--json`."""
        return asdict(self)
