"""The inside of a subject at one visit, made of ellipsoids.

Axes: x runs to the patient's right, y to the front, z up. Apart from the two kidneys no label depends on left and
right, so that a flip that exchanges the kidneys keeps every label true.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from polytask.cohort.phantom.design import Subject
from polytask.cohort.phantom.shapes import Ellipsoid, Point

STATIONS: tuple[Point, ...] = ((-0.13, 0.0, 0.32), (0.13, 0.0, 0.32), (-0.2, 0.0, -0.26), (0.2, 0.0, -0.26))
"""Centers where lymph nodes may lie; they touch neither each other nor the lesion nor an organ."""
STRUCTURES = ("cavity", "kidney_l", "kidney_r", "bladder")


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
        found = [("wall", self.body), ("fluid" if self.inner else "cavity", self.organs["cavity"])]
        found += [("cavity", self.inner)] if self.inner else []
        found += [("kidney", self.organs[k]) for k in ("kidney_l", "kidney_r") if k in self.organs]
        found += [("stone", self.stone)] if self.stone else []
        found += [("bladder", self.organs["bladder"]), ("lesion", self.lesion)]
        found += [("core", self.core)] if self.core else []
        return found + [("node", node) for node in self.nodes]


def build(subject: Subject, visit: int, visits: int, seed: int) -> Anatomy:
    """Build the anatomy of a subject at a visit; only the lesion size and the patient's position change over time."""
    # The visit is not part of this seed: all visits of a subject get the same organs.
    rng = np.random.default_rng([seed, 2, subject.index])
    body = _jittered(rng, (0.0, 0.0, 0.0), (0.455, 0.37, 0.475), 0.0, 0.02)
    cavity = Ellipsoid(body.centre, _times(body.radii, (0.86, 0.83, 0.885)))
    organs = {
        "cavity": cavity,
        "kidney_l": _jittered(rng, (-0.25, -0.08, 0.0), (0.072, 0.08, 0.125), 0.008, 0.05),
        "kidney_r": _jittered(rng, (0.25, -0.08, 0.0), (0.072, 0.08, 0.125), 0.008, 0.05),
        "bladder": _jittered(rng, (0.0, 0.02, -0.29), (0.09, 0.1, 0.065), 0.008, 0.08),
    }
    lesion, core = _lesion(rng, subject, subject.radius_at(visit, visits))
    places = rng.permutation(len(STATIONS))[: subject.nodes]
    nodes = tuple(_jittered(rng, STATIONS[k], (0.055, 0.055, 0.055), 0.01, 0.04) for k in places)
    present = [k for k in ("kidney_l", "kidney_r") if k != subject.absent]
    holder = organs[present[int(rng.integers(len(present)))]]
    stone = Ellipsoid(
        _plus(holder.centre, (0.0, 0.0, float(rng.uniform(-0.06, 0.06)))), (0.035, 0.035, 0.035)
    )
    lying = np.random.default_rng([seed, 3, subject.index, visit]).uniform(-0.015, 0.015, 3)
    return Anatomy(
        body=body,
        organs={k: v for k, v in organs.items() if k != subject.absent},
        lesion=lesion,
        nodes=nodes,
        core=core if subject.hollow else None,
        inner=Ellipsoid(cavity.centre, _times(cavity.radii, (0.87, 0.87, 0.87)))
        if subject.effusion
        else None,
        stone=stone if subject.stone else None,
        shift=(float(lying[0]), float(lying[1]), float(lying[2])),
    )


def _lesion(rng: np.random.Generator, subject: Subject, radius: float) -> tuple[Ellipsoid, Ellipsoid]:
    """Place the lesion between the kidneys; returns (lesion, core).

    Its place follows from its size at the first visit, so that it does not move; its size is that of this visit.
    """
    room = max(0.0, 0.17 - subject.radius)
    x, y, z = (float(v) for v in rng.uniform(-1, 1, 3))
    centre = (room * x, 0.02 + 0.04 * y, 0.05 + room * z)
    stretch = float(np.exp(rng.uniform(-0.1, 0.1)))  # neither the volume nor the coronal area changes
    shape = (radius * stretch, radius, radius / stretch)
    return Ellipsoid(centre, shape), Ellipsoid(centre, _times(shape, (0.62, 0.62, 0.62)))


def _jittered(rng: np.random.Generator, centre: Point, radii: Point, move: float, swell: float) -> Ellipsoid:
    moved = rng.uniform(-move, move, 3) if move else np.zeros(3)
    factors = np.exp(rng.uniform(-swell, swell, 3))
    return Ellipsoid(_plus(centre, tuple(moved.tolist())), _times(radii, tuple(factors.tolist())))


def _plus(a: Point, b: Point) -> Point:
    return a[0] + b[0], a[1] + b[1], a[2] + b[2]


def _times(a: Point, b: Point) -> Point:
    return a[0] * b[0], a[1] * b[1], a[2] * b[2]
