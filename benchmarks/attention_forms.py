"""The published forms of MTAN and CTAN against their light forms and hard sharing: quality and cost.

    python benchmarks/attention_forms.py [--seeds 3] [--steps 150] [--subjects 160] [--study FOLDER] [--json]
    python benchmarks/attention_forms.py --source nsclc --data DIR [--seeds 3] [--steps 60] [--study FOLDER] [--json]

One study (`polytask study`) with the arms `hard`, `mtan_light`, `mtan`, `ctan_light` and `ctan` and the single
networks, on one fold, every network with the same number of steps. `phantom`: 2D, whose mask, grade and diameter all
follow from one radius. `nsclc`: lung CT crops with tumor mask, T stage and histology, seen whole at 4 mm. Printed are,
for every task, the effects of the published form against the light form and of all four against `hard`, in points of
the task's metric on held-out subjects, positive if better, with the 95 % interval of a study (patients and trainings);
and for every arm parameters, seconds of training, and the time of a step as a multiple of that of `hard`, timed in
turns. `--study` keeps the study in a folder, where a stopped measurement goes on. There is no bound: the figure is
reported, whatever it is.
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
HARD = "hard"
COMPARED = (*((arm, HARD) for arm in ARMS), ("mtan", "mtan_light"), ("ctan", "ctan_light"))
"""Arm → the arm that it is compared with."""
PHANTOM_TASKS = ("lesion", "grade", "diameter")
PHANTOM_SIZE = 32
FOLDS = 3
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
)
SOURCE_SETTINGS = {
    "phantom": ("images.scan.strides=[[1,1],[2,2],[2,2]]", "training.batch=16"),
    "nsclc": (
        "images.scan.spacing=[4,4,4]",
        "images.scan.strides=[[1,1,1],[2,2,2],[2,2,2]]",
        "training.batch=4",
    ),
}
DEFAULT_STEPS = {"phantom": 150, "nsclc": 60}


def parse_form_options() -> argparse.Namespace:
    """Parse the options of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--source", choices=tuple(SOURCE_SETTINGS), default="phantom")
    parser.add_argument("--data", type=Path, help="folder of the data set `nsclc_ct`")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=0, help="of every network; default: 150, nsclc 60")
    parser.add_argument("--subjects", type=int, default=160)
    parser.add_argument("--study", type=Path, help="keep cohort, work folder and study here")
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


def measure_forms(chosen: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Run the study and return effects and costs as plain data."""
    from polytask.statistics.effect import compare_arms
    from polytask.study import StudyRequest, run_study
    from polytask.study.conclusions.draw_conclusions import draw_conclusions

    request = StudyRequest(
        sharing=(HARD,),
        presets=ARMS,
        folds=1,
        seeds=chosen.seeds,
        steps=chosen.steps or DEFAULT_STEPS[chosen.source],
        device="cpu",
        resamples=200,
    )
    ended = run_study(prepare_work(chosen, folder), request, folder / "study")
    if ended.code:
        raise SystemExit("not all runs are done; with --study the same command goes on")
    study = ended.study
    conclusions = draw_conclusions(study)
    gathered, paces = conclusions.gathered, study.design.paces
    names = {arm.preset or arm.name: arm.name for arm in study.arms}
    effects = []
    for task, info in gathered.asked.items():
        values = gathered.values(task, gathered.arms)
        for arm, other in COMPARED:
            effect = compare_arms(
                values, names[arm], names[other], info.higher, info.points, gathered.resamples
            )
            low, high = effect.interval()
            effects.append(
                {
                    "task": task, "metric": info.metric, "arm": arm, "against": other,
                    "value": effect.arm, "other": effect.baseline,
                    "effect": effect.estimate, "low": low, "high": high, "subjects": effect.subjects,
                }
            )  # fmt: skip
    costs = {}
    for arm in ("single", HARD, *ARMS):
        price, pace = conclusions.prices[names[arm]], paces[names[arm]]
        costs[arm] = {
            "parameters": price.parameters,
            "training_seconds": price.training_seconds,
            "step_by_hard": pace.step / paces[HARD].step,
            "memory_mb": price.peak_memory_mb,
        }
    return {"source": chosen.source, "steps": study.design.steps, "effects": effects, "costs": costs}


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
            f"{arm}: {c['parameters'] / 1e3:.0f} k parameters, step {c['step_by_hard']:.2f} × hard, training "
            f"{c['training_seconds']:.0f} s, peak {c['memory_mb']:.0f} MB"
        )
    return lines


def main() -> None:
    """Run the study and print what it found."""
    chosen = parse_form_options()
    if chosen.source == "nsclc" and (chosen.data is None or not (chosen.data / "labels.csv").is_file()):
        raise SystemExit("--source nsclc: the data set is not there; name its folder with --data")
    with tempfile.TemporaryDirectory() as temporary:
        folder = chosen.study or Path(temporary)
        measured = measure_forms(chosen, folder)
    print(
        json.dumps(measured, indent=1)
        if chosen.json
        else "\n".join(format_form_lines(measured, chosen.seeds))
    )


if __name__ == "__main__":
    main()
