"""Images, masks, doses and regions of a foreign table: stated, or found by the endings of what a column holds."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from polytask.cohort.header import Dose, ImageInput, Modality, Segmentation
from polytask.cohort.importers.draft import Draft, examples
from polytask.cohort.importers.files import file_columns, locate
from polytask.cohort.importers.found import Found
from polytask.cohort.importers.options import Source, parse_labels, parse_lists, parse_sources
from polytask.cohort.importers.sheet import Sheet
from polytask.cohort.importers.survey import labels_in, survey
from polytask.cohort.importers.words import clean, modality
from polytask.errors import PolytaskError

_MASK = re.compile(r"mask|seg|label|roi|contour|structure", re.I)


@dataclass
class Stated:
    """Options about files, parsed."""

    images: list[Source]
    masks: list[Source]
    doses: list[Source]
    regions: list[Source]
    labels: dict[str, dict[str, int]]
    structures: dict[str, list[str]]

    @classmethod
    def parse(
        cls,
        images: Sequence[str],
        masks: Sequence[str],
        doses: Sequence[str],
        regions: Sequence[str],
        labels: Sequence[str],
        structures: Sequence[str],
    ) -> Stated:
        """From the text of the options."""
        return cls(
            parse_sources("--image", images),
            parse_sources("--mask", masks),
            parse_sources("--dose", doses),
            parse_sources("--region", regions),
            parse_labels(labels),
            parse_lists("--structures", structures),
        )

    @property
    def sources(self) -> list[Source]:
        """All of them."""
        return [*self.images, *self.masks, *self.doses, *self.regions]


def attach_files(draft: Draft, sheet: Sheet, root: Path, found: Found, stated: Stated) -> None:
    """Put files into the rows of a draft, and their inputs and tasks into its header.

    Args:
        root: folder that paths are relative to.
        stated: grows by the columns that hold files and that nobody stated.
    """
    named = {source.source for source in stated.sources}
    for column in file_columns(sheet):
        if column not in named and column not in found.used:
            if _MASK.search(column):
                stated.masks.append(Source(clean(column), column))
            else:
                stated.images.append(Source(f"scan.{clean(column).lower()}", column))
    found.used |= {s.source for s in stated.sources if "{" not in s.source}
    image, dims = _images(draft, sheet, root, stated.images)
    if not image and stated.sources:
        remedy = "state --image scan.CHANNEL=COLUMN"
        raise PolytaskError(f"{sheet.path}: masks or doses without an image; expected one; {remedy}")
    for source in stated.masks:
        name, paths = clean(source.name), locate(sheet, source, root, draft.notes)
        task, note = _mask_task(name, image, dims, paths, stated)
        draft.tasks[name] = task
        draft.notes.append(note)
        _fill(draft, name, paths)
    for source in stated.doses:
        name = clean(source.name)
        draft.tasks[name] = Dose(kind="dose", image=image)
        draft.notes.append(f"task {name!r}: dose on {image!r}")
        _fill(draft, name, locate(sheet, source, root, draft.notes))
    for source in stated.regions:
        name = clean(source.name)
        if name not in draft.tasks:
            known = examples(draft.tasks)
            raise PolytaskError(
                f"--region {name}: no mask or dose is called so; expected one; use one of {known}"
            )
        _fill(draft, f"{name}_region", locate(sheet, source, root, draft.notes))


def _images(draft: Draft, sheet: Sheet, root: Path, sources: Sequence[Source]) -> tuple[str, int]:
    """The image inputs; returns the name and dims of the first, on which masks lie."""
    channels: dict[str, dict[str, str]] = {}
    dims: dict[str, int] = {}
    for source in sources:
        place, _, said = source.name.partition(":")
        owner, _, channel = place.rpartition(".")
        owner = owner or "scan"
        paths = locate(sheet, source, root, draft.notes)
        first = next((p for p in paths if p is not None), None)
        if first is None:
            raise PolytaskError(
                f"{sheet.path}: column {source.source!r} is empty; expected images; fill or --skip it"
            )
        dims[owner], planes = survey(first)
        guess = "RGB" if planes in (3, 4) and dims[owner] == 2 else modality(channel)
        channels.setdefault(owner, {})[channel] = said or guess
        draft.notes.append(f"image {owner!r}, channel {channel!r}: {said or guess}, {dims[owner]}D")
        _fill(draft, f"{owner}.{channel}", paths)
    for owner, own in channels.items():
        if wrong := [m for m in own.values() if m not in get_args(Modality)]:
            remedy = f"use one of {', '.join(get_args(Modality))}"
            raise PolytaskError(
                f"--image {owner}: unknown modality {wrong[0]!r}; expected how it was taken; {remedy}"
            )
        content = {"kind": "image", "dims": dims[owner], "channels": own}
        draft.inputs[owner] = ImageInput.model_validate(content)
    owner = next(iter(channels), "")
    return owner, dims.get(owner, 3)


def _mask_task(
    name: str, image: str, dims: int, paths: Sequence[Path | None], stated: Stated
) -> tuple[Segmentation, str]:
    labels, structures = stated.labels.get(name), stated.structures.get(name)
    how = "stated"
    if structures is None and labels is None:
        values = labels_in((p for p in paths if p is not None and p.exists()), dims)
        if not values:
            remedy = f"state --labels {name}=NAME:VALUE"
            raise PolytaskError(f"--mask {name}: the masks are all empty; expected labels; {remedy}")
        labels = {name: values[0]} if len(values) == 1 else {f"{name}_{v}": v for v in values}
        how = f"found in the first masks; --labels {name}=NAME:VALUE names them"
    content = {"kind": "segmentation", "image": image, "labels": labels, "structures": structures}
    what = f"labels {labels}" if labels is not None else f"structures {', '.join(structures or [])}"
    return Segmentation.model_validate(content), f"task {name!r}: {what} ({how})"


def _fill(draft: Draft, column: str, paths: Sequence[Path | None]) -> None:
    for row, path in zip(draft.rows, paths, strict=True):
        if path is not None:
            row[column] = path
