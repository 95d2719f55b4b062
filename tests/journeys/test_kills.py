"""Killed at a file event, a command that is given again ends as if nothing had happened."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))
from _kill_process import CommandEnd, KillMoment, describe_folder, run_command  # noqa: E402

TRAIN = ("train", "{}/work", "--name", "k", "--tasks", "grade,os", "--set", "training.epochs=1")


def run_in_fork(root: Path, words: tuple[str, ...], strike: KillMoment | None = None) -> CommandEnd:
    """A command in a fork of this process, whose threads are not there any more."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return run_command([word.format(root) for word in words], root, strike)
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.98])
@pytest.mark.parametrize("words", [("prepare", "{}/work", "--jobs", "1"), TRAIN], ids=["prepare", "train"])
def test_killed_and_given_again(trained: Path, words: tuple[str, ...], share: float) -> None:
    root = trained.resolve()
    if words[0] == "prepare":
        shutil.rmtree(root / "work/store")
    shutil.copytree(root, root.parent / "saved")
    whole = run_in_fork(root, words)
    assert whole.code == 0, whole.said
    wanted = describe_folder(root)
    shutil.rmtree(root)
    shutil.copytree(root.parent / "saved", root)
    at = max(1, round(share * whole.events["write"]))
    assert run_in_fork(root, words, KillMoment("write", at)).code == -9
    assert describe_folder(root) != wanted
    resumes = (root / "work/runs/k").exists()
    assert run_in_fork(root, ("train", "{}/work", "--resume", "k") if resumes else words).code == 0
    assert describe_folder(root) == wanted


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_fifty_kills_over_all_verbs_end_whole() -> None:
    words = [sys.executable, str(BENCHMARKS / "kills.py"), "--count", "50", "--seed", "1"]
    done = subprocess.run(words, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    assert done.returncode == 0, done.stdout + done.stderr
    last = done.stdout.splitlines()[-1].split()
    assert last == ["all", "50", "50", "0"]
