"""What a told spread changes: error of the answer, length and coverage of intervals, with and without it.

    python benchmarks/spread.py [--seeds 3] [--steps 600] [--worlds number,count,phantom] [--json]

`number` is a table of 8 columns whose noise grows ninefold along one of them, `count` a table of counts whose
overdispersion does, `phantom` a cohort of images in which a network also draws a mask. 400 subjects train (of the
phantom half of 96), the others are held out. Each seed has a cohort of its own; arms differ in `spread` alone.
Intervals of 90 % are fitted on half of the held-out subjects and looked at in the other, 50 times. `held loud`:
coverage in the third with the largest true noise, `held quiet` in that with the smallest; of the phantom in thirds of
the true number. Printed are means over seeds, of errors and lengths also the paired difference from `none` with its
standard error. No bound: the figure is reported, whatever it is.
"""

from __future__ import annotations

import argparse
import csv
import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from polytask.array_types import Floats

ARMS = ("none", "gaussian", "quantile")
TRAIN, HELD_OUT, COLUMNS, SPLITS, ALPHA = 400, 400, 8, 50, 0.1
PHANTOM_SUBJECTS, PHANTOM_STEPS = 96, 150
TASKS = {"number": "y", "count": "y", "phantom": "diameter"}
Scores = dict[str, float]


def draw_table(world: str, seed: int) -> tuple[Floats, Floats, Floats]:
    """Draw columns `[N, 8]`, truths and the standard deviation of their noise `[N]`."""
    random = np.random.default_rng(seed)
    x = random.normal(size=(TRAIN + HELD_OUT, COLUMNS))
    loudness = 1 / (1 + np.exp(-2 * x[:, 7]))
    if world == "number":
        noise = 2.0 + 16.0 * loudness
        return x, 50 + 10 * x[:, 0] + 6 * x[:, 1] * (x[:, 2] > 0) + noise * random.normal(size=len(x)), noise
    mean = np.exp(2.0 + 0.5 * x[:, 0] + 0.3 * x[:, 1])
    dispersion = 0.02 + 0.6 * loudness
    rate = random.gamma(1 / dispersion, dispersion * mean)
    return x, random.poisson(rate).astype(np.float64), np.sqrt(mean + dispersion * mean**2)


