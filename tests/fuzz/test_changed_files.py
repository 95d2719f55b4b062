"""Files of a work folder, changed as mutations once broke a verb: each is one line that says which file and what."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.journeys.run_cli import polytask

RUN = "work/runs/a"
DocumentChange = Callable[[Any], object]


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    """A copy that the test may spoil."""
    return Path(shutil.copytree(made, tmp_path / "p"))


def change_document(path: Path, change: DocumentChange) -> None:
    """Read a YAML or JSON file, change what it says in place, and write it."""
    content = yaml.safe_load(path.read_text()) if path.suffix == ".yaml" else json.loads(path.read_text())
    change(content)
    text = yaml.safe_dump(content, sort_keys=False) if path.suffix == ".yaml" else json.dumps(content)
    path.write_text(text)


def set_document_value(place: str, value: object) -> DocumentChange:
    """A change of the value at a dotted place."""

    def change(content: Any) -> None:
        *above, last = place.split(".")
        for key in above:
            content = content[int(key) if isinstance(content, list) else key]
        content[int(last) if isinstance(content, list) else last] = value

    return change


CASES = [
    ("predict", "run.yaml", set_document_value("header.tasks", ["grade"]), "header describes no tasks"),
    (
        "predict",
        "run.yaml",
        set_document_value("header.tasks.grade.classes", ["low", "other"]),
        "does not fit its plan.yaml",
    ),
    (
        "predict",
        "run.yaml",
        set_document_value("networks", {"": ["mask", "nobody"]}),
        "networks: nobody is no task of the plan",
    ),
    ("predict", "run.yaml", set_document_value("networks", {"": ["os", "os"]}), "each task in one"),
    (
        "predict",
        "run.yaml",
        set_document_value("fold", 7),
        "the run is of fold 7, but its plan.yaml has only 0, 1",
    ),
    ("report", "run.yaml", set_document_value("fold", 7), "the run is of fold 7"),
    ("predict", "learnt.json", set_document_value("os.baseline.times.0", "x"), "learnt.json: os.baseline"),
    (
        "predict",
        "learnt.json",
        set_document_value("os.baseline.times", [1.0]),
        "expected `times` that rise and as many values",
    ),
    (
        "predict",
        "learnt.json",
        set_document_value("grade", {"baseline": {}}),
        "grade: expected the baseline of a survival task",
    ),
    (
        "train",
        "../../splits.json",
        set_document_value("folds.0.train.0", "nobody"),
        "subject nobody is not in",
    ),
    (
        "resume",
        "last/state.json",
        set_document_value("schedule.peak", "high"),
        "schedule.peak: input should be a valid number",
    ),
    (
        "resume",
        "last/state.json",
        set_document_value("step", -1),
        "step: input should be greater than or equal to 0",
    ),
    ("resume", "last/state.json", set_document_value("step", 10**6), "step: 1000000 is after the end"),
    ("resume", "last/state.json", set_document_value("criteria", {"x": 1}), "a damaged checkpoint"),
    ("resume", "last/state.json", set_document_value("settings", {"tune_every": 0}), "settings.tune_every"),
    ("resume", "last/state.json", set_document_value("epoch_sums", {"losses": {}}), "epoch_sums"),
    (
        "report",
        "evaluation.json",
        set_document_value("counts.grade", {}),
        "counts.grade.items: field required",
    ),
    (
        "report",
        "evaluation.json",
        set_document_value("groups.os.log_rank.p", "small"),
        "groups.os.log_rank.p",
    ),
    (
        "report",
        "evaluation.json",
        set_document_value("skill", {}),
        "skill: its tasks are not those of `tasks`",
    ),
    (
        "report",
        "evaluation.json",
        set_document_value("tasks.grade.primary", "mae"),
        "its primary metric is missing",
    ),
    (
        "report",
        "evaluation.json",
        set_document_value("tasks.grade.names", ["a", "b"]),
        "tasks.grade.names is not that of the run",
    ),
    (
        "report",
        "evaluation.json",
        set_document_value("external", {"x": 1}),
        "external: expected to be filled exactly when",
    ),
    (
        "report",
        "answers.json",
        set_document_value("pooled.os.value", [1.0] * 8),
        "answers.json: does not fit the run: os: truths",
    ),
    ("report", "answers.json", set_document_value("pooled.grade.prediction", {}), "grade: no prediction"),
    (
        "report",
        "answers.json",
        set_document_value("sites", {}),
        "its subjects are not those of the evaluation",
    ),
    (
        "report",
        "../../../cohort/cohort.yaml",
        set_document_value("tasks.grade", {"kind": "regression"}),
        "no longer has the classification task",
    ),
]


@pytest.mark.parametrize(("verb", "file", "change", "said"), CASES)
def test_one_line_says_what_is_wrong(
    folder: Path, verb: str, file: str, change: DocumentChange, said: str
) -> None:
    change_document(folder / RUN / file, change)
    words = {
        "predict": ("predict", folder / RUN, folder / "cohort", "-o", folder / "new"),
        "report": ("report", folder / RUN),
        "resume": ("train", folder / "work", "--resume", "a", "--extend", 1),
        "train": ("train", folder / "work", "--name", "b"),
    }[verb]
    assert said in polytask(*words).complaint


def test_a_judged_subject_that_is_gone_from_the_cohort(folder: Path) -> None:
    judged = json.loads((folder / RUN / "answers.json").read_text())["pooled"]["grade"]["ids"][0][0]
    table = folder / "cohort/cases.csv"
    table.write_text("".join(x for x in table.read_text().splitlines(True) if not x.startswith(f"{judged},")))
    assert (
        f"{judged} was evaluated but is no longer in the table" in polytask("report", folder / RUN).complaint
    )


@pytest.mark.parametrize(
    ("column", "said"), [("scan.ct", "no longer has scan"), ("mask", "no longer has mask")]
)
def test_a_judged_image_that_is_gone_from_the_table(folder: Path, column: str, said: str) -> None:
    table = folder / "cohort/cases.csv"
    columns, *lines = (line.split(",") for line in table.read_text().splitlines())
    place = columns.index(column)
    emptied = [[*cells[:place], "", *cells[place + 1 :]] for cells in lines]
    table.write_text("\n".join(",".join(cells) for cells in [columns, *emptied]) + "\n")
    assert said in polytask("report", folder / RUN).complaint


def test_a_cell_with_a_nul(folder: Path) -> None:
    table = folder / "cohort/cases.csv"
    table.write_text(table.read_text().replace("files/01.nii.gz", "files/0\0.nii.gz", 1))
    assert "NUL" in polytask("plan", folder / "cohort", "-o", folder / "new").complaint


def test_a_fault_of_the_page_is_no_fault_of_the_results(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from polytask.report import run_report

    def fail(_: object) -> str:
        raise KeyError("a fault of ours")

    monkeypatch.setattr(run_report, "render_run_page", fail)
    with pytest.raises(KeyError, match="a fault of ours"):
        run_report.make_report(folder / RUN)
