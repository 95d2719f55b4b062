"""Killed at any moment, a run goes on to the same weights, bit for bit."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from polytask.errors import PolytaskError
from polytask.training.run import train

ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}


def start(work: Path, *options: str) -> subprocess.Popen[str]:
    """The real command, in a process of its own."""
    command = [sys.executable, "-m", "polytask", "train", str(work), *options]
    return subprocess.Popen(
        command, env=ENVIRONMENT, text=True, stderr=subprocess.PIPE, stdout=subprocess.PIPE
    )


def wait_for_step(work: Path, name: str, process: subprocess.Popen[str], step: int) -> None:
    """Until the log has an entry of at least this step."""
    log = work / "runs" / name / "metrics.jsonl"
    for _ in range(1200):
        if log.exists() and any(json.loads(line)["step"] >= step for line in log.read_text().splitlines()):
            return
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.05)
    raise AssertionError("the run did not get anywhere")


def weights(work: Path, name: str) -> dict[str, bytes]:
    """Bytes of every weight file of a run."""
    run = work / "runs" / name
    return {str(p.relative_to(run)): p.read_bytes() for p in sorted(run.rglob("*.safetensors"))}


def entries(work: Path, name: str) -> list[dict[str, Any]]:
    """The log without its clock."""
    lines = (work / "runs" / name / "metrics.jsonl").read_text().splitlines()
    return [{k: v for k, v in json.loads(line).items() if k != "seconds_per_step"} for line in lines]


@pytest.mark.parametrize(("first", "then"), [pytest.param("0", "2", marks=pytest.mark.slow), ("2", "0")])
def test_kill_nine_and_resume_gives_the_same_bits(work: Path, first: str, then: str) -> None:
    train(work, name="whole", workers=0)
    process = start(work, "--name", "cut", "--workers", first)
    wait_for_step(work, "cut", process, 4)
    process.kill()
    process.communicate()
    train(work, resume="cut", workers=int(then))
    assert weights(work, "whole") == weights(work, "cut")
    assert entries(work, "whole") == entries(work, "cut")


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_saves_at_once_and_says_how_to_go_on(work: Path, number: signal.Signals) -> None:
    train(work, name="whole", overrides=["training.epochs=12"])
    process = start(work, "--name", "cut", "--set", "training.epochs=12")
    wait_for_step(work, "cut", process, 4)
    process.send_signal(number)
    _, errors = process.communicate()
    assert process.returncode == 128 + number, errors
    assert "--resume cut" in errors
    assert "Traceback" not in errors
    train(work, resume="cut")
    assert weights(work, "whole") == weights(work, "cut")
    assert entries(work, "whole") == entries(work, "cut")


def test_resuming_single_goes_on_with_the_next_network(work: Path) -> None:
    names = ["grade", "diameter"]
    train(work, name="whole", sharing="single", tasks=names)
    process = start(work, "--name", "cut", "--sharing", "single", "--tasks", ",".join(names))
    wait_for_step(work, "cut", process, 8)
    process.kill()
    process.communicate()
    train(work, resume="cut")
    assert weights(work, "whole") == weights(work, "cut")
    assert {p.name for p in (work / "runs" / "cut" / "best").iterdir()} == set(names)


def test_a_crash_between_the_two_renames_is_survived(work: Path) -> None:
    train(work, name="whole")
    train(work, name="cut", overrides=["training.epochs=4"])
    last = work / "runs" / "cut" / "last"
    last.rename(last.with_name("last.old"))
    train(work, resume="cut", extend=1)
    train(work, resume="whole", extend=1)
    assert weights(work, "whole") == weights(work, "cut")


def test_another_plan_is_refused(work: Path) -> None:
    train(work, name="a", overrides=["training.epochs=1"])
    plan = work / "runs" / "a" / "plan.yaml"
    plan.write_text(plan.read_text().replace("embedding: 16", "embedding: 32"))
    with pytest.raises(PolytaskError, match="checkpoint is of another plan"):
        train(work, resume="a")


def test_changed_weights_are_refused(work: Path) -> None:
    train(work, name="a", overrides=["training.epochs=1"])
    path = work / "runs" / "a" / "last" / "model.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(PolytaskError, match="hash mismatch"):
        train(work, resume="a", extend=1)
