"""Columns that say the group and the answer at an operating point."""

from __future__ import annotations

import numpy as np

from polytask.predict.decision_columns import make_decision_columns
from polytask.tasks import make_task
from polytask.training.decisions import Decisions, OperatingPoint


def test_a_new_patient_falls_into_a_group() -> None:
    task = make_task("os", {"kind": "survival", "level": "subject"})
    decisions = Decisions({"os": (0.0, 1.0)})
    said = [
        make_decision_columns(task, decisions, {"risk": np.array([-1.0, 0.5, 1.0, 7.0])}, k) for k in range(4)
    ]
    assert said == [{".group": g} for g in ("low risk", "middle risk", "middle risk", "high risk")]
    assert make_decision_columns(task, decisions, {"risk": np.array([np.nan])}, 0) == {}
    assert make_decision_columns(task, Decisions(), {"risk": np.array([1.0])}, 0) == {}


def test_the_class_at_an_operating_point() -> None:
    task = make_task("response", {"kind": "classification", "level": "subject", "classes": ("no", "yes")})
    decisions = Decisions({}, {"response": (OperatingPoint("", "sensitivity", 0.9, 0.2, 30, 12),)})
    p = {"p": np.array([[0.8, 0.2], [0.9, 0.1], [0.1, 0.9]])}
    said = [make_decision_columns(task, decisions, p, k)[".at_sensitivity_90"] for k in range(3)]
    assert said == ["yes", "no", "yes"]


def test_a_label_at_an_operating_point() -> None:
    task = make_task("findings", {"kind": "multilabel", "level": "visit", "labels": ("cyst", "stone")})
    decisions = Decisions({}, {"findings": (OperatingPoint("stone", "specificity", 0.95, 0.6, 30, 12),)})
    p = {"p": np.array([[0.9, 0.5], [0.1, 0.7]])}
    said = [make_decision_columns(task, decisions, p, k) for k in range(2)]
    assert said == [{".at_specificity_95.stone": "0"}, {".at_specificity_95.stone": "1"}]
