"""Cohorts in which sizes matter: photos and stacks of mixed sizes without a scale, and volumes of thick slices."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import tifffile
import yaml
from PIL import Image

from polytask.images.formats import write_image_file
from polytask.images.volume import Grid, Volume


def write_photo_cohort(folder: Path, shapes: list[tuple[int, int]]) -> Path:
    """Write RGB photos of these sizes with a bright lesion, its mask, and a class: whether it lies at the top."""
    folder.mkdir(parents=True)
    random = np.random.default_rng(0)
    lines = ["subject,photo.rgb,lesion,place"]
    for number, (height, width) in enumerate(shapes):
        row = (0.3 if number % 2 else 0.7) * height
        rows, columns = np.ogrid[:height, :width]
        mask = (rows - row) ** 2 + (columns - 0.5 * width) ** 2 < (0.15 * height) ** 2
        photo = random.integers(0, 60, (height, width, 3)) + 150 * mask[..., None]
        Image.fromarray(photo.astype(np.uint8)).save(folder / f"{number}.png")
        Image.fromarray(mask.astype(np.uint8)).save(folder / f"m{number}.png")
        lines.append(f"p{number:02d},{number}.png,m{number}.png,{'top' if number % 2 else 'bottom'}")
    header = {
        "polytask": 1,
        "name": "photos",
        "inputs": {"photo": {"kind": "image", "dims": 2, "channels": {"rgb": "RGB"}}},
        "tasks": {
            "lesion": {"kind": "segmentation", "image": "photo", "labels": {"lesion": 1}},
            "place": {"kind": "classification", "classes": ["top", "bottom"]},
        },
    }
    (folder / "cohort.yaml").write_text(yaml.safe_dump(header), encoding="utf-8")
    (folder / "cases.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def write_stack_cohort(folder: Path, shapes: list[tuple[int, int, int]]) -> Path:
    """Write TIFF stacks of these sizes (rows, columns, slices) with a bright ball and its mask, without any scale."""
    folder.mkdir(parents=True)
    random = np.random.default_rng(0)
    lines = ["subject,scan.t1,ball"]
    for number, shape in enumerate(shapes):
        places = np.indices(shape) - np.array([shape[0] / 2, shape[1] / 3, shape[2] / 2])[:, None, None, None]
        mask = (places**2).sum(0) < (0.2 * shape[0]) ** 2
        scan = random.normal(100, 10, shape) + 100 * mask
        for name, array in ((f"{number}.tif", scan), (f"m{number}.tif", mask)):
            pages = array.astype(np.uint8).transpose(2, 0, 1)
            tifffile.imwrite(folder / name, pages, photometric="minisblack")
        lines.append(f"p{number:02d},{number}.tif,m{number}.tif")
    header = {
        "polytask": 1,
        "name": "stacks",
        "inputs": {"scan": {"kind": "image", "channels": {"t1": "other"}}},
        "tasks": {"ball": {"kind": "segmentation", "image": "scan", "labels": {"ball": 1}}},
    }
    (folder / "cohort.yaml").write_text(yaml.safe_dump(header), encoding="utf-8")
    (folder / "cases.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def write_slice_cohort(folder: Path, lengths: list[int], spacing: tuple[float, float, float]) -> Path:
    """Write MR volumes of this many slices along the first axis, with a bright ball and its mask."""
    folder.mkdir(parents=True)
    random = np.random.default_rng(0)
    lines = ["subject,scan.t1,ball"]
    for number, length in enumerate(lengths):
        shape = (length, 32, 32)
        places = np.indices(shape) - np.array([length / 2, 16, 16])[:, None, None, None]
        mask = (places**2 * (np.array(spacing) ** 2)[:, None, None, None]).sum(0) < 6**2
        scan = random.normal(100, 10, shape) + 100 * mask
        grid = Grid(shape, np.diag([*spacing, 1.0]))
        write_image_file(folder / f"{number}.nii.gz", Volume(scan[None].astype(np.int16), grid))
        write_image_file(folder / f"m{number}.nii.gz", Volume(mask[None].astype(np.uint8), grid))
        lines.append(f"p{number:02d},{number}.nii.gz,m{number}.nii.gz")
    header = {
        "polytask": 1,
        "name": "slices",
        "inputs": {"scan": {"kind": "image", "channels": {"t1": "MR"}}},
        "tasks": {"ball": {"kind": "segmentation", "image": "scan", "labels": {"ball": 1}}},
    }
    (folder / "cohort.yaml").write_text(yaml.safe_dump(header), encoding="utf-8")
    (folder / "cases.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder
