from __future__ import annotations

import json
from collections.abc import Mapping

import numpy as np
import pytest
from scipy import stats

from polytask.errors import PolytaskError
from polytask.statistics.effect import ONE_SEED_NOTE, ONE_TRAINING_SET_NOTE, compare_arms, estimate_pair_part
from polytask.statistics.metric_values import Contributions, FoldValues, draw_fold_resamples, make_fold_values
from polytask.statistics.pair_variance import estimate_pair_covariance
from polytask.tasks.ranking import compute_auc


def world(arms: Mapping[str, np.ndarray], folds: int = 3) -> list[FoldValues]:
    """Arms' values `[subjects, seeds]`, NaN where there is no run; subjects are dealt to folds in order."""
    count = len(next(iter(arms.values())))
    found = []
    for fold, places in enumerate(np.array_split(np.arange(count), folds)):
        metrics = {
            (arm, seed): Contributions.of(x[places, seed], np.arange(len(places)), len(places))
            for arm, x in arms.items()
            for seed in range(x.shape[1])
        }
        found.append(make_fold_values(fold, metrics, [f"s{k}" for k in places]))
    return found


def noise(seed: int, subjects: int = 60, seeds: int = 3) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(subjects, seeds))


def test_one_fold_and_seed_is_nearly_the_paired_t_test() -> None:
    base = 5 + noise(0, 40, 1)
    arm = base + 0.2 + 0.5 * noise(1, 40, 1)
    found = compare_arms(world({"hard": arm, "single": base}, 1), "hard", points=1)
    outside = stats.ttest_rel(arm[:, 0], base[:, 0])
    assert found.estimate == pytest.approx((arm - base).mean())
    assert found.p == pytest.approx(outside.pvalue, rel=0.35)
    assert found.interval() == pytest.approx(tuple(outside.confidence_interval()), abs=0.03)
    assert found.freedom == 39
    assert found.notes == (ONE_SEED_NOTE, ONE_TRAINING_SET_NOTE)
    assert (found.arm, found.baseline) == pytest.approx((arm.mean(), base.mean()))


def test_points_and_sign() -> None:
    base = noise(0)
    folds = world({"hard": base + 0.1, "single": base + 0.01 * noise(1)})
    up, down = compare_arms(folds, "hard"), compare_arms(folds, "hard", higher=False, points=1)
    assert up.estimate == pytest.approx(10, abs=0.2)
    assert down.estimate == pytest.approx(-up.estimate / 100)
    assert down.p == pytest.approx(up.p)
    assert up.interval()[0] > 0 > down.interval()[1]
    assert up.arm - up.baseline == pytest.approx(up.estimate)
    assert down.arm - down.baseline == pytest.approx(-down.estimate)
    low, high = up.interval(0.99)
    assert low < up.interval()[0] < up.interval()[1] < high


def test_arms_that_never_differ() -> None:
    for seeds in (1, 3):
        found = compare_arms(world({"hard": noise(0, seeds=seeds), "single": noise(0, seeds=seeds)}), "hard")
        assert (found.estimate, found.p, found.error, found.interval()) == (0, 1, 0, (0, 0))
        assert json.loads(json.dumps(found.as_dict(), allow_nan=False))["freedom"] is None


def test_the_same_shift_of_everybody_is_no_evidence_by_itself() -> None:
    found = compare_arms(world({"hard": np.ones((12, 1)), "single": np.zeros((12, 1))}), "hard")
    assert found.estimate == pytest.approx(100)
    assert np.isnan([found.p, *found.interval()]).all()
    assert "every subject differs by the same amount" in found.notes[-1]


def test_seeds_make_the_interval_wider() -> None:
    base, lucky = noise(0), np.array([-0.5, 0.0, 0.5])
    arm = base + 0.5 * noise(1, seeds=1) + 0.1 * noise(2)
    still = compare_arms(world({"hard": arm, "single": base}), "hard")
    moved = compare_arms(world({"hard": arm + lucky, "single": base}), "hard")
    assert still.estimate == pytest.approx(moved.estimate)
    assert moved.error > 2 * still.error
    assert 6 <= moved.freedom < 9
    assert still.freedom > 40
    ratios = [(e.interval()[1] - e.estimate) / e.error for e in (still, moved)]
    assert ratios[1] > ratios[0] + 0.2  # and Student's t has a longer tail


