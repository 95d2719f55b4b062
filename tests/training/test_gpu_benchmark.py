"""`benchmarks/gpu.py` on a CPU: what exists is measured, and what does not is named."""

from __future__ import annotations

import importlib
import json
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def test_levers_of_a_gpu_are_named_as_absent_and_others_are_measured(
    work: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.syspath_prepend(BENCHMARKS)
    gpu = importlib.import_module("gpu")
    tiny = ["--device", "cpu", "--work", str(work), "--steps", "1", "--rounds", "1"]
    gpu.main([*tiny, "--levers", "copies,channels_last,fused,no_sync,bf16,all", "--json"])
    content = json.loads(capsys.readouterr().out)
    rows = {row["lever"]: row for row in content["levers"]}
    absent = [name for name, row in rows.items() if row.get("result") == "not on this device"]
    assert absent == ["copies", "channels_last", "fused", "no_sync", "all"]
    assert rows["bf16"]["gain"] == pytest.approx(
        rows["bf16"]["steps_per_second"] / rows["bf16"]["baseline_steps_per_second"]
    )
    assert set(content["sides"]) == {"base none", "bf16"}
    assert all(speed > 0 for speed in content["images_per_second"].values())
    assert gpu.format_lever(rows["copies"]) == "copies: not on this device"
    late = gpu.make_lever_document("bf16", gpu.choose_device("cpu"), {})
    assert late["result"] == "not measured, because the time was over"
    with pytest.raises(SystemExit):
        gpu.main([*tiny, "--levers", "magic"])
