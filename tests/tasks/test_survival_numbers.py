"""Survival numbers against scikit-survival 0.28.0 (values stored) and lifelines."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from polytask.kinds import constant_losses
from polytask.kinds.step_curves import (
    discretize_follow_up,
    estimate_breslow_hazard,
    estimate_censoring,
    estimate_kaplan_meier,
    evaluate_step_curve,
    evaluate_survival,
)
from polytask.tasks import make_task
from polytask.tasks.hazard_criterion import compute_expected_time, mark_hazard_intervals
from polytask.tasks.hazard_criterion import interpolate_survival as hazard_survival_at
from polytask.tasks.ranking import compute_auc
from polytask.tasks.survival_metrics import (
    compute_censoring_weights,
    compute_concordance,
    compute_horizon_auc,
    compute_horizon_brier,
)

# fmt: off
TIMES = np.array([
    233.4, 110.6, 61.5, 223.3, 167.6, 32.1, 28.9, 8.3, 75.1, 28.8, 8.7, 28.9, 97.9, 14.6, 10.2, 25.8, 105.6, 27.0,
    48.3, 242.4, 171.3, 113.6, 40.1, 201.1, 77.9, 102.0, 19.9, 101.7, 110.6, 97.6, 193.5, 54.7, 234.7, 21.2, 15.1,
    206.4, 51.5, 37.2, 17.8, 23.3])
EVENTS = np.array([
    0, 1, 0, 0, 0, 1, 1, 1, 0, 0, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 0, 1, 1, 1, 0, 0, 0, 1, 0, 0, 1,
    1, 0])
RISK = np.array([
    0.06, -0.11, -0.35, -2.29, -1.24, -0.74, -1.43, 1.93, -1.71, -0.09, -0.1, 0.91, 0.2, -2.01, 0.84, 1.71, -1.39,
    -0.65, -2.01, -1.97, -1.07, -0.62, -1.31, -0.29, -0.28, -1.08, -1.64, -0.65, 0.63, 0.12, -2.02, -0.71, -1.37, -0.8,
    0.8, -1.02, -1.0, 0.32, 0.58, -0.58])
TRAIN_TIMES = np.array([
    39.95, 5.55, 71.9, 2.95, 44.85, 19.05, 75.75, 2.55, 49.55, 29.4, 100.85, 33.45, 43.3, 42.7, 15.45, 156.35, 6.75,
    86.6, 179.85, 89.55, 31.75, 118.7, 10.65, 40.35, 123.55, 34.2, 75.35, 204.1, 69.75, 21.25, 57.45, 26.1, 13.65,
    135.65, 57.7, 76.05, 7.65, 25.65, 39.15, 41.4, 46.95, 171.05, 86.65, 23.75, 2.75, 24.35, 24.65, 134.35, 34.15,
    170.3, 56.1, 105.45, 144.95, 1.75, 84.55, 12.65, 81.25, 18.3, 49.35, 29.65])
TRAIN_EVENTS = np.array([
    1, 1, 0, 1, 1, 1, 1, 1, 1, 0, 1, 1, 0, 0, 1, 1, 1, 0, 1, 1, 1, 0, 1, 1, 1, 0, 1, 0, 1, 1, 1, 0, 1, 1, 0, 1, 1, 1,
    1, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 1, 1, 1, 1, 1, 1, 0, 1, 1])
# fmt: on
HORIZONS = (30.0, 60.0, 100.0)
SKSURV_C = 0.6781970649895178
SKSURV_AUC = (0.6923098370430103, 0.6637334103303723, 0.7354530518102542)
SKSURV_BRIER = (0.14780428650724084, 0.1968412346853317, 0.22422544085231175)
SKSURV_G = (0.9329446064139941, 0.7548062703342205, 0.6709389069637516)
CENSORING = estimate_censoring(TRAIN_TIMES, TRAIN_EVENTS)


def probabilities() -> np.ndarray:
    return (1 - np.exp(-np.outer(np.exp(RISK * 0.5), [0.3, 0.7, 1.2]))).round(3)


def test_concordance_auc_and_brier_are_those_of_scikit_survival() -> None:
    assert compute_concordance(RISK, TIMES, EVENTS) == pytest.approx(SKSURV_C, abs=1e-12)
    np.testing.assert_allclose(evaluate_survival(CENSORING, np.array(HORIZONS)), SKSURV_G, atol=1e-12)
    aucs = [compute_horizon_auc(RISK, TIMES, EVENTS, t, CENSORING) for t in HORIZONS]
    np.testing.assert_allclose(aucs, SKSURV_AUC, atol=1e-12)
    p = probabilities()
    briers = [compute_horizon_brier(p[:, i], TIMES, EVENTS, t, CENSORING) for i, t in enumerate(HORIZONS)]
    np.testing.assert_allclose(briers, SKSURV_BRIER, atol=1e-12)


TIED_TRAIN, TIED = np.ceil(TRAIN_TIMES / 20) * 20, np.ceil(TIMES / 20) * 20
FOLLOWED = TIED_TRAIN.max() > TIED
TIED_HORIZONS = (40.0, 60.0, 100.0)
TIED_AUC = (0.6931111111111112, 0.6252904545032067, 0.6932575479078886)
TIED_BRIER = (0.20684414336101947, 0.21099743845095625, 0.2033115383144828)
"""scikit-survival 0.28.0 on the tied times: `cumulative_dynamic_auc` and `brier_score`, which weigh by 1/G(t)."""


@pytest.mark.filterwarnings("ignore:divide by zero")
def test_with_tied_times_scikit_survival_differs_by_its_weights_alone() -> None:
    curve = estimate_censoring(TIED_TRAIN, TRAIN_EVENTS)
    times, events, risk, p = (x[FOLLOWED] for x in (TIED, EVENTS, RISK, probabilities()))
    weights = 1 / evaluate_survival(curve, times)
    for i, t in enumerate(TIED_HORIZONS):
        case, beyond = (times <= t) & (events > 0), times > t
        keep = case | beyond
        area = compute_auc(risk[keep], case[keep], weights[keep])
        terms = np.where(case, (1 - p[:, i]) ** 2 * np.where(case, weights, 0), 0)
        terms += beyond * p[:, i] ** 2 / evaluate_survival(curve, np.array([t]))
        assert area == pytest.approx(TIED_AUC[i], abs=1e-12)
        assert terms.mean() == pytest.approx(TIED_BRIER[i], abs=1e-12)
        assert compute_horizon_auc(risk, times, events, t, curve) != pytest.approx(TIED_AUC[i], abs=1e-4)


@pytest.mark.parametrize("horizon", TIED_HORIZONS)
def test_weights_of_tied_times_make_up_for_exactly_those_who_were_lost(horizon: float) -> None:
    """Who had the event and who is still there stand for everybody, also for those censored before the horizon: with
    1/G just before the own time the weights of n subjects sum to n. With 1/G(t) they would sum to more."""
    curve = estimate_censoring(TIED_TRAIN, TRAIN_EVENTS)
    case = (horizon >= TIED_TRAIN) & (TRAIN_EVENTS > 0)
    late = float((horizon < TIED_TRAIN).sum() / evaluate_survival(curve, np.array([horizon]))[0])
    assert compute_censoring_weights(TIED_TRAIN, curve)[case].sum() + late == pytest.approx(len(TIED_TRAIN))
    assert (1 / evaluate_survival(curve, TIED_TRAIN[case])).sum() + late > len(TIED_TRAIN) + 1
    answer = np.full(len(TIED_TRAIN), 0.5)
    assert compute_horizon_brier(answer, TIED_TRAIN, TRAIN_EVENTS, horizon, curve) == pytest.approx(0.25)


def test_concordance_counts_pairs_by_hand() -> None:
    # comparable: 1-2, 1-3, 1-4, 2-4, and 2-3, where the event comes before the censoring at the same time
    times, events = np.array([1.0, 2, 2, 3]), np.array([1, 1, 0, 0])
    assert compute_concordance(np.array([4.0, 3, 2, 1]), times, events) == 1
    assert compute_concordance(np.array([4.0, 2, 3, 2]), times, events) == pytest.approx((3 + 0 + 0.5) / 5)
    assert np.isnan(compute_concordance(np.array([1.0, 2]), np.array([1.0, 2]), np.array([0, 1])))
    assert np.isnan(compute_concordance(np.array([np.nan, 2]), np.array([1.0, 2]), np.array([1, 1])))


def test_a_horizon_with_too_few_left_is_not_defined() -> None:
    curve = {"times": (10.0, 50.0), "survival": (0.5, 0.09)}
    risk, p = RISK, probabilities()[:, 0]
    assert np.isfinite(compute_horizon_auc(risk, TIMES, EVENTS, 49.0, curve))
    assert np.isfinite(compute_horizon_brier(p, TIMES, EVENTS, 49.0, curve))
    assert np.isnan(compute_horizon_auc(risk, TIMES, EVENTS, 50.0, curve))
    assert np.isnan(compute_horizon_brier(p, TIMES, EVENTS, 50.0, curve))
    assert np.isnan(compute_horizon_auc(risk, TIMES, EVENTS, 1000.0, {}))


def test_curves_are_those_of_lifelines() -> None:
    lifelines = pytest.importorskip("lifelines")
    times = np.ceil(TIMES / 20)
    found = estimate_kaplan_meier(times, EVENTS)
    reference = lifelines.KaplanMeierFitter().fit(times, EVENTS).survival_function_at_times(found["times"])
    np.testing.assert_allclose(found["survival"], reference, atol=1e-12)
    hazard = estimate_breslow_hazard(np.zeros(len(times)), times, EVENTS)
    fitter = lifelines.NelsonAalenFitter(nelson_aalen_smoothing=False).fit(times, EVENTS)
    np.testing.assert_allclose(
        hazard["hazard"], fitter.cumulative_hazard_at_times(hazard["times"]).to_numpy(), atol=1e-12
    )


def test_breslow_by_hand() -> None:
    found = estimate_breslow_hazard(np.log([2.0, 3.0, 1.0, 4.0]), [1, 1, 2, 3], [1, 1, 1, 0])
    assert found["times"] == (1.0, 2.0, 3.0), "events, and the end of the follow-up"
    np.testing.assert_allclose(found["hazard"], [2 / 10, 2 / 10 + 1 / 5, 2 / 10 + 1 / 5])
    assert estimate_breslow_hazard([0.0, 0.0], [1, 2], [0, 1])["times"] == (2.0,)
    assert estimate_breslow_hazard([0.0, 0.0], [1, 2], [0, 0]) == {"times": (2.0,), "hazard": (0.0,)}


def test_an_event_comes_before_a_censoring_at_the_same_time() -> None:
    found = estimate_censoring([1, 2, 2, 3], [1, 1, 0, 0])
    assert found["times"] == (2.0, 3.0)
    np.testing.assert_allclose(found["survival"], [0.5, 0.0])


def test_step_is_right_continuous_with_a_left_limit() -> None:
    at = np.array([0.5, 1.0, 1.5, 2.0])
    assert evaluate_step_curve((1.0, 2.0), (0.8, 0.4), at, 1.0).tolist() == [1.0, 0.8, 0.8, 0.4]
    assert evaluate_step_curve((1.0, 2.0), (0.8, 0.4), at, 1.0, left=True).tolist() == [1.0, 1.0, 0.8, 0.8]
    assert evaluate_step_curve((), (), at, 1.0).tolist() == [1.0] * 4


def test_intervals_by_hand_and_in_torch() -> None:
    bins = (10.0, 20.0, 40.0)
    times = [0.0, 10.0, 10.5, 14.0, 15.0, 50.0, 35.0, 5.0]
    events = [1, 1, 1, 0, 0, 1, 0, 0]
    at_risk, happened = discretize_follow_up(times, events, bins)
    assert happened.astype(int).tolist() == [
        [1, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 0], [0, 0, 0], [0, 0, 0], [0, 0, 0], [0, 0, 0],
    ]  # fmt: skip
    assert at_risk.astype(int).tolist() == [
        [1, 0, 0], [1, 0, 0], [1, 1, 0], [1, 0, 0], [1, 1, 0], [1, 1, 1], [1, 1, 1], [1, 0, 0],
    ]  # fmt: skip
    twin = mark_hazard_intervals(torch.tensor([times, events]).T, bins)
    assert torch.equal(twin[0], torch.from_numpy(at_risk))
    assert torch.equal(twin[1], torch.from_numpy(happened))


def test_training_hazards_are_the_best_constant() -> None:
    bins = constant_losses.choose_hazard_bins(TIMES, EVENTS, 4)
    assert bins[-1] == TIMES[EVENTS > 0].max()
    best = constant_losses.find_hazard_constant(TIMES, EVENTS, bins)
    at_risk, happened = discretize_follow_up(TIMES, EVENTS, bins)
    for shift in (0.8, 1.25):
        h = np.clip(np.array(constant_losses.estimate_hazard_rates(TIMES, EVENTS, bins)) * shift, 0, 0.999)
        assert -(happened * np.log(h) + (at_risk & ~happened) * np.log(1 - h)).sum(1).mean() > best


def test_hazards_give_survival_between_edges() -> None:
    output = torch.logit(torch.tensor([[0.2, 0.5]]))
    found = hazard_survival_at(output, (10.0, 30.0), (5.0, 10.0, 20.0, 30.0, 31.0))[0]
    np.testing.assert_allclose(found[:4], [0.8**0.5, 0.8, 0.8 * 0.5**0.5, 0.4], rtol=1e-5)
    assert bool(found[4].isnan())
    assert compute_expected_time(output, (10.0, 30.0)).item() == pytest.approx(9 + 12, rel=1e-5)


def test_cox_probabilities_need_a_baseline_and_follow_it() -> None:
    task = make_task("os", {"kind": "survival", "level": "subject", "horizons": [1.0, 2.5]})
    output = torch.log(torch.tensor([[1.0], [3.0]]))
    assert bool(task.decode(output)["p"].isnan().all())
    arrays = {k: v.numpy() for k, v in task.decode(output).items()}
    assert list(task.columns(arrays, 0)) == [".risk"]  # type: ignore[attr-defined]
    ready = task.with_baseline(np.log([2.0, 3, 1, 4]), [1, 1, 2, 3], [1, 1, 1, 0])  # type: ignore[attr-defined]
    p = ready.decode(output)["p"].numpy()
    np.testing.assert_allclose(p, 1 - np.exp(-np.outer([1, 3], [0.2, 0.4])), rtol=1e-5)
    cells = ready.columns({k: v.numpy() for k, v in ready.decode(output).items()}, 1)
    assert list(cells) == [".risk", ".p.T1", ".p.T2.5"]


def test_nothing_is_said_beyond_the_follow_up() -> None:
    """Three subjects in training, the last event at 2 and the last one seen at 3."""
    fields = {"kind": "survival", "level": "subject", "unit": "years", "horizons": [2.0, 3.0, 3.5, 5000.0]}
    task: Any = make_task("os", fields).with_baseline([0.0, 0.0, 0.0], [1, 2, 3], [1, 1, 0])
    p = task.decode(torch.zeros(1, 1))["p"][0].numpy()
    np.testing.assert_allclose(p[:2], 1 - np.exp([-(1 / 3 + 1 / 2), -(1 / 3 + 1 / 2)]), rtol=1e-6)
    assert np.isnan(p[2:]).all()
    cells = task.columns({k: v.numpy() for k, v in task.decode(torch.zeros(1, 1)).items()}, 0)
    assert list(cells) == [".risk", ".p.T2", ".p.T3"]
    assert task.explain_undefined(3.0) == ""
    assert task.explain_undefined(3.5) == "nobody in training was followed for longer than 3 years"
    value, known = np.array([[1.0, 1], [6000.0, 0], [4.0, 1]]), np.ones(3, bool)
    found = task.metrics(
        {k: v.numpy().repeat(3, 0) for k, v in task.decode(torch.zeros(1, 1)).items()}, value, known
    )
    assert np.isfinite(found["brier.T3"])
    assert np.isnan(found["brier.T5000"])


def test_hazards_end_with_the_last_event_and_nearer_horizons_do_not_suffer() -> None:
    """The last interval once reached to the farthest horizon: the probability at a near one came out far too low."""
    rng = np.random.default_rng(0)
    times, events = rng.exponential(400, 4000), np.ones(4000)
    horizons = [300.0, 600.0, 900.0, 1e5]
    bins = constant_losses.choose_hazard_bins(times, events, 4)
    assert bins[-1] == times.max()
    rates = constant_losses.estimate_hazard_rates(times, events, bins)
    fields = {"kind": "survival", "level": "subject", "loss": "hazard", "bins": bins, "horizons": horizons}
    task: Any = make_task("os", {**fields, "unit": "days"})
    p = task.decode(torch.logit(torch.tensor([rates])))["p"][0].numpy()
    observed = [(times <= h).mean() for h in horizons[:3]]
    np.testing.assert_allclose(p[:2], observed[:2], atol=0.03)
    assert np.isnan(p[3])
    assert task.explain_undefined(300.0) == ""
    assert "no event in training later than" in task.explain_undefined(1e5)


def test_who_is_censored_at_the_horizon_itself_is_neither_a_case_nor_beyond_it() -> None:
    """Events at 5 with risk 3 and 1, one followed to 20 with risk 2, and one censored at 10 whose high risk would
    count: AUC at 10 is that of two pairs, one of them right."""
    times, events = np.array([5.0, 5.0, 20.0, 10.0]), np.array([1.0, 1.0, 0.0, 0.0])
    curve = {"times": [30.0], "survival": [0.5]}
    assert compute_horizon_auc(np.array([3.0, 1.0, 2.0, 9.0]), times, events, 10.0, curve) == pytest.approx(
        0.5
    )
