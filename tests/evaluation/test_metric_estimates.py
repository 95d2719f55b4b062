from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score, r2_score, roc_auc_score

from polytask.errors import PolytaskError
from polytask.evaluation.evaluate_run import evaluate_answers
from polytask.evaluation.metric_calculator import MetricCalculator
from polytask.evaluation.metric_estimates import (
    count_evidence,
    describe_task,
    estimate_metrics,
    estimate_metrics_by_site,
)
from polytask.evaluation.metrics_by_kind import measure_survival
from polytask.evaluation.part_answers import CaseMetrics, PartAnswers
from polytask.evaluation.part_statistic import CaseMetricMatrix, PartStatistic, is_metric
from polytask.tasks import make_task
from tests.evaluation.worlds import answers, items

RECORD = {"name": "x", "fold": 1, "seed": 0, "sharing": "hard"}
TWO = make_task("type", {"kind": "classification", "level": "visit", "classes": ("no", "yes")})
GRADE = make_task("grade", {"kind": "ordinal", "level": "visit", "classes": ("1", "2", "3")})
SIZE = make_task("size", {"kind": "regression", "level": "visit", "deviation": 2.0})
FINDINGS = make_task("findings", {"kind": "multilabel", "level": "visit", "labels": ("a", "b.c")})
OS = make_task("os", {"kind": "survival", "level": "subject", "horizons": (5.0,), "unit": "days"})
MASK = make_task("mask", {"kind": "segmentation", "structures": ("s", "t"), "exclusive": True})


def probabilities(positive: np.ndarray) -> np.ndarray:
    return np.stack([1 - positive, positive], 1)


def test_estimates_are_those_of_sklearn_with_intervals_around() -> None:
    random = np.random.default_rng(0)
    truth = random.integers(0, 2, 60)
    p = np.clip(0.3 * truth + 0.7 * random.random(60), 0, 1)
    grades = random.integers(0, 3, 60)
    votes = np.eye(3)[random.integers(0, 3, 60)]
    sizes, guess = random.normal(size=60), random.normal(size=60)
    given = answers(
        {
            "type": items({"p": probabilities(p)}, truth),
            "grade": items({"p": votes}, grades),
            "size": items({"value": guess}, sizes),
        }
    )
    tasks = {"type": TWO, "grade": GRADE, "size": SIZE}
    found = evaluate_answers(tasks, given, RECORD, "tune", resamples=200)
    area = found.metrics["type"]["auc"]
    assert area.estimate == pytest.approx(roc_auc_score(truth, p))
    assert area.reason == ""
    assert area.low < area.estimate < area.high
    assert area.n == 60
    kappa = cohen_kappa_score(grades, votes.argmax(1), weights="quadratic")
    assert found.metrics["grade"]["kappa"].estimate == pytest.approx(kappa)
    assert found.metrics["size"]["r2"].estimate == pytest.approx(r2_score(sizes, guess))
    assert found.skill["type"].estimate == pytest.approx(2 * roc_auc_score(truth, p) - 1)
    mean = np.mean([found.skill[t].estimate for t in tasks])
    assert found.mean_skill.estimate == pytest.approx(mean)
    assert found.mean_skill.n == 3
    assert (found.part, found.fold, found.tasks["grade"]["names"]) == ("tune", 1, ["1", "2", "3"])


def test_a_missing_class_makes_the_metric_undefined_with_n_0() -> None:
    given = answers({"type": items({"p": probabilities(np.array([0.2, 0.6, 0.9]))}, [1, 1, 1])})
    found = evaluate_answers({"type": TWO}, given, RECORD, "held_out", resamples=20)
    area = found.metrics["type"]["auc"]
    assert np.isnan(area.estimate)
    assert np.isnan(area.low)
    assert area.n == 0
    assert found.metrics["type"]["accuracy"].estimate == pytest.approx(2 / 3)
    assert found.metrics["type"]["accuracy"].n == 3
    assert found.skill["type"].n == 0
    assert np.isnan(found.mean_skill.estimate)
    assert found.as_dict()["metrics"]["type"]["auc"]["n"] == 0


