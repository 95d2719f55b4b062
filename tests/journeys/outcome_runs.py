"""What the outcome tests share: parts of a chosen size, a run with its evaluation, and paired differences."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from polytask.cohort.cohort import Cohort
from polytask.evaluation import compare_runs, evaluate
from polytask.evaluation.evaluation_result import Evaluation
from polytask.evaluation.part_answers import PartAnswers
from polytask.evaluation.run_comparison import EvaluatedRun, TaskDifference, measure_differences
from polytask.images.formats import write_image_file
from polytask.images.volume import Grid, Volume
from polytask.plan.work_folder import plan_into
from polytask.prepare.store_builder import prepare
from polytask.training import train

EPOCHS = 10
SMALL_NETWORK = (
    "images.scan.widths=[8,16,32]",
    "images.scan.blocks=[1,1,1]",
    "images.scan.strides=[[1,1],[2,2],[2,2]]",
    "model.embedding=32",
    "training.batch=16",
    "training.rate=0.003",
    "training.precision=float32",
    "training.threads=1",
    "training.workers=0",
    "training.patience=0",
    "training.tune_every=1",
)
"""A 2D network that learns in a minute, the same on every machine."""


def set_fixed_steps(count: int) -> list[str]:
    """A fixed length: a busy machine takes longer and learns the same."""
    return [f"training.epochs={EPOCHS}", f"training.steps_per_epoch={count // EPOCHS}"]


def plan_and_prepare(cohort: Path, work: Path, learning: int, tuning: int, *settings: str) -> Path:
    """Plan and prepare with one fold: so many subjects to learn from and to tune on, all others held out."""
    subjects = sorted(Cohort.read(cohort).subjects)
    parts = {
        "train": subjects[:learning],
        "tune": subjects[learning : learning + tuning],
        "held_out": subjects[learning + tuning :],
    }
    splits = cohort / "splits.json"
    splits.write_text(json.dumps({"polytask": 1, "scheme": "subject", "seed": 0, "folds": [parts]}))
    plan_into(cohort, work, splits=splits, settings=[*SMALL_NETWORK, *settings], jobs=1)
    prepare(work, jobs=1)
    return work


def train_and_evaluate(work: Path, name: str, count: int, *overrides: str, **options: Any) -> Evaluation:
    """A run of `count` steps, judged on the held-out part."""
    run = train(work, name=name, overrides=[*set_fixed_steps(count), *overrides], device="cpu", **options)
    return evaluate(run.folder, device="cpu")


def compare_on_task(work: Path, run: str, other: str, task: str) -> TaskDifference:
    """`run` − `other` on the same held-out subjects, paired."""
    (found,) = compare_runs(work / "runs" / run, [work / "runs" / other])
    return found.tasks[task]


def is_clearly_better(found: TaskDifference) -> bool:
    """Whether the whole 95 % interval of the paired difference lies on the better side of 0."""
    return found.difference.low > 0 if found.higher else found.difference.high < 0


def read_case_rows(folder: Path) -> list[dict[str, str]]:
    """Read the rows of `cases.csv` by column name."""
    with (folder / "cases.csv").open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def rewrite_cohort(
    cohort: Path,
    header: Callable[[dict[str, Any]], None] = lambda _: None,
    row: Callable[[dict[str, str]], Mapping[str, str]] = dict,
    keep: Callable[[Mapping[str, str]], bool] = lambda _: True,
) -> Path:
    """Change a cohort's header in place, each row of its table, and which rows stay."""
    stated = yaml.safe_load((cohort / "cohort.yaml").read_text(encoding="utf-8"))
    header(stated)
    (cohort / "cohort.yaml").write_text(yaml.safe_dump(stated, sort_keys=False), encoding="utf-8")
    write_case_rows(cohort, [row(dict(r)) for r in read_case_rows(cohort) if keep(r)])
    return cohort


def write_case_rows(cohort: Path, rows: Sequence[Mapping[str, str]]) -> None:
    """Write `rows` as `cases.csv` of the cohort."""
    with (cohort / "cases.csv").open("w", encoding="utf-8", newline="") as stream:
        out = csv.DictWriter(stream, list(rows[0]))
        out.writeheader()
        out.writerows(rows)


def write_gray_picture(path: Path, array: np.ndarray) -> None:
    """A gray 2D image `[H, W]` of 1 mm pixels."""
    path.parent.mkdir(parents=True, exist_ok=True)
    affine = np.diag([-1.0, -1.0, 1.0, 1.0])
    write_image_file(path, Volume(array.astype(np.uint8)[None], Grid(array.shape, affine)))


def compute_gain_between(work: Path, mine: tuple[str, str], other: tuple[str, str]) -> TaskDifference:
    """(run, task) − (run, task) where two tasks ask the same of the same subjects under two names."""
    first, second = (EvaluatedRun.read(work / "runs" / run) for run, _ in (mine, other))
    items, others = first.answers.pooled[mine[1]], second.answers.pooled[other[1]]
    ids = {"asked": [i for i in items.ids if i in set(others.ids)]}
    sides = [PartAnswers(first.answers.sites, {"asked": i}, {}, {}).only(ids) for i in (items, others)]
    found, _ = measure_differences({"asked": first.tasks[mine[1]]}, *sides)
    return found["asked"]


def read_prediction_columns(work: Path, run: str, prefix: str) -> dict[str, np.ndarray]:
    """Columns of a run's `predictions.csv` whose names begin so, without empty cells: `[N]` by the rest of the name."""
    with (work / "runs" / run / "predictions.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    columns = [name for name in rows[0] if name.startswith(prefix)]
    return {c.removeprefix(prefix): np.array([float(r[c]) for r in rows if r[c]]) for c in columns}
