"""Make the volumes that all systems are compared on: a raw data set of nnU-Net, like crops around the hippocampus.

    python benchmarks/peers/make_volumes.py FOLDER [--training 50] [--test 12] [--seed 0]

About 36×50×35 voxels of 1 mm. A bent body in two parts, head (1) and tail (2), lies in smooth, textured and noisy
tissue beside three blobs of about the same brightness. The two masks end along a plane that the image does not show,
and their surface is drawn a little beside the true one, as a person draws. FOLDER gets `imagesTr`, `labelsTr`,
`imagesTs`, `truthTs` (a name that no system looks for), `dataset.json`, and `splits_final.json` with one fold of 80 and
20 %.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import nibabel
import numpy as np
from scipy.ndimage import gaussian_filter

MEAN_SIZE, SIZE_SPREAD = (36, 50, 35), (2, 3, 2)
"""Mean and standard deviation of the edges, in voxels."""
LABELS = {"background": 0, "head": 1, "tail": 2}
TRUTH_FOLDER = "truthTs"
BODY_BRIGHTNESS, TISSUE_SPREAD, NOISE = 1.0, 0.3, 0.35


def main() -> None:
    """Make the folder."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--training", type=int, default=50)
    parser.add_argument("--test", type=int, default=12)
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    write_data_set(chosen.folder, chosen.training, chosen.test, chosen.seed)


def write_data_set(folder: Path, training: int, test: int, seed: int) -> None:
    """Write the data set; the same numbers give the same volumes."""
    names = [f"body_{number:03d}" for number in range(training + test)]
    for number, name in enumerate(names):
        part = "Tr" if number < training else "Ts"
        image, labels = make_volume(np.random.default_rng((seed, number)))
        write_volume(folder / f"images{part}" / f"{name}_0000.nii.gz", image)
        masks = folder / ("labelsTr" if part == "Tr" else TRUTH_FOLDER)
        write_volume(masks / f"{name}.nii.gz", labels)
    known, held_out = names[:training][: training * 4 // 5], names[:training][training * 4 // 5 :]
    content = {
        "name": folder.name,
        "channel_names": {"0": "MR"},
        "labels": LABELS,
        "numTraining": training,
        "file_ending": ".nii.gz",
    }
    (folder / "dataset.json").write_text(json.dumps(content))
    (folder / "splits_final.json").write_text(json.dumps([{"train": known, "val": held_out}]))


def make_volume(random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Make one image, float32 `[*space]`, and its label map, uint8 `[*space]`."""
    size = np.maximum(np.rint(random.normal(MEAN_SIZE, SIZE_SPREAD)).astype(int), 24)
    middle = (size - 1) / 2 + random.normal(0, 1.5, 3)
    half, bend, tilt = 0.36 * size[1], random.normal(3, 1.2), random.normal(0, 0.12)
    width, thickness = random.normal(6.0, 0.5), random.normal(0.8, 0.06)
    border = random.normal(0.0, 0.08)

    def find_body(places: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """Return whether places, in voxels, lie in the body, and where along it, from -1 to 1."""
        x, y, z = (place - center for place, center in zip(places, middle, strict=True))
        along = np.clip(y / half, -1.2, 1.2)
        radius = width * (1 + 0.35 * along) * np.sqrt(np.clip(1 - along**4, 0, None))
        across = np.hypot(x - bend * (1 - along**2), (z - tilt * y + 2 * along**2) / thickness)
        return across < radius, along

    grid = np.meshgrid(*[np.arange(n, dtype=np.float64) for n in size], indexing="ij")
    bent = [axis + draw_smooth_field(random, size, 5, 1.2) for axis in grid]
    body, _ = find_body(bent)
    drawn, along = find_body([axis + draw_smooth_field(random, size, 2, 0.5) for axis in bent])
    labels = np.where(drawn, np.where(along > border, 1, 2), 0).astype(np.uint8)

    bright = body.astype(np.float64)
    for _ in range(3):
        place = middle + random.normal(0, (9, 14, 9))
        edges = random.uniform(2.5, 5, 3)
        distance = sum(((axis - p) / e) ** 2 for axis, p, e in zip(bent, place, edges, strict=True))
        bright = np.maximum(bright, 0.9 * (distance < 1))
    tissue = draw_smooth_field(random, size, 4, TISSUE_SPREAD) + draw_smooth_field(random, size, 1, 0.15)
    image = gaussian_filter(BODY_BRIGHTNESS * bright, 0.7) + tissue + random.normal(0, NOISE, size)
    scale, offset = random.uniform(50, 150), random.uniform(100, 400)
    return (scale * image + offset).astype(np.float32), labels


def draw_smooth_field(
    random: np.random.Generator, size: Sequence[int], smoothness: float, spread: float
) -> np.ndarray:
    """Draw a smooth random field `[*size]` with this standard deviation."""
    field = gaussian_filter(random.normal(size=tuple(size)), smoothness, mode="wrap")
    return spread * field / field.std()


def write_volume(path: Path, array: np.ndarray) -> None:
    """Write an array as a NIfTI file with voxels of 1 mm."""
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.Nifti1Image(array, np.eye(4)).to_filename(path)


if __name__ == "__main__":
    main()
