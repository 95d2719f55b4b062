"""How often the sets of `polytask trust` hold the truth, on simulated answers whose truth is known.

    python benchmarks/coverage.py [--draws 1000] [--json]

Each draw makes known answers, fits sets on them and looks at 400 new cases. One member: classes (95 : 5, class by
class), grades, labels and numbers, of which 200 are known. `five folds`: five members that agree in part, each with 40
known answers of its own. Printed are the share of sets with the truth, the share that k / (n + 1) says (of classes: of
each class), and how far single draws lie apart. Exit code 1 when a share is more than three standard errors below the
level.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from polytask.array_types import Floats
from polytask.tasks.task import Arrays
from polytask.trust.answer_forms import FORMS, FormTrust

ALPHA, KNOWN, NEW, FOLDS = 0.1, 200, 400, 5
RARE_SHARE = 0.05
Draw = Callable[[np.random.Generator, int], tuple[Arrays, Floats]]


def draw_rare_class(random: np.random.Generator, count: int) -> tuple[Arrays, Floats]:
    """Draw answers of a model that sees a rare class badly."""
    truth = (random.uniform(size=count) < RARE_SHARE).astype(np.float64)
    p = 1 / (1 + np.exp(-random.normal(np.where(truth == 1, -0.5, -2.5), 1.0)))
    return {"p": np.stack([1 - p, p], 1)}, truth


def draw_grades(random: np.random.Generator, count: int) -> tuple[Arrays, Floats]:
    """Draw probabilities of four grades and a truth that they overstate."""
    logits = random.normal(0, 1, (count, 4)) - np.abs(np.arange(4) - random.uniform(0, 3, (count, 1)))
    true, told = (np.exp(f * logits) / np.exp(f * logits).sum(1, keepdims=True) for f in (1.0, 2.0))
    value = (random.uniform(size=(count, 1)) > true.cumsum(1)).sum(1)
    return {"p": told}, np.minimum(value, 3).astype(np.float64)


def draw_labels(random: np.random.Generator, count: int) -> tuple[Arrays, Floats]:
    """Draw probabilities of three labels that are too high."""
    p = random.uniform(0.02, 0.98, (count, 3))
    return {"p": p}, (random.uniform(size=p.shape) < p**1.5).astype(np.float64)


def draw_numbers(random: np.random.Generator, count: int) -> tuple[Arrays, Floats]:
    """Draw numbers with errors that are sometimes large."""
    truth = random.normal(size=count)
    return {"value": truth + random.standard_t(3, count)}, truth


CASES: Mapping[str, tuple[FormTrust, Draw]] = {
    "classes": (FORMS["class"], draw_rare_class),
    "grades": (FORMS["grade"], draw_grades),
    "labels": (FORMS["labels"], draw_labels),
    "numbers": (FORMS["number"], draw_numbers),
}


def measure_form(
    form: FormTrust, draw: Draw, random: np.random.Generator
) -> tuple[dict[str, float], dict[str, float]]:
    """Fit sets on one draw of known answers → (stratum → share of new sets with the truth, stratum → what k / (n + 1)
    says)."""
    prediction, truth = draw(random, KNOWN)
    known = np.ones(truth.shape, bool)
    scores = form.list_scores(prediction, truth, known, random.uniform(size=KNOWN))
    new, true = draw(random, NEW)
    sets = form.make_sets([new], [scores], ALPHA, random.uniform(size=NEW))
    held = form.find_covered(sets, true)
    strata = form.list_strata(true) or {"": np.ones(held.shape, bool)}
    expected = {s: np.ceil((len(own) + 1) * (1 - ALPHA) - 1e-9) / (len(own) + 1) for s, own in scores.items()}
    return {s: float(held[which].mean()) for s, which in strata.items()}, expected


def measure_folds(random: np.random.Generator) -> float:
    """Rank new numbers with five members that share half of their error → share of intervals with the truth."""
    form, scores, told = FORMS["number"], [], []
    true = random.normal(size=NEW)
    common = random.normal(size=NEW)
    for _ in range(FOLDS):
        error = random.normal(size=KNOWN // FOLDS) * np.sqrt(2)
        every = np.ones(len(error), bool)
        scores.append(form.list_scores({"value": error}, np.zeros(len(error)), every, np.ones(len(error))))
        told.append({"value": true + common + random.normal(size=NEW)})
    return float(form.find_covered(form.make_sets(told, scores, ALPHA, np.ones(NEW)), true).mean())


def summarize_shares(
    name: str, shares: Sequence[float], expected: Sequence[float]
) -> dict[str, float | str | bool]:
    """Summarize the shares of all draws."""
    error = float(np.std(shares) / np.sqrt(len(shares)))
    mean = float(np.mean(shares))
    return {
        "what": name,
        "held": mean,
        "expected": float(np.mean(expected)) if len(expected) else 1 - ALPHA,
        "sd": float(np.std(shares)),
        "missed": mean < 1 - ALPHA - 3 * error,
    }


def main() -> int:
    """Measure all forms and print a line for each of their strata."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--draws", type=int, default=1000)
    parser.add_argument("--json", action="store_true", help="one JSON document instead of lines")
    chosen = parser.parse_args()
    random, rows = np.random.default_rng(0), []
    for name, (form, draw) in CASES.items():
        found = [measure_form(form, draw, random) for _ in range(chosen.draws)]
        for stratum in sorted({s for held, _ in found for s in held}):
            held = [own[stratum] for own, _ in found if stratum in own]
            expected = [own[stratum] for _, own in found if stratum in own]
            rows.append(summarize_shares(f"{name} {stratum}".strip(), held, expected))
    rows.append(summarize_shares("five folds", [measure_folds(random) for _ in range(chosen.draws)], []))
    if chosen.json:
        print(json.dumps(rows, indent=1))
    else:
        print(f"level {1 - ALPHA:g}, {KNOWN} known answers, {chosen.draws} draws")
        for row in rows:
            verdict = "MISSED" if row["missed"] else "ok"
            print(
                f"{row['what']}: held {row['held']:.4f}, k / (n + 1) {row['expected']:.4f}, "
                f"draw to draw {row['sd']:.3f}: {verdict}"
            )
    return int(any(row["missed"] for row in rows))


if __name__ == "__main__":
    raise SystemExit(main())
