"""Tables of other people's answers: what is refused, how they are joined, and what is judged."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score, roc_auc_score

from polytask.cohort.cohort import Cohort
from polytask.cohort.text_table import read_text_table
from polytask.errors import PolytaskError
from polytask.evaluation.answer_collector import AnswerCollector
from polytask.evaluation.cases_csv import write_cases
from polytask.evaluation.other_answers.judge_other_answers import (
    OtherAnswersResult,
    judge_other_answers,
    read_other_answers,
)
from polytask.evaluation.part_answers import PartAnswers
from polytask.predict.write_outputs import write_predictions
from tests.evaluation.worlds import Someone, phantom

Rows = list[dict[str, str]]
RESAMPLES = 20


def collected(who: Someone, cohort: Cohort, subjects: list[str] | None = None) -> PartAnswers:
    collector = AnswerCollector(cohort, who.tasks)
    samples = cohort.samples(subjects)
    for answer in who.answers(cohort, samples):
        collector(answer)
    return collector.answers(samples)


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Cohort:
    return phantom(tmp_path_factory.mktemp("given") / "cohort", subjects=16)


@pytest.fixture(scope="module")
def other(cohort: Cohort, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, PartAnswers]:
    """Somebody else's `predictions.csv`, and the same answers from memory."""
    out = tmp_path_factory.mktemp("other")
    someone = Someone(cohort, 0.3, seed=5)
    someone.header = cohort.header  # type: ignore[attr-defined]
    write_predictions(someone, cohort, out)  # type: ignore[arg-type]
    return out / "predictions.csv", collected(Someone(cohort, 0.3, seed=5), cohort)


def judged(path: Path, cohort: Cohort, subjects: list[str] | None = None) -> OtherAnswersResult:
    someone = Someone(cohort, 0.7)
    (given,) = read_other_answers([path], someone.tasks, cohort)
    return judge_other_answers(given, someone.tasks, collected(someone, cohort, subjects), cohort, RESAMPLES)


