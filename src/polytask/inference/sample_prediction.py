"""Computes a network's outputs for one whole sample.

Pooled tasks read the view of the whole image; voxel tasks are computed in sliding windows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import chain, combinations
from math import prod

import torch
from torch import Tensor

from polytask.inference.attention_places import locate_patches, restore_slice_weights
from polytask.inference.crop_places import find_crop_choosers, find_crop_places
from polytask.inference.sample_batch import (
    FindChannelOrder,
    add_sample_crops,
    make_sample_batch,
    mirror_axes,
    reorder_channels,
    select_mirror_axes,
)
from polytask.inference.window_batch import choose_window_batch
from polytask.inference.window_blending import blend_windows
from polytask.model.late_decoding import VisitAnswers
from polytask.model.network import Network
from polytask.model.network_inputs import choose_encoded_rows
from polytask.model.source_encoders import Condition
from polytask.model.trunk_listener import TrunkListener
from polytask.plan.plan_schema import Plan
from polytask.prepare.batch import Batch
from polytask.prepare.evaluation_sample import FullSample
from polytask.prepare.finding_places import Place
from polytask.tasks.heads_and_losses import make_autocast
from polytask.tasks.task import Prediction

Predictions = dict[str, dict[int, Prediction]]
"""Task → visit slot (−1 for subject tasks) → prediction with a leading axis of 1, on the CPU. A prediction also has the
keys of `SideOutputs`."""

RestoreSides = Callable[[str, int, Sequence[int], Prediction], Prediction]
"""(task, visit slot, mirrored axes, prediction mirrored back) → the same prediction with left and right named
correctly."""

MAX_VIEW_EXCESS = 2
"""An image of more than this many times the voxels of the planned view is computed in windows of the view's size."""


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
    listener: TrunkListener | None = None,
) -> Predictions:
    """Decode the predictions of one sample, averaged over `flips` (each is a set of array axes to mirror).

    `pooled_only` leaves out the sliding windows. `restore_sides` corrects what a mirrored pass calls left and right;
    `find_channel_order` says which channels of a mirrored image change places. `listener` hears the trunk in the pass
    that mirrors nothing.
    """
    network.eval()

    def find_task_axes(task: str, axes: Sequence[int]) -> Sequence[int]:
        image = network.spec.voxel_image.get(task)
        return axes if image is None else select_mirror_axes(plan, image, axes)

    def predict_once(axes: Sequence[int]) -> Predictions:
        ordered = sample
        if find_channel_order is not None and axes:
            ordered = reorder_channels(sample, plan, axes, find_channel_order)
        network.listener = None if axes else listener
        with torch.inference_mode(), make_autocast(plan.shared.training.precision, device):
            predictions = _predict_mirrored(network, ordered, plan, device, overlap, axes, pooled_only)
            if restore_sides is None:
                return predictions
            return {
                task: {
                    slot: restore_sides(task, slot, find_task_axes(task, axes), p)
                    for slot, p in by_slot.items()
                }
                for task, by_slot in predictions.items()
            }

    try:
        return average_predictions(map(predict_once, flips), len(flips))
    finally:
        network.listener = None


def average_predictions(passes: Iterable[Predictions], count: int) -> Predictions:
    """Average predictions key by key, of which `count` have each task. The passes are read one after another, so that
    memory holds their sum and one of them."""
    sums: Predictions = {}
    for predictions in passes:
        for task, by_slot in predictions.items():
            task_sums = sums.setdefault(task, {})
            for slot, p in by_slot.items():
                before = task_sums.get(slot)
                task_sums[slot] = p if before is None else {k: before[k] + v for k, v in p.items()}
    return {
        task: {slot: {k: v / count for k, v in p.items()} for slot, p in by_slot.items()}
        for task, by_slot in sums.items()
    }


def list_flips(axes: Sequence[int]) -> list[tuple[int, ...]]:
    """List every subset of the axes, the empty one first: 1, 2, 4 or 8 passes."""
    return list(chain.from_iterable(combinations(axes, n) for n in range(len(axes) + 1)))


def _predict_mirrored(
    network: Network,
    sample: FullSample,
    plan: Plan,
    device: torch.device,
    overlap: float,
    axes: Sequence[int],
    pooled_only: bool,
) -> Predictions:
    """Predict one sample, mirrored along `axes`; the predictions are mirrored back."""
    batch = make_sample_batch(sample, plan, axes, cropped=()).to(device)
    windows, choosers = find_window_sizes(sample, plan), find_crop_choosers(network)
    # Masks come first: they say where the crops of visit and subject tasks lie. Masks that follow these come last.
    masks: Predictions = {}
    late = {network.spec.voxel_image[task] for task in network.late}
    for image, window in windows.items():
        if image not in choosers and (pooled_only or image in late):
            continue
        places: list[tuple[Place, ...]] = [() for _ in sample.visits]
        for slot, outputs in _compute_in_windows(network, sample, plan, image, window, batch, overlap, axes):
            _add_masks(network, masks, slot, outputs)
            if image in choosers:
                places[slot] = find_crop_places(network, plan, image, outputs[choosers[image]])
        if image in choosers:
            sample = replace(sample, places=sample.places | {image: places})
    if network.pooled and network.spec.crops:
        batch = add_sample_crops(batch, sample, plan, axes, network.spec.crops).to(device)
    predictions, answers = _predict_from_views(network, sample, plan, list(windows), batch, axes)
    if pooled_only:
        return predictions
    for image in (name for name in windows if name in late):
        window = windows[image]
        for slot, outputs in _compute_in_windows(
            network, sample, plan, image, window, batch, overlap, axes, answers
        ):
            _add_masks(network, masks, slot, outputs)
    return predictions | masks


