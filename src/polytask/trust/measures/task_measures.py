"""What is measured of one task beside its sets: whether probabilities come true, and when not to answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from polytask.array_types import NAN, Floats
from polytask.kinds.kind import AnswerForm
from polytask.trust.calibration_measures import ErrorInterval, measure_calibration_errors
from polytask.trust.measures.cross_fitted import CrossFitted
from polytask.trust.measures.questions import Question, list_questions
from polytask.trust.measures.refer import ReferRule, fit_refer_rule
from polytask.trust.measures.reliability import ReliabilityBins, sum_reliability_bins
from polytask.trust.measures.risk_coverage import (
    RiskCoverage,
    compute_augrc,
    compute_aurc,
    trace_risk_coverage,
)

MAX_STEPS = 200
"""Steps of a curve that are kept; a picture shows no more."""


@dataclass(frozen=True)
class Reliability:
    """A record of how far probabilities come true.

    Args:
        n: how many probabilities: of two classes one for each answer, of more one for each class, of labels one for
            each known label. subjects: whose they are.
        bins: see `ReliabilityBins`. debiased, smooth: see `measure_calibration_errors`.
    """

    n: int
    subjects: int
    bins: ReliabilityBins
    debiased: ErrorInterval
    smooth: ErrorInterval


@dataclass(frozen=True)
class Answering:
    """How the error of one question falls when the least sure answers are left to people.

    Args:
        n: known answers. error: of all of them. aurc, augrc: see `compute_aurc` and `compute_augrc`.
        curve: at most `MAX_STEPS` steps of it. refer: the threshold that was asked for, if one was.
    """

    n: int
    error: float
    aurc: float
    augrc: float
    curve: RiskCoverage
    refer: ReferRule | None = None


@dataclass(frozen=True)
class TaskMeasures:
    """What is measured of one task on known held-out answers, all members together.

    Args:
        calibration: (raw, calibrated by other subjects); None without probabilities.
        answering: label ("" of a task with one question) → its curve, of the answers as they are given.
    """

    calibration: tuple[Reliability, Reliability] | None = None
    answering: dict[str, Answering] = field(default_factory=dict)


def measure_task(
    form: AnswerForm, answers: CrossFitted, given: CrossFitted, refer: float | None = None, seed: int = 0
) -> TaskMeasures:
    """Measure the answers of one task.

    Args:
        answers: with the calibrator of each member. given: the same, raw where that calibrator was refused.
        refer: the error that is allowed among the answered; None: no threshold is asked for.
    """
    calibration = None
    if "p" in answers.raw:
        raw, calibrated = (
            measure_reliability(form, answers, np.asarray(told["p"], np.float64), seed)
            for told in (answers.raw, answers.calibrated)
        )
        calibration = raw, calibrated
    questions = list_questions(
        form, given.calibrated, np.asarray(given.truth, np.float64), given.known, given.subjects
    )
    return TaskMeasures(
        calibration, {name: measure_answering(q, refer, seed) for name, q in questions.items() if len(q.loss)}
    )


def measure_reliability(form: AnswerForm, answers: CrossFitted, p: Floats, seed: int = 0) -> Reliability:
    """Measure how far the probabilities `[N, C]` come true; of two classes the second one alone."""
    truth = answers.truth
    happened = (
        np.asarray(truth, np.float64) if truth.ndim == 2 else np.eye(p.shape[1])[truth.astype(np.int64)]
    )
    known = np.broadcast_to(answers.known if answers.known.ndim == 2 else answers.known[:, None], p.shape)
    if form != "labels" and p.shape[1] == 2:
        # The probability of the first class is one minus this one, and would count every answer twice.
        p, happened, known = p[:, 1:], happened[:, 1:], known[:, 1:]
    who = np.broadcast_to(answers.subjects[:, None], p.shape)[known]
    told, seen = p[known], happened[known]
    debiased, smooth = measure_calibration_errors(told, seen, who, seed)
    return Reliability(len(told), len(np.unique(who)), sum_reliability_bins(told, seen), debiased, smooth)


def measure_answering(question: Question, refer: float | None = None, seed: int = 0) -> Answering:
    """Measure how the error of a question falls when the least sure answers are left out."""
    curve = trace_risk_coverage(question.confidence, question.loss)
    steps = len(curve.coverage)
    kept = np.unique(np.linspace(0, steps - 1, min(steps, MAX_STEPS)).round().astype(np.int64))
    return Answering(
        len(question.loss),
        float(question.loss.mean()),
        compute_aurc(curve),
        compute_augrc(curve),
        RiskCoverage(curve.coverage[kept], curve.risk[kept], curve.confidence[kept]),
        None if refer is None else fit_refer_rule(question, refer, seed),
    )


def describe_measures(measures: TaskMeasures) -> dict[str, Any]:
    """Return the measures as plain data."""
    return {key: _list_arrays(value) for key, value in asdict(measures).items()}


def _list_arrays(value: Any) -> Any:
    """Turn the arrays in nested dicts and tuples into lists."""
    if isinstance(value, dict):
        return {key: _list_arrays(own) for key, own in value.items()}
    if isinstance(value, tuple):
        return [_list_arrays(own) for own in value]
    return value.tolist() if isinstance(value, np.ndarray) else value


def parse_measures(entry: Mapping[str, Any]) -> TaskMeasures:
    """Parse the plain data that `describe_measures` returned."""
    pair = entry["calibration"]
    return TaskMeasures(
        pair and (_parse_reliability(pair[0]), _parse_reliability(pair[1])),
        {str(name): _parse_answering(own) for name, own in entry["answering"].items()},
    )


def _parse_reliability(entry: Mapping[str, Any]) -> Reliability:
    return Reliability(
        int(entry["n"]),
        int(entry["subjects"]),
        ReliabilityBins(*(_parse_numbers(entry["bins"][key]) for key in ("n", "p", "y", "pp", "py"))),
        *(
            ErrorInterval(*(_parse_number(entry[key][end]) for end in ("estimate", "low", "high", "chance")))
            for key in ("debiased", "smooth")
        ),
    )


def _parse_answering(entry: Mapping[str, Any]) -> Answering:
    curve, refer = entry["curve"], entry["refer"]
    return Answering(
        int(entry["n"]),
        _parse_number(entry["error"]),
        _parse_number(entry["aurc"]),
        _parse_number(entry["augrc"]),
        RiskCoverage(*(_parse_numbers(curve[key]) for key in ("coverage", "risk", "confidence"))),
        refer
        and ReferRule(
            float(refer["target"]),
            None if refer["threshold"] is None else float(refer["threshold"]),
            _parse_pair(refer["answered"]),
            _parse_pair(refer["error"]),
            str(refer["refused"]),
        ),
    )


def _parse_number(value: Any) -> float:
    return NAN if value is None else float(value)


def _parse_numbers(values: Sequence[Any]) -> Floats:
    return np.array([_parse_number(v) for v in values], np.float64)


def _parse_pair(pair: Sequence[Any]) -> tuple[float, float]:
    return _parse_number(pair[0]), _parse_number(pair[1])
