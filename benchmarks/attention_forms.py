"""The published forms of MTAN and CTAN against their light forms and hard sharing: quality and cost.

    python benchmarks/attention_forms.py [--seeds 3] [--steps 100] [--subjects 120] [--work FOLDER] [--json]
    python benchmarks/attention_forms.py --source nsclc --data DIR [--seeds 3] [--steps 40] [--work FOLDER] [--json]

The presets `parallel` (hard sharing), `mtan_light`, `mtan`, `ctan_light` and `ctan`, on one fold, with the same steps.
`phantom`: 2D, whose mask, grade and diameter all follow from one radius. `nsclc`: lung CT crops with tumor
mask, histology and T stage, seen whole at 4 mm. Printed are, for every task, the effects of the published form against
the light form and of all four against hard sharing, in points of the task's metric on held-out subjects, positive if
better, with the 95 % interval of a study (subjects and trainings; `polytask.statistics.effect`); and for every preset
parameters, and the time of a step as a multiple of that of hard sharing, timed in turns with its quartiles. `--work`
keeps the runs in a folder, where a stopped measurement goes on: finished runs are kept. There is no bound: the figure
is reported, whatever it is.
"""

from __future__ import annotations

import argparse
import csv
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ARMS = ("mtan_light", "mtan", "ctan_light", "ctan")
HARD = "parallel"
COMPARED = (*((arm, HARD) for arm in ARMS), ("mtan", "mtan_light"), ("ctan", "ctan_light"))
"""Arm → the arm that it is compared with."""
PHANTOM_TASKS = ("lesion", "grade", "diameter")
PHANTOM_SIZE = 24
FOLDS = 3
BASELINE = "single"
EPOCHS = 5
LUNG_HEADER = """
polytask: 1
name: lung crops
inputs:
  scan: {kind: image, dims: 3, channels: {ct: CT}}
tasks:
  tumor: {kind: segmentation, image: scan, labels: {tumor: 1}}
  histology: {kind: classification, classes: [adenocarcinoma, squamous, large_cell, nos]}
  t_stage: {kind: ordinal, order: [T1, T2, T3, T4]}
"""
SETTINGS = (
    "images.scan.widths=[8,16,32]",
    "images.scan.blocks=[1,1,1]",
    "model.embedding=32",
    "training.rate=0.003",
    "training.precision=float32",
    "training.workers=0",
    "training.threads=1",
    "training.patience=0",
    f"training.tune_every={EPOCHS}",
    "training.balance.log_every=0",
)
SOURCE_SETTINGS = {
    "phantom": ("images.scan.strides=[[1,1],[2,2],[2,2]]", "training.batch=16"),
    "nsclc": (
        "images.scan.spacing=[4,4,4]",
        "images.scan.strides=[[1,1,1],[2,2,2],[2,2,2]]",
        "training.batch=4",
    ),
}
DEFAULT_STEPS = {"phantom": 100, "nsclc": 40}
RESAMPLES = 2000


