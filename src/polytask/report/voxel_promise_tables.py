"""Tables of the section "How sure" about masks, doses and maps."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from polytask.report.metric_tables import DASH, ReportTable, TableCell, format_number
from polytask.report.report_material import ReportMaterial
from polytask.trust.fit_runs import RunsTrust, average_spreads
from polytask.trust.fit_task import Spread
from polytask.trust.voxels.structure_trust import StructureCheck, StructureTrust

Figure = Callable[[StructureCheck], Spread]


def build_voxel_tables(material: ReportMaterial, fitted: RunsTrust) -> Iterator[tuple[ReportTable, str]]:
    """Build the tables, each with a sentence on how to read it; without rows where nothing is promised."""
    masks, sizes, fields = [], [], []
    for name, own in fitted.voxels.items():
        for structure, members in own.structures.items():
            title = f"{material.names.task(name)}: {material.names.word(name, structure)}"
            masks.append((title, _list_mask_cells(members)))
            sizes.append((title, _list_size_cells(members)))
        checks = [m.check for m in own.fields if m.check is not None]
        if own.fields:
            reach = " · ".join(format_number(c.reach.mean) for c in checks if np.isfinite(c.reach.mean))
            patients = [(c.patients, c.n) for c in checks]
            n = f"n {sum(len(m.scores) for m in own.fields)}"
            fields.append(
                (
                    material.names.task(name),
                    [
                        _make_share_cell(patients, n),
                        TableCell(f"± {reach} {own.unit}".strip() if reach else DASH),
                    ],
                )
            )
    level = f"{fitted.level:.0%}"
    columns = [
        "structure",
        "inside the plain mask",
        "on average",
        "added",
        f"in {level} of patients",
        "added",
    ]
    yield (
        ReportTable(f"wider masks that shall hold {level} of a structure", columns, masks),
        "Patients who have the structure. On average: share of it inside the mask of the first promise; in so many "
        "patients: share of the patients of whom enough lies inside the mask of the second. Added: how much larger all "
        "masks together become. These are outer lines, not contours; of small or unusual ones more may be missed.",
    )
    yield (
        ReportTable(
            "sizes of structures, and whether they are absent",
            ["structure", "sizes held", "within a factor", "false alarms", "seen"],
            sizes,
        ),
        f"Sizes held: share of the true sizes between low and high. False alarms: share of the cases without the "
        f"structure whose rank says that it is there (p ≤ {1 - fitted.level:.2g}); seen: the same share of the cases "
        "with it.",
    )
    yield (
        ReportTable(
            f"{level} of the voxels in {level} of patients", ["task", "patients held", "reach"], fields
        ),
        "Patients held: share of the patients of whom enough voxels lie in the interval. Reach: half its length.",
    )


def _list_mask_cells(members: Sequence[StructureTrust]) -> list[TableCell]:
    n = f"n {sum(m.present for m in members)}"
    return [
        _make_share_cell(_list_figures(members, lambda c: c.inside[0], "present"), n),
        _make_share_cell(_list_figures(members, lambda c: c.inside[1], "present")),
        _make_share_cell(_list_figures(members, lambda c: c.added[0], "present"), sign="+"),
        _make_share_cell(_list_figures(members, lambda c: c.patients[2], "present")),
        _make_share_cell(_list_figures(members, lambda c: c.added[1], "present"), sign="+"),
    ]


def _list_size_cells(members: Sequence[StructureTrust]) -> list[TableCell]:
    n = f"n {sum(sum(map(len, m.volumes.values())) for m in members)}"
    absent = f"n {sum(len(m.absent) for m in members)}"
    factors = [s.mean for s, _ in _list_figures(members, lambda c: c.factor, "present")]
    return [
        _make_share_cell(_list_figures(members, lambda c: c.volumes, "subjects"), n),
        TableCell(" · ".join(format_number(f) for f in factors) or DASH),
        _make_share_cell(_list_figures(members, lambda c: c.false_alarms, "absent"), absent),
        _make_share_cell(_list_figures(members, lambda c: c.seen, "present")),
    ]


def _list_figures(
    members: Sequence[StructureTrust], figure: Figure, weight: str
) -> list[tuple[Spread, float]]:
    checks = [m.check for m in members if m.check is not None]
    told = [(figure(c), float(getattr(c, weight))) for c in checks]
    return [(spread, n) for spread, n in told if np.isfinite(spread.mean) and n]


def _make_share_cell(told: Sequence[tuple[Spread, float]], n: str = "", sign: str = "") -> TableCell:
    if not told:
        return TableCell("not checked", "", n)
    mean = average_spreads([spread for spread, _ in told], [weight for _, weight in told])
    return TableCell(f"{sign}{mean.mean:.0%}", f"± {mean.sd:.0%}", n)
