"""Make one case of the store from its files, whole or not at all."""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from polytask.atomic_files import create_folder_atomically
from polytask.documents.json_reader import find_json_object
from polytask.errors import PolytaskError
from polytask.images.formats import read_image_file
from polytask.images.volume import Array, Volume
from polytask.leftovers import HALF_WRITTEN_PREFIX
from polytask.prepare.case_digests import digest_slide, digest_volumes
from polytask.prepare.crop_boxes import parse_box_cell
from polytask.prepare.finding_places import Place, parse_place_cell
from polytask.prepare.mask_runs import MaskForm, encode_mask_runs
from polytask.prepare.prepared_image import PreparedImage, prepare_image
from polytask.prepare.recipe import Recipe, hash_files
from polytask.prepare.slide_bags import StreamedArray, prepare_unread_bag
from polytask.prepare.store import STORE_VERSION, grid_to_dict, name_array_file
from polytask.prepare.stored_targets import StoredTarget, prepare_target
from polytask.prepare.target_frame import TargetFrame

CaseResult = tuple[str, int, bool]
"""Digest of a case's recipe, bytes of its arrays, and whether it was made now."""


class NotStoredError(Exception):
    """Raised when the disk refused a case of `needed` bytes."""

    def __init__(self, error: OSError, needed: int):
        super().__init__(error, needed)
        self.error, self.needed = error, needed


def is_case_stored(
    recipe: Recipe, store: Path, hashes: dict[str, str], masks: MaskForm | None = None
) -> bool:
    """Whether the store already holds the case exactly as this recipe would make it.

    Args:
        masks: the form that its masks must have; None: any.
    """
    meta = find_json_object(store / recipe.key / "meta.json")
    if "recipe" not in meta or meta["recipe"] != recipe.digest(hashes):
        return False
    return masks is None or not recipe.targets or meta.get("masks", "dense") == masks


def make_case(recipe: Recipe, store: Path, masks: MaskForm | None = None) -> CaseResult:
    """Make one case from its files and store it, unless it is there already.

    Args:
        masks: the form of its masks; None: a case that is there keeps its own, a new one is dense.
    """
    hashes = hash_files(recipe.files, recipe.where)
    if is_case_stored(recipe, store, hashes, masks):
        size = sum(p.stat().st_size for p in (store / recipe.key).iterdir())
        return recipe.digest(hashes), size, False
    images: dict[str, PreparedImage] = {}
    content: dict[str, str] = {}
    for name in recipe.images:
        volumes = read_case_channels(recipe, name)
        # Digested as read, before crop and resampling, so that the digest does not depend on the plan.
        content |= digest_volumes({f"{name}.{c}": v for c, v in volumes.items()})
        if (image := prepare_case_image(recipe, name, volumes)) is not None:
            images[name] = image
        del volumes  # before masks are read
    for name, path in recipe.slides.items():
        content[name] = digest_slide(path, recipe.cuts[name].features is not None, hashes)
    targets = {
        name: _make_stored_target(recipe, name, images[recipe.tasks[name].image]) for name in recipe.targets
    }
    slides = {
        n: prepare_unread_bag(p, recipe.cuts[n], f"{recipe.where}, {n}") for n, p in recipe.slides.items()
    }
    arrays: dict[str, Array | StreamedArray] = {}
    for name, image in images.items():
        arrays[name_array_file("image", name)] = image.image
        if image.whole is not None:
            arrays[name_array_file("whole", name)] = image.whole
    described: dict[str, dict[str, Any]] = {}
    for name, target in targets.items():
        arrays[name_array_file("points", name)] = target.points
        shapes = _add_target_masks(arrays, name, target, as_runs=masks == "runs")
        described[name] = {"known": list(target.known), "region": target.region is not None, **shapes}
    for name, slide in slides.items():
        arrays[name_array_file("bag", name)], arrays[name_array_file("coords", name)] = (
            slide.patches,
            slide.coords,
        )
    meta = {
        "version": STORE_VERSION,
        "recipe": recipe.digest(hashes),
        "sources": hashes,
        "subject": recipe.subject,
        "content": content,
        "images": {name: _describe_stored_image(image) for name, image in images.items()},
        "targets": described,
        "slides": {n: {"extent": s.extent, "of": s.of} for n, s in slides.items()},
        # Left out where they are dense: a store from before has no such key.
        **({"masks": masks} if masks == "runs" else {}),
    }
    write_case_folder(store, recipe.key, arrays, meta)
    return str(meta["recipe"]), sum(a.nbytes for a in arrays.values()), True


