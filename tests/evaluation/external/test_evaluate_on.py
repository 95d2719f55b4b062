"""A run and an exported model at another hospital, through the command line."""

from __future__ import annotations

import csv
import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from polytask.cohort.splits import Splits
from polytask.errors import PolytaskError
from polytask.evaluation import evaluate_on
from polytask.evaluation.evaluated_part import count_test_uses
from polytask.evaluation.external.evaluate_on import ensure_common_task, ensure_output_free
from polytask.report.external_report import gather_external
from polytask.report.run_facts import list_run_facts, list_training_facts
from tests.evaluation.external.worlds import cohort_of, matched
from tests.journeys.ct_cohort import make_quick_settings
from tests.journeys.run_cli import CommandResult, hash_folder_files, polytask, run_successfully

TASKS = "lesion,grade,os,diameter"
Row = dict[str, str]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`cohort`, `work` with the evaluated runs `a` and `b` of two folds, the exported `model`, and `away`: another
    hospital in the same words."""
    place = tmp_path_factory.mktemp("external")
    for name, subjects, seed in (("cohort", 16, 1), ("away", 9, 2)):
        words = ("--size", 24, "--dims", 2, "--visits", 1, "--tasks", TASKS)
        run_successfully("phantom", place / name, "--subjects", subjects, "--seed", seed, *words)
    run_successfully("plan", place / "cohort", "-o", place / "work", "--folds", 2, *make_quick_settings())
    run_successfully("prepare", place / "work")
    for fold, name in enumerate("ab"):
        run_successfully("train", place / "work", "--name", name, "--fold", fold)
        run_successfully("evaluate", place / "work/runs" / name, "--resamples", 40)
    run_successfully("export", place / "work/runs/a", "-o", place / "model")
    return place


def judged(model: Path, on: Path, out: Path, mapping: Path | None = None) -> Any:
    """`evaluation.json` of a model on a cohort."""
    evaluate_on(model, on, out, mapping=mapping, resamples=20)
    return json.loads((out / "evaluation.json").read_text())


def rewritten(
    source: Path, folder: Path, change: Callable[[Row], Row | None], *texts: tuple[str, str]
) -> Path:
    """A copy of a cohort with changed rows (None: left out) and changed words in its header."""
    shutil.copytree(source, folder)
    with (folder / "cases.csv").open(encoding="utf-8", newline="") as stream:
        rows = [found for row in csv.DictReader(stream) if (found := change(row)) is not None]
    with (folder / "cases.csv").open("w", encoding="utf-8", newline="") as stream:
        table = csv.DictWriter(stream, list(rows[0]))
        table.writeheader()
        table.writerows(rows)
    header = (folder / "cohort.yaml").read_text()
    for old, new in texts:
        assert old in header, header
        header = header.replace(old, new)
    (folder / "cohort.yaml").write_text(header)
    return folder


def test_results_are_not_written_over_others(tmp_path: Path) -> None:
    ensure_output_free(tmp_path / "new")
    (tmp_path / "mapping.yaml").touch()
    ensure_output_free(tmp_path)
    (tmp_path / "notes").touch()
    with pytest.raises(PolytaskError, match="not empty \\(it holds notes\\)"):
        ensure_output_free(tmp_path)
    with pytest.raises(PolytaskError, match="is a file"):
        ensure_output_free(tmp_path / "notes")
    (tmp_path / "evaluation_log.jsonl").touch()
    ensure_output_free(tmp_path)
    (tmp_path / "evaluation.json").touch()
    with pytest.raises(PolytaskError, match="not empty"):
        ensure_output_free(tmp_path)


def test_a_cohort_has_a_task_in_common(tmp_path: Path) -> None:
    own = cohort_of(tmp_path)
    found = matched(own)
    ensure_common_task(found, own, ["grade"], None)
    with pytest.raises(PolytaskError, match="no task in common") as raised:
        ensure_common_task(replace(found, tasks={}), own, ["grade"], tmp_path / "mapping.yaml")
    assert "a draft lies in" in str(raised.value)
    with pytest.raises(PolytaskError) as raised:
        ensure_common_task(replace(found, tasks={}), own, ["grade"], None)
    assert "a draft lies in" not in str(raised.value)


def test_a_run_is_judged_elsewhere_and_nothing_of_its_own_changes(home: Path, tmp_path: Path) -> None:
    log, out = home / "work/test_log.jsonl", tmp_path / "out"
    before, touched = hash_folder_files(home), count_test_uses(home / "work")
    words = ("evaluate", home / "work/runs/a", "--on", home / "away", "-o", out, "--resamples", 20)
    found = run_successfully(*words, "--json").json
    after = hash_folder_files(home)
    assert {k: v for k, v in after.items() if k != "work/test_log.jsonl"} == {
        k: v for k, v in before.items() if k != "work/test_log.jsonl"
    }
    assert found == json.loads((out / "evaluation.json").read_text())
    assert (found["part"], found["run"], found["external"]["cohort"]) == ("external", "a", "phantom")
    assert len(found["subjects"]) == 9
    assert set(found["tasks"]) == set(TASKS.split(","))
    assert set(found["sites"]) == {"A", "B"}
    assert {p.name for p in out.iterdir()} == {
        *("evaluation.json", "evaluation_log.jsonl", "predictions", "predictions.csv"),
        *("cases.csv", "answers.json", "report.html"),
    }
    lines = [
        [json.loads(x) for x in p.read_text().splitlines()][-1] for p in (log, out / "evaluation_log.jsonl")
    ]
    for line in lines:
        assert set(line) == {"when", "part", "run", "cohort", "subjects"}, "no ids"
        assert (line["part"], line["run"], line["subjects"]) == ("external", "a", 9)
    assert count_test_uses(home / "work") == touched, "the test part was not opened"
    page = (out / "report.html").read_text()
    assert all(drop["sentence"] in page for drop in found["external"]["drop"])
    assert "cohort of another hospital" in page


def test_the_drop_is_that_of_the_two_evaluations(home: Path, tmp_path: Path) -> None:
    found = judged(home / "work/runs/a", home / "away", tmp_path / "out")
    here = json.loads((home / "work/runs/a/evaluation.json").read_text())["metrics"]
    drops = {d["task"]: d for d in found["external"]["drop"]}
    assert set(drops) == set(found["tasks"])
    for task, drop in drops.items():
        mine, there = here[task][drop["metric"]], found["metrics"][task][drop["metric"]]
        for side, estimate in (("held_out", mine), ("external", there)):
            assert drop[side] == {k: estimate[k] for k in ("estimate", "low", "high")}
        if mine["low"] is not None and there["low"] is not None:
            assert drop["difference"]["estimate"] == pytest.approx(there["estimate"] - mine["estimate"])
            assert re.search(r"at held-out, .* at phantom: [−+]?[\d.]+ \(", drop["sentence"])


def test_a_bundle_needs_nothing_but_itself(home: Path, tmp_path: Path) -> None:
    whole = judged(home / "work/runs/a", home / "away", tmp_path / "run")
    shutil.copytree(home / "model", tmp_path / "alone")
    hidden = home.with_name("hidden")
    shutil.copytree(home / "away", tmp_path / "away")
    home.rename(hidden)
    try:
        found = judged(tmp_path / "alone", tmp_path / "away", tmp_path / "bundle")
    finally:
        hidden.rename(home)
    assert found["metrics"] == whole["metrics"]
    assert found["external"]["drop"] == whole["external"]["drop"]
    assert (tmp_path / "bundle/predictions.csv").read_bytes() == (
        tmp_path / "run/predictions.csv"
    ).read_bytes()
    assert (found["run"], found["external"]["trained_on"]) == ("alone", "phantom")
    line = json.loads((tmp_path / "bundle/evaluation_log.jsonl").read_text())
    assert (line["part"], line["model"]) == ("external", "alone")


def test_other_words_with_a_mapping_give_the_same_figures(home: Path, tmp_path: Path) -> None:
    grades = {"G1": "1", "G2": "2", "G3": "3", "": ""}

    def words(row: Row) -> Row:
        row = {**row, "grade": grades[row["grade"]]}
        row["os_time"] = str(float(row["os_time"]) / 30.4375) if row["os_time"] else ""
        row["diameter"] = str(float(row["diameter"]) / 10) if row["diameter"] else ""
        row["sex"] = row["sex"][:1].upper()
        row["lesion_known"] = row["lesion_known"].replace("node", "gland").replace("lesion", "GTV")
        new = {"scan.xr": "film.x", "scan.mr": "film.mr", "age": "years", "grade": "tumour_grade", "lesion": "mass",
               "lesion_known": "mass_known"}  # fmt: skip
        return {new.get(k, k): v for k, v in row.items()}

    header = [
        *(("name: phantom", "name: elsewhere"), ("    age:", "    years:"), ("unit: days", "unit: months")),
        *(
            ("  scan:", "  film:"),
            ("image: scan", "image: film"),
            ("xr: XR", "x: XR"),
            ("unit: mm", "unit: cm"),
        ),
        *(("  grade:", "  tumour_grade:"), ("- female", "- F"), ("- male", "- M"), ("lesion: 1", "GTV: 1")),
        *(("  lesion:\n    kind", "  mass:\n    kind"), ("node: 2", "gland: 2")),
        *((f"- {k}", f"- '{v}'") for k, v in grades.items() if k),
    ]
    away = rewritten(home / "away", tmp_path / "away", words, *header)
    same = judged(home / "model", home / "away", tmp_path / "same")
    refused = polytask("evaluate", home / "model", "--on", away, "-o", tmp_path / "out").complaint
    assert "no task in common" in refused
    assert "a draft lies in" in refused
    mapping = tmp_path / "out/mapping.yaml"
    text = mapping.read_text()
    assert "GTV: lesion" in text
    assert "os: 30.4375" in text
    mapping.write_text(text.replace("gland:", "gland: node").replace("years:", "years: age"))
    found = judged(home / "model", away, tmp_path / "out", mapping)
    for task, metrics in same["metrics"].items():
        for name, estimate in metrics.items():
            mine, expected = found["metrics"][task][name]["estimate"], estimate["estimate"]
            assert mine == (expected if expected is None else pytest.approx(expected, rel=1e-5)), name
            assert found["metrics"][task][name]["n"] == estimate["n"]
    assert not found["external"]["unknown"]
    assert found["external"]["mapping"]["units"] == {"os": 30.4375, "diameter": 10.0}
    assert "gland: node" in mapping.read_text(), "the person's file is left alone"


def test_without_a_mapping_other_words_are_unknown_listed_and_drafted(home: Path, tmp_path: Path) -> None:
    def change(row: Row) -> Row:
        return {**row, "grade": row["grade"].replace("G3", "high"), "sex": "x"}

    texts = (
        ("- G3", "- high\n    - GX"),
        ("- female\n        - male", "- x"),
        ("unit: days", "unit: months"),
    )
    away = rewritten(home / "away", tmp_path / "away", change, *texts)
    said = run_successfully(
        "evaluate", home / "model", "--on", away, "-o", tmp_path / "out", "--resamples", 20
    )
    found = json.loads((tmp_path / "out/evaluation.json").read_text())
    assert found["external"]["unknown"]["classes"] == {"grade": ["high", "GX"]}
    assert found["external"]["lacking"]["classes"] == {"grade": ["G3"]}
    assert found["external"]["unknown"]["values"] == {"sex": ["x"]}
    assert "os" not in found["tasks"], "months are not days"
    assert found["counts"]["grade"]["classes"]["G3"] == 0
    assert (tmp_path / "out/mapping.yaml").exists()
    told = " ".join(said.out.split())
    assert "classes of grade high, GX" in told
    assert "phantom gives it in months, the model in days" in told
    assert "a draft of a mapping lies in mapping.yaml" in told
    assert "next: correct" in told


def reencoded(home: Path, subject: str, place: Path) -> Row:
    """Cells of a subject of the training whose pictures are compressed anew, in files of other names."""
    with (home / "cohort/cases.csv").open(encoding="utf-8", newline="") as stream:
        row = next(r for r in csv.DictReader(stream) if r["subject"] == subject)
    for column in ("scan.xr", "scan.mr"):
        if row[column]:
            source, target = home / "cohort" / row[column], place / f"new-{subject}-{column}.png"
            with Image.open(source) as image:
                image.save(target, compress_level=1)
            assert target.read_bytes() != source.read_bytes()
            row[column] = str(target)
    return {**row, "lesion": "", "lesion_known": ""}


@pytest.mark.parametrize("model", ["work/runs/a", "model"])
def test_known_subjects_are_left_out_and_an_equal_id_is_not_enough(
    home: Path, tmp_path: Path, model: str
) -> None:
    fold = Splits.read(home / "work/splits.json").folds[0]
    known = {
        "renamed-train": fold.train[0],
        "renamed-tune": fold.tune[0],
        "renamed-held-out": fold.held_out[0],
    }
    away = rewritten(home / "away", tmp_path / "away", lambda row: row)
    with (away / "cases.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    again = next(s for s in (*fold.train, *fold.tune) if s in {r["subject"] for r in rows})
    rows += [{**reencoded(home, s, away), "subject": name} for name, s in known.items()]
    with (away / "cases.csv").open("w", encoding="utf-8", newline="") as stream:
        table = csv.DictWriter(stream, list(rows[0]))
        table.writeheader()
        table.writerows(rows)
    found = judged(home / model, away, tmp_path / "out")
    external = found["external"]
    assert external["left_out"]["seen in training"] == ["renamed-train", "renamed-tune"]
    assert external["seen_at_held_out"] == ["renamed-held-out"]
    assert again in found["subjects"], "the same id at two hospitals is two people"
    assert "renamed-train" not in (tmp_path / "out/predictions.csv").read_text()
    assert "renamed-held-out" in found["subjects"]
    notes = " ".join(external["notes"])
    assert "Left out, because their images are in the training: renamed-train, renamed-tune." in notes
    if model == "model":
        assert external["same_id"] == [], "a model knows no ids"
    else:
        assert again in external["same_id"]
        assert "They are judged, because their images differ." in notes


def test_a_cohort_of_known_subjects_alone_is_refused(home: Path, tmp_path: Path) -> None:
    fold = Splits.read(home / "work/splits.json").folds[0]
    mine = rewritten(home / "cohort", tmp_path / "c", lambda r: r if r["subject"] in fold.train else None)
    out = tmp_path / "out"
    for model in (home / "model", home / "work/runs/a"):
        line = polytask("evaluate", model, "--on", mine, "-o", out).complaint
        assert f"all {len(fold.train)} subjects were in the training of {model}" in line
    assert not out.exists()


def test_inputs_and_tasks_that_the_cohort_lacks_are_unknown(home: Path, tmp_path: Path) -> None:
    gone = ("age", "sex", "marker", "scan.mr", "diameter")
    away = rewritten(
        home / "away", tmp_path / "away", lambda row: {k: v for k, v in row.items() if k not in gone}
    )
    header = (away / "cohort.yaml").read_text()
    header = re.sub(r"  clinic:\n(    .*\n)+", "", header)
    header = re.sub(r"  diameter:\n(    .*\n)+", "", header).replace("      mr: MR\n", "")
    (away / "cohort.yaml").write_text(header)
    found = judged(home / "model", away, tmp_path / "out")
    assert set(found["external"]["lacking"]["columns"]) == {"age", "marker", "sex"}
    assert found["external"]["lacking"]["channels"] == {"scan": ["mr"]}
    assert found["external"]["lacking"]["tasks"] == ["diameter"]
    assert set(found["tasks"]) == {"lesion", "grade", "os"}
    assert found["external"]["draft"] is None, "no mapping could bring what is not there"
    assert len(found["subjects"]) == 9


def test_the_page_of_a_model_claims_nothing_it_does_not_know(home: Path, tmp_path: Path) -> None:
    page = gather_external(evaluate_on(home / "model", home / "away", tmp_path / "out", resamples=10))
    told = {fact.name: fact.value for fact in [*list_run_facts(page), *list_training_facts(page)]}
    assert not {"test part", "steps"} & set(told), "a model folder knows neither"
    assert told["trained on"] == "phantom"
    assert told["judged on"] == "cohort of another hospital: 9 subjects"
    assert told["trained"].endswith("UTC")
    run = gather_external(evaluate_on(home / "work/runs/a", home / "away", tmp_path / "run", resamples=10))
    assert {f.name: f.value for f in list_training_facts(run)}["parameters"] == told["parameters"]


def test_strata_are_those_of_the_other_cohort(home: Path, tmp_path: Path) -> None:
    def recode(row: Row) -> Row:
        return {**row, "scanner": "new" if int(row["subject"]) % 2 else "old"}

    away = rewritten(home / "away", tmp_path / "parted", recode, ("tasks:", "strata: scanner\ntasks:"))
    found = judged(home / "model", away, tmp_path / "out")
    assert {name: s["subjects"] for name, s in found["strata"]["scanner"].items()} == {"new": 5, "old": 4}


def test_an_ensemble_says_what_it_is(home: Path, tmp_path: Path) -> None:
    run_successfully("export", home / "work/runs/a", home / "work/runs/b", "-o", tmp_path / "both")
    found = judged(tmp_path / "both", home / "away", tmp_path / "out")
    assert found["external"]["members"] == 2
    sentences = [d["sentence"] for d in found["external"]["drop"]]
    assert any("mean of its 2 members, each alone" in s for s in sentences)
    splits = Splits.read(home / "work/splits.json").folds
    trained = {s for fold in splits for s in (*fold.train, *fold.tune)}
    own = judged(tmp_path / "both", home / "cohort", tmp_path / "own")["external"]
    assert set(own["left_out"]["seen in training"]) == trained
    assert own["seen_at_held_out"] == [], "every subject of a fold was trained on by one of the two"


def test_a_model_that_was_never_evaluated_has_no_drop(home: Path, tmp_path: Path) -> None:
    place = tmp_path / "work"
    shutil.copytree(home / "work", place)
    (place / "runs/a/evaluation.json").unlink()
    shutil.copytree(home / "cohort", tmp_path / "cohort")
    found = judged(place / "runs/a", home / "away", tmp_path / "out")
    assert not (place / "runs/a/evaluation.json").exists()
    assert all("not evaluated on held-out" in d["sentence"] for d in found["external"]["drop"])
    assert any(f"run `polytask evaluate {place / 'runs/a'}`" in n for n in found["external"]["notes"])


def bad(home: Path, *words: object) -> str:
    said: CommandResult = polytask("evaluate", *words)
    return said.complaint


def test_bad_input_is_one_line(home: Path, tmp_path: Path) -> None:
    model, away, out = home / "model", home / "away", tmp_path / "out"
    deep = tmp_path / "deep"
    run_successfully(
        "phantom", deep, "--subjects", 3, "--size", 24, "--dims", 3, "--visits", 1, "--tasks", "lesion"
    )
    assert "is 3D, but the model reads 'scan' in 2D" in bad(home, model, "--on", deep, "-o", out)
    none = tmp_path / "none"
    run_successfully(
        "phantom", none, "--subjects", 3, "--size", 24, "--dims", 2, "--visits", 1, "--tasks", "findings"
    )
    assert "no task in common: the cohort knows findings" in bad(home, model, "--on", none, "-o", out)
    mapping = tmp_path / "m.yaml"
    mapping.write_text("classes: {grade: {G1: G9}}")
    line = bad(home, model, "--on", away, "-o", out, "--mapping", mapping)
    assert "classes.grade: 'G9' is not among the model's words" in line
    mapping.write_text("klasses: {}")
    assert "unknown section 'klasses'" in bad(home, model, "--on", away, "-o", out, "--mapping", mapping)
    assert not out.exists(), "nothing was written"
    (tmp_path / "full").mkdir()
    (tmp_path / "full/x").touch()
    assert "not empty (it holds x)" in bad(home, model, "--on", away, "-o", tmp_path / "full")
    assert "is a file" in bad(home, model, "--on", away, "-o", tmp_path / "full/x")
    assert "no such file" in bad(home, model, "--on", tmp_path / "nowhere", "-o", out)
    assert "neither a run" in bad(home, tmp_path / "full", "--on", away, "-o", out)
    assert "--on needs -o OUT" in bad(home, model, "--on", away)
    assert "leave it out with --on" in bad(home, model, "--on", away, "-o", out, "--part", "tune")
    assert "goes with --on" in bad(home, home / "work/runs/a", "-o", out)
    assert "an exported model has no cohort of its own" in bad(home, model)


def test_an_interrupted_evaluation_can_be_run_again(home: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    judged(home / "model", home / "away", out)
    assert "not empty" in polytask("evaluate", home / "model", "--on", home / "away", "-o", out).complaint
    (out / "evaluation.json").unlink()
    judged(home / "model", home / "away", out)
    assert len((out / "evaluation_log.jsonl").read_text().splitlines()) == 2, "both looks stay noted"


def test_masks_that_are_not_there_are_named_before_anything_is_predicted(home: Path, tmp_path: Path) -> None:
    away = rewritten(home / "away", tmp_path / "away", lambda r: {**r, "lesion": r["lesion"] and "gone.png"})
    line = polytask("evaluate", home / "model", "--on", away, "-o", tmp_path / "out").complaint
    assert re.search(r"row \d+, subject \d+, lesion: .*gone.png is not there", line)
    assert not (tmp_path / "out").exists()
