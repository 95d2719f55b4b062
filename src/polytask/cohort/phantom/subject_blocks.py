"""Draw the truth of twelve subjects at a time and which cells are hidden, so that every class gets its share.

A block is drawn again until it is balanced; then even the first block alone can be split into folds. A block depends
only on the seed, not on the number of blocks after it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

SUBJECTS_PER_BLOCK = 12
GRADE_RADIUS_BANDS = ((0.075, 0.092), (0.104, 0.124), (0.138, 0.158))
"""(smallest, largest) lesion radius of each grade at the first visit, as shares of the field of view."""
GRADE_RADIUS_LIMITS = (0.098, 0.131)
"""Radii between two grades; they lie in the gaps of `GRADE_RADIUS_BANDS`, so that no lesion is a borderline case."""
RESPONSE_RATIO = 0.8
"""A lesion whose last diameter is below this share of the first one has responded to treatment."""
FINDING_NAMES = ("effusion", "stone", "nodal")
HIDDEN_VISIT_CELLS = (
    *("lesion", "organs", "dose", "grade", "pattern", "diameter", "marker"),
    *(f"findings.{name}" for name in FINDING_NAMES),
)
"""Cells that are unknown for two or three of twelve subjects, drawn anew at each visit."""
HIDDEN_SUBJECT_CELLS = ("os", "response")
RARELY_HIDDEN = {
    "age": 1,
    "sex": 1,
    "scan.mr": 1,
    "nodes": 2,
    "ignored": 1,
    "bladder": 2,
    "organs_region": 2,
    "dose_region": 1,
}
"""Cells that are unknown, and oddities of the files, each with its number of subjects out of twelve."""

BlockValues = npt.NDArray[Any]


def draw_block_truth(rng: np.random.Generator, sites: int) -> dict[str, BlockValues]:
    """Draw the truth of a block: name of a property → its values for the twelve subjects."""
    cell = rng.permutation(np.arange(SUBJECTS_PER_BLOCK))  # grade × response: two of each
    grade, responds = cell % 3, cell // 3 % 2 == 1
    radius = rng.uniform(*np.array(GRADE_RADIUS_BANDS)[grade].T)
    nodes, hollow = _deal_values(rng, [3, 3, 3, 3]), _deal_values(rng, [6, 6]) == 1
    hazard = 0.6 * (radius - 0.117) / 0.03 + 0.35 * (nodes - 1.5)
    time = 30 + 700 * np.exp(-hazard) * rng.exponential(size=SUBJECTS_PER_BLOCK) ** 0.25
    censoring = rng.uniform(500, 2600, SUBJECTS_PER_BLOCK)
    share = np.full(sites, SUBJECTS_PER_BLOCK // sites) + (np.arange(sites) < SUBJECTS_PER_BLOCK % sites)
    if sites > 1:  # the isotropic site has the majority: its spacing is the median
        share[0], share[-1] = share[0] + 1, share[-1] - 1
    return {
        "grade": grade,
        "responds": responds,
        "radius": radius,
        "ratio": np.where(
            responds, rng.uniform(0.62, 0.72, SUBJECTS_PER_BLOCK), rng.uniform(0.95, 1.07, SUBJECTS_PER_BLOCK)
        ),
        "hollow": hollow,
        "nodes": nodes,
        "effusion": _deal_values(rng, [6, 6]) == 1,
        "stone": _deal_values(rng, [6, 6]) == 1,
        "absent": np.array(["", "kidney_l", "kidney_r"])[_deal_values(rng, [10, 1, 1])],
        "sex": np.array(["female", "male"])[_deal_values(rng, [6, 6])],
        "age": np.clip(rng.normal(62 + 4 * hazard, 8), 20, 95).round(),
        "luck": rng.normal(size=SUBJECTS_PER_BLOCK),
        "hazard": hazard,
        "time": np.minimum(time, censoring).round(),
        "event": time <= censoring,
        "site": _deal_values(rng, share.tolist()),
        "test": _deal_values(rng, [10, 2]) == 1,
        "skipped": _deal_values(rng, [10, 2]) == 1,
    }


def draw_hidden_cells(rng: np.random.Generator) -> dict[str, BlockValues]:
    """Draw what is hidden at one visit: cell or oddity → bool for each of the twelve subjects.

    `skips` means that the visit did not take place.
    """
    hidden: dict[str, BlockValues] = {}
    for name in (*HIDDEN_VISIT_CELLS, *HIDDEN_SUBJECT_CELLS):
        few = int(rng.integers(2, 4))
        hidden[name] = _deal_values(rng, [SUBJECTS_PER_BLOCK - few, few]) == 1
    for name, few in {**RARELY_HIDDEN, "skips": 1}.items():
        hidden[name] = _deal_values(rng, [SUBJECTS_PER_BLOCK - few, few]) == 1
    return hidden


def is_balanced_block(true: dict[str, BlockValues], unseen: dict[str, BlockValues], sites: int) -> bool:
    """Whether the known cells of the training subjects have enough of every class, at two sites also per site.

    Args:
        true: truth of the block. unseen: hidden cells at the first visit; empty = everything is known.
        sites: number of sites that share the subjects.
    """
    learned = ~true["test"].astype(bool)
    labels = {
        "grade": true["grade"],
        "pattern": true["hollow"],
        "os": true["event"],
        "response": true["responds"],
    }
    labels |= {f"findings.{n}": true[n] for n in ("effusion", "stone")} | {
        "findings.nodal": true["nodes"] >= 2
    }
    for name, values in labels.items():
        known = learned & ~unseen.get(name, np.zeros(SUBJECTS_PER_BLOCK, bool)).astype(bool)
        if name == "response":
            known &= ~true["skipped"].astype(bool)
        least = {"grade": 2, "os": 2}.get(name, 3)
        counts = [int((known & (values == value)).sum()) for value in range(3 if name == "grade" else 2)]
        if min(counts) < least or (name == "os" and counts[1] < 4):
            return False
        for site in range(sites if sites == 2 else 0):
            if any(not (known & (true["site"] == site) & (values == v)).any() for v in range(len(counts))):
                return False
    return sites == 1 or len(set(true["site"][true["test"].astype(bool)].tolist())) == 2


def _deal_values(rng: np.random.Generator, counts: list[int]) -> npt.NDArray[np.intp]:
    """Return an array with value k `counts[k]` times, in random order."""
    return rng.permutation(np.repeat(np.arange(len(counts)), counts))
