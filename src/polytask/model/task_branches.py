"""The branch of the voxel tasks: it decodes a pyramid to a value per voxel (all other tasks: `pooled_branch.py`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import torch
from torch import Tensor, nn

from polytask.model.building_blocks import Decoder, NamedModules
from polytask.model.decoders import VoxelDecoder, decode_tasks, describe_maps, find_decoder_kind, make_decoder
from polytask.model.network_settings import NetworkSpec
from polytask.model.order.answer_maps import make_answer_map
from polytask.model.order.monte_carlo import make_channel_dropouts
from polytask.model.subvoxel_step import SubvoxelStep, count_enlarged_channels
from polytask.tasks.task import Task

VoxelPyramid = Sequence[Tensor | None]
KEPT_CHANNEL_SHARE = 0.8
"""Share of the channels that a thinned head sees."""
THINNED_HEADS = 8
"""Number of thinned heads whose spread is the variance."""


class VoxelHeads(nn.Module):
    """1×1 heads on decoded maps, finest first; the coarser ones run only while training (deep supervision).

    When `thinned`, the head learns to do without some of its channels, and `variance` compares fixed subsets of them.
    This is MC dropout whose masks are chosen once (Durasov, CVPR 2021), so that an answer is the same every time.
    """

    masks: Tensor
    """The channels that each thinned head sees `[heads, C]`, scaled; exists only when `thinned`."""

    def __init__(self, task: Task, dims: int, channels: Sequence[int], thinned: bool = False):
        super().__init__()
        self.task = task
        self.heads = nn.ModuleList(task.head(c, dims) for c in channels)
        self.thinned = thinned
        if thinned:
            masks = (
                torch.rand((THINNED_HEADS, channels[0]), generator=torch.Generator().manual_seed(0))
                < KEPT_CHANNEL_SHARE
            )
            self.register_buffer("masks", masks.float() / KEPT_CHANNEL_SHARE)

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """Turn maps `[N, C, *space]` into outputs; in eval mode only one output."""
        count = len(self.heads) if self.training else 1
        head_inputs = list(maps[:count])
        if self.thinned and self.training:
            finest = head_inputs[0]
            kept = finest.new_empty(finest.shape[:2]).bernoulli_(KEPT_CHANNEL_SHARE) / KEPT_CHANNEL_SHARE
            head_inputs[0] = finest * kept.reshape(*kept.shape, *[1] * (finest.dim() - 2))
        return [head(m) for head, m in zip(self.heads[:count], head_inputs, strict=True)]

    @torch.no_grad()
    def variance(self, finest: Tensor) -> Tensor:
        """Compute the spread of the thinned heads' answers: `[N, C, *space] → [N, 1, *space]`; 1 where half of them are
        0 and half 1."""
        total = square = torch.zeros((), device=finest.device)
        for mask in self.masks:
            channels = finest * mask.to(finest.dtype).reshape(1, -1, *[1] * (finest.dim() - 2))
            answer = make_answer_map(self.task, self.heads[0](channels)).float()
            total, square = total + answer, square + answer.square()
        spread = square / THINNED_HEADS - (total / THINNED_HEADS).square()
        # Rounding can make the difference of two squares negative. An answer between 0 and 1 has a variance
        # of at most 1/4.
        return 4 * spread.clamp_min(0).mean(1, keepdim=True)


class VoxelBranch(nn.Module):
    """Decoders and heads of all voxel tasks.

    Args:
        alone: voxel tasks with a second network of their own, which also have their own decoder.
        upstream: voxel tasks whose answer other tasks read.
    """

    def __init__(
        self, spec: NetworkSpec, tasks: Mapping[str, Task], alone: frozenset[str], upstream: frozenset[str]
    ):
        super().__init__()
        self.spec, self.tasks, self.uncertainty = spec, dict(tasks), spec.uncertainty
        chosen, levels = find_decoder_kind(spec.decoder), 1 + spec.deep_supervision
        self.levels: dict[str, int] = {}
        together = {t for t in tasks if chosen.together and t not in alone}
        self.keys = {t: f"image {spec.voxel_image[t]}" if t in together else t for t in tasks}
        self.unmasked = list(tasks) if chosen.reads_unmasked else []
        """Tasks whose decoder reads the maps of the common encoder, before the task masks them."""
        decoders: dict[str, VoxelDecoder] = {}
        enlargers: dict[str, SubvoxelStep] = {}
        heads: dict[str, VoxelHeads] = {}
        for name, task in tasks.items():
            key, image = self.keys[name], spec.images[spec.voxel_image[name]]
            if key not in decoders:
                kind = "private" if name in alone else spec.decoder
                decoders[key] = make_decoder(kind, image, self.list_decoder_users(key), levels)
            widths, self.levels[key] = describe_maps(decoders[key], image, levels)
            stem = image.strides[0]
            if max(stem) > 1:
                enlarged = count_enlarged_channels(widths[0])
                widths = (enlarged, *widths)[: self.levels[key]]
                if key not in enlargers:
                    enlargers[key] = SubvoxelStep(image.widths[0], enlarged, stem)
            thinned = spec.uncertainty == "variance" and name in upstream and not spec.passes
            heads[name] = VoxelHeads(task, image.dims, widths, thinned)
        self.decoders, self.heads = NamedModules(decoders), NamedModules(heads)
        self.enlargers = NamedModules(enlargers)
        """Decoder → the step from its finest maps to single voxels, where the encoder begins with a stride."""
        self.dropouts = NamedModules(make_channel_dropouts(spec, upstream))
        """Upstream task → what leaves out channels of its maps, pass by pass, where the plan asks for passes."""

    def forward(
        self, pyramids: Mapping[str, VoxelPyramid], shared: Mapping[str, VoxelPyramid] = MappingProxyType({})
    ) -> dict[str, tuple[list[Tensor], list[Tensor]]]:
        """Decode pyramids: task → (outputs, decoded maps), finest first. `shared`: see `compute_pyramids`."""
        answers: dict[str, tuple[list[Tensor], list[Tensor]]] = {}
        if self.training:
            pyramids, shared = self.drop_channels(pyramids), self.drop_channels(shared)
        for key in dict.fromkeys(self.keys[t] for t in pyramids):
            own_pyramids = {t: p for t, p in pyramids.items() if self.keys[t] == key}
            for name, maps in self.decode_maps(key, own_pyramids, shared).items():
                answers[name] = (self.heads[name](maps), maps)
        return answers

    def drop_channels(self, pyramids: Mapping[str, VoxelPyramid], number: int = 0) -> dict[str, VoxelPyramid]:
        """Leave out channels of the pyramids of upstream tasks, as in pass `number`; without passes nothing."""
        return {t: self.dropouts[t](p, number) if t in self.dropouts else p for t, p in pyramids.items()}

    def decode_maps(
        self, key: str, pyramids: Mapping[str, VoxelPyramid], shared: Mapping[str, VoxelPyramid]
    ) -> dict[str, list[Tensor]]:
        """Decode the maps of the tasks that use one decoder; it runs only once for tasks that see the same maps."""
        decoder = self.decoders[key]
        if not isinstance(decoder, Decoder):
            decoded = decode_tasks(decoder, pyramids, shared)
            return {task: self._enlarge_finest(key, maps) for task, maps in decoded.items()}
        maps_by_ids: dict[tuple[int, ...], list[Tensor]] = {}
        maps_by_task: dict[str, list[Tensor]] = {}
        for name, pyramid in pyramids.items():
            # Tasks see the same maps when these are the same tensors: comparing values would cost more than
            # decoding.
            tensor_ids = tuple(id(level) for level in pyramid)
            maps_by_task[name] = (
                maps_by_ids[tensor_ids]
                if tensor_ids in maps_by_ids
                else maps_by_ids.setdefault(tensor_ids, self._enlarge_finest(key, decoder(pyramid)))
            )
        return maps_by_task

    def _enlarge_finest(self, key: str, maps: list[Tensor]) -> list[Tensor]:
        """Put maps of single voxels before decoded maps, where the encoder begins with a stride."""
        return [self.enlargers[key](maps[0]), *maps][: self.levels[key]] if key in self.enlargers else maps

    def list_decoder_users(self, key: str) -> list[str]:
        """List the tasks that use a decoder."""
        return [t for t, k in self.keys.items() if k == key]