@pytest.mark.parametrize("task", [TWO, GRADE, SIZE, FINDINGS, OS, MASK], ids=lambda t: t.kind)
def test_nobody_answered_is_no_crash(task: object) -> None:
    name = task.name  # type: ignore[attr-defined]
    empty = items({}, np.zeros(0))
    voxel = {name: CaseMetrics((), ())} if task is MASK else {}
    given = PartAnswers({"s0": "A", "s1": ""}, {} if voxel else {name: empty}, voxel, {name: 2})
    found = evaluate_answers({name: task}, given, RECORD, "held_out", resamples=5)  # type: ignore[dict-item]
    primary = found.primary(name)
    assert np.isnan(primary.estimate)
    assert primary.n == 0
    assert found.counts[name]["known"] == 0
    assert found.counts[name]["unanswered"] == 2


@pytest.mark.parametrize("task", [TWO, GRADE, SIZE, FINDINGS, OS], ids=lambda t: t.kind)
def test_nothing_known_is_undefined(task: object) -> None:
    width = {"findings": 2, "os": 2}.get(task.name, 0)  # type: ignore[attr-defined]
    value = np.zeros((4, width) if width else 4)
    known = np.zeros((4, 2) if task is FINDINGS else 4, bool)
    predictions = {
        "type": {"p": np.full((4, 2), 0.5)},
        "grade": {"p": np.full((4, 3), 1 / 3)},
        "size": {"value": np.zeros(4)},
        "findings": {"p": np.full((4, 2), 0.5)},
        "os": {"risk": np.zeros(4), "p": np.zeros((4, 1))},
    }
    given = answers({task.name: items(predictions[task.name], value, known)})  # type: ignore[attr-defined]
    found = evaluate_answers({task.name: task}, given, RECORD, "held_out", resamples=5)  # type: ignore[attr-defined, dict-item]
    assert all(np.isnan(e.estimate) and e.n == 0 for e in found.metrics[task.name].values())  # type: ignore[attr-defined]


def test_labels_have_their_own_n() -> None:
    known = np.array([[1, 1], [1, 0], [1, 0], [1, 1], [0, 0]], bool)
    value = np.array([[1, 0], [0, 0], [1, 0], [0, 1], [0, 0]], float)
    given = answers(
        {
            "findings": items(
                {"p": np.array([[0.9, 0.1], [0.2, 0.5], [0.8, 0.5], [0.1, 0.9], [0.5, 0.5]])}, value, known
            )
        }
    )
    found = evaluate_answers({"findings": FINDINGS}, given, RECORD, "held_out", resamples=10)
    assert found.metrics["findings"]["auc.a"].n == 4
    assert found.metrics["findings"]["auc.b.c"].n == 2
    assert found.metrics["findings"]["auc"].n == 4
    assert found.counts["findings"]["labels"]["b.c"] == {"known": 2, "present": 1}


def test_a_horizon_without_a_probability_has_its_reason() -> None:
    fields = {"kind": "survival", "level": "subject", "horizons": (5.0, 50.0), "unit": "days"}
    curve = {"times": (3.0, 9.0), "hazard": (0.2, 0.4)}
    p = np.array([[0.1, np.nan]] * 4)
    found = items({"risk": np.arange(4.0), "p": p}, [[3, 1], [60, 1], [70, 0], [80, 0]])
    of = MetricCalculator(4, np.arange(4), 1000)
    measured = measure_survival(make_task("os", {**fields, "baseline": curve}), found, of)
    assert measured["brier.T5"].estimate == pytest.approx((0.9**2 + 3 * 0.1**2) / 4)
    assert np.isnan(measured["brier.T50"].estimate)
    assert measured["brier.T50"].shortage == "nobody in training was followed for longer than 9 days"
    lost = make_task("os", {**fields, "baseline": curve, "censoring": {"times": (4.0,), "survival": (0.05,)}})
    assert "fewer than a tenth" in measure_survival(lost, found, of)["auc.T5"].shortage
    hazard = make_task("os", {**fields, "loss": "hazard", "bins": (9.0,)})
    assert "where the intervals end" in measure_survival(hazard, found, of)["auc.T50"].shortage


