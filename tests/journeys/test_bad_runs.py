"""Plans of another cohort, checkpoints of another plan, changed weights, and words that are not known."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.journeys.ct_cohort import set_cell, write_small_cohort
from tests.journeys.run_cli import hash_folder_files, polytask, run_successfully


def test_a_plan_of_another_cohort(trained: Path) -> None:
    work = trained / "work"
    other, plan = write_small_cohort(trained / "other", subjects=9), work / "plan.yaml"
    text = plan.read_text()
    plan.write_text(text.replace("cohort: ../cohort\n", "cohort: ../other\n"))
    before = hash_folder_files(trained)
    for words in (("prepare", work), ("train", work, "--name", "n")):
        complaint = polytask(*words).complaint
        assert [w for w in (str(other), "another cohort", "polytask plan") if w not in complaint] == []
        assert {p: h for p, h in hash_folder_files(trained).items() if p != "work/runs/n"} == before


def test_a_cohort_that_changed_since_the_plan(trained: Path) -> None:
    set_cell(trained / "cohort", 2, "grade", "low")
    work, before = trained / "work", hash_folder_files(trained)
    for words in (
        ("prepare", work),
        ("train", work, "--name", "n"),
        ("train", work, "--resume", "a", "--extend", 1),
        ("evaluate", work / "runs/a"),
    ):
        assert "changed since" in polytask(*words).complaint
    assert hash_folder_files(trained) == before


def test_a_run_predicts_when_its_cohort_is_gone(trained: Path, tmp_path: Path) -> None:
    shutil.move(trained / "cohort", tmp_path / "gone")
    run_successfully("predict", trained / "work/runs/a", tmp_path / "gone", "-o", tmp_path / "out")
    complaint = polytask("train", trained / "work", "--name", "n").complaint
    assert [w for w in (str(trained / "cohort"), "bring it back", "plan.yaml") if w not in complaint] == []


def test_a_cohort_at_an_absolute_place(trained: Path, tmp_path: Path) -> None:
    shutil.move(trained / "cohort", tmp_path / "moved")
    plan = trained / "work/plan.yaml"
    plan.write_text(plan.read_text().replace("cohort: ../cohort\n", f"cohort: {tmp_path / 'moved'}\n"))
    run_successfully("prepare", trained / "work")
    run_successfully("train", trained / "work", "--name", "n")
    run_successfully("evaluate", trained / "work/runs/n", "--resamples", 5)


def test_a_checkpoint_of_another_plan(trained: Path) -> None:
    runs = trained / "work/runs"
    run_successfully("train", trained / "work", "--name", "b", "--set", "training.epochs=1")
    shutil.rmtree(runs / "b/last")
    shutil.copytree(runs / "a/last", runs / "b/last")
    before = hash_folder_files(runs)
    complaint = polytask("train", trained / "work", "--resume", "b").complaint
    assert [w for w in ("runs/b/last", "another plan", "--init") if w not in complaint] == []
    assert hash_folder_files(runs) == before


def test_a_run_whose_plan_was_edited(trained: Path, tmp_path: Path) -> None:
    run = trained / "work/runs/a"
    plan = run / "plan.yaml"
    plan.write_text(plan.read_text().replace("widths: [4, 8, 8]", "widths: [4, 8, 16]"))
    for words in (
        ("train", trained / "work", "--resume", "a"),
        ("evaluate", run),
        ("predict", run, trained / "cohort", "-o", tmp_path / "out"),
        ("export", run, "-o", tmp_path / "out"),
    ):
        complaint = polytask(*words).complaint
        assert [w for w in (str(run), "plan.yaml has changed", "restore") if w not in complaint] == []
    assert not (tmp_path / "out").exists()


def flip_a_byte(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("what", ["run", "model"])
def test_changed_weights(trained: Path, tmp_path: Path, what: str) -> None:
    source = trained / ("work/runs/a" if what == "run" else "model")
    weights = source / ("best/model.safetensors" if what == "run" else "model.safetensors")
    flip_a_byte(weights)
    complaint = polytask("predict", source, trained / "cohort", "-o", tmp_path / "out").complaint
    assert [w for w in (str(weights), "hash mismatch") if w not in complaint] == []
    assert not (tmp_path / "out").exists()


def truncate_weights(model: Path) -> None:
    (model / "model.json").write_text('{"polytask": 1,')


def empty_weights(model: Path) -> None:
    (model / "model.json").write_text("[]")


def remove_weights(model: Path) -> None:
    (model / "model.safetensors").unlink()


def remove_members(model: Path) -> None:
    edit_description(model, lambda described: described.update(members=[]))


def change_widths(model: Path) -> None:
    edit_description(
        model, lambda described: described["plan"]["shared"]["images"]["scan"].update(widths=[4, 8, 16])
    )


def rename_task(model: Path) -> None:
    edit_description(model, lambda described: described["members"][0].update(networks=[["grad"]]))


def edit_description(
    model: Path, change: Callable[[dict[str, dict[str, dict[str, dict[str, object]]]]], None]
) -> None:
    described = json.loads((model / "model.json").read_text())
    change(described)
    (model / "model.json").write_text(json.dumps(described))


@pytest.mark.parametrize(
    "damage", [truncate_weights, empty_weights, remove_weights, remove_members, change_widths, rename_task]
)
def test_damaged_models(trained: Path, tmp_path: Path, damage: Callable[[Path], None]) -> None:
    damage(trained / "model")
    complaint = polytask("predict", trained / "model", trained / "cohort", "-o", tmp_path / "out").complaint
    assert [w for w in (str(trained / "model"), "export it again") if w not in complaint] == []
    assert not (tmp_path / "out").exists()


def test_what_is_not_there_yet(trained: Path, tmp_path: Path) -> None:
    work = trained / "work"
    for words, wanted in (
        (("prepare", trained / "cohort"), ("is a cohort", "polytask plan", "-o WORK")),
        (("prepare", tmp_path / "no"), ("no/plan.yaml", "polytask plan COHORT -o")),
        (("train", tmp_path / "no"), ("no/plan.yaml", "polytask plan COHORT -o")),
        (("evaluate", work), ("not a run", "WORK/runs/NAME", "runs in", ": a")),
        (("evaluate", work / "a"), ("not a run", "runs in", ": a")),
        (("evaluate", work / "runs/b"), ("not a run", "runs in", ": a")),
        (("train", work, "--resume", "b"), ("runs/b", "not a run", ": a")),
        (("train", work, "--match", "b"), ("runs/b", "not a run", ": a")),
        (("report", work / "runs/b"), ("runs/b",)),
        (("export", work / "runs/b", "-o", tmp_path / "m"), ("runs/b", "not a run")),
        (
            ("predict", work / "runs/b", trained / "cohort", "-o", tmp_path / "p"),
            ("neither a run", "model.json"),
        ),
        (("predict", trained / "cohort", work / "runs/a", "-o", tmp_path / "p"), ("RUN|MODEL first",)),
        (("predict", work / "runs/a", "-o", tmp_path / "p"), ("needs a run or model and an input",)),
        (("predict", work / "runs/a", tmp_path / "no", "-o", tmp_path / "p"), ("no such file or folder",)),
    ):
        complaint = polytask(*words).complaint
        assert [w for w in wanted if w not in complaint] == [], (words, complaint)
    shutil.rmtree(work / "runs/a/best")
    assert "no checkpoint" in polytask("evaluate", work / "runs/a").complaint
    shutil.rmtree(work / "store")
    assert "run `polytask prepare" in polytask("train", work, "--name", "n").complaint
    assert sorted(p.name for p in tmp_path.iterdir()) == ["t"]


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (["--set", "training.epoch=4"], ["training.epoch=4", "did you mean 'epochs'"]),
        (["--set", "epochs=4"], ["did you mean training.epochs?"]),
        (["--set", "training.epochs"], ["name=value"]),
        (["--set", "training.epochs=0"], ["at least 1"]),
        (["--fold", "9"], ["fold 9", "0, 1"]),
        (["--fold", "first"], ["--fold first", "`all`"]),
        (["--sharing", "hrad"], ["hrad", "did you mean 'hard'"]),
        (["--visit-fusion", "diference"], ["diference", "did you mean 'difference'"]),
        (["--input-fusion", "atention"], ["atention", "did you mean 'attention'"]),
        (["--preset", "rpnett"], ["rpnett", "did you mean 'rpnet'"]),
        (["--after", "os"], ["--after os", "TASK=OTHER"]),
        (["--after", "os=grad"], ["grad", "did you mean 'grade'"]),
        (["--tasks", "grad"], ["'grad'", "mask, grade, os"]),
        (["--device", "gpu"], ["'gpu'", "cpu, cuda"]),
        (["--device", "cpu:7"], ["'cpu:7'", "--device"]),
        (["--init", "nowhere"], ["nowhere", "run.yaml", "model.json"]),
        (["--name", "../elsewhere"], ["../elsewhere", "plain name"]),
        (["--name", "a"], ["this run exists", "--resume a"]),
        (["--extend", "2"], ["--resume"]),
        (["--resume", "a", "--name", "b"], ["--name"]),
    ],
)
def test_wrong_words_of_train(trained: Path, words: list[str], wanted: list[str]) -> None:
    before = hash_folder_files(trained)
    complaint = polytask("train", trained / "work", *words).complaint
    assert [w for w in wanted if w not in complaint] == [], complaint
    assert hash_folder_files(trained) == before


@pytest.mark.parametrize(
    "words",
    [
        ["prdict"],
        ["segment"],
        ["train"],
        ["train", "work", "--fols", "0"],
        ["train", "work", "--minutes", "-1"],
        ["train", "work", "--workers", "-1"],
        ["plan", "cohort"],
        ["plan", "cohort", "-o", "w", "--folds", "1"],
        ["phantom", "p", "--size", "big"],
        ["evaluate", "run", "--part", "training"],
        ["import", "nnnet"],
    ],
)
def test_words_that_no_verb_knows(words: list[str]) -> None:
    said = polytask(*words)
    assert said.code == 2
    assert said.out == ""
    assert "Try 'polytask" in said.err
    assert "Error: " in said.err
    assert "Traceback" not in said.err
