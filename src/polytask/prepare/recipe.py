"""Describe all that a stored case is made from, with one digest: while it is unchanged, the case is not made again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from polytask.cohort import header
from polytask.cohort.cell_values import VoxelSource, image_paths, slide_path, voxel_source
from polytask.cohort.cohort import Case, Cohort
from polytask.images.plane_paths import find_source_file, split_plane_path
from polytask.kinds import find_voxel_kind
from polytask.plan.plan_schema import ImagePlan, Plan, SlidePlan
from polytask.prepare.finding_places import ensure_place_columns
from polytask.prepare.store import STORE_VERSION

STORED_IMAGE_FIELDS = {"dims", "channels", "orientation", "crop", "resize", "spacing", "view_spacing"}
"""Fields of an `ImagePlan` that decide what is stored. The others only decide how stored arrays are used."""

STORED_SLIDE_FIELDS = {"features", "patch", "mpp", "downsample", "tissue", "most"}
"""Fields of a `SlidePlan` that decide what is stored."""


@dataclass(frozen=True)
class ImageSources:
    """The files of one image input: channel → file, and what the table says about crop box and places of findings."""

    paths: dict[str, Path | None]
    box: str | None
    box_path: Path | None
    places: str | None = None
    places_path: Path | None = None


@dataclass(frozen=True)
class Recipe:
    """Everything that is needed to make one case, as plain data that can be sent to another process.

    Args:
        key: `Case.key`, the name of the case's folder in the store.
        where: names the case in errors.
        plans: image input → its plan.
        aligns: image input → `strict` or `resample`.
        images: image input → its files.
        tasks: voxel task → its entry in the header.
        targets: voxel task → its files, for the tasks that are known in this case.
        geometry: digest of the stored form, see `digest_stored_geometry`.
        slides: slide input → its file.
        cuts: slide input → its plan.
        subject: the subject's id.
    """

    key: str
    where: str
    plans: dict[str, ImagePlan]
    aligns: dict[str, Any]
    images: dict[str, ImageSources]
    tasks: dict[str, header.VoxelSpec]
    targets: dict[str, VoxelSource]
    geometry: str
    slides: dict[str, Path] = field(default_factory=dict)
    cuts: dict[str, SlidePlan] = field(default_factory=dict)
    subject: str = ""

    @property
    def has_no_files(self) -> bool:
        """Whether no file is read and no array stored: no image, mask or slide of it is known."""
        return not self.files

    @property
    def files(self) -> list[Path]:
        """All source files, sorted, each once."""
        files = {
            p
            for s in self.images.values()
            for p in (*s.paths.values(), s.box_path, s.places_path)
            if p is not None
        }
        for source in self.targets.values():
            files |= {p for p in (*source.paths, source.region) if p is not None}
        files |= {part for path in self.slides.values() for part in (path, path.with_suffix(""))
                  if part == path or (path.suffix.lower() == ".mrxs" and part.is_dir())}  # fmt: skip
        return sorted(files)

    def digest(self, hashes: dict[str, str]) -> str:
        """Compute the digest of geometry, flags and the content of the source files.

        Args:
            hashes: file → sha256, see `hash_files`.
        """
        images = {
            name: [
                {c: hashes.get(str(p), "") for c, p in s.paths.items()},
                s.box,
                hashes.get(str(s.box_path), ""),
                # Left out where there are none, so that the digest of a case without places has one form.
                *([s.places, hashes.get(str(s.places_path), "")] if s.places else []),
            ]
            for name, s in self.images.items()
        }
        targets = {
            name: [[hashes.get(str(p), "") for p in (*s.paths, s.region)], list(s.known), list(s.absent)]
            for name, s in self.targets.items()
        }
        slides = {
            name: [hashes[str(p)], hashes.get(str(p.with_suffix("")))] for name, p in self.slides.items()
        }
        # Slides are left out where there are none, so that the digest of a case without slides has one form.
        return digest_plain_data([self.geometry, images, targets, *([slides] if slides else [])])


def make_recipe(cohort: Cohort, case: Case, plan: Plan) -> Recipe:
    """Make the recipe of one case of the table."""
    return next(make_recipes(cohort, [case], plan))


def make_recipes(cohort: Cohort, cases: Iterable[Case], plan: Plan) -> Iterator[Recipe]:
    """Make the recipes of several cases. What all of them share is computed once."""
    plans, cuts = dict(plan.shared.images), dict(plan.shared.slides)
    ensure_place_columns(cohort, plans)
    aligns = {name: cohort.header.images[name].align for name in plans}
    tasks, geometry = select_voxel_tasks(cohort.header), digest_stored_geometry(cohort.header, plan)
    for case in cases:
        images = {name: _find_image_sources(cohort, case, name, image) for name, image in plans.items()}
        sources = {name: voxel_source(cohort, case, name) for name in tasks}
        targets = {
            name: s
            for name, s in sources.items()
            if s is not None and any(s.known) and any(images[tasks[name].image].paths.values())
        }
        yield Recipe(
            key=case.key,
            where=f"subject {case.subject}" + (f", visit {case.visit}" if case.visit else ""),
            plans=plans,
            aligns=aligns,
            images=images,
            tasks=tasks,
            targets=targets,
            geometry=geometry,
            slides={n: p for n in cuts if (p := slide_path(cohort, case, n)) is not None},
            cuts=cuts,
            subject=case.subject,
        )


def _find_image_sources(cohort: Cohort, case: Case, name: str, image: ImagePlan) -> ImageSources:
    """Find the files of one image input of a case, and its crop box if the plan crops by one."""
    paths = dict(image_paths(cohort, case, name))
    box = _read_place_cell(cohort, case, image.crop.column if image.crop.rule == "box" else None)
    return ImageSources(paths, *box, *_read_place_cell(cohort, case, image.roi.column if image.roi else None))


def _read_place_cell(cohort: Cohort, case: Case, column: str | None) -> tuple[str | None, Path | None]:
    """Read a cell that says where something lies: the cell, and the file that it names if there is one."""
    cell = case.cells.get(column) if column else None
    path = cohort.path(cell) if cell else None
    return cell, path if path is not None and path.is_file() else None


def select_voxel_tasks(of: header.Header) -> dict[str, header.VoxelSpec]:
    """Select the tasks of a header that have a value per voxel: name → task."""
    return {n: t for n, t in of.tasks.items() if isinstance(t, header.VoxelSpec)}


def digest_stored_geometry(of: header.Header, plan: Plan) -> str:
    """Compute the digest of all that plan and header say about the stored form; it is the same for all cases."""
    images = {
        name: image.model_dump(mode="json", include=STORED_IMAGE_FIELDS) | {"both": image.field == "both"}
        for name, image in plan.shared.images.items()
    }
    for image in images.values():
        # Left out where it is not used, so that cases of earlier versions are kept.
        if image["resize"] is None:
            image.pop("resize")
        # Without a stored whole view, its spacing may change without making cases again.
        if not image["both"]:
            image.pop("view_spacing")
    for name, planned in plan.shared.images.items():
        if planned.roi and planned.roi.column:
            images[name]["places"] = [planned.roi.column, planned.roi.count]
    aligns = {name: image.align for name, image in of.images.items()}
    tasks = {
        name: task.model_dump(mode="json", include=set(find_voxel_kind(task.kind).stored_fields))
        for name, task in select_voxel_tasks(of).items()
    }
    cuts = {
        name: slide.model_dump(mode="json", include=STORED_SLIDE_FIELDS)
        for name, slide in plan.shared.slides.items()
    }
    return digest_plain_data([STORE_VERSION, images, aligns, tasks, *([cuts] if cuts else [])])


def digest_plain_data(data: object) -> str:
    """Compute the sha256 of plain data as compact JSON. The order of keys counts, because it is the order of planes."""
    return hashlib.sha256(json.dumps(data, separators=(",", ":"), default=str).encode()).hexdigest()


def hash_files(files: Sequence[Path], where: str) -> dict[str, str]:
    """Compute the sha256 of the content of each file: path → hash. A folder is hashed as all its files together.

    Args:
        where: names the case in errors.
    """
    from polytask.errors import PolytaskError

    hashes: dict[str, str] = {}
    for path in files:
        file = find_source_file(path)
        parts = sorted(p for p in file.rglob("*") if p.is_file()) if file.is_dir() else [file]
        total = hashlib.sha256()
        # Two planes of one file have the same bytes but are different sources.
        if (plane := split_plane_path(path)[1]) is not None:
            total.update(f"#{plane}".encode())
        for part in parts:
            try:
                with part.open("rb") as stream:
                    total.update(hashlib.file_digest(stream, "sha256").digest())
            except OSError as error:
                raise PolytaskError(
                    f"{where}: {part} cannot be read ({error.strerror}); correct the path in the table"
                ) from None
        hashes[str(path)] = total.hexdigest()
    return hashes
