"""Volumes of lung CT with a tumor of a few voxels or without: pieces of one patient's CT, all blended alike.

The crops of NSCLC-Radiomics and NSCLC-Radiogenomics (`images/`, `masks/`; 46³ voxels of 2 mm) are too small to hide a
tumor in. So each volume of 28³ voxels is put together from 8 pieces of 16³ voxels of one patient, mirrored at random,
which overlap by 4 voxels and fade into each other. All pieces are free of tumor but, in half of the volumes, one.
So neither a border nor the patient says whether there is a tumor: the same patient has two volumes of each class.
"""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import yaml

PIECE, OVERLAP, PIECES = 16, 4, 2
SIZE = PIECE + (PIECES - 1) * (PIECE - OVERLAP)
MAX_TUMOR_EDGE = 14
"""Longest edge in voxels of the box around a tumor that fits into a piece."""
VISITS = 4
HEADER = {
    "polytask": 1,
    "name": "pasted findings",
    "visits": [f"v{number}" for number in range(VISITS)],
    "inputs": {"scan": {"kind": "image", "dims": 3, "channels": {"ct": "CT"}}},
    "tasks": {
        "lesion": {"kind": "segmentation", "image": "scan", "labels": {"lesion": 1}},
        "finding": {"kind": "classification", "classes": ["no", "yes"]},
    },
}

Volume3D = npt.NDArray[Any]


def write_tumor_cohort(folder: Path, data: Path, patients: int, seed: int) -> Path:
    """Write a cohort of pasted volumes: a patient is a subject, and each of its volumes a visit."""
    from polytask.images.formats import write_image_file
    from polytask.images.volume import Grid, Volume

    folder.mkdir(parents=True)
    (folder / "cohort.yaml").write_text(yaml.safe_dump(HEADER, sort_keys=False))
    rng, grid, lines = (
        np.random.default_rng(seed),
        Grid((SIZE,) * 3, np.diag([2.0, 2.0, 2.0, 1.0])),
        ["subject,visit,scan.ct,lesion,finding"],
    )
    for name, image, mask in read_small_tumors(data)[:patients]:
        for visit in range(VISITS):
            ill = bool(visit % 2)
            volume, pasted = paste_volume(rng, image, mask, ill)
            path = f"{name}_{visit}"
            write_image_file(folder / f"{path}.nii.gz", Volume(np.rint(volume)[None].astype(np.int16), grid))
            write_image_file(folder / f"{path}_mask.nii.gz", Volume(pasted[None].astype(np.uint8), grid))
            lines.append(f"p{name},v{visit},{path}.nii.gz,{path}_mask.nii.gz,{'yes' if ill else 'no'}")
    (folder / "cases.csv").write_text("\n".join(lines) + "\n")
    return folder


def read_small_tumors(data: Path) -> list[tuple[str, Volume3D, Volume3D]]:
    """Read (patient, image, mask), both `[46, 46, 46]`, of the patients whose tumor fits into a piece."""
    from polytask.images.formats import read_image_file

    tumors = []
    for path in sorted((data / "masks").iterdir()):
        mask = read_image_file(path, dims=3).array[0] > 0
        edges = [np.ptp(axis) + 1 for axis in np.nonzero(mask)] if mask.any() else [0]
        if 0 < max(edges) <= MAX_TUMOR_EDGE:
            image = read_image_file(data / "images" / path.name, dims=3).array[0]
            tumors.append((path.name.removesuffix(".nii.gz"), np.asarray(image, np.float64), mask))
    return tumors


def paste_volume(
    rng: np.random.Generator, image: Volume3D, mask: Volume3D, ill: bool
) -> tuple[Volume3D, Volume3D]:
    """Put a volume together from pieces of one image; return it with the mask of its tumor, both `[SIZE]³`."""
    free = list_free_corners(mask)
    total, weights = np.zeros((SIZE,) * 3), np.zeros((SIZE,) * 3)
    pasted = np.zeros((SIZE,) * 3, bool)
    fade = make_fading_weights()
    tumor_at = int(rng.integers(PIECES**3)) if ill else -1
    for number, place in enumerate(product(range(PIECES), repeat=3)):
        corner = draw_tumor_corner(rng, mask) if number == tumor_at else free[int(rng.integers(len(free)))]
        axes = [axis for axis in range(3) if rng.random() < 0.5]
        piece, inside = (np.flip(cut_piece(array, corner), axes) for array in (image, mask))
        there = tuple(slice(p * (PIECE - OVERLAP), p * (PIECE - OVERLAP) + PIECE) for p in place)
        total[there] += fade * piece
        weights[there] += fade
        pasted[there] |= inside
    return total / weights, pasted


def make_fading_weights() -> Volume3D:
    """Make the weights `[PIECE]³` of a piece: 1 inside, falling in equal steps over its overlap with the next one."""
    ramp = np.minimum(np.arange(1, PIECE + 1), np.arange(PIECE, 0, -1)) / (OVERLAP + 1)
    edge = np.minimum(ramp, 1.0)
    return np.asarray(edge[:, None, None] * edge[:, None] * edge)


def cut_piece(array: Volume3D, corner: tuple[int, ...]) -> Volume3D:
    """Cut a piece that begins at a voxel."""
    return array[tuple(slice(c, c + PIECE) for c in corner)]


def list_free_corners(mask: Volume3D) -> list[tuple[int, ...]]:
    """List the first voxels of all pieces that have no voxel of the tumor."""
    windows = np.lib.stride_tricks.sliding_window_view(mask, (PIECE,) * 3)
    corners: list[tuple[int, ...]] = [tuple(c) for c in np.argwhere(~windows.any(axis=(3, 4, 5))).tolist()]
    return corners


def draw_tumor_corner(rng: np.random.Generator, mask: Volume3D) -> tuple[int, ...]:
    """Draw the first voxel of a piece that holds the whole tumor."""
    corner = []
    for axis, n in zip(np.nonzero(mask), mask.shape, strict=True):
        low, high = max(0, int(axis.max()) + 1 - PIECE), min(int(axis.min()), n - PIECE)
        corner.append(int(rng.integers(low, high + 1)))
    return tuple(corner)