def _add_target_masks(
    arrays: dict[str, Array | StreamedArray], name: str, target: StoredTarget, as_runs: bool
) -> dict[str, Any]:
    """Add the mask and the region of a target to the arrays of its case, by file name.

    Returns:
        what `meta.json` says of them beside `known` and `region`: the shapes of those that are stored as runs.
    """
    shapes = {}
    for kind, mask in (("voxel", target.value), ("region", target.region)):
        if mask is None:
            continue
        # A dose has no runs: its values change from voxel to voxel.
        runs = encode_mask_runs(mask) if as_runs and mask.dtype.kind != "f" else None
        if runs is None:
            arrays[name_array_file(kind, name)] = mask
        else:
            arrays[name_array_file(f"{kind}-runs", name)] = runs
            shapes[kind] = list(mask.shape)
    return {"runs": shapes} if shapes else {}


def write_case_folder(
    store: Path, key: str, arrays: Mapping[str, Array | StreamedArray], meta: dict[str, Any]
) -> None:
    """Write a case into a folder of another name, then rename it: a reader sees the old case, the new one, or none."""
    half = store / f"{HALF_WRITTEN_PREFIX}{key}"
    needed = sum(a.nbytes + 128 for a in arrays.values())
    try:
        with create_folder_atomically(store / key, half):
            # Fail before gigabytes are written, and with the size that would be needed.
            if shutil.disk_usage(store).free < needed:
                raise OSError(errno.ENOSPC, "No space left on device")
            # All files are flushed to the disk, so the renamed folder is whole even after a power failure.
            for name, array in arrays.items():
                with (half / name).open("xb") as stream:
                    if isinstance(array, StreamedArray):
                        array.write(stream)
                    else:
                        np.save(stream, np.ascontiguousarray(array), allow_pickle=False)
                    stream.flush()
                    os.fsync(stream.fileno())
            with (half / "meta.json").open("x", encoding="utf-8") as text:
                json.dump(meta, text)
                text.flush()
                os.fsync(text.fileno())
    except OSError as error:
        raise NotStoredError(error, needed) from error


def make_storage_error(error: OSError, place: Path, needed: int, what: str) -> PolytaskError:
    """Make the error for a disk that refused `needed` bytes, in words for people.

    Args:
        what: the thing that could not be stored, as a plural.
    """
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        free = shutil.disk_usage(place).free
        return PolytaskError(
            f"{place}: disk full; {what} need {needed / 1e6:.1f} MB and {free / 1e6:.1f} MB are free; "
            "make room and run the same command again, finished cases are kept"
        )
    return PolytaskError(
        f"{place}: cannot be written ({error.strerror or error}); expected a writable folder; "
        "change its permissions or choose another work folder"
    )


def read_case_channels(recipe: Recipe, name: str) -> dict[str, Volume]:
    """Read the channels of an image input that are there: channel → volume."""
    plan = recipe.plans[name]
    paths = recipe.images[name].paths
    return {
        channel: read_image_file(path, dims=plan.dims) for channel, path in paths.items() if path is not None
    }


def read_case_image(recipe: Recipe, name: str) -> PreparedImage | None:
    """Read and prepare one image input of a case; None when it has none of its channels."""
    return prepare_case_image(recipe, name, read_case_channels(recipe, name))


def prepare_case_image(recipe: Recipe, name: str, volumes: Mapping[str, Volume]) -> PreparedImage | None:
    """Prepare one image input of a case from its channels; None when there are none."""
    sources, plan = recipe.images[name], recipe.plans[name]
    first = next((v for c in plan.channels if (v := volumes.get(c)) is not None), None)
    if first is None:
        return None
    where = f"{recipe.where}, {name}"
    box = None
    if sources.box:
        box = parse_box_cell(sources.box, sources.box_path or Path(sources.box), first.grid, where)
    places: list[Place] = []
    if sources.places and plan.roi:
        path = sources.places_path or Path(sources.places)
        places = parse_place_cell(sources.places, path, first.grid, plan.roi.count, where)
    return prepare_image(volumes, plan, box, recipe.aligns[name], where, places)


def _make_stored_target(recipe: Recipe, name: str, image: PreparedImage) -> StoredTarget:
    """Read one voxel target of a case and bring it to the stored grid of its image."""
    task, source = recipe.tasks[name], recipe.targets[name]
    oriented = recipe.plans[task.image].orientation == "RAS"
    frame = TargetFrame(image, oriented, recipe.aligns[task.image], f"{recipe.where}, {name}")
    return prepare_target(task, source.paths, source.known, source.region, frame)


def _describe_stored_image(image: PreparedImage) -> dict[str, Any]:
    """Return what `meta.json` says of an image: grids, crop box, known channels, statistics."""
    return {
        "source_grid": grid_to_dict(image.source_grid),
        "box": [list(image.box[0]), list(image.box[1])],
        "grid": grid_to_dict(image.grid),
        "whole_grid": None if image.whole_grid is None else grid_to_dict(image.whole_grid),
        "channel_known": list(image.channel_known),
        "statistics": [s.as_dict() for s in image.statistics],
        # Left out where there are none: a store from before has no such key.
        **({"places": [list(place) for place in image.places]} if image.places else {}),
    }