def _add_masks(network: Network, masks: Predictions, slot: int, outputs: Mapping[str, Tensor]) -> None:
    """Add the decoded outputs `[K, *space]` of the voxel tasks of a visit to `masks`."""
    for name, output in outputs.items():
        masks.setdefault(name, {})[slot] = _move_to_cpu(network.tasks[name].decode(output[None]))


def _compute_in_windows(
    network: Network,
    sample: FullSample,
    plan: Plan,
    image: str,
    window: Sequence[int],
    batch: Batch,
    overlap: float,
    axes: Sequence[int],
    answers: VisitAnswers | None = None,
) -> Iterator[tuple[int, dict[str, Tensor]]]:
    """Compute the voxel tasks of an image; yield (visit slot, task → output `[K, *space]`, mirrored back).

    Those that follow visit tasks are among them where the `answers` of these are given, one row per visit slot.
    """
    names = [t for t in network.voxel if network.spec.voxel_image[t] == image]
    if not names:
        return
    device = batch.visit_known.device
    count = choose_window_batch(network.spec.images[image], window, len(names), device)
    condition = network.make_condition(batch)
    mirrored = select_mirror_axes(plan, image, axes)
    for slot in _list_present_slots(sample):
        array = sample.images[image][slot]
        if array is None:
            continue
        here = torch.tensor([slot], device=device)
        if network.listener is not None:
            network.listener.begin([slot], in_windows=True)
        row = None if condition is None else condition.take(here)
        read = None if answers is None else answers.take(here)
        outputs = blend_windows(
            partial(run_voxel_windows, network, image, row, answers=read),
            mirror_axes(torch.from_numpy(array).to(device), mirrored),
            window,
            overlap,
            count,
        )
        yield slot, {name: mirror_axes(output, mirrored) for name, output in outputs.items()}


def find_window_sizes(sample: FullSample, plan: Plan) -> dict[str, tuple[int, ...]]:
    """Find the image inputs whose voxel tasks are computed in windows, and the size of their windows.

    These are the inputs with patches, and those of which this sample has an image far larger than any the view was
    planned for: it might not fit into memory as a whole, and the network was never trained on so large a view.
    """
    windows = {}
    for name, image in plan.shared.images.items():
        if image.field != "whole":
            assert image.patch is not None
            windows[name] = tuple(image.patch)
            continue
        assert image.view is not None
        largest = max((prod(a.shape[1:]) for a in sample.images[name] if a is not None), default=0)
        if largest > MAX_VIEW_EXCESS * prod(image.view):
            windows[name] = tuple(image.view)
    return windows


def _predict_from_views(
    network: Network,
    sample: FullSample,
    plan: Plan,
    windowed: Sequence[str],
    batch: Batch,
    axes: Sequence[int],
) -> tuple[Predictions, VisitAnswers | None]:
    """Predict what follows from the views of whole images: pooled tasks, and voxel tasks without windows.

    Returns also the answers that voxel tasks in windows read.

    Args:
        windowed: the image inputs whose voxel tasks are computed in windows.
    """
    if not network.pooled and set(windowed) == set(sample.images):
        return {}, None
    if network.listener is not None:
        network.listener.begin(choose_encoded_rows(batch, network.unread).nonzero()[:, 0].tolist(), False)
    computed = network.compute_with_side_outputs(batch, elsewhere=windowed)
    located = locate_patches(network, sample, computed.side_outputs)
    side_outputs = restore_slice_weights(network, sample, plan, axes, located)
    present = _list_present_slots(sample)
    predictions: Predictions = {}
    for name, output in computed.outputs.items():
        # With deep supervision an output is a list, the finest one first.
        task, finest = network.tasks[name], output[0] if isinstance(output, list) else output
        if task.level == "subject":
            predictions[name] = {-1: _move_to_cpu(task.decode(finest) | side_outputs[name])}
        elif task.level == "visit":
            decoded = task.decode(finest) | side_outputs[name]
            predictions[name] = {
                slot: _move_to_cpu({k: v[slot : slot + 1] for k, v in decoded.items()}) for slot in present
            }
        else:
            image = network.spec.voxel_image[name]
            predictions[name] = {}
            for index, slot in enumerate(present):
                array = sample.images[image][slot]
                if array is not None:
                    mirrored = select_mirror_axes(plan, image, axes)
                    cropped = mirror_axes(_crop_center(finest[index], array.shape[1:]), mirrored)
                    predictions[name][slot] = _move_to_cpu(task.decode(cropped[None]))
    return predictions, computed.answers


def _list_present_slots(sample: FullSample) -> list[int]:
    """List the visit slots that hold a visit."""
    return [slot for slot, known in enumerate(sample.visit_known) if known]


def run_voxel_windows(
    network: Network,
    image: str,
    row: Condition | None,
    windows: Tensor,
    answers: VisitAnswers | None = None,
) -> dict[str, Tensor]:
    """Compute the finest outputs of the voxel tasks on windows `[N, C, *patch]` of one image; `row` and `answers` are
    those of its visit."""
    condition = None if row is None else row.repeat(len(windows))
    read = None if answers is None else answers.repeat(len(windows))
    outputs = network.voxel_outputs(image, windows, condition, read)
    return {task: levels[0] for task, levels in outputs.items()}


def _crop_center(output: Tensor, space: Sequence[int]) -> Tensor:
    """Remove the padding of `[K, *size]`, which leaves the middle `[K, *space]`."""
    starts = [(n - s) // 2 for n, s in zip(output.shape[1:], space, strict=True)]
    return output[(slice(None), *[slice(a, a + s) for a, s in zip(starts, space, strict=True)])]


def _move_to_cpu(prediction: Prediction) -> Prediction:
    # float32: sums over flips and members would lose digits in bf16.
    return {k: v.float().cpu() for k, v in prediction.items()}
