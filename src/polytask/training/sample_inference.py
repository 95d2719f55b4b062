"""Computes a network's outputs for one whole sample.

Pooled tasks read the view of the whole image; voxel tasks are computed in sliding windows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from itertools import chain, combinations

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from polytask.model.network import Network, NetworkOutput, SideOutputs
from polytask.model.vector_encoders import Condition
from polytask.model.window_blending import blend_windows
from polytask.plan.plan_schema import Plan
from polytask.prepare.bag_tensors import stack_bags
from polytask.prepare.batch import Batch
from polytask.prepare.evaluation_sample import FullSample
from polytask.prepare.mirrored_channels import order_mirrored_planes
from polytask.prepare.normalization import count_input_planes
from polytask.tasks.task import Prediction
from polytask.training.step import make_autocast

Predictions = dict[str, dict[int, Prediction]]
"""Task → visit slot (−1 for subject tasks) → prediction with a leading axis of 1, on the CPU. A prediction also has the
keys of `SideOutputs`."""

RestoreSides = Callable[[str, int, Sequence[int], Prediction], Prediction]
"""(task, visit slot, mirrored axes, prediction mirrored back) → the same prediction with left and right named
correctly."""

FindChannelOrder = Callable[[str, int, Sequence[int]], Sequence[int]]
"""(image input, visit slot, mirrored axes) → which channel of the file stands at each position of the mirrored image;
empty when no channel moves."""


def predict_sample(
    network: Network,
    sample: FullSample,
    plan: Plan,
    device: torch.device,
    overlap: float = 0.5,
    flips: Sequence[Sequence[int]] = ((),),
    pooled_only: bool = False,
    restore_sides: RestoreSides | None = None,
    find_channel_order: FindChannelOrder | None = None,
) -> Predictions:
    """Decode the predictions of one sample, averaged over `flips` (each is a set of array axes to mirror).

    `pooled_only` leaves out the sliding windows. `restore_sides` corrects what a mirrored pass calls left and right;
    `find_channel_order` says which channels of a mirrored image change places.
    """
    network.eval()
    sums: Predictions = {}
    for axes in flips:
        seen_as = (
            sample
            if find_channel_order is None or not axes
            else _reorder_channels(sample, plan, axes, find_channel_order)
        )
        with torch.inference_mode(), make_autocast(plan.shared.training.precision, device):
            for task, slots in _predict_flipped(
                network, seen_as, plan, device, overlap, axes, pooled_only
            ).items():
                mine = sums.setdefault(task, {})
                for slot, seen in slots.items():
                    prediction = restore_sides(task, slot, axes, seen) if restore_sides else seen
                    mine[slot] = (
                        {k: mine[slot][k] + v for k, v in prediction.items()} if slot in mine else prediction
                    )
    return {
        task: {slot: {k: v / len(flips) for k, v in p.items()} for slot, p in slots.items()}
        for task, slots in sums.items()
    }


def _reorder_channels(
    sample: FullSample, plan: Plan, axes: Sequence[int], find_channel_order: FindChannelOrder
) -> FullSample:
    """Return the sample with its paired channels in the places that they have once it is mirrored along the axes."""
    images, whole = dict(sample.images), dict(sample.whole)
    known = dict(sample.channel_known)
    for name, image in plan.shared.images.items():
        for slot in range(len(sample.visits)):
            order = find_channel_order(name, slot, axes)
            if not order:
                continue
            planes = order_mirrored_planes(image, order)
            for arrays in (images, whole):
                if name in arrays and (array := arrays[name][slot]) is not None:
                    arrays[name] = [*arrays[name][:slot], array[planes], *arrays[name][slot + 1 :]]
            known[name] = known[name].copy()
            known[name][slot] = known[name][slot][list(order)]
    return replace(sample, images=images, whole=whole, channel_known=known)


def list_flips(axes: Sequence[int]) -> list[tuple[int, ...]]:
    """List every subset of the axes, the empty one first: 1, 2, 4 or 8 passes."""
    return list(chain.from_iterable(combinations(axes, n) for n in range(len(axes) + 1)))


def _predict_flipped(
    network: Network,
    sample: FullSample,
    plan: Plan,
    device: torch.device,
    overlap: float,
    axes: Sequence[int],
    pooled_only: bool,
) -> Predictions:
    """Predict one sample, mirrored along `axes`; the predictions are mirrored back."""
    present = [slot for slot, known in enumerate(sample.visit_known) if known]
    found: Predictions = {}
    views = bool(network.pooled) or any(p.field == "whole" for p in plan.shared.images.values())
    batch = _make_sample_batch(sample, plan, axes).to(device)
    both = [name for name, image in plan.shared.images.items() if image.field == "both"]
    computed = network.compute_with_side_outputs(batch, elsewhere=both) if views else NetworkOutput({}, {})
    side_outputs = _locate_patches(network, sample, computed.side_outputs)
    for name, output in computed.outputs.items():
        task, answer = network.tasks[name], output[0] if isinstance(output, list) else output
        if task.level == "subject":
            found[name] = {-1: _move_to_cpu(task.decode(answer) | side_outputs[name])}
        elif task.level == "visit":
            beside = side_outputs[name]
            found[name] = {
                slot: _move_to_cpu({k: v[slot : slot + 1] for k, v in (task.decode(answer) | beside).items()})
                for slot in present
            }
        else:
            image = network.spec.voxel_image[name]
            found[name] = {}
            for index, slot in enumerate(present):
                array = sample.images[image][slot]
                if array is not None:
                    back = _unmirror_axes(_crop_center(answer[index], array.shape[1:]), axes)
                    found[name][slot] = _move_to_cpu(task.decode(back[None]))
    for image, image_plan in plan.shared.images.items():
        names = [t for t in network.voxel if network.spec.voxel_image[t] == image]
        if image_plan.field == "whole" or not names or pooled_only:
            continue
        condition = network.make_condition(batch)
        for slot in present:
            array = sample.images[image][slot]
            if array is None:
                continue
            assert image_plan.patch is not None
            row = None if condition is None else condition.take(torch.tensor([slot], device=device))
            outputs = blend_windows(
                partial(_run_voxel_windows, network, image, row),
                _mirror_axes(torch.from_numpy(array).to(device), axes),
                image_plan.patch,
                overlap,
            )
            for name, output in outputs.items():
                found.setdefault(name, {})[slot] = _move_to_cpu(
                    network.tasks[name].decode(_unmirror_axes(output, axes)[None])
                )
    return found


def _make_sample_batch(sample: FullSample, plan: Plan, axes: Sequence[int]) -> Batch:
    """Make a batch of this one sample, without patches and targets."""
    whole: dict[str, Tensor] = {}
    for name, image in plan.shared.images.items():
        if image.field == "patch":
            continue
        arrays = sample.images[name] if image.field == "whole" else sample.whole[name]
        assert image.view is not None
        shapes = [a.shape[1:] for a in arrays if a is not None] or [image.view]
        # An image may be larger than the planned view: all of it is seen, nothing is cropped.
        size = [max(*column) for column in zip(image.view, *shapes, strict=True)]
        # A visit without this image still needs a place of the same shape.
        planes = next((a.shape[0] for a in arrays if a is not None), count_input_planes(image))
        views = [
            torch.zeros((planes, *size))
            if a is None
            else _pad_around(_mirror_axes(torch.from_numpy(a).float(), axes), size)
            for a in arrays
        ]
        whole[name] = torch.stack(views)[None]
    bags = {n: stack_bags(found, plan.shared.slides[n]) for n, found in sample.bags.items()}
    return Batch(
        subjects=(sample.subject,),
        visits=(sample.visits,),
        visit_known=torch.from_numpy(sample.visit_known)[None],
        day=torch.from_numpy(sample.day).float()[None],
        whole=whole,
        patch={},
        channel_known={k: torch.from_numpy(v)[None] for k, v in sample.channel_known.items()},
        tables={k: torch.from_numpy(v).float()[None] for k, v in sample.tables.items()},
        table_known={k: torch.from_numpy(v)[None] for k, v in sample.table_known.items()},
        targets={},
        bags={n: b[0][None] for n, b in bags.items()},
        bag_known={n: b[1][None] for n, b in bags.items()},
    )


def _locate_patches(network: Network, sample: FullSample, side_outputs: SideOutputs) -> SideOutputs:
    """Return side outputs that also say where each patch of a slide lies (`places.NAME`, pixels of the finest level)
    beside the attention on it."""
    located: SideOutputs = {}
    for task, found in side_outputs.items():
        located[task] = dict(found)
        for key in [k for k in found if k.startswith("patches.")]:
            name = key.removeprefix("patches.")
            places = torch.zeros((*sample.bag_known[name].shape, 2))
            for slot, coords in enumerate(sample.coords[name]):
                if coords is not None:
                    places[slot, : len(coords)] = torch.from_numpy(np.array(coords, np.float32))
            located[task][f"places.{name}"] = (
                places[None] if network.tasks[task].level == "subject" else places
            )
    return located


def _run_voxel_windows(
    network: Network, image: str, row: Condition | None, windows: Tensor
) -> dict[str, Tensor]:
    """Compute the finest outputs of the voxel tasks on windows `[N, C, *patch]` of one image."""
    condition = None if row is None else row.repeat(len(windows))
    return {t: o[0] for t, o in network.voxel_outputs(image, windows, condition).items()}


def _pad_around(array: Tensor, size: Sequence[int]) -> Tensor:
    """Pad `[C, *space]` with zeros around, so that the image is in the middle as in training."""
    gaps = [(n - s) for n, s in zip(size, array.shape[1:], strict=True)]
    return pad(array, [v for gap in reversed(gaps) for v in (gap // 2, gap - gap // 2)])


def _crop_center(output: Tensor, space: Sequence[int]) -> Tensor:
    """Remove the padding of `[K, *size]`, which leaves the middle `[K, *space]`."""
    starts = [(n - s) // 2 for n, s in zip(output.shape[1:], space, strict=True)]
    return output[(slice(None), *[slice(a, a + s) for a, s in zip(starts, space, strict=True)])]


def _mirror_axes(array: Tensor, axes: Sequence[int]) -> Tensor:
    """Mirror `[C, *space]` along some of its spatial axes."""
    return array.flip([1 + a for a in axes]) if axes else array


# Mirroring twice gives the array back.
_unmirror_axes = _mirror_axes


def _move_to_cpu(prediction: Prediction) -> Prediction:
    # float32 from here on: sums over flips and members would lose digits in bf16.
    return {k: v.float().cpu() for k, v in prediction.items()}
