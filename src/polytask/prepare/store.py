"""The store: prepared arrays as .npy files that every process reads through memory maps.

store/store.json        geometry, cohort and content digests: written last, when all cases are there
store/KEY/meta.json     where the arrays came from and what is known
store/@shards/XX.json   the cases that have no file at all, see `shards`
store/KEY/image.INPUT.npy  whole.INPUT.npy  voxel.TASK.npy  region.TASK.npy  points.TASK.npy
                        bag.INPUT.npy  coords.INPUT.npy
                        voxel-runs.TASK.npy  region-runs.TASK.npy  instead, where masks are stored as runs
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from polytask.documents.document_errors import DocumentError
from polytask.documents.json_reader import read_json_object
from polytask.errors import PolytaskError
from polytask.images.file_names import make_file_name
from polytask.images.volume import Array, Grid
from polytask.prepare.mask_runs import MaskRuns
from polytask.prepare.plane_statistics import PlaneStatistics
from polytask.prepare.prepared_image import PreparedImage
from polytask.prepare.shards import read_bare_case
from polytask.prepare.slide_bags import PreparedBag

STORE_VERSION = 1
"""Version of the stored form. It goes up when that form changes, so that older stores are made again."""

MAX_KEPT_METAS = 2048
"""How many cases' `meta.json` a process keeps in memory, a few kilobytes each; the ones used last are kept."""

MAX_KEPT_FORMS = 16384
"""How many arrays' shapes and types a process keeps in memory, half a kilobyte each."""


def name_array_file(kind: str, name: str) -> str:
    """Make the file name of an array inside a case's folder."""
    return make_file_name(kind, detail=name, ending=".npy")


def map_stored_array(path: Path, mode: Literal["r", "c"]) -> Array:
    """Open a stored array as a memory map that never changes its file.

    Args:
        mode: `r` = read-only, `c` = changes stay in the memory of this process.
    """
    try:
        facts = path.stat()
        form = _read_array_form(os.fspath(path), facts.st_ino, facts.st_size, facts.st_mtime_ns)
        array: Array = np.memmap(path, form.dtype, mode, form.offset, form.shape, form.order)
    except (OSError, ValueError) as error:
        raise PolytaskError(
            f"{path}: cannot be read ({error}); expected a stored array: delete its folder and run "
            "`polytask prepare` again"
        ) from None
    return array


