"""What a network reads: the tensors of a batch by name, and which visits and sources in them are known."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor

from polytask.errors import PolytaskError
from polytask.model.building_blocks import TaskCut, pool_mean_max
from polytask.tasks.heads_and_losses import index_rows

if TYPE_CHECKING:
    from polytask.model.network import Network

DAYS_PER_YEAR = 365.25
EVERY_TASK = "every task"
"""Name of the stems that all tasks read; where a task has an encoder of its own, its stems have the task's name."""


class NetworkInputs(Protocol):
    """The input side of `prepare.Batch`, where the shapes are described."""

    @property
    def visit_known(self) -> Tensor: ...
    @property
    def day(self) -> Tensor: ...
    @property
    def whole(self) -> dict[str, Tensor]: ...
    @property
    def patch(self) -> dict[str, Tensor]: ...
    @property
    def channel_known(self) -> dict[str, Tensor]: ...
    @property
    def tables(self) -> dict[str, Tensor]: ...
    @property
    def table_known(self) -> dict[str, Tensor]: ...
    @property
    def bags(self) -> dict[str, Tensor]: ...
    @property
    def bag_known(self) -> dict[str, Tensor]: ...
    @property
    def crops(self) -> dict[str, Tensor]: ...
    @property
    def crop_known(self) -> dict[str, Tensor]: ...


@dataclass(frozen=True)
class CompleteInputs:
    """Network inputs in which all visits and all image channels are present, to measure networks and to export them.

    Args:
        whole: per image input `[B, V, C, *space]`, every visit known.
        tables: per table input `[B, V, F]`; a cell that is not known is NaN.
        day: `[B, V]`, days since the first visit.
    """

    whole: dict[str, Tensor]
    tables: dict[str, Tensor]
    day: Tensor
    patch: dict[str, Tensor] = field(default_factory=dict)
    bags: dict[str, Tensor] = field(default_factory=dict)
    bag_known: dict[str, Tensor] = field(default_factory=dict)
    crops: dict[str, Tensor] = field(default_factory=dict)
    crop_known: dict[str, Tensor] = field(default_factory=dict)

    @property
    def visit_known(self) -> Tensor:
        """Which visits are known: `[B, V]`, all true."""
        return torch.ones_like(self.day, dtype=torch.bool)

    @property
    def channel_known(self) -> dict[str, Tensor]:
        """Which images are known: per image input `[B, V, 1]`, all true."""
        return dict.fromkeys(self.whole, self.visit_known[..., None])

    @property
    def table_known(self) -> dict[str, Tensor]:
        """Which cells are known: per table input `[B, V, F]`, false where a cell is NaN."""
        return {name: ~values.isnan() for name, values in self.tables.items()}


def select_known_rows(inputs: NetworkInputs, unread: Sequence[int] = ()) -> Tensor | slice:
    """Select which of the `B·V` visit slots are encoded: a mask, or a slice of everything for `CompleteInputs`.

    The mask leaves out visits that are not known, and the slots `unread`, which no task reads. On a device it is
    replaced by the positions of what it selects, or by a slice if that is everything. The slice of `CompleteInputs` is
    the same for every input: so the network has one graph, which can be exported, and nothing is copied.
    """
    if isinstance(inputs, CompleteInputs):
        return slice(None)
    chosen, device = choose_encoded_rows(inputs, unread), inputs.visit_known.device
    if device.type == "cpu":
        return chosen
    return slice(None) if bool(chosen.all()) else index_rows(chosen, device)


def choose_encoded_rows(inputs: NetworkInputs, unread: Sequence[int]) -> Tensor:
    """Choose which of the `B·V` visit slots are encoded, bool in host memory: so no device is waited for.

    The number of rows that an encoder gets must be known before it runs.
    """
    visits: Tensor | None = getattr(inputs, "host_visit_known", None)
    visits = inputs.visit_known if visits is None else visits
    read = mark_read_visits(visits, unread)
    # An encoder cannot run on an empty batch. Where only unread visits exist, no task reads what it computes of them.
    return (read if not unread or bool(read.any()) else visits).flatten()


def mark_read_visits(known: Tensor, unread: Sequence[int]) -> Tensor:
    """Mark the visits that are known and read by some task, `[B, V]`."""
    if not unread:
        return known
    read = known.clone()
    for slot in unread:
        read[:, slot] = False
    return read


