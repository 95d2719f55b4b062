"""How much of each structure a member sees in an image: two numbers that are kept for every member of an ensemble."""

from __future__ import annotations

import torch

from polytask.tasks.task import Arrays, Prediction, Task

VOXELS, PRESENCE = "voxels", "presence"
"""Keys of what `measure_presence` returns."""


def measure_presence(task: Task, prediction: Prediction) -> Arrays:
    """Measure each of K structures in the probabilities of one case: `voxels [1, K]` and `presence [1, K]`.

    `voxels` counts those of the mask, on the grid that the member computed. `presence` is the probability mass inside
    the mask, and where the mask is empty the largest probability: the larger, the less it looks like an image without
    the structure.
    """
    p = prediction["p"][0].flatten(1)
    if getattr(task, "exclusive", False):
        best, label = p.max(0)
        count = torch.bincount(label, minlength=len(p))[1:].double()
        mass = torch.bincount(label, weights=best.double(), minlength=len(p))[1:]
        p = p[1:]
    else:
        inside = p >= 0.5
        count, mass = inside.sum(1).double(), (p * inside).sum(1, dtype=torch.float64)
    presence = torch.where(count > 0, mass, p.amax(1).double())
    return {VOXELS: count[None].numpy(), PRESENCE: presence[None].numpy()}
