"""What a fold learns of tables and targets, and what it refuses to plan without."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from lifelines import KaplanMeierFitter

from polytask import kinds
from polytask.errors import PolytaskError
from polytask.kinds.constant_losses import (
    compute_expected_hazard_loss,
    find_hazard_constant,
    find_ordinal_constant,
    find_segmentation_constant,
)
from polytask.kinds.horizons import list_usual_horizons
from polytask.plan.fingerprint_records import Fingerprint
from polytask.plan.plan_schema import FoldPlan, Plan
from polytask.plan.plan_settings import set_value
from polytask.plan.planner import make_plan
from tests.plan.worlds import LAPTOP, case_record, cohort_of, graded, header, image_record, one_fold, prints

IMAGES = {"scan": {"kind": "image", "channels": {"ct": "CT"}}}


def plan_of(
    tasks: dict[str, Any], cells: list[dict[str, str]], found: Fingerprint | None = None, **parts: Any
) -> Plan:
    """A plan with one fold; the last two subjects are held out, the one before tunes."""
    cohort = cohort_of(header(tasks=tasks, **{"inputs": IMAGES, **parts}), cells)
    found = found or prints([(24, 24, 24)] * len(cells))
    return make_plan(cohort, found, one_fold(cohort), machine=LAPTOP)


def fold_of(
    tasks: dict[str, Any], cells: list[dict[str, str]], found: Fingerprint | None = None, **parts: Any
) -> FoldPlan:
    """The only fold's part of such a plan."""
    return plan_of(tasks, cells, found, **parts).folds[0]


def column(name: str, values: list[str]) -> list[dict[str, str]]:
    """A world with one more column; empty cells are unknown."""
    return [{**row, **({name: v} if v else {})} for row, v in zip(graded(len(values)), values, strict=True)]


def test_class_frequencies_and_balance() -> None:
    task = {"pcr": {"kind": "classification", "classes": ["no", "yes"]}}
    even = fold_of(task, column("pcr", (["no", "yes", ""] * 8)[:23]))
    assert even.tasks["pcr"]["frequencies"] == [0.5, 0.5]
    assert even.tasks["pcr"]["balanced"] is False
    assert even.tasks["pcr"]["constant"] == pytest.approx(np.log(2), rel=1e-4)
    rare = fold_of(task, column("pcr", ["yes"] + ["no"] * 9 + ["yes"] * 3))
    assert rare.tasks["pcr"]["frequencies"] == [0.9, 0.1]
    assert rare.tasks["pcr"]["balanced"] is True
    assert "no 9, yes 1" in rare.why["tasks.pcr.frequencies"]


def test_many_even_classes_are_not_balanced() -> None:
    words = [f"c{i}" for i in range(8)]
    task = {"place": {"kind": "classification", "classes": words}}
    assert fold_of(task, column("place", (words * 4)[:27])).tasks["place"]["balanced"] is False


def test_a_class_missing_from_train_is_an_error() -> None:
    task = {"pcr": {"kind": "classification", "classes": ["no", "yes"]}}
    with pytest.raises(
        PolytaskError, match=r"task pcr: class 'yes' does not occur .* of fold 0; .*fewer folds"
    ):
        fold_of(task, column("pcr", ["no"] * 10 + ["yes"] * 2))


def test_ordinal() -> None:
    fold = fold_of({"grade": {"kind": "ordinal", "order": ["G1", "G2", "G3"]}}, graded(12))
    assert fold.tasks["grade"]["frequencies"] == [0.33333] * 3
    assert fold.tasks["grade"]["constant"] == pytest.approx(find_ordinal_constant([1 / 3] * 3), rel=1e-4)