def mark_partly_read_rows(
    slots: Mapping[str, Sequence[int]], inputs: NetworkInputs, unread: Sequence[int]
) -> dict[str, Tensor]:
    """Mark for each task which of the N encoded rows it reads, `[N]`; tasks that read all or none are left out.

    On a device it is the positions of these rows. For `CompleteInputs` every row is read, so that a network has one
    graph.

    Args:
        slots: task → the visit slots that it reads, for tasks that do not read all of them.
        unread: as in `select_known_rows`.
    """
    rows: dict[str, Tensor] = {}
    if isinstance(inputs, CompleteInputs) or not slots:
        return rows
    chosen, device = choose_encoded_rows(inputs, unread), inputs.visit_known.device
    for task, own in slots.items():
        reads = torch.zeros(inputs.visit_known.shape, dtype=torch.bool)
        reads[:, list(own)] = True
        mine = reads.flatten()[chosen]
        # An encoder cannot run on an empty batch: then it computes rows that the task does not read.
        if bool(mine.any()) and not bool(mine.all()):
            rows[task] = index_rows(mine, device)
    return rows


def restore_visits(maps: Tensor, present: Tensor | slice, shape: Sequence[int]) -> Tensor:
    """Put `[N, C, *space]` of the known visits back to `[B, V, C, *space]`, zero where a visit is not known."""
    if isinstance(present, slice) or (present.dtype == torch.bool and bool(present.all())):
        return maps.reshape(*shape, *maps.shape[1:])
    rows = present.nonzero()[:, 0] if present.dtype == torch.bool else present
    full = maps.new_zeros((prod(shape), *maps.shape[1:]))
    return full.index_put((rows,), maps).reshape(*shape, *maps.shape[1:])


def select_separate_tasks(
    rows: Mapping[str, Tensor], mapped: Collection[str], separate: bool, together: Collection[str]
) -> dict[str, Tensor]:
    """Select the tasks that may leave out rows of an image, because nothing else is computed from the same maps.

    So it is where the sharing block has `separate` encoders or branches behind a common one, and for `mapped` tasks,
    which stand behind a second network of their own. In all other blocks tasks read a common encoder, or the encoders
    of each other (`cross_stitch`): what one does not read, another does. Tasks whose maps are decoded `together` need
    the same rows.
    """
    return {t: r for t, r in rows.items() if (separate or t in mapped) and t not in together}


def take_rows(maps: Tensor, rows: Tensor | None) -> Tensor:
    """Take the marked rows of `[N, …]`; all of them where nothing is marked."""
    return maps if rows is None else maps[rows]


def restore_rows(maps: Tensor, rows: Tensor | None, count: int) -> Tensor:
    """Put maps of the marked rows back among all `count`, zero elsewhere."""
    return maps if rows is None else restore_visits(maps, rows, (count,))


def restore_pyramid_rows(
    pyramid: Sequence[Tensor | None], rows: Tensor | None, count: int
) -> list[Tensor | None]:
    """Put the maps of each level back, as `restore_rows` does; levels that were not computed stay None."""
    return [None if level is None else restore_rows(level, rows, count) for level in pyramid]


def hide_sources(inputs: NetworkInputs, rate: float, unread: Sequence[int] = ()) -> dict[str, Tensor]:
    """Return source → bool `[B, V]`, where it is known and not hidden, and not in the visit slots `unread`.

    Hiding lets the network learn to answer from every subset of the sources.

    Of the samples that have several sources, the share `rate` has one source hidden at all visits. A visit that has no
    other source keeps it.
    """
    visits = mark_read_visits(inputs.visit_known, unread)
    known = {name: k.any(-1) & visits for name, k in inputs.channel_known.items()}
    known |= {name: k.any(-1) & visits for name, k in inputs.table_known.items()}
    known |= {name: k.any(-1) & visits for name, k in inputs.bag_known.items()}
    if rate <= 0 or len(known) < 2:
        return known
    all_known = torch.stack(list(known.values()), 1)
    alone = all_known & (all_known.sum(1, keepdim=True) == 1)
    free = (all_known & ~alone).any(2)
    # The largest of uniform draws is a fair choice among the sources that may be hidden.
    draw = torch.rand(free.shape, device=free.device).masked_fill(~free, -1.0)
    hide = (torch.rand(len(free), device=free.device) < rate) & free.any(1)
    chosen = draw.argmax(1)
    return {
        name: k & (~(hide & (chosen == index))[:, None] | alone[:, index])
        for index, (name, k) in enumerate(known.items())
    }


