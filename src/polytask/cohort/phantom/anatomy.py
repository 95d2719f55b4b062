"""The inside of a subject at one visit, made of ellipsoids.

Axes: x runs to the patient's right, y to the front, z up. Apart from the two kidneys no label depends on left and
right, so that a flip that exchanges the kidneys keeps every label true.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from polytask.cohort.phantom.ellipsoids import Ellipsoid, Point
from polytask.cohort.phantom.subjects import PhantomSubject

NODE_POSITIONS: tuple[Point, ...] = (
    (-0.13, 0.0, 0.32),
    (0.13, 0.0, 0.32),
    (-0.2, 0.0, -0.26),
    (0.2, 0.0, -0.26),
)
"""Centers where lymph nodes may lie; they touch neither each other nor the lesion nor an organ."""
ORGAN_STRUCTURES = ("cavity", "kidney_l", "kidney_r", "bladder")


@dataclass(frozen=True)
class Anatomy:
    """All ellipsoids that are visible in the images of one visit.

    Args:
        organs: structure → ellipsoid; the kidneys lie within the cavity. A kidney may be absent.
        lesion: its volume-equivalent radius is `PhantomSubject.radius_at`.
        core: the dark center of a hollow lesion, else None.
        inner: the cavity without its rim of fluid if there is an effusion, else None.
        shift: how far the patient lies off center at this visit.
    """

    body: Ellipsoid
    organs: dict[str, Ellipsoid]
    lesion: Ellipsoid
    nodes: tuple[Ellipsoid, ...]
    core: Ellipsoid | None
    inner: Ellipsoid | None
    stone: Ellipsoid | None
    shift: Point

    @property
    def layers(self) -> list[tuple[str, Ellipsoid]]:
        """(tissue, ellipsoid) in the order of painting; later shapes cover earlier ones."""
        layers = [("wall", self.body), ("fluid" if self.inner else "cavity", self.organs["cavity"])]
        layers += [("cavity", self.inner)] if self.inner else []
        layers += [("kidney", self.organs[k]) for k in ("kidney_l", "kidney_r") if k in self.organs]
        layers += [("stone", self.stone)] if self.stone else []
        layers += [("bladder", self.organs["bladder"]), ("lesion", self.lesion)]
        layers += [("core", self.core)] if self.core else []
        return layers + [("node", node) for node in self.nodes]


def build_anatomy(subject: PhantomSubject, visit: int, visits: int, seed: int) -> Anatomy:
    """Build the anatomy of a subject at a visit; only the lesion size and the patient's position change over time."""
    # The visit is not part of this seed: all visits of a subject get the same organs.
    rng = np.random.default_rng([seed, 2, subject.index])
    body = _jitter_ellipsoid(rng, (0.0, 0.0, 0.0), (0.455, 0.37, 0.475), 0.0, 0.02)
    cavity = Ellipsoid(body.center, _multiply_points(body.radii, (0.86, 0.83, 0.885)))
    organs = {
        "cavity": cavity,
        "kidney_l": _jitter_ellipsoid(rng, (-0.25, -0.08, 0.0), (0.072, 0.08, 0.125), 0.008, 0.05),
        "kidney_r": _jitter_ellipsoid(rng, (0.25, -0.08, 0.0), (0.072, 0.08, 0.125), 0.008, 0.05),
        "bladder": _jitter_ellipsoid(rng, (0.0, 0.02, -0.29), (0.09, 0.1, 0.065), 0.008, 0.08),
    }
    lesion, core = _place_lesion(rng, subject, subject.radius_at(visit, visits))
    places = rng.permutation(len(NODE_POSITIONS))[: subject.nodes]
    nodes = tuple(
        _jitter_ellipsoid(rng, NODE_POSITIONS[k], (0.055, 0.055, 0.055), 0.01, 0.04) for k in places
    )
    present = [k for k in ("kidney_l", "kidney_r") if k != subject.absent]
    holder = organs[present[int(rng.integers(len(present)))]]
    stone = Ellipsoid(
        _add_points(holder.center, (0.0, 0.0, float(rng.uniform(-0.06, 0.06)))), (0.035, 0.035, 0.035)
    )
    lying = np.random.default_rng([seed, 3, subject.index, visit]).uniform(-0.015, 0.015, 3)
    return Anatomy(
        body=body,
        organs={k: v for k, v in organs.items() if k != subject.absent},
        lesion=lesion,
        nodes=nodes,
        core=core if subject.hollow else None,
        inner=Ellipsoid(cavity.center, _multiply_points(cavity.radii, (0.87, 0.87, 0.87)))
        if subject.effusion
        else None,
        stone=stone if subject.stone else None,
        shift=(float(lying[0]), float(lying[1]), float(lying[2])),
    )


def _place_lesion(
    rng: np.random.Generator, subject: PhantomSubject, radius: float
) -> tuple[Ellipsoid, Ellipsoid]:
    """Place the lesion between the kidneys; returns (lesion, core).

    Its place follows from its size at the first visit, so that it does not move; its size is that of this visit.
    """
    room = max(0.0, 0.17 - subject.radius)
    x, y, z = (float(v) for v in rng.uniform(-1, 1, 3))
    center = (room * x, 0.02 + 0.04 * y, 0.05 + room * z)
    stretch = float(np.exp(rng.uniform(-0.1, 0.1)))  # neither the volume nor the coronal area changes
    shape = (radius * stretch, radius, radius / stretch)
    return Ellipsoid(center, shape), Ellipsoid(center, _multiply_points(shape, (0.62, 0.62, 0.62)))


def _jitter_ellipsoid(
    rng: np.random.Generator, center: Point, radii: Point, center_shift: float, radius_spread: float
) -> Ellipsoid:
    moved = rng.uniform(-center_shift, center_shift, 3) if center_shift else np.zeros(3)
    factors = np.exp(rng.uniform(-radius_spread, radius_spread, 3))
    return Ellipsoid(
        _add_points(center, tuple(moved.tolist())), _multiply_points(radii, tuple(factors.tolist()))
    )


def _add_points(a: Point, b: Point) -> Point:
    return a[0] + b[0], a[1] + b[1], a[2] + b[2]


def _multiply_points(a: Point, b: Point) -> Point:
    return a[0] * b[0], a[1] * b[1], a[2] * b[2]
