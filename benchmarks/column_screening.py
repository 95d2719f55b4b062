"""Screening of wide tables: what 1,000 noise columns cost, and how much of five true columns among them is kept.

    python benchmarks/column_screening.py [--cohorts 20] [--no-net]     logistic regression on the columns kept
    python benchmarks/column_screening.py --train 3 [--parts noise-68]     Polytask's own network, trained and evaluated

Simulated cohorts with two equally frequent classes. The number of subjects is that of the train part; 2,000 others are
held out. `noise`: one clinical column (AUC 0.955) as an input of its own beside a table of 1,000 noise columns, 68
subjects. `true`: a table of five true columns, each with the same effect (jointly AUC 0.75), and 1,000 noise columns,
without other inputs; 68 and 500 subjects. The columns are those of `plan_tables`. The elastic net is scikit-learn's,
cross-validated on the same subjects over three mixing shares and seven strengths. "Before" are the columns that the
earlier rule kept: the 256 with the largest |z|. The gain of columns is their AUC above 0.5. Exit code 1 when a bound is
missed.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import warnings
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from statistics import NormalDist, mean, stdev

import numpy as np
import yaml

from polytask.array_types import Floats
from polytask.cohort.cohort import Case, Cohort
from polytask.cohort.header import Header
from polytask.cohort.splits import Fold, Splits
from polytask.kinds.plan_reasons import PlanReasons
from polytask.plan.fingerprint_records import Fingerprint
from polytask.plan.rules.association import compute_rank_z
from polytask.plan.rules.fold_facts import FoldFacts
from polytask.plan.rules.table_rules import plan_tables

NOISE_COLUMNS, TRUE_COLUMNS = 1000, 5
CLINICAL_AUC, TRUE_AUC = 0.955, 0.75
HELD_OUT = 2000
TUNE_SHARE = 0.15
COLUMNS_BEFORE = 256
NET_STRENGTHS, NET_SHARES, NET_FOLDS = np.logspace(-3, 0, 7), (0.1, 0.5, 0.9), 5
SETTINGS = (
    "training.batch=16",
    "training.threads=1",
    "training.workers=0",
    "training.precision=float32",
)


@dataclass(frozen=True)
class SimulatedCohort:
    """Answers `[N]`, the clinical column `[N, 1]` and the wide table `[N, P]` of all subjects; `train` come first."""

    train: int
    answers: Floats
    clinical: Floats
    wide: Floats


def draw_cohort(subjects: int, true_columns: int, held_out: int, seed: int) -> SimulatedCohort:
    """Draw a cohort: the first `subjects` are those to learn from."""
    random = np.random.default_rng([seed, subjects, true_columns])
    total = subjects + held_out
    answers = np.concatenate(
        [random.permutation(subjects) < subjects // 2, random.permutation(held_out) < held_out // 2]
    ).astype(np.float64)
    # Normal columns whose means differ by d standard deviations have AUC Φ(d / √2); d² adds up over columns.
    clinical, jointly = (2**0.5 * NormalDist().inv_cdf(auc) for auc in (CLINICAL_AUC, TRUE_AUC))
    wide = random.normal(size=(total, true_columns + NOISE_COLUMNS))
    wide[:, :true_columns] += jointly / TRUE_COLUMNS**0.5 * (answers[:, None] - 0.5)
    one = random.normal(size=(total, 1)) + clinical * (answers[:, None] - 0.5)
    return SimulatedCohort(subjects, answers, one, wide)


def make_header(columns: int, clinical: bool, wide: bool = True) -> dict[str, object]:
    """Make the content of `cohort.yaml`."""
    inputs: dict[str, object] = {}
    if clinical:
        inputs["clinic"] = {"kind": "table", "columns": {"marker": {"type": "number"}}}
    if wide:
        named = {f"x{k:04d}": {"type": "number"} for k in range(columns)}
        inputs["genes"] = {"kind": "table", "columns": named}
    tasks = {"response": {"kind": "classification", "classes": ["no", "yes"]}}
    return {"polytask": 1, "name": "columns", "inputs": inputs, "tasks": tasks}


def list_rows(drawn: SimulatedCohort, count: int) -> list[dict[str, str]]:
    """List the cells of the first subjects."""
    return [
        {"marker": f"{drawn.clinical[i, 0]:.4f}", "response": "yes" if drawn.answers[i] else "no"}
        | {f"x{k:04d}": f"{v:.4f}" for k, v in enumerate(drawn.wide[i])}
        for i in range(count)
    ]


def find_kept_columns(drawn: SimulatedCohort, clinical: bool) -> list[int]:
    """Find the columns of the wide table that a plan keeps when the subjects to learn from are the train part."""
    header = Header.model_validate(make_header(drawn.wide.shape[1], clinical))
    root = Path("nowhere")
    cases = tuple(
        Case(f"S{i:04d}", "", site="A", test=False, row=i + 2, cells=cells)
        for i, cells in enumerate(list_rows(drawn, drawn.train))
    )
    cohort = Cohort(header, root, root / "cases.csv", (), cases)
    facts = FoldFacts(cohort, Fingerprint(cases={}), 0, tuple(c.subject for c in cases), {})
    return [int(name[1:]) for name in plan_tables(facts, PlanReasons())["genes"]]


def measure_auc(drawn: SimulatedCohort, columns: Floats) -> float:
    """Measure the AUC among the held-out subjects of a logistic regression on columns `[N, K]`; 0.5 without any."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import roc_auc_score

    if not columns.shape[1]:
        return 0.5
    n = drawn.train
    scaled = (columns - columns[:n].mean(0)) / columns[:n].std(0)
    fitted = LogisticRegression(max_iter=1000).fit(scaled[:n], drawn.answers[:n])
    return float(roc_auc_score(drawn.answers[n:], fitted.decision_function(scaled[n:])))


