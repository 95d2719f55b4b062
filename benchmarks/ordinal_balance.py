"""What balancing grades changes: quadratic κ and recall of each grade, on simulated cohorts with grades 84/10/4/2 %.

    python benchmarks/ordinal_balance.py [--cohorts 5] [--subjects 1000] [--steps 600] [--batches 8] [--json]
    python benchmarks/ordinal_balance.py --rule

A severity is a sum of six of eight measured numbers and of noise; its quantiles cut it into four grades. Each cohort is
planned and trained as any table is; 1,000 further subjects with the same shares judge it. The arms are networks with
the same seed and number of steps: grades as they come; balanced by weights alone; as planned (weights and draws); and
the same grades as a classification task, as planned. Each batch size is a setting, because draws matter most where a
step has few samples. Per arm the mean over the cohorts with its 95 % interval (Student's t), and the same for the
paired difference from `as they come`. There is no bound: the figure is reported, whatever it is.

`--rule` trains nothing and shows from which imbalance on balancing matters: the answer of a model that knows the true
probabilities, in the proportions of the cohort and for evenly drawn grades, while the rarest of 2, 3 or 4 grades has a
smaller and smaller part of an even share.
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

GRADES = ("G1", "G2", "G3", "G4")
SHARES = (0.84, 0.10, 0.04, 0.02)
COLUMNS, INFORMATIVE = 8, 6
NOISE = 1.0
"""Standard deviation of what no column shows, of a severity whose visible part has the standard deviation 1."""
HELD_OUT = 1000
TASKS = {"ordinal": "order", "classification": "classes"}
"""Kind of the task → the key of its grades in the header."""
ARMS: dict[str, tuple[str, tuple[str, ...]]] = {
    "as they come": ("ordinal", ("folds.*.tasks.grade.balanced=false",)),
    "weights alone": ("ordinal", ("folds.*.tasks.grade.drawn_shares=[]",)),
    "as planned": ("ordinal", ()),
    "classes, as planned": ("classification", ()),
}
"""Arm → kind of the task, and values set by hand."""
BASELINE_ARM = "as they come"
RULE_PARTS = (1.0, 0.8, 0.5, 0.4, 0.2, 0.08)
"""Shares of the rarest grade, in even shares, for `--rule`."""
Scores = dict[str, float]


def parse_balance_options() -> argparse.Namespace:
    """Parse the options of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--cohorts", type=int, default=5, help="each with its own subjects and seed of training"
    )
    parser.add_argument("--subjects", type=int, default=1000, help="of train and tune")
    parser.add_argument("--batches", default="8", help="samples of a step, e.g. 8,64")
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--rule", action="store_true", help="only: from which imbalance on balancing matters")
    parser.add_argument("--json", action="store_true", help="one JSON document instead of a table")
    return parser.parse_args()