def test_mask_metrics_are_means_over_the_cases_that_define_them() -> None:
    nan = float("nan")
    rows: list[dict[str, float]] = [
        {"n": 1.0, "dice": 0.5, "dice.s": 0.5, "hd95": 4.0, "empty_truth.s": 0.0, "empty_answer.s": 0.0},
        {"n": 1.0, "dice": 1.0, "dice.s": 1.0, "hd95": nan, "empty_truth.s": 1.0, "empty_answer.s": 1.0},
        {"n": 1.0, "dice": 0.3, "dice.t": 0.3, "hd95": 6.0, "empty_truth.t": 0.0, "empty_answer.t": 1.0},
    ]
    cases = CaseMetrics((("a", "1"), ("a", "2"), ("b", "1")), tuple(rows))
    found = evaluate_answers({"mask": MASK}, answers(voxel={"mask": cases}), RECORD, "held_out", resamples=50)
    metrics = found.metrics["mask"]
    assert metrics["dice"].estimate == pytest.approx(0.6)
    assert metrics["dice"].n == 3
    assert metrics["hd95"].estimate == pytest.approx(5)
    assert metrics["hd95"].n == 2
    assert metrics["dice.t"].n == 1
    assert metrics["dice.s"].estimate == pytest.approx(0.75)
    assert found.counts["mask"]["empty_truth"] == {"s": 1, "t": 0}
    assert found.counts["mask"]["empty_answer"] == {"s": 1, "t": 1}
    assert found.counts["mask"]["subjects"] == 2
    assert not any(m.startswith(("empty", "volume.", "n")) for m in metrics)
    assert found.counts["mask"]["missed"] == {"s": 0, "t": 1}
    assert found.counts["mask"]["only_predicted"] == {"s": 0, "t": 0}
    assert np.isnan([metrics["dice"].low, metrics["dice"].high]).all()
    assert metrics["dice"].reason == "too few: 2 subjects, 20 needed"


def test_sites_get_their_own_numbers() -> None:
    truth, p = [1, 0, 1, 0, 1, 0], np.array([0.9, 0.1, 0.8, 0.3, 0.1, 0.7])
    sites = {"s0": "A", "s1": "A", "s2": "A", "s3": "A", "s4": "B", "s5": "B"}
    given = answers({"type": items({"p": probabilities(p)}, truth)}, sites=sites)
    found = evaluate_answers({"type": TWO}, given, RECORD, "held_out", resamples=20)
    assert found.sites["A"]["type"]["auc"].estimate == 1
    assert found.sites["A"]["type"]["auc"].n == 4
    assert found.sites["B"]["type"]["auc"].estimate == 0
    one = answers({"type": items({"p": probabilities(p)}, truth)}, sites=dict.fromkeys(sites, "A"))
    found = evaluate_answers({"type": TWO}, one, RECORD, "held_out", resamples=20)
    assert found.sites == {"A": found.metrics}
    nowhere = answers({"type": items({"p": probabilities(p)}, truth)})
    assert evaluate_answers({"type": TWO}, nowhere, RECORD, "held_out", resamples=20).sites == {}


def test_mean_skill_means_the_same_tasks_in_every_resample() -> None:
    given = answers(
        {
            "type": items({"p": probabilities(np.array([0.1, 0.9, 0.2, 0.8]))}, [0, 1, 0, 1]),
            "size": items({"value": np.arange(4.0)}, np.arange(4.0)),
        }
    )
    statistic = PartStatistic({"type": TWO, "size": SIZE}, given, list(given.sites))
    assert statistic(np.array([0, 1, 2, 3]))["/skill"] == 1
    assert np.isnan(statistic(np.array([0, 0, 2, 2]))["/skill"])  # one class: no AUC
    assert statistic(np.array([0, 0, 2, 2]))["size/skill"] == 1


def test_case_table_of_no_case() -> None:
    assert np.isnan(CaseMetricMatrix(CaseMetrics((), ()), "dice")(np.zeros(0, np.int64))["dice"])
    assert [is_metric(m) for m in ("dice", "volume_error.x", "volume.x", "n.x", "empty_truth.x")] == [
        *(True, True, False, False, False)
    ]


def test_resamples_must_be_positive() -> None:
    with pytest.raises(PolytaskError, match="resamples is 0"):
        evaluate_answers({}, PartAnswers({}, {}, {}, {}), RECORD, "held_out", resamples=0)


