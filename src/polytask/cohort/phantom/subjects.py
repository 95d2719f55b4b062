"""The subjects of the phantom: the truth about each one, and which of it is left out of the table.

Subject i depends only on the seed and on i, not on the number of subjects, so that a larger phantom extends a
smaller one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from polytask.cohort.phantom.subject_blocks import (
    SUBJECTS_PER_BLOCK,
    BlockValues,
    draw_block_truth,
    draw_hidden_cells,
    is_balanced_block,
)


@dataclass(frozen=True)
class PhantomSubject:
    """One subject with all that is drawn at random for it.

    Args:
        radius: lesion radius at the first visit, as a share of the field of view.
        ratio: lesion radius at the last visit / at the first.
        luck: random part of the blood marker. hazard: risk of death on a log scale; larger = earlier death.
        absent: kidney that the subject lacks, or "".
        skipped: numbers of the visits that did not take place.
        unknown: per visit, names of cells that are left empty and of oddities of the files.
    """

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
        """Name of the subject in the table, with four digits."""
        return f"{self.index + 1:04d}"

    def radius_at(self, visit: int, visits: int) -> float:
        """Return the lesion radius at a visit; from each visit to the next it changes by the same factor."""
        return float(self.radius * self.ratio ** (visit / max(1, visits - 1)))


def draw_subjects(count: int, seed: int, visits: int, sites: int) -> list[PhantomSubject]:
    """Draw the first `count` subjects of a seed."""
    # Blocks are always drawn whole and the list is cut, so that the first subjects do not depend on `count`.
    blocks = -(-count // SUBJECTS_PER_BLOCK)
    return [s for block in range(blocks) for s in _draw_block(seed, block, visits, sites)][:count]


def _draw_block(seed: int, block: int, visits: int, sites: int) -> list[PhantomSubject]:
    """Draw the twelve subjects of one block."""
    # The second number of each seed list is a stream of its own (0 truth, 1 hidden cells, … 9 biopsy), so that a
    # change in one part of the phantom leaves the random numbers of all other parts as they are.
    true, first = _draw_balanced_block(np.random.default_rng([seed, 0, block]), sites)
    later = [draw_hidden_cells(np.random.default_rng([seed, 1, block, visit])) for visit in range(1, visits)]
    return [_make_subject(block, i, true, [first, *later]) for i in range(SUBJECTS_PER_BLOCK)]


def _draw_balanced_block(
    rng: np.random.Generator, sites: int
) -> tuple[dict[str, BlockValues], dict[str, BlockValues]]:
    """Draw the truth of a block and its hidden cells until both are balanced.

    A truth must be balanced when all of it is known. Then up to 20 sets of hidden cells are tried with it before
    another truth is drawn.
    """
    while True:
        true = draw_block_truth(rng, sites)
        if is_balanced_block(true, {}, sites):
            for _ in range(20):
                unseen = draw_hidden_cells(rng)
                if is_balanced_block(true, unseen, sites):
                    return true, unseen


def _make_subject(
    block: int, i: int, true: dict[str, BlockValues], unseen: list[dict[str, BlockValues]]
) -> PhantomSubject:
    """Make subject `i` of a block from the truth of the block and its hidden cells per visit."""
    last = len(unseen) - 1
    skipped = {v for v in range(1, last) if unseen[v]["skips"][i]}
    if last and true["skipped"][i]:
        skipped.add(last)
    unknown = [{name for name, row in at.items() if row[i]} for at in unseen]
    # Response is the change from the first visit to the last: without the last one nobody can know it.
    if last in skipped:
        unknown[0].add("response")
    own = {k: v[i].item() for k, v in true.items() if k not in ("grade", "responds", "skipped")}
    return PhantomSubject(
        index=block * SUBJECTS_PER_BLOCK + i,
        skipped=frozenset(skipped),
        unknown=tuple(frozenset(names) for names in unknown),
        **own,
    )
