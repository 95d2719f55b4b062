"""Finds the columns whose association with an answer is stable: strong in most halves of the training subjects.

Stability selection (Meinshausen & Bühlmann, J R Stat Soc B 2010) with complementary pairs (Shah & Samworth, J R Stat
Soc B 2013). A column is found in a half when its |z| there is above a threshold, and kept when it is found in a fixed
share of the halves. The threshold follows from a bound on the expected number of unrelated columns that are kept.
"""

from __future__ import annotations

from math import sqrt
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from polytask.array_types import Floats
from polytask.plan.rules.association import compute_subset_z, rank_columns

HALF_SAMPLE_PAIRS = 50
"""The training subjects are divided into two halves this many times."""
MIN_FOUND_SHARE = 0.75
"""A stable column is found in at least this share of the halves."""
MAX_UNRELATED_COLUMNS = 1.0
"""Bound on the expected number of unrelated columns of a table that are kept, over all tasks."""
RESAMPLING_SEED = 0


def compute_half_threshold(columns: int, tasks: int, answers: int) -> float:
    """Compute the |z| above which a column is found in a half.

    Shah & Samworth, equation 8: if an unrelated column is found in a half with probability θ, and the distribution of
    the share of pairs that find it has one peak, then at most C θ² × columns unrelated columns are expected to be kept,
    where C = 1 / (2 (2 π − 1 − 1 / 2B)) for a share π ≤ 3/4 and B pairs.

    Args:
        columns: number of columns that are judged.
        tasks: number of tasks that judge them; they divide the bound among themselves.
        answers: number of answers of the task, e.g. classes: a column is found if one of them finds it.
    """
    factor = 1 / (2 * (2 * MIN_FOUND_SHARE - 1 - 1 / (2 * HALF_SAMPLE_PAIRS)))
    chance = min(1.0, sqrt(MAX_UNRELATED_COLUMNS / (tasks * factor * columns))) / answers
    return NormalDist().inv_cdf(1 - chance / 2)


def draw_half_samples(owners: npt.NDArray[np.intp]) -> npt.NDArray[np.bool_]:
    """Draw halves of the subjects: the subject of each row `[N]` → whether a row is in a half `[2 × pairs, N]`.

    A half has one row of each of its subjects, drawn at random: several visits of a subject resemble each other, and
    counted as independent they would make every association look strong.
    """
    random = np.random.default_rng(RESAMPLING_SEED)
    subjects = np.unique(owners)
    halves = np.zeros((2 * HALF_SAMPLE_PAIRS, owners.size), bool)
    for pair in range(HALF_SAMPLE_PAIRS):
        # The first row of each subject in a random order of all rows.
        order = random.permutation(owners.size)
        row = order[np.unique(owners[order], return_index=True)[1]]
        mixed = random.permutation(subjects.size)
        half = subjects.size // 2
        halves[2 * pair, row[mixed[:half]]] = True
        halves[2 * pair + 1, row[mixed[half : 2 * half]]] = True
    return halves


def compute_found_share(
    values: Floats, answers: list[Floats], owners: npt.NDArray[np.intp], threshold: float
) -> Floats:
    """Compute in which share of the halves each column of `values [N, P]` is found by one of the answers `[N]`."""
    halves, ranked = draw_half_samples(owners), rank_columns(values)
    is_associated = np.zeros((len(halves), values.shape[1]), bool)
    for answer in answers:
        is_associated |= compute_subset_z(ranked, answer, halves) > threshold
    return np.asarray(is_associated.mean(0), np.float64)
