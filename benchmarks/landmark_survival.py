"""Risk at every visit from all visits so far: our landmark survival against landmark Cox models, on PBC2.

    python benchmarks/landmark_survival.py [--data auton_pbc2.csv] [--folds 5] [--set PATH=VALUE ...]

312 patients with primary biliary cirrhosis, up to 16 visits, time to death (a transplant censors). The outside model is
the field's usual one (van Houwelingen 2007): for each landmark a Cox model of lifelines on the values known at that
visit (the last one known is carried forward), fitted on the patients still at risk there. It gets train and tune of
each fold, the network train alone and tune to stop. Both are judged on the pooled held-out patients, with the same
censoring curves.

Printed per landmark and horizon: patients at risk, dynamic AUC and Brier score of both with 95 % intervals, and their
difference. For comparison the Brier score of Kaplan-Meier, which knows nothing of a patient. About a minute of CPU a
fold.
"""

from __future__ import annotations

import argparse
import csv
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

DATA = Path("../shared/data/survival_tables/auton_pbc2.csv")
DAYS_PER_YEAR = 365.25
LANDMARKS = tuple(f"v{k}" for k in range(6))
HORIZONS = (365, 1095)
LOGARITHMS = {"serBilir": "log_bilirubin", "alkaline": "log_alkaline", "SGOT": "log_sgot"}
NUMBERS = {"albumin": "albumin", "platelets": "platelets", "prothrombin": "prothrombin"}
SIGNS = ("ascites", "hepatomegaly", "spiders")
EDEMA = {"No edema": "0", "edema no diuretics": "0.5", "edema despite diuretics": "1"}
COLUMNS = ("age", "female", *LOGARITHMS.values(), *NUMBERS.values(), *SIGNS, "edema")
SETTINGS = (
    *("training.threads=1", "training.workers=0", "training.precision=float32"),
    *("training.epochs=40", "model.embedding=32", "model.dropout=0.3"),
)
"""A small network and few steps: with those of the plan (width 128, 150 epochs) it learns 212 patients by heart."""
PENALTY = 0.1
"""Ridge penalty of lifelines: without one the late landmarks, with few events, do not converge."""
Row = dict[str, str]


def read_patients(path: Path) -> dict[str, list[Row]]:
    """Read the visits of each patient in order: the columns as numbers, `day`, and time and event of death."""
    patients: dict[str, list[Row]] = {}
    with path.open(newline="") as stream:
        for raw in csv.DictReader(stream):
            row = {"day": f"{float(raw['year']) * DAYS_PER_YEAR:.0f}", "age": f"{float(raw['age']):.2f}"}
            row |= {"female": str(int(raw["sex"] == "female")), "edema": EDEMA.get(raw["edema"], "")}
            row |= {
                new: f"{np.log(float(raw[old])):.4f}"
                for old, new in LOGARITHMS.items()
                if is_number(raw[old])
            }
            row |= {new: raw[old] for old, new in NUMBERS.items() if is_number(raw[old])}
            row |= {sign: {"Yes": "1", "No": "0"}.get(raw[sign], "") for sign in SIGNS}
            row |= {"death_time": f"{float(raw['years']) * DAYS_PER_YEAR:.1f}", "death_event": raw["status2"]}
            patients.setdefault(raw["id"], []).append(row)
    return {who: sorted(rows, key=lambda r: float(r["day"])) for who, rows in patients.items()}


def is_number(text: str) -> bool:
    """Whether a cell is a number above 0, which is what a laboratory measures."""
    try:
        return float(text) > 0
    except ValueError:
        return False


def write_cohort(patients: Mapping[str, Sequence[Row]], folder: Path) -> Path:
    """Write the cohort: one table input, one task whose risk is judged at the first visits."""
    import yaml

    visits = [f"v{k}" for k in range(max(map(len, patients.values())))]
    columns = {
        c: {"type": "number", **({"level": "subject"} if c in ("age", "female") else {})} for c in COLUMNS
    }
    death = {"kind": "survival", "level": "visit", "unit": "days", "landmarks": list(LANDMARKS)}
    header = {
        "polytask": 1,
        "name": "pbc2",
        "visits": visits,
        "inputs": {"labs": {"kind": "table", "columns": columns}},
        "tasks": {"death": {**death, "horizons": list(HORIZONS)}},
    }
    folder.mkdir(parents=True)
    (folder / "cohort.yaml").write_text(yaml.safe_dump(header, sort_keys=False))
    with (folder / "cases.csv").open("w", newline="") as stream:
        table = csv.DictWriter(stream, ["subject", "visit", "day", *COLUMNS, "death_time", "death_event"])
        table.writeheader()
        for who, rows in patients.items():
            table.writerows({"subject": who, "visit": visits[k], **row} for k, row in enumerate(rows))
    return folder


