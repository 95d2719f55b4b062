"""The parsed options about images, masks, doses and regions of a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from polytask.cohort.importers.import_options import (
    FileSource,
    StackedChannels,
    parse_contours,
    parse_labels,
    parse_lists,
    parse_sources,
    parse_task_words,
)


@dataclass
class FileOptions:
    """What a person stated about images, masks, doses and regions; guessed columns of files are added later.

    Args:
        contours: planes of 4-D files that become channels of an image.
        known: per mask, the column that lists which structures are drawn.
        units: task → unit. dvh: dose task → the mask task that gives the structures of its DVH.
    """

    images: list[FileSource] = field(default_factory=list)
    contours: list[StackedChannels] = field(default_factory=list)
    masks: list[FileSource] = field(default_factory=list)
    doses: list[FileSource] = field(default_factory=list)
    regions: list[FileSource] = field(default_factory=list)
    known: list[FileSource] = field(default_factory=list)
    labels: dict[str, dict[str, int]] = field(default_factory=dict)
    structures: dict[str, list[str]] = field(default_factory=dict)
    units: dict[str, str] = field(default_factory=dict)
    dvh: dict[str, str] = field(default_factory=dict)

    @property
    def columns(self) -> set[str]:
        """All columns and patterns that an option reads."""
        sources = [*self.images, *self.masks, *self.doses, *self.regions, *self.known]
        return {s.source for s in sources} | {p.source for p in self.contours}


def parse_file_options(options: Mapping[str, Sequence[str]]) -> FileOptions:
    """Parse options of the command line, given by their names without dashes; missing options are empty."""

    def given(name: str) -> Sequence[str]:
        return options.get(name, ())

    return FileOptions(
        parse_sources("--image", given("image")),
        parse_contours(given("contours")),
        parse_sources("--mask", given("mask")),
        parse_sources("--dose", given("dose")),
        parse_sources("--region", given("region")),
        parse_sources("--known", given("known")),
        parse_labels(given("labels")),
        parse_lists("--structures", given("structures")),
        parse_task_words("--unit", given("unit")),
        parse_task_words("--dvh", given("dvh")),
    )
