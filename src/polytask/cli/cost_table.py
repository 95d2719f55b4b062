"""The table of `polytask bench models`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from polytask.model.cost_setting import Setting
    from polytask.model.costs import Cost

COLUMNS = (
    "sharing",
    *(c for q in ("params M", "GFLOP", "memory MB", "time s") for c in (q, "÷ hard", "÷ singles")),
)
COUNTED = {"parameters": 1e6, "flops": 1e9, "memory": 1e6}
"""Counted quantity → the unit in which it is shown; also the order of the columns."""
LEGEND = (
    "single is the sum of a network for every task. GFLOP: of the forward pass; memory: kept for the backward pass;",
    "time: forward and backward, median over rounds, with quartiles.",
)


def head(setting: Setting, rounds: int, clock: str) -> str:
    """Format the lines above the tables: machine, image size and legend, the same for all tables of one command."""
    import torch

    machine = f"{setting.device}, {setting.precision}, {torch.get_num_threads()} threads"
    images = f"{setting.dims}D images of edge {setting.size}, batch {setting.batch}, {setting.levels} levels"
    return "\n".join([f"{machine}; {images}; {rounds} rounds, {clock} clock", *LEGEND, ""])


def title(setting: Setting) -> str:
    """Say in words which mix of tasks a table is about."""
    n = setting.tasks
    if setting.mix == "all-voxel":
        return f"{n} voxel task{'s' if n > 1 else ''}"
    return "1 voxel task" + (f" and {n - 1} pooled" if n > 1 else "")


def table(costs: Sequence[Cost]) -> str:
    """Format one line per sharing.

    Args:
        costs: the first two are those of `hard` and of the single networks, with which all are compared.
    """
    rows = [COLUMNS, *(_row(cost, costs[0], costs[1]) for cost in costs)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(COLUMNS))]
    return "\n".join(
        "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]).rstrip() for row in rows
    )


def as_dict(setting: Setting, costs: Sequence[Cost]) -> dict[str, Any]:
    """Make the JSON document: the setting, and for each sharing its figures and their ratios to `hard` and `single`."""
    hard, singles = costs[:2]
    rows = []
    for cost in costs:
        row = dict(vars(cost))
        for what in COUNTED:
            row |= {
                f"{what}_to_{n}": _ratio(cost, other, what)
                for n, other in (("hard", hard), ("single", singles))
            }
        if cost.seconds:
            names = ("median", "lower_quartile", "upper_quartile")
            row["time_to_hard"] = dict(zip(names, cost.time_against(hard), strict=True))
            row["time_to_single"] = dict(zip(names, cost.time_against(singles), strict=True))
        rows.append(row)
    import torch

    # Threads of the processor say nothing about the time on a GPU.
    threads = torch.get_num_threads() if setting.device == "cpu" else None
    return {**vars(setting), "levels": setting.levels, "threads": threads, "costs": rows}


def _row(cost: Cost, hard: Cost, singles: Cost) -> tuple[str, ...]:
    cells = [cost.sharing if cost.form == "light" else f"{cost.sharing}, {cost.form} form"]
    for what, unit in COUNTED.items():
        cells += [
            _few(getattr(cost, what) / unit),
            *(f"{_ratio(cost, other, what):.2f}" for other in (hard, singles)),
        ]
    if not cost.seconds:
        return (*cells, "", "", "")
    # With an even number of rounds this is the upper of the two middle times.
    middle = sorted(cost.seconds)[len(cost.seconds) // 2]
    return (*cells, f"{middle:.3f}", _spread(cost, hard), _spread(cost, singles))


def _ratio(cost: Cost, other: Cost, what: str) -> float:
    return float(getattr(cost, what) / getattr(other, what))


def _spread(cost: Cost, other: Cost) -> str:
    """Format the ratio of two times with its quartiles over rounds, e.g. `1.42 (1.38–1.45)`."""
    middle, low, high = cost.time_against(other)
    return "1" if cost is other else f"{middle:.2f} ({low:.2f}–{high:.2f})"


def _few(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"
