from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from polytask.errors import PolytaskError
from polytask.evaluation.run_costs import count_saved_parameters, measure_run_costs, read_network_logs
from polytask.training.folder import Run


def make_run(folder: Path, networks: dict[str, list[str]]) -> Run:
    for name in networks:
        (folder / "best" / name).mkdir(parents=True, exist_ok=True)
        weights = {"a": np.zeros((3, 4), np.float32), "b": np.zeros(5, np.float32)}
        save_file(weights, folder / "best" / name / "model.safetensors")
    return Run(folder, {"networks": networks})


def write_log(folder: Path, lines: list[dict[str, object]], rest: str = "") -> None:
    (folder / "metrics.jsonl").write_text("".join(json.dumps(x) + "\n" for x in lines) + rest)


def test_costs_of_a_joint_run(tmp_path: Path) -> None:
    run = make_run(tmp_path, {"": ["a", "b"]})
    write_log(
        tmp_path,
        [
            {"step": 10, "loss": {"a": 1.0}, "seconds_per_step": 1.0},
            {"step": 15, "skipped": "not finite"},
            {"step": 40, "loss": {"a": 0.5}, "seconds_per_step": 2.0},
        ],
        rest='{"step": 50, "lo',
    )
    found = measure_run_costs(run)
    assert (found.parameters, found.steps) == (17, 40)
    assert found.minutes == pytest.approx((10 + 60) / 60)
    assert found.seconds_per_step == pytest.approx(70 / 40)


def test_networks_of_a_single_run_add_up(tmp_path: Path) -> None:
    run = make_run(tmp_path, {"a": ["a"], "b": ["b"]})
    lines: list[dict[str, object]] = [
        {"step": 10, "network": n, "loss": {n: 1.0}, "seconds_per_step": 0.5} for n in ("a", "b")
    ]
    write_log(tmp_path, lines)
    found = measure_run_costs(run)
    assert (found.parameters, found.steps, found.seconds_per_step) == (34, 10, 1.0)
    assert found.minutes == pytest.approx(10 / 60)
    assert list(read_network_logs(tmp_path)) == ["a", "b"]


def test_without_a_log_the_time_is_unknown(tmp_path: Path) -> None:
    found = measure_run_costs(make_run(tmp_path, {"": ["a"]}))
    assert found.steps == 0
    assert np.isnan(found.seconds_per_step)
    assert np.isnan(found.minutes)


def test_missing_weights_are_named(tmp_path: Path) -> None:
    with pytest.raises(PolytaskError, match=r"model\.safetensors: cannot be read"):
        count_saved_parameters(tmp_path / "model.safetensors")
