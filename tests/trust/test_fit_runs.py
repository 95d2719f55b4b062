"""Runs from training to `trust.json`, through the command line."""

from __future__ import annotations

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from polytask.cohort.cohort import Cohort
from polytask.cohort.phantom import make_phantom
from polytask.errors import PolytaskError
from polytask.evaluation import evaluate
from polytask.evaluation.evaluation_result import Evaluation
from polytask.images.formats import read_image_file
from polytask.plan.work_folder import plan_into
from polytask.predict.predictor import Predictor
from polytask.predict.promise_tensors import TENSORS_FILE
from polytask.predict.promises import POINTER_FILE, TRUST_FILE, find_promises, name_run_set
from polytask.prepare.store_builder import prepare
from polytask.training import train
from polytask.training.folder import Run
from polytask.trust.apply_trust import TrustedColumns
from polytask.trust.fit_runs import fit_runs
from polytask.trust.inputs.input_trust import measure_strangeness
from polytask.trust.stored_promises import find_promises_about
from polytask.trust.trust_file import describe_trust, read_trust, write_trust
from tests.journeys.run_cli import polytask, run_successfully
from tests.trust.threshold import find_score_threshold

QUICK = (
    *("training.precision=float32", "training.threads=1", "training.epochs=1", "training.steps_per_epoch=2"),
    *("training.workers=0", "images.scan.widths=[4,8,8]", "model.embedding=8"),
)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs `a` and `b` (fold 0, seeds 0 and 1) and `c` (fold 1), evaluated, and `d`, which is not."""
    folder = tmp_path_factory.mktemp("trust")
    make_phantom(folder / "cohort", 24, 24, 3, 2, 1, ("lesion", "grade", "diameter", "os"), 2)
    plan_into(folder / "cohort", folder / "work", folds=2, settings=QUICK, jobs=1)
    prepare(folder / "work", jobs=1)
    for name, fold, seed in (("a", 0, 0), ("b", 0, 1), ("c", 1, 0), ("d", 1, 1)):
        run = train(folder / "work", name=name, fold=fold, seed=seed, device="cpu")
        if name != "d":
            evaluate(run.folder, resamples=5, device="cpu", hidden=False)
    return folder / "work" / "runs"


def test_one_run_is_fitted_and_shown(runs: Path, tmp_path: Path) -> None:
    said = run_successfully("trust", runs / "a", "--level", 0.8, "-o", tmp_path)
    assert "sets that shall hold the truth in 80%" in said.out
    assert "wider masks that shall hold 80% of a structure" in said.out
    assert "sizes held in 80%, and structures that are absent (p ≤ 0.2)" in said.out
    trust = read_trust(tmp_path / TRUST_FILE)
    assert (set(trust.tasks), set(trust.voxels)) == ({"grade", "diameter"}, {"lesion"})
    assert trust.words["grade"] == ("G1", "G2", "G3")
    (os,) = trust.survival["os"].places[""].members
    answers = json.loads((runs / "a" / "answers.json").read_text())["pooled"]["os"]
    assert (os.n, os.events) == (sum(answers["known"]), sum(e for _, e in answers["value"]))
    assert f"os {os.n} ({os.events} events)" in " ".join(said.out.split())
    assert "os: a bound is a time that 80% of such patients shall live beyond" in said.out
    (grade,) = trust.tasks["grade"]
    answers = json.loads((runs / "a" / "answers.json").read_text())["pooled"]["grade"]
    assert sum(map(len, grade.scores.values())) == sum(answers["known"])
    (member,) = trust.members
    assert (member.fold, member.runs) == (0, ("a",))
    assert "strange inputs, 5% of ordinary ones flagged" in said.out
    assert "19 are needed to flag 5%: nothing is ever flagged" in said.out
    assert trust.inputs is not None
    (inputs,) = trust.inputs.members
    fold = json.loads((runs.parent / "splits.json").read_text())["folds"][0]
    assert (len(inputs.held_out), inputs.trained) == (len(fold["held_out"]), len(fold["train"]))
    assert trust.inputs.measures == (
        ("clinic", "range"),
        *(("scan", word) for word in ("mahalanobis", "neighbors", "range")),
    )
    assert np.isfinite(inputs.held_out[:, :, 1:]).all()


def test_what_is_written_is_read_again(runs: Path, tmp_path: Path) -> None:
    fitted = fit_runs([runs / "a", runs / "c"], 0.8)
    assert describe_trust(read_trust(write_trust(fitted, tmp_path))) == describe_trust(fitted)
    path = tmp_path / TRUST_FILE
    path.write_text(path.read_text().replace('"level": 0.8', '"level": 0.9'))
    with pytest.raises(PolytaskError, match="was changed after it was written"):
        read_trust(path)


def test_seeds_are_averaged_and_folds_are_members(runs: Path, tmp_path: Path) -> None:
    words = [str(runs / name) for name in "abc"]
    said = run_successfully("trust", *words, "--level", 0.8, "-o", tmp_path / "t", "--json").json
    assert [m["runs"] for m in said["members"]] == [["a", "b"], ["c"]]
    assert said == json.loads((tmp_path / "t" / TRUST_FILE).read_text())
    known = [json.loads((runs / name / "answers.json").read_text())["pooled"]["diameter"] for name in "ab"]
    value = np.mean([own["prediction"]["value"] for own in known], axis=0)
    truth = np.array(known[0]["value"])
    seen = np.array(known[0]["known"])
    expected = np.sort(np.abs(truth - value)[seen].astype(float))
    assert said["tasks"]["diameter"]["members"][0]["scores"][""] == pytest.approx(expected.tolist())
    shown = run_successfully("trust", *words, "--level", 0.8, "-o", tmp_path / "t").out
    assert "for 2 folds together at least" in shown


def test_what_cannot_be_fitted_is_one_line(runs: Path, tmp_path: Path) -> None:
    for words, told in (
        ([runs / "d"], "not evaluated on held_out"),
        ([runs / "a", runs / "a"], "a run is named twice"),
        ([runs / "a", "--level", 1], "expected a share between 0 and 1"),
        ([runs / "a", "--false-alarms", 0], "--false-alarms 0: expected a share between 0 and 1"),
        ([runs], "not a run"),
        ([runs / "a", "--refer", "stage=0.1"], "no task 'stage'"),
        ([runs / "a", "--refer", "lesion=0.1"], "no single answer"),
        ([runs / "a", "--refer", "2"], "expected a share between 0 and 1"),
    ):
        said = polytask("trust", *words)
        assert (said.code, told in said.err) == (2, True), said.err
        assert len(said.err.strip().splitlines()) == 1
    shutil.copytree(runs.parent.parent, tmp_path / "copy")
    spoiled = tmp_path / "copy" / "work" / "runs" / "b"
    answers = json.loads((spoiled / "answers.json").read_text())
    del answers["curves"]
    (spoiled / "answers.json").write_text(json.dumps(answers))
    older = fit_runs([spoiled]).without["lesion"]
    assert older == "the evaluation is of an older version; run `polytask evaluate` again"
    answers["pooled"]["grade"]["ids"] = answers["pooled"]["grade"]["ids"][::-1]
    (spoiled / "answers.json").write_text(json.dumps(answers))
    said = polytask("trust", spoiled.parent / "a", spoiled)
    assert said.code == 2
    assert len(said.err.strip().splitlines()) == 1


def read_rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "predictions.csv").open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def test_predictions_hold_sets_and_intervals_unless_they_are_to_be_raw(runs: Path, tmp_path: Path) -> None:
    cohort = runs.parent.parent / "cohort"
    shutil.copytree(runs.parent.parent, tmp_path / "copy")
    run = tmp_path / "copy" / "work" / "runs" / "a"
    polytask("predict", run, cohort, "-o", tmp_path / "before")
    refers = ("--refer", 0.9, "--refer", "diameter=1000", "--refer", "grade=0.99")
    said = run_successfully("trust", run, "--level", 0.8, "--false-alarms", 0.1, *refers)
    assert "asked: 0.99" in said.out
    run_successfully("predict", run, cohort, "-o", tmp_path / "after")
    run_successfully("predict", run, cohort, "--raw", "-o", tmp_path / "raw")
    run_successfully("export", run, "-o", tmp_path / "model")
    run_successfully("predict", tmp_path / "model", cohort, "-o", tmp_path / "exported")
    mirrored = run_successfully("predict", run, cohort, "--tta", "-o", tmp_path / "mirrored").out
    assert "fitted on answers without --tta: predict alike" in mirrored
    assert read_rows(tmp_path / "before") == read_rows(tmp_path / "raw")
    rows = read_rows(tmp_path / "after")
    assert rows == read_rows(tmp_path / "exported")
    (own,) = read_trust(run / TRUST_FILE).tasks["diameter"]
    measures = read_trust(run / TRUST_FILE).measures
    reach = find_score_threshold(own.scores[""], 0.2)
    assert np.isfinite(reach)
    assert all("os.bound" not in row for row in read_rows(tmp_path / "raw"))
    place = read_trust(run / TRUST_FILE).survival["os"].places[""]
    bounds = [float(row["os.bound"]) for row in rows if row.get("os.bound")]
    assert len(bounds) == 24
    assert (place.share > 0) == any(bounds)
    for row in rows:
        plain, mean, patient = (
            read_image_file(tmp_path / "after" / row[f"lesion{column}"], dims=2).array
            for column in ("", ".outer.mean.lesion", ".outer.patient.lesion")
        )
        assert all((mask >= (plain == 1)).all() for mask in (mean, patient))
        assert 0 < float(row["lesion.absent_p.node"]) <= 1
        ends = [float(row[f"diameter.{end}"]) for end in ("low", "high")]
        assert ends == pytest.approx(
            [float(row["diameter"]) - reach, float(row["diameter"]) + reach], rel=1e-4
        )
        assert set(row["grade.set"].split(";")) <= {"G1", "G2", "G3"}
        rule = measures["grade"].answering[""].refer
        assert rule is not None
        p = {grade: float(row[f"grade.p.{grade}"]) for grade in ("G1", "G2", "G3")}
        sureness = p[row["grade"]] - (rule.threshold or 2)
        # A cell has six digits, and one of these cases may be the threshold.
        if abs(sureness) > 1e-5:
            assert row["grade.refer"] == ("answered" if sureness > 0 else "refer")
        assert row["diameter.refer"] == "answered"
        assert 0 < float(row["input.ood_p"]) <= 1
    assert "input.ood_p" not in read_rows(tmp_path / "raw")[0]
    # Ordinary cases are not all alike, and hardly any of them is as strange as none of the held-out ones.
    assert np.mean([float(row["input.ood_p"]) for row in rows]) > 0.2
    (run / TENSORS_FILE).write_bytes((run / TENSORS_FILE).read_bytes() + b" ")
    for words in (["predict", run, cohort], ["export", run]):
        refused = polytask(*words, "-o", tmp_path / "refused")
        assert (refused.code, "not the file that trust.json was written with" in refused.err) == (2, True)


def test_a_strange_image_is_flagged_in_words_and_a_missing_one_has_no_p(runs: Path, tmp_path: Path) -> None:
    shutil.copytree(runs.parent.parent, tmp_path / "copy")
    run, cohort = tmp_path / "copy" / "work" / "runs" / "a", tmp_path / "copy" / "cohort"
    run_successfully("trust", run, "--false-alarms", 0.2, "-o", run)
    predictor = Predictor.load(run, device="cpu")
    assert predictor.promises is not None
    trusted = TrustedColumns(predictor, predictor.promises, run)
    patients = Cohort.read(cohort)
    # A held-out case is measured from its files as it was from the store.
    fold = json.loads((run.parents[1] / "splits.json").read_text())["folds"][0]
    # The visit comes first, then the subject, which is measured from the same visit.
    again, _ = predictor.answers(patients, patients.samples(fold["held_out"][2:3]))
    assert trusted.inputs is not None
    stored = trusted.inputs.trust.members[0].held_out
    (own,) = trusted.inputs.measure_case(again.measures)
    assert own == pytest.approx(stored[2], rel=1e-4, nan_ok=True)
    first = next(s for s in patients.samples() if s.cases[0].cells.get("scan.xr"))
    cells = first.cases[0].cells
    # Without the size of its pixels.
    Image.fromarray(np.tile(np.arange(96, dtype=np.uint8), (96, 1))).save(tmp_path / "bare.png")
    odd = {**cells, "scan.xr": str(tmp_path / "bare.png"), "scan.mr": str(tmp_path / "bare.png")}
    bare = {k: v for k, v in cells.items() if not k.startswith("scan.")}
    told = []
    for own in (odd, bare, {}):
        case = replace(first.cases[0], cells=own)
        cohort_of_one = replace(patients, cases=(case,))
        answer, _ = predictor.answers(cohort_of_one)
        told.append((answer, trusted.make_cells(answer)))
    assert float(told[0][1]["input.ood_p"]) <= 0.2
    assert "scan: finest spacing 1 mm, training 8 mm" in told[0][1]["input.ood_reason"]
    assert (told[1][0].measures[0].features, set(told[1][0].measures[0].quantities)) == (({},), {"clinic"})
    alone = trusted.inputs.trust
    columns = alone.find_columns(["clinic"])
    member = alone.members[0]
    clinic = measure_strangeness(told[1][0].measures[0], [{}], member.seeds, member.ranges, alone.measures)
    assert float(told[1][1]["input.ood_p"]) == pytest.approx(
        alone.compare([clinic[None]], columns, [""]), rel=1e-3
    )
    assert (told[2][1]["input.ood_p"], told[2][1]["input.ood_reason"]) == ("", "")


def test_without_the_cohort_all_but_strange_inputs_is_fitted(runs: Path, tmp_path: Path) -> None:
    shutil.copytree(runs.parent.parent / "work", tmp_path / "work")
    said = run_successfully("trust", tmp_path / "work" / "runs" / "a", "--level", 0.8)
    assert "input: strange inputs are not told" in said.out
    assert "the cohort of the plan is not there" in said.out
    trust = read_trust(tmp_path / "work" / "runs" / "a" / TRUST_FILE)
    assert (trust.inputs, set(trust.tasks)) == (None, {"grade", "diameter"})


def test_promises_of_other_weights_are_not_used(runs: Path, tmp_path: Path) -> None:
    shutil.copytree(runs.parent.parent, tmp_path / "copy")
    run = tmp_path / "copy" / "work" / "runs" / "a"
    run_successfully("trust", run.parent / "b", "-o", run)
    said = run_successfully("predict", run, runs.parent.parent / "cohort", "-o", tmp_path / "out")
    assert "belongs to other weights or runs and is not used" in said.out
    assert "grade.set" not in read_rows(tmp_path / "out")[0]


def test_several_folds_rank_together_in_predictions(runs: Path, tmp_path: Path) -> None:
    shutil.copytree(runs.parent.parent, tmp_path / "copy")
    folders = [tmp_path / "copy" / "work" / "runs" / name for name in "abc"]
    run_successfully("trust", *folders, "--level", 0.8)
    run_successfully("predict", *folders, runs.parent.parent / "cohort", "-o", tmp_path / "out")
    row = read_rows(tmp_path / "out")[0]
    values = []
    for name in "abc":
        run_successfully(
            "predict",
            folders["abc".index(name)],
            runs.parent.parent / "cohort",
            "-o",
            tmp_path / name,
            "--raw",
        )
        values.append(float(read_rows(tmp_path / name)[0]["diameter"]))
    trust = read_trust(folders[0].parents[1] / "trust" / "a+b+c" / TRUST_FILE)
    of_fold = [(values[0] + values[1]) / 2, values[2]]
    scores = [own.scores[""] for own in trust.tasks["diameter"]]
    lows = np.sort(np.concatenate([v - s for v, s in zip(of_fold, scores, strict=True)]))
    count = len(lows)
    assert float(row["diameter.low"]) == pytest.approx(lows[int(0.2 * (count + 1)) - 1], rel=1e-3)


def test_each_set_of_runs_has_a_folder_of_its_own_and_each_run_points_there(
    runs: Path, tmp_path: Path
) -> None:
    shutil.copytree(runs.parent.parent, tmp_path / "copy")
    work = tmp_path / "copy" / "work"
    folders = {name: work / "runs" / name for name in "abc"}
    run_successfully("trust", folders["a"], folders["c"], "--level", 0.8)
    run_successfully("trust", folders["c"], folders["b"], folders["a"], "--level", 0.7)
    run_successfully("trust", folders["c"], folders["a"], "--level", 0.8)
    assert sorted(p.parent.name for p in (work / "trust").glob(f"*/{TRUST_FILE}")) == ["a+b+c", "a+c"]
    told = (folders["a"] / POINTER_FILE).read_text().splitlines()
    assert [json.loads(line)["set"] for line in told] == ["a+c", "a+b+c"], "asked twice, it is one line"
    assert len((folders["b"] / POINTER_FILE).read_text().splitlines()) == 1
    for names, level in (("ca", 0.8), ("bca", 0.7)):
        content, _, notices = find_promises([Run.read(folders[name]) for name in names])
        assert (content and content["level"], notices) == (level, [])
    assert find_promises([Run.read(folders["b"]), Run.read(folders["c"])]) == (None, None, [])
    promises, notices = find_promises_about(Run.read(folders["a"]))
    assert ([len(own.members[0].runs) + 1 for own in promises], notices) == ([2, 3], [])
    stale = replace(Run.read(folders["a"]), record={**Run.read(folders["a"]).record, "networks": {}})
    promises, notices = find_promises_about(stale)
    assert (len(promises), len(notices)) == (0, 2), "they belong to other weights"
    # Another name of the folder is followed by the line in the run; so is the place of earlier versions.
    (work / "trust" / "a+c").rename(work / "trust" / "ours")
    (folders["c"] / POINTER_FILE).write_text(
        '{"set": "../x", "runs": []}\n{"set": "ours", "runs": ["a", "c"]}\nodd'
    )
    pair = [Run.read(folders["c"]), Run.read(folders["a"])]
    assert find_promises(pair)[0] is not None
    shutil.move(work / "trust" / "ours" / TRUST_FILE, work / "trust" / TRUST_FILE)
    assert find_promises(pair)[0] is not None


def test_sets_of_runs_have_different_names() -> None:
    assert name_run_set(["b", "a"]) == "a+b"
    assert len({name_run_set(names) for names in (["a", "b+c"], ["a+b", "c"], ["a", "b", "c"])}) == 3
    long = [f"{k}{'x' * 60}" for k in range(3)]
    assert name_run_set(long) == name_run_set(long[::-1]) != name_run_set([*long[:2], "4"])
    assert len(name_run_set(long)) < 120


def test_a_model_prints_what_it_holds(runs: Path, tmp_path: Path) -> None:
    shutil.copytree(runs / "a", tmp_path / "runs" / "a")
    run = tmp_path / "runs" / "a"
    run_successfully("export", run, "-o", tmp_path / "bare")
    assert "uncalibrated" in run_successfully("trust", tmp_path / "bare").out
    assert run_successfully("trust", tmp_path / "bare", "--json").json is None
    first = run_successfully("trust", run, "--level", 0.8)
    run_successfully("export", run, "-o", tmp_path / "model")
    table = first.out.rsplit("\n", 2)[0]
    for place in (tmp_path / "model", tmp_path / "model" / "model.json", run / TRUST_FILE):
        assert run_successfully("trust", place).out.strip() == table.strip()
    written = json.loads((run / TRUST_FILE).read_text())
    assert run_successfully("trust", tmp_path / "model", "--json").json == written
    (run / TRUST_FILE).write_text((run / TRUST_FILE).read_text().replace('"level": 0.8', '"level": 0.9'))
    described = tmp_path / "model" / "model.json"
    described.write_text(described.read_text().replace('"level": 0.8', '"level": 0.9'))
    for words, told in (
        ([run / TRUST_FILE], "was changed after it was written"),
        ([tmp_path / "model"], "changed since it was exported"),
        ([tmp_path / "bare", "--level", 0.8], "what a model promises is fixed"),
        ([tmp_path / "bare", run], "not a run"),
        ([tmp_path / "nothing.json"], "not a run"),
    ):
        said = polytask("trust", *words)
        assert (said.code, told in said.err) == (2, True), said.err
        assert len(said.err.strip().splitlines()) == 1


def test_runs_that_do_not_belong_together_are_one_line(runs: Path, tmp_path: Path) -> None:
    shutil.copytree(runs.parent.parent, tmp_path / "copy")
    copied = tmp_path / "copy" / "work" / "runs"
    for name, path in (("c", "answers.json"), ("c", "evaluation.json")):
        content = json.loads((copied / name / path).read_text())
        other = json.loads((copied / "a" / path).read_text())
        kept = {"weights", "fold", "seed", "run"}
        (copied / name / path).write_text(
            json.dumps({**other, **{k: content[k] for k in kept & set(content)}})
        )
    said = polytask("trust", copied / "a", copied / "c")
    assert (said.code, "so they are of different splits" in said.err) == (2, True), said.err
    table = tmp_path / "copy" / "cohort" / "cases.csv"
    table.write_text(table.read_text().replace("G1", "G2"))
    said = polytask("trust", copied / "a")
    assert (said.code, "header or table changed since a was evaluated" in said.err) == (2, True), said.err
    shutil.rmtree(table.parent)
    before = sorted(p.name for p in (copied / "a").iterdir())
    (tmp_path / "file").write_text("")
    said = polytask("trust", copied / "a", "-o", tmp_path / "file")
    assert (said.code, len(said.err.strip().splitlines())) == (2, 1), said.err
    assert sorted(p.name for p in (copied / "a").iterdir()) == before, "nothing half-written is left"
    run_successfully("trust", copied / "a")


def test_probabilities_are_shifted_to_a_prevalence_and_sets_are_not(runs: Path, tmp_path: Path) -> None:
    shutil.copytree(runs.parent.parent, tmp_path / "copy")
    cohort, run = tmp_path / "copy" / "cohort", tmp_path / "copy" / "work" / "runs" / "a"
    said = polytask(
        "predict", run, cohort, "--prevalence", "grade=G1:0.1,G2:0.1,G3:0.8", "-o", tmp_path / "x"
    )
    assert (said.code, "run `polytask trust RUN` first" in said.err) == (2, True), said.err
    run_successfully("trust", run, "--level", 0.8)
    run_successfully("predict", run, cohort, "-o", tmp_path / "before")
    wanted = "grade=G1:0.1,G2:0.1,G3:0.8"
    told = run_successfully("predict", run, cohort, "--prevalence", wanted, "-o", tmp_path / "after").out
    assert "grade: probabilities are for a prevalence of G1 10.0%, G2 10.0%, G3 80.0%, stated; among" in told
    (own,) = read_trust(run / TRUST_FILE).tasks["grade"]
    (prior,) = own.priors
    assert prior is not None
    for old, new in zip(read_rows(tmp_path / "before"), read_rows(tmp_path / "after"), strict=True):
        assert new["grade.set"] == old["grade.set"]
        assert new["diameter.low"] == old["diameter.low"]
        # By hand: Bayes' rule from the prevalence that the calibrated answers were made for.
        p = np.array([float(old[f"grade.p.{word}"]) for word in ("G1", "G2", "G3")])
        p *= np.array([0.1, 0.1, 0.8]) / np.array(prior.implied)
        seen = [float(new[f"grade.p.{word}"]) for word in ("G1", "G2", "G3")]
        assert seen == pytest.approx((p / p.sum()).tolist(), rel=1e-3, abs=1e-5)
    record = json.loads((tmp_path / "after" / "prevalence.json").read_text())["questions"]["grade"]
    assert (record["words"], record["shares"]) == (["G1", "G2", "G3"], [0.1, 0.1, 0.8])
    assert record["start"] == pytest.approx(list(prior.frequencies))
    # The folder is still one that a later prediction may replace, and then nothing is left of the record.
    run_successfully("predict", run, cohort, "-o", tmp_path / "after", "--overwrite")
    assert not (tmp_path / "after" / "prevalence.json").exists()

    run_successfully("export", run, "-o", tmp_path / "model", "--prevalence", wanted)
    assert "that the model was exported for" in run_successfully("trust", tmp_path / "model").out
    shifted = run_successfully(
        "predict", tmp_path / "model", cohort, "-o", tmp_path / "exported", "--json"
    ).json
    assert shifted["prevalence"]["grade"]["shares"] == [0.1, 0.1, 0.8]
    polytask("predict", tmp_path / "model", cohort, "-o", tmp_path / "raw", "--raw")
    assert not (tmp_path / "raw" / "prevalence.json").exists()
    for words, complaint in (
        (["--prevalence", "grade=estimate"], "24 cases, at least 100 are needed"),
        (["--prevalence", "diameter=0.5"], "diameter is a regression"),
        (["--prevalence", wanted, "--raw"], "leave out --raw"),
    ):
        said = polytask("predict", run, cohort, *words, "-o", tmp_path / "refused")
        assert (said.code, complaint in said.err) == (2, True), said.err
        assert len(said.err.strip().splitlines()) == 1
        assert not (tmp_path / "refused").exists()


def test_promises_are_checked_at_another_hospital(runs: Path, tmp_path: Path) -> None:
    """As the model predicts, all folds together: the same shares as of the columns of its predictions."""
    shutil.copytree(runs.parent.parent, tmp_path / "copy")
    folders = [tmp_path / "copy" / "work" / "runs" / name for name in "abc"]
    run_successfully("trust", *folders, "--level", 0.8, "--refer", "0.9", "--refer", "diameter=1000")
    run_successfully("export", *folders, "-o", tmp_path / "model")
    make_phantom(tmp_path / "there", 10, 24, 9, 2, 1, ("lesion", "grade", "diameter"), 2)
    on = ("--on", tmp_path / "there", "-o", tmp_path / "out", "--resamples", 5)
    shown = run_successfully("evaluate", tmp_path / "model", *on).out
    assert "do the promises hold here?" in shown
    run_successfully("predict", tmp_path / "model", tmp_path / "there", "-o", tmp_path / "predicted")
    judged = json.loads((tmp_path / "out" / "evaluation.json").read_text())["promises"]
    assert (judged["level"], set(judged["tasks"])) == (0.8, {"grade", "diameter"})
    said = {(r["subject"], r["visit"]): r for r in read_rows(tmp_path / "predicted")}
    with (tmp_path / "there" / "cases.csv").open(encoding="utf-8", newline="") as stream:
        truth = [row for row in csv.DictReader(stream) if row["grade"]]
    held = [
        row["grade"] in said[row["subject"], row.get("visit", "")]["grade.set"].split(";") for row in truth
    ]
    grade = judged["tasks"]["grade"]
    assert (grade["coverage"]["n"], grade["coverage"]["estimate"]) == (
        len(held),
        pytest.approx(np.mean(held)),
    )
    assert grade["coverage"]["low"] < np.mean(held) < grade["coverage"]["high"] or np.mean(held) == 1
    assert sum(share["n"] for share in grade["strata"].values()) == len(held)
    assert set(grade["strata"]) <= {"G1", "G2", "G3"}
    assert set(grade["calibration"]) == {"raw", "calibrated"}
    answered = [said[row["subject"], row.get("visit", "")]["grade.refer"] == "answered" for row in truth]
    assert (grade["refer"][""]["n"], grade["refer"][""]["answered"]) == (len(held), sum(answered))
    assert "calibration" not in judged["tasks"]["diameter"]
    assert Evaluation.read(tmp_path / "out" / "evaluation.json").promises == judged
