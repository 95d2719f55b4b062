"""Risk–coverage curves, thresholds for referring, and reliability, by hand and on simulated answers."""

from __future__ import annotations

import json

import numpy as np
import pytest

from polytask.array_types import Floats
from polytask.errors import PolytaskError
from polytask.plain import make_plain
from polytask.trust.answer_forms import FORMS
from polytask.trust.calibration_measures import measure_calibration_errors
from polytask.trust.fit_runs import measure_members
from polytask.trust.fit_task import fit_task
from polytask.trust.measures.questions import FIND_CONFIDENCE, FIND_LOSS, Question, list_questions
from polytask.trust.measures.refer import choose_refer_threshold, fit_refer_rule
from polytask.trust.measures.refer_targets import parse_refer_targets
from polytask.trust.measures.reliability import decompose_brier, sum_reliability_bins
from polytask.trust.measures.risk_coverage import compute_augrc, compute_aurc, trace_risk_coverage
from polytask.trust.measures.task_measures import describe_measures, parse_measures
from tests.trust.test_fit_task import CASES, draw_grades

SURE = np.array([0.5, 0.9, 0.6, 0.8, 0.7])
WRONG = np.array([1.0, 0.0, 0.0, 1.0, 0.0])


def test_areas_by_hand() -> None:
    """From the surest on, right wrong right right wrong: risks 0, 1/2, 1/3, 1/4, 2/5, whose mean is 0.29667; wrong
    answers per case 0, 0.2, 0.2, 0.2, 0.4, whose trapezoids from (0, 0) are 0.2 (0 + 0.1 + 0.2 + 0.2 + 0.3) = 0.16."""
    curve = trace_risk_coverage(SURE, WRONG)
    assert curve.coverage.tolist() == [0.2, 0.4, 0.6, 0.8, 1.0]
    assert curve.risk == pytest.approx([0, 1 / 2, 1 / 3, 1 / 4, 2 / 5])
    assert curve.confidence.tolist() == [0.9, 0.8, 0.7, 0.6, 0.5]
    assert compute_aurc(curve) == pytest.approx(0.2966667)
    assert compute_augrc(curve) == pytest.approx(0.16)


def test_area_is_that_of_harmonic_numbers() -> None:
    """AURC = Σ (H_n − H_{n−r}) ℓ / n with r the rank from the least sure one (Zhou et al. 2025)."""
    random, n = np.random.default_rng(0), 40
    sure, loss = random.permutation(n).astype(float), random.uniform(size=n)
    harmonic = np.concatenate([[0], np.cumsum(1 / np.arange(1, n + 1))])
    rank = sure.astype(int) + 1
    assert compute_aurc(trace_risk_coverage(sure, loss)) == pytest.approx(
        ((harmonic[n] - harmonic[n - rank]) * loss).sum() / n
    )


def test_answers_that_are_equally_sure_are_one_step() -> None:
    """One step: whoever answers one answers all. AURC is the error, AUGRC half of it, as for an order by chance."""
    curve = trace_risk_coverage(np.ones(5), WRONG)
    assert (curve.coverage.tolist(), curve.risk.tolist()) == ([1.0], [0.4])
    assert compute_aurc(curve) == pytest.approx(0.4)
    assert compute_augrc(curve) == pytest.approx(0.2)
    perfect = trace_risk_coverage(np.arange(100, dtype=float), (np.arange(100) < 20).astype(float))
    assert compute_augrc(perfect) == pytest.approx(0.2**2 / 2)
    empty = trace_risk_coverage(np.zeros(0), np.zeros(0))
    assert np.isnan([compute_aurc(empty), compute_augrc(empty)]).all()


def test_a_threshold_counts_one_more_error_than_was_seen() -> None:
    """Nine right answers allow 1/10; the tenth is wrong: 2/11 is too much, and so are 2/20 … 2/21 allows it again."""
    sure = np.arange(30, 0, -1.0)
    loss = np.zeros(30)
    loss[9] = 1
    assert choose_refer_threshold(sure[:12], loss[:12], 0.1) == sure[8]
    assert choose_refer_threshold(sure[:19], loss[:19], 0.1) == sure[18]
    assert choose_refer_threshold(sure[:8], loss[:8], 0.1) is None


def draw_question(random: np.random.Generator, count: int) -> tuple[Floats, Floats]:
    p = 0.5 + 0.5 * random.beta(4, 1.2, count)
    return p, (random.uniform(size=count) > p).astype(np.float64)


