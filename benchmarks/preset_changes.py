"""What a preset gains by the parts that make it the published system: with them against without, on a phantom.

    python benchmarks/preset_changes.py [--preset NAME] [--seeds 3] [--steps 200] [--rows FILE] [--json]

`rpnet`: 2D phantoms at two visits, whose response is the change of the lesion; without: the response reads the three
deepest levels and no logits of the mask, as the preset did before. `mmdls`: 2D phantoms with a table, whose grade and
pattern feed survival; without: class vectors are inputs among the others, as they were before. `cascaded`: 2D phantoms
whose mask feeds pattern and diameter; without: the plain answer and its entropy instead of 4 Monte-Carlo passes.
`mtmedformer`: 2D phantoms with a mask, a grade and a pattern; without: the encoder is residual, as in `task_tokens`.

Each seed makes a phantom of its own; both sides train on the same fold with the same number of steps and the same seed.
Reported per metric: both sides, and the difference on the held-out part, as a mean over the seeds with its 95 %
interval (Student's t). There is no bound: the figure is reported, whatever it is.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev
from typing import Any

SIZE, EPOCHS, FOLDS = 32, 4, 3
SETTINGS = (
    "images.scan.widths=[8,16,32]",
    "images.scan.blocks=[1,1,1]",
    "images.scan.strides=[[1,1],[2,2],[2,2]]",
    "model.embedding=32",
    "training.batch=16",
    "training.rate=0.003",
    "training.precision=float32",
    "training.workers=0",
    "training.threads=1",
    "training.patience=0",
    "training.tune_every=2",
)
SIDES = ("with", "without")


@dataclass(frozen=True)
class PresetChange:
    """A preset, the phantom that it is tried on, and what takes the measured parts out again.

    Args:
        tasks: tasks of the phantom. visits: number of its visits.
        metrics: (task, metric) to report.
        without: values of the plan that make the preset what it was.
    """

    tasks: tuple[str, ...]
    visits: int
    metrics: tuple[tuple[str, str], ...]
    without: tuple[str, ...]


CHANGES = {
    "rpnet": PresetChange(
        ("lesion", "response"),
        2,
        (("response", "auc"), ("lesion", "dice")),
        ("model.after.response=[]", "model.visit_levels=null"),
    ),
    "mmdls": PresetChange(
        ("grade", "pattern", "os"),
        1,
        (("os", "c"), ("grade", "kappa"), ("pattern", "auc")),
        ("model.second_level=null",),
    ),
    "cascaded": PresetChange(
        ("lesion", "pattern", "diameter"),
        1,
        (("pattern", "auc"), ("diameter", "r2"), ("lesion", "dice")),
        ("model.passes=null",),
    ),
    "mtmedformer": PresetChange(
        ("lesion", "grade", "pattern"),
        1,
        (("lesion", "dice"), ("grade", "kappa"), ("pattern", "auc")),
        ("model.encoder=null",),
    ),
}


def measure_sides(
    chosen: argparse.Namespace, seed: int, sides: Sequence[str]
) -> Iterator[tuple[str, dict[str, float]]]:
    """Train sides on the phantom of a seed; yield (side, metric → value)."""
    from polytask.cohort.phantom import make_phantom
    from polytask.evaluation import evaluate
    from polytask.plan.work_folder import plan_into
    from polytask.prepare import prepare
    from polytask.training import train

    change, steps = CHANGES[chosen.preset], max(1, chosen.steps // EPOCHS)
    length = (f"training.epochs={EPOCHS}", f"training.steps_per_epoch={steps}")
    with tempfile.TemporaryDirectory() as folder:
        cohort, work = Path(folder) / "cohort", Path(folder) / "work"
        make_phantom(cohort, chosen.subjects, SIZE, seed, 2, change.visits, change.tasks)
        plan_into(cohort, work, folds=FOLDS, seed=seed, settings=(*SETTINGS, *length))
        prepare(work)
        for side in sides:
            overrides = change.without if side == "without" else ()
            started = time.process_time()
            run = train(work, preset=chosen.preset, name=side, seed=seed, device="cpu", overrides=overrides)
            seconds = time.process_time() - started
            metrics = evaluate(run.folder, device="cpu", resamples=50).metrics
            values = {f"{t} {m}": float(metrics[t][m].estimate) for t, m in change.metrics}
            yield side, values | {"seconds": seconds}


def summarize_differences(values: Sequence[float]) -> dict[str, float]:
    """Return mean and 95 % interval of differences, one per seed, by Student's t."""
    from scipy.stats import t

    if len(values) < 2:
        return {"mean": values[0], "low": float("nan"), "high": float("nan")}
    half = float(t.ppf(0.975, len(values) - 1)) * stdev(values) / len(values) ** 0.5
    return {"mean": mean(values), "low": mean(values) - half, "high": mean(values) + half}


def main() -> None:
    """Measure all seeds and print a line for each metric."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--preset", choices=list(CHANGES), default="rpnet")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--subjects", type=int, default=120)
    parser.add_argument(
        "--rows", type=Path, help="keep finished sides in this file, and do not train them again"
    )
    parser.add_argument("--json", action="store_true", help="one JSON document instead of lines")
    chosen = parser.parse_args()
    change = CHANGES[chosen.preset]
    rows: list[Any] = json.loads(chosen.rows.read_text()) if chosen.rows and chosen.rows.exists() else []
    for seed in range(chosen.seeds):
        rows += [{}] * (seed + 1 - len(rows))
        missing = [side for side in SIDES if side not in rows[seed]]
        for side, values in measure_sides(chosen, seed, missing) if missing else ():
            rows[seed] = rows[seed] | {side: values}
            if chosen.rows:
                chosen.rows.write_text(json.dumps(rows))
    names = [*(f"{task} {metric}" for task, metric in change.metrics), "seconds"]
    figures = {
        name: {
            **{side: mean(row[side][name] for row in rows) for side in SIDES},
            **summarize_differences([row["with"][name] - row["without"][name] for row in rows]),
        }
        for name in names
    }
    if chosen.json:
        print(json.dumps({"seeds": rows, "differences": figures}, indent=1))
        return
    print(f"{chosen.preset}: {chosen.subjects} phantoms of {SIZE}², {chosen.steps} steps, {len(rows)} seeds")
    for name, f in figures.items():
        spread = f"95 % {f['low']:+.3f} to {f['high']:+.3f}"
        print(f"{name}: {f['with']:.3f} against {f['without']:.3f}, difference {f['mean']:+.3f} ({spread})")


if __name__ == "__main__":
    main()
