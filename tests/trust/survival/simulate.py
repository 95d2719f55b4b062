"""Simulated patients with known times of the event, and a model that tells their risk."""

from __future__ import annotations

import numpy as np

from polytask.array_types import Floats
from polytask.inference.pooled_answers import PooledAnswers
from polytask.kinds.step_curves import TimeCurve, evaluate_hazard
from polytask.tasks.survival import Survival
from polytask.trust.survival.curves import add_curves, list_curve_times

HORIZONS = (6.0, 18.0)


def make_cox_task(factor: float = 1.0, landmarks: tuple[str, ...] = ()) -> Survival:
    """A task whose baseline hazard is t / 20, learned at 100 times up to 60."""
    times = np.linspace(0.6, 60, 100)
    baseline = {"times": tuple(times), "hazard": tuple(factor * times / 20)}
    curves: dict[str, TimeCurve] = {visit: {"times": (), "survival": ()} for visit in landmarks}
    return Survival(
        "os", "visit" if landmarks else "subject", horizons=HORIZONS, baseline=baseline, landmarks=curves
    )


def draw_survival(
    seed: int, count: int, censored_rate: float = 0.03, told: float = 1.0, visit: str = ""
) -> tuple[PooledAnswers, Floats]:
    """Draw patients with the hazard exp(risk) / 20, who are lost earlier the higher it is → (answers of a model that
    tells `told` times their risk, true times)."""
    random = np.random.default_rng(seed)
    risk = random.normal(size=count)
    truth = random.exponential(size=count) * 20 / np.exp(risk)
    followed = (
        random.exponential(size=count) / (censored_rate * np.exp(0.5 * risk)) if censored_rate else np.inf
    )
    value = np.stack([np.minimum(truth, followed), truth <= followed], 1)
    return answer(make_cox_task(), told * risk, value, visit), truth


def answer(task: Survival, risk: Floats, value: Floats, visit: str = "") -> PooledAnswers:
    """Make answers with curves of a Cox model."""
    hazard = evaluate_hazard(task.baseline, np.array(task.horizons))
    prediction = {"risk": risk, "p": -np.expm1(-hazard * np.exp(risk)[:, None])}
    ids = tuple((f"s{k}", visit) for k in range(len(risk)))
    told = add_curves(task, prediction, list_curve_times(task))
    return PooledAnswers(ids, told, value, np.ones(len(risk), bool))
