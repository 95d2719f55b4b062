"""Render an anatomy as a scanner would: two image channels, masks and dose."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from polytask.cohort.phantom.anatomy import ORGAN_STRUCTURES, Anatomy
from polytask.cohort.phantom.ellipsoids import (
    ByteArray,
    Floats,
    Lattice,
    fill_ellipsoids,
    measure_signed_distance,
    paint_ellipsoid,
)
from polytask.images.volume import Array

TISSUE_INTENSITIES: dict[str, tuple[float, float]] = {
    "air": (-1000, 0),
    "wall": (-120, 300),
    "cavity": (0, 450),
    "fluid": (-60, 950),
    "kidney": (100, 750),
    "bladder": (40, 1000),
    "lesion": (200, 250),
    "core": (-40, 900),
    "node": (320, 120),
    "stone": (900, 20),
}
"""Tissue → its intensities (CT in Hounsfield units, MR signal)."""
PRESCRIBED_DOSE = 60.0
"""Dose within the lesion in Gy."""


@dataclass(frozen=True)
class Scanner:
    """How the images of a site differ from those of others.

    Args:
        site: name of the site in the table.
        ct, mr: (scale, offset, noise) of the intensities.
        thick: whether slices are 1.5 times as thick and the axes are LPS instead of RAS.
    """

    site: str
    ct: tuple[float, float, float]
    mr: tuple[float, float, float]
    thick: bool


SCANNERS = (
    Scanner("A", ct=(1.0, 0.0, 20.0), mr=(1.0, 0.0, 25.0), thick=False),
    Scanner("B", ct=(1.08, 40.0, 35.0), mr=(1.7, 120.0, 60.0), thick=True),
    Scanner("C", ct=(0.95, -20.0, 25.0), mr=(0.6, 40.0, 25.0), thick=False),
    Scanner("D", ct=(1.03, 15.0, 30.0), mr=(2.4, 0.0, 80.0), thick=True),
)


def render_channels(
    anatomy: Anatomy, voxel_lattice: Lattice, scanner: Scanner, rng: np.random.Generator
) -> tuple[Array, Array]:
    """Render CT and MR, each `[*space]`: int16 in 3D, uint8 in 2D (there an X-ray takes the place of the CT)."""
    images = []
    for which, (scale, offset, noise) in enumerate((scanner.ct, scanner.mr)):
        image = np.full(voxel_lattice.grid.shape, TISSUE_INTENSITIES["air"][which], np.float32)
        for tissue, shape in anatomy.layers:
            paint_ellipsoid(image, voxel_lattice, shape, TISSUE_INTENSITIES[tissue][which])
        image *= np.float32(scale)
        image += np.float32(offset)
        image += np.float32(noise) * rng.standard_normal(image.shape, np.float32)
        # MR shows magnitudes: noise must not make them negative.
        images.append(np.abs(image) if which else image)
    if voxel_lattice.grid.dims == 3:
        ct, mr = (np.rint(image).astype(np.int16) for image in images)
        return ct, mr
    window = np.interp(images[0], [-1200, -250, 450, 1200], [0, 50, 210, 255])
    return _round_to_bytes(window), _round_to_bytes(images[1] / 11)


def render_lesion_labels(anatomy: Anatomy, voxel_lattice: Lattice) -> ByteArray:
    """Render the label map, uint8 `[*space]`: 1 = lesion with its core, 2 = node."""
    labels = fill_ellipsoids(voxel_lattice, [anatomy.lesion]).astype(np.uint8)
    labels[fill_ellipsoids(voxel_lattice, anatomy.nodes)] = 2
    return labels


def render_organ_masks(anatomy: Anatomy, voxel_lattice: Lattice) -> dict[str, ByteArray]:
    """Render one mask per structure, uint8 `[*space]`; all zero where the structure is absent.

    The masks overlap: the cavity contains the kidneys and the bladder.
    """
    return {
        name: fill_ellipsoids(voxel_lattice, [anatomy.organs[name]] if name in anatomy.organs else []).astype(
            np.uint8
        )
        for name in ORGAN_STRUCTURES
    }


def render_dose(anatomy: Anatomy, voxel_lattice: Lattice) -> Floats:
    """Render the dose in Gy, float32 `[*space]`: full in the lesion, less further away, spared in the bladder."""
    _, away = measure_signed_distance(voxel_lattice, anatomy.lesion)
    dose = np.float32(PRESCRIBED_DOSE) * np.exp(-np.maximum(away, 0) / np.float32(0.15))
    _, away = measure_signed_distance(voxel_lattice, anatomy.organs["bladder"])
    dose *= 1 - np.float32(0.85) * np.exp(-((np.maximum(away, 0) / np.float32(0.07)) ** 2))
    dose *= fill_ellipsoids(voxel_lattice, [anatomy.body])
    return np.asarray(dose, np.float32)


def _round_to_bytes(image: npt.NDArray[np.floating]) -> ByteArray:
    """Round an image to uint8 and clip it to 0 … 255."""
    return np.asarray(np.clip(np.rint(image), 0, 255), np.uint8)
