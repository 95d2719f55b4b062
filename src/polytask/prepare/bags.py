"""Bags of a sample: drawn and turned for training, whole for evaluation, padded to a common number of patches."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn.functional import pad

from polytask.images.volume import Array
from polytask.plan.plan import Augmentation, SlidePlan
from polytask.prepare.draws import generator
from polytask.prepare.slide import PreparedBag


def drawn(
    bags: Sequence[PreparedBag | None],
    plan: SlidePlan,
    strength: Augmentation | None,
    key: tuple[object, ...],
) -> tuple[Tensor, Tensor]:
    """One slide input of a sample for a step of training.

    Args:
        bags: per visit slot; None where there is no slide.
        strength: of augmentation; None leaves patches as they are.
        key: what the draw is a function of: seed, epoch, place, subject and input.

    Returns:
        patches `[V, P, …]` with P = the plan's `patches`, zero where there is none, and known `[V, P]`.
    """
    values = torch.zeros((len(bags), plan.patches, *shape_of(plan)), dtype=_dtype(plan))
    known = torch.zeros((len(bags), plan.patches), dtype=torch.bool)
    for slot, bag in enumerate(bags):
        if bag is None:
            continue
        random = generator(*key, slot, "bag")
        count = len(bag.patches)
        chosen = np.arange(count)
        if count > plan.patches:
            chosen = np.sort(random.choice(count, plan.patches, replace=False))
        patches = np.ascontiguousarray(bag.patches[chosen])
        if strength is not None and plan.features is None:
            patches = recoloured(_turned(patches, random), strength, random)
        values[slot, : len(chosen)] = torch.from_numpy(patches)
        known[slot, : len(chosen)] = True
    return values, known


def stacked(bags: Sequence[Array | None], plan: SlidePlan) -> tuple[Tensor, Tensor]:
    """All patches of one slide input `[V, P, …]` and known `[V, P]`, P the most of any slot; at least one.

    With a single slide the tensor lies on its memory map, so that a large bag is not read before it is encoded.
    """
    count = max([1, *(len(b) for b in bags if b is not None)])
    known = torch.zeros((len(bags), count), dtype=torch.bool)
    for slot, bag in enumerate(bags):
        known[slot, : 0 if bag is None else len(bag)] = True
    if len(bags) == 1 and bags[0] is not None:
        return torch.from_numpy(bags[0])[None], known
    values = torch.zeros((len(bags), count, *shape_of(plan)), dtype=_dtype(plan))
    for slot, bag in enumerate(bags):
        if bag is not None:
            values[slot, : len(bag)] = torch.from_numpy(bag)
    return values, known


def padded(parts: Sequence[Tensor]) -> Tensor:
    """`[B, V, P, …]` joined along B, filled with zeros to the most patches of any."""
    most = max(p.shape[2] for p in parts)
    return torch.cat([pad(p, [0, 0] * (p.dim() - 3) + [0, most - p.shape[2]]) for p in parts])


def shape_of(plan: SlidePlan) -> tuple[int, ...]:
    """Shape of one patch."""
    if plan.features is not None:
        return (plan.features,)
    assert plan.patch is not None
    return (3, plan.patch, plan.patch)


def _dtype(plan: SlidePlan) -> torch.dtype:
    return torch.float32 if plan.features is not None else torch.uint8


def _turned(patches: Array, random: np.random.Generator) -> Array:
    """Each patch in one of its eight positions: a slide has no up."""
    ways = random.integers(0, 8, len(patches))
    return np.stack(
        [
            np.rot90(patch[:, :, ::-1] if way >= 4 else patch, way % 4, axes=(1, 2))
            for patch, way in zip(patches, ways.tolist(), strict=True)
        ]
    )


def recoloured(patches: Array, strength: Augmentation, random: np.random.Generator) -> npt.NDArray[np.uint8]:
    """One change of stain for the whole slide: each colour's absorption is multiplied, about ± `contrast`, and the
    light behind it is dimmed by at most half of `brightness`. Glass (255) only follows the light."""
    gain = (
        np.exp(random.uniform(-strength.contrast, strength.contrast, 3)) if strength.contrast else np.ones(3)
    )
    light = 1 + random.uniform(-1, 0) * strength.brightness / 2
    levels = np.arange(256) / 255.0
    table = np.stack([np.power(levels, g) for g in gain]) * (255 * light)
    lookup = np.clip(np.rint(table), 0, 255).astype(np.uint8)
    if random.uniform() >= strength.probability:
        return np.asarray(patches, np.uint8)
    return np.stack([lookup[c][patches[:, c]] for c in range(3)], axis=1)
