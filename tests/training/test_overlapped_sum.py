"""Gradients that are summed while the backward pass runs are those of one message after it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch.nn import Parameter

from polytask.training.distributed import World
from polytask.training.overlapped_sum import BUCKET_BYTES, OverlappedSum, divide_into_buckets
from polytask.training.rehearsal import load_rehearsal
from polytask.training.step import take_step

PROCESS = Path(__file__).with_name("overlapped_process.py")
CPU = torch.device("cpu")


def test_buckets_hold_all_parameters_from_the_last_to_the_first() -> None:
    parameters = [Parameter(torch.zeros(n)) for n in (3, 1, 10, 2, 2)]
    buckets = divide_into_buckets(parameters, 4 * 4)
    assert [[p.numel() for p in bucket] for bucket in buckets] == [[2, 2], [10], [1, 3]]
    assert divide_into_buckets([], 100) == []
    # 24 MB of gradients are one message, 28 MB two.
    large = [Parameter(torch.empty(2**20, device="meta")) for _ in range(7)]
    assert [len(bucket) for bucket in divide_into_buckets(large[:6], BUCKET_BYTES)] == [6]
    assert [len(bucket) for bucket in divide_into_buckets(large, BUCKET_BYTES)] == [6, 1]


def test_two_processes_with_different_tasks_get_the_same_bits_either_way(tmp_path: Path) -> None:
    """Tasks that one process lacks, and one that all lack, change neither the sums nor the order of the messages."""
    command = [sys.executable, str(PROCESS)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    processes = [
        subprocess.Popen(
            [*command, str(rank), str(tmp_path / "meeting")],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    answers = [process.communicate(timeout=120) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], answers[0][1] + answers[1][1]
    # The last head is absent: nothing may be sent before the end, because its bucket comes first.
    assert [out.split()[1:] for out, _ in answers] == [["0", "0", "0"]] * 2


class EchoSum:
    """Stands for the message to the other process, which is assumed to have found the same."""

    def __init__(self, message: torch.Tensor):
        self.message = message

    def wait(self) -> None:
        """Add the other process's message."""
        self.message *= 2


def test_buckets_are_sent_while_the_backward_pass_still_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    early: list[int] = []
    monkeypatch.setattr(
        "polytask.training.overlapped_sum.dist.all_reduce", lambda message, async_op: EchoSum(message)
    )
    layers = torch.nn.Sequential(*[torch.nn.Linear(4, 4, bias=False) for _ in range(5)])
    parameters = list(layers.parameters())
    overlapped = OverlappedSum(World(0, 2, CPU), parameters, 4 * 16)
    # What was sent when the gradient of the first layer arrives, which comes last.
    parameters[0].register_hook(lambda g: early.append(len(overlapped.sent)))
    layers(torch.ones(1, 4)).sum().backward()
    assert early == [4]
    plain = [p.grad.clone() for p in parameters if p.grad is not None]
    overlapped.finish()
    assert all(
        torch.equal(p.grad, 2 * g) for p, g in zip(parameters, plain, strict=True) if p.grad is not None
    )


@pytest.mark.parametrize(("rule", "overlapped"), [("equal", [True, True]), ("upgrad", [False, False])])
def test_only_steps_with_one_backward_pass_overlap(
    work: Path, monkeypatch: pytest.MonkeyPatch, rule: str, overlapped: list[bool]
) -> None:
    """In the last micro-batch alone, and never where a rule reads gradients per task."""
    changes = [f"training.balance.rule={rule}", "training.balance.log_every=0"]
    rehearsal = load_rehearsal(work, changes=changes, device="cpu")
    monkeypatch.setattr(
        "polytask.training.overlapped_sum.dist.all_reduce", lambda message, async_op: EchoSum(message)
    )
    made: list[int] = []

    class Alone(World):
        """A world of two processes, of which the other one says nothing."""

        def total(self, tensor: torch.Tensor) -> torch.Tensor:
            return tensor.clone()

        def add_gradients(self, parameters: object) -> None:
            made.append(0)

    world = Alone(0, 2, CPU)
    monkeypatch.setattr(
        "polytask.training.step.OverlappedSum",
        lambda *of: made.append(1) or OverlappedSum(*of),
    )
    settings = rehearsal.context.plan.shared.training
    rehearsal.state.network.train()
    for batch in rehearsal.batches(2):
        take_step(rehearsal.state, [batch, batch], world, 1e-6, settings.precision, settings.clip)
    assert [bool(n) for n in made] == overlapped
