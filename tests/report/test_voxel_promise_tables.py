"""Tables of promises about masks and doses in the section "How sure"."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from polytask.report.report_material import ReportMaterial
from polytask.report.voxel_promise_tables import build_voxel_tables
from polytask.trust.fit_runs import RunsTrust
from polytask.trust.voxels.field_trust import fit_field
from polytask.trust.voxels.fit_voxels import VoxelTrust
from polytask.trust.voxels.structure_cases import gather_structure_cases
from polytask.trust.voxels.structure_trust import check_structure, fit_structure
from tests.trust.voxels.worlds import draw_cases


def test_the_tables_show_what_the_checks_saw(flat: ReportMaterial) -> None:
    random = np.random.default_rng(0)
    folds = [gather_structure_cases([draw_cases(random, 30, 15)], "tumor") for _ in range(2)]
    members = tuple(replace(fit_structure(c, 0.2), check=check_structure(c, 0.2, 0)) for c in folds)
    dose = fit_field(random.lognormal(size=30), np.array([f"s{k}" for k in range(30)]), 0.2, 0)
    few = fit_structure(folds[0].take(np.arange(2)), 0.2)
    voxels = {
        "lesion": VoxelTrust({"tumor": members, "node": (few,)}),
        "dose": VoxelTrust(fields=(dose,), unit="Gy"),
    }
    masks, sizes, fields = (
        table for table, _ in build_voxel_tables(flat, RunsTrust(0.8, (), {}, {}, voxels=voxels))
    )
    (name, cells), (_, unchecked) = masks.rows
    assert "tumor" in name
    checks = [m.check for m in members if m.check is not None]
    assert cells[0].n == "n 60"
    assert cells[1].value == f"{np.mean([c.inside[1].mean for c in checks]):.0%}"
    assert cells[4].value == f"+{np.mean([c.added[1].mean for c in checks]):.0%}"
    assert {cell.value for cell in unchecked} == {"not checked"}
    assert [cell.n for cell in sizes.rows[0][1]][:3] == ["n 90", "", "n 30"]
    assert dose.check is not None
    assert fields.rows[0][1][0].value == f"{dose.check.patients.mean:.0%}"
    assert fields.rows[0][1][1].value.endswith(" Gy")
    assert all(not table.rows for table, _ in build_voxel_tables(flat, RunsTrust(0.8, (), {}, {})))