def write_graded_cohort(folder: Path, kind: str, subjects: int, seed: int) -> Path:
    """Write a cohort with a table of numbers and one task `grade`, and the file of its fold beside it."""
    random = np.random.default_rng([seed, subjects])
    total = subjects + HELD_OUT
    numbers = random.normal(size=(total, COLUMNS))
    severity = numbers[:, :INFORMATIVE].sum(1) / INFORMATIVE**0.5 + NOISE * random.normal(size=total)
    grades = np.zeros(total, int)
    for part in (slice(0, subjects), slice(subjects, None)):
        cuts = np.quantile(severity[part], np.cumsum(SHARES)[:-1])
        grades[part] = np.searchsorted(cuts, severity[part])
    folder.mkdir(parents=True)
    names = [f"x{k}" for k in range(COLUMNS)]
    header = {
        "polytask": 1,
        "name": "graded",
        "inputs": {"clinic": {"kind": "table", "columns": {name: {"type": "number"} for name in names}}},
        "tasks": {"grade": {"kind": kind, TASKS[kind]: list(GRADES), "level": "subject"}},
    }
    (folder / "cohort.yaml").write_text(json.dumps(header))
    with (folder / "cases.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["subject", *names, "grade"])
        for number in range(total):
            cells = (f"{x:.4f}" for x in numbers[number])
            writer.writerow([f"s{number:05d}", *cells, GRADES[grades[number]]])
    fold = split_subjects(grades[:subjects], total)
    (folder / "folds.json").write_text(
        json.dumps({"polytask": 1, "scheme": "subject", "seed": seed, "folds": [fold]})
    )
    return folder


def split_subjects(grades: np.ndarray, total: int) -> dict[str, list[str]]:
    """Split into train, tune (15 % of the subjects of each grade) and held out (all from `len(grades)` on)."""
    tune: set[int] = set()
    for grade in range(len(GRADES)):
        own = np.flatnonzero(grades == grade).tolist()
        tune |= set(own[: max(1, round(0.15 * len(own)))])
    numbers = {
        "train": [n for n in range(len(grades)) if n not in tune],
        "tune": sorted(tune),
        "held_out": range(len(grades), total),
    }
    return {part: [f"s{n:05d}" for n in own] for part, own in numbers.items()}


def score_answers(truth: Sequence[str], answers: Sequence[str]) -> Scores:
    """Compute quadratic κ, the recall of each grade, and their mean."""
    from sklearn.metrics import cohen_kappa_score

    t, a = np.array(truth), np.array(answers)
    recalls = {f"recall {g}": float((a[t == g] == g).mean()) for g in GRADES}
    kappa = float(cohen_kappa_score(t, a, labels=list(GRADES), weights="quadratic"))
    return {"kappa": kappa, **recalls, "mean recall": float(np.mean(list(recalls.values())))}


def measure_cohort(chosen: argparse.Namespace, seed: int, folder: Path) -> dict[str, Scores]:
    """Train every arm at every batch size on one cohort and return "arm, batch N" → scores on the held-out subjects."""
    from polytask.evaluation import evaluate
    from polytask.plan.work_folder import plan_into
    from polytask.prepare import prepare
    from polytask.training import train

    scores = {}
    for kind in TASKS:
        cohort = write_graded_cohort(folder / kind, kind, chosen.subjects, seed)
        settings = ("training.threads=1", "training.workers=0", "training.patience=0")
        plan_into(cohort, folder / f"{kind}-work", splits=cohort / "folds.json", settings=settings)
        prepare(folder / f"{kind}-work")
    for batch in list_batches(chosen):
        for arm, (kind, values) in ARMS.items():
            name = make_arm_key(arm, batch)
            run = train(
                folder / f"{kind}-work",
                name=name.replace(", ", "-").replace(" ", "-"),
                seed=seed,
                steps=chosen.steps,
                overrides=(*values, f"training.batch={batch}"),
                device="cpu",
            )
            evaluate(run.folder, device="cpu", resamples=1)
            with (run.folder / "cases.csv").open() as file:
                rows = list(csv.DictReader(file))
            scores[name] = score_answers([r["grade.truth"] for r in rows], [r["grade.answer"] for r in rows])
    return scores


def list_batches(chosen: argparse.Namespace) -> list[int]:
    """List the batch sizes of the command line."""
    return [int(word) for word in chosen.batches.split(",")]


def make_arm_key(arm: str, batch: int) -> str:
    """Name an arm at a batch size."""
    return f"{arm}, batch {batch}"


def summarize_scores(values: Sequence[float]) -> dict[str, float]:
    """Compute the mean over the cohorts with its 95 % interval by Student's t."""
    from scipy.stats import t

    x = np.array(values)
    half = float(t.ppf(0.975, len(x) - 1) * x.std(ddof=1) / len(x) ** 0.5) if len(x) > 1 else float("nan")
    return {"mean": float(x.mean()), "low": float(x.mean()) - half, "high": float(x.mean()) + half}


def compare_arms(found: Sequence[Mapping[str, Scores]], batches: Sequence[int]) -> dict[str, Any]:
    """Summarize each arm, and its difference from the baseline arm at the same batch size, cohort by cohort."""
    table: dict[str, Any] = {}
    for batch in batches:
        base = make_arm_key(BASELINE_ARM, batch)
        for arm in ARMS:
            key = make_arm_key(arm, batch)
            table[key] = {
                metric: {
                    "score": summarize_scores([scores[key][metric] for scores in found]),
                    "difference": summarize_scores(
                        [scores[key][metric] - scores[base][metric] for scores in found]
                    ),
                }
                for metric in found[0][key]
            }
    return table


def format_score_table(table: Mapping[str, Any]) -> list[str]:
    """Format a Markdown table: mean and 95 % interval of each score, and of its difference where that is not the
    baseline's."""
    metrics = list(next(iter(table.values())))
    lines = [f"| arm | {' | '.join(metrics)} |", "|---" * (len(metrics) + 1) + "|"]
    for key, by_metric in table.items():
        scores = " | ".join(format_interval(by_metric[m]["score"], "") for m in metrics)
        lines.append(f"| {key} | {scores} |")
        if not key.startswith(BASELINE_ARM):
            differences = " | ".join(format_interval(by_metric[m]["difference"], "+") for m in metrics)
            lines.append(f"| … minus {BASELINE_ARM} | {differences} |")
    return lines


def format_interval(summary: Mapping[str, float], sign: str) -> str:
    """Format a mean and its interval as `0.55 (0.48 to 0.62)`."""
    return f"{summary['mean']:{sign}.2f} ({summary['low']:{sign}.2f} to {summary['high']:{sign}.2f})".replace(
        "-", "−"
    )


def make_falling_shares(grades: int, rarest: float) -> np.ndarray:
    """Make the shares of K grades, of which each is the same multiple of the one before and the last is `rarest`."""
    from scipy.optimize import brentq

    def fall(ratio: float) -> np.ndarray:
        powers = ratio ** np.arange(grades)
        return np.asarray(powers / powers.sum())

    return fall(float(brentq(lambda ratio: fall(ratio)[-1] - rarest, 1e-6, 1.0)))


def measure_rule(cases: int = 100_000) -> list[str]:
    """Judge the median grade of the true probabilities, with and without balancing; return a Markdown table."""
    from scipy.stats import norm
    from sklearn.metrics import cohen_kappa_score

    lines = ["| grades | rarest | κ | κ balanced | recall of the rarest | balanced |", "|---" * 6 + "|"]
    random = np.random.default_rng(0)
    visible = random.normal(size=cases)
    severity = visible + NOISE * random.normal(size=cases)
    for grades in (2, 3, 4):
        for part in RULE_PARTS:
            shares = make_falling_shares(grades, part / grades)
            cuts = norm.ppf(np.cumsum(shares)[:-1]) * np.hypot(1, NOISE)
            truth = np.searchsorted(cuts, severity)
            above = np.stack([norm.sf((cut - visible) / NOISE) for cut in cuts], 1)
            p = -np.diff(np.c_[np.ones(cases), above, np.zeros(cases)], axis=1)
            cells = []
            for q in (p, p / shares):
                q = q / q.sum(1, keepdims=True)
                answer = (1 - q.cumsum(1)[:, :-1] > 0.5).sum(1)
                recall = float((answer[truth == grades - 1] == grades - 1).mean())
                cells.append((cohen_kappa_score(truth, answer, weights="quadratic"), recall))
            (kappa, recall), (kappa_balanced, recall_balanced) = cells
            lines.append(
                f"| {grades} | {100 * part / grades:.3g} % | {kappa:.2f} | {kappa_balanced:.2f} | {recall:.2f} | "
                f"{recall_balanced:.2f} |"
            )
    return lines


def main() -> None:
    """Measure all cohorts and print one table."""
    chosen = parse_balance_options()
    if chosen.rule:
        print("\n".join(measure_rule()))
        return
    found = []
    for seed in range(chosen.cohorts):
        with tempfile.TemporaryDirectory() as folder:
            found.append(measure_cohort(chosen, seed, Path(folder)))
    table = compare_arms(found, list_batches(chosen))
    if chosen.json:
        print(json.dumps(table, indent=1))
        return
    shares = "/".join(f"{100 * share:.0f}" for share in SHARES)
    print(
        f"{chosen.cohorts} cohorts of {chosen.subjects} subjects with grades {shares} %, {chosen.steps} steps; judged "
        f"on {HELD_OUT} others\n"
    )
    print("\n".join(format_score_table(table)))


if __name__ == "__main__":
    main()
