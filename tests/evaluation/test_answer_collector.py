from __future__ import annotations

import csv
import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from polytask.cohort.cohort import Cohort
from polytask.evaluation.answer_collector import AnswerCollector, measure_mask_volumes, measure_voxel_case
from polytask.evaluation.cases_csv import write_cases
from polytask.evaluation.evaluate_run import evaluate_answers, predict_part
from polytask.evaluation.evaluated_part import EvaluatedPart
from polytask.evaluation.evaluation_result import Evaluation
from polytask.evaluation.part_answers import PartAnswers
from polytask.images.volume import Grid, Volume
from polytask.tasks import make_task
from tests.evaluation.worlds import Someone, grid_of, phantom, tasks_of, write_drawing

RECORD = {"name": "x", "fold": 0, "seed": 3, "sharing": "hard"}


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Cohort:
    return phantom(tmp_path_factory.mktemp("collect") / "c", dims=3)


def run(who: Someone, folder: Path, subjects: tuple[str, ...]) -> PartAnswers:
    return predict_part(who, who.cohort, EvaluatedPart("held_out", subjects, folder))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def perfect(cohort: Cohort, tmp_path_factory: pytest.TempPathFactory) -> tuple[Someone, PartAnswers, Path]:
    folder = tmp_path_factory.mktemp("perfect")
    who = Someone(cohort, skill=1.0)
    return who, run(who, folder, tuple(cohort.subjects)), folder


def test_right_answers_are_judged_perfect_in_source_geometry(
    perfect: tuple[Someone, PartAnswers, Path],
) -> None:
    who, answers, _ = perfect
    found = evaluate_answers(who.tasks, answers, RECORD, "held_out", resamples=20)
    for task in ("lesion", "organs"):
        assert found.metrics[task]["dice"].estimate == 1
        assert np.nanmax([m.get("hd95", 0) for m in answers.voxel[task].metrics]) == 0
    assert found.metrics["dose"]["mae"].estimate == 0
    assert found.metrics["dose"]["dvh"].estimate == 0
    for task, metric in (
        ("pattern", "auc"),
        ("grade", "kappa"),
        ("diameter", "r2"),
        ("os", "c"),
        ("findings", "auc"),
    ):
        assert found.metrics[task][metric].estimate == pytest.approx(1, abs=1e-6), task
    assert found.mean_skill.estimate == pytest.approx(1, abs=1e-6)
    assert found.mean_skill.n == 9


def test_the_sizes_of_masks_are_kept_and_a_dose_has_none(
    perfect: tuple[Someone, PartAnswers, Path], cohort: Cohort
) -> None:
    """Of every case, also where the true mask is unknown: simple models read them."""
    _, answers, _ = perfect
    assert set(answers.volumes) == {"lesion", "organs"}
    assert set(answers.volumes["lesion"]) == {(c.subject, c.visit) for c in cohort.cases}
    judged = answers.voxel["lesion"]
    sizes = {
        (who, name): (answers.volumes["lesion"][who][name], metrics[f"volume.{name}"])
        for who, metrics in zip(judged.ids, judged.metrics, strict=True)
        for name in answers.volumes["lesion"][who]
        if f"volume.{name}" in metrics
    }
    assert len({who for who, _ in sizes}) == len(judged.ids)
    assert [kept for kept, _ in sizes.values()] == pytest.approx([true for _, true in sizes.values()])


def test_unknown_truths_are_left_out_and_counted(
    perfect: tuple[Someone, PartAnswers, Path], cohort: Cohort
) -> None:
    who, answers, _ = perfect
    found = evaluate_answers(who.tasks, answers, RECORD, "held_out", resamples=5)
    grades = [c for c in cohort.cases if "grade" in c.cells]
    assert 0 < len(grades) < len(cohort.cases)
    assert found.counts["grade"]["known"] == found.metrics["grade"]["kappa"].n == len(grades)
    assert found.counts["grade"]["items"] == len(cohort.cases)
    assert sum(found.counts["grade"]["classes"].values()) == len(grades)
    masks = [c for c in cohort.cases if "lesion" in c.cells]
    assert found.metrics["lesion"]["dice"].n == found.counts["lesion"]["known"] == len(masks)
    events = {c.subject for c in cohort.cases if c.cells.get("os_event") == "1"}
    assert found.counts["os"]["events"] == len(events)


def test_a_known_truth_without_a_prediction_is_counted(cohort: Cohort) -> None:
    who = Someone(cohort)
    collector = AnswerCollector(cohort, who.tasks)
    samples = cohort.samples()
    for answer in who.answers(cohort, samples):
        if answer.case is None or answer.case is not cohort.cases[0]:
            collector(answer)
    unanswered = collector.answers(samples).unanswered
    assert unanswered["grade"] == int("grade" in cohort.cases[0].cells)
    assert unanswered["lesion"] == int("lesion" in cohort.cases[0].cells)
    assert unanswered["os"] == 0
    assert max(unanswered.values()) == 1