def test_a_fold_with_more_luck_than_others_leaves_few_degrees_of_freedom() -> None:
    arm = noise(1, seeds=1) * 0.2 + 0.02 * noise(2)
    arm[:20] += np.array([-1.0, 0.0, 1.0])
    found = compare_arms(world({"hard": arm, "single": np.zeros((60, 3))}), "hard")
    assert 2 <= found.freedom < 3


def test_the_arms_change_places() -> None:
    base, arm = noise(0), noise(1) ** 2
    there = compare_arms(world({"hard": arm, "single": base}), "hard")
    back = compare_arms(world({"hard": base, "single": arm}), "hard")
    assert back.estimate == pytest.approx(-there.estimate)
    assert back.p == there.p
    for level in (0.95, 0.99, 0.998):
        low, high = there.interval(level)
        assert back.interval(level) == pytest.approx((-high, -low))


def test_p_and_interval_say_the_same_at_every_level_of_holm() -> None:
    base = noise(0)
    for shift in (0.0, 0.3, 0.5, -0.5, 1.0):
        arm = base + shift + 0.7 * noise(3) + 0.5 * noise(1, seeds=1) ** 2
        found = compare_arms(world({"hard": arm, "single": base}), "hard")
        for comparisons in range(1, 40):
            low, high = found.interval(1 - 0.05 / comparisons)
            assert (found.p <= 0.05 / comparisons) == (low > 0 or high < 0)


def test_few_who_lose_much_and_others_who_gain_little() -> None:
    """3 of 60 lose 30 points, the others gain 2.6: the tail that their absence would open is long."""
    arm = np.full((60, 3), 0.026) + 0.01 * noise(5)
    arm[[3, 25, 50]] = -0.30
    found = compare_arms(world({"hard": arm, "single": np.zeros((60, 3))}), "hard")
    low, high = found.interval()
    assert found.estimate - low > 1.5 * (high - found.estimate)
    assert found.p > 0.3


def test_carriers_are_named() -> None:
    """All that an arm gains, two subjects gain."""
    arm = 0.001 + 0.01 * noise(5)
    arm[[7, 41]] += 0.6
    found = compare_arms(world({"hard": arm, "single": np.zeros((60, 3))}), "hard")
    assert set(found.carriers) == {"s7", "s41"}
    assert found.p > 0.05
    everybody = compare_arms(world({"hard": 0.05 + 0.01 * noise(5), "single": np.zeros((60, 3))}), "hard")
    assert everybody.carriers == ()
    assert json.loads(json.dumps(found.as_dict(), allow_nan=False))["carriers"] == list(found.carriers)


def test_what_is_missing_is_left_out_and_said() -> None:
    base, arm = noise(0), noise(0) + 0.3 * noise(1)
    no_fold = arm.copy()
    no_fold[:20] = np.nan
    found = compare_arms(world({"hard": no_fold, "single": base}), "hard")
    assert set(found.folds) == set(found.cases) == {1, 2}
    assert found.subjects == 40
    assert found.notes == ("fold 0 is left out: hard or single has no metric there", ONE_TRAINING_SET_NOTE)
    assert found.estimate == pytest.approx(100 * (arm - base)[20:].mean())

    one_run = arm.copy()
    one_run[:20, 1] = np.nan
    found = compare_arms(world({"hard": one_run, "single": base}), "hard")
    assert (set(found.folds), found.seeds) == ({0, 1, 2}, (0, 2))
    assert "seed 1 is left out" in found.notes[0]

    found = compare_arms(world({"hard": arm[:, :1], "single": base}), "hard")
    assert found.seeds == (0,)
    assert ONE_SEED_NOTE in found.notes

    found = compare_arms(world({"hard": np.full((60, 3), np.nan), "single": base}), "hard")
    assert np.isnan([found.estimate, found.p]).all()
    assert found.as_dict()["estimate"] is None
    assert compare_arms([], "hard").folds == {}


def test_a_fold_of_one_subject_has_no_variance() -> None:
    folds = world({"hard": noise(0, 21), "single": noise(1, 21)}, 2)
    few = world({"hard": noise(0, 1), "single": noise(1, 1)}, 1)[0]
    found = compare_arms([*folds, FoldValues(7, ("x",), 1, few.runs)], "hard")
    assert set(found.folds) == {0, 1}
    assert "fold 7 is left out: fewer than two subjects" in found.notes[0]