def list_at_risk(
    patients: Mapping[str, Sequence[Row]], landmark: int
) -> Iterator[tuple[str, dict[str, float]]]:
    """List the patients at risk at a landmark, with the last known values by then, time from it, and event."""
    for who, rows in patients.items():
        if len(rows) <= landmark:
            continue
        left = float(rows[0]["death_time"]) - float(rows[landmark]["day"])
        if left > 0:
            known = [{c: r.get(c, "") for c in COLUMNS} for r in rows[: landmark + 1]]
            last = {c: next((r[c] for r in reversed(known) if r[c]), "nan") for c in COLUMNS}
            values = {c: float(v) for c, v in last.items()}
            yield who, {**values, "time": left, "event": float(rows[0]["death_event"])}


def predict_by_cox(
    patients: Mapping[str, Sequence[Row]], folds: Sequence[Any]
) -> dict[tuple[str, str], list[float]]:
    """Fit a Cox model per fold and landmark; return the probabilities of death by each horizon of the held-out."""
    import pandas as pd
    from lifelines import CoxPHFitter

    answers: dict[tuple[str, str], list[float]] = {}
    for fold in folds:
        for place, visit in enumerate(LANDMARKS):
            at_risk = dict(list_at_risk(patients, place))
            fitted = pd.DataFrame([row for who, row in at_risk.items() if who not in fold.held_out])
            held_out = {who: row for who, row in at_risk.items() if who in fold.held_out}
            means = fitted.mean()
            model = CoxPHFitter(penalizer=PENALTY).fit(fitted.fillna(means), "time", "event")
            judged = pd.DataFrame(held_out.values()).fillna(means)
            curves = model.predict_survival_function(judged, times=list(HORIZONS)).to_numpy()
            answers |= {(who, visit): (1 - curves[:, k]).tolist() for k, who in enumerate(held_out)}
    return answers


def predict_by_network(
    cohort: Path, work: Path, folds: int, settings: Sequence[str], seeds: int, only: Sequence[int] = ()
) -> tuple[dict[tuple[str, str], list[float]], Sequence[Any]]:
    """Train per fold (or those in `only`) and seed; return the mean probabilities of the held-out, and the folds."""
    from polytask.cohort.splits import Splits
    from polytask.evaluation import evaluate
    from polytask.evaluation.part_answers import ANSWERS_FILE, PartAnswers
    from polytask.plan.work_folder import plan_into
    from polytask.prepare import prepare
    from polytask.training import train

    plan_into(cohort, work, folds=folds, settings=(*SETTINGS, *settings))
    prepare(work)
    sums: dict[tuple[str, str], np.ndarray] = {}
    for fold in only or range(folds):
        for seed in range(seeds):
            run = train(work, fold=fold, seed=seed, name=f"fold{fold}-seed{seed}")
            evaluate(run.folder, hidden=False, resamples=50)
            items = PartAnswers.read(run.folder / ANSWERS_FILE).pooled["death"]
            for k, who in enumerate(items.ids):
                sums[who] = sums.get(who, np.zeros(len(HORIZONS))) + items.prediction["p"][k] / seeds
    return {who: p.tolist() for who, p in sums.items()}, Splits.read(work / "splits.json").folds