def test_rare_grades_are_balanced_and_drawn_more_often_unless_it_is_set_off() -> None:
    grades = ["G1"] * 20 + ["G2"] * 4 + ["G3"] + ["G1", "G2", "G3"]
    plan = plan_of({"grade": {"kind": "ordinal", "order": ["G1", "G2", "G3"]}}, column("grade", grades))
    task, why = plan.folds[0].tasks["grade"], plan.folds[0].why
    assert task["balanced"] is True
    assert task["drawn_shares"] == pytest.approx([0.755186, 0.163299, 0.081650], abs=2e-3), "√(f / 6)"
    assert task["constant"] == pytest.approx(np.log(3), rel=1e-4)
    assert "G3 is the rarest, 1 of 25 answers (4 %; limit 17 %)" in why["tasks.grade.balanced"]
    assert "G3 4 % → 8.2 %" in why["tasks.grade.drawn_shares"]
    off = set_value(plan, "folds.*.tasks.grade.balanced=false").folds[0]
    assert off.tasks["grade"]["constant"] == pytest.approx(find_ordinal_constant([0.8, 0.16, 0.04]), rel=1e-4)
    assert set_value(plan, "folds.*.tasks.grade.drawn_shares=[]").folds[0].tasks["grade"]["balanced"] is True
    with pytest.raises(PolytaskError, match=r"drawn_shares: expected one number for each entry of classes"):
        set_value(plan, "folds.0.tasks.grade.drawn_shares=[0.5,0.5]")
    with pytest.raises(PolytaskError, match="expected shares above 0 with the sum 1, or"):
        set_value(plan, "folds.0.tasks.grade.drawn_shares=[0.5,0.4,0.2]")


def test_multilabel_counts_known_cells() -> None:
    task = {"sign": {"kind": "multilabel", "labels": ["a", "b"]}}
    cells = [
        {**r, "sign.a": str(i % 2), **({"sign.b": str(int(i > 4))} if i < 6 else {})}
        for i, r in enumerate(graded(13))
    ]
    fold = fold_of(task, cells)
    assert fold.tasks["sign"]["frequencies"] == [0.5, pytest.approx(1 / 6, rel=1e-4)]
    assert fold.tasks["sign"]["balanced"] is True
    constant = [{**row, "sign.b": "0"} for row in cells]
    with pytest.raises(PolytaskError, match="label 'b' is never 1"):
        fold_of(task, constant)


def test_regression() -> None:
    values = [1.0, 2.0, 3.0, 4.0, 90.0, 5.0, 6.0, 7.0, 8.0]
    fold = fold_of(
        {"size": {"kind": "regression", "unit": "mm"}}, column("size", [*map(str, values), "", "", ""])
    )
    task = fold.tasks["size"]
    assert task["mean"] == pytest.approx(np.mean(values), rel=1e-5)
    assert task["sd"] == pytest.approx(np.std(values), rel=1e-5)
    assert task["deviation"] == pytest.approx(np.abs(np.array(values) - 5).mean(), rel=1e-5)
    alike = fold_of({"size": {"kind": "regression"}}, column("size", ["3"] * 12))
    assert alike.tasks["size"]["sd"] == 1.0
    assert "all alike" in alike.why["tasks.size.sd"]


TIMES = [5, 30, 44, 44, 70, 90, 120, 150, 150, 200, 260, 300, 333, 380, 400, 450, 470, 500, 600, 700]
EVENTS = [1, 1, 0, 1, 1, 0, 1, 1, 1, 0, 1, 1, 0, 1, 1, 0, 1, 0, 1, 0]
OS = {"os": {"kind": "survival", "level": "subject"}}


def survivors(events: list[int]) -> list[dict[str, str]]:
    """Twenty training subjects and three others."""
    rows = [{"os_time": str(t), "os_event": str(e)} for t, e in zip(TIMES, events, strict=True)]
    return [
        {**a, **b}
        for a, b in zip(graded(23), [*rows, *[{"os_time": "9999", "os_event": "1"}] * 3], strict=True)
    ]


def test_survival_against_lifelines() -> None:
    fold = fold_of(OS, survivors(EVENTS))
    task = fold.tasks["os"]
    assert task["horizons"] == [365.0], "one year; two lie beyond the follow-up"
    assert "1, 2 and 5 years" in fold.why["tasks.os.horizons"]
    curve = task["censoring"]
    # An event comes before a censoring at the same time: lifelines needs it a moment earlier.
    shifted = [t - 0.01 * e for t, e in zip(TIMES, EVENTS, strict=True)]
    fitted = KaplanMeierFitter().fit(shifted, [1 - e for e in EVENTS])
    expected = fitted.survival_function_at_times(curve["times"]).to_numpy()
    assert curve["survival"] == pytest.approx(expected, rel=1e-4)
    assert curve["times"] == [t for t, e in zip(TIMES, EVENTS, strict=True) if not e]
    assert len(task["bins"]) == len(task["hazards"]) == 4
    assert task["loss"] == "cox"
    assert task["baseline"] == {}


