"""Read bags of patch features that another network computed. `.npz`, `.h5` and `.pt` files give the same arrays."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from polytask.errors import PolytaskError
from polytask.images.size_limits import MAX_DEFLATE_RATIO, check_byte_count
from polytask.images.torch_file import read_torch_file
from polytask.images.volume import Array

EXPECTED_BAG_CONTENT = "`features` [patches, width] and optionally `coords` [patches, 2]"


@dataclass(frozen=True)
class Bag:
    """The patch features of one slide, and where the patches lie on it.

    Args:
        features: `[P, F]`, float16 where the file has float16, else float32; P is at least 1.
        coords: `[P, 2]` x and y in pixels of the slide's finest level; None when the file has no coordinates.
    """

    features: Array
    coords: npt.NDArray[np.int32] | None


def read_bag(path: Path | str) -> Bag:
    """Read the bag in a file. Sizes are checked before memory is taken, and no code from the file is run."""
    path = Path(path)
    reader = find_bag_reader(path)
    try:
        arrays = reader(path)
    except OSError as error:
        raise PolytaskError(
            f"{path}: cannot be read ({error.strerror or error}); expected {EXPECTED_BAG_CONTENT}; write the file again"
        ) from None
    return _build_bag(path, arrays)


def find_bag_reader(path: Path) -> Callable[[Path], dict[str, Array]]:
    """Return the function that reads this file, chosen by its ending. Raises when the file is missing or unknown."""
    if not path.is_file():
        raise PolytaskError(f"{path}: no such file; expected a bag of features; correct the path")
    reader = next((r for e, r in BAG_READERS.items() if path.name.lower().endswith(e)), None)
    if reader is None:
        raise PolytaskError(
            f"{path}: unknown kind of bag; expected one of {', '.join(BAG_READERS)}; for a whole slide leave "
            "`features` out of the header"
        )
    return reader


def _build_bag(path: Path, arrays: dict[str, Array]) -> Bag:
    """Check the arrays of a file (`features`, optionally `coords`) and make a `Bag` of them."""
    features, coords = arrays.get("features"), arrays.get("coords")
    if features is None:
        names = ", ".join(arrays) or "nothing"
        raise PolytaskError(f"{path}: holds {names}; expected {EXPECTED_BAG_CONTENT}; write the file again")
    # Some feature extractors store a leading batch axis of length one.
    if features.ndim == 3 and features.shape[0] == 1:
        features = features[0]
    if features.ndim != 2 or features.dtype.kind not in "fiu":
        raise PolytaskError(
            f"{path}: `features` is {list(features.shape)} {features.dtype}; expected numbers [patches, width]; write "
            "one row per patch"
        )
    if not features.shape[0] or not features.shape[1]:
        raise PolytaskError(f"{path}: holds no patch; expected at least one; leave the cell empty")
    if features.dtype != np.float16:
        features = features.astype(np.float32, copy=False)
    if not np.isfinite(features).all():
        raise PolytaskError(
            f"{path}: NaN or Inf among the features; expected finite numbers; compute them again"
        )
    return Bag(features, None if coords is None else _check_coords(path, coords, len(features)))


def _check_coords(path: Path, coords: Array, count: int) -> npt.NDArray[np.int32]:
    """Check the coordinates of `count` patches and return them as int32 `[count, 2]`."""
    if coords.ndim == 3 and coords.shape[0] == 1:
        coords = coords[0]
    top = np.iinfo(np.int32).max
    if coords.ndim != 2 or coords.shape[0] != count or coords.shape[1] < 2 or coords.dtype.kind not in "fiu":
        raise PolytaskError(
            f"{path}: `coords` is {list(coords.shape)} for {count} patches; expected [{count}, 2]; "
            "correct it or leave it out"
        )
    pairs = coords[:, :2]
    # A number beyond int32 would wrap around silently in the conversion below.
    if not np.isfinite(pairs).all() or float(np.abs(pairs).max()) > top:
        raise PolytaskError(
            f"{path}: `coords` holds numbers that are not positions on a slide; expected x and y in pixels; "
            "correct it or leave it out"
        )
    return np.rint(pairs).astype(np.int32)


def _read_npz(path: Path) -> dict[str, Array]:
    """Read the arrays of an .npz file. The header of each array is checked before the array itself is read."""
    arrays: dict[str, Array] = {}
    try:
        with zipfile.ZipFile(path) as archive:
            for name in ("features", "coords"):
                if f"{name}.npy" in archive.namelist():
                    # `read_array` takes memory for whatever the header claims, so the claim is checked first.
                    with archive.open(f"{name}.npy") as stream:
                        version = np.lib.format.read_magic(stream)
                        read = (
                            np.lib.format.read_array_header_1_0
                            if version == (1, 0)
                            else np.lib.format.read_array_header_2_0
                        )
                        shape, _, dtype = read(stream)
                    _check_stored_size(
                        path, math.prod(shape) * dtype.itemsize, archive.getinfo(f"{name}.npy").compress_size
                    )
                    with archive.open(f"{name}.npy") as stream:
                        arrays[name] = np.lib.format.read_array(stream, allow_pickle=False)
    except (PolytaskError, OSError):
        raise
    except Exception as error:  # a damaged file leads its parser to any error at all
        reason = " ".join(str(error).split())
        raise PolytaskError(
            f"{path}: cannot be read as npz ({reason}); expected {EXPECTED_BAG_CONTENT}; write it with numpy.savez"
        ) from None
    return arrays


def _read_hdf5(path: Path) -> dict[str, Array]:
    """Read the data sets of an HDF5 file. Links to other files are not followed."""
    try:
        import h5py
    except ImportError:
        raise PolytaskError(
            f"{path}: HDF5 files need h5py, which is not installed; expected the extra `slides`; "
            "pip install 'polytask[slides]'"
        ) from None
    arrays: dict[str, Array] = {}
    try:
        with h5py.File(path, "r") as file:
            for name in ("features", "coords"):
                # An external link, external storage or a virtual data set could read any file of this machine.
                if not isinstance(file.get(name, getlink=True), h5py.HardLink):
                    continue
                data = file[name]
                if not isinstance(data, h5py.Dataset) or data.external or data.is_virtual:
                    continue
                # A data set without a shape holds nothing.
                if data.shape is None or data.dtype.kind not in "fiu":
                    continue
                _check_stored_size(
                    path, math.prod(data.shape) * data.dtype.itemsize, data.id.get_storage_size()
                )
                arrays[name] = data[...]
    except PolytaskError:
        raise
    except Exception as error:  # a damaged file leads its parser to any error at all
        reason = " ".join(str(error).split())
        raise PolytaskError(
            f"{path}: cannot be read as HDF5 ({reason}); expected {EXPECTED_BAG_CONTENT}; write it again"
        ) from None
    return arrays


def _check_stored_size(path: Path, size: int, stored: int) -> None:
    """Refuse an array of `size` bytes that is over the memory limit, or more than `stored` bytes can be unpacked to."""
    check_byte_count(path, size)
    if size > stored * MAX_DEFLATE_RATIO:
        raise PolytaskError(
            f"{path}: header claims {size} bytes of numbers, but the file stores only {stored}; "
            "expected the whole file; copy it again"
        )


BAG_READERS: dict[str, Callable[[Path], dict[str, Array]]] = {
    ".npz": _read_npz,
    ".h5": _read_hdf5,
    ".hdf5": _read_hdf5,
    ".pt": read_torch_file,
}
