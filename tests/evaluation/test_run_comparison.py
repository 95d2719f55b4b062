from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from polytask.errors import PolytaskError
from polytask.evaluation import run_comparison
from polytask.evaluation.evaluate_run import evaluate_answers
from polytask.evaluation.part_answers import CaseMetrics, PartAnswers
from polytask.evaluation.run_comparison import (
    EvaluatedRun,
    compare_evaluated_runs,
    list_common_ids,
    measure_differences,
    require_comparable,
)
from polytask.evaluation.run_costs import RunCosts
from polytask.tasks import make_task
from polytask.training.folder import Run
from tests.evaluation.worlds import answers, items

TWO = make_task("type", {"kind": "classification", "level": "visit", "classes": ("no", "yes")})
MASK = make_task("mask", {"kind": "segmentation", "structures": ("s",), "exclusive": True})
DOSE = make_task("dose", {"kind": "dose", "deviation": 4.0})
RECORD = {"name": "x", "fold": 0, "seed": 0, "sharing": "hard", "cohort": "c1"}


def masks(values: dict[str, float], metric: str = "dice") -> CaseMetrics:
    return CaseMetrics(tuple((s, "") for s in values), tuple({"n": 1.0, metric: v} for v in values.values()))


def test_paired_difference_is_narrower_than_the_unpaired_spread() -> None:
    random = np.random.default_rng(1)
    mine = {f"s{i}": float(v) for i, v in enumerate(random.random(40))}
    other = {s: v - 0.1 for s, v in mine.items()}
    found, skill = measure_differences(
        {"mask": MASK}, answers(voxel={"mask": masks(mine)}), answers(voxel={"mask": masks(other)}), 200
    )
    gap = found["mask"].difference
    assert gap[:3] == pytest.approx((0.1, 0.1, 0.1))
    assert gap.n == 40
    assert skill.estimate == pytest.approx(0.1)
    assert skill.n == 1
    assert found["mask"].values == pytest.approx(
        (np.mean(list(mine.values())), np.mean(list(other.values())))
    )


def test_difference_of_auc_and_of_skill() -> None:
    truth = np.array([0, 1, 0, 1, 1, 0])
    p, q = np.array([0.1, 0.9, 0.4, 0.6, 0.3, 0.2]), np.array([0.6, 0.9, 0.4, 0.5, 0.1, 0.3])
    sides = [answers({"type": items({"p": np.stack([1 - x, x], 1)}, truth)}) for x in (p, q)]
    found, _ = measure_differences({"type": TWO}, sides[0], sides[1], 100)
    expected = roc_auc_score(truth, p) - roc_auc_score(truth, q)
    assert found["type"].difference.estimate == pytest.approx(expected)
    assert found["type"].skill.estimate == pytest.approx(2 * expected)
    assert found["type"].difference.reason == "too few: 3 subjects of each class, 15 needed"
    many = [
        answers({"type": items({"p": np.stack([1 - x, x], 1)}, np.tile(truth, 6))}) for x in [np.tile(p, 6)]
    ]
    again, _ = measure_differences({"type": TWO}, many[0], many[0], 100)
    assert again["type"].difference[:3] == (0, 0, 0)


def test_a_smaller_error_is_a_negative_difference_and_a_gain_of_skill() -> None:
    mine, other = (answers(voxel={"dose": masks({"a": v, "b": v}, "mae")}) for v in (1.0, 2.0))
    found, _ = measure_differences({"dose": DOSE}, mine, other, 20)
    assert found["dose"].difference.estimate == -1
    assert not found["dose"].higher
    assert found["dose"].skill.estimate == pytest.approx(0.25)


def test_seven_subjects_tell_no_difference() -> None:
    """The percentile bootstrap left 0 out in 15.7 % of the studies without an effect."""
    random = np.random.default_rng(5)
    for _ in range(20):
        mine, other = (
            answers(voxel={"mask": masks({f"s{i}": v for i, v in enumerate(random.random(7))})}) for _ in "ab"
        )
        found, skill = measure_differences({"mask": MASK}, mine, other, 50)
        assert np.isfinite(found["mask"].difference.estimate)
        assert np.isnan([found["mask"].difference.low, skill.low]).all()
        assert found["mask"].difference.reason == "too few: 7 subjects, 20 needed"


def test_items_are_joined_by_id() -> None:
    mine = answers(voxel={"mask": masks({"a": 0.9, "b": 0.1, "c": 0.5})})
    other = answers(voxel={"mask": masks({"c": 0.5, "a": 0.9})})
    ids = list_common_ids(mine, other, "mask")
    assert ids == [("a", ""), ("c", "")]
    found, _ = measure_differences({"mask": MASK}, mine.only({"mask": ids}), other.only({"mask": ids}), 20)
    assert found["mask"].difference.estimate == 0
    assert found["mask"].difference.n == 2


