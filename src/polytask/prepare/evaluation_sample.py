"""Read a whole sample for evaluation: normalized, at full stored size, neither augmented nor padded."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import numpy.typing as npt

from polytask.cohort.cohort import Cohort, Sample
from polytask.cohort.read_visits import list_read_visits
from polytask.images.volume import Array
from polytask.plan.plan_schema import FoldPlan, ImagePlan, NormalizationPlan, Plan
from polytask.prepare.finding_places import Place
from polytask.prepare.normalization import append_channel_flags, map_channel_planes, normalize_planes
from polytask.prepare.prepared_image import PreparedImage
from polytask.prepare.slide_bags import PreparedBag
from polytask.prepare.slot_assignment import assign_visit_slots
from polytask.prepare.table_encoding import encode_table_rows

Floats = npt.NDArray[np.float32]
Flags = npt.NDArray[np.bool_]


class PreparedCase(Protocol):
    """A case that can give its prepared images and slides."""

    def prepared(self, name: str) -> PreparedImage | None:
        """Return an image input on the plan's grid; None when the case has none of its channels."""

    def bag(self, name: str) -> PreparedBag | None:
        """Return a slide input, cut as the plan says; None when the case has no slide."""


class CaseSource(Protocol):
    """Anything that gives prepared cases: a store, or its replacement for new cases at prediction."""

    def case(self, key: str) -> PreparedCase:
        """Return a case by its `Case.key`."""


@dataclass(frozen=True)
class FullSample:
    """One subject with its V visit slots, as the network reads it.

    Args:
        subject: the subject's id.
        visits: names, "" where padded.
        keys: `Case.key` per slot, None where padded: the way to the store's masks and grids.
        visit_known: bool `[V]`.
        day: float `[V]`.
        images: per image input and slot `[planes (+ flags), *space]` at `spacing`; None without any channel.
        whole: the same at `view_spacing`, for inputs with field `both`.
        channel_known: per image input bool `[V, channels]`.
        tables: per table input float `[V, F]`, imputed and scaled.
        table_known: per table input bool `[V, F]`.
        bags: per slide input and slot all stored patches `[P, 3, h, w]` or `[P, F]`; None where there is no slide.
        bag_known: per slide input bool `[V, P]`; P is the largest count of any slot, at least one.
        places: per image input and slot the places of findings that the table names, in voxels of `images`.
        coords: per slide input and slot int32 `[P, 2]`, where on the slide each patch lies (see `PreparedBag`).
    """

    subject: str
    visits: tuple[str, ...]
    keys: tuple[str | None, ...]
    visit_known: Flags
    day: Floats
    images: dict[str, list[Floats | None]]
    whole: dict[str, list[Floats | None]]
    channel_known: dict[str, Flags]
    tables: dict[str, Floats]
    table_known: dict[str, Flags]
    bags: dict[str, list[Array | None]] = field(default_factory=dict)
    bag_known: dict[str, Flags] = field(default_factory=dict)
    coords: dict[str, list[Array | None]] = field(default_factory=dict)
    places: dict[str, list[tuple[Place, ...]]] = field(default_factory=dict)


def full_sample(
    store: CaseSource,
    cohort: Cohort,
    sample: Sample,
    plan: Plan,
    fold: FoldPlan,
    tasks: Iterable[str] | None = None,
) -> FullSample:
    """Read one sample of a store (or of new cases), normalized by the rules of a fold.

    Visits that none of `tasks` (default: all of the cohort) reads are left out.
    """
    read = list_read_visits(cohort.header, tasks)
    slots = assign_visit_slots(cohort, sample, plan.shared.max_visits, read)
    images: dict[str, list[Floats | None]] = {}
    whole: dict[str, list[Floats | None]] = {}
    channel_known: dict[str, Flags] = {}
    places: dict[str, list[tuple[Place, ...]]] = {}
    for name, image in plan.shared.images.items():
        prepared = [None if c is None else store.case(c.key).prepared(name) for c in slots.cases]
        views = [
            (None, None) if p is None else normalize_full_image(p, image, fold.normalization[name])
            for p in prepared
        ]
        images[name] = [v[0] for v in views]
        if image.field == "both":
            whole[name] = [v[1] for v in views]
        places[name] = [() if p is None else p.places for p in prepared]
        missing = (False,) * len(image.channels)
        channel_known[name] = np.array([missing if p is None else p.channel_known for p in prepared], bool)
    tables = {n: encode_table_rows(cohort, n, slots.cases, columns) for n, columns in fold.tables.items()}
    bags = {
        n: [None if c is None else store.case(c.key).bag(n) for c in slots.cases] for n in plan.shared.slides
    }
    return FullSample(
        subject=sample.subject,
        visits=slots.visits,
        keys=tuple(None if c is None else c.key for c in slots.cases),
        visit_known=np.array([c is not None for c in slots.cases], bool),
        day=np.array(slots.day, np.float32),
        images=images,
        whole=whole,
        channel_known=channel_known,
        tables={n: t[0] for n, t in tables.items()},
        table_known={n: t[1] for n, t in tables.items()},
        bags={n: [None if b is None else b.patches for b in slides] for n, slides in bags.items()},
        bag_known={n: _mark_known_patches(slides) for n, slides in bags.items()},
        coords={n: [None if b is None else b.coords for b in slides] for n, slides in bags.items()},
        places=places,
    )


def _mark_known_patches(bags: Sequence[PreparedBag | None]) -> Flags:
    """Mark which of the P patches each visit slot has: bool `[V, P]`, P the largest count, at least one."""
    counts = np.array([0 if b is None else len(b.patches) for b in bags])
    return np.asarray(np.arange(max(1, counts.max(initial=0))) < counts[:, None])


def normalize_full_image(
    prepared: PreparedImage, plan: ImagePlan, rules: Mapping[str, Sequence[NormalizationPlan]]
) -> tuple[Floats, Floats | None]:
    """Normalize an image and its whole view; also for a new case from `prepare_image`.

    Returns:
        image and whole view, each `[planes (+ flags), *space]`; the view is None unless the plan has field `both`.
    """

    planes_by_channel = map_channel_planes(plan)

    def read(array: npt.NDArray[np.generic]) -> Floats:
        planes = normalize_planes(
            array, prepared.statistics, prepared.channel_known, planes_by_channel, rules
        )
        return append_channel_flags(planes, prepared.channel_known, plan)

    return read(prepared.image), None if prepared.whole is None else read(prepared.whole)
