"""Brings the batches of a training to its device, the next one while a step runs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor

from polytask.prepare.batch import Batch
from polytask.training.distributed import World
from polytask.training.state import FitState
from polytask.training.step import PlacedBatch, place_batch


def feed_batches(batches: Iterable[Batch], state: FitState, world: World) -> Iterator[Batch | PlacedBatch]:
    """Yield the batches for `launch_step`, in their order.

    On a CPU they stay as they are. On a device they are copied before they are yielded; with overlapped copies the next
    one is on its way by then.
    """
    if world.device.type == "cpu":
        yield from batches
    elif not world.speedups.overlapped_copies:
        yield from (place_batch(state, batch, world.device) for batch in batches)
    else:
        yield from copy_ahead(batches, state, world.device)


def copy_ahead(batches: Iterable[Batch], state: FitState, device: torch.device) -> Iterator[PlacedBatch]:
    """Yield batches on a CUDA device. The next one is copied from pinned memory, on a stream of its own."""
    copies = torch.cuda.Stream(device)

    def start_copy(batch: Batch) -> tuple[PlacedBatch, torch.cuda.Event]:
        with torch.cuda.stream(copies):
            placed = place_batch(state, batch, device, pinned=True)
        return placed, copies.record_event()

    def finish_copy(placed: PlacedBatch, arrival: torch.cuda.Event) -> PlacedBatch:
        steps = torch.cuda.current_stream(device)
        # The stream of the steps waits for the copy; the host does not.
        steps.wait_event(arrival)
        for tensor in list_device_tensors(placed):
            # Otherwise a later copy could take the memory while a step that was launched still reads it.
            tensor.record_stream(steps)
        return placed

    ahead: tuple[PlacedBatch, torch.cuda.Event] | None = None
    for batch in batches:
        following = start_copy(batch)
        if ahead is not None:
            yield finish_copy(*ahead)
        ahead = following
    if ahead is not None:
        yield finish_copy(*ahead)


def list_device_tensors(placed: PlacedBatch) -> list[Tensor]:
    """List the tensors of a placed batch that lie on the device."""
    batch, tensors = placed.batch, [placed.batch.visit_known, placed.batch.day]
    for by_name in (batch.whole, batch.patch, batch.channel_known, batch.tables, batch.table_known):
        tensors += by_name.values()
    for by_name in (batch.bags, batch.bag_known, batch.crops, batch.crop_known):
        tensors += by_name.values()
    for target, _ in placed.targets.values():
        tensors += [
            t for t in (target.value, target.known, target.region, target.structures) if t is not None
        ]
    return tensors
