import numpy as np
import pytest

from polytask.cohort.cohort import Case, Cohort, Sample
from polytask.plan.plan_schema import ColumnPlan, NormalizationPlan
from polytask.prepare.evaluation_sample import full_sample
from polytask.prepare.normalization import (
    append_channel_flags,
    count_input_planes,
    map_channel_planes,
    normalize_planes,
)
from polytask.prepare.plane_statistics import compute_plane_statistics
from polytask.prepare.slot_assignment import assign_visit_slots
from polytask.prepare.table_encoding import count_table_features, encode_table_cells
from tests.prepare.worlds import BOTH, filled, image_plan, write_cohort

RULES = {
    "ct": [NormalizationPlan(rule="fixed", lower=-2, upper=2, mean=1, sd=4)],
    "fl": [NormalizationPlan(rule="image", nonzero=True)],
}


def test_rules() -> None:
    image = np.array([[[-5, 0, 1], [3, 2, 2]], [[0, 2, 4], [0, 0, 6]]], np.int16)
    seen = normalize_planes(
        image, compute_plane_statistics(image), (True, True), map_channel_planes(image_plan()), RULES
    )
    assert np.allclose(seen[0], [[-0.75, -0.25, 0], [0.25, 0.25, 0.25]])
    inside = seen[1][image[1] != 0]
    assert inside.mean() == pytest.approx(0, abs=1e-6)
    assert inside.std() == pytest.approx(1)


def test_a_block_is_normalized_like_the_whole() -> None:
    image = np.random.default_rng(0).normal(3, 2, (2, 8, 8, 8)).astype(np.float32)
    statistics = compute_plane_statistics(image)
    whole = normalize_planes(image, statistics, (True, True), map_channel_planes(image_plan()), RULES)
    block = normalize_planes(image[:, 2:5], statistics, (True, True), map_channel_planes(image_plan()), RULES)
    assert np.array_equal(whole[:, 2:5], block)


def test_a_missing_channel_is_zero_and_says_so() -> None:
    image = np.ones((2, 3, 3, 3), np.float32)
    plan = image_plan()
    seen = append_channel_flags(
        normalize_planes(
            image, compute_plane_statistics(image), (True, False), map_channel_planes(plan), RULES
        ),
        (True, False),
        plan,
    )
    assert seen.shape[0] == count_input_planes(plan) == 4
    assert not seen[1].any()
    assert [float(p.min()) for p in seen[2:]] == [1.0, 0.0]


def test_a_flat_image_is_zero_not_nan() -> None:
    image = np.full((1, 4, 4), 7.0, np.float32)
    plan = image_plan(channels={"fl": "MR"}, channel_flags=False)
    assert not normalize_planes(
        image, compute_plane_statistics(image), (True,), map_channel_planes(plan), RULES
    ).any()
    assert count_input_planes(image_plan(channels={"photo": "RGB"}, channel_flags=True)) == 4


def test_tables() -> None:
    columns = {
        "age": ColumnPlan(type="number", mean=50, sd=10),
        "smoker": ColumnPlan(type="category", values=["never", "now"]),
    }
    assert count_table_features(columns) == 3
    values, known = encode_table_cells({"age": 65.0, "smoker": "now"}, columns)
    assert np.allclose(values, [1.5, 0, 1])
    assert known.all()
    values, known = encode_table_cells({"age": None, "smoker": "past"}, columns)
    assert not values.any()
    assert not known.any()


def cohort_with(days: list[float | None], tmp_path) -> tuple[Cohort, Sample]:
    cohort = write_cohort(tmp_path)
    names = ("first", "second")
    cases = tuple(Case("x", v, d, "", False, 2, {}) for v, d in zip(names, days, strict=True))
    return cohort, Sample("x", cases)


def test_a_visit_keeps_its_slot(tmp_path) -> None:
    cohort, sample = cohort_with([5.0, 35.0], tmp_path)
    assert assign_visit_slots(cohort, sample, 2).day == (0.0, 30.0)
    late = assign_visit_slots(cohort, Sample("x", sample.cases[1:]), 2)
    assert late.visits == ("", "second")
    assert late.day == (0.0, 0.0)
    assert assign_visit_slots(cohort, Sample("x", sample.cases[1:]), 1).visits == ("second",)


def test_a_visit_that_no_task_reads_leaves_its_slot_empty(tmp_path) -> None:
    cohort, sample = cohort_with([5.0, 35.0], tmp_path)
    slots = assign_visit_slots(cohort, sample, 2, ["second"])
    assert slots.visits == ("", "second")
    assert slots.day == (0.0, 30.0), "days still count from the first visit"
    assert assign_visit_slots(cohort, Sample("x", sample.cases[:1]), 2, ["second"]).visits == ("first", ""), (
        "a sample is never empty"
    )


def test_without_days_the_order_counts(tmp_path) -> None:
    cohort, sample = cohort_with([None, None], tmp_path)
    assert assign_visit_slots(cohort, sample, 2).day == (0.0, 1.0)
    cohort, sample = cohort_with([5.0, None], tmp_path)
    assert assign_visit_slots(cohort, sample, 2).day == (0.0, 0.0)


def test_a_full_sample_is_not_padded(tmp_path) -> None:
    cohort, plan, store = filled(tmp_path, **BOTH)
    samples = {s.subject: s for s in cohort.samples()}
    full = full_sample(store, cohort, samples["s3"], plan, plan.folds[0])
    assert full.visits == ("", "second")
    assert full.keys == (None, "s3@second")
    assert full.visit_known.tolist() == [False, True]
    assert full.images["scan"][0] is None
    image, whole = full.images["scan"][1], full.whole["scan"][1]
    assert image is not None
    assert whole is not None
    assert image.shape == (4, 22, 18, 16)
    assert whole.shape == (4, 11, 9, 8)
    assert set(np.unique(image[0])) == {-10, 0, 4, 8}
    assert full.channel_known["scan"].tolist() == [[False, False], [True, True]]
    assert full.tables["clinic"].shape == full.table_known["clinic"].shape == (2, 3)


def test_subject_columns_stand_on_any_visit(tmp_path) -> None:
    cohort, plan, store = filled(tmp_path)
    full = full_sample(store, cohort, cohort.samples(["s1"])[0], plan, plan.folds[0])
    assert np.allclose(full.tables["clinic"][:, 0], 1.0)
    assert full.table_known["clinic"][:, 0].all()
