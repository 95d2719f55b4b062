"""Conclusions of studies nobody ran: real objects over drawn values, as large and as broken as asked for."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from polytask.evaluation.evaluation_result import Estimate, Evaluation
from polytask.evaluation.part_answers import PartAnswers
from polytask.evaluation.run_comparison import EvaluatedRun
from polytask.statistics.cross_check import CrossCheck
from polytask.statistics.delta_m import compute_delta_m
from polytask.statistics.effect import ONE_SEED_NOTE, compare_arms
from polytask.statistics.metric_values import Contributions, FoldValues, make_fold_values
from polytask.statistics.verdict_words import judge_comparisons
from polytask.study.arms import BASELINE, Arm
from polytask.study.conclusions.answer_sentence import write_answer_sentence
from polytask.study.conclusions.arm_comparison import ArmComparison
from polytask.study.conclusions.arm_costs import compute_arm_costs
from polytask.study.conclusions.draw_conclusions import Conclusions
from polytask.study.conclusions.finished_runs import FinishedRun, GatheredRuns, TaskInfo
from polytask.study.conclusions.recommendation import recommend_arm
from polytask.study.conclusions.task_affinity import measure_affinity
from polytask.study.conclusions.tune_choice import TuneChoice
from polytask.study.run_spec import build_run_spec
from polytask.study.study_design import ArmTiming, RatioQuartiles, StudyDesign, StudyHashes
from polytask.study.study_folder import Study, StudyRun
from polytask.training.folder import Run

DICE = TaskInfo("segmentation", "voxel", "dice", True, 100.0, "points", "")
KAPPA = TaskInfo("ordinal", "visit", "kappa", True, 100.0, "points", "")
AUC = TaskInfo("classification", "subject", "auc", True, 100.0, "points", "")
C = TaskInfo("survival", "subject", "c", True, 100.0, "points", "")
DOSE = TaskInfo("dose", "voxel", "mae", False, 1.0, "Gy", "")
NAN = float("nan")


@dataclass(frozen=True)
class World:
    """What a study is like.

    Args:
        gains: (arm, task) → true effect in the metric's unit, better = positive; 0 where not named.
        failed: arms of which every run failed. undefined: tasks whose metric no run has.
        silent: whether nothing was logged.
        titles: of tasks, as a header gives them.
    """

    arms: tuple[str, ...] = (BASELINE, "hard", "hard+famo", "ctan")
    tasks: Mapping[str, TaskInfo] = field(
        default_factory=lambda: {"lesion": DICE, "grade": KAPPA, "dose": DOSE, "os": C}
    )
    gains: Mapping[tuple[str, str], float] = field(
        default_factory=lambda: {
            ("hard", "lesion"): 0.09,
            ("hard+famo", "lesion"): 0.05,
            ("ctan", "lesion"): 0.03,
            ("hard", "os"): -0.12,
            ("ctan", "dose"): 0.4,
        }
    )
    folds: tuple[int, ...] = (0, 1, 2)
    seeds: tuple[int, ...] = (0, 1, 2)
    failed: tuple[str, ...] = ()
    undefined: tuple[str, ...] = ()
    sites: tuple[str, ...] = ("north", "south")
    name: str = "demo"
    subjects: int = 20
    noise: float = 0.12
    silent: bool = False
    titles: Mapping[str, str] = field(default_factory=dict)


def conclusions_of(world: World, folder: Path) -> Conclusions:
    """Everything that the page reads, with its files in `folder`."""
    study = study_of(world, folder)
    asked = {name: replace(task, title=world.titles.get(name, name)) for name, task in world.tasks.items()}
    gathered = gathered_of(world, study, asked)
    values = {t: values_of(world, gathered, t) for t in asked}
    joint = [a for a in gathered.arms if a != BASELINE]
    effects = {
        (t, a): compare_arms(values[t], a, BASELINE, asked[t].higher, asked[t].points, 998)
        for t in asked
        for a in joint
    }
    judged = judge_comparisons(effects)
    made = [
        ArmComparison(t, a, e, judged[t, a], (CrossCheck("Wilcoxon", 0.01, 3.0, 0.04, 60),))
        for (t, a), e in effects.items()
    ]
    gains = {
        a: compute_delta_m(
            {t: effects[t, a].arm for t in asked},
            {t: effects[t, a].baseline for t in asked},
            {t: asked[t].higher for t in asked},
            {t: asked[t].metric != "kappa" for t in asked},
        )
        for a in joint
    }
    priced = compute_arm_costs(gathered)
    skills = {a: 0.6 if a == BASELINE else 0.65 - 0.01 * k for k, a in enumerate(gathered.arms)}
    choice = (
        TuneChoice(joint[0], skills, dict.fromkeys(skills, 0.008), "the highest mean skill")
        if joint
        else None
    )
    shown = joint[0] if joint else ""
    recommended = recommend_arm(made, choice, priced, gathered.margins, len(world.seeds))
    said = (
        write_answer_sentence(made, asked, priced, gathered.margins, recommended)
        if shown
        else "No joint arm is finished: nothing to compare."
    )
    notes = tuple(f"{a}: all runs failed (out of memory)" for a in world.failed)
    notes += (ONE_SEED_NOTE,) if len(world.seeds) == 1 else ()
    return Conclusions(
        gathered, said, recommended, shown, made, gains, priced, choice, measure_affinity(gathered), notes
    )


def study_of(world: World, folder: Path) -> Study:
    """A study's folder with the run folders it needs."""
    arms = tuple(Arm(a, a.partition("+")[0], a.partition("+")[2] or "equal") for a in world.arms)
    design = StudyDesign(
        name=world.name,
        work="work",
        arms=arms,
        folds=world.folds,
        seeds=world.seeds,
        steps=400,
        how="--steps 400",
        minutes=None,
        tune_every=2,
        threads=1,
        precision="float32",
        device="cpu",
        cut=None,
        tasks=None,
        overrides=("training.rate=3e-4",),
        resamples=200,
        paces={arm.name: pace(arm.name, k) for k, arm in enumerate(arms)},
        rests=StudyHashes({f: f"{f}" * 64 for f in world.folds}, "a" * 64, "b" * 64, "c" * 64),
        commands=("polytask study work --sharing hard,ctan --balance equal,famo --steps 400",),
    )
    runs = []
    for seed in world.seeds:
        for fold in world.folds:
            for k, arm in enumerate(arms):
                spec = build_run_spec(design, folder, arm, fold, seed)
                place = folder / "work" / "runs" / f"run{k}-{fold}-{seed}"
                place.mkdir(parents=True)
                lost = arm.name in world.failed
                if not lost:
                    fill(world, place, arm.name, k, fold, seed)
                runs.append(
                    StudyRun(
                        arm,
                        fold,
                        seed,
                        place,
                        "failed" if lost else "done",
                        "out of memory" if lost else "",
                        spec,
                    )
                )
    return Study(folder, design, folder / "work", tuple(runs))


