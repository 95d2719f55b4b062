"""The loss of the best constant answer of each kind, worked by hand."""

from __future__ import annotations

from math import log

import numpy as np
import pytest

from polytask.kinds import constant_losses

LN2 = log(2)


def test_shares_sum_to_one_and_none_is_nothing() -> None:
    assert constant_losses.clamp_class_shares([3, 1]).tolist() == [0.75, 0.25]
    assert constant_losses.clamp_class_shares([1, 0]).tolist() == pytest.approx([1 / 1.001, 0.001 / 1.001])
    assert constant_losses.clamp_class_shares([-5, 1, 1]).tolist() == pytest.approx(
        [0.001 / 1.001, 0.5 / 1.001, 0.5 / 1.001]
    )


def test_shares_of_nothing_counted_are_even() -> None:
    assert constant_losses.clamp_class_shares([0, 0, 0, 0]).tolist() == [0.25] * 4
    assert constant_losses.clamp_class_shares([]).tolist() == []


def test_shares_of_labels_keep_away_from_never_and_always() -> None:
    assert constant_losses.clamp_label_shares([0, 0.5, 1]).tolist() == pytest.approx([0.001, 0.5, 0.999])


def test_exclusive_structures_leave_a_thousandth_to_the_background() -> None:
    assert constant_losses.clamp_structure_shares([0.6, 0.6], True).tolist() == pytest.approx(
        [0.4995, 0.4995]
    )
    assert constant_losses.clamp_structure_shares([0.5, 0.5], True).tolist() == pytest.approx(
        [0.4995, 0.4995]
    )
    assert constant_losses.clamp_structure_shares([0.3, 0.3], True).tolist() == [0.3, 0.3]
    assert constant_losses.clamp_structure_shares([0.6, 0.6], False).tolist() == [0.6, 0.6]


def test_entropies_are_in_nats() -> None:
    assert constant_losses.compute_entropy(np.array([0.25, 0.75])) == pytest.approx(0.562335)
    assert constant_losses.compute_binary_entropy(np.array([0.25, 0.5])).tolist() == pytest.approx(
        [0.562335, LN2]
    )


def test_constant_of_a_classification_is_the_entropy_or_that_of_even_classes() -> None:
    assert constant_losses.find_classification_constant([9, 1]) == pytest.approx(0.325083, abs=1e-6)
    assert constant_losses.find_classification_constant([9, 1], balanced=True) == pytest.approx(LN2)
    assert constant_losses.find_classification_constant([7, 2, 1], balanced=True) == pytest.approx(log(3))
    assert constant_losses.find_ordinal_constant([9, 1]) == pytest.approx(0.325083, abs=1e-6)
    assert constant_losses.find_ordinal_constant([7, 2, 1], balanced=True) == pytest.approx(log(3))


def test_no_constant_is_below_a_twentieth() -> None:
    assert constant_losses.find_classification_constant([5.0]) == 0.05
    assert constant_losses.find_ordinal_constant([5.0]) == 0.05
    assert constant_losses.find_multilabel_constant([0.0]) == 0.05
    assert constant_losses.find_regression_constant([2.0, 2.0], 2.0, 1.0) == 0.05
    assert constant_losses.find_dose_constant(0.0, 1.0) == 0.05
    assert constant_losses.compute_expected_hazard_loss([1.0], [0.0], {}) == 0.05
    assert constant_losses.find_hazard_constant([9.0] * 600, [0] * 600, [1.0]) == 0.05


def test_constant_of_labels_weighs_each_by_how_many_answers_are_known() -> None:
    assert constant_losses.find_multilabel_constant([0.5, 0.1]) == pytest.approx(
        (LN2 + 0.325083) / 2, abs=1e-6
    )
    weighed = constant_losses.find_multilabel_constant([0.5, 0.1], known=[1, 3])
    assert weighed == pytest.approx((LN2 + 3 * 0.325083) / 4, abs=1e-6)
    assert constant_losses.find_multilabel_constant([0.5, 0.1], known=[0, 0]) == pytest.approx(
        (LN2 + 0.325083) / 2, abs=1e-6
    )
    assert constant_losses.find_multilabel_constant([0.5, 0.1], known=[1, 0]) == pytest.approx(LN2)
    assert constant_losses.find_multilabel_constant([0.5, 0.1], True, [1, 3]) == pytest.approx(LN2)


def test_constant_of_a_regression_is_squared_up_to_one_deviation_and_straight_beyond() -> None:
    assert constant_losses.find_regression_constant([2.4], 0.0, 3.0) == pytest.approx(0.32)
    assert constant_losses.find_regression_constant([10.0, 14.0], 10.0, 2.0) == pytest.approx(1.5 / 2)
    assert constant_losses.find_regression_constant([8.0], 10.0, 2.0) == pytest.approx(0.5)
    assert constant_losses.find_regression_constant([], 0.0, 1.0) == 1.0


def test_constant_of_survival_is_the_mean_log_size_of_the_risk_sets() -> None:
    times, events = [1.0, 2.0, 3.0, 4.0], [1, 1, 1, 0]
    assert constant_losses.find_survival_constant(times, events) == pytest.approx(log(4 * 3 * 2) / 3)
    assert constant_losses.find_survival_constant(times, events, buffer=3) == pytest.approx(
        log(3.25 * 2.5 * 1.75) / 3
    )
    assert constant_losses.find_survival_constant(times, events, buffer=2) == pytest.approx(
        log(2.5 * 2 * 1.5) / 3
    )
    assert constant_losses.find_survival_constant(times, events, buffer=0) == pytest.approx(
        log(2.5 * 2 * 1.5) / 3
    )


