"""Says who reads one view of an image and through which architecture: what its memory depends on beside its size."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, Protocol

from polytask.cohort.header import Header
from polytask.kinds.task_spec import MaskSpec, VoxelSpec
from polytask.plan.model_plan import ModelPlan
from polytask.task_chains import find_upstream_tasks

ViewPart = Literal["whole", "patch", "view"]
"""What is read: the only view of an image, a patch of it, or the coarse view beside patches."""

READING_EACH_OTHER = ("cross_stitch", "nddr", "ple", "ctan")
"""Sharing blocks that compute the branches of all tasks, whichever are asked for."""
ATTENTION_DECODERS = ("attention", "mtan")
"""Decoders that the voxel tasks of an image have in common, with attention per task."""
MEETING_DECODERS = (*ATTENTION_DECODERS, "padnet")
"""Decoders in which the answer of a task depends on the maps of the others."""


class FieldSizes(Protocol):
    """The sizes that a step reads of an image: a plan has them, and so has the choice that leads to it."""

    @property
    def view(self) -> tuple[int, ...] | None:
        """Size of the whole view, where there is one."""

    @property
    def patch(self) -> tuple[int, ...] | None:
        """Size of a patch, where patches are read."""

    @property
    def patches(self) -> int:
        """Number of patches that a step reads of each visit."""


@dataclass(frozen=True)
class ViewReaders:
    """The readers of one view.

    Args:
        sharing, form: the sharing block that they read through.
        encoder: what the stages of the encoder are made of.
        voxel, pooled: number of voxel tasks, and of visit and subject tasks, that read the maps of the trunk.
        branches: number of tasks whose branch of the sharing block runs: in blocks whose tasks read each other all of
            them, whoever reads this view.
        decoders: number of decoders that run.
        attending: number of tasks that meet in a common decoder, which is `decoder`: by attention stages on it, or by
            messages.
        masks: number of structures whose losses keep maps of this view; a task without structures counts as one.
        seconds: for each second network, the planes of answers that it reads beside the image.
        averaged: number of tasks that read the mean of several second networks.
        copied: number of tasks whose decoder reads changed copies of the maps: without some channels in passes, or
            scaled and shifted by an answer.
        repeats: number of further passes through decoders, without a gradient.
        handed: for each answer that a task hands down as a map, the values that it keeps per position, in float32.
        compared: for each answer whose coarse logits are read as maps of visits, the number of its logits, once for
            each task that reads it.
        gated: number of planes that weigh the features of visit and subject tasks, summed over these tasks.
        shared: whether one encoder reads all image inputs, each behind a layer of its own.
    """

    sharing: str = "hard"
    form: str = "light"
    voxel: int = 0
    pooled: int = 0
    branches: int = 0
    decoders: int = 0
    attending: int = 0
    decoder: str = "private"
    masks: int = 0
    seconds: tuple[int, ...] = ()
    averaged: int = 0
    copied: int = 0
    repeats: int = 0
    handed: tuple[int, ...] = ()
    compared: tuple[int, ...] = ()
    gated: int = 0
    shared: bool = False
    encoder: str = "residual"

    def drop_decoders(self, decoders: int) -> ViewReaders:
        """Return the readers of a view of which no mask is asked, where `decoders` is 0."""
        if decoders:
            return self
        branches = self.branches if self.sharing in READING_EACH_OTHER else self.pooled
        return replace(
            self,
            branches=branches,
            voxel=0,
            decoders=0,
            attending=0,
            masks=0,
            seconds=(),
            averaged=0,
            copied=0,
            repeats=0,
            handed=(),
        )


def find_view_readers(header: Header, image: str, model: ModelPlan, part: ViewPart) -> ViewReaders:
    """Find the readers of a view of an image under an architecture."""
    every = header.tasks
    after = {t: [u for u in ups if u in every] for t, ups in model.after.items() if t in every}
    on_image = [n for n, t in every.items() if isinstance(t, VoxelSpec) and t.image == image]
    all_pooled = [n for n, t in every.items() if not isinstance(t, VoxelSpec)]
    pooled = all_pooled if part != "patch" else []
    # A voxel task that follows a visit task runs last, with a decoder of its own, where its mask is asked for.
    late = {t for t in on_image if find_upstream_tasks(t, after) & set(all_pooled)}
    answered = {t for t in on_image if set(after.get(t, ())) & set(all_pooled)}
    early = [t for t in on_image if t not in late]
    voxel = _list_view_masks(early, pooled, after, model) if part == "view" else on_image
    maps = {t: [u for u in after.get(t, ()) if u in on_image] for t in (*on_image, *all_pooled)}
    # A voxel task reads a map through a second network; a pooled task only where the plan says so.
    mapped = {t for t in maps if maps[t] and (t in on_image or model.link.get(t) == "channel")}
    coarse = {t for t in pooled if maps[t] and model.link.get(t) == "logits"}
    readers = [t for t in (*voxel, *pooled) if t not in coarse]
    planes = {u: _count_handed_planes(header, u, model) for t in readers for u in maps[t]}
    # With passes every upstream mask lacks channels while it trains; only those that are read here are repeated.
    handing = [u for t in every for u in maps.get(t, ()) if t in on_image or model.link.get(t) != "logits"]
    thinned = {u for u in handing if u in voxel} if model.passes else set[str]()
    second = [maps[t] for t in (*voxel, *pooled) if t in mapped]
    averaged = sum(len(read) > 1 for read in second) if model.second_network == "map" else 0
    if model.second_network == "shared":
        second = list({frozenset(read): read for read in second}.values())
    elif model.second_network == "map":
        second = [[u] for u in dict.fromkeys(u for read in second for u in read)]
    trunk = [t for t in voxel if t not in mapped]
    listening = [t for t in pooled if t not in mapped]
    computed = [t for t in maps if t not in mapped]
    if shared := model.trunk is not None and len(list_read_images(header)) > 1:
        # The branches of the voxel tasks of other images are in the same block.
        computed += [
            t for n in list_read_images(header) if n != image for t in _list_first_masks(header, n, after)
        ]
    common = model.decoder in ATTENTION_DECODERS or (model.decoder == "shared" and model.sharing == "hard")
    meeting = [t for t in trunk if t not in answered]
    joined = meeting if common else []
    return ViewReaders(
        sharing=model.sharing,
        form=model.form,
        voxel=len(trunk),
        pooled=len(listening),
        branches=len(computed if model.sharing in READING_EACH_OTHER else [*trunk, *listening]),
        decoders=len(voxel) - len(joined) + min(1, len(joined)),
        attending=len(meeting) if model.decoder in MEETING_DECODERS else 0,
        decoder=model.decoder,
        masks=sum(_count_structures(header, t) for t in voxel) if part != "view" else 0,
        seconds=tuple(sum(planes[u] for u in read) for read in second),
        averaged=averaged,
        copied=len(thinned | answered & set(voxel)),
        repeats=((model.passes or 1) - 1) * len(thinned & set(planes)),
        handed=tuple(_count_handed_values(header, u, model) for u in planes),
        compared=tuple(_count_logits(header, u) for t in pooled if t in coarse for u in maps[t]),
        gated=sum(planes[u] for t in listening if t not in coarse for u in maps[t]),
        shared=shared,
        encoder=model.encoder or "residual",
    )


def find_trunk_readers(header: Header, image: str, model: ModelPlan) -> ViewReaders | None:
    """Find who reads the encoders that are counted with an image; None where a shared trunk is counted with another."""
    own = find_view_readers(header, image, model, "whole")
    if not own.shared:
        return own
    images = list_read_images(header)
    if image != images[0]:
        return None
    every = [find_view_readers(header, name, model, "whole") for name in images]
    voxel, pooled = sum(readers.voxel for readers in every), max(readers.pooled for readers in every)
    return replace(own, voxel=voxel, pooled=pooled, branches=voxel + pooled)


def list_read_images(header: Header) -> list[str]:
    """List the image inputs that some task reads."""
    drawn = {t.image for t in header.tasks.values() if isinstance(t, VoxelSpec)}
    pooled = any(not isinstance(t, VoxelSpec) for t in header.tasks.values())
    return [name for name in header.images if pooled or name in drawn]


def _list_first_masks(header: Header, image: str, after: dict[str, list[str]]) -> list[str]:
    """List the voxel tasks of an image that follow no other voxel task: they read the trunk."""
    drawn = [n for n, t in header.tasks.items() if isinstance(t, VoxelSpec) and t.image == image]
    return [t for t in drawn if not any(up in drawn for up in after.get(t, ()))]


def _list_view_masks(
    on_image: list[str], pooled: list[str], after: dict[str, list[str]], model: ModelPlan
) -> list[str]:
    """List the voxel tasks that run on the view beside patches: those whose masks visit and subject tasks read."""
    read = {u for t in pooled for u in find_upstream_tasks(t, after) if u in on_image}
    return on_image if read and model.decoder in MEETING_DECODERS else [t for t in on_image if t in read]


def list_view_parts(field: FieldSizes) -> list[tuple[tuple[int, ...], int, ViewPart]]:
    """List what a step reads of an image: size, number per visit, and which part of it that is."""
    parts: list[tuple[tuple[int, ...], int, ViewPart]] = []
    if field.view is not None:
        parts.append((field.view, 1, "whole" if field.patch is None else "view"))
    if field.patch is not None:
        parts.append((field.patch, field.patches, "patch"))
    return parts


def _count_structures(header: Header, task: str) -> int:
    spec = header.tasks[task]
    return len(spec.names) if isinstance(spec, MaskSpec) else 1


def _count_logits(header: Header, task: str) -> int:
    spec = header.tasks[task]
    return len(spec.names) + spec.exclusive if isinstance(spec, MaskSpec) else 1


def _count_handed_planes(header: Header, task: str, model: ModelPlan) -> int:
    """Count the planes of an answer and of its uncertainty, as the tasks after it read them."""
    return _count_structures(header, task) + (model.uncertainty != "none")


def _count_handed_values(header: Header, task: str, model: ModelPlan) -> int:
    """Count the numbers per position that autograd keeps of an answer that is handed down."""
    spec = header.tasks[task]
    planes = _count_handed_planes(header, task, model)
    if not isinstance(spec, MaskSpec):
        return planes
    outputs = len(spec.names) + spec.exclusive
    # The probabilities; and for the entropy the clamped ones, their logarithms, and for overlapping structures the
    # same of the background of each.
    kept = model.uncertainty == "entropy" and not model.passes
    entropy = (3 if spec.exclusive else 6) * outputs if kept else 0
    return outputs + planes + entropy