def test_the_answered_keep_the_stated_error() -> None:
    random, errors = np.random.default_rng(0), []
    for _ in range(200):
        threshold = choose_refer_threshold(*draw_question(random, 200), 0.1)
        assert threshold is not None
        sure, wrong = draw_question(random, 1000)
        errors.append(wrong[sure >= threshold].mean())
    assert np.mean(errors) < 0.1
    assert np.mean(errors) > 0.07, "it answers what it may"


def test_a_rule_is_checked_on_others_and_refused_where_it_fails() -> None:
    random = np.random.default_rng(1)
    who = np.arange(300).astype(str)
    kept = fit_refer_rule(Question(*draw_question(random, 300), who), 0.1)
    assert kept.threshold is not None
    assert kept.error[0] < 0.12
    assert 0.6 < kept.answered[0] < 1
    assert kept.is_answered(np.array([0.5, 1.0])).tolist() == [False, True]
    # Confidences that say nothing: some threshold looks good on the half that chose it, and not on the other.
    lucky = []
    for seed in range(20):
        random = np.random.default_rng(seed)
        sure, wrong = random.permutation(100).astype(float), (random.uniform(size=100) < 0.2).astype(float)
        lucky.append(fit_refer_rule(Question(sure, wrong, who[:100]), 0.1))
    assert sum(rule.threshold is not None for rule in lucky) <= 2
    assert "of other subjects the answered have an error of 0.184" in lucky[0].refused
    assert not lucky[0].is_answered(np.ones(2)).any()
    few = fit_refer_rule(Question(*draw_question(random, 12), who[:12]), 0.01)
    assert few.refused.startswith("12 known answers")


def test_targets_of_referring() -> None:
    forms = {"grade": "grade", "findings": "labels", "size": "number", "os": "time"}
    assert parse_refer_targets(["0.05", "size=3", "grade=0.1"], forms) == {  # type: ignore[arg-type]
        "grade": 0.1,
        "findings": 0.05,
        "size": 3.0,
    }
    for text in ("1", "0", "x", "nan", "size=0", "grade=2", "stage=0.1", "os=0.1", "="):
        with pytest.raises(PolytaskError, match="--refer"):
            parse_refer_targets([text], forms)  # type: ignore[arg-type]


def test_what_is_answered_and_how_wrong_it_is() -> None:
    p = {"p": np.array([[0.45, 0.1, 0.45], [0.2, 0.7, 0.1]])}
    assert FIND_CONFIDENCE["class"](p)[""].tolist() == [0.45, 0.7]
    assert FIND_CONFIDENCE["grade"](p)[""].tolist() == [0.1, 0.7], (
        "the median grade is answered, however rare"
    )
    assert FIND_LOSS["class"](p, np.array([0, 0])).tolist() == [[0], [1]]
    assert FIND_LOSS["grade"](p, np.array([1, 0])).tolist() == [[0], [1]]
    labels = {"p": np.array([[0.2, 0.9]])}
    asked = list_questions(
        "labels", labels, np.array([[1.0, 1.0]]), np.array([[True, False]]), np.array(["a"])
    )
    assert asked["0"].confidence.tolist() == [0.8]
    assert asked["0"].loss.tolist() == [1]
    assert len(asked["1"].loss) == 0, "an unknown answer is neither right nor wrong"
    number = {"value": np.array([1.0, 2.0]), "spread": np.array([3.0, 1.0])}
    assert FIND_CONFIDENCE["number"](number)[""].tolist() == [-3, -1]
    assert FIND_LOSS["number"](number, np.array([2.0, 2.0])).tolist() == [[1], [0]]


def test_parts_of_the_brier_score_by_hand() -> None:
    """p 0.12, 0.18 (y 0, 1) and 0.9, 1 (y 1, 1). Brier (0.0144 + 0.6724 + 0.01 + 0)/4 = 0.1742. Bins: p̄ 0.15, ȳ ½ and
    p̄ 0.95, ȳ 1: reliability ½ 0.35² + ½ 0.05² = 0.0625, resolution ½ 0.25² + ½ 0.25² = 0.0625, uncertainty ¾ ¼; within:
    variance ½ 0.03² + ½ 0.05² = 0.0017, covariance 2 · ½ · (0.03 · ½) = 0.015."""
    p, y = np.array([0.12, 0.18, 0.9, 1.0]), np.array([0.0, 1.0, 1.0, 1.0])
    bins = sum_reliability_bins(p, y)
    assert bins.n.tolist() == [0, 2, 0, 0, 0, 0, 0, 0, 0, 2], "p = 1 belongs to the last bin"
    parts = decompose_brier(bins)
    assert [*vars(parts).values()] == pytest.approx([0.1742, 0.0625, 0.0625, 0.1875, 0.0017, 0.015])
    assert bins.mean_p[[1, 9]] == pytest.approx([0.15, 0.95])
    assert np.isnan(bins.share[0])