def share_of(arm: str, k: int) -> float:
    """Of the single networks' costs."""
    return 1.0 if arm == BASELINE else 0.3 + 0.08 * k


def pace(arm: str, k: int) -> ArmTiming:
    """As if timed in turns."""
    share, spread = share_of(arm, k), 0.0 if arm == BASELINE else 0.02
    return ArmTiming(
        0.8 * share, 3.0 * share, 1_200_000, RatioQuartiles(share, share - spread, share + spread)
    )


def fill(world: World, place: Path, arm: str, k: int, fold: int, seed: int) -> None:
    """Costs and log of a run."""
    share = share_of(arm, k)
    costs = {
        "parameters": 1_200_000 * share,
        "training_seconds": 340.0 * share + seed,
        "inference_ms": 48.0 * share,
        "peak_memory_mb": 900.0,
        "device_memory_mb": None,
        "disk_mb": 22.0 * share,
    }
    (place / "study.json").write_text(json.dumps({"costs": costs}))
    if world.silent:
        return
    draws, lines = np.random.default_rng((k, fold, seed)), []
    tasks = list(world.tasks)
    for step in range(40, 401, 40):
        losses = {t: float(0.3 + 0.7 * np.exp(-step / (150 + 40 * k)) + 0.02 * draws.normal()) for t in tasks}
        tune = {"skill": float(0.65 * (1 - np.exp(-step / 150)) + 0.02 * draws.normal())}
        for name in tasks if arm == BASELINE else [""]:
            mine = {name: losses[name]} if name else losses
            entry: dict[str, Any] = {"step": step, "epoch": step // 40, "loss": mine, "tune": tune}
            if not name:
                pairs = [f"{a} {b}" for i, a in enumerate(tasks) for b in tasks[i + 1 :]]
                looked = {
                    **dict.fromkeys(("losses", "norms", "weights"), dict.fromkeys(tasks, 1.0)),
                    "cosines": {
                        p: float(0.05 * j - 0.2 + 0.02 * draws.normal()) for j, p in enumerate(pairs)
                    },
                }
                lines.append({"step": step - 1, "gradients": looked})
                entry["common"] = dict.fromkeys(pairs, 0.9)
            lines.append(entry | ({"network": name} if name else {}))
    (place / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


def gathered_of(world: World, study: Study, asked: Mapping[str, TaskInfo]) -> GatheredRuns:
    """The finished runs with their evaluations."""
    folds: dict[int, dict[tuple[str, int], FinishedRun]] = {}
    for run in study.runs:
        if run.state == "done":
            header = {"name": "phantom"}
            record = {
                "fold": run.fold,
                "seed": run.seed,
                "header": header,
                "torch": "2.13",
                "machine": "x86_64",
            }
            evaluation = evaluation_of(world, run, asked)
            evaluated = EvaluatedRun(Run(run.folder, record), evaluation, PartAnswers({}, {}, {}, {}), {})
            folds.setdefault(run.fold, {})[run.arm.name, run.seed] = FinishedRun(run, evaluated)
    return GatheredRuns(study, folds, asked, 200)


def evaluation_of(world: World, run: StudyRun, asked: Mapping[str, TaskInfo]) -> Evaluation:
    """Its numbers by site."""
    draws = np.random.default_rng((run.fold, run.seed, world.arms.index(run.arm.name)))
    sites = {
        s: {t: {a.metric: Estimate(float(draws.uniform(0.5, 0.8)), NAN, NAN, 9)} for t, a in asked.items()}
        for s in world.sites
    }
    return Evaluation(
        run=run.name,
        fold=run.fold,
        seed=run.seed,
        sharing=run.arm.sharing,
        part="held_out",
        subjects=tuple(f"{run.fold}-{k}" for k in range(world.subjects)),
        tasks={t: asdict(a) for t, a in asked.items()},
        metrics={},
        sites=sites,
        skill={},
        mean_skill=Estimate(NAN, NAN, NAN, 0),
        counts={},
        created="2026-11-21T12:00:00+00:00",
    )


def values_of(world: World, gathered: GatheredRuns, task: str) -> list[FoldValues]:
    """The task's metric of every finished run, drawn around one value with the arm's gain."""
    asked, found = world.tasks[task], []
    for fold, runs in gathered.folds.items():
        cases = np.random.default_rng((fold, sum(task.encode()))).normal(0.0, 0.1, world.subjects)
        metrics = {}
        for (arm, seed), _ in runs.items():
            key = (fold, seed, world.arms.index(arm), sum(task.encode()))
            own = np.random.default_rng(key).normal(0.0, world.noise, world.subjects)
            gain = world.gains.get((arm, task), 0.0) * (1 if asked.higher else -1)
            base = (0.65 if asked.higher else 2.0) + (NAN if task in world.undefined else 0.0)
            metrics[arm, seed] = Contributions.of(
                base + gain + cases + own, range(world.subjects), world.subjects
            )
        names = [f"{fold}-{k}" for k in range(world.subjects)]
        found.append(make_fold_values(fold, metrics, names))
    return found