def test_undefined_on_one_side_is_undefined() -> None:
    mine = answers({"type": items({"p": np.array([[0.4, 0.6], [0.5, 0.5]])}, [1, 1])})
    found, skill = measure_differences({"type": TWO}, mine, mine, 20)
    assert np.isnan(found["type"].difference.estimate)
    assert found["type"].difference.n == 0
    assert np.isnan(skill.estimate)
    assert skill.n == 0


def evaluated(folder: Path, given: PartAnswers, **changes: Any) -> EvaluatedRun:
    record = {**RECORD, **{k: v for k, v in changes.items() if k in RECORD}}
    found = evaluate_answers({"mask": MASK}, given, record, changes.get("part", "held_out"), resamples=5)
    return EvaluatedRun(Run(folder, record), replace(found), given, {"mask": MASK})


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"fold": 1}, "fold 1 against fold 0"),
        ({"part": "tune"}, "tune against held_out"),
        ({"cohort": "c2"}, "different cohorts"),
    ],
)
def test_runs_that_cannot_be_compared_are_refused(tmp_path: Path, changes: dict[str, Any], word: str) -> None:
    given = answers(voxel={"mask": masks({"a": 0.9})})
    with pytest.raises(PolytaskError, match=word):
        require_comparable(evaluated(tmp_path, given), evaluated(tmp_path, given, **changes))


def test_different_subjects_are_refused(tmp_path: Path) -> None:
    mine, other = (answers(voxel={"mask": masks({s: 0.9})}) for s in "ab")
    with pytest.raises(PolytaskError, match="judged on different subjects"):
        require_comparable(evaluated(tmp_path, mine), evaluated(tmp_path, other))


def test_two_runs_are_compared_on_the_cases_of_both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spent = RunCosts(17, 40, 0.5, 3.0)
    monkeypatch.setattr(run_comparison, "measure_run_costs", lambda run: spent)
    both = dict.fromkeys("abc", "")
    mine = PartAnswers(both, {}, {"mask": masks({"a": 0.9, "b": 0.7})}, {})
    other = PartAnswers(both, {}, {"mask": masks({"b": 0.4, "c": 0.1})}, {})
    one = evaluated(tmp_path, mine, name="one", sharing="mtan")
    two = evaluated(tmp_path, other, name="two")
    two = replace(two, tasks={**two.tasks, "more": MASK})
    found = compare_evaluated_runs(one, two, 5)
    assert (found.run, found.other, found.sharings) == ("one", "two", ("mtan", "hard"))
    assert (found.part, found.subjects, found.only, found.costs) == ("held_out", 3, ("more",), (spent, spent))
    assert found.tasks["mask"].values == (0.7, 0.4)
    assert found.mean_skill.estimate == pytest.approx(0.3)
    plain = found.as_dict()
    assert plain["tasks"]["mask"]["difference"]["estimate"] == pytest.approx(0.3)
    assert plain["tasks"]["mask"]["skill"]["n"] == 1
    assert plain["mean_skill"]["n"] == 1


def test_results_of_other_weights_or_of_another_part_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run: Any = SimpleNamespace(folder=tmp_path, weights={"": "seal"})
    monkeypatch.setattr(run_comparison, "Run", SimpleNamespace(read=lambda folder: run))
    monkeypatch.setattr(run_comparison, "rebuild_run_tasks", lambda run: {"mask": MASK})
    given = answers(voxel={"mask": masks({"a": 0.9})})
    found = replace(evaluated(tmp_path, given).evaluation, weights={"": "seal"})

    def write(part: str, place: Path, **changes: Any) -> None:
        place.mkdir(exist_ok=True)
        given.write(place / "answers.json")
        replace(found, part=part, **changes).write(place / "evaluation.json")

    with pytest.raises(PolytaskError, match=r"not evaluated on held_out; run `polytask evaluate .*` first"):
        EvaluatedRun.read(tmp_path)
    with pytest.raises(
        PolytaskError, match=r"not evaluated on tune; run `polytask evaluate .* --part tune` first"
    ):
        EvaluatedRun.read(tmp_path, "tune")
    write("held_out", tmp_path)
    write("tune", tmp_path / "tune")
    assert EvaluatedRun.read(tmp_path).evaluation.part == "held_out"
    assert EvaluatedRun.read(tmp_path, "tune").evaluation.part == "tune"
    write("test", tmp_path / "tune")
    with pytest.raises(PolytaskError, match="of the part test, expected tune"):
        EvaluatedRun.read(tmp_path, "tune")
    write("held_out", tmp_path, weights={"": "old"})
    with pytest.raises(PolytaskError, match="evaluated before the weights changed"):
        EvaluatedRun.read(tmp_path)
    write("held_out", tmp_path, subjects=("b",))
    with pytest.raises(
        PolytaskError, match="does not fit the run: its subjects are not those of the evaluation"
    ):
        EvaluatedRun.read(tmp_path)
