"""The table of `polytask bench models`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from polytask.model.cost_setting import Setting
    from polytask.model.costs import Cost

COLUMNS = (
    *("sharing", "params M", "GFLOP", "memory MB", "time s"),
    *("memory ÷ hard", "÷ singles", "time ÷ hard", "÷ singles"),
)
LEGEND = (
    "single is the sum of a network for every task. time: forward and backward, median over rounds, with quartiles;",
    "memory: kept for the backward pass; GFLOP: of the forward pass.",
)


def head(setting: Setting, rounds: int, clock: str) -> str:
    """What holds for all tables of one command."""
    import torch

    machine = f"{setting.device}, {setting.precision}, {torch.get_num_threads()} threads"
    images = f"{setting.dims}D images of edge {setting.size}, batch {setting.batch}, {setting.levels} levels"
    return "\n".join([f"{machine}; {images}; {rounds} rounds, {clock} clock", *LEGEND, ""])


def title(setting: Setting) -> str:
    """The mix in words."""
    n = setting.tasks
    if setting.mix == "all-voxel":
        return f"{n} voxel task{'s' if n > 1 else ''}"
    return "1 voxel task" + (f" and {n - 1} pooled" if n > 1 else "")


def table(costs: Sequence[Cost]) -> str:
    """One line per sharing; the first two costs are those of `hard` and of the single networks."""
    rows = [COLUMNS, *(_row(cost, costs[0], costs[1]) for cost in costs)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(COLUMNS))]
    return "\n".join(
        "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]).rstrip() for row in rows
    )


def as_dict(setting: Setting, costs: Sequence[Cost]) -> dict[str, Any]:
    """For JSON: the setting, and per sharing figures and ratios."""
    hard, singles = costs[:2]
    rows = []
    for cost in costs:
        row = {
            **vars(cost),
            "memory_to_hard": cost.memory / hard.memory,
            "flops_to_hard": cost.flops / hard.flops,
        }
        row |= {
            "memory_to_single": cost.memory / singles.memory,
            "flops_to_single": cost.flops / singles.flops,
        }
        if cost.seconds:
            names = ("median", "lower_quartile", "upper_quartile")
            row["time_to_hard"] = dict(zip(names, cost.time_against(hard), strict=True))
            row["time_to_single"] = dict(zip(names, cost.time_against(singles), strict=True))
        rows.append(row)
    import torch

    threads = torch.get_num_threads() if setting.device == "cpu" else None
    return {**vars(setting), "levels": setting.levels, "threads": threads, "costs": rows}


def _row(cost: Cost, hard: Cost, singles: Cost) -> tuple[str, ...]:
    name = cost.sharing if cost.form == "light" else f"{cost.sharing}, {cost.form} form"
    figures = (f"{cost.parameters / 1e6:.2f}", _few(cost.flops / 1e9), _few(cost.memory / 1e6))
    memory = (f"{cost.memory / hard.memory:.2f}", f"{cost.memory / singles.memory:.2f}")
    if not cost.seconds:
        return (name, *figures, "", *memory, "", "")
    middle = sorted(cost.seconds)[len(cost.seconds) // 2]
    return (name, *figures, f"{middle:.3f}", *memory, _spread(cost, hard), _spread(cost, singles))


def _spread(cost: Cost, other: Cost) -> str:
    """1.42 (1.38–1.45)"""
    middle, low, high = cost.time_against(other)
    return "1" if cost is other else f"{middle:.2f} ({low:.2f}–{high:.2f})"


def _few(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"
