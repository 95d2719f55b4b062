"""Places of findings that a column names: read, refused, and followed through crop, resampling and augmentation."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from polytask.cohort.cohort import Cohort
from polytask.errors import PolytaskError
from polytask.images.formats import write_image_file
from polytask.images.volume import Grid, Volume
from polytask.inference.sample_batch import make_sample_batch
from polytask.plan.plan_schema import AugmentationPlan
from polytask.plan.roi_plan import RoiPlan
from polytask.prepare.evaluation_sample import full_sample
from polytask.prepare.finding_places import (
    ensure_place_columns,
    ensure_places_beyond_training,
    parse_place_cell,
)
from polytask.prepare.sample_reader import SampleDraw, read_sample
from polytask.prepare.sample_table import SampleTable
from polytask.prepare.schema import make_batch_schema
from polytask.prepare.store import Store
from polytask.prepare.store_builder import fill_store
from tests.prepare.worlds import BOTH, affine, image_plan, make_plan, write_cohort

GRID = Grid((22, 18, 16), affine())
ROI = RoiPlan(column="spot", crops=2, size=(8, 8, 8))


def parse(cell: str, path: Path = Path("nowhere"), count: int = 4) -> list[tuple[float, ...]]:
    return parse_place_cell(cell, path, GRID, count, "subject a, scan")


def test_points_and_boxes_are_read() -> None:
    assert parse("3 4 5.5") == [(3, 4, 5.5)]
    assert parse("2 5; 0 4; 7 8") == [(3, 1.5, 7)], "voxels 2 to 4, 0 to 3 and 7"


def test_the_largest_parts_of_a_mask_are_read_on_any_grid(tmp_path: Path) -> None:
    mask = np.zeros((22, 18, 16), np.uint8)
    mask[2:5, 3:6, 4:7], mask[10:12, 10:12, 10:12], mask[18, 2, 2] = 1, 3, 1
    path = tmp_path / "spot.nii.gz"
    # The same world with the first axis counted from the other end.
    matrix = affine()
    matrix[0, 3] += 21 * matrix[0, 0]
    matrix[0, 0] *= -1
    write_image_file(path, Volume(mask[None, ::-1], Grid((22, 18, 16), matrix)))
    found = parse("spot.nii.gz", path, 2)
    np.testing.assert_allclose(found, [(3, 4, 5), (10.5, 10.5, 10.5)])
    write_image_file(path, Volume(np.zeros((1, 22, 18, 16), np.uint8), GRID))
    assert parse("spot.nii.gz", path) == []


@pytest.mark.parametrize(
    ("cell", "words"),
    [
        ("3 4 16", r"the point '3 4 16' lies at \(3, 4, 16\), outside the image of 22×18×16 voxels"),
        ("-1 4 2", "outside the image"),
        ("20 40 1 2 1 2", "the middle of the box .* outside the image"),
        ("5 5 1 2 1 2", "is empty"),
        ("3 4", "expected 3 numbers"),
        ("elsewhere.nii.gz", "is not a place"),
    ],
)
def test_what_is_not_a_place_in_the_image_is_refused_in_one_line(cell: str, words: str) -> None:
    with pytest.raises(PolytaskError, match=words) as caught:
        parse(cell)
    assert "\n" not in str(caught.value)


@pytest.fixture(scope="module")
def spotted(tmp_path_factory: pytest.TempPathFactory) -> Cohort:
    """The small cohort with the middle of each tumour in a column; s2 has no finding."""
    root = tmp_path_factory.mktemp("spots")
    write_cohort(root)
    with (root / "cases.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    for row in rows:
        number, order = int(row["subject"][1]) - 1, int(row["visit"] == "second")
        at = np.random.default_rng(10 * number + order).integers(5, 9, 3) + 2
        row["spot"] = "" if row["subject"] == "s2" else " ".join(map(str, at))
    with (root / "cases.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return Cohort.read(root)


def test_crops_lie_on_the_finding_in_training_and_at_prediction(spotted: Cohort, tmp_path: Path) -> None:
    image = image_plan(**BOTH, roi=ROI)
    strength = AugmentationPlan(
        rotate=25, scale=0.1, translate=0.1, flip=(True,) * 3, probability=1, noise=0, blur=0, brightness=0,
        contrast=0, gamma=0, low_resolution=0,
    )  # fmt: skip
    plan = make_plan(spotted, image, strength)
    store = Store(tmp_path / "store")
    fill_store(store, spotted, plan, jobs=1)
    schema = make_batch_schema(spotted, plan, plan.folds[0])
    (sample,) = spotted.samples(["s1"])
    row = SampleTable(spotted, [sample], schema)[0]
    read = read_sample(store, row, schema, SampleDraw(("run",), False))
    full = full_sample(store, spotted, sample, plan, plan.folds[0])
    later = make_sample_batch(full, plan, ())
    assert read.crops["scan"].shape == (1, 2, 1, 4, 8, 8, 8)
    assert np.array_equal(read.crops["scan"], later.crops["scan"])
    # The plane `fl` shows the tumour: its core, 3 voxels wide, has a value of its own.
    core = read.crops["scan"][0, 0, 0, 1, 4, 4, 4]
    assert (read.crops["scan"][0, 0, 0, 1, 3:6, 3:6, 3:6] - core).abs().max() < 1e-4
    for axes in ((0,), (1, 2)):
        mirrored = make_sample_batch(full, plan, axes).crops["scan"][0, 0, 0, 1]
        assert abs(mirrored[3:5, 3:5, 3:5] - core).min() < 1e-4
    for number in range(6):
        moved = read_sample(store, row, schema, SampleDraw(("run", number), True)).crops["scan"]
        assert abs(moved[0, 0, 0, 1, 4, 4, 4] - core) < 0.7, "a rim of other value begins 1.5 voxels away"


def test_without_a_finding_the_middle_is_read(spotted: Cohort, tmp_path: Path) -> None:
    plan = make_plan(spotted, image_plan(**BOTH, roi=ROI))
    store = Store(tmp_path / "store")
    fill_store(store, spotted, plan, jobs=1)
    full = full_sample(store, spotted, spotted.samples(["s2"])[0], plan, plan.folds[0])
    crops, image = make_sample_batch(full, plan, ()).crops["scan"], full.images["scan"][0]
    assert image is not None
    assert np.array_equal(crops[0, 0, 0], image[:, 7:15, 5:13, 4:12])


def test_a_column_that_would_leak_or_is_not_there_is_refused(spotted: Cohort) -> None:
    images = {"scan": image_plan(**BOTH, roi=ROI)}
    ensure_place_columns(spotted, images)
    for column, words in (
        ("tumour", "answer of task 'tumour'.*would leak"),
        ("spots", "not a column of the table"),
    ):
        images["scan"].roi = RoiPlan(column=column)
        with pytest.raises(PolytaskError, match=words):
            ensure_place_columns(spotted, images)


def test_places_of_training_subjects_only_are_refused(spotted: Cohort) -> None:
    images = {"scan": image_plan(**BOTH, roi=ROI)}
    cases = [replace(case, test=case.subject == "s2") for case in spotted.cases]
    leaking = Cohort(spotted.header, spotted.root, spotted.table, spotted.columns, tuple(cases))
    ensure_places_beyond_training(spotted, images)
    with pytest.raises(PolytaskError, match="filled in for training subjects only"):
        ensure_places_beyond_training(leaking, images)
