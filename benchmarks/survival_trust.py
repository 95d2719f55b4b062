"""How many patients live beyond the bounds of `polytask trust`, and how calibrated times are, where the truth is known.

    python benchmarks/survival_trust.py [--draws 200] [--known 200] [--tests] [--json]

Each draw of a world makes 300 patients, on whom a Cox model is fitted, `--known` held-out ones, on whom bounds and
calibrators are fitted, and 1,000 new ones with their true times. Times are Weibull with proportional hazards, or
log-normal with a spread that grows with a column, which no Cox model describes; follow-up ends by chance, earlier for
those at higher risk, or earlier for those with a column that also matters for the time; 30 or 60 % are censored. Three
models: the fitted one (sound), one that tells risks twice as large as they are (too sure), and one that sees nothing
of the patient (blind). Level 90 %.

Printed are the share of new patients who live beyond the bound, the share of the mean bound in the mean of the true
10 % quantiles, the mean bracket of the check, and how often a test says "not calibrated" at p < 0.05 before and after
calibration. Exit code 1 when a share is more than three standard errors below the level, or a bound of a sound model
below half of the true quantile. With `--tests`: how often the test at a horizon rejects true probabilities.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.stats import chi2, norm

from polytask.array_types import Floats
from polytask.inference.pooled_answers import PooledAnswers
from polytask.kinds.step_curves import evaluate_hazard
from polytask.statistics.cox_model import fit_cox
from polytask.tasks.survival import Survival
from polytask.trust.survival.bounds import bracket_coverage, fit_bounds
from polytask.trust.survival.calibration_tests import (
    estimate_event_share,
    measure_horizon_log_loss,
    run_curve_calibration_test,
    run_horizon_calibration_test,
    split_by_probability,
)
from polytask.trust.survival.cases import SurvivalCases
from polytask.trust.survival.curves import add_curves, list_curve_times
from polytask.trust.survival.fit_survival import (
    SurvivalMember,
    SurvivalPlace,
    SurvivalTrust,
    fit_survival,
)
from polytask.trust.survival.survival_cells import make_new_bounds

ALPHA, TRAINED, NEW, COLUMNS = 0.1, 300, 1000, 3
SHAPE = 1.3
EFFECTS = np.array([0.9, 0.5, 0.0])
Random = np.random.Generator


@dataclass(frozen=True)
class Patients:
    """Patients with their columns, true times, and what is known of them."""

    x: Floats
    truth: Floats
    times: Floats
    events: Floats


@dataclass(frozen=True)
class Place:
    """A world, how follow-up ends in it, the share that is censored, and the model that is asked."""

    world: str
    lost: str
    censored: float
    model: str


def find_weibull_times(x: Floats, share: Floats) -> Floats:
    """Find the times by which a share `[N]` of patients with these columns have the event; proportional hazards."""
    return np.asarray(24 * (-np.log1p(-share) / np.exp(x @ EFFECTS)) ** (1 / SHAPE))


def find_log_normal_times(x: Floats, share: Floats) -> Floats:
    """Find the same where the spread grows with the first column."""
    return np.asarray(np.exp(3.0 - 0.6 * (x @ EFFECTS) + (0.5 + 0.3 * norm.cdf(x[:, 0])) * norm.ppf(share)))


TIMES: Mapping[str, Callable[[Floats, Floats], Floats]] = {
    "Weibull": find_weibull_times,
    "log-normal": find_log_normal_times,
}
LOST: Mapping[str, Callable[[Floats], Floats]] = {
    "by chance": lambda x: np.zeros(len(x)),
    "by risk": lambda x: 0.8 * (x @ EFFECTS),
    "by a column": lambda x: 1.2 * x[:, 1],
}
"""Mechanism of the censoring → its log hazard."""
MODELS: Mapping[str, float] = {"sound": 1.0, "too sure": 2.0, "blind": 0.0}
"""Model → factor of its risks."""


def draw_patients(random: Random, count: int, world: str, lost: str, censored: float) -> Patients:
    """Draw patients of a world."""
    x = random.normal(size=(count, COLUMNS))
    truth = TIMES[world](x, random.uniform(size=count))
    followed = random.exponential(size=count) * find_follow_up(world, lost, censored) / np.exp(LOST[lost](x))
    return Patients(x, truth, np.minimum(truth, followed), (truth <= followed).astype(float))


@lru_cache
def find_follow_up(world: str, lost: str, censored: float) -> float:
    """Find the mean follow-up at which this share is censored."""
    random = np.random.default_rng(12345)
    x = random.normal(size=(50_000, COLUMNS))
    truth = TIMES[world](x, random.uniform(size=len(x)))
    unit = random.exponential(size=len(x)) / np.exp(LOST[lost](x))
    return float(np.quantile(truth / unit, 1 - censored))


def fit_model(patients: Patients, factor: float) -> tuple[Survival, Floats]:
    """Fit a Cox model → (task with a baseline, coefficients of the risk that it tells)."""
    told = factor * fit_cox(patients.x, patients.times, patients.events).coefficients
    horizons = tuple(
        float(f"{t:.3g}") for t in np.quantile(patients.times[patients.events > 0], (0.25, 0.5, 0.75))
    )
    task = Survival("os", "subject", horizons=horizons)
    # The baseline is that of risks as they are told: what is too sure stays so.
    return task.with_baseline(
        (patients.x @ told).tolist(), patients.times.tolist(), patients.events.tolist()
    ), told


def make_answers(task: Survival, coefficients: Floats, patients: Patients) -> PooledAnswers:
    """Make the answers of a model to patients."""
    risk = patients.x @ coefficients
    ratio = np.exp(risk.clip(-50, 50))[:, None]
    hazard = evaluate_hazard(task.baseline, np.array(task.horizons))
    told = add_curves(task, {"risk": risk, "p": -np.expm1(-hazard * ratio)}, list_curve_times(task))
    value = np.stack([patients.times, patients.events], 1)
    ids = tuple((str(k), "") for k in range(len(risk)))
    return PooledAnswers(ids, told, value, np.ones(len(risk), bool))


def measure_draw(random: Random, place: Place, known: int, folds: int, whole: bool) -> dict[str, float]:
    """Fit on one draw of a world, and look at new patients with their true times.

    Args:
        whole: also fit calibrators and check on halves, which takes longest.
    """
    cases, tasks, answers, told = [], [], [], []
    new = draw_patients(random, NEW, place.world, place.lost, place.censored)
    for _ in range(folds):
        trained = draw_patients(random, TRAINED, place.world, place.lost, place.censored)
        held = draw_patients(random, known // folds, place.world, place.lost, place.censored)
        task, coefficients = fit_model(trained, MODELS[place.model])
        tasks.append(task)
        answers.append(make_answers(task, coefficients, held))
        cases.append(SurvivalCases.of(task, answers[-1], ALPHA))
        told.append(make_answers(task, coefficients, new).prediction)
    share, bounds = fit_bounds(cases, ALPHA)
    together = SurvivalPlace(share, tuple(SurvivalMember(known, 0, own) for own in bounds))
    bound = make_new_bounds(together, tasks, told, ALPHA)
    oracle = TIMES[place.world](new.x, np.full(NEW, ALPHA))
    row = {
        "held": float((bound <= new.truth).mean()),
        "size": float(bound.mean() / oracle.mean()),
        "none": float(share == 0),
    }
    row["low"], row["high"] = bracket_coverage(bound, new.times, new.events)
    if whole:
        row |= measure_calibration(fit_survival(tasks, answers, ALPHA), tasks[0], told[0], new)
    return row


def measure_calibration(
    fitted: SurvivalTrust, task: Survival, told: Mapping[str, Floats], new: Patients
) -> dict[str, float]:
    """Measure on 200 of the new patients how often tests reject, before and after, and the log loss."""
    some = slice(0, 200)
    value = np.stack([new.times, new.events], 1)
    prediction = {k: v[some] for k, v in told.items()}
    ids = tuple((str(k), "") for k in range(200))
    cases = SurvivalCases.of(task, PooledAnswers(ids, prediction, value[some], np.ones(200, bool)), ALPHA)
    (member,) = fitted.places[""].members
    passed, p = cases.passed, cases.p
    after_passed, after = passed, p
    if member.percentiles is not None:
        after_passed, after = member.percentiles.apply(passed), member.percentiles.apply(p)
    elif member.horizons is not None:
        after = member.horizons.apply(p)
    middle = task.horizons[1]
    outcome = (cases.times, cases.events)
    return {
        "d raw": float(run_curve_calibration_test(1 - passed, cases.seen).p < 0.05),
        "d": float(run_curve_calibration_test(1 - after_passed, cases.seen).p < 0.05),
        "one raw": float(run_horizon_calibration_test(p[:, 1], *outcome, middle).p < 0.05),
        "one": float(run_horizon_calibration_test(after[:, 1], *outcome, middle).p < 0.05),
        "loss raw": float(measure_horizon_log_loss(p, task.horizons, *outcome).mean()),
        "loss": float(measure_horizon_log_loss(after, task.horizons, *outcome).mean()),
        "refused": float(bool(member.refused)),
        "percentiles": float(member.percentiles is not None),
    }


def list_places() -> list[Place]:
    """List what is measured: every world with a sound model, and two bad models where it is hardest."""
    sound = [Place(w, lost, c, "sound") for w in TIMES for lost in LOST for c in (0.3, 0.6)]
    return sound + [Place("Weibull", "by risk", 0.6, model) for model in ("too sure", "blind")]


def summarize_rows(place: Place, folds: int, rows: list[dict[str, float]]) -> dict[str, str | float | bool]:
    """Summarize the draws of one world."""
    keys = dict.fromkeys(key for row in rows for key in row)
    means = {k: float(np.nanmean([row[k] for row in rows if k in row])) for k in keys}
    held = [row["held"] for row in rows]
    error = float(np.std(held) / np.sqrt(len(held)))
    name = f"{place.world}, censored {place.censored:.0%} {place.lost}, {place.model}"
    missed = means["held"] < 1 - ALPHA - 3 * error
    small = place.model == "sound" and means["size"] < 0.5
    what: dict[str, str | float | bool] = {
        "what": name + (f", {folds} folds" if folds > 1 else ""),
        "sd": float(np.std(held)),
    }
    return what | means | {"missed": missed, "small": small}


def count_rejections(lost: str, censored: float, draws: int, count: int = 200) -> tuple[float, float]:
    """Count how often true probabilities are rejected at p < 0.05 → (share of the test here, share where all patients
    of a group count, as in D'Agostino and Nam)."""
    random, rejected = np.random.default_rng(0), np.zeros((draws, 2))
    for k in range(draws):
        own = draw_patients(random, count, "Weibull", lost, censored)
        horizon = float(np.quantile(own.times[own.events > 0], 0.5))
        p = -np.expm1(-np.exp(own.x @ EFFECTS) * (horizon / 24) ** SHAPE)
        rejected[k, 0] = run_horizon_calibration_test(p, own.times, own.events, horizon).p < 0.05
        groups, statistic = split_by_probability(p), 0.0
        for group in groups:
            mean = float(p[group].mean())
            share, _ = estimate_event_share(own.times[group], own.events[group], horizon)
            statistic += len(group) * (share - mean) ** 2 / (mean * (1 - mean))
        rejected[k, 1] = chi2.sf(statistic, len(groups)) < 0.05
    here, others = rejected.mean(0)
    return float(here), float(others)


def main() -> int:
    """Measure all worlds and print a line or two for each."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--draws", type=int, default=200)
    parser.add_argument("--checked", type=int, default=20, help="draws on which calibration is looked at too")
    parser.add_argument("--tests", action="store_true", help="only: how often the test rejects the truth")
    parser.add_argument("--known", type=int, default=200)
    parser.add_argument("--json", action="store_true", help="one JSON document instead of lines")
    chosen = parser.parse_args()
    if chosen.tests:
        for lost in LOST:
            for censored in (0.3, 0.6):
                here, others = count_rejections(lost, censored, chosen.draws)
                print(
                    f"censored {censored:.0%} {lost}: rejected {here:.1%}, with all n {others:.1%}",
                    flush=True,
                )
        return 0
    asked = [(place, 1) for place in list_places()]
    asked += [(Place("Weibull", "by risk", c, "sound"), 5) for c in (0.3, 0.6)]
    rows = []
    for place, folds in asked:
        random = np.random.default_rng(0)
        draws = [
            measure_draw(random, place, chosen.known, folds, folds == 1 and k < chosen.checked)
            for k in range(chosen.draws)
        ]
        rows.append(summarize_rows(place, folds, draws))
        if not chosen.json:
            print_row(rows[-1])
    if chosen.json:
        print(json.dumps(rows, indent=1))
    return int(any(row["missed"] or row["small"] for row in rows))


def print_row(row: Mapping[str, str | float | bool]) -> None:
    """Print one world."""
    verdict = "MISSED" if row["missed"] else "SMALL" if row["small"] else "ok"
    print(
        f"{row['what']}: held {row['held']:.4f} (draw to draw {row['sd']:.3f}; bracket {row['low']:.2f} to "
        f"{row['high']:.2f}), bound {row['size']:.2f} of the true quantile, none in {row['none']:.0%}: {verdict}",
        flush=True,
    )
    if "d raw" in row:
        print(
            f"    rejected raw → calibrated: D {row['d raw']:.0%} → {row['d']:.0%}, at a horizon {row['one raw']:.0%} "
            f"→ {row['one']:.0%}; log loss {row['loss raw']:.3f} → {row['loss']:.3f}; refused {row['refused']:.0%}, "
            f"percentiles {row['percentiles']:.0%}",
            flush=True,
        )


if __name__ == "__main__":
    raise SystemExit(main())