def measure_answers(
    patients: Mapping[str, Sequence[Row]],
    arms: Mapping[str, Mapping[tuple[str, str], list[float]]],
    resamples: int,
) -> None:
    """Print AUC and Brier score of each arm at each landmark and horizon, and the difference of the first two arms."""
    from polytask.evaluation.horizon_metrics import KnownSurvival, measure_horizons
    from polytask.evaluation.measured_metric import average_metrics, combine_metrics
    from polytask.evaluation.metric_calculator import MetricCalculator
    from polytask.kinds.step_curves import estimate_censoring
    from polytask.tasks import make_task

    subjects = {who: k for k, who in enumerate(patients)}
    task = make_task(
        "death",
        {"kind": "survival", "level": "visit", "loss": "hazard", "horizons": HORIZONS, "bins": (1e6,)},
    )
    found: dict[str, dict[str, Any]] = {name: {} for name in arms}
    for place, visit in enumerate(LANDMARKS):
        at_risk = dict(list_at_risk(patients, place))
        owner = np.array([subjects[who] for who in at_risk])
        times, events = (np.array([row[k] for row in at_risk.values()]) for k in ("time", "event"))
        for name, answers in arms.items():
            p = np.array([answers[who, visit] for who in at_risk])
            calculator = MetricCalculator(len(subjects), owner, resamples)
            known = KnownSurvival(p[:, 0], p, times, events, (visit,) * len(p))
            found[name] |= measure_horizons(
                task, known, estimate_censoring(times, events), calculator, f"{visit}."
            )
    first, second, *_ = arms
    print(f"{'':22}{'n':>5}{'events':>8}" + "".join(f"{name:>26}" for name in arms) + f"{'difference':>28}")
    for horizon in HORIZONS:
        for base in ("auc", "brier"):
            rows = [f"{base}.{visit}.T{horizon}" for visit in LANDMARKS]
            mean = f"{base} mean T{horizon}"
            for name in arms:
                found[name][mean] = average_metrics([found[name][row] for row in rows], len(subjects))
            for row in (*rows, mean):
                counts = ""
                if row != mean:
                    at_risk = dict(list_at_risk(patients, LANDMARKS.index(row.split(".")[1])))
                    died = sum(r["event"] > 0 and r["time"] <= horizon for r in at_risk.values())
                    counts = f"{len(at_risk):5}{died:8}"
                gap = combine_metrics([found[first][row], found[second][row]], [1.0, -1.0])
                cells = [format_metric(found[name][row]) for name in arms] + [format_metric(gap)]
                print(f"{row:22}{counts:13}" + "".join(f"{cell:>26}" for cell in cells))


def format_metric(measured: Any) -> str:
    """Format an estimate with its interval."""
    ends = f" ({measured.low:.3f} to {measured.high:.3f})" if np.isfinite(measured.low) else ""
    return f"{measured.estimate:.3f}{ends}"


def predict_by_nothing(patients: Mapping[str, Sequence[Row]]) -> dict[tuple[str, str], list[float]]:
    """Give every patient at a landmark the Kaplan-Meier probability of death by each horizon."""
    from polytask.kinds.step_curves import estimate_kaplan_meier, evaluate_survival

    answers: dict[tuple[str, str], list[float]] = {}
    for place, visit in enumerate(LANDMARKS):
        at_risk = dict(list_at_risk(patients, place))
        times, events = (np.array([row[k] for row in at_risk.values()]) for k in ("time", "event"))
        curve = estimate_kaplan_meier(times, events)
        share = (1 - evaluate_survival(curve, np.array(HORIZONS, float))).tolist()
        answers |= {(who, visit): share for who in at_risk}
    return answers


def main() -> None:
    """Compare both on the same folds."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--seeds", type=int, default=1, help="networks whose mean is judged")
    parser.add_argument("--resamples", type=int, default=1000, help="of the bootstraps")
    parser.add_argument("--set", action="append", default=[], help="a value of the plan, PATH=VALUE")
    chosen = parser.parse_args()
    if not chosen.data.exists():
        print(f"{chosen.data}: not here; nothing measured")
        return
    patients = read_patients(chosen.data)
    with tempfile.TemporaryDirectory() as place:
        cohort = write_cohort(patients, Path(place) / "cohort")
        network, folds = predict_by_network(
            cohort, Path(place) / "work", chosen.folds, chosen.set, chosen.seeds
        )
    arms = {"network": network, "landmark Cox": predict_by_cox(patients, folds)}
    measure_answers(patients, {**arms, "Kaplan-Meier": predict_by_nothing(patients)}, chosen.resamples)


if __name__ == "__main__":
    main()
