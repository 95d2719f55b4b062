"""Measures inputs before any network reads them: spacing, field of view, intensities, missing channels, cells."""

from __future__ import annotations

import numpy as np

from polytask.cohort.cell_values import column_value
from polytask.cohort.cohort import Case, Cohort
from polytask.plan.plan_schema import ImagePlan
from polytask.prepare.normalization import map_channel_planes
from polytask.prepare.prepared_image import PreparedImage

MAX_SAMPLED_VOXELS = 20_000
"""About how many voxels of a plane are looked at: percentiles hardly change, and a case costs a millisecond."""
PERCENTILES = (1, 50, 99)
MISSING = "is missing"
MAX_MEASURED_COLUMNS = 200
"""Some cell of a wider table is always the largest that was ever seen, so nothing is measured."""
Quantities = dict[str, float]
"""Words for what was measured, the unit in brackets → its value."""


def measure_image(prepared: PreparedImage, plan: ImagePlan) -> Quantities:
    """Measure an image input: voxel edges, the sides of the field of view, per channel whether it is missing, and
    percentiles of its values on the grid of the plan."""
    grid = prepared.source_grid.with_unit(plan.unit == "mm")
    sides = [n * s for n, s in zip(grid.shape, grid.spacing, strict=True)]
    measured = {
        f"finest spacing [{plan.unit}]": min(grid.spacing),
        f"coarsest spacing [{plan.unit}]": max(grid.spacing),
        f"narrowest side [{plan.unit}]": min(sides),
        f"widest side [{plan.unit}]": max(sides),
    }
    places = map_channel_planes(plan).items()
    for (channel, place), known in zip(places, prepared.channel_known, strict=True):
        measured[f"channel {channel} {MISSING}"] = float(not known)
        planes = prepared.image[place] if known else ()
        for k, plane in enumerate(planes):
            values = np.asarray(plane).reshape(-1)
            step = max(1, values.size // MAX_SAMPLED_VOXELS)
            name = channel if len(planes) == 1 else f"{channel} plane {k + 1}"
            for p, level in zip(PERCENTILES, np.percentile(values[::step], PERCENTILES), strict=True):
                measured[f"{name} percentile {p}"] = float(level)
    return measured


def measure_cells(cohort: Cohort, case: Case, table: str) -> Quantities:
    """Measure a table input: its known numbers, as they stand. Odd words count as unknown and are said elsewhere."""
    columns = [
        name for name, column in cohort.header.tables[table].columns.items() if column.type == "number"
    ]
    values = {
        name: column_value(cohort, (case,), table, name)
        for name in (columns if len(columns) <= MAX_MEASURED_COLUMNS else ())
    }
    return {name: float(value) for name, value in values.items() if value is not None}
