"""Who a case shows, as digests: of its images and slides, or where there are none of the cells of its tables."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from polytask.cohort.cohort import Case, Cohort
from polytask.cohort.header import Header
from polytask.cohort.values import column_value, image_paths, slide_path
from polytask.images.bags import read_bag
from polytask.images.content import digest_array, digest_voxels
from polytask.images.formats import read
from polytask.images.volume import Volume
from polytask.prepare.recipe import hash_files


def shows_people(header: Header) -> bool:
    """Whether cases have images or slides; else their rows of table cells stand for them."""
    return bool(header.images or header.slides)


def digest_case(cohort: Cohort, case: Case) -> dict[str, str]:
    """Column → digest of what it shows, for every image channel and slide that is there; without image and slide
    inputs `row` → digest of the case's known table cells. Opens the files."""
    if not shows_people(cohort.header):
        cells = row_cells(cohort, case)
        return {"row": digest_row(cells)} if cells else {}
    volumes = {
        f"{name}.{channel}": read(path, dims=image.dims)
        for name, image in cohort.header.images.items()
        for channel, path in image_paths(cohort, case, name).items()
        if path is not None
    }
    where = f"subject {case.subject}"
    slides = {
        name: digest_slide(path, slide.features is not None, hash_files(slide_files(path), where))
        for name, slide in cohort.header.slides.items()
        if (path := slide_path(cohort, case, name)) is not None
    }
    return digest_volumes(volumes) | slides


def digest_volumes(volumes: Mapping[str, Volume]) -> dict[str, str]:
    """Column → digest of its voxels; an image whose voxels are all equal is left out."""
    return {name: found for name, volume in volumes.items() if (found := digest_voxels(volume)) is not None}


def digest_slide(path: Path, features: bool, hashes: Mapping[str, str]) -> str:
    """A bag by its numbers; a whole slide, which is too large to decode for this, by the bytes of its files.

    Args:
        hashes: file → sha256, see `hash_files`.
    """
    if features:
        return digest_array(read_bag(path).features)
    found = [hashes[str(p)] for p in slide_files(path)]
    return hashlib.sha256("".join(found).encode()).hexdigest()


def slide_files(path: Path) -> list[Path]:
    """A slide's file, and the folder beside an .mrxs."""
    folder = path.with_suffix("")
    return [path, *([folder] if path.suffix.lower() == ".mrxs" and folder.is_dir() else [])]


def digest_row(cells: Mapping[str, str]) -> str:
    """Of the known table cells of a case."""
    return hashlib.sha256(json.dumps(sorted(cells.items()), ensure_ascii=False).encode()).hexdigest()


def row_cells(cohort: Cohort, case: Case) -> dict[str, str]:
    """Column → known cell of the table inputs; numbers with nine digits, however they were written."""
    found: dict[str, str] = {}
    for name, table in cohort.header.tables.items():
        for column in table.columns:
            value = column_value(cohort, (case,), name, column)
            if value is not None:
                found[column] = value if isinstance(value, str) else f"{value:.9g}"
    return found
