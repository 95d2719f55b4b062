"""Risk groups, operating points, simple models and other people's answers, from a tiny training through the command
line to a bundle and new patients."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from polytask.cli import app
from polytask.cohort.cohort import Cohort
from polytask.cohort.phantom import make_phantom
from polytask.cohort.splits import Splits
from polytask.errors import PolytaskError
from polytask.evaluation import evaluate
from polytask.evaluation.evaluation_result import Evaluation
from polytask.plan.work_folder import plan_into
from polytask.predict.predictor import Predictor
from polytask.prepare.store_builder import prepare
from polytask.tasks.risk_groups import find_risk_cutoffs
from polytask.training.run import train
from tests.docs.starts import QUICK

TASKS = ("lesion", "grade", "os", "response")


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("beside")
    make_phantom(folder / "cohort", 60, 24, 1, 2, 2, TASKS, 2)
    plan_into(folder / "cohort", folder / "work", folds=2, settings=QUICK, jobs=1)
    prepare(folder / "work", jobs=1)
    train(folder / "work", name="hard", device="cpu")
    return folder / "work"


@pytest.fixture(scope="module")
def run(work: Path) -> Path:
    evaluate(work / "runs" / "hard", resamples=10, sensitivity=["response=0.5"])
    return work / "runs" / "hard"


def call(*words: str) -> str:
    result = CliRunner().invoke(app, list(words), env={"COLUMNS": "160"})
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.stdout


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def test_cut_offs_are_those_of_the_training_risks(run: Path, work: Path) -> None:
    """Nobody else's risk counts: the quantiles of the risks of the train part, as the best weights give them."""
    kept = json.loads((run / "decisions.json").read_text())["cutoffs"]["os"]
    cohort, fold = Cohort.read(work.parent / "cohort"), Splits.read(work / "splits.json").folds[0]
    predictor = Predictor.load(run, device="cpu")
    known = {s for s in fold.train if any(c.cells.get("os_time") for c in cohort.subjects[s])}
    risks = [
        float(a.pooled["os"]["risk"][0])
        for a in predictor.answers(cohort, cohort.samples(fold.train))
        if "os" in a.pooled and a.subject in known
    ]
    assert kept == pytest.approx(find_risk_cutoffs(risks), rel=1e-4, abs=1e-6)


def test_held_out_patients_have_the_groups_that_were_judged(run: Path) -> None:
    found = Evaluation.read(run / "evaluation.json")
    rows = [r for r in rows_of(run / "predictions.csv") if r["os.risk"]]
    cutoffs = found.groups["os"]["cutoffs"]
    for row in rows:
        place = int(np.searchsorted(cutoffs, float(row["os.risk"])))
        distance = min(abs(float(row["os.risk"]) - c) for c in cutoffs)
        if distance > 1e-5:  # the table has six digits
            assert row["os.group"] == list(found.groups["os"]["groups"])[place]
    assert sum(g["n"] for g in found.groups["os"]["groups"].values()) == found.counts["os"]["known"]
    assert set(found.groups["os"]) == {"cutoffs", "groups", "log_rank", "hazard_ratio", "note"}


def test_simple_models_are_fitted_once_and_stay(run: Path) -> None:
    first = (run / "baselines.json").read_bytes()
    found = evaluate(run, resamples=10)
    assert (run / "baselines.json").read_bytes() == first
    assert {"table", "volume of lesion"} <= set(found.baselines["grade"]) | set(found.baselines["response"])
    assert set(found.baselines["os"]["table"]["difference"]) == {"estimate", "low", "high", "n", "reason"}
    assert "yes" in found.decision_curves["response"]


def test_a_reader_beside_ours(run: Path, work: Path, tmp_path: Path) -> None:
    cohort = Cohort.read(work.parent / "cohort")
    with (tmp_path / "reader.csv").open("w") as stream:
        stream.write("subject,visit,grade\n")
        stream.writelines(f"{c.subject},{c.visit},G{1 + k % 3}\n" for k, c in enumerate(cohort.cases))
    shown = call("evaluate", str(run), "--resamples", "10", "--answers", str(tmp_path / "reader.csv"))
    assert "ours against reader (theirs), on the same cases" in shown
    assert "does the network add anything" in shown
    written = json.loads((run / "answers_reader.json").read_text())
    found = Evaluation.read(run / "evaluation.json")
    assert found.answers["reader"] == written
    held_out = [c for c in cohort.cases if c.subject in found.subjects]
    assert written["cases"]["grade"] == len(held_out)
    assert written["elsewhere"]["grade"] == len(cohort.cases) - len(held_out)
    assert written["tasks"]["grade"][0]["metric"] == "kappa"
    twice = call(
        "evaluate", str(run), "--resamples", "10", "--json", "--answers", str(run / "predictions.csv")
    )
    ours = json.loads(twice)["answers"]["predictions"]["tasks"]
    assert all(j["difference"]["estimate"] == pytest.approx(0, abs=1e-3) for t in ours.values() for j in t)


