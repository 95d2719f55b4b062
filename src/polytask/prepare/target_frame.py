"""Bring masks and doses to the stored grid of their image, the same way that the image went."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from polytask.array_types import Mask
from polytask.errors import PolytaskError
from polytask.images.formats import read_image_file
from polytask.images.geometry import crop_volume, orient_to_ras, resample_volume
from polytask.images.volume import Array, Grid, Volume
from polytask.prepare.prepared_image import PreparedImage, lies_on_grid


@dataclass(frozen=True)
class TargetFrame:
    """The way from a target's file to the stored grid of its image.

    Args:
        image: the prepared image.
        oriented: whether the image was turned to right, anterior, superior.
        align: the header's; `strict` = a target must have its image's size and lies on its grid.
        where: names the case in errors.
    """

    image: PreparedImage
    oriented: bool
    align: Literal["strict", "resample"]
    where: str

    def bring_to_grid(self, volume: Volume, order: int) -> Array:
        """Bring voxels `[C, *space]` to the stored grid; places outside become 0.

        Args:
            order: 0 = nearest, 1 = linear, where voxels have to be interpolated at all.
        """
        source = self.image.source_grid
        own = source.with_unit(self.image.grid.physical)
        # On the image's own grid, the target is turned and cropped exactly as the image was, by index.
        if volume.grid.shape == source.shape and (
            self.align == "strict" or lies_on_grid(volume.grid, source)
        ):
            volume = Volume(volume.array, own)
            turned = orient_to_ras(volume) if self.oriented else volume
            volume = crop_volume(turned, *self.image.box)
        elif own is not source:
            # Image and target both have positions in mm, but the stored image counts pixels.
            affine = own.affine @ np.linalg.solve(source.affine, volume.grid.affine)
            volume = Volume(volume.array, Grid(volume.grid.shape, affine, physical=False))
        return (
            volume.array
            if volume.grid.is_same_grid(self.image.grid)
            else resample_volume(volume, self.image.grid, order).array
        )

    def read(self, path: Path) -> Volume:
        """Read a file with the image's number of axes; where grids are strict, it must have the image's size."""
        volume, source = read_image_file(path, dims=self.image.grid.dims), self.image.source_grid
        if self.align == "strict" and volume.grid.shape != source.shape:
            sizes = ["×".join(str(n) for n in g.shape) for g in (volume.grid, source)]
            raise PolytaskError(
                f"{self.where}: {path.name} has size {sizes[0]}, but its image has {sizes[1]}; "
                "bring it to the image's grid, or write `align: resample` in the header"
            )
        return volume

    def compute_fill_shares(self, mask: Mask, grid: Grid) -> npt.NDArray[np.float32]:
        """Compute the share of each stored voxel that a mask `[*space]` fills: `[*stored]`, 0 to 1."""
        return np.asarray(self.bring_to_grid(Volume(mask[None].view(np.uint8), grid), 1)[0], np.float32)
