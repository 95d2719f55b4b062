"""How much of a structure lies inside a mask that grows: what promises about masks are fitted on.

While the probabilities of a case are in memory, a few hundred numbers are counted of them. They are stored with the
other answers of an evaluation, so that nothing has to be predicted again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from polytask.array_types import Indices, Mask
from polytask.evaluation.voxel_truth import VoxelTruth
from polytask.images.volume import Volume
from polytask.predict.mask_presence import PRESENCE, VOXELS
from polytask.predict.source_grid import GriddedPrediction
from polytask.tasks.mask_sizes import compute_voxel_size
from polytask.tasks.task import Arrays, Task

LOGIT_STEP, LOGIT_STEPS = 0.25, 64
THRESHOLDS = (1 / (1 + np.exp(LOGIT_STEP * np.arange(LOGIT_STEPS + 1)))).astype(np.float32)
"""Probabilities from ½ down to 10⁻⁷, evenly spaced as logits: networks trained for overlap are often that sure."""


@dataclass(frozen=True)
class StructureCurve:
    """The masks of one structure of one case, from the plain one (step 0) to the widest threshold.

    The mask of step j holds the plain mask and every voxel with a probability of at least `THRESHOLDS[j]`, on the grid
    of the file. Only voxels are counted whose truth counts (not at `ignore`, nor outside the region).

    Args:
        true: voxels of the true structure. hits: of these, how many each mask holds; empty where there are none.
        voxels: how many voxels each mask holds.
        drawn: size of the mask as the member computed it, in voxels of the file. presence: see `measure_presence`.
        size: of a voxel in ml, cm² or pixels; NaN where nobody knows.
        whole: whether the truth counts everywhere; if not, neither the true size nor absence is known.
    """

    true: int
    hits: tuple[int, ...]
    voxels: tuple[int, ...]
    drawn: float
    presence: float
    size: float
    whole: bool


def count_steps(p: npt.NDArray[np.float32]) -> Indices:
    """Count the probabilities that are at least `THRESHOLDS[j]`, for every j."""
    # Most voxels of an image are below all thresholds.
    likely = p[p >= THRESHOLDS[-1]]
    first = np.searchsorted(-THRESHOLDS, -likely, side="left")
    return np.asarray(np.bincount(first, minlength=len(THRESHOLDS)).cumsum(), dtype=np.int64)


def widen_mask(p: npt.NDArray[np.float32], drawn: Mask, step: int | None) -> Mask:
    """Make the mask of a step: the drawn mask and all voxels as probable as its threshold. None: everything."""
    return np.ones_like(drawn) if step is None else np.asarray(drawn | (p >= THRESHOLDS[step]))


def select_structure(task: Task, answer: Volume, k: int) -> Mask:
    """Select the drawn mask `[*space]` of structure k; `answer` is `[1, *space]` 0..K or `[K, *space]`."""
    exclusive = bool(getattr(task, "exclusive", True))
    return np.asarray(answer.array[0] == k + 1 if exclusive else answer.array[k] != 0)


def count_structure_curves(
    task: Task, computed: GriddedPrediction, answer: Volume, seen: Arrays, truth: VoxelTruth
) -> dict[str, StructureCurve]:
    """Count the curve of every known structure; `seen` is what `measure_presence` says about this case."""
    unit, grid = str(getattr(task, "unit", "mm")), answer.grid
    size = compute_voxel_size(grid.spacing if unit == "mm" else [1.0] * grid.dims, unit)
    size = size if unit != "mm" or grid.physical else float("nan")
    region = None if truth.region is None or truth.region.all() else truth.region
    curves = {}
    for k, name in enumerate(getattr(task, "structures", ())):
        if not truth.known[k]:
            continue
        true = np.asarray(
            truth.value == k + 1 if getattr(task, "exclusive", True) else truth.value[k] > 0, bool
        )
        p = computed.restore_structure(k)
        p[select_structure(task, answer, k)] = 1.0
        if region is not None:
            true, p = true[region], p[region]
        hits = count_steps(p[true])
        curves[name] = StructureCurve(
            int(true.sum()),
            tuple(hits.tolist()) if true.any() else (),
            tuple(count_steps(p).tolist()),
            float(seen[VOXELS][0, k]) * computed.source_voxels,
            float(seen[PRESENCE][0, k]),
            size,
            region is None,
        )
    return curves


def describe_curve(curve: StructureCurve) -> dict[str, Any]:
    """Return a curve as plain data. Most of its numbers go into one text: on lines of their own they would triple the
    size of the file."""
    plain = asdict(curve)
    return plain | {key: " ".join(map(str, plain[key])) for key in ("hits", "voxels")}


def parse_curve(entry: Mapping[str, Any]) -> StructureCurve:
    """Parse a curve from plain data; refuses one with another number of steps."""
    hits, voxels = (tuple(map(int, str(entry[key]).split())) for key in ("hits", "voxels"))
    true, size = int(entry["true"]), entry["size"]
    if len(voxels) != len(THRESHOLDS) or len(hits) != (len(THRESHOLDS) if true else 0):
        raise ValueError(f"curves of {len(voxels)} and {len(hits)} steps, expected {len(THRESHOLDS)}")
    return StructureCurve(
        true,
        hits,
        voxels,
        float(entry["drawn"]),
        float(entry["presence"]),
        float("nan") if size is None else float(size),
        bool(entry["whole"]),
    )
