"""What header and plan say of a map."""

from __future__ import annotations

from typing import Any

import pytest

from polytask.kinds.kind import MissingInTrain, TrainVoxels, ValuePool
from polytask.kinds.plan_reasons import PlanReasons
from polytask.kinds.voxel_map import VoxelMapKind, VoxelMapSpec

KIND = VoxelMapKind()


class Distances(ValuePool):
    cases = 3

    def __init__(self, low: float, high: float) -> None:
        self.ends = low, high

    def quantile(self, q: float) -> float:
        low, high = self.ends
        return low + (high - low) * (0.25 if q == 0.5 else q)

    def deviation(self) -> float:
        return 3.0


def decide(values: ValuePool | None) -> tuple[dict[str, Any], PlanReasons]:
    why, spec = PlanReasons(), VoxelMapSpec.model_validate({"kind": "map", "image": "ct", "unit": "mm"})
    train = TrainVoxels([], "none", values, (1.0,), "mm", [], "cases.csv", bool)
    return KIND.decide_fields(spec, train, why), why


def test_a_map_is_centered_at_its_median_and_scaled_by_its_spread() -> None:
    fields, why = decide(Distances(-20.0, 60.0))
    # Quantiles 0.01, 0.5 and 0.99: −19.2, 0 and 59.2; half of their distance is 39.2.
    assert (fields["center"], fields["scale"], fields["deviation"]) == (0.0, 39.2, 3.0)
    assert fields["constant"] == pytest.approx(3.0 / 39.2, abs=1e-5)
    assert why.reasons["scale"].startswith(
        "half the distance of the 1st and 99th percentile of 3 training maps"
    )


def test_numbers_of_a_map_are_rounded_for_the_file() -> None:
    assert decide(Distances(-20.0, 60.0))[0]["constant"] == 0.076531, "of 0.0765306"
    # Half of 0.98 · 80.6 is 39.494; of 0.98 · 80.63 it is 39.5087.
    assert [decide(Distances(-20.0, high))[0]["scale"] for high in (60.6, 60.63)] == [39.49, 39.51]


def test_a_map_of_one_value_is_not_scaled_and_no_map_is_refused() -> None:
    assert decide(Distances(5.0, 5.0))[0]["scale"] == 1.0
    assert decide(Distances(0.0, 1.0))[0]["scale"] == 0.49
    with pytest.raises(MissingInTrain, match="no map is known"):
        decide(None)
