"""Tables of what is promised about masks, doses and maps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from rich.table import Table

    from polytask.trust.fit_runs import RunsTrust
    from polytask.trust.fit_task import Spread
    from polytask.trust.voxels.field_trust import FieldTrust
    from polytask.trust.voxels.structure_trust import StructureCheck, StructureTrust


def list_voxel_tables(fitted: RunsTrust) -> list[Table]:
    """List the tables that have rows: wider masks, sizes and absence, and intervals of doses and maps."""
    structures = [
        (f"{name} {structure}", members)
        for name, own in fitted.voxels.items()
        for structure, members in own.structures.items()
    ]
    fields = [(name, own.unit, own.fields) for name, own in fitted.voxels.items() if own.fields]
    tables = [make_mask_table(structures, fitted.level), make_size_table(structures, fitted.level)]
    return (tables if structures else []) + ([make_field_table(fields, fitted.level)] if fields else [])


def make_mask_table(structures: Sequence[tuple[str, Sequence[StructureTrust]]], level: float) -> Table:
    """Make a table of how much of each structure lies inside the plain and the wider masks, and what they add."""
    shown = _make_table(f"wider masks that shall hold {level:.0%} of a structure")
    for column in ("n", "plain", "on average", "added", f"in {level:.0%} of patients", "added"):
        shown.add_column(column, justify="right")
    for name, members in structures:
        _add_row(
            shown,
            name,
            " + ".join(str(m.present) for m in members),
            _average(members, lambda c: c.inside[0], "present", 0),
            _average(members, lambda c: c.inside[1], "present"),
            _average(members, lambda c: c.added[0], "present", 0, "+"),
            _average(members, lambda c: c.patients[2], "present"),
            _average(members, lambda c: c.added[1], "present", 0, "+"),
        )
    return shown


def make_size_table(structures: Sequence[tuple[str, Sequence[StructureTrust]]], level: float) -> Table:
    """Make a table of the intervals of sizes, and of how well absence is told."""
    shown = _make_table(f"sizes held in {level:.0%}, and structures that are absent (p ≤ {1 - level:.2g})")
    for column in ("n", "held", "within a factor", "n absent", "false alarms", "seen"):
        shown.add_column(column, justify="right")
    for name, members in structures:
        sizes = " + ".join(str(sum(map(len, m.volumes.values()))) for m in members)
        factor = _average(members, lambda c: c.factor, "present", None)
        held = _average(members, lambda c: c.volumes, "present")
        absent = " + ".join(str(len(m.absent)) for m in members)
        alarms = _average(members, lambda c: c.false_alarms, "absent")
        seen = _average(members, lambda c: c.seen, "present", 0)
        _add_row(shown, name, sizes, held, factor, absent, alarms, seen)
    return shown


def make_field_table(fields: Sequence[tuple[str, str, Sequence[FieldTrust]]], level: float) -> Table:
    """Make a table of the intervals that hold most voxels in most patients."""
    shown = _make_table(f"{level:.0%} of the voxels held in {level:.0%} of patients")
    for column in ("n", "held", "reach"):
        shown.add_column(column, justify="right")
    for name, unit, members in fields:
        checks = [m.check for m in members if m.check is not None]
        held = " · ".join(format_spread(c.patients) for c in checks) or "not checked"
        reach = " · ".join(
            f"± {c.reach.mean:.3g} {unit}".strip() for c in checks if np.isfinite(c.reach.mean)
        )
        _add_row(shown, name, " + ".join(str(len(m.scores)) for m in members), held, reach or "–")
    return shown


def format_spread(spread: Spread, digits: int | None = 1, sign: str = "") -> str:
    """Format a share as per cent: with its standard deviation (1), without it (0), or None: a factor."""
    if not np.isfinite(spread.mean):
        return "–"
    if digits is None:
        return f"{spread.mean:.2f}"
    return f"{sign}{spread.mean:.0%}" + (f" ± {spread.sd:.0%}" if digits else "")


def _average(
    members: Sequence[StructureTrust],
    figure: Callable[[StructureCheck], Spread],
    weight: str,
    digits: int | None = 1,
    sign: str = "",
) -> str:
    from polytask.trust.fit_runs import average_spreads

    checks = [m.check for m in members if m.check is not None]
    told = [(figure(c), float(getattr(c, weight))) for c in checks]
    told = [(spread, n) for spread, n in told if np.isfinite(spread.mean) and n]
    if not told:
        return "–" if checks else "not checked"
    return format_spread(average_spreads([s for s, _ in told], [n for _, n in told]), digits, sign)


def _make_table(title: str) -> Table:
    from rich.box import SIMPLE
    from rich.table import Table
    from rich.text import Text

    shown = Table(title=Text(title), box=SIMPLE, padding=(0, 1, 0, 0))
    shown.add_column("task")
    return shown


def _add_row(shown: Table, name: str, *cells: str) -> None:
    from rich.text import Text

    shown.add_row(Text(name), *cells)
