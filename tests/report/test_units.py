"""Tables say px where a task counts pixels; a case without a scale has no figure in mm."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from polytask.cli.evaluation_table import name_metric_with_unit
from polytask.cohort.header import SegmentationSpec
from polytask.evaluation import answer_collector
from polytask.evaluation.metric_estimates import describe_task
from polytask.evaluation.part_answers import CaseMetrics, PartAnswers
from polytask.evaluation.voxel_truth import VoxelTruth
from polytask.images.file_axes import RASTER_AFFINE
from polytask.images.volume import Grid, Volume
from polytask.report.metric_tables import format_metric_title
from polytask.report.undefined_reasons import explain_undefined_metric
from polytask.tasks.segmentation import Segmentation

TASK = Segmentation("lesion", ("lesion",), True)
SPEC = SegmentationSpec(kind="segmentation", image="scan", labels={"lesion": 1})


def test_titles_and_printed_names_have_the_unit_of_the_task() -> None:
    photo, scan = describe_task(replace(TASK, unit="px")), describe_task(TASK)
    assert [format_metric_title(m, photo, "px") for m in ("dice", "hd95", "volume_error")] == [
        "Dice",
        "HD95 (px)",
        "area error (px)",
    ]
    assert [format_metric_title(m, scan, "ml") for m in ("hd95", "volume_error")] == [
        "HD95 (mm)",
        "volume error (ml)",
    ]
    assert format_metric_title("hd95", photo) == "HD95 (px)", "pages that know no image say it too"
    assert [name_metric_with_unit(m, photo) for m in ("dice", "hd95", "volume_error.lesion")] == [
        *("dice", "hd95 (px)", "volume_error.lesion (px)"),
    ]
    assert name_metric_with_unit("hd95", scan) == "hd95"


@pytest.mark.parametrize(
    ("unit", "physical", "told"), [("mm", True, True), ("px", False, True), ("mm", False, False)]
)
def test_a_picture_without_a_scale_has_no_distance_in_mm(
    monkeypatch: pytest.MonkeyPatch, unit: str, physical: bool, told: bool
) -> None:
    mask = np.zeros((8, 9), np.uint8)
    mask[2:5, 2:5] = 1
    volume = Volume(mask[None], Grid((8, 9), RASTER_AFFINE, physical))
    truth = VoxelTruth(mask, np.array([True]), None)
    monkeypatch.setattr(answer_collector, "read_voxel_truth", lambda *_: truth)
    cohort = SimpleNamespace(header=SimpleNamespace(tasks={"lesion": SPEC}))
    task = replace(TASK, unit=unit)
    found = answer_collector.measure_voxel_case(cohort, SimpleNamespace(), task, volume)  # type: ignore[arg-type]
    assert found is not None
    assert found["dice"] == 1
    assert all(
        np.isfinite(found[m]) == told
        for m in ("hd95.lesion", "surface_dice", "volume_error", "volume.lesion")
    )
    assert np.isfinite(answer_collector.measure_mask_volumes(task, volume)["lesion"]) == told
    if not told:
        answers = PartAnswers({"a": ""}, {}, {"lesion": CaseMetrics((("a", ""),), (found,))}, {}, {})
        assert "no image here says how large a pixel is" in explain_undefined_metric(task, "hd95", answers)
