"""Measures one case: geometry, crop boxes and intensities.

Only this file, `measure_structures.py` and `measure_slides.py` read pixels during planning.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import numpy.typing as npt
from nibabel.orientations import aff2axcodes

from polytask.cohort.cohort import Case, Cohort
from polytask.cohort.header import ImageInput, planes_of
from polytask.cohort.values import image_paths, slide_path, voxel_source
from polytask.errors import PolytaskError
from polytask.images.formats import read
from polytask.images.geometry import canonical, resample
from polytask.images.planes import source_file, split_plane
from polytask.images.volume import Grid, Volume
from polytask.kinds.reasons import round_number
from polytask.plan.boxes import Box, Mask, body_mask, box_around, nonzero_mask
from polytask.plan.measure_slides import measure_slides
from polytask.plan.records import VERSION, CaseRecord, Crops, ImageRecord, PlaneRecord, VoxelRecord
from polytask.plan.sketch import summarise
from polytask.plan.structures import Place, measure_task, voxel_tasks


def case_digest(cohort: Cohort, case: Case) -> str:
    """Hash the bytes of every file that a case names, together with what the header says about them."""
    total = hashlib.sha256(str(VERSION).encode())
    for name, spec in cohort.header.images.items():
        total.update(f"\n{name} {spec.model_dump_json()}".encode())
        for channel, path in image_paths(cohort, case, name).items():
            total.update(f"\n{channel} {_content(path)}".encode())
    for name, task in voxel_tasks(cohort.header):
        total.update(f"\n{name} {task.model_dump_json()}".encode())
        source = voxel_source(cohort, case, name)
        if source is not None:
            total.update(f"\n{source.known} {source.absent} {_content(source.region)}".encode())
            for path in source.paths:
                total.update(f"\n{_content(path)}".encode())
    for name, slide in cohort.header.slides.items():
        total.update(
            f"\n{name} {slide.model_dump_json()} {_content(slide_path(cohort, case, name))}".encode()
        )
    return total.hexdigest()[:32]


def _content(path: Path | None) -> str:
    """Hash a file, or all files of a folder with a DICOM series; "-" for an empty cell."""
    if path is None:
        return "-"
    source, plane = source_file(path), split_plane(path)[1]
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
        volumes, source = _channels(cohort, case, name, spec)
        if source is None:
            continue
        grid = next(iter(volumes.values())).grid
        stack = np.concatenate([v.array for v in volumes.values()])
        modalities = [spec.channels[c] for c in volumes]
        body = body_mask(stack, modalities)
        boxes: dict[Crops, Box] = {
            "none": ((0,) * spec.dims, grid.shape),
            "nonzero": box_around(nonzero_mask(stack)),
            "body": box_around(body),
        }
        place = Place(source, spec.dims == 3, spec.align == "resample", boxes)
        # Voxels in any known structure of this image; intensities are summarized over them and over the body.
        foreground = np.zeros(grid.shape, bool)
        for task_name, task in voxel_tasks(cohort.header):
            if task.image == name:
                record, mask = measure_task(task, voxel_source(cohort, case, task_name), place)
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
            planes={c: [_plane(p, body, foreground) for p in v.array] for c, v in volumes.items()},
        )
    slides = measure_slides(cohort, case)
    return CaseRecord(digest=digest, subject=case.subject, images=images, voxels=voxels, slides=slides)


def _plane(values: npt.NDArray[np.generic], body: Mask, foreground: Mask) -> PlaneRecord:
    return PlaneRecord(body=summarise(values[body]), foreground=summarise(values[foreground]))


def _channels(
    cohort: Cohort, case: Case, name: str, spec: ImageInput
) -> tuple[dict[str, Volume], Grid | None]:
    """Read the channels of one image.

    Returns (channel → volume, grid). The volumes have the axis order of the store and lie on the grid of the first
    channel that exists; the grid is that of the first channel as its file has it, None when no channel exists.
    """
    found: dict[str, Volume] = {}
    first: Grid | None = None
    for channel, path in image_paths(cohort, case, name).items():
        if path is None:
            continue
        volume = read(path, spec.dims)
        planes = planes_of(spec.channels[channel])
        if volume.array.shape[0] != planes:
            raise PolytaskError(
                f"{path}: {volume.array.shape[0]} planes, but channel {name}.{channel} is "
                f"{spec.channels[channel]} and has {planes}; run `polytask check` on the cohort"
            )
        first = first or volume.grid
        if spec.align == "resample" and not volume.grid.same(first):
            volume = resample(volume, first, 1)
        if volume.grid.shape != first.shape:
            raise PolytaskError(
                f"{path}: size {volume.grid.shape}, but the first channel has {first.shape}; "
                "run `polytask check` on the cohort"
            )
        found[channel] = canonical(Volume(volume.array, first))
    return found, first