def measure_net_auc(drawn: SimulatedCohort) -> tuple[float, int]:
    """Measure the AUC of a cross-validated elastic net on the wide table, and count its columns."""
    from sklearn.linear_model import LogisticRegressionCV
    from sklearn.metrics import roc_auc_score

    n = drawn.train
    scaled = (drawn.wide - drawn.wide[:n].mean(0)) / drawn.wide[:n].std(0)
    with warnings.catch_warnings():
        # The weakest penalties may stop before they converge, and parameters are renamed between releases.
        warnings.simplefilter("ignore")
        net = LogisticRegressionCV(
            Cs=NET_STRENGTHS, l1_ratios=NET_SHARES, penalty="elasticnet", solver="saga", cv=NET_FOLDS,
            scoring="neg_log_loss", tol=1e-3, max_iter=300, random_state=0,
        ).fit(scaled[:n], drawn.answers[:n])  # fmt: skip
    return float(roc_auc_score(drawn.answers[n:], net.decision_function(scaled[n:]))), int(
        (net.coef_ != 0).sum()
    )


def list_columns_before(drawn: SimulatedCohort) -> list[int]:
    """List the columns that the earlier rule kept: those with the largest |z|."""
    strength = compute_rank_z(drawn.wide[: drawn.train], drawn.answers[: drawn.train])
    return [int(i) for i in np.argsort(-strength)[:COLUMNS_BEFORE]]


def measure_noise(subjects: int, seed: int) -> dict[str, float]:
    """Measure one cohort of the part `noise`."""
    drawn = draw_cohort(subjects, 0, HELD_OUT, seed)
    kept = find_kept_columns(drawn, clinical=True)
    before = list_columns_before(drawn)
    alone = measure_auc(drawn, drawn.clinical)
    now = measure_auc(drawn, np.hstack([drawn.clinical, drawn.wide[:, kept]]))
    then = measure_auc(drawn, np.hstack([drawn.clinical, drawn.wide[:, before]]))
    return {"clinical alone": alone, "with noise": now, "with noise, before": then,
            "loss": alone - now, "loss, before": alone - then, "columns kept": len(kept)}  # fmt: skip


def measure_true(subjects: int, seed: int, net: bool) -> dict[str, float]:
    """Measure one cohort of the part `true`."""
    drawn = draw_cohort(subjects, TRUE_COLUMNS, HELD_OUT, seed)
    kept = find_kept_columns(drawn, clinical=False)
    found = {
        "true columns alone": measure_auc(drawn, drawn.wide[:, :TRUE_COLUMNS]),
        "kept": measure_auc(drawn, drawn.wide[:, kept]),
        "before": measure_auc(drawn, drawn.wide[:, list_columns_before(drawn)]),
        "columns kept": len(kept),
        "of them true": sum(k < TRUE_COLUMNS for k in kept),
    }
    if net:
        found["elastic net"], found["columns of the net"] = measure_net_auc(drawn)
        found["kept − net"] = found["kept"] - found["elastic net"]
    return found


