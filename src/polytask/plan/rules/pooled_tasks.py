"""Classification, multilabel, ordinal, regression and survival: frequencies, scales and curves of the train part."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import numpy as np

from polytask.cohort.header import Classification, Multilabel, Ordinal, Regression, Survival
from polytask.plan.rules.fold import FoldBasis
from polytask.plan.rules.horizons import LEAST_UNCENSORED, defined_horizons
from polytask.plan.rules.why import Why, percent
from polytask.plan.sketch import short
from polytask.tasks.constants import (
    constant_classification,
    constant_multilabel,
    constant_ordinal,
    constant_regression,
    constant_survival,
    hazard_bins,
    hazard_rates,
)
from polytask.tasks.curves import censoring_curve, survival_at

RAREST = 0.2
"""Below this share of the rarest class, classes are balanced (below half of an even share where there are many)."""
BUFFER = 256
EVENTS_PER_BIN = 5
LEAST_BINS, BINS = 4, 10
STARTS = "loss of answering these alone: the loss starts about 1"
Fields = dict[str, Any]


def _frequencies(basis: FoldBasis, name: str, classes: Sequence[str], why: Why) -> list[float]:
    values = [cast(int, v) for v in basis.values(name)]
    counts = np.bincount(np.array(values, int), minlength=len(classes))
    for label, count in zip(classes, counts, strict=True):
        if count == 0:
            raise basis.missing(name, f"class {label!r} does not occur")
    words = ", ".join(f"{label} {count}" for label, count in zip(classes, counts, strict=True))
    why["frequencies"] = f"known in train: {words}"
    return [short(float(c) / len(values), 5) for c in counts]


def plan_classification(basis: FoldBasis, name: str, task: Classification, why: Why) -> Fields:
    """Fields of `tasks.Classification`."""
    frequencies = _frequencies(basis, name, task.classes, why)
    limit = min(RAREST, 0.5 / len(task.classes))
    rarest = min(frequencies)
    balanced = rarest < limit
    why["."] = "classes and level as in the header; primary metric: auc"
    why["balanced"] = (
        f"{'on' if balanced else 'off'}: the rarest class has {percent(rarest)} (limit {percent(limit)})"
    )
    why["constant"] = STARTS
    return {
        "kind": "classification",
        "level": task.level,
        "classes": list(task.classes),
        "frequencies": frequencies,
        "balanced": balanced,
        "constant": short(constant_classification(frequencies, balanced), 5),
    }


def plan_ordinal(basis: FoldBasis, name: str, task: Ordinal, why: Why) -> Fields:
    """Fields of `tasks.Ordinal`."""
    frequencies = _frequencies(basis, name, task.order, why)
    why["."] = "classes, their order and level as in the header; primary metric: kappa"
    why["constant"] = STARTS
    return {
        "kind": "ordinal",
        "level": task.level,
        "classes": list(task.order),
        "frequencies": frequencies,
        "constant": short(constant_ordinal(frequencies), 5),
    }


def plan_multilabel(basis: FoldBasis, name: str, task: Multilabel, why: Why) -> Fields:
    """Fields of `tasks.Multilabel`."""
    rows = [cast(tuple[int | None, ...], v) for v in basis.values(name)]
    frequencies: list[float] = []
    known: list[int] = []
    for index, label in enumerate(task.labels):
        cells = [row[index] for row in rows if row[index] is not None]
        if len(set(cells)) < 2:
            raise basis.missing(name, f"label {label!r} is never {1 if not any(map(bool, cells)) else 0}")
        known.append(len(cells))
        frequencies.append(short(sum(map(bool, cells)) / len(cells), 5))
    rarest = min(min(f, 1 - f) for f in frequencies)
    balanced = rarest < RAREST
    words = ", ".join(
        f"{s} {percent(f)} of {n}" for s, f, n in zip(task.labels, frequencies, known, strict=True)
    )
    why["."] = "labels and level as in the header; primary metric: auc"
    why["frequencies"] = f"known in train: {words}"
    state = "on" if balanced else "off"
    why["balanced"] = f"{state}: the rarest answer has {percent(rarest)} (limit {percent(RAREST)})"
    why["constant"] = STARTS
    return {
        "kind": "multilabel",
        "level": task.level,
        "labels": list(task.labels),
        "frequencies": frequencies,
        "balanced": balanced,
        "constant": short(constant_multilabel(frequencies, balanced, known), 5),
    }


def plan_regression(basis: FoldBasis, name: str, task: Regression, why: Why) -> Fields:
    """Fields of `tasks.Regression`."""
    values = np.array([cast(float, v) for v in basis.values(name)], np.float64)
    if not values.size:
        raise basis.missing(name, "no value is known")
    mean, sd = short(float(values.mean())), short(float(values.std()))
    deviation = short(float(np.abs(values - np.median(values)).mean()))
    why["."] = "unit and level as in the header; primary metric: r2"
    why["mean"] = f"of {values.size} known training values ({values.min():g} to {values.max():g})"
    why["sd"] = f"of {values.size} known training values" + ("; all alike, so 1" if sd == 0 else "")
    why["deviation"] = f"mean absolute error of their median {np.median(values):g}"
    why["constant"] = STARTS
    sd = sd or 1.0
    return {
        "kind": "regression",
        "level": task.level,
        "mean": mean,
        "sd": sd,
        "unit": task.unit,
        "deviation": deviation,
        "constant": short(constant_regression(values.tolist(), mean, sd), 5),
    }


def _join_numbers(values: Sequence[float]) -> str:
    return ", ".join(f"{v:g}" for v in values)


def plan_survival(basis: FoldBasis, name: str, task: Survival, why: Why) -> Fields:
    """Fields of `tasks.Survival`."""
    pairs = np.array([cast(tuple[float, float], v) for v in basis.values(name)], np.float64).reshape(-1, 2)
    times, events = pairs.T
    happened = times[events > 0]
    if not happened.size:
        raise basis.missing(name, "no event is observed")
    seen = f"{happened.size} events among {times.size} known training times"
    horizons = [float(h) for h in task.horizons]
    censoring = censoring_curve(times, events)
    if horizons:
        why["horizons"] = "as in the header"
    elif horizons := defined_horizons(task.unit, times, events, censoring):
        why["horizons"] = f"1, 2 and 5 years where they lie within the follow-up ({seen})"
    else:
        horizons = sorted({short(float(q), 3) for q in np.quantile(happened, (0.25, 0.5, 0.75)) if q > 0})
        why["horizons"] = f"quartiles of the event times ({seen})"
    free = survival_at(censoring, np.array(horizons))
    lost = [h for h, g in zip(horizons, free, strict=True) if g < LEAST_UNCENSORED]
    if lost:
        why.extend("horizons", f"; at {_join_numbers(lost)} too few remain: not defined there")
    unit, longest = f" {task.unit}" if task.unit else "", float(times.max())
    if late := [h for h in horizons if h > longest]:
        why.extend(
            "horizons",
            f"; at {_join_numbers(late)} no probability: nobody was followed for longer than {longest:g}{unit}",
        )
    count = min(BINS, max(LEAST_BINS, happened.size // EVENTS_PER_BIN))
    *inner, end = hazard_bins(times.tolist(), events.tolist(), count)
    bins = [*sorted({b for b in map(short, inner) if 0 < b < end}), end]
    hazards = [short(h, 5) for h in hazard_rates(times.tolist(), events.tolist(), bins)]
    why["."] = "unit and level as in the header; primary metric: c"
    why["loss"] = (
        "cox: no intervals to choose; `hazard` is the alternative that gives probabilities without a baseline"
    )
    beyond = [h for h in horizons if end < h <= longest]
    why["bins"] = (
        f"{len(bins)} intervals with about as many events each, up to the last event at {end:g}{unit} ({seen}); "
        "used by `hazard`" + (f", which gives no probability at {_join_numbers(beyond)}" if beyond else "")
    )
    why["hazards"] = "share of those at risk with the event in each interval of `bins`; used by `hazard`"
    why["buffer"] = (
        f"subjects whose last scores stay in the risk set, so that a batch of {BUFFER} is stood in for"
    )
    why["censoring"] = (
        f"Kaplan–Meier of the censoring ({times.size - happened.size} of {times.size} training times)"
    )
    why["baseline"] = "filled after training, from the trained scores"
    why["constant"] = "loss per event of equal scores: the loss starts about 1"
    return {
        "kind": "survival",
        "level": task.level,
        "loss": "cox",
        "unit": task.unit,
        "horizons": horizons,
        "bins": bins,
        "hazards": hazards,
        "buffer": BUFFER,
        "censoring": {k: [short(float(v)) for v in values] for k, values in censoring.items()},
        "baseline": {},
        "constant": short(constant_survival(times.tolist(), events.tolist(), BUFFER), 5),
    }
