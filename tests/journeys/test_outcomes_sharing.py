"""What sharing gains is reported with its interval, whatever it is."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
ROOT = Path(__file__).parents[2]


def test_the_gain_of_interacting_tasks_is_reported_with_intervals() -> None:
    words = [
        "--subjects",
        "96",
        "--size",
        "24",
        "--steps",
        "40",
        "--arms",
        "interacted",
        "--threads",
        "1",
        "--json",
    ]
    done = subprocess.run(
        [sys.executable, str(ROOT / "benchmarks/sharing_gains.py"), *words],
        capture_output=True,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)["interacted"]
    assert set(found["tasks"]) == {"lesion", "grade", "diameter"}
    for one in [*(t["difference"] for t in found["tasks"].values()), found["mean_skill"]]:
        assert all(math.isfinite(one[k]) for k in ("estimate", "low", "high"))
        assert one["low"] <= one["estimate"] <= one["high"]
        assert one["n"] > 0
