"""A run folder as training and evaluation leave it, without any training."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from safetensors.numpy import save_file

from polytask.cohort.cohort import Cohort
from polytask.cohort.splits import make_splits
from polytask.evaluation.evaluate_run import evaluate_answers, predict_part
from polytask.evaluation.evaluated_part import hash_weights, select_part_subjects
from polytask.evaluation.evaluation_result import Evaluation
from polytask.plan.fingerprint import make_fingerprint
from polytask.plan.machine import Machine
from polytask.plan.plan_file import write_plan
from polytask.plan.planner import make_plan
from polytask.report.report_material import ReportMaterial, gather_report_material
from polytask.training.folder import Run
from tests.evaluation.worlds import Someone, phantom

MACHINE = Machine(2, 8 * 2**30)


def finished(folder: Path, dims: int, subjects: int = 15, name: str = "hard", **options: Any) -> Run:
    """A phantom, its plan, and one evaluated run."""
    cohort = phantom(folder / "cohort", dims, subjects, **options)
    work = folder / "work"
    work.mkdir()
    splits = make_splits(cohort, 3)
    splits.write(work / "splits.json")
    write_plan(make_plan(cohort, make_fingerprint(cohort, 1), splits, machine=MACHINE), work)
    return add_run(cohort, work, name, 0.6)


def add_run(cohort: Cohort, work: Path, name: str, skill: float, fold: int = 0, steps: int = 40) -> Run:
    """A run whose answers are given by `Someone`."""
    folder = work / "runs" / name
    (folder / "best").mkdir(parents=True)
    (folder / "plan.yaml").write_text((work / "plan.yaml").read_text())
    save_file({"w": np.full((4, 5), skill, np.float32)}, folder / "best" / "model.safetensors")
    (folder / "best" / "model.sha256").write_text(f"{name}\n")
    record = {
        "polytask": "0.1.0",
        "name": name,
        "fold": fold,
        "seed": 0,
        "sharing": name,
        "networks": {"": list(cohort.header.tasks)},
        "plan": "p",
        "store": "s",
        "cohort": cohort.digest,
        "header": cohort.header.model_dump(mode="json", exclude_defaults=True),
        "created": "2026-01-02T03:04:05+00:00",
        "torch": "2",
    }
    (folder / "run.yaml").write_text(yaml.safe_dump(record))
    who = Someone(cohort, skill, seed=len(name))
    lines = [
        {
            "step": step,
            "loss": dict.fromkeys(who.tasks, 1.0 / (1 + step)) | {"norm": 1.0},
            "seconds_per_step": 0.1,
            "tune": {"skill": step / 100, **{t: {k.primary: 0.7} for t, k in who.tasks.items()}},
        }
        for step in (10, 20, steps)
    ]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(x) + "\n" for x in lines))
    run = Run.read(folder)
    part = select_part_subjects(run, cohort, "held_out")
    answers = predict_part(who, cohort, part)  # type: ignore[arg-type]
    found = evaluate_answers(who.tasks, answers, record, "held_out", resamples=30)
    result = Evaluation(
        **{**vars(found), "weights": hash_weights(run), "created": "2026-01-02T04:00:00+00:00"}
    )
    answers.write(folder / "answers.json")
    result.write(folder / "evaluation.json")
    return run


def material_of(run: Run) -> ReportMaterial:
    """What a report of it is made of."""
    return gather_report_material(run.folder)
