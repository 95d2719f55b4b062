"""The predicted memory of a step against the bytes of the tensors that autograd really keeps."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.mark.parametrize("number", range(8))
def test_the_prediction_is_within_a_tenth_of_the_saved_tensors(
    number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(BENCHMARKS)
    models = importlib.import_module("models")
    predicted, measured = models.compare_memory(models.SETTINGS[number], "cpu")
    assert 0.9 <= predicted / measured <= 1.1


def test_a_batch_and_a_margin_enter_the_prediction(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(BENCHMARKS)
    models = importlib.import_module("models")
    from polytask.plan.plan_settings import set_value
    from polytask.plan.step_memory import predict_step_memory

    plan, header = models.make_setting_plan(models.SETTINGS[0])
    small, large = (
        predict_step_memory(set_value(plan, f"training.batch={n}"), header, "cuda") for n in (2, 6)
    )
    assert large.kept == 3 * small.kept
    assert large.peak > 1.1 * large.kept


def test_without_a_gpu_the_benchmark_measures_nothing() -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    ran = subprocess.run(
        [sys.executable, str(BENCHMARKS / "models.py"), "--device", "cuda"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 2
    assert ran.stdout == "this machine has no CUDA device: nothing was measured\n"