@dataclass(frozen=True)
class ArrayForm:
    """What the header of a stored array says, and where its values begin in the file."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    order: Literal["C", "F"]
    offset: int


@lru_cache(MAX_KEPT_FORMS)
def _read_array_form(path: str, inode: int, size: int, changed: int) -> ArrayForm:
    """Read the header of a stored array, which takes longer than to open its map.

    Only the form is kept. An open map would keep its file open too: a process may open few, and Windows replaces none.

    Args:
        path: the file. inode, size, changed: tell it from another one that took its place.
    """
    array = np.load(path, mmap_mode="r", allow_pickle=False)
    return ArrayForm(array.dtype, array.shape, "F" if array.flags.fnc else "C", array.offset)


class Arrays(Mapping[str, Array]):
    """The arrays of one kind of a case: name → read-only memory map.

    A map is opened when it is asked for and closed when nobody uses it anymore, so that open files do not pile up.
    """

    def __init__(self, folder: Path, kind: str, names: tuple[str, ...]):
        self._folder, self._kind, self._names = folder, kind, names

    def __getitem__(self, name: str) -> Array:
        if name not in self._names:
            raise KeyError(name)
        return map_stored_array(self._folder / name_array_file(self._kind, name), "r")

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


class StoredMasks(Mapping[str, Array | MaskRuns]):
    """The masks or regions of a case: task → memory map, or `MaskRuns` where they are stored as runs."""

    def __init__(self, folder: Path, kind: str, targets: Mapping[str, Any], dtype: npt.DTypeLike):
        self._dense, self._targets, self._dtype = Arrays(folder, kind, tuple(targets)), targets, dtype
        self._folder, self._kind = folder, kind

    def __getitem__(self, name: str) -> Array | MaskRuns:
        shape = self._targets[name].get("runs", {}).get(self._kind)
        if shape is None:
            return self._dense[name]
        runs = map_stored_array(self._folder / name_array_file(f"{self._kind}-runs", name), "r")
        return MaskRuns(runs, shape, self._dtype)

    def __iter__(self) -> Iterator[str]:
        return iter(self._targets)

    def __len__(self) -> int:
        return len(self._targets)


STORED_IMAGE_KEYS = {"grid", "whole_grid", "source_grid", "box", "channel_known", "statistics"}
STORED_TARGET_KEYS = {"known", "region"}
"""Keys that `meta.json` must have for every image (above) and for every target."""


@dataclass(frozen=True)
class StoredCase:
    """One prepared case of the store, read from its folder when asked for."""

    folder: Path

    @cached_property
    def meta(self) -> dict[str, Any]:
        """The content of the case's `meta.json`.

        Its keys are `images`, `targets`, `slides`, `sources` (sha256), `recipe` (digest of what the case was made
        from), `subject` and `content` (see `case_digests`). Stores of older versions lack the last two. It is shared by
        all who ask for this case, so nobody may change it.
        """
        path = self.folder / "meta.json"
        try:
            written = path.stat()
        except OSError:
            bare = read_bare_case(self.folder.parent, self.folder.name)
            # Without any file, reading says what is missing.
            return _read_case_meta(path) if bare is None else bare.meta
        return _read_kept_meta(path, written.st_mtime_ns, written.st_ino, written.st_size)

    @property
    def image(self) -> Arrays:
        """The images: input → `[C, *space]` at `spacing`. Inputs without any channel in this case are left out."""
        return Arrays(self.folder, "image", tuple(self.meta["images"]))

    @property
    def whole(self) -> Arrays:
        """The whole views: input → `[C, *space]` at `view_spacing` (field `both` only)."""
        return Arrays(
            self.folder, "whole", tuple(n for n, m in self.meta["images"].items() if m["whole_grid"])
        )

    @property
    def voxel(self) -> StoredMasks:
        """The targets: voxel task → uint8 label map `[*space]`, uint8 `[K, *space]` or float32 dose `[*space]`."""
        return StoredMasks(self.folder, "voxel", self.meta["targets"], np.uint8)

    @property
    def region(self) -> StoredMasks:
        """The regions where targets count: voxel task → bool `[*space]`. Tasks that count everywhere are left out."""
        limited = {task: target for task, target in self.meta["targets"].items() if target["region"]}
        return StoredMasks(self.folder, "region", limited, np.bool_)

    @property
    def points(self) -> Arrays:
        """The voxels to center patches on: voxel task → whole numbers `[n, 1 + dims]`, structure and position."""
        return Arrays(self.folder, "points", tuple(self.meta["targets"]))

    def bag(self, name: str) -> PreparedBag | None:
        """Return a slide input on memory maps; None when the case has no slide.

        The maps are copied on write. So torch accepts them as they are, and the file itself is never changed.
        """
        meta = self.meta.get("slides", {}).get(name)
        if meta is None:
            return None
        patches, coords = (
            map_stored_array(self.folder / name_array_file(kind, name), "c") for kind in ("bag", "coords")
        )
        return PreparedBag(patches, coords, int(meta["extent"]), int(meta["of"]))

    def known(self, task: str) -> tuple[bool, ...]:
        """Return for each structure whether its mask is known in this case; () when the task has no target at all."""
        return tuple(self.meta["targets"].get(task, {"known": ()})["known"])

    def prepared(self, name: str) -> PreparedImage | None:
        """Return an image input as `prepare_image` made it, on memory maps; None when no channel of it is there."""
        meta = self.meta["images"].get(name)
        if meta is None:
            return None
        whole = meta["whole_grid"]
        return PreparedImage(
            image=self.image[name],
            whole=self.whole[name] if whole else None,
            grid=grid_from_dict(meta["grid"]),
            whole_grid=grid_from_dict(whole) if whole else None,
            source_grid=grid_from_dict(meta["source_grid"]),
            box=(tuple(meta["box"][0]), tuple(meta["box"][1])),
            channel_known=tuple(meta["channel_known"]),
            statistics=tuple(PlaneStatistics(**s) for s in meta["statistics"]),
            places=tuple(tuple(place) for place in meta.get("places", ())),
        )


@lru_cache(maxsize=MAX_KEPT_METAS)
def _read_kept_meta(path: Path, modified_ns: int, inode: int, size: int) -> dict[str, Any]:
    """Read the `meta.json` of a case and keep it for the next time that the case is asked for.

    Args:
        modified_ns, inode, size: of the file. They are part of the cache's key, so that a case that was prepared again
            is read again.
    """
    return _read_case_meta(path)


def _read_case_meta(path: Path) -> dict[str, Any]:
    """Read the `meta.json` of a case, and check that images and targets have all their keys."""
    again = "run `polytask prepare` again"
    expected, remedy = "a case of the store", f"delete the folder and {again}"
    meta = read_json_object(path, expected, remedy, missing=again)
    if not (
        _all_have_keys(meta.get("images"), STORED_IMAGE_KEYS)
        and _all_have_keys(meta.get("targets"), STORED_TARGET_KEYS)
    ):
        raise PolytaskError(f"{path}: not {expected}; {remedy}")
    return meta


def _all_have_keys(section: object, keys: set[str]) -> bool:
    """Whether a section of `meta.json` is a mapping in which every entry has these keys."""
    return isinstance(section, dict) and all(
        isinstance(part, dict) and keys <= set(part) for part in section.values()
    )


@dataclass(frozen=True)
class Store:
    """The folder of prepared cases. This object holds only the path, so it costs nothing to send it to workers."""

    folder: Path

    def case(self, key: str) -> StoredCase:
        """Return a case by its `Case.key`; nothing is read yet."""
        return StoredCase(Path(self.folder) / key)

    # `cached_property` writes to `__dict__`, which a frozen dataclass allows.
    @cached_property
    def index(self) -> dict[str, Any]:
        """The content of `store.json`: `version`, `geometry`, `cohort`, `content` (digests) and `cases` (keys)."""
        path = Path(self.folder) / "store.json"
        try:
            return read_json_object(path, "a finished store")
        except DocumentError:
            raise PolytaskError(
                f"{path}: there is no finished store here; run `polytask prepare {Path(self.folder).parent}` first"
            ) from None

    @property
    def content(self) -> str:
        """One digest of everything that the store was made from, for the record of a run."""
        return str(self.index["content"])


def grid_to_dict(grid: Grid) -> dict[str, Any]:
    """Convert a grid to plain data, for `meta.json`."""
    # Written only where it is False: grids of older stores lack the key and count mm.
    unit = {} if grid.physical else {"physical": False}
    return {"shape": list(grid.shape), "affine": grid.affine.tolist(), **unit}


def grid_from_dict(fields: Mapping[str, Any]) -> Grid:
    """Make a grid from the plain data of `grid_to_dict`."""
    affine = np.array(fields["affine"], np.float64)
    return Grid(tuple(fields["shape"]), affine, bool(fields.get("physical", True)))