def parse_form_options() -> argparse.Namespace:
    """Parse the options of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--source", choices=tuple(SOURCE_SETTINGS), default="phantom")
    parser.add_argument("--data", type=Path, help="folder of the data set `nsclc_ct`")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=0, help="of every network; default: 100, nsclc 40")
    parser.add_argument("--subjects", type=int, default=120)
    parser.add_argument("--work", type=Path, help="keep cohort, work folder and runs here")
    parser.add_argument("--json", action="store_true", help="one JSON document instead of lines")
    return parser.parse_args()


def write_lung_cohort(folder: Path, data: Path, subjects: int) -> None:
    """Write a cohort that names the files of the first subjects whose tumor has a contour."""
    with (data / "labels.csv").open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if int(row["mask_voxels"]) > 0]
    folder.mkdir(parents=True)
    (folder / "cohort.yaml").write_text(LUNG_HEADER, encoding="utf-8")
    lines = ["subject,scan.ct,tumor,histology,t_stage"]
    for row in rows[:subjects]:
        name = f"{int(row['PatientID']):03}"
        files = [str((data / part / f"{name}.nii.gz").resolve()) for part in ("images", "masks")]
        lines.append(",".join([f"lung{name}", *files, row["histology"], f"T{row['Tstage']}"]))
    (folder / "cases.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")


def prepare_work(chosen: argparse.Namespace, folder: Path) -> Path:
    """Make, plan and prepare the cohort, where the folder does not have it yet."""
    from polytask.cohort.phantom import make_phantom
    from polytask.plan.work_folder import plan_into
    from polytask.prepare import prepare

    cohort, work = folder / "cohort", folder / "work"
    if not cohort.exists():
        if chosen.source == "phantom":
            make_phantom(cohort, chosen.subjects, PHANTOM_SIZE, 0, 2, 1, PHANTOM_TASKS)
        else:
            write_lung_cohort(cohort, chosen.data, chosen.subjects)
    if not (work / "plan.yaml").exists():
        steps = chosen.steps or DEFAULT_STEPS[chosen.source]
        length = (f"training.epochs={EPOCHS}", f"training.steps_per_epoch={max(1, steps // EPOCHS)}")
        plan_into(cohort, work, folds=FOLDS, settings=(*SETTINGS, *SOURCE_SETTINGS[chosen.source], *length))
    prepare(work)
    return work


def train_arms(chosen: argparse.Namespace, work: Path) -> None:
    """Train and evaluate every preset with every seed, where that is not done yet."""
    from polytask.evaluation.evaluate_run import evaluate
    from polytask.training import train

    for seed in range(chosen.seeds):
        for arm in (HARD, *ARMS):
            folder = work / "runs" / name_form_run(arm, seed)
            if (folder / "evaluation.json").exists():
                continue
            resume = folder.name if (folder / "last").exists() else None
            train(
                work, preset=None if resume else arm, name=folder.name, seed=seed, device="cpu", resume=resume
            )
            evaluate(folder, "held_out", resamples=1, device="cpu", hidden=False)


def name_form_run(arm: str, seed: int) -> str:
    """Name the run of a preset with a seed."""
    return f"{arm}-seed{seed}"


def compare_forms(chosen: argparse.Namespace, work: Path) -> list[dict[str, Any]]:
    """Compare the presets task by task, as a study compares its arms."""
    from polytask.evaluation.part_statistic import PartStatistic
    from polytask.evaluation.run_comparison import EvaluatedRun
    from polytask.statistics.effect import compare_arms
    from polytask.study.conclusions.primary_metric import collect_fold_values
    from polytask.study.margins import is_error_metric

    runs = {
        (arm, seed): EvaluatedRun.read(work / "runs" / name_form_run(arm, seed), "held_out")
        for arm in (HARD, *ARMS)
        for seed in range(chosen.seeds)
    }
    statistics = {key: PartStatistic(r.tasks, r.answers, list(r.answers.sites)) for key, r in runs.items()}
    effects = []
    for task, described in runs[HARD, 0].evaluation.tasks.items():
        values = collect_fold_values(0, task, statistics)
        error = is_error_metric(str(described["primary"]))
        if values is None:
            continue
        for arm, other in COMPARED:
            effect = compare_arms(
                [values], arm, other, bool(described["higher"]), 1.0 if error else 100.0, RESAMPLES
            )
            low, high = effect.interval()
            effects.append(
                {
                    "task": task,
                    "metric": described["primary"],
                    "arm": arm,
                    "against": other,
                    "value": effect.arm,
                    "other": effect.baseline,
                    "effect": effect.estimate,
                    "low": low,
                    "high": high,
                    "subjects": effect.subjects,
                }
            )
    return effects


def time_forms(work: Path) -> dict[str, dict[str, float]]:
    """Time a step of every preset in turns with the others; the time is a multiple of that of hard sharing."""
    from polytask.plan.plan_schema import Plan
    from polytask.plan.presets import apply_preset
    from polytask.prepare.store_builder import read_plan_cohort
    from polytask.study.arm_timing import time_arms

    plan = Plan.read(work)
    cohort = read_plan_cohort(plan, work)
    # The baseline of the ratios has the name of a study's baseline.
    plans = {arm: apply_preset(plan, arm, cohort.header) for arm in (HARD, *ARMS)}
    names = {HARD: BASELINE} | {arm: arm for arm in ARMS}
    timed = time_arms(
        work, cohort, {names[arm]: p for arm, p in plans.items()}, 0, list(cohort.header.tasks), "cpu"
    )
    costs: dict[str, dict[str, float]] = {}
    for arm, name in names.items():
        beside = timed[name].beside
        assert beside is not None
        costs[arm] = {
            "parameters": float(timed[name].parameters),
            "step": beside.median,
            "low": beside.low,
            "high": beside.high,
        }
    return costs


def measure_forms(chosen: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Train, compare and time all presets; return effects and costs as plain data."""
    work = prepare_work(chosen, folder)
    train_arms(chosen, work)
    steps = chosen.steps or DEFAULT_STEPS[chosen.source]
    return {
        "source": chosen.source,
        "steps": steps,
        "effects": compare_forms(chosen, work),
        "costs": time_forms(work),
    }


def format_form_lines(measured: dict[str, Any], seeds: int) -> Sequence[str]:
    """Format the effects and the costs as lines."""
    lines = [f"{measured['source']}: {measured['steps']} steps of every network, one fold, {seeds} seeds"]
    for e in measured["effects"]:
        interval = f"95 % {e['low']:+.1f} to {e['high']:+.1f}, n {e['subjects']}"
        lines.append(
            f"{e['task']} {e['metric']}: {e['arm']} {e['value']:.1f} against {e['against']} {e['other']:.1f}, "
            f"{e['effect']:+.1f} ({interval})"
        )
    for arm, c in measured["costs"].items():
        lines.append(
            f"{arm}: {c['parameters'] / 1e3:.0f} k parameters, step {c['step']:.2f} × hard sharing "
            f"(quartiles {c['low']:.2f} to {c['high']:.2f})"
        )
    return lines


def main() -> None:
    """Run the study and print what it found."""
    chosen = parse_form_options()
    if chosen.source == "nsclc" and (chosen.data is None or not (chosen.data / "labels.csv").is_file()):
        raise SystemExit("--source nsclc: the data set is not there; name its folder with --data")
    with tempfile.TemporaryDirectory() as temporary:
        folder = chosen.work or Path(temporary)
        measured = measure_forms(chosen, folder)
    print(
        json.dumps(measured, indent=1)
        if chosen.json
        else "\n".join(format_form_lines(measured, chosen.seeds))
    )


if __name__ == "__main__":
    main()