def test_every_site_is_reported_when_its_metrics_are_done() -> None:
    found = answers(
        {"size": items({"value": [1.0, 2.0, 3.0, 5.0]}, [1.0, 2.0, 3.0, 4.0])},
        sites={"s0": "B", "s1": "A", "s2": "B", "s3": "A"},
    )
    told: list[tuple[int, int, str]] = []
    whole = estimate_metrics(PartStatistic({"size": SIZE}, found, list(found.sites)), 5)[0]
    metrics = estimate_metrics_by_site({"size": SIZE}, found, whole, 5, lambda *said: told.append(said))
    assert told == [(1, 2, "intervals of site A"), (2, 2, "intervals of site B")]
    assert {s: m["size"]["mae"].estimate for s, m in metrics.items()} == {"A": 0.5, "B": 0.0}


def test_a_single_site_has_the_metrics_of_all() -> None:
    found = answers({"size": items({"value": [1.0, 2.0]}, [1.0, 2.0])}, sites={"s0": "A", "s1": "A"})
    whole = estimate_metrics(PartStatistic({"size": SIZE}, found, list(found.sites)), 5)[0]
    assert estimate_metrics_by_site({"size": SIZE}, found, whole, 5) == {"A": whole}


def test_events_are_counted_among_the_known_and_nobody_has_none() -> None:
    value = np.array([[3.0, 1], [4.0, 0], [5.0, 1]])
    some = items({"risk": np.zeros(3), "p": np.zeros((3, 1))}, value, [True, True, False])
    found = answers({"os": some})
    assert count_evidence(OS, found) == {"items": 3, "events": 1, "known": 2, "subjects": 2, "unanswered": 0}
    nobody = items({"risk": np.zeros(0), "p": np.zeros((0, 1))}, np.zeros((0, 2)), np.zeros(0, bool))
    found = answers({"os": nobody})
    assert count_evidence(OS, found) == {"items": 0, "events": 0, "known": 0, "subjects": 0, "unanswered": 0}


def test_what_a_reader_has_to_know_of_a_task() -> None:
    assert describe_task(OS) == {
        "kind": "survival",
        "level": "subject",
        "primary": "c",
        "higher": True,
        "unit": "days",
        "names": [],
    }
    assert describe_task(MASK)["names"] == ["s", "t"]
    assert describe_task(FINDINGS)["unit"] == ""


def test_counts_of_each_kind_by_hand() -> None:
    graded = items({"p": np.zeros((4, 3))}, [0, 2, 2, 1], [True, True, True, False], ["a", "a", "b", "c"])
    found = count_evidence(GRADE, answers({"grade": graded}))
    assert found == {
        "items": 4,
        "classes": {"1": 1, "2": 0, "3": 2},
        "known": 3,
        "subjects": 2,
        "unanswered": 0,
    }
    known = np.array([[True, False], [False, False], [True, True]])
    value = np.array([[1.0, 1.0], [1.0, 1.0], [0.0, 1.0]])
    found = count_evidence(FINDINGS, answers({"findings": items({"p": np.zeros((3, 2))}, value, known)}))
    assert (found["known"], found["subjects"]) == (2, 2)
    assert found["labels"] == {"a": {"known": 2, "present": 1}, "b.c": {"known": 1, "present": 1}}
    rows = ({"n": 1.0, "empty_truth.s": 1.0, "empty_answer.s": 0.0, "empty_truth.t": 0.0}, {"n": 0.0})
    found = count_evidence(MASK, answers(voxel={"mask": CaseMetrics((("a", ""), ("b", "")), rows)}))
    assert (found["items"], found["known"], found["subjects"]) == (2, 1, 1)
    assert found["empty_truth"] == {"s": 1, "t": 0}
    assert found["empty_answer"] == {"s": 0, "t": 0}
    assert (found["missed"]["s"], found["only_predicted"]["s"]) == (0, 1)


def test_an_unknown_site_takes_no_part() -> None:
    sized = items({"value": np.array([1.0, 2.0, 3.0])}, [1.0, 3.0, 3.0])
    given = answers({"size": sized}, sites={"s0": "A", "s1": "B", "s2": ""})
    found = estimate_metrics_by_site({"size": SIZE}, given, {}, 10)
    assert {site: m["size"]["mae"].estimate for site, m in found.items()} == {"A": 0.0, "B": 1.0}
    one = answers({"size": sized}, sites={"s0": "A", "s1": "A", "s2": ""})
    assert estimate_metrics_by_site({"size": SIZE}, one, {}, 10)["A"]["size"]["mae"].n == 2
    assert estimate_metrics_by_site({"size": SIZE}, answers({"size": sized}), {}, 10) == {}
