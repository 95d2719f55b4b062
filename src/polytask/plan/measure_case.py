"""Measures one case: geometry, crop boxes and intensities.

Only this file, `measure_structures.py` and `measure_slides.py` read pixels during planning.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import numpy.typing as npt
from nibabel.orientations import aff2axcodes

from polytask.array_types import Mask
from polytask.cohort.cell_values import image_paths, slide_path, voxel_source
from polytask.cohort.cohort import Case, Cohort
from polytask.cohort.header import ImageInput, count_modality_planes
from polytask.errors import PolytaskError
from polytask.images.formats import read_image_file
from polytask.images.geometry import orient_to_ras, resample_volume
from polytask.images.plane_paths import find_source_file, split_plane_path
from polytask.images.volume import Grid, Volume
from polytask.kinds.plan_reasons import round_number
from polytask.plan.fingerprint_records import (
    FINGERPRINT_VERSION,
    CaseRecord,
    CropRule,
    ImageRecord,
    PlaneRecord,
    VoxelRecord,
)
from polytask.plan.measure_slides import TISSUE_PARTS, measure_slides
from polytask.plan.measure_structures import MaskPlacement, list_voxel_tasks, measure_voxel_task
from polytask.plan.quantile_sketch import summarize_values
from polytask.plan.voxel_boxes import VoxelBox, find_body_mask, find_mask_box, find_nonzero_mask


def hash_case_files(cohort: Cohort, case: Case) -> str:
    """Hash the bytes of every file that a case names, together with what the header says about them."""
    total = hashlib.sha256(str(FINGERPRINT_VERSION).encode())
    for name, spec in cohort.header.images.items():
        total.update(f"\n{name} {spec.model_dump_json()}".encode())
        for channel, path in image_paths(cohort, case, name).items():
            total.update(f"\n{channel} {_hash_content(path)}".encode())
    for name, task in list_voxel_tasks(cohort.header):
        total.update(f"\n{name} {task.model_dump_json()}".encode())
        source = voxel_source(cohort, case, name)
        if source is not None:
            total.update(f"\n{source.known} {source.absent} {_hash_content(source.region)}".encode())
            for path in source.paths:
                total.update(f"\n{_hash_content(path)}".encode())
    for name, slide in cohort.header.slides.items():
        # Slides of earlier versions are measured again, because their patches were not counted by tissue.
        counted = "" if slide.features else f" by {TISSUE_PARTS}"
        total.update(
            f"\n{name} {slide.model_dump_json()} {_hash_content(slide_path(cohort, case, name))}{counted}".encode()
        )
    return total.hexdigest()[:32]


def _hash_content(path: Path | None) -> str:
    """Hash a file, or all files of a folder with a DICOM series; "-" for an empty cell."""
    if path is None:
        return "-"
    source, plane = find_source_file(path), split_plane_path(path)[1]
    # Sorted, because the order in which a file system lists a folder differs from machine to machine.
    files = sorted(p for p in source.rglob("*") if p.is_file()) if source.is_dir() else [source]
    total = hashlib.blake2b(digest_size=16)
    if plane is not None:
        total.update(f"#{plane}".encode())
    try:
        for file in files:
            with file.open("rb") as stream:
                total.update(hashlib.file_digest(stream, "blake2b").digest())
    except OSError as error:
        raise PolytaskError(
            f"{path}: cannot be read ({error.strerror}); restore it or empty the cell"
        ) from None
    return total.hexdigest()


def measure_case(cohort: Cohort, case: Case, digest: str) -> CaseRecord:
    """Read the files of a case once and record what the rules need. `digest` is the result of `hash_case_files`."""
    images: dict[str, ImageRecord] = {}
    voxels: dict[str, VoxelRecord] = {}
    for name, spec in cohort.header.images.items():
        volumes, source = _read_channels(cohort, case, name, spec)
        if source is None:
            continue
        grid = next(iter(volumes.values())).grid
        stack = np.concatenate([v.array for v in volumes.values()])
        modalities = [spec.channels[c] for c in volumes]
        body = find_body_mask(stack, modalities)
        boxes: dict[CropRule, VoxelBox] = {
            "none": ((0,) * spec.dims, grid.shape),
            "nonzero": find_mask_box(find_nonzero_mask(stack)),
            "body": find_mask_box(body),
        }
        place = MaskPlacement(source, spec.dims == 3, spec.align == "resample", boxes)
        # Voxels in any known structure of this image; intensities are summarized over them and over the body.
        foreground = np.zeros(grid.shape, bool)
        for task_name, task in list_voxel_tasks(cohort.header):
            if task.image == name:
                record, mask = measure_voxel_task(task, voxel_source(cohort, case, task_name), place)
                if record is not None:
                    voxels[task_name] = record
                foreground |= mask
        images[name] = ImageRecord(
            source_shape=source.shape,
            source_spacing=tuple(round_number(s) for s in source.spacing),
            orientation="".join(str(c) for c in aff2axcodes(source.affine)[: spec.dims]),
            shape=grid.shape,
            spacing=tuple(round_number(s) for s in grid.spacing),
            physical=grid.physical,
            boxes=boxes,
            zeros=round_number(float((stack == 0).all(axis=0).mean()), 4),
            planes={c: [_summarize_plane(p, body, foreground) for p in v.array] for c, v in volumes.items()},
        )
    slides = measure_slides(cohort, case)
    return CaseRecord(digest=digest, subject=case.subject, images=images, voxels=voxels, slides=slides)


def _summarize_plane(values: npt.NDArray[np.generic], body: Mask, foreground: Mask) -> PlaneRecord:
    return PlaneRecord(body=summarize_values(values[body]), foreground=summarize_values(values[foreground]))


def _read_channels(
    cohort: Cohort, case: Case, name: str, spec: ImageInput
) -> tuple[dict[str, Volume], Grid | None]:
    """Read the channels of one image.

    Returns (channel → volume, grid). The volumes have the axis order of the store and lie on the grid of the first
    channel that exists; the grid is that of the first channel as its file has it, None when no channel exists.
    """
    volumes: dict[str, Volume] = {}
    first: Grid | None = None
    for channel, path in image_paths(cohort, case, name).items():
        if path is None:
            continue
        volume = read_image_file(path, spec.dims)
        planes = count_modality_planes(spec.channels[channel])
        if volume.array.shape[0] != planes:
            raise PolytaskError(
                f"{path}: {volume.array.shape[0]} planes, but channel {name}.{channel} is "
                f"{spec.channels[channel]} and has {planes}; run `polytask check` on the cohort"
            )
        first = first or volume.grid
        if spec.align == "resample" and not volume.grid.is_same_grid(first):
            volume = resample_volume(volume, first, 1)
        if volume.grid.shape != first.shape:
            raise PolytaskError(
                f"{path}: size {volume.grid.shape}, but the first channel has {first.shape}; "
                "run `polytask check` on the cohort"
            )
        volumes[channel] = orient_to_ras(Volume(volume.array, first))
    return volumes, first