def test_horizons_without_years_are_quartiles_of_the_events() -> None:
    """Of a unit that is none of time's, and where no year lies within the follow-up."""
    happened = [t for t, e in zip(TIMES, EVENTS, strict=True) if e]
    for unit in ("cycles", "years"):
        tasks = {"os": {"kind": "survival", "level": "subject", "unit": unit}}
        rows = survivors(EVENTS)
        if unit == "years":
            rows = [{**r, "os_time": str(float(r["os_time"]) / 1000)} for r in rows]
        scale = 1000 if unit == "years" else 1
        found = np.array(fold_of(tasks, rows).tasks["os"]["horizons"]) * scale
        assert found == pytest.approx(np.quantile(happened, (0.25, 0.5, 0.75)), rel=0.01)


@pytest.mark.parametrize(
    ("unit", "years"),
    [
        ("days", [365, 730, 1825]),
        ("Months", [12, 24, 60]),
        ("yr", [1, 2, 5]),
        ("weeks", [52, 104, 260]),
        ("Gy", []),
    ],
)
def test_years_in_every_unit(unit: str, years: list[float]) -> None:
    assert list_usual_horizons(unit) == years


def test_horizons_of_the_header_are_kept_and_judged() -> None:
    tasks = {"os": {"kind": "survival", "level": "subject", "horizons": [100, 690, 900]}}
    fold = fold_of(tasks, survivors(EVENTS))
    assert fold.tasks["os"]["horizons"] == [100, 690, 900]
    assert fold.tasks["os"]["bins"][-1] == 600, "the last event"
    why = fold.why["tasks.os.horizons"]
    assert "at 900 too few subjects are uncensored" in why
    assert "at 900 no probability: nobody was followed for longer than 700 days" in why
    assert "up to the last event at 600 days" in fold.why["tasks.os.bins"]
    assert "gives no probability at 690" in fold.why["tasks.os.bins"]


def test_a_train_part_without_events_is_an_error() -> None:
    with pytest.raises(PolytaskError, match=r"task os: no event is observed .* fold 0"):
        fold_of(OS, survivors([0] * 20))


def test_the_hazard_constant_can_be_had_from_the_plan_alone() -> None:
    task = fold_of(OS, survivors(EVENTS)).tasks["os"]
    exact = find_hazard_constant(TIMES, EVENTS, task["bins"])
    assert compute_expected_hazard_loss(task["bins"], task["hazards"], task["censoring"]) == pytest.approx(
        exact, rel=0.15
    )


def masks(counts: list[dict[str, int] | None]) -> Fingerprint:
    """Cases with so many voxels of each structure, None = unknown."""
    image = image_record((24, 24, 24))
    return Fingerprint(cases={f"s{i:02d}": case_record(f"s{i:02d}", image, c) for i, c in enumerate(counts)})


def test_structure_fractions_over_known_cases() -> None:
    task = {"tumour": {"kind": "segmentation", "image": "scan", "labels": {"tumour": 1, "node": 2}}}
    counts: list[dict[str, int] | None] = [{"tumour": 100, "node": 10}, {"tumour": 300}, None]
    fold = fold_of(task, graded(6), masks([*counts, None, {"tumour": 999}, {"tumour": 999}]))
    assert fold.tasks["tumour"]["fractions"] == [0.2, 0.01]
    assert fold.tasks["tumour"]["exclusive"] is True
    assert fold.tasks["tumour"]["constant"] == pytest.approx(
        find_segmentation_constant([0.2, 0.01], True), rel=1e-4
    )
    assert "tumour 20 % (n 2, present in 2, typically 10×10×10 mm)" in fold.why["tasks.tumour.fractions"]


