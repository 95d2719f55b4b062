"""Promises about one structure: where they hold, where they are empty, and that figures of the check come from it."""

from __future__ import annotations

import numpy as np
import pytest

from polytask.errors import PolytaskError
from polytask.evaluation.structure_curves import THRESHOLDS
from polytask.trust.voxels.structure_cases import gather_structure_cases
from polytask.trust.voxels.structure_trust import (
    DRAWN,
    EMPTY,
    check_structure,
    choose_steps,
    fit_structure,
    make_volume_interval,
    rank_absence,
    score_volumes,
)
from tests.trust.voxels.worlds import draw_cases, make_curve


def test_promises_hold_in_new_cases() -> None:
    random = np.random.default_rng(0)
    inside, patients, sizes, alarms, seen = [], [], [], [], []
    for _ in range(30):
        fitted = fit_structure(gather_structure_cases([draw_cases(random, 30, 20)], "tumor"), 0.2)
        other = gather_structure_cases([draw_cases(random, 30, 20)], "tumor")
        mean, patient = choose_steps([fitted], 0.2)
        missed = other.missed[:30]
        inside.append(0.0 if mean is None else missed[:, mean].mean())
        patients.append(0.0 if patient is None else (missed[:, patient] > 0.2 + 1e-9).mean())
        low, high = make_volume_interval([fitted], [other.drawn], 0.2)
        sizes.append(1 - ((low <= other.true + 1e-9) & (other.true <= high + 1e-9)).mean())
        p = rank_absence([fitted], [other.presence])
        alarms.append((p[30:] <= 0.2).mean())
        seen.append((p[:30] <= 0.2).mean())
    for shares in (inside, patients, sizes, alarms):
        assert np.mean(shares) <= 0.2 + 3 * np.std(shares) / np.sqrt(30)
    assert np.mean(alarms) > 0.1
    assert np.mean(seen) > 0.9


def test_the_check_sees_what_was_promised() -> None:
    cases = gather_structure_cases([draw_cases(np.random.default_rng(2), 80, 40)], "tumor")
    check = check_structure(cases, 0.1, 0)
    assert check is not None
    assert (check.present, check.absent, check.subjects) == (80, 40, 120)
    assert check.inside[0].mean == pytest.approx(np.mean(1 - cases.missed[:80, 0]), abs=0.02)
    assert check.inside[1].mean > 0.87
    assert check.patients[0].mean < 0.6
    assert check.patients[2].mean > 0.85
    assert 0 < check.added[0].mean < check.added[1].mean
    scores = fit_structure(cases, 0.1).volumes[DRAWN]
    assert np.log(check.factor.mean) == pytest.approx(np.sort(scores)[int(0.9 * len(scores))], rel=0.3)
    assert check.false_alarms.mean < 0.13
    assert check.seen.mean > 0.9
    assert check_structure(cases.take(np.arange(3)), 0.1, 0) is None


def test_visits_of_a_subject_stay_in_one_half() -> None:
    """Two subjects, many visits: of a subject either all or none fit, so a split never holds both."""
    random = np.random.default_rng(0)
    first = draw_cases(random, 4, 0)
    twice = {(who, visit): own for (who, _), own in first.items() for visit in ("a", "b")}
    cases = gather_structure_cases([twice], "tumor")
    assert cases.subjects.tolist() == ["s0", "s0", "s1", "s1", "s2", "s2", "s3", "s3"]
    check = check_structure(cases, 0.5, 0)
    assert check is not None
    assert check.subjects == 4


def test_without_any_case_nothing_is_promised() -> None:
    nobody = gather_structure_cases([{}], "tumor")
    fitted = fit_structure(nobody, 0.1)
    assert choose_steps([fitted], 0.1) == (None, None)
    low, high = make_volume_interval([fitted], [np.array([5.0])], 0.1)
    assert (low[0], high[0]) == (0.0, np.inf)
    assert rank_absence([fitted], [np.array([0.5])]).tolist() == [1.0]


def test_sizes_are_wrong_by_a_factor_and_empty_masks_stand_alone() -> None:
    assert score_volumes(np.array([19.0, 0.0, 9.0]), np.array([9.0, 0.0, 19.0])) == pytest.approx(
        [np.log(2), 0.0, np.log(2)]
    )
    cases = gather_structure_cases([draw_cases(np.random.default_rng(3), 40, 40)], "tumor")
    fitted = fit_structure(cases, 0.2)
    counts = {s: len(own) for s, own in fitted.volumes.items()}
    assert counts[DRAWN] == (cases.drawn > 0).sum()
    assert counts[EMPTY] == (cases.drawn == 0).sum() > 20
    low, high = make_volume_interval([fitted], [np.array([0.0, 30.0])], 0.2)
    assert low[0] == 0.0
    assert (31 / (low[1] + 1)) == pytest.approx((high[1] + 1) / 31)


def test_folds_are_pooled_and_each_is_ranked_among_its_own() -> None:
    random = np.random.default_rng(4)
    two = [fit_structure(gather_structure_cases([draw_cases(random, n, 10)], "tumor"), 0.2) for n in (20, 40)]
    mean, patient = choose_steps(two, 0.2)
    missed = (20 * two[0].missed + 40 * two[1].missed) / 60
    assert mean == np.flatnonzero((60 * missed + 1) / 61 <= 0.2)[0]
    assert patient == np.sort(np.concatenate([m.reached for m in two]))[int(np.ceil(61 * 0.8)) - 1]
    below, above = np.array([-1.0]), np.array([1e9])
    assert rank_absence(two, [below, above])[0] == pytest.approx(11 / 21)


def test_seeds_of_a_fold_are_averaged_and_must_be_of_the_same_cases() -> None:
    random = np.random.default_rng(5)
    first, second = draw_cases(random, 3, 1), draw_cases(random, 3, 1)
    cases = gather_structure_cases([first, second], "tumor")
    assert cases.hits.shape == cases.voxels.shape == (4, len(THRESHOLDS))
    assert cases.voxels[0, 0] == np.mean([own["s0", ""]["tumor"].voxels[0] for own in (first, second)])
    with pytest.raises(PolytaskError, match="answers for other subjects"):
        gather_structure_cases([first, draw_cases(random, 2, 0)], "tumor")


def test_a_structure_no_network_sees_needs_everything() -> None:
    blind = make_curve(np.zeros(40, np.float32), np.arange(40) < 5)
    cases = gather_structure_cases([{(f"s{k}", ""): {"tumor": blind} for k in range(30)}], "tumor")
    assert choose_steps([fit_structure(cases, 0.1)], 0.1) == (None, None)
    check = check_structure(cases, 0.1, 0)
    assert check is not None
    assert check.endless == (1.0, 1.0)
    assert np.isnan(check.added[0].mean)
