"""What header and plan say of a dose."""

from __future__ import annotations

from typing import Any

import pytest

from polytask.kinds.dose import DoseKind, DoseSpec
from polytask.kinds.kind import MissingInTrain, TrainVoxels, ValuePool
from polytask.kinds.plan_reasons import PlanReasons
from polytask.kinds.segmentation import SegmentationSpec

KIND = DoseKind()


class Doses(ValuePool):
    cases = 3

    def __init__(self, high: float, deviation: float = 15.0) -> None:
        self.high, self.mean_error = high, deviation

    def quantile(self, q: float) -> float:
        return {0.5: 12.3456789, 0.99: self.high}[q]

    def deviation(self) -> float:
        return self.mean_error


def make_spec(**says: Any) -> DoseSpec:
    return DoseSpec.model_validate({"kind": "dose", "image": "ct", "unit": "Gy", **says})


def decide(doses: ValuePool | None) -> tuple[dict[str, Any], PlanReasons]:
    why = PlanReasons()
    train = TrainVoxels([], "none", doses, (1.0,), "mm", ["cord"], "cases.csv", bool)
    return KIND.decide_fields(make_spec(), train, why), why


def test_a_dose_is_scaled_by_its_99th_percentile() -> None:
    fields, why = decide(Doses(60.0))
    assert fields == {
        "kind": "dose",
        "level": "voxel",
        "unit": "Gy",
        "scale": 60.0,
        "structures": ["cord"],
        "dvh": 0.0,
        "deviation": 15.0,
        "median": 12.346,
        "spread": "none",
        "constant": 0.25,
    }
    assert why.reasons["scale"].startswith("99th percentile of 3 training doses")


def test_doses_of_nothing_are_not_scaled_and_no_dose_is_refused() -> None:
    assert decide(Doses(0.0))[0]["scale"] == 1.0
    assert decide(Doses(0.5))[0]["scale"] == 0.5
    assert decide(Doses(60.0, deviation=15.123456))[0]["deviation"] == 15.123
    with pytest.raises(MissingInTrain):
        decide(None)


def test_the_constant_counts_the_histograms_too() -> None:
    fields = {"deviation": 4.0, "scale": 2.0, "dvh": 0.5}
    assert KIND.find_constant(fields) == 3.0


def test_structures_are_those_of_a_segmentation_of_the_same_image() -> None:
    def find(structures: str | None, image: str = "ct") -> list[str]:
        masks = {"kind": "segmentation", "image": image, "structures": ["liver"]}
        others = {"organs": SegmentationSpec.model_validate(masks), "other": make_spec()}
        return [text for _, text in KIND.list_breaches(make_spec(structures=structures), others, [])]

    assert find(None) == []
    assert find("organs") == []
    assert "not a segmentation task" in find("other")[0]
    assert "not a segmentation task" in find("organ")[0]
    assert "drawn on another image" in find("organs", image="mr")[0]
