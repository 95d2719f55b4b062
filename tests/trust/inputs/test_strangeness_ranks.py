"""The p-value of several measures together: exact for ordinary subjects, whatever is missing of them."""

from __future__ import annotations

import numpy as np
import pytest

from polytask.array_types import Floats
from polytask.trust.conformal import compute_rank_p_values
from polytask.trust.inputs.strangeness_ranks import compute_strangeness_p, rank_together

NAN = float("nan")


def draw_subjects(random: np.random.Generator, count: int) -> Floats:
    """Three measures that hang together, of which one is missing in a third of the subjects."""
    shared = random.standard_t(3, (count, 1))
    measures = np.asarray(shared + random.normal(size=(count, 3)))
    measures[random.uniform(size=count) < 1 / 3, 2] = NAN
    return measures


def test_ordinary_subjects_are_flagged_as_often_as_stated() -> None:
    random = np.random.default_rng(0)
    draws, count = 1500, 19
    subjects = [draw_subjects(random, count + 1) for _ in range(draws)]
    p = np.array([compute_strangeness_p([own[0]], [own[1:]]) for own in subjects])
    for level in (0.05, 0.2, 0.5):
        allowed = 3 * np.sqrt(level * (1 - level) / draws)
        # Ties make it rarer, never more frequent; they are few, or the joint rank would be worth nothing.
        assert level - 0.02 - allowed < (p <= level + 1e-9).mean() <= level + allowed


def test_one_measure_is_the_conformal_rank() -> None:
    random = np.random.default_rng(1)
    known, new = random.normal(size=(30, 1)), random.normal(size=(20, 1))
    own = [compute_strangeness_p([row], [known]) for row in new]
    assert own == compute_rank_p_values([new[:, 0]], [known[:, 0]]).tolist()


def test_members_add_their_ranks_and_unknown_ones_say_nothing() -> None:
    known = np.arange(9.0)[:, None]
    assert compute_strangeness_p([np.array([8.5])], [known]) == pytest.approx(1 / 10)
    assert compute_strangeness_p([np.array([8.5]), np.array([4.0])], [known, known]) == pytest.approx(6 / 19)
    assert compute_strangeness_p([np.array([8.5]), np.array([NAN])], [known, known]) == pytest.approx(1 / 10)
    assert np.isnan(compute_strangeness_p([np.array([NAN])], [known]))
    unknown = np.concatenate([known, np.full((5, 1), NAN)])
    assert compute_strangeness_p([np.array([8.5])], [unknown]) == pytest.approx(1 / 10)


def test_ranks_are_shares_of_those_known() -> None:
    shares = rank_together(np.array([[3.0, NAN], [1.0, 5.0], [3.0, 7.0]]))
    assert shares == pytest.approx(np.array([[2 / 3, NAN], [1.0, 1.0], [2 / 3, 0.5]]), nan_ok=True)


def test_what_is_strange_in_one_measure_only_is_strange_together() -> None:
    random = np.random.default_rng(2)
    known = random.normal(size=(60, 5))
    new = np.zeros(5)
    assert compute_strangeness_p([new], [known]) > 0.3
    new[3] = 9.0
    assert compute_strangeness_p([new], [known]) <= 5 / 61


def test_two_extreme_ranks_are_stranger_than_one_whatever_the_third_says() -> None:
    """One known subject has the largest third measure and nearly the largest others."""
    known = np.stack([np.arange(20.0), np.arange(20.0), np.arange(20.0)], 1)
    assert compute_strangeness_p([np.array([99.0, 99.0, -99.0])], [known]) == pytest.approx(1 / 21)
    assert compute_strangeness_p([np.array([99.0, -99.0, -99.0])], [known]) == pytest.approx(2 / 21)
