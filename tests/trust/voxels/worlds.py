"""Held-out cases of a structure whose network is known: a lesion with soft edges, or an image without one."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from polytask.evaluation.structure_curves import THRESHOLDS, StructureCurve, count_steps
from polytask.inference.pooled_answers import CaseId

SIDE = 40


def draw_curve(random: np.random.Generator, present: bool = True) -> StructureCurve:
    """A line of voxels: the network sees the lesion with an edge that lies wrong and is soft or sharp by chance."""
    place, radius = random.uniform(12, 28), random.uniform(3, 9)
    distance = np.abs(np.arange(SIDE) - place)
    true = (distance <= radius) if present else np.zeros(SIDE, bool)
    seen = radius * np.exp(random.normal(-0.1, 0.25)) if present else random.uniform(-12, 1)
    p = (1 / (1 + np.exp((distance - seen) / random.uniform(0.2, 2.0)))).astype(np.float32)
    drawn = p >= 0.5
    p[drawn] = 1.0
    return make_curve(p, true, float(p[drawn].sum() if drawn.any() else p.max()))


def make_curve(
    p: npt.NDArray[np.float32], true: npt.NDArray[np.bool_], presence: float = 0.0
) -> StructureCurve:
    """The curve of probabilities in which the plain mask has the value 1."""
    hits = tuple(count_steps(p[true]).tolist()) if true.any() else ()
    voxels = tuple(count_steps(p).tolist())
    return StructureCurve(int(true.sum()), hits, voxels, float((p >= 0.5).sum()), presence, 1.0, True)


def draw_cases(
    random: np.random.Generator, present: int, absent: int, name: str = "tumor"
) -> dict[CaseId, dict[str, StructureCurve]]:
    """Cases of a member, each of another subject."""
    curves = [draw_curve(random, k < present) for k in range(present + absent)]
    return {(f"s{k}", ""): {name: curve} for k, curve in enumerate(curves)}


assert THRESHOLDS[0] == np.float32(0.5)