def test_an_operating_point_travels_to_new_patients(run: Path, work: Path, tmp_path: Path) -> None:
    words = ("evaluate", str(run), "--resamples", "10", "--sensitivity", "response=0.5")
    shown = call(*words)
    assert "operating points, chosen on tune" in shown
    found = Evaluation.read(run / "evaluation.json").operating_points["response"][0]
    assert (found["aim"], found["target"], found["part"]) == ("sensitivity", 0.5, "tune")
    tune = Splits.read(work / "splits.json").folds[0].tune
    assert 0 < found["n"] <= len(tune)
    bundle, out = tmp_path / "model", tmp_path / "out"
    call("export", str(run), "-o", str(bundle))
    described = json.loads((bundle / "model.json").read_text())["members"][0]
    assert described["decisions"] == json.loads((run / "decisions.json").read_text())
    assert described["baselines"] == json.loads((run / "baselines.json").read_text())["baselines"]
    readme = (bundle / "README.md").read_text()
    assert "response.at_sensitivity_50: positive if the probability is at least" in readme
    assert "grade: multinomial logistic regression on table" in readme
    said = call("predict", str(bundle), str(work.parent / "cohort"), "-o", str(out))
    assert f"reaches sensitivity 0.5 on tune (n {found['n']}, {found['positives']} positive)" in said
    assert "os.group: " in said
    rows = [r for r in rows_of(out / "predictions.csv") if r["response"]]
    for row in rows:
        called = float(row["response.p.yes"]) >= found["threshold"] + 1e-6
        if abs(float(row["response.p.yes"]) - found["threshold"]) > 1e-5:
            assert row["response.at_sensitivity_50"] == ("yes" if called else "no")
    assert {r["os.group"] for r in rows if r["os.risk"]} <= {
        "low risk",
        "middle risk",
        "high risk",
        "lower risk",
        "higher risk",
    }
    assert Predictor.load(bundle).decisions == Predictor.load(run).decisions


def test_what_tune_cannot_hold_is_said_before_anything_is_judged(run: Path) -> None:
    before = (run / "evaluation.json").read_bytes()
    with pytest.raises(
        PolytaskError, match=r"--specificity response=0.99: on tune, .* expected at least 100"
    ):
        evaluate(run, resamples=10, specificity=["response=0.99"])
    assert (run / "evaluation.json").read_bytes() == before


def test_held_out_answers_change_no_threshold(run: Path, work: Path) -> None:
    """The threshold is a function of the tune answers alone."""
    kept = json.loads((run / "decisions.json").read_text())["operating_points"]["response"][0]["threshold"]
    answers = json.loads((run / "tune" / "answers.json").read_text())["pooled"]["response"]
    positive = [
        p[1]
        for p, v, k in zip(answers["prediction"]["p"], answers["value"], answers["known"], strict=True)
        if k and v
    ]
    assert kept in positive
    assert np.mean(np.array(positive) >= kept) >= 0.5


def test_all_of_it_at_another_hospital(run: Path, tmp_path: Path) -> None:
    """A bundle needs nothing but itself: groups, thresholds and simple models are its own."""
    bundle, there, out = tmp_path / "model", tmp_path / "elsewhere", tmp_path / "out"
    call("export", str(run), "-o", str(bundle))
    make_phantom(there, 14, 24, 9, 2, 2, TASKS, 2)
    cohort = Cohort.read(there)
    with (tmp_path / "reader.csv").open("w") as stream:
        stream.write("subject,response.p.yes\n")
        stream.writelines(f"{s},{0.1 + 0.05 * k}\n" for k, s in enumerate(cohort.subjects))
    words = ("--resamples", "10", "--answers", str(tmp_path / "reader.csv"), "-o", str(out))
    shown = call("evaluate", str(bundle), "--on", str(there), *words)
    assert "ours against reader (theirs), on the same cases" in shown
    found, own = Evaluation.read(out / "evaluation.json"), Evaluation.read(run / "evaluation.json")
    assert found.groups["os"]["cutoffs"] == own.groups["os"]["cutoffs"]
    thresholds = [e.operating_points["response"][0]["threshold"] for e in (found, own)]
    assert thresholds[0] == thresholds[1]
    assert found.baselines["grade"]["table"]["fitted_on"] == own.baselines["grade"]["table"]["fitted_on"]
    assert found.answers["reader"]["cases"]["response"] == len(found.subjects)
    assert (out / "answers_reader.json").exists()
    with pytest.raises(PolytaskError, match="chosen on the run's own tune part"):
        call(
            "evaluate",
            str(bundle),
            "--on",
            str(there),
            "-o",
            str(tmp_path / "b"),
            "--sensitivity",
            "response=0.5",
        )
