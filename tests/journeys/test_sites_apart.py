"""Sites that ask for different tasks: warned of when planning, and one site left out at a time, end to end."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from polytask.plan import Plan
from tests.journeys.ct_cohort import make_quick_settings
from tests.journeys.run_cli import CommandResult, polytask, run_successfully
from tests.journeys.sites_apart import write_cohort_of_separate_sites


@pytest.fixture(scope="module")
def planned(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, CommandResult]:
    """The work folder with a fold for each site, prepared, and what `plan` said."""
    folder = tmp_path_factory.mktemp("sites")
    cohort = write_cohort_of_separate_sites(folder / "cohort")
    said = run_successfully(
        "plan", cohort, "-o", folder / "work", "--split-by", "site", *make_quick_settings()
    )
    run_successfully("prepare", folder / "work")
    return folder / "work", said


def test_the_plan_warns(planned: tuple[Path, CommandResult]) -> None:
    work, said = planned
    text = " ".join(said.out.split())
    assert "no sample has the answers of grade and os: a balancing rule that reads gradients" in text
    assert "the task tells the site: of the sites A, B, grade only at B, os only at A are known." in text
    assert "leave one site out: grade cannot be tested at A (fold 0 trains it" in text
    assert "at B (fold 1 trains without it: no other site has its answers)" in text
    folds = Plan.read(work).folds
    assert [list(folds[k].tasks) for k in (0, 1)] == [["lesion", "grade"], ["lesion", "os"]]
    assert [list(folds[k].untrained) for k in (0, 1)] == [["os"], ["grade"]]


def test_a_cohort_whose_sites_share_their_tasks_is_not_warned_of(tmp_path: Path) -> None:
    run_successfully("phantom", tmp_path / "c", "--subjects", 12, "--size", 24, "--dims", 2, "--visits", 1)
    said = run_successfully("plan", tmp_path / "c", "-o", tmp_path / "w", "--folds", 2, "--json")
    assert said.json["shared"]["warnings"] == []


@pytest.mark.parametrize(("fold", "site", "other", "own"), [(0, "A", "os", "grade"), (1, "B", "grade", "os")])
def test_each_site_is_held_out_end_to_end(
    planned: tuple[Path, CommandResult], fold: int, site: str, other: str, own: str
) -> None:
    """`other` is known at the held-out site alone, `own` at the training site alone."""
    work, _ = planned
    run_successfully("train", work, "--fold", fold, "--name", f"f{fold}")
    run = work / "runs" / f"f{fold}"
    said = run_successfully("evaluate", run, "--resamples", 20)
    run_successfully("report", run)
    content = json.loads((run / "evaluation.json").read_text())
    assert list(content["tasks"]) == ["lesion", own]
    assert content["metrics"][own]["kappa" if own == "grade" else "c"]["n"] == 0
    page = (run / "report.html").read_text()
    for task, reason in (
        (other, "training subjects of this fold has a known answer"),
        (own, "subjects has a known answer"),
    ):
        verdict = next(
            v for v in content["verdicts"] if v.startswith(f"{task} is not testable at site {site}")
        )
        assert reason in verdict
        assert verdict in said.out
        assert verdict in page


def test_a_task_that_the_fold_cannot_train_is_left_out_or_refused(
    planned: tuple[Path, CommandResult],
) -> None:
    work, _ = planned
    said = run_successfully("train", work, "--fold", 0, "--tasks", "lesion,os", "--name", "some")
    assert "fold 0 trains without os: none of the " in said.out
    assert json.loads(polytask("doctor", work / "runs/some", "--json").out)
    complaint = polytask("train", work, "--fold", 0, "--tasks", "os", "--name", "none").complaint
    assert complaint.startswith("fold 0 cannot train 'os': none of the ")
    assert not (work / "runs/none").exists()
    unknown = polytask("train", work, "--fold", 0, "--tasks", "oss", "--name", "none").complaint
    assert "task 'oss' is not in the plan; it has lesion, grade, os" in unknown