def rows_of(path: Path) -> Rows:
    with path.open(encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def written(path: Path, rows: Rows) -> Path:
    columns = list(dict.fromkeys(c for r in rows for c in r))
    with path.open("w", encoding="utf-8", newline="") as stream:
        table = csv.DictWriter(stream, columns, restval="")
        table.writeheader()
        table.writerows(rows)
    return path


def test_a_table_of_predictions_gives_the_metrics_of_those_predictions(
    cohort: Cohort, other: tuple[Path, PartAnswers]
) -> None:
    """Every task, every kind: what is read back from the table is what an evaluation of it would say."""
    path, theirs = other
    found = judged(path, cohort)
    tasks, ours = Someone(cohort).tasks, collected(Someone(cohort, 0.7), cohort)
    assert set(found.tasks) == set(tasks)
    for name, task in tasks.items():
        first = found.tasks[name][0]
        assert first.metric == task.primary
        for side, value in ((ours, first.ours), (theirs, first.theirs)):
            if name in side.pooled:
                items = side.pooled[name]
                whole = task.metrics(items.prediction, items.value, items.known)[task.primary]  # type: ignore[attr-defined]
            else:
                whole = float(np.nanmean(side.voxel[name].column(task.primary)))
            assert value == pytest.approx(whole, rel=1e-3), (name, first.metric)
        assert first.difference.estimate == pytest.approx(first.ours - first.theirs)
        assert not any(j.metric == "skill" for j in found.tasks[name])


def test_rows_are_joined_by_id_and_not_by_position(
    cohort: Cohort, other: tuple[Path, PartAnswers], tmp_path: Path
) -> None:
    path, _ = other
    rows = rows_of(path)
    keep = [c for c in rows[0] if not any(c.startswith(t) for t in ("lesion", "organs", "dose"))]
    rows = [{c: r[c] for c in keep} for r in rows]
    straight = judged(written(tmp_path / "a.csv", rows), cohort)
    turned = judged(written(tmp_path / "b.csv", rows[::-1]), cohort)
    assert straight.tasks == turned.tasks


def test_a_part_is_judged_on_its_own_cases(cohort: Cohort, other: tuple[Path, PartAnswers]) -> None:
    few = list(cohort.subjects)[:6]
    found = judged(other[0], cohort, few)
    visits = sum(len(cohort.subjects[s]) for s in few)
    assert (found.cases["os"], found.elsewhere["os"]) == (6, len(cohort.subjects) - 6)
    assert found.cases["grade"] == visits


def test_a_reader_who_names_classes_gets_no_auc(cohort: Cohort, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    cases = cohort.cases
    read = random.choice(["solid", "hollow"], len(cases))
    grades = random.choice(["G1", "G2", "G3"], len(cases))
    rows = [
        {"subject": c.subject, "visit": c.visit, "pattern": p, "grade": g}
        for c, p, g in zip(cases, read, grades, strict=True)
    ]
    found = judged(written(tmp_path / "reader.csv", rows), cohort)
    metrics = {j.metric: j for j in found.tasks["pattern"]}
    assert set(metrics) == {"accuracy", "balanced_accuracy", "f1", "sensitivity", "specificity"}
    ours = collected(Someone(cohort, 0.7), cohort)
    items = ours.pooled["pattern"]
    place = {(c.subject, c.visit): k for k, c in enumerate(cases)}
    said = np.array([["solid", "hollow"].index(read[place[i]]) for i in items.ids])
    assert metrics["accuracy"].theirs == pytest.approx((said == items.value)[items.known].mean())
    grade = ours.pooled["grade"]
    drawn = np.array([["G1", "G2", "G3"].index(grades[place[i]]) for i in grade.ids])[grade.known]
    kappa = cohen_kappa_score(grade.value[grade.known], drawn, weights="quadratic")
    assert found.tasks["grade"][0].theirs == pytest.approx(kappa)
    assert not any(j.metric.startswith("auc") for j in found.tasks["grade"])


def test_a_risk_alone_gets_c_and_one_probability_of_two_an_auc(cohort: Cohort, tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    p = dict(zip(cohort.subjects, random.random(len(cohort.subjects)), strict=True))
    rows = [{"subject": s, "os.risk": f"{7 * v}", "response.p.yes": f"{v}"} for s, v in p.items()]
    found = judged(written(tmp_path / "nomogram.csv", rows), cohort)
    assert found.tasks["os"][0].metric == "c"
    assert not any(j.metric.startswith("brier") for j in found.tasks["os"])
    items = collected(Someone(cohort, 0.7), cohort).pooled["response"]
    scores = np.array([p[s] for s, _ in items.ids])
    expected = roc_auc_score(items.value[items.known], scores[items.known])
    assert found.tasks["response"][0].theirs == pytest.approx(expected)


def test_labels_without_probabilities(cohort: Cohort, tmp_path: Path) -> None:
    """`none` is an answer, an empty cell is not."""
    cases = cohort.cases
    words = ["effusion;stone", "none", ""]
    rows = [
        {"subject": c.subject, "visit": c.visit, "findings": words[k % 3], "note": "x"}
        for k, c in enumerate(cases)
    ]
    found = judged(written(tmp_path / "reader.csv", rows), cohort)
    assert found.cases["findings"] == sum(k % 3 < 2 for k in range(len(cases)))
    assert found.ignored == ("note",)
    metrics = {j.metric: j.theirs for j in found.tasks["findings"]}
    assert "auc" not in metrics
    assert "accuracy.stone" in metrics


GOOD = {"subject": "", "visit": "", "grade": "G1"}
Change = Callable[[Rows], object]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda r: r[0].update(subject="nobody"), "subject 'nobody' is not in"),
        (lambda r: r[0].update(visit="week9"), "no such visit"),
        (lambda r: r.append(dict(r[0])), "stands already in row 2"),
        (lambda r: r[1].update(grade="G9"), "'G9' is no class of the task"),
        (
            lambda r: r[0].update({"grade.p.G1": "0.5", "grade.p.G2": "0.1", "grade.p.G3": "0.1"}),
            "sum to 0.7",
        ),
        (lambda r: r[0].update({"grade.p.G1": "0.5", "grade.p.G2": "0.5"}), "no probability of 'G3'"),
        (lambda r: r[0].update({"response.p.yes": "1.5"}), "expected a probability between 0 and 1"),
        (lambda r: r[0].update({"response.p.yes": "high"}), "'high' is not a number"),
        (lambda r: r[0].update({"grade.p.G7": "0.5"}), "'G7' is no class of grade"),
        (lambda r: r[0].update({"os.p.T99": "0.5"}), "'T99' is no horizon of os"),
        (lambda r: r[0].update({"os": "12"}), "expected os.risk"),
        (lambda r: r[0].update({"stage.p.II": "0.5"}), "answers 'stage', which is no task of this model"),
        (lambda r: r[0].update({"lesion": "nowhere.png"}), "no file 'nowhere.png'"),
        (lambda r: [x.update(grade="") for x in r], "every answer is empty"),
        (lambda r: [x.pop("grade") for x in r], "no column answers a task"),
        (lambda r: [x.pop("subject") for x in r], "no column 'subject'"),
    ],
)
def test_bad_input_is_one_line(cohort: Cohort, tmp_path: Path, change: Change, said: str) -> None:
    rows = [{**GOOD, "subject": c.subject, "visit": c.visit} for c in cohort.cases[:4]]
    change(rows)
    with pytest.raises(PolytaskError, match=said) as raised:
        read_other_answers([written(tmp_path / "bad.csv", rows)], Someone(cohort).tasks, cohort)
    assert "\n" not in str(raised.value)
    assert "bad.csv" in str(raised.value)


