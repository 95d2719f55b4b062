"""Options about the files of a table, parsed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from polytask.cohort.importers.options import (
    Planes,
    Source,
    parse_labels,
    parse_lists,
    parse_pairs,
    parse_planes,
    parse_sources,
)


@dataclass
class Stated:
    """What a person said about images, masks, doses and regions; columns that hold files are added to it.

    Args:
        contours: planes of 4-D files that are channels of an image.
        known: mask → where it says which structures are drawn.
        units: task → unit. dvh: dose → the mask task of its structures.
    """

    images: list[Source] = field(default_factory=list)
    contours: list[Planes] = field(default_factory=list)
    masks: list[Source] = field(default_factory=list)
    doses: list[Source] = field(default_factory=list)
    regions: list[Source] = field(default_factory=list)
    known: list[Source] = field(default_factory=list)
    labels: dict[str, dict[str, int]] = field(default_factory=dict)
    structures: dict[str, list[str]] = field(default_factory=dict)
    units: dict[str, str] = field(default_factory=dict)
    dvh: dict[str, str] = field(default_factory=dict)

    @property
    def columns(self) -> set[str]:
        """Columns and patterns that somebody reads."""
        sources = [*self.images, *self.masks, *self.doses, *self.regions, *self.known]
        return {s.source for s in sources} | {p.source for p in self.contours}


def parse_stated(options: Mapping[str, Sequence[str]]) -> Stated:
    """The options of the command line, by their names without dashes; those that are missing say nothing."""

    def given(name: str) -> Sequence[str]:
        return options.get(name, ())

    return Stated(
        parse_sources("--image", given("image")),
        parse_planes(given("contours")),
        parse_sources("--mask", given("mask")),
        parse_sources("--dose", given("dose")),
        parse_sources("--region", given("region")),
        parse_sources("--known", given("known")),
        parse_labels(given("labels")),
        parse_lists("--structures", given("structures")),
        parse_pairs("--unit", given("unit")),
        parse_pairs("--dvh", given("dvh")),
    )
