"""The predicted memory of `bench models` against the measured one."""

from __future__ import annotations

import pytest

from polytask.cli.cost_prediction import predict_cost_memory
from polytask.cli.cost_table import format_cost_table, make_cost_document
from polytask.model.cost_setting import CostSetting
from polytask.model.sharing import SHARINGS
from polytask.model.sharing_costs import measure_sharing_costs


@pytest.mark.parametrize(
    ("mix", "dims", "precision"), [("one-voxel", 3, "bf16"), ("all-voxel", 2, "float32")]
)
def test_the_prediction_beside_each_block_is_close_to_what_it_keeps(
    mix: str, dims: int, precision: str
) -> None:
    setting = CostSetting(
        mix, 2, 24 if dims == 3 else 64, dims, batch=1, widths=(16, 32, 64), precision=precision
    )
    costs = measure_sharing_costs(setting, list(SHARINGS), rounds=0)
    ratios = {(c.sharing, c.form): predict_cost_memory(setting, c.sharing, c.form) / c.memory for c in costs}
    assert all(0.94 <= ratio <= 1.06 for ratio in ratios.values()), ratios
    rows = make_cost_document(setting, costs)["costs"]
    assert [row["predicted_to_memory"] for row in rows] == pytest.approx(list(ratios.values()))
    head, first, *_ = format_cost_table(setting, costs).splitlines()
    assert "predicted MB  ÷ memory" in head
    assert f"{ratios['hard', 'light']:.2f}" in first


def test_on_a_gpu_the_prediction_has_what_exists_for_a_moment_and_a_margin() -> None:
    plain, device = (CostSetting(size=32, device=name) for name in ("cpu", "cuda:0"))
    ratio = predict_cost_memory(device, "hard", "light") / predict_cost_memory(plain, "hard", "light")
    assert 1.1 < ratio < 1.6
