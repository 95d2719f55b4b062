"""How often promises about masks and doses hold, on simulated networks whose cases are known.

    python benchmarks/mask_trust.py [--draws 1000] [--json]

Each draw makes held-out cases of one network, fits what `polytask trust` promises on them, and looks at 200 new
cases. A case is a line of voxels with a structure whose edges the network sees in a wrong place, softly or sharply;
in one case in twelve it hardly sees the structure. A third of the cases lack it. `mean`: share of the structure that
the wider mask misses; `patients`: share of the patients of whom more than 1 − level is missed; `size`: sizes outside
their interval; `absent`: cases without the structure whose rank says that it is there; `dose`: patients of whom too
many voxels lie outside the interval. Printed are the mean over the draws, how far single draws lie apart, and what
the wider mask adds. Exit code 1 when one is more than three standard errors above 1 − level.
"""

from __future__ import annotations

import argparse
import json

import numpy as np

from polytask.array_types import Floats
from polytask.evaluation.structure_curves import THRESHOLDS
from polytask.trust.voxels.field_trust import FieldTrust, choose_reach
from polytask.trust.voxels.structure_cases import StructureCases
from polytask.trust.voxels.structure_trust import (
    choose_steps,
    fit_structure,
    make_volume_interval,
    rank_absence,
)

ALPHA, NEW, LACKING, SIDE, BLIND = 0.1, 200, 1 / 3, 60, 1 / 12


def draw_cases(random: np.random.Generator, count: int) -> StructureCases:
    """Draw cases of a network that sees a structure too small, with edges that are soft or sharp by chance."""
    place, radius = random.uniform(20, 40, (count, 1)), random.uniform(2, 12, (count, 1))
    present = random.uniform(size=(count, 1)) >= LACKING
    distance = np.abs(np.arange(SIDE) - place)
    true = (distance <= radius) & present
    blind = random.uniform(size=(count, 1)) < BLIND
    seen = radius * np.exp(random.normal(-0.1, 0.25, (count, 1))) - 12 * blind
    seen = np.where(present, seen, random.uniform(-12, 1, (count, 1)))
    # From here on as `count_structure_curves` counts, for all cases at once.
    p = 1 / (1 + np.exp((distance - seen) / random.uniform(0.2, 2.0, (count, 1))))
    p = p.astype(np.float32)
    drawn = p >= 0.5
    mass = (p * drawn).sum(1)
    inside = p[:, None, :] >= THRESHOLDS[:, None]
    return StructureCases(
        np.array([f"s{k}" for k in range(count)]),
        true.sum(1).astype(np.float64),
        (inside & true[:, None, :]).sum(2).astype(np.float64),
        inside.sum(2).astype(np.float64),
        drawn.sum(1).astype(np.float64),
        np.where(drawn.any(1), mass, p.max(1)).astype(np.float64),
        np.ones(count),
        np.ones(count, bool),
    )


def measure_draw(random: np.random.Generator, known: int) -> dict[str, float]:
    """Fit on one draw of known cases → what fails in new ones, and what the wider masks add."""
    fitted, other = fit_structure(draw_cases(random, known), ALPHA), draw_cases(random, NEW)
    present = other.take(other.true > 0)
    figures: dict[str, float] = {}
    for name, step in zip(("mean", "patients"), choose_steps([fitted], ALPHA), strict=True):
        missed = np.zeros(len(present.true)) if step is None else present.missed[:, step]
        figures[name] = float(missed.mean() if name == "mean" else (missed > ALPHA + 1e-9).mean())
        grown = SIDE * NEW if step is None else other.voxels[:, step].sum()
        figures[f"added {name}"] = float(grown / other.voxels[:, 0].sum() - 1)
    figures["plain"] = float(present.missed[:, 0].mean())
    low, high = make_volume_interval([fitted], [other.drawn], ALPHA)
    figures["size"] = float(((other.true < low - 1e-6) | (other.true > high + 1e-6)).mean())
    strange = rank_absence([fitted], [other.presence]) <= ALPHA + 1e-9
    figures["absent"] = float(strange[other.true == 0].mean())
    figures["seen"] = float(strange[other.true > 0].mean())
    errors: Floats = random.lognormal(0.0, 0.7, known + NEW)
    reach = choose_reach([FieldTrust(errors[:known])], ALPHA)
    figures["dose"] = float((errors[known:] > reach).mean())
    return figures


def main() -> int:
    """Measure with few and with more known cases, and print a line for each promise."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--draws", type=int, default=1000)
    parser.add_argument("--json", action="store_true", help="one JSON document instead of lines")
    chosen = parser.parse_args()
    random, rows = np.random.default_rng(0), []
    for known in (20, 60, 200):
        draws = [measure_draw(random, known) for _ in range(chosen.draws)]
        for name in draws[0]:
            values = np.array([own[name] for own in draws])
            error = float(values.std(ddof=1) / np.sqrt(len(values)))
            promised = name in ("mean", "patients", "size", "absent", "dose")
            rows.append(
                {
                    "known": known,
                    "what": name,
                    "mean": float(values.mean()),
                    "median": float(np.median(values)),
                    "sd": float(values.std(ddof=1)),
                    "broken": bool(promised and values.mean() > ALPHA + 3 * error),
                    "promised": promised,
                }
            )
    if chosen.json:
        print(json.dumps({"level": 1 - ALPHA, "draws": chosen.draws, "rows": rows}, indent=1))
    else:
        print(f"level {1 - ALPHA:g}, {NEW} new cases, {chosen.draws} draws")
        for row in rows:
            verdict = "" if not row["promised"] else ": BROKEN" if row["broken"] else ": ok"
            print(
                f"known {row['known']}, {row['what']}: {row['mean']:.4f}, median {row['median']:.4f}, "
                f"draw to draw {row['sd']:.3f}{verdict}"
            )
    return int(any(row["broken"] for row in rows))


if __name__ == "__main__":
    raise SystemExit(main())