def mask_unknown(known: Tensor, maps: Tensor) -> Tensor:
    """Set `[B, K, …]` to exact zeros where `known [B, K]` is false.

    Neither value nor gradient passes there, not even NaN.
    """
    return torch.where(known.reshape(*known.shape, *[1] * (maps.dim() - 2)), maps, 0.0)


def pool_levels(maps: Sequence[Tensor], known: Tensor) -> Tensor:
    """Put mean and maximum of every level side by side: levels `[B, V, C, *space]` → `[B, V, 2 ΣC]`."""
    levels = [pool_mean_max(mask_unknown(known, level).flatten(0, 1)) for level in maps]
    side_by_side: Tensor = torch.cat(levels, 1).unflatten(0, known.shape)
    return side_by_side


def count_visit_pairs(fusion: str, visits: int) -> int:
    """Count the pairs of consecutive visits; an error where there are none to compare."""
    if visits < 2:
        raise PolytaskError(
            f"model.visit_fusion: {fusion!r} compares visits, but the task reads {visits}; name two `visits` in "
            "cohort.yaml, or choose concat"
        )
    return visits - 1


def pair_visits(known: Tensor, day: Tensor) -> tuple[Tensor, Tensor]:
    """Pair neighboring slots: `known [B, V]`, `day [B, V]` → whether both are known, and the days between them.

    Both are `[B, V − 1]`.
    """
    return known[:, :-1] & known[:, 1:], day[:, 1:] - day[:, :-1]


def compute_pyramids(
    block: Any,
    x: Tensor,
    tasks: Sequence[str],
    cut: TaskCut,
    unmasked: Sequence[str],
    rows: Mapping[str, Tensor],
) -> tuple[dict[str, list[Tensor | None]], dict[str, list[Tensor | None]]]:
    """Compute the pyramids of tasks by a sharing block, and for those of them in `unmasked` the maps of the common
    encoder before the task masks them, where the block has such maps. `rows`: task → those of the N rows that it reads,
    if not all."""
    if unmasked and hasattr(block, "compute_with_shared"):
        pyramids, shared = block.compute_with_shared(x, tasks, cut, rows)
        return pyramids, {task: maps for task, maps in shared.items() if task in unmasked}
    return block(x, tasks, cut, rows) if getattr(block, "branched", False) else block(x, tasks, cut), {}


def read_trunk(
    network: Network,
    image: str,
    x: Tensor,
    tasks: Sequence[str],
    cut: TaskCut,
    rows: Mapping[str, Tensor],
) -> tuple[dict[str, list[Tensor | None]], dict[str, list[Tensor | None]]]:
    """Read a view `[N, planes, *space]` of an image through its sharing block, for tasks that read the trunk.

    Returns the pyramids by task, and where a decoder reads them those of the common encoder before the tasks mask them.
    `rows` marks for some tasks which of the N rows they read.
    """
    block, stems = network.blocks[network.block_names[image]], network.stems
    separate, several = getattr(block, "separate", False), bool(stems.names())
    pyramids, shared = dict[str, list[Tensor | None]](), dict[str, list[Tensor | None]]()
    alone = separate and (several or bool(rows))
    for group in [[task] for task in tasks] if alone else [list(tasks)]:
        read = take_rows(x, rows.get(group[0]) if group and separate else None)
        if several and group:
            read = stems[group[0] if separate else EVERY_TASK](image, read)
        own, common = compute_pyramids(block, read, group, cut, network.voxels.unmasked, rows)
        if several:
            # A block of several images makes every level that a task reads of any of them.
            own = {t: _keep_levels(maps, network.reads[t, image]) for t, maps in own.items()}
        pyramids, shared = pyramids | own, shared | common
    return pyramids, shared


def _keep_levels(maps: Sequence[Tensor | None], levels: frozenset[int]) -> list[Tensor | None]:
    return [level_map if level in levels else None for level, level_map in enumerate(maps)]