def test_a_rank_measure_stays_within_fold_and_seed() -> None:
    """Scores of folds on different scales: within each the arms rank alike, pooled they would not."""
    rng = np.random.default_rng(0)
    folds = []
    for fold in range(3):
        truth = np.arange(20) % 2 == 0
        s = rng.normal(size=20) + truth
        sides = {("hard", 0): s * 10**fold + 100 * fold, ("single", 0): s}
        metrics = {k: (lambda i, x=x, y=truth: compute_auc(x[i], y[i])) for k, x in sides.items()}
        folds.append(make_fold_values(fold, metrics, list(map(str, range(20)))))
    found = compare_arms(folds, "hard")
    assert (found.estimate, found.p) == (0, 1)


def test_a_metric_that_hangs_on_one_subject_has_no_interval() -> None:
    rng = np.random.default_rng(0)
    names = [f"s{k}" for k in range(20)]

    def of(positives: int) -> FoldValues:
        truth = np.arange(20) < positives
        sides = {("hard", 0): rng.normal(size=20), ("single", 0): rng.normal(size=20)}
        return make_fold_values(
            0, {k: (lambda i, x=x: compute_auc(x[i], truth[i])) for k, x in sides.items()}, names
        )

    assert np.isfinite(compare_arms([of(2)], "hard").p)
    none = compare_arms([of(1)], "hard")
    assert np.isfinite(none.estimate)
    assert np.isnan([none.p, *none.interval()]).all()
    assert "without one of its subjects the metric is not defined" in none.notes[-1]


def test_one_arm_with_itself_is_refused() -> None:
    with pytest.raises(PolytaskError, match="compared with itself"):
        compare_arms([], "single")


def test_with_few_subjects_the_training_sets_are_mentioned() -> None:
    small, large = (world({"hard": noise(0, n), "single": noise(1, n)}) for n in (147, 150))
    assert ONE_TRAINING_SET_NOTE in compare_arms(small, "hard").notes
    assert ONE_TRAINING_SET_NOTE not in compare_arms(large, "hard").notes


def test_an_effect_is_shown_with_a_power_of_four_fifths() -> None:
    base = noise(0)
    found = compare_arms(world({"hard": base + 0.1 * noise(1), "single": base}), "hard")
    assert found.pivot is not None
    for level, power in ((0.95, 0.8), (0.99, 0.8), (0.95, 0.5)):
        longer = max(float(end) for end in found.pivot.ends(level))
        expected = found.error * (longer + stats.t.ppf(power, found.freedom))
        assert found.detectable(level, power) == pytest.approx(expected)
    assert found.detectable() == found.detectable(0.95, 0.8)
    assert found.interval() == found.interval(0.95)
    same = compare_arms(world({"hard": base, "single": base}), "hard")
    assert np.isnan(same.detectable())


def test_folds_weigh_by_their_known_cases() -> None:
    folds = world({"hard": noise(0), "single": noise(1)}, 2)
    heavy = [FoldValues(f.fold, f.subjects, 3 * f.n if f.fold == 0 else f.n, f.runs) for f in folds]
    found = compare_arms(heavy, "hard")
    gaps = [100 * (noise(0) - noise(1))[part].mean() for part in (slice(0, 30), slice(30, 60))]
    assert found.folds == pytest.approx({0: gaps[0], 1: gaps[1]})
    assert found.estimate == pytest.approx(0.75 * gaps[0] + 0.25 * gaps[1])
    assert found.cases == {0: 90, 1: 30}


def test_what_is_left_out_is_what_lacks_most() -> None:
    """Of three folds and three seeds one run fails: its fold and its seed lack as much, and the seed goes; of two folds
    the seed lacks more."""
    base, arm = noise(0), noise(1)
    arm[:20, 1] = np.nan
    assert compare_arms(world({"hard": arm, "single": base}), "hard").seeds == (0, 2)
    arm[:20, 2] = np.nan
    found = compare_arms(world({"hard": arm, "single": base}), "hard")
    assert set(found.folds) == {1, 2}
    assert found.seeds == (0, 1, 2)


def test_the_pairs_part_is_that_of_the_difference_of_the_arms() -> None:
    counts, rng = draw_fold_resamples(6), np.random.default_rng(7)
    drawn = {(arm, 0): rng.random(len(counts)) for arm in ("joint", "single")}
    runs = {key: Contributions(0.7, np.zeros(6), values) for key, values in drawn.items()}
    fold = FoldValues(0, tuple("abcdef"), 6, runs)
    part = estimate_pair_part(fold, "joint", "single", [0])
    expected = estimate_pair_covariance(drawn["joint", 0][None] - drawn["single", 0][None], counts)
    assert part == pytest.approx(expected)
    assert part.any()