def test_answers_are_joined_by_id_not_by_position(cohort: Cohort) -> None:
    who = Someone(cohort)
    forth, back = AnswerCollector(cohort, who.tasks), AnswerCollector(cohort, who.tasks)
    found = list(who.answers(cohort))
    for answer in found:
        forth(answer)
    for answer in reversed(found):
        back(answer)
    samples = cohort.samples()
    one, two = (evaluate_answers(who.tasks, c.answers(samples), RECORD, "held_out", 5) for c in (forth, back))
    for task, metrics in one.metrics.items():
        for name, estimate in metrics.items():
            assert estimate.estimate == pytest.approx(two.metrics[task][name].estimate, nan_ok=True), (
                task,
                name,
            )


def test_files_of_an_evaluation_read_back_the_same(
    perfect: tuple[Someone, PartAnswers, Path], tmp_path: Path
) -> None:
    who, answers, _ = perfect
    answers.write(tmp_path / "answers.json")
    again = PartAnswers.read(tmp_path / "answers.json")
    assert again.sites == answers.sites
    assert again.unanswered == answers.unanswered
    for task, items in answers.pooled.items():
        assert again.pooled[task].ids == items.ids
        for key, array in items.prediction.items():
            np.testing.assert_array_equal(again.pooled[task].prediction[key], array)
        np.testing.assert_array_equal(again.pooled[task].value, items.value)
        np.testing.assert_array_equal(again.pooled[task].known, items.known)
    found = evaluate_answers(who.tasks, answers, RECORD, "held_out", resamples=10)
    found.write(tmp_path / "evaluation.json")
    text = (tmp_path / "evaluation.json").read_text()
    assert "NaN" not in text
    assert "Infinity" not in text
    back = Evaluation.read(tmp_path / "evaluation.json")
    assert str(back) == str(dataclasses.replace(found, subjects=tuple(found.subjects)))
    entry = json.loads(text)["metrics"]["grade"]["kappa"]
    assert set(entry) == {"estimate", "low", "high", "n", "reason"}


def test_case_table_has_truth_beside_answer(
    perfect: tuple[Someone, PartAnswers, Path], cohort: Cohort, tmp_path: Path
) -> None:
    who, answers, _ = perfect
    write_cases(who.tasks, answers, tmp_path / "cases.csv")
    with (tmp_path / "cases.csv").open(newline="", encoding="utf-8") as stream:
        rows = {(r["subject"], r["visit"]): r for r in csv.DictReader(stream)}
    assert len(rows) == len(cohort.cases) + len(cohort.subjects)
    for case in cohort.cases:
        row = rows[case.subject, case.visit]
        assert row["site"] == case.site
        assert row["grade.truth"] == case.cells.get("grade", "")
        if "grade" in case.cells:
            assert row["grade.answer"] == case.cells["grade"]
        assert (row["lesion.dice"] == "1") == ("lesion" in case.cells)
        if "diameter" in case.cells:
            assert float(row["diameter.truth"]) == pytest.approx(float(case.cells["diameter"]), rel=1e-4)
    subject = next(s for s, cases in cohort.subjects.items() if any("os_time" in c.cells for c in cases))
    told = next(c for c in cohort.subjects[subject] if "os_time" in c.cells)
    assert float(rows[subject, ""]["os.time"]) == pytest.approx(float(told.cells["os_time"]), rel=1e-5)
    assert rows[subject, ""]["grade.truth"] == ""


@pytest.mark.parametrize("spacing", [None, 2.0])
def test_lengths_and_sizes_of_a_task_in_mm_need_an_image_that_says_how_large_a_pixel_is(
    tmp_path: Path, spacing: float | None
) -> None:
    mask = np.zeros((8, 8), np.uint8)
    mask[2:6, 2:6] = 1
    cohort = write_drawing(tmp_path, {"labels": {"core": 1}}, mask, spacing)
    task, grid = tasks_of(cohort)["lesion"], grid_of(cohort, cohort.cases[0], "lesion")
    answer = Volume(np.roll(mask, 1, axis=0)[None], grid)
    found = measure_voxel_case(cohort, cohort.cases[0], task, answer)  # type: ignore[arg-type]
    assert found is not None
    assert found["dice"] == 0.75
    lengths = [found["hd95"], found["volume.core"], measure_mask_volumes(task, answer)["core"]]
    if spacing is None:
        assert np.isnan(lengths).all()
    else:
        assert lengths == pytest.approx([2.0, 0.64, 0.64]), "mm, and 16 pixels of 0.04 cm²"


def test_sizes_of_pictures_without_a_scale_are_numbers_of_pixels() -> None:
    task = make_task(
        "t",
        {"kind": "segmentation", "level": "voxel", "structures": ("a",), "exclusive": True, "unit": "px"},
    )
    array = np.zeros((1, 5, 4), np.uint8)
    array[0, 1:3, 1:4] = 1
    assert measure_mask_volumes(task, Volume(array, Grid((5, 4), np.diag([3.0, 3.0, 1.0, 1.0]), False))) == {
        "a": 6.0
    }
