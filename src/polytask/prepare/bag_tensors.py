"""Turn bags into tensors: patches drawn and augmented for training, all patches for evaluation; pad and join them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn.functional import pad

from polytask.images.volume import Array
from polytask.plan.plan_schema import AugmentationPlan, SlidePlan
from polytask.prepare.seeded_generators import make_generator
from polytask.prepare.slide_bags import PreparedBag


def draw_bag_patches(
    bags: Sequence[PreparedBag | None],
    plan: SlidePlan,
    strength: AugmentationPlan | None,
    key: tuple[object, ...],
) -> tuple[Tensor, Tensor]:
    """Draw patches of one slide input of a sample for a training step.

    Args:
        bags: one for each of the V visit slots; None where there is no slide.
        plan: how many patches are drawn, and their shape.
        strength: of the augmentation; None leaves patches as they are.
        key: all that the random numbers depend on: seed, epoch, place, subject and input.

    Returns:
        patches `[V, P, …]` with P = the plan's `patches`, zero where there are fewer, and known `[V, P]`.
    """
    values = torch.zeros((len(bags), plan.patches, *get_patch_shape(plan)), dtype=_get_patch_type(plan))
    known = torch.zeros((len(bags), plan.patches), dtype=torch.bool)
    for slot, bag in enumerate(bags):
        if bag is None:
            continue
        random = make_generator(*key, slot, "bag")
        count = len(bag.patches)
        chosen = np.arange(count)
        if count > plan.patches:
            # Sorted, so that the memory map is read from front to back.
            chosen = np.sort(random.choice(count, plan.patches, replace=False))
        patches = np.ascontiguousarray(bag.patches[chosen])
        if strength is not None and plan.features is None:
            patches = recolor_stain(_turn_patches(patches, random), strength, random)
        values[slot, : len(chosen)] = torch.from_numpy(patches)
        known[slot, : len(chosen)] = True
    return values, known


def stack_bags(bags: Sequence[Array | None], plan: SlidePlan) -> tuple[Tensor, Tensor]:
    """Stack all patches of one slide input as `[V, P, …]`, with known `[V, P]`; P is the largest count, at least 1.

    With a single visit slot the tensor lies on the bag's memory map, so that a large bag is not read before it is
    encoded.

    Args:
        bags: the patches of each visit slot; None where there is no slide.
    """
    count = max([1, *(len(b) for b in bags if b is not None)])
    known = torch.zeros((len(bags), count), dtype=torch.bool)
    for slot, bag in enumerate(bags):
        known[slot, : 0 if bag is None else len(bag)] = True
    if len(bags) == 1 and bags[0] is not None:
        return torch.from_numpy(bags[0])[None], known
    values = torch.zeros((len(bags), count, *get_patch_shape(plan)), dtype=_get_patch_type(plan))
    for slot, bag in enumerate(bags):
        if bag is not None:
            values[slot, : len(bag)] = torch.from_numpy(bag)
    return values, known


def join_padded(parts: Sequence[Tensor]) -> Tensor:
    """Join tensors `[B, V, P, …]` along B, after padding P with zeros to the largest number of patches."""
    # `pad` counts axes from the last one, so P comes after a pair of zeros for each axis of a patch.
    most = max(p.shape[2] for p in parts)
    return torch.cat([pad(p, [0, 0] * (p.dim() - 3) + [0, most - p.shape[2]]) for p in parts])


def get_patch_shape(plan: SlidePlan) -> tuple[int, ...]:
    """Return the shape of one patch: `(features,)`, or `(3, height, width)` for pixels."""
    if plan.features is not None:
        return (plan.features,)
    assert plan.patch is not None
    return (3, plan.patch, plan.patch)


def _get_patch_type(plan: SlidePlan) -> torch.dtype:
    """Return the type of the tensor: float32 for features, uint8 for pixels."""
    return torch.float32 if plan.features is not None else torch.uint8


def _turn_patches(patches: Array, random: np.random.Generator) -> Array:
    """Turn and mirror each patch `[P, 3, h, w]` into one of its eight positions at random: a slide has no upright."""
    ways = random.integers(0, 8, len(patches))
    return np.stack(
        [
            np.rot90(patch[:, :, ::-1] if way >= 4 else patch, way % 4, axes=(1, 2))
            for patch, way in zip(patches, ways.tolist(), strict=True)
        ]
    )


def recolor_stain(
    patches: Array, strength: AugmentationPlan, random: np.random.Generator
) -> npt.NDArray[np.uint8]:
    """Change the stain of a whole slide at random, the same way for all its patches `[P, 3, h, w]`.

    The absorption of each color is multiplied by a factor between exp(−contrast) and exp(contrast), and the light is
    dimmed by at most half of `brightness`. Glass (255) absorbs nothing and only follows the light.
    """
    gain = (
        np.exp(random.uniform(-strength.contrast, strength.contrast, 3)) if strength.contrast else np.ones(3)
    )
    light = 1 + random.uniform(-1, 0) * strength.brightness / 2
    levels = np.arange(256) / 255.0
    # Absorption is −log of the light that passes, so a power of the light multiplies it. One table of the 256 levels
    # saves the powers for every pixel.
    table = np.stack([np.power(levels, g) for g in gain]) * (255 * light)
    lookup = np.clip(np.rint(table), 0, 255).astype(np.uint8)
    if random.uniform() >= strength.probability:
        return np.asarray(patches, np.uint8)
    return np.stack([lookup[c][patches[:, c]] for c in range(3)], axis=1)
