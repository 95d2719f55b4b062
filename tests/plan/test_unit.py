"""Millimeters or pixels: from the files into the plan, and from there into every reason."""

from __future__ import annotations

import csv

import numpy as np
import pytest
import yaml
from PIL import Image

from polytask.cohort.cohort import Cohort
from polytask.images.file_axes import RASTER_AFFINE
from polytask.images.formats import write_image_file
from polytask.images.volume import Grid, Volume
from polytask.kinds.plan_reasons import PlanReasons
from polytask.plan.fingerprint import make_fingerprint
from polytask.plan.plan_schema import Plan
from polytask.plan.plan_summary import list_summary_rows
from polytask.plan.planner import make_plan
from polytask.plan.rules.image_geometry import plan_geometry
from polytask.training.run import plan_hash
from tests.plan.worlds import LAPTOP, image_record, one_fold

HEADER = {
    "polytask": 1,
    "name": "skin",
    "inputs": {"photo": {"kind": "image", "dims": 2, "channels": {"gray": "other"}}},
    "tasks": {
        "lesion": {"kind": "segmentation", "image": "photo", "labels": {"lesion": 1}},
        "grade": {"kind": "ordinal", "order": ["1", "2"]},
    },
}


@pytest.fixture(scope="module", params=["bare", "measured"])
def plan(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Plan]:
    """Of eight pictures whose files do not say how large a pixel is, or do."""
    folder, rng = tmp_path_factory.mktemp(request.param), np.random.default_rng(0)
    with (folder / "cases.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["subject", "photo.gray", "lesion", "grade"])
        for k in range(8):
            gray, mask = rng.integers(0, 255, (24, 24)).astype(np.uint8), np.zeros((24, 24), np.uint8)
            mask[6:12, 6:12] = 1
            for name, array in ((f"{k}.png", gray), (f"m{k}.png", mask)):
                if request.param == "bare":
                    Image.fromarray(array).save(folder / name)
                else:
                    write_image_file(folder / name, Volume(array[None], Grid((24, 24), RASTER_AFFINE)))
            table.writerow([k, f"{k}.png", f"m{k}.png", k % 2 + 1])
    (folder / "cohort.yaml").write_text(yaml.safe_dump(HEADER), encoding="utf-8")
    cohort = Cohort.read(folder)
    return request.param, make_plan(cohort, make_fingerprint(cohort), one_fold(cohort), machine=LAPTOP)


def test_the_plan_says_its_unit_everywhere(plan: tuple[str, Plan]) -> None:
    kind, found = plan
    unit, other = ("px", "mm") if kind == "bare" else ("mm", "px")
    assert found.shared.images["photo"].unit == unit
    assert found.folds[0].tasks["lesion"]["unit"] == unit
    said = {k: v for k, v in {**found.shared.why, **found.folds[0].why}.items() if not k.endswith(".unit")}
    assert sum(f" {unit}" in text for text in said.values()) >= 3
    assert not [text for text in said.values() if f" {other}" in text]
    assert f"1×1 {unit}" in {row.value for row in list_summary_rows(found)}


def test_the_unit_decides_no_weight(plan: tuple[str, Plan]) -> None:
    """So that runs from before there was one can go on."""
    found = plan[1].model_copy(deep=True)
    before = plan_hash(found, 0)
    found.shared.images["photo"].unit = "mm" if plan[0] == "bare" else "px"
    found.folds[0].tasks["lesion"].pop("unit")
    assert plan_hash(found, 0) == before
    found.folds[0].tasks["lesion"]["tolerance"] = 3.0
    assert plan_hash(found, 0) != before


def test_some_files_without_a_scale_make_pixels_of_all() -> None:
    from polytask.cohort.header import ImageInput

    spec = ImageInput(kind="image", dims=2, channels={"gray": "other"})
    bare = image_record((64, 64), orientation="PL").model_copy(update={"physical": False})
    records = [bare, *[image_record((64, 64), orientation="PL")] * 3]
    found = plan_geometry(spec, records, why := PlanReasons())
    assert found.unit == "px"
    assert "1 of 4 files do not say" in why.reasons["unit"]


def test_millimeters_of_some_files_are_not_mixed_with_pixels_of_others() -> None:
    """Some say 0.05 mm, others nothing: a spacing of 0.5 would be neither."""
    from polytask.cohort.header import ImageInput

    spec = ImageInput(kind="image", dims=2, channels={"gray": "other"})
    measured = image_record((64, 48), (0.05, 0.05), orientation="PL")
    bare = image_record((32, 96), orientation="PL").model_copy(update={"physical": False})
    names = [f"subject {k}" for k in range(9)]
    found = plan_geometry(spec, [measured, bare] * 4 + [measured], why := PlanReasons(), names)
    assert (found.unit, found.spacing) == ("px", (1.0, 1.0))
    assert found.resize == (64, 48)
    assert found.sizes[:2] == ((64, 48), (16, 48)), "the wide one is scaled until its columns fit"
    assert why.reasons["unit"] == (
        "px: 4 of 9 files (subject 1, subject 3, subject 5, …) do not say how large a pixel is, so lengths count "
        "pixels, not mm; the pixel sizes in the other files are not used"
    )