def test_parts_of_the_brier_score_add_up_exactly() -> None:
    random = np.random.default_rng(0)
    p = random.uniform(size=500)
    y = (random.uniform(size=500) < p**2).astype(float)
    part = decompose_brier(sum_reliability_bins(p, y))
    assert part.brier == pytest.approx(((p - y) ** 2).mean(), abs=1e-12)
    total = (
        part.reliability - part.resolution + part.uncertainty + part.within_variance - part.within_covariance
    )
    assert part.brier == pytest.approx(total, abs=1e-12)


def test_intervals_of_calibration_errors_hold_the_error() -> None:
    """The smooth error of a perfect model is not 0, so what chance gives stands beside it."""
    random, held, chance = np.random.default_rng(0), 0, []
    for _ in range(8):
        true = random.uniform(0, 0.8, 150)
        happened = (random.uniform(size=150) < true).astype(float)
        debiased, smooth = measure_calibration_errors(true + 0.2, happened, np.arange(150).astype(str))
        held += debiased.low <= 0.2 <= debiased.high
        assert smooth.low < 0.2 < smooth.high + 0.05
        assert debiased.high - debiased.low < 0.25
        _, perfect = measure_calibration_errors(true, happened, np.arange(150).astype(str))
        chance.append(perfect.estimate - perfect.chance)
    assert held >= 6
    assert abs(np.mean(chance)) < 0.02
    alone = measure_calibration_errors(
        np.repeat(true, 4), np.repeat(happened, 4), np.repeat(np.arange(150), 4).astype(str)
    )
    once = measure_calibration_errors(true, happened, np.arange(150).astype(str))
    assert alone[1].high - alone[1].low == pytest.approx(once[1].high - once[1].low, rel=0.2), (
        "people, not visits"
    )


@pytest.mark.parametrize("form", list(FIND_CONFIDENCE))
def test_every_form_is_measured_and_read_again(form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("polytask.trust.fit_task.CHECK_SPLITS", 8)
    members = [fit_task(FORMS[form], "t", CASES[form](seed, 60), 0.1) for seed in (0, 1)]  # type: ignore[index]
    target = 2.0 if form == "number" else 0.3
    measured = measure_members(form, members, target)  # type: ignore[arg-type]
    assert measured is not None
    checks = [m.check for m in members if m.check is not None]
    assert sum(own.n for own in measured.answering.values()) == sum(c.n for c in checks)
    assert (measured.calibration is None) == (form == "number")
    if measured.calibration is not None:
        assert measured.calibration[0].bins.n.sum() == measured.calibration[0].n
    plain = json.loads(json.dumps(make_plain(describe_measures(measured))))
    assert make_plain(describe_measures(parse_measures(plain))) == plain


def test_measures_use_what_is_given() -> None:
    """Too sure a model: calibrated it says what comes true. Where calibrating is refused, raw answers are measured."""
    sure = fit_task(FORMS["class"], "t", draw_grades(3, 400, factor=3.0), 0.1)
    measured = measure_members("class", [sure])
    assert measured is not None
    assert measured.calibration is not None
    raw, calibrated = measured.calibration
    assert calibrated.debiased.high < raw.debiased.low
    assert decompose_brier(calibrated.bins).reliability < decompose_brier(raw.bins).reliability / 3
    few = fit_task(FORMS["class"], "t", draw_grades(4, 30), 0.1)
    assert few.calibrator is None
    assert few.check is not None
    assert few.check.answers is not None
    measured = measure_members("class", [few])
    assert measured is not None
    expected = trace_risk_coverage(
        few.check.answers.raw["p"].max(1),
        FIND_LOSS["class"](few.check.answers.raw, few.check.answers.truth)[:, 0],
    )
    assert measured.answering[""].curve.confidence == pytest.approx(expected.confidence)
