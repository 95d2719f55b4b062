"""What a run cost: parameters, steps, time."""

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
from polytask.training.log import is_log_entry

Entry = Mapping[str, Any]


@dataclass(frozen=True)
class Costs:
    """Costs of one run.

    Args:
        parameters: of all its networks together.
        steps: of the longest network.
        seconds_per_step: a step of every network; NaN when nothing was logged.
        minutes: of training steps, without the evaluations on tune.
    """

    parameters: int
    steps: int
    seconds_per_step: float
    minutes: float


def read_log(run: Path) -> dict[str, list[Entry]]:
    """`metrics.jsonl` by network ("" for a joint one), in the order of the steps."""
    found: dict[str, list[Entry]] = {}
    for _, entry in read_json_lines(run / "metrics.jsonl", "the log of a run"):
        if entry is not None and is_log_entry(entry):  # else the line a killed run was writing
            found.setdefault(entry.get("network", ""), []).append(entry)
    return found


def epochs(entries: Sequence[Entry]) -> list[Entry]:
    """The entries that close an epoch."""
    return [e for e in entries if "loss" in e]


def costs(run: Run) -> Costs:
    """From the run's weights and log."""
    steps, per_step, seconds = 0, 0.0, 0.0
    logs = {n: epochs(e) for n, e in read_log(run.folder).items()}
    for entries in logs.values():
        before, mine = 0, 0.0
        for entry in entries:
            mine += float(entry.get("seconds_per_step") or 0.0) * (int(entry["step"]) - before)
            before = int(entry["step"])
        steps, seconds = max(steps, before), seconds + mine
        per_step += mine / before if before else 0.0
    known = any(logs.values())
    return Costs(
        parameters=sum(parameters(run.best_saved(n) / "model.safetensors") for n in run.networks),
        steps=steps,
        seconds_per_step=per_step if known else float("nan"),
        minutes=seconds / 60 if known else float("nan"),
    )


def parameters(path: Path) -> int:
    """Numbers in a file of weights, from its header alone."""
    try:
        with safe_open(path, framework="numpy") as file:
            return sum(prod(file.get_slice(k).get_shape()) for k in file.keys())  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise PolytaskError(f"{path}: cannot be read ({error}); train the run first") from None
