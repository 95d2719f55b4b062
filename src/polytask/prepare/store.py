"""The store: prepared arrays as .npy files that every process reads through memory maps.

store/store.json        geometry, cohort and content digests: written last, when all cases are there
store/KEY/meta.json     where the arrays came from and what is known
store/@shards/XX.json   the cases that have no file at all, see `shards`
store/KEY/image.INPUT.npy  whole.INPUT.npy  voxel.TASK.npy  region.TASK.npy  points.TASK.npy
                        bag.INPUT.npy  coords.INPUT.npy
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np

from polytask.documents.fault import DocumentError
from polytask.documents.json_reader import read_json_object
from polytask.errors import PolytaskError
from polytask.images.file_names import make_file_name
from polytask.images.volume import Array, Grid
from polytask.prepare.image import PreparedImage
from polytask.prepare.plane_statistics import PlaneStatistics
from polytask.prepare.shards import read_bare_case
from polytask.prepare.slide import PreparedBag

VERSION = 1
"""Raise it when the stored form changes: older stores are then made anew."""


def array_file(kind: str, name: str) -> str:
    """File name of an array inside a case's folder."""
    return make_file_name(kind, detail=name, ending=".npy")


def read_array(path: Path, mode: Literal["r", "c"]) -> Array:
    """A stored array as a memory map that leaves its file alone: read-only, or with private changes."""
    try:
        array: Array = np.load(path, mmap_mode=mode, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise PolytaskError(
            f"{path}: cannot be read ({error}); expected a stored array: delete its folder and run "
            "`polytask prepare` again"
        ) from None
    return array


class Arrays(Mapping[str, Array]):
    """Name → read-only memory map, opened when asked for and closed when let go (so open files do not pile up)."""

    def __init__(self, folder: Path, kind: str, names: tuple[str, ...]):
        self._folder, self._kind, self._names = folder, kind, names

    def __getitem__(self, name: str) -> Array:
        if name not in self._names:
            raise KeyError(name)
        return read_array(self._folder / array_file(self._kind, name), "r")

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


IMAGE_KEYS = {"grid", "whole_grid", "source_grid", "box", "channel_known", "statistics"}
TARGET_KEYS = {"known", "region"}
"""What `meta.json` says of every image and of every target."""


@dataclass(frozen=True)
class StoredCase:
    """One prepared case."""

    folder: Path

    @cached_property
    def meta(self) -> dict[str, Any]:
        """`meta.json`: `images`, `targets`, `slides`, `sources` (sha256), `recipe` (what the case was made from),
        `subject` and `content` (see `prepare.content`); stores of older versions lack these two."""
        if not (self.folder / "meta.json").exists():
            bare = read_bare_case(self.folder.parent, self.folder.name)
            if bare is not None:
                return bare.meta
        again = "run `polytask prepare` again"
        path, what, remedy = (
            self.folder / "meta.json",
            "a case of the store",
            f"delete the folder and {again}",
        )
        found = read_json_object(path, what, remedy, missing=again)
        if not (
            _has_parts(found.get("images"), IMAGE_KEYS) and _has_parts(found.get("targets"), TARGET_KEYS)
        ):
            raise PolytaskError(f"{path}: not {what}; {remedy}")
        return found

    @property
    def image(self) -> Arrays:
        """Input → `[C, *space]` at `spacing`. An input without any channel in this case is not in it."""
        return Arrays(self.folder, "image", tuple(self.meta["images"]))

    @property
    def whole(self) -> Arrays:
        """Input → `[C, *space]` at `view_spacing` (field `both` only)."""
        return Arrays(
            self.folder, "whole", tuple(n for n, m in self.meta["images"].items() if m["whole_grid"])
        )

    @property
    def voxel(self) -> Arrays:
        """Voxel task → uint8 label map `[*space]`, uint8 `[K, *space]`, or float32 dose `[*space]`."""
        return Arrays(self.folder, "voxel", tuple(self.meta["targets"]))

    @property
    def region(self) -> Arrays:
        """Voxel task → bool `[*space]` where it counts; a task that counts everywhere is not in it."""
        return Arrays(self.folder, "region", tuple(t for t, m in self.meta["targets"].items() if m["region"]))

    @property
    def points(self) -> Arrays:
        """Voxel task → int32 `[n, 1 + dims]`: structure and voxel, for patches."""
        return Arrays(self.folder, "points", tuple(self.meta["targets"]))

    def bag(self, name: str) -> PreparedBag | None:
        """A slide input on memory maps; None when the case has no slide.

        The maps are private copies on write, which torch takes without copying; the file itself is never changed.
        """
        meta = self.meta.get("slides", {}).get(name)
        if meta is None:
            return None
        patches, coords = (
            read_array(self.folder / array_file(kind, name), "c") for kind in ("bag", "coords")
        )
        return PreparedBag(patches, coords, int(meta["extent"]), int(meta["of"]))

    def known(self, task: str) -> tuple[bool, ...]:
        """Per structure, whether its mask is known in this case; empty when nothing is."""
        return tuple(self.meta["targets"].get(task, {"known": ()})["known"])

    def prepared(self, name: str) -> PreparedImage | None:
        """An image input as `prepare_image` made it, on memory maps; None when the case has none of its channels."""
        meta = self.meta["images"].get(name)
        if meta is None:
            return None
        whole = meta["whole_grid"]
        return PreparedImage(
            image=self.image[name],
            whole=self.whole[name] if whole else None,
            grid=grid_from(meta["grid"]),
            whole_grid=grid_from(whole) if whole else None,
            source_grid=grid_from(meta["source_grid"]),
            box=(tuple(meta["box"][0]), tuple(meta["box"][1])),
            channel_known=tuple(meta["channel_known"]),
            statistics=tuple(PlaneStatistics(**s) for s in meta["statistics"]),
        )


def _has_parts(found: object, keys: set[str]) -> bool:
    """Whether each part of a section of `meta.json` has these keys."""
    return isinstance(found, dict) and all(
        isinstance(part, dict) and keys <= set(part) for part in found.values()
    )


@dataclass(frozen=True)
class Store:
    """The folder of prepared cases. It holds a path only, so it travels to workers for nothing."""

    folder: Path

    def case(self, key: str) -> StoredCase:
        """A case by its `Case.key`."""
        return StoredCase(Path(self.folder) / key)

    @cached_property
    def index(self) -> dict[str, Any]:
        """`store.json`: `version`, `geometry`, `cohort`, `content` (digests) and `cases` (keys)."""
        path = Path(self.folder) / "store.json"
        try:
            return read_json_object(path, "a finished store")
        except DocumentError:
            raise PolytaskError(
                f"{path}: there is no finished store here; run `polytask prepare {Path(self.folder).parent}` first"
            ) from None

    @property
    def content(self) -> str:
        """One digest over everything the store was made from: for the record of a run."""
        return str(self.index["content"])


def grid_dict(grid: Grid) -> dict[str, Any]:
    """Plain form of a grid."""
    unit = {} if grid.physical else {"physical": False}
    return {"shape": list(grid.shape), "affine": grid.affine.tolist(), **unit}


def grid_from(plain: Mapping[str, Any]) -> Grid:
    """Back from `grid_dict`."""
    affine = np.array(plain["affine"], np.float64)
    return Grid(tuple(plain["shape"]), affine, bool(plain.get("physical", True)))
