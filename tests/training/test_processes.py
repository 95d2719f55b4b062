"""Two processes train the model that one process trains."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from polytask.training.run import train

SAME = ["training.epochs=2", "training.batch=4", "model.dropout=0", "model.source_dropout=0"]


@pytest.mark.slow
def test_two_processes_of_the_command_equal_one(work: Path) -> None:
    """Four steps of the verb; `test_balanced_training.py` does the same with the function, under several rules."""
    train(work, name="one", overrides=SAME)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command += ["-m", "polytask", "train", str(work), "--name", "two", "--device", "cpu"]
    for change in SAME:
        command += ["--set", change]
    done = subprocess.run(
        command, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True, timeout=240
    )
    assert done.returncode == 0, done.stderr[-3000:]
    one, two = (load_file(work / "runs" / n / "last" / "model.safetensors") for n in ("one", "two"))
    for key in one:
        torch.testing.assert_close(one[key], two[key], rtol=2e-3, atol=2e-4, msg=lambda m, k=key: f"{k}: {m}")
