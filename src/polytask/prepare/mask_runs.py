"""Masks as runs: stretches of equal voxels along the last axis, instead of every voxel.

A mask is mostly empty and mostly smooth, so that its runs take a tenth of its voxels or less. They need no
decompression: they are memory-mapped like any array, and a patch reads only those of its planes.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from polytask.errors import PolytaskError
from polytask.images.volume import Array

MaskForm = Literal["dense", "runs"]
"""How masks and regions are stored: every voxel, or runs. What is read is the same."""
MASK_FORMS: tuple[MaskForm, ...] = ("dense", "runs")

RunArray = npt.NDArray[Any]
"""An array with named fields, which `Array` leaves out."""


def parse_mask_form(word: str) -> MaskForm:
    """Return a form of stored masks by its name.

    Raises:
        PolytaskError: there is no such form.
    """
    for form in MASK_FORMS:
        if word == form:
            return form
    raise PolytaskError(f"--masks {word}: expected {' or '.join(MASK_FORMS)}")


def encode_mask_runs(mask: Array) -> RunArray | None:
    """Encode a mask `[*axes]` as its runs; None where runs would take more bytes than the voxels.

    Returns:
        `[n]` with the fields `line` (all axes but the last, as one number), `start`, `stop` and `value`, sorted by
        line. A run lies within one line; voxels of value 0 have none.
    """
    lines = mask.reshape(-1, mask.shape[-1])
    # A run ends where the value changes, and with its line.
    edges = np.ones((len(lines), mask.shape[-1] + 1), bool)
    edges[:, 1:-1] = lines[:, 1:] != lines[:, :-1]
    line, at = np.nonzero(edges)
    within = line[1:] == line[:-1]
    line, start, stop = line[:-1][within], at[:-1][within], at[1:][within]
    value = lines[line, start]
    full = value != 0
    place = "<u2" if mask.shape[-1] <= np.iinfo(np.uint16).max else "<u4"
    runs = np.empty(
        int(full.sum()), [("line", "<u4"), ("start", place), ("stop", place), ("value", mask.dtype)]
    )
    if runs.nbytes >= mask.nbytes or len(lines) > np.iinfo(np.uint32).max:
        return None
    for name, column in (("line", line), ("start", start), ("stop", stop), ("value", value)):
        runs[name] = column[full]
    return runs


class MaskRuns:
    """A mask or region that is stored as runs; it is cut and converted like an array.

    Only the runs of the planes that a cut touches are read from the memory map, and only what is not 0 is written, so
    that a patch of a large mask stays cheap.

    Args:
        runs: as `encode_mask_runs` makes them.
        shape: of the mask.
        dtype: of the mask.
    """

    def __init__(self, runs: RunArray, shape: Sequence[int], dtype: npt.DTypeLike):
        # Not as a memory map, whose every slice makes a costly object. The map stays open as the base of the view.
        self._runs, self.shape, self.dtype = runs.view(np.ndarray), tuple(shape), np.dtype(dtype)

    @property
    def ndim(self) -> int:
        """Number of axes, as of an array."""
        return len(self.shape)

    def __getitem__(self, block: tuple[slice, ...]) -> Array:
        """Cut out a block: a slice without step for each of the first axes, all of the others."""
        whole = (slice(None),) * (self.ndim - len(block))
        ends = [cut.indices(n)[:2] for cut, n in zip((*block, *whole), self.shape, strict=True)]
        # An empty slice may end before it begins.
        size = [max(up - low, 0) for low, up in ends]
        out = np.zeros(size, self.dtype)
        lines_of_plane = int(np.prod(self.shape[1:-1], dtype=np.int64))
        # `np.searchsorted` would copy the whole column first, because its numbers are not next to each other.
        first_run, last_run = (bisect_left(self._runs["line"], edge * lines_of_plane) for edge in ends[0])
        runs = self._runs[first_run:last_run]
        start, stop = (np.clip(runs[edge].astype(np.int64), *ends[-1]) for edge in ("start", "stop"))
        inside = start < stop
        row = np.zeros(len(runs), np.int64)
        places = np.unravel_index(runs["line"], self.shape[:-1])
        for place, (low, up), n in zip(places, ends[:-1], size[:-1], strict=True):
            inside &= (place >= low) & (place < up)
            row = row * n + (place - low)
        length = (stop - start)[inside]
        first = (row * size[-1] + start - ends[-1][0])[inside]
        # The places of all voxels of all runs: each run counts on from its first voxel.
        shift = np.repeat(first - (np.cumsum(length) - length), length)
        out.reshape(-1)[np.arange(len(shift)) + shift] = np.repeat(runs["value"][inside], length)
        return out

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> Array:
        """Convert to an array; numpy calls this."""
        whole = self[()]
        return whole if dtype is None else whole.astype(dtype, copy=False)
