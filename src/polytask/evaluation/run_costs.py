"""The costs of a run: its parameters, steps and time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from polytask.documents.json_reader import read_json_lines
from polytask.errors import PolytaskError
from polytask.training.folder import Run
from polytask.training.run_log import is_log_entry

RunLogEntry = Mapping[str, Any]


@dataclass(frozen=True)
class RunCosts:
    """The costs of one run, over all its networks.

    Args:
        parameters: number of parameters of all networks together.
        steps: steps of the network that was trained longest.
        seconds_per_step: time of one step of every network; NaN when nothing was logged.
        minutes: time of all training steps, without the evaluations on tune; NaN when nothing was logged.
    """

    parameters: int
    steps: int
    seconds_per_step: float
    minutes: float


def read_network_logs(run: Path) -> dict[str, list[RunLogEntry]]:
    """Read `metrics.jsonl`: network ("" for a joint one) → its entries in the order of the steps."""
    logs: dict[str, list[RunLogEntry]] = {}
    for _, entry in read_json_lines(run / "metrics.jsonl", "the log of a run"):
        if entry is not None and is_log_entry(entry):  # else the line a killed run was writing
            logs.setdefault(entry.get("network", ""), []).append(entry)
    return logs


def list_epoch_entries(entries: Sequence[RunLogEntry]) -> list[RunLogEntry]:
    """List the entries that close an epoch: those with a mean loss."""
    return [e for e in entries if "loss" in e]


def measure_run_costs(run: Run) -> RunCosts:
    """Measure the costs of a run from its weights and its log."""
    steps, per_step, seconds = 0, 0.0, 0.0
    logs = {n: list_epoch_entries(e) for n, e in read_network_logs(run.folder).items()}
    for entries in logs.values():
        before, network_seconds = 0, 0.0
        for entry in entries:
            # `seconds_per_step` is the mean of one epoch, so it is multiplied by the steps since the entry before.
            network_seconds += float(entry.get("seconds_per_step") or 0.0) * (int(entry["step"]) - before)
            before = int(entry["step"])
        steps, seconds = max(steps, before), seconds + network_seconds
        per_step += network_seconds / before if before else 0.0
    known = any(logs.values())
    return RunCosts(
        parameters=sum(
            count_saved_parameters(run.find_best_checkpoint(n) / "model.safetensors") for n in run.networks
        ),
        steps=steps,
        seconds_per_step=per_step if known else float("nan"),
        minutes=seconds / 60 if known else float("nan"),
    )


def count_saved_parameters(path: Path) -> int:
    """Count the numbers in a file of weights by its header alone, without reading the weights."""
    try:
        with safe_open(path, framework="numpy") as file:
            return sum(prod(file.get_slice(k).get_shape()) for k in file.keys())  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise PolytaskError(f"{path}: cannot be read ({error}); train the run first") from None