def test_a_structure_known_to_be_absent_may_be_planned_an_unknown_one_not() -> None:
    task = {"tumour": {"kind": "segmentation", "image": "scan", "labels": {"tumour": 1, "node": 2}}}
    counts: list[dict[str, int] | None] = [{"tumour": 10, "node": 0}] * 5
    absent = fold_of(task, graded(6), masks([*counts, {"node": 3}]))
    assert absent.tasks["tumour"]["fractions"] == [0.01, 0.0]
    assert np.isfinite(absent.tasks["tumour"]["constant"])
    with pytest.raises(PolytaskError, match="structure 'node' is never known"):
        fold_of(task, graded(6), masks([{"tumour": 10}] * 6))


def test_a_structure_that_no_mask_shows_points_to_the_header() -> None:
    task = {"tumour": {"kind": "segmentation", "image": "scan", "labels": {"tumour": 255}}}
    with pytest.raises(PolytaskError, match=r"'tumour' occurs in no mask; .*check its value"):
        fold_of(task, graded(6), masks([{"tumour": 0}] * 6))


def test_tolerance_is_a_voxel_where_voxels_are_coarse() -> None:
    task = {"tumour": {"kind": "segmentation", "image": "scan", "labels": {"tumour": 1}}}
    coarse = prints([(24, 24, 24)] * 12, [(1.0, 1.0, 5.0)] * 12)
    assert fold_of(task, graded(12)).tasks["tumour"]["tolerance"] == 2.0
    assert fold_of(task, graded(12), coarse).tasks["tumour"]["tolerance"] == 5.0


def test_table_columns() -> None:
    columns = {
        "age": {"type": "number", "level": "subject"},
        "marker": {"type": "number"},
        "smoker": {"type": "category", "values": ["never", "now"]},
        "ward": {"type": "category"},
    }
    cells = [
        {**row, **({"age": str(40 + i)} if i % 2 else {}), "smoker": "now", "ward": "BA"[i % 2]}
        for i, row in enumerate(graded(12))
    ]
    cells[-1]["ward"] = "Z"
    fold = fold_of(
        {"grade": {"kind": "ordinal", "order": ["G1", "G2", "G3"]}},
        cells,
        inputs={**IMAGES, "clinic": {"kind": "table", "columns": columns}},
    )
    clinic = fold.tables["clinic"]
    assert clinic["age"].mean == pytest.approx(np.mean([41, 43, 45, 47]))
    assert clinic["age"].sd == pytest.approx(np.std([41, 43, 45, 47]), rel=1e-4)
    assert (clinic["marker"].mean, clinic["marker"].sd) == (0.0, 1.0)
    assert "says nothing" in fold.why["tables.clinic.marker"]
    assert clinic["smoker"].values == ["never", "now"]
    assert clinic["ward"].values == ["A", "B"], "what only a held-out subject has is not learned"


def test_a_subject_level_cell_counts_once() -> None:
    task = {"pcr": {"kind": "classification", "level": "subject", "classes": ["no", "yes"]}}
    cells = [
        {"subject": f"s{i:02d}", "visit": v, "scan.ct": "x", "pcr": "no" if i < 6 else "yes"}
        for i in range(12)
        for v in (("a", "b") if i < 6 else ("a",))
    ]
    single = prints([(24, 24, 24)] * 12).cases
    found = Fingerprint(cases={f"{k}@{v}": c for k, c in single.items() for v in ("a", "b")})
    fold = fold_of(task, cells, found, visits=["a", "b"])
    assert "no 6, yes 3" in fold.why["tasks.pcr.frequencies"]


def test_planned_fields_are_those_of_the_dataclasses(phantom_plan: Plan) -> None:
    from polytask.tasks import KINDS, dump_task_fields, make_task

    for name, planned in phantom_plan.folds[0].tasks.items():
        task = make_task(name, planned)
        fields = kinds.KINDS[planned["kind"]].fields
        # Only a task with landmarks has a curve for each of them.
        assert {"landmarks"} | set(planned) == {"landmarks"} | set(fields.model_fields)
        assert set(dump_task_fields(task)) == set(fields.model_fields)
        assert {"landmarks": {}} | planned == {"landmarks": {}} | fields.model_validate(planned).model_dump()
    assert {name: member.primary for name, member in KINDS.items()} == {
        name: kind.primary for name, kind in kinds.KINDS.items()
    }
