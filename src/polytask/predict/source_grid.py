"""Brings predictions from the stored grid back to the grid of the source file: never flipped, never shifted."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from polytask.cohort import header
from polytask.images.geometry import resample_to_labels, resample_volume
from polytask.images.volume import Grid, Volume
from polytask.tasks.task import Prediction


@dataclass(frozen=True)
class GriddedPrediction:
    """What a model computed for the voxels of an image.

    Args:
        spec: the task's entry in the header. prediction: with a leading axis of 1.
        grid: where it was computed. source: the grid of the image's own file.
    """

    spec: header.VoxelSpec
    prediction: Prediction
    grid: Grid
    source: Grid

    @property
    def source_voxels(self) -> float:
        """How many voxels of the file one computed voxel is as large as."""
        return prod(self.grid.spacing) / prod(self.source.with_unit(self.grid.physical).spacing)

    def restore_answer(self) -> Volume:
        """Bring the answer to the source grid, see `restore_to_source_grid`."""
        return restore_to_source_grid(self.spec, self.prediction, self.grid, self.source)

    def restore_probabilities(self) -> Volume:
        """Bring the probabilities of all structures to the source grid, see `restore_probabilities`."""
        assert isinstance(self.spec, header.MaskSpec)
        return restore_probabilities(self.spec, self.prediction, self.grid, self.source)

    def restore_structure(self, k: int) -> npt.NDArray[np.float32]:
        """Bring the probability of one structure to the source grid: float32 `[*space]`, 0 outside the crop.

        One at a time: those of all structures of a large image would take much memory.
        """
        assert isinstance(self.spec, header.MaskSpec)
        plane = k + int(self.spec.exclusive)
        one = Volume(self.prediction["p"][0, plane : plane + 1].numpy(), self.grid)
        restored = resample_volume(one, self.source.with_unit(self.grid.physical), 1).array[0]
        return np.asarray(restored, dtype=np.float32)


def restore_to_source_grid(
    task: header.VoxelSpec, prediction: Prediction, grid: Grid, source: Grid
) -> Volume:
    """Bring an answer to the source grid: `[1, *space]`, or one plane per overlapping structure.

    Exclusive: uint8 1..K in the order of the header's labels (0 = background). Overlapping: uint8 0/1
    `[K, *space]`. Dose: float32. Probabilities are resampled and the answer is decided afterwards, so that borders are
    sharp on the source grid. Voxels outside the crop become background, or no dose.
    """
    place = source.with_unit(grid.physical)
    if not isinstance(task, header.MaskSpec):
        return Volume(resample_volume(Volume(prediction["value"].numpy(), grid), place, 1).array, source)
    p = Volume(prediction["p"][0].numpy(), grid)
    if task.exclusive:
        return Volume(resample_to_labels(p, place).array, source)
    # One structure at a time: all planes of a large image in float32 would take much memory.
    masks = [
        resample_volume(Volume(p.array[k : k + 1], grid), place, 1).array[0] >= 0.5
        for k in range(len(p.array))
    ]
    return Volume(np.stack(masks).astype(np.uint8), source)


def restore_probabilities(task: header.MaskSpec, prediction: Prediction, grid: Grid, source: Grid) -> Volume:
    """Bring probabilities to the source grid, float32 `[classes, *space]`; outside the crop all is background."""
    fill = [1.0] + [0.0] * len(task.names) if task.exclusive else 0.0
    place = source.with_unit(grid.physical)
    return Volume(resample_volume(Volume(prediction["p"][0].numpy(), grid), place, 1, fill).array, source)


def order_after_mirroring(task: header.MaskSpec) -> list[int]:
    """List the planes of `p` in the order they have after left and right changed places."""
    # Where structures are exclusive, the background comes first.
    names = ["", *task.names] if task.exclusive else list(task.names)
    order = list(range(len(names)))
    for a, b in task.mirror:
        i, j = names.index(a), names.index(b)
        order[i], order[j] = j, i
    return order


def map_to_label_values(task: header.MaskSpec, answer: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Replace the classes 0..K of `answer` by the label values of the header, in the smallest type that holds them."""
    assert task.labels is not None
    values = [0, *(v if isinstance(v, int) else 0 for v in task.labels.values())]
    # A label value that is too large for the type would wrap around and become another label.
    kind = np.uint8 if max(values) < 256 else np.uint16 if max(values) < 65_536 else np.int32
    table = np.array(values, kind)
    label_values: npt.NDArray[Any] = table[answer]
    return label_values