def test_constant_of_survival_counts_ties_one_after_the_other_and_no_event_alone() -> None:
    assert constant_losses.find_survival_constant([1.0, 1.0, 2.0], [1, 1, 0]) == pytest.approx(log(3 * 2) / 2)
    assert constant_losses.find_survival_constant([1.0, 2.0], [1, 1]) == pytest.approx(LN2)
    assert constant_losses.find_survival_constant([1.0], [1]) == 1.0
    assert constant_losses.find_survival_constant([1.0, 2.0], [0, 0]) == 1.0


def test_constant_of_survival_holds_256_subjects_by_default() -> None:
    left = 1 + (np.arange(2, 513) - 1) * 0.5
    found = constant_losses.find_survival_constant(range(512), [1] * 512)
    assert found == pytest.approx(float(np.log(left).mean()), rel=1e-9)


def test_hazards_have_half_an_event_added() -> None:
    """Of four at risk in (0, 2] one has the event; in (2, 4] are two at risk, for the second was censored at 2."""
    times, events, bins = [1.0, 2.0, 3.0, 4.0], [1, 0, 1, 0], (2.0, 4.0)
    assert constant_losses.estimate_hazard_rates(times, events, bins) == pytest.approx((1.5 / 5, 1.5 / 3))
    loss = (-log(0.3) - log(0.7) + 2 * (-log(0.7) - log(0.5))) / 4
    assert constant_losses.find_hazard_constant(times, events, bins) == pytest.approx(loss)
    assert constant_losses.find_hazard_constant([*times, 0.5], [*events, 0], bins) == pytest.approx(loss), (
        "never at risk"
    )
    assert constant_losses.find_hazard_constant([], [], bins) == 1.0


def test_hazards_are_never_nothing_and_never_certain() -> None:
    assert constant_losses.estimate_hazard_rates([9.0] * 600, [0] * 600, [1.0]) == (0.001,)
    assert constant_losses.estimate_hazard_rates([0.5] * 600, [1] * 600, [1.0]) == pytest.approx((0.999,))


def test_intervals_hold_about_as_many_events_each() -> None:
    times = list(range(1, 21))
    found = constant_losses.choose_hazard_bins(times, [1] * 20)
    assert found == pytest.approx(np.quantile(times, np.linspace(0.1, 1, 10)).tolist())
    assert constant_losses.choose_hazard_bins([1, 2, 3, 4, 9], [1, 1, 1, 1, 0], count=2) == (2.5, 4.0)
    assert constant_losses.choose_hazard_bins([1, 2, 3], [1, 0, 1]) == (2.0, 3.0)
    assert constant_losses.choose_hazard_bins([1, 2, 3], [1, 1, 1], count=0) == (3.0,)


def test_intervals_without_events_reach_to_the_longest_follow_up() -> None:
    assert constant_losses.choose_hazard_bins([4, 7], [0, 0]) == (7.0,)
    assert constant_losses.choose_hazard_bins([], []) == (1.0,)
    assert constant_losses.choose_hazard_bins([0.0, 0.0], [1, 1]) == (1.0,)
    assert constant_losses.choose_hazard_bins([0.0, 0.0, 0.0, 6.0], [1, 1, 1, 1], count=4) == (1.5, 6.0)


def test_constant_of_a_segmentation_is_dice_loss_and_cross_entropy() -> None:
    assert constant_losses.find_segmentation_constant([0.5], True) == pytest.approx(0.5 + LN2)
    entropy = -(0.3 * log(0.3) + 0.2 * log(0.2) + 0.5 * log(0.5))
    assert constant_losses.find_segmentation_constant([0.3, 0.2], True) == pytest.approx(0.75 + entropy)
    assert constant_losses.find_segmentation_constant([0.5, 0.1], False) == pytest.approx(
        0.7 + (LN2 + 0.325083) / 2, abs=1e-6
    )


def test_constant_of_a_dose_is_in_units_of_the_scale() -> None:
    assert constant_losses.find_dose_constant(4.0, 2.0) == 2.0
    assert constant_losses.find_dose_constant(4.0, 2.0, 0.5) == 3.0
    assert constant_losses.find_dose_constant(4.0, 2.0, 0.5, 6.0) == 3.5
    assert constant_losses.find_dose_constant(4.0, 2.0, 0.5, 0.0) == 2.0


def test_expected_loss_of_hazards_weighs_an_interval_by_who_is_still_at_risk() -> None:
    """Half have the event before the second interval; of the rest 0.8 and 0.4 are not censored before its middle."""
    assert constant_losses.compute_expected_hazard_loss((2.0, 4.0), (0.5, 0.25), {}) == pytest.approx(
        LN2 + 0.5 * 0.562335, abs=1e-6
    )
    censoring = {"times": (1.0, 3.0), "survival": (0.8, 0.4)}
    found = constant_losses.compute_expected_hazard_loss((2.0, 4.0), (0.5, 0.25), censoring)
    assert found == pytest.approx(0.8 * LN2 + 0.5 * 0.4 * 0.562335, abs=1e-6)
    later = {"times": (1.5, 3.5), "survival": (0.8, 0.4)}
    found = constant_losses.compute_expected_hazard_loss((2.0, 4.0), (0.5, 0.25), later)
    assert found == pytest.approx(LN2 + 0.5 * 0.8 * 0.562335, abs=1e-6)
