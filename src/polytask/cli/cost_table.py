"""The table of `polytask bench models`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from polytask.cli.cost_prediction import predict_cost_memory
from polytask.model.sharing_names import name_block_form

if TYPE_CHECKING:
    from polytask.model.cost_setting import CostSetting
    from polytask.model.sharing_costs import SharingCost

COST_COLUMNS = (
    "sharing",
    *(c for q in ("params M", "GFLOP", "memory MB") for c in (q, "÷ hard", "÷ singles")),
    "predicted MB",
    "÷ memory",
    *("time s", "÷ hard", "÷ singles"),
)
UNIT_BY_QUANTITY = {"parameters": 1e6, "flops": 1e9, "memory": 1e6}
"""Counted quantity → the unit in which it is shown; also the order of the columns."""
COST_LEGEND = (
    "single is the sum of a network for every task. GFLOP: of the forward pass; memory: kept for the backward pass, on",
    "CUDA the peak of a step; predicted: what a plan counts before anything is built, on CUDA with its margin;",
    "time: forward and backward, median over rounds, with quartiles.",
)


def format_cost_header(setting: CostSetting, rounds: int, clock: str) -> str:
    """Format the lines above the tables: machine, image size and legend, the same for all tables of one command."""
    import torch

    machine = f"{setting.device}, {setting.precision}, {torch.get_num_threads()} threads"
    images = f"{setting.dims}D images of edge {setting.size}, batch {setting.batch}, {setting.levels} levels"
    images += "" if setting.encoder == "residual" else f", encoder {setting.encoder}"
    return "\n".join([f"{machine}; {images}; {rounds} rounds, {clock} clock", *COST_LEGEND, ""])


def describe_task_mix(setting: CostSetting) -> str:
    """Say in words which mix of tasks a table is about."""
    n = setting.tasks
    if setting.mix == "all-voxel":
        return f"{n} voxel task{'s' if n > 1 else ''}"
    return "1 voxel task" + (f" and {n - 1} pooled" if n > 1 else "")


def format_cost_table(setting: CostSetting, costs: Sequence[SharingCost]) -> str:
    """Format one line per sharing.

    Args:
        setting: what was measured.
        costs: the first two are those of `hard` and of the single networks, with which all are compared.
    """
    rows = [COST_COLUMNS, *(_format_cost_row(setting, cost, costs[0], costs[1]) for cost in costs)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(COST_COLUMNS))]
    return "\n".join(
        "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]).rstrip() for row in rows
    )


def make_cost_document(setting: CostSetting, costs: Sequence[SharingCost]) -> dict[str, Any]:
    """Make the JSON document: the setting, and for each sharing its figures and their ratios to `hard` and `single`."""
    hard, singles = costs[:2]
    rows = []
    for cost in costs:
        row = dict(vars(cost))
        predicted = predict_cost_memory(setting, cost.sharing, cost.form)
        row |= {"predicted_memory": round(predicted), "predicted_to_memory": predicted / cost.memory}
        for what in UNIT_BY_QUANTITY:
            row |= {
                f"{what}_to_{n}": _compute_cost_ratio(cost, other, what)
                for n, other in (("hard", hard), ("single", singles))
            }
        if cost.seconds:
            names = ("median", "lower_quartile", "upper_quartile")
            row["time_to_hard"] = dict(zip(names, cost.compare_time(hard), strict=True))
            row["time_to_single"] = dict(zip(names, cost.compare_time(singles), strict=True))
        rows.append(row)
    import torch

    # Threads of the processor say nothing about the time on a GPU.
    threads = torch.get_num_threads() if setting.device == "cpu" else None
    return {**vars(setting), "levels": setting.levels, "threads": threads, "costs": rows}


def _format_cost_row(
    setting: CostSetting, cost: SharingCost, hard: SharingCost, singles: SharingCost
) -> tuple[str, ...]:
    cells = [name_block_form(cost.sharing, cost.form)]
    for what, unit in UNIT_BY_QUANTITY.items():
        cells += [
            _format_three_digits(getattr(cost, what) / unit),
            *(f"{_compute_cost_ratio(cost, other, what):.2f}" for other in (hard, singles)),
        ]
    predicted = predict_cost_memory(setting, cost.sharing, cost.form)
    cells += [
        _format_three_digits(predicted / UNIT_BY_QUANTITY["memory"]),
        f"{predicted / cost.memory:.2f}",
    ]
    if not cost.seconds:
        return (*cells, "", "", "")
    # With an even number of rounds this is the upper of the two middle times.
    middle = sorted(cost.seconds)[len(cost.seconds) // 2]
    return (*cells, f"{middle:.3f}", _format_time_ratio(cost, hard), _format_time_ratio(cost, singles))


def _compute_cost_ratio(cost: SharingCost, other: SharingCost, what: str) -> float:
    return float(getattr(cost, what) / getattr(other, what))


def _format_time_ratio(cost: SharingCost, other: SharingCost) -> str:
    """Format the ratio of two times with its quartiles over rounds, e.g. `1.42 (1.38–1.45)`."""
    middle, low, high = cost.compare_time(other)
    return "1" if cost is other else f"{middle:.2f} ({low:.2f}–{high:.2f})"


def _format_three_digits(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"