def write_table_cohort(folder: Path, world: str, seed: int) -> dict[str, float]:
    """Write a cohort with its fold, and return subject → noise."""
    x, truth, noise = draw_table(world, seed)
    folder.mkdir(parents=True)
    names, ids = [f"x{k}" for k in range(COLUMNS)], [f"s{n:04d}" for n in range(len(x))]
    kind = "regression" if world == "number" else "count"
    header = {
        "polytask": 1,
        "name": world,
        "inputs": {"clinic": {"kind": "table", "columns": {name: {"type": "number"} for name in names}}},
        "tasks": {"y": {"kind": kind, "level": "subject"}},
    }
    (folder / "cohort.yaml").write_text(json.dumps(header))
    with (folder / "cases.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["subject", *names, "y"])
        for name, row, y in zip(ids, x, truth, strict=True):
            writer.writerow([name, *(f"{v:.4f}" for v in row), f"{y:g}"])
    cut = round(0.15 * TRAIN)
    fold = {"train": ids[cut:TRAIN], "tune": ids[:cut], "held_out": ids[TRAIN:]}
    content = {"polytask": 1, "scheme": "subject", "seed": seed, "folds": [fold]}
    (folder / "folds.json").write_text(json.dumps(content))
    return dict(zip(ids, noise.tolist(), strict=True))


def train_arms(world: str, seed: int, steps: int, folder: Path) -> dict[str, Scores]:
    """Plan one cohort, train every arm on it, and score each."""
    from polytask.cohort.phantom import make_phantom
    from polytask.evaluation import evaluate
    from polytask.plan.work_folder import plan_into
    from polytask.prepare import prepare
    from polytask.training import train

    cohort, work, task = folder / "cohort", folder / "work", TASKS[world]
    settings = [
        "training.threads=1",
        "training.workers=0",
        "training.precision=float32",
        "training.patience=0",
    ]
    noise: Mapping[str, float] = {}
    if world == "phantom":
        make_phantom(cohort, PHANTOM_SUBJECTS, 32, seed, 2, 1, ("lesion", "diameter"))
        settings += ["images.scan.widths=[8,16,32,32]"]
        plan_into(cohort, work, folds=2, settings=settings, jobs=1)
    else:
        noise = write_table_cohort(cohort, world, seed)
        plan_into(cohort, work, splits=cohort / "folds.json", settings=settings)
    prepare(work)
    scores = {}
    for arm in ARMS:
        overrides = () if arm == "none" else (f"folds.0.tasks.{task}.spread={arm}",)
        run = train(work, name=arm, seed=seed, steps=steps, overrides=overrides, device="cpu")
        evaluate(run.folder, device="cpu", resamples=1, hidden=False)
        scores[arm] = score_run(run.folder, task, noise)
    return scores


def score_run(folder: Path, task: str, noise: Mapping[str, float]) -> Scores:
    """Score a run: its errors, and intervals fitted on halves."""
    from polytask.evaluation.run_comparison import EvaluatedRun
    from polytask.trust.answer_forms import FORMS

    run = EvaluatedRun.read(folder)
    answers, form = run.answers.pooled[task], FORMS["number"]
    value, truth = answers.prediction["value"], answers.value
    loudness = np.array([noise.get(subject, y) for (subject, _), y in zip(answers.ids, truth, strict=True)])
    quiet, loud = (loudness <= np.quantile(loudness, 1 / 3)), (loudness >= np.quantile(loudness, 2 / 3))
    random = np.random.default_rng(0)
    held: dict[str, list[float]] = {"length": [], "held": [], "held quiet": [], "held loud": []}
    for _ in range(SPLITS):
        mine = random.permutation(len(truth)) < len(truth) // 2
        fit, other = answers.take(np.flatnonzero(mine)), answers.take(np.flatnonzero(~mine))
        known = form.list_scores(fit.prediction, fit.value, fit.known, np.zeros(len(fit.ids)))
        sets = form.make_sets([other.prediction], [known], ALPHA, np.zeros(len(other.ids)))
        covered = form.find_covered(sets, other.value)[:, 0]
        held["length"].append(float(form.measure_size(sets).mean()))
        held["held"].append(float(covered.mean()))
        held["held quiet"].append(float(covered[quiet[~mine]].mean()))
        held["held loud"].append(float(covered[loud[~mine]].mean()))
    error = value - truth
    figures = {"mae": float(np.abs(error).mean()), "rmse": float(np.sqrt((error**2).mean()))}
    if "lesion" in run.answers.voxel:
        figures["dice"] = run.evaluation.metrics["lesion"]["dice"].estimate
    if "spread" in answers.prediction:
        z = error / answers.prediction["spread"]
        figures["mean z²"] = float((z**2).mean())
        figures["spread and noise"] = float(np.corrcoef(answers.prediction["spread"], loudness)[0, 1])
    return figures | {name: float(np.mean(values)) for name, values in held.items()}


def summarize_world(found: Sequence[Mapping[str, Scores]]) -> dict[str, dict[str, str]]:
    """Summarize seeds: arm → figure → mean, of errors with the paired difference from `none` ± its standard error."""
    table: dict[str, dict[str, str]] = {}
    for arm in ARMS:
        table[arm] = {}
        for name in found[0][arm]:
            values = np.array([scores[arm][name] for scores in found])
            table[arm][name] = f"{values.mean():.3g}"
            if arm != "none" and name in ("mae", "rmse", "dice", "length"):
                gap = values - [scores["none"][name] for scores in found]
                table[arm][name] += f" ({gap.mean():+.2g} ± {gap.std(ddof=1) / len(gap) ** 0.5:.1g})"
    return table


def main() -> None:
    """Train all arms of all worlds and print a table for each world."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=600, help="of the tables")
    parser.add_argument("--worlds", default=",".join(TASKS), help="number, count, phantom")
    parser.add_argument("--json", action="store_true", help="one JSON document instead of tables")
    chosen = parser.parse_args()
    results: dict[str, Any] = {}
    for world in chosen.worlds.split(","):
        found = []
        for seed in range(chosen.seeds):
            with tempfile.TemporaryDirectory() as folder:
                steps = PHANTOM_STEPS if world == "phantom" else chosen.steps
                found.append(train_arms(world, seed, steps, Path(folder)))
        results[world] = summarize_world(found)
    if chosen.json:
        print(json.dumps(results, indent=1, ensure_ascii=False))
        return
    for world, table in results.items():
        names = list(dict.fromkeys(name for own in table.values() for name in own))
        print(f"\n{world}\n\n| spread | {' | '.join(names)} |\n{'|---' * (len(names) + 1)}|")
        for arm, own in table.items():
            print(f"| {arm} | {' | '.join(own.get(name, '–') for name in names)} |")


if __name__ == "__main__":
    main()
