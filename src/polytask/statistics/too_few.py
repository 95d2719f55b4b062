"""When a study is too small for a conclusion, judged by its size alone, whatever its effect and p."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from polytask.array_types import Floats

MIN_STUDY_SUBJECTS = 20
"""Least number of subjects over all folds."""
MIN_MOVED_SUBJECTS = 4.0
"""Least number of subjects who carry the differences: with fewer, neither their mean nor its error is known."""
MIN_RARE_PER_FOLD = {"events": 5}
"""Least number per fold, on average; for cases of the rarer class it is `MIN_OTHERS_PER_FOLD`."""
MIN_OTHERS_PER_FOLD = 4
UNSEEN_FAILURE_NOTE = (
    "No method detects a failure that the sample does not contain: if one patient in fifty does much worse, 30 of 100 "
    "studies of 60 patients contain no such patient, and if one training in ten collapses, 39 of 100 studies of 3 "
    "folds × 3 seeds contain no such training. The conclusions hold for patients and trainings like those in the study."
)


def find_study_shortage(
    rows: Sequence[Floats], weights: Sequence[float], rare: Sequence[Mapping[str, int]]
) -> str:
    """Explain why there is too little data for a conclusion; "" where there is enough.

    Args:
        rows: each fold's effects by training and subject `[seeds, subjects]`.
        weights: of the folds; they sum to 1.
        rare: of each fold, what its metric rests on (`metric_values.FoldValues`).
    """
    subjects = sum(row.shape[-1] for row in rows)
    if subjects < MIN_STUDY_SUBJECTS:
        return f"{subjects} subjects; a conclusion needs {MIN_STUDY_SUBJECTS}"
    for name in dict.fromkeys(name for fold in rare for name in fold):
        counts = [fold.get(name, 0) for fold in rare]
        least = MIN_RARE_PER_FOLD.get(name, MIN_OTHERS_PER_FOLD) * len(counts)
        if sum(counts) < least:
            each = f" in {len(counts)} folds" if len(counts) > 1 else ""
            return f"{sum(counts)} {name}{each}; a conclusion needs {least}"
    moved = count_moved_subjects([row.mean(0) for row in rows], weights)
    if moved < MIN_MOVED_SUBJECTS:
        return f"nearly all differences lie in {max(1, round(moved))} of {subjects} subjects; a conclusion needs more"
    return ""


def count_moved_subjects(means: Sequence[Floats], weights: Sequence[float]) -> float:
    """Count how many equal subjects would carry a variance as concentrated as this one: (Σ g²)² ÷ Σ g⁴ of deviations g.

    The result is a third of the subjects where differences are normal, and 2 where all lie in two subjects.

    Args:
        means: each fold's effects by subject, mean over seeds `[subjects]`.
    """
    off = np.concatenate([w * (m - m.mean()) / len(m) for w, m in zip(weights, means, strict=True)])
    fourth = float((off**4).sum())
    return float((off**2).sum() ** 2 / fourth) if fourth > 0 else float(len(off))