def test_answers_to_a_task_of_the_cohort_that_the_run_does_not_answer(cohort: Cohort, tmp_path: Path) -> None:
    tasks = {n: t for n, t in Someone(cohort).tasks.items() if n != "pattern"}
    path = written(tmp_path / "reader.csv", [{"subject": cohort.cases[0].subject, "pattern": "solid"}])
    with pytest.raises(
        PolytaskError, match="column 'pattern' answers 'pattern', which is no task of this model"
    ):
        read_other_answers([path], tasks, cohort)


def test_no_common_case_and_two_tables_of_one_name(cohort: Cohort, tmp_path: Path) -> None:
    subjects = list(cohort.subjects)
    path = written(tmp_path / "reader.csv", [{"subject": subjects[0], "response": "yes"}])
    with pytest.raises(PolytaskError, match="no case in common"):
        judged(path, cohort, subjects[1:5])
    (tmp_path / "b").mkdir()
    twice = written(tmp_path / "b" / "reader.csv", [{"subject": subjects[0], "response": "yes"}])
    with pytest.raises(PolytaskError, match="a second table named 'reader'"):
        read_other_answers([path, twice], Someone(cohort).tasks, cohort)


def test_two_answers_about_a_subject_must_agree(cohort: Cohort, tmp_path: Path) -> None:
    subject = next(s for s, cases in cohort.subjects.items() if len(cases) > 1)
    visits = [c.visit for c in cohort.subjects[subject]]
    rows = [
        {"subject": subject, "visit": v, "response": w} for v, w in zip(visits, ["yes", "no"], strict=False)
    ]
    with pytest.raises(PolytaskError, match="answers response differently from row 2"):
        read_other_answers([written(tmp_path / "reader.csv", rows)], Someone(cohort).tasks, cohort)


def test_a_mask_of_another_size_is_one_line(cohort: Cohort, tmp_path: Path) -> None:
    from PIL import Image

    Image.fromarray(np.zeros((5, 7), np.uint8)).save(tmp_path / "small.png")
    case = next(c for c in cohort.cases if c.cells.get("lesion"))
    path = written(
        tmp_path / "reader.csv", [{"subject": case.subject, "visit": case.visit, "lesion": "small.png"}]
    )
    with pytest.raises(PolytaskError, match=r"small.png has size .*, but its image has") as raised:
        judged(path, cohort)
    assert "\n" not in str(raised.value)


def test_ids_that_a_spreadsheet_would_run_are_joined_all_the_same(cohort: Cohort, tmp_path: Path) -> None:
    first = next(iter(cohort.subjects))
    cases = tuple(replace(c, subject="=1+1") if c.subject == first else c for c in cohort.cases)
    changed = replace(cohort, cases=cases)
    someone = Someone(changed, 0.3, seed=5)
    someone.header = changed.header  # type: ignore[attr-defined]
    path = write_predictions(someone, changed, tmp_path / "out") / "predictions.csv"  # type: ignore[arg-type]
    assert "\n'=1+1," in path.read_text(encoding="utf-8").replace("\r\n", "\n")
    (given,) = read_other_answers([path], someone.tasks, changed)
    assert {who for who, _ in given.table.rows["grade"]} == set(changed.subjects)
    write_cases(someone.tasks, collected(someone, changed), tmp_path / "cases.csv")
    assert {row.cells["subject"] for row in read_text_table(tmp_path / "cases.csv").rows} == set(
        changed.subjects
    )


def test_a_readers_words_are_merged_as_the_header_merges_them(cohort: Cohort, tmp_path: Path) -> None:
    grade = cohort.header.tasks["grade"]
    known = grade.order  # type: ignore[union-attr]
    merged = grade.model_copy(update={"merge": {"G9": known[0]}, "unknown": ["GX"]})
    header = cohort.header.model_copy(update={"tasks": {**cohort.header.tasks, "grade": merged}})
    read = replace(cohort, header=header)
    words = ["G9", "GX", *[known[1]] * len(cohort.cases)]
    rows = [
        {"subject": c.subject, "visit": c.visit, "grade": w}
        for c, w in zip(cohort.cases, words, strict=False)
    ]
    path = written(tmp_path / "reader.csv", rows)
    (given,) = read_other_answers([path], Someone(read).tasks, read)
    table = given.table
    found = [table.rows["grade"].get((c.subject, c.visit)) for c in cohort.cases[:3]]
    assert [r.cells["grade"] if r else None for r in found] == [known[0], None, known[1]]
    with pytest.raises(PolytaskError, match="'G9' is no class"):
        judged(path, cohort)
