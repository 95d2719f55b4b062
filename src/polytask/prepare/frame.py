"""The way of an image from its file to the stored grid, for what has to go along with it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from polytask.errors import PolytaskError
from polytask.images.formats import read
from polytask.images.geometry import canonical, crop, resample
from polytask.images.volume import Array, Grid, Volume
from polytask.prepare.image import PreparedImage, lies_on

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Frame:
    """Where a target has to go: the way its image went."""

    image: PreparedImage
    oriented: bool
    align: Literal["strict", "resample"]
    where: str

    def bring(self, volume: Volume, order: int) -> Array:
        """Voxels `[C, *space]` on the stored grid, outside 0."""
        source = self.image.source_grid
        own = source.told_as(self.image.grid.physical)
        if volume.grid.shape == source.shape and (self.align == "strict" or lies_on(volume.grid, source)):
            volume = Volume(volume.array, own)
            turned = canonical(volume) if self.oriented else volume
            volume = crop(turned, *self.image.box)
        elif own is not source:  # both say where they lie in mm; the stored image counts pixels
            affine = own.affine @ np.linalg.solve(source.affine, volume.grid.affine)
            volume = Volume(volume.array, Grid(volume.grid.shape, affine, physical=False))
        return (
            volume.array
            if volume.grid.same(self.image.grid)
            else resample(volume, self.image.grid, order).array
        )

    def read(self, path: Path) -> Volume:
        """A file with the image's number of axes; where grids are strict, of the image's size."""
        volume, source = read(path, dims=self.image.grid.dims), self.image.source_grid
        if self.align == "strict" and volume.grid.shape != source.shape:
            sizes = ["×".join(str(n) for n in g.shape) for g in (volume.grid, source)]
            raise PolytaskError(
                f"{self.where}: {path.name} has size {sizes[0]}, but its image has {sizes[1]}; "
                "bring it to the image's grid, or write `align: resample` in the header"
            )
        return volume

    def likely(self, mask: Mask, grid: Grid) -> npt.NDArray[np.float32]:
        """How much of each stored voxel a mask `[*space]` fills: `[*stored]`."""
        return np.asarray(self.bring(Volume(mask[None].view(np.uint8), grid), 1)[0], np.float32)
