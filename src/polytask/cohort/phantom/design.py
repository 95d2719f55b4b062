"""Who is in the phantom: what is true of each subject, and what of it the table will not tell.

Subject i depends on the seed and on i, not on how many subjects there are.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from polytask.cohort.phantom.blocks import BLOCK, Row, fair, hidden, truth


@dataclass(frozen=True)
class Subject:
    """One subject. `unknown[visit]` names cells left empty and oddities of the files at that visit."""

    index: int
    site: int
    test: bool
    radius: float
    ratio: float
    hollow: bool
    nodes: int
    effusion: bool
    stone: bool
    absent: str
    sex: str
    age: float
    luck: float
    hazard: float
    time: float
    event: bool
    skipped: frozenset[int]
    unknown: tuple[frozenset[str], ...]

    @property
    def id(self) -> str:
        """Id in the table."""
        return f"{self.index + 1:04d}"

    def radius_at(self, visit: int, visits: int) -> float:
        """Lesion radius at a visit: shrinks or grows by the same factor from each visit to the next."""
        return float(self.radius * self.ratio ** (visit / max(1, visits - 1)))


def draw(count: int, seed: int, visits: int, sites: int) -> list[Subject]:
    """The first `count` subjects of a seed."""
    blocks = -(-count // BLOCK)
    return [s for block in range(blocks) for s in _block(seed, block, visits, sites)][:count]


def _block(seed: int, block: int, visits: int, sites: int) -> list[Subject]:
    true, first = _fair_draw(np.random.default_rng([seed, 0, block]), sites)
    later = [hidden(np.random.default_rng([seed, 1, block, visit])) for visit in range(1, visits)]
    return [_subject(block, i, true, [first, *later]) for i in range(BLOCK)]


def _fair_draw(rng: np.random.Generator, sites: int) -> tuple[dict[str, Row], dict[str, Row]]:
    """Truth that is fair when all of it is known, then what is hidden of it (a few tries before another truth)."""
    while True:
        true = truth(rng, sites)
        if fair(true, {}, sites):
            for _ in range(20):
                unseen = hidden(rng)
                if fair(true, unseen, sites):
                    return true, unseen


def _subject(block: int, i: int, true: dict[str, Row], unseen: list[dict[str, Row]]) -> Subject:
    last = len(unseen) - 1
    skipped = {v for v in range(1, last) if unseen[v]["skips"][i]}
    if last and true["skipped"][i]:
        skipped.add(last)
    unknown = [{name for name, row in at.items() if row[i]} for at in unseen]
    if last in skipped:
        unknown[0].add("response")
    own = {k: v[i].item() for k, v in true.items() if k not in ("grade", "responds", "skipped")}
    return Subject(
        index=block * BLOCK + i,
        skipped=frozenset(skipped),
        unknown=tuple(frozenset(names) for names in unknown),
        **own,
    )
