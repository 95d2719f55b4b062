"""Digest what identifies a case: its images and slides, or its table cells where it has neither."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from polytask.cohort.cell_values import column_value, image_paths, slide_path
from polytask.cohort.cohort import Case, Cohort
from polytask.cohort.header import Header
from polytask.images.bag_files import read_bag
from polytask.images.formats import read_image_file
from polytask.images.volume import Volume
from polytask.images.voxel_digest import digest_array, digest_voxels
from polytask.prepare.recipe import hash_files


def has_images_or_slides(header: Header) -> bool:
    """Whether the cohort has image or slide inputs. Without them, table rows identify its cases."""
    return bool(header.images or header.slides)


def digest_case(cohort: Cohort, case: Case) -> dict[str, str]:
    """Open the files of a case and digest every image channel and slide that is there: column → digest.

    In a cohort without image and slide inputs: `row` → digest of the case's known table cells.
    """
    if not has_images_or_slides(cohort.header):
        cells = read_row_cells(cohort, case)
        return {"row": digest_row(cells)} if cells else {}
    volumes = {
        f"{name}.{channel}": read_image_file(path, dims=image.dims)
        for name, image in cohort.header.images.items()
        for channel, path in image_paths(cohort, case, name).items()
        if path is not None
    }
    where = f"subject {case.subject}"
    slides = {
        name: digest_slide(path, slide.features is not None, hash_files(list_slide_files(path), where))
        for name, slide in cohort.header.slides.items()
        if (path := slide_path(cohort, case, name)) is not None
    }
    return digest_volumes(volumes) | slides


def digest_volumes(volumes: Mapping[str, Volume]) -> dict[str, str]:
    """Digest the voxels of each column: column → digest. An image whose voxels are all equal is left out."""
    return {name: digest for name, volume in volumes.items() if (digest := digest_voxels(volume)) is not None}


def digest_slide(path: Path, features: bool, hashes: Mapping[str, str]) -> str:
    """Digest a slide: a bag of features by its numbers, a whole slide by the bytes of its files.

    A whole slide is too large to be decoded for this.

    Args:
        features: whether the file is a bag of features.
        hashes: file → sha256, see `hash_files`.
    """
    if features:
        return digest_array(read_bag(path).features)
    file_hashes = [hashes[str(p)] for p in list_slide_files(path)]
    return hashlib.sha256("".join(file_hashes).encode()).hexdigest()


def list_slide_files(path: Path) -> list[Path]:
    """List the files of a slide: its own, and for an .mrxs also the folder with the pixels beside it."""
    folder = path.with_suffix("")
    return [path, *([folder] if path.suffix.lower() == ".mrxs" and folder.is_dir() else [])]


def digest_row(cells: Mapping[str, str]) -> str:
    """Digest the known table cells of a case; the order of columns does not count."""
    return hashlib.sha256(json.dumps(sorted(cells.items()), ensure_ascii=False).encode()).hexdigest()


def read_row_cells(cohort: Cohort, case: Case) -> dict[str, str]:
    """Read the known cells of a case's table inputs as text: column → cell. Numbers are rounded to nine digits."""
    cells: dict[str, str] = {}
    for name, table in cohort.header.tables.items():
        for column in table.columns:
            value = column_value(cohort, (case,), name, column)
            if value is not None:
                # "1", "1.0" and "1e0" are one number and must give one digest.
                cells[column] = value if isinstance(value, str) else f"{value:.9g}"
    return cells