def train_network(folder: Path, drawn: SimulatedCohort, clinical: bool, columns: int) -> dict[str, float]:
    """Plan, train and evaluate Polytask's own network on a table of the first columns.

    15 % more subjects than the train part are drawn as `tune`, all others are held out.
    """
    from polytask.evaluation import evaluate
    from polytask.plan.plan_schema import Plan
    from polytask.plan.work_folder import plan_into
    from polytask.prepare import prepare
    from polytask.training import train

    cohort, total = folder / "cohort", len(drawn.answers)
    cohort.mkdir(parents=True)
    header = make_header(columns, clinical, wide=columns > 0)
    (cohort / "cohort.yaml").write_text(yaml.safe_dump(header, sort_keys=False))
    names = [*(["marker"] if clinical else []), *(f"x{k:04d}" for k in range(columns)), "response"]
    lines = [
        ",".join([f"S{i:04d}", *(row[name] for name in names)])
        for i, row in enumerate(list_rows(drawn, total))
    ]
    (cohort / "cases.csv").write_text("\n".join([",".join(["subject", *names]), *lines]) + "\n")
    who = [f"S{i:04d}" for i in range(total)]
    tune = drawn.train + round(TUNE_SHARE * drawn.train)
    fold = Fold(tuple(who[: drawn.train]), tuple(who[drawn.train : tune]), tuple(who[tune:]))
    splits = folder / "splits.json"
    Splits((fold,), "subject", 0).write(splits)
    work = folder / "work"
    plan_into(cohort, work, splits=splits, settings=SETTINGS)
    prepare(work)
    run = train(work, name="one", seed=0, device="cpu")
    evaluation = evaluate(run.folder, device="cpu", resamples=1, hidden=False)
    tables = Plan.read(work).folds[0].tables
    return {
        "auc": evaluation.metrics["response"]["auc"].estimate,
        "columns": float(len(tables["genes"]) if "genes" in tables else 0),
    }


def train_part(part: str, subjects: int, seed: int) -> dict[str, float]:
    """Train both networks of one cohort: without and with the 1,000 noise columns."""
    clinical = part == "noise"
    drawn = draw_cohort(subjects, 0 if clinical else TRUE_COLUMNS, HELD_OUT // 2, seed)
    few = "clinical alone" if clinical else "true columns alone"
    found: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as place:
        for what, columns in ((few, 0 if clinical else TRUE_COLUMNS), ("with noise", drawn.wide.shape[1])):
            trained = train_network(Path(place) / f"{columns}", drawn, clinical, columns)
            found[what] = trained["auc"]
            found["columns kept"] = trained["columns"]
    return found | {"loss": found[few] - found["with noise"]}


def describe_spread(values: list[float]) -> str:
    """Describe the mean with its 95 % interval over cohorts, and the standard deviation."""
    if len(values) < 2:
        return f"{values[0]:.4f}"
    half = 1.96 * stdev(values) / len(values) ** 0.5
    return f"{mean(values):.4f} (95 % {mean(values) - half:.4f} to {mean(values) + half:.4f}; SD {stdev(values):.4f})"


def main() -> None:
    """Measure the parts and print the means over the cohorts."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cohorts", type=int, default=20)
    parser.add_argument("--parts", default="noise-68,true-68,true-500", help="PART-SUBJECTS, with commas")
    parser.add_argument("--no-net", action="store_true", help="leave out the elastic net (half a minute)")
    parser.add_argument("--train", type=int, default=0, help="train the network on this many cohorts instead")
    parser.add_argument("--json", action="store_true", help="one JSON document instead of lines")
    chosen = parser.parse_args()
    means: dict[str, dict[str, float]] = {}
    for asked in chosen.parts.split(","):
        part, _, number = asked.partition("-")
        subjects = int(number)
        figures: dict[str, list[float]] = defaultdict(list)
        for seed in range(chosen.train or chosen.cohorts):
            if chosen.train:
                found = train_part(part, subjects, seed)
            elif part == "noise":
                found = measure_noise(subjects, seed)
            else:
                found = measure_true(subjects, seed, net=subjects < 100 and not chosen.no_net)
            for name, value in found.items():
                figures[name].append(value)
            print(
                f"  {asked} {seed}: {', '.join(f'{k} {v:.4g}' for k, v in found.items())}",
                file=sys.stderr,
                flush=True,
            )
        means[asked] = {name: mean(values) for name, values in figures.items()}
        if not chosen.json:
            readout = "network" if chosen.train else "logistic regression"
            print(f"{asked}, {chosen.train or chosen.cohorts} cohorts, {readout}:")
            print("\n".join(f"  {name}: {describe_spread(values)}" for name, values in figures.items()))
    missed = list_missed_bounds(means)
    print(json.dumps(means, indent=1) if chosen.json else "\n".join(missed) or "all bounds hold")
    sys.exit(1 if missed else 0)


def list_missed_bounds(means: dict[str, dict[str, float]]) -> list[str]:
    """List the bounds that do not hold, in words."""
    missed = []
    for part, found in means.items():
        if part.startswith("noise") and found["loss"] > 0.01:
            missed.append(f"MISSED {part}: a loss of {found['loss']:.4f} AUC, at most 0.01")
        top = found.get("kept", found.get("with noise", 0.5))
        if part == "true-500" and top - 0.5 < 0.8 * (found["true columns alone"] - 0.5):
            missed.append(f"MISSED {part}: less than 80 % of the gain of the true columns is kept")
        if found.get("kept − net", 0.0) < 0:
            missed.append(f"MISSED {part}: the elastic net keeps more")
    return missed


if __name__ == "__main__":
    main()
