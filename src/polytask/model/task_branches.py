"""The branches of the tasks, from what a task sees to its answer.

A pooled task (visit or subject) joins the tokens of its sources: visits first, then sources, then a head. A voxel task
decodes a pyramid to a value per voxel.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import torch
from torch import Tensor, nn

from polytask.model.building_blocks import Decoder, NamedModules, pool_mean_max
from polytask.model.decoders import VoxelDecoder, decode_tasks, describe_maps, find_decoder_kind, make_decoder
from polytask.model.input_fusion import INPUT_FUSIONS
from polytask.model.network_settings import NetworkSpec
from polytask.model.order.answer_maps import make_answer_map
from polytask.model.order.monte_carlo import make_channel_dropouts
from polytask.model.subvoxel_step import SubvoxelStep, count_enlarged_channels
from polytask.model.visit_fusion import MIN_FUSION_VISITS, VISIT_FUSIONS
from polytask.model.visit_fusion.past_visits import PastAttention, PastVisits, find_past_visits
from polytask.model.visit_fusion.visit_concat import SideBySideVisits
from polytask.tasks.heads_and_losses import disable_autocast
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


SourceEmbedding = Callable[..., Tensor]
"""A module that makes a vector of one source: a layer or, with a history, a fusion of the visits so far for a visit
task; a fusion of visits for a subject task."""


@dataclass(frozen=True)
class Token:
    """One source as a pooled task sees it.

    Args:
        maps: `[B, V, C, *space]` of the deepest levels that the time fusion reads (finest first), or one `[B, V, C]`.
        known: bool `[B, V]`, where the source is present.
    """

    maps: tuple[Tensor, ...]
    known: Tensor


def upstream_source(task: str) -> str:
    """Name the source through which a task reads the answer of an upstream task."""
    return f"after {task}"


class PooledBranch(nn.Module):
    """Tokens of all sources → visits joined (for a subject task) → sources joined → dropout → head.

    Where the task reads class answers in a second level, that level stands between the last two joints.

    Args:
        task: visit or subject task.
        images: source that comes as maps → its dims and the channels of each level that the task reads: image inputs,
            and coarse logits of upstream tasks.
        vectors: sources that come as one vector per visit: tables, slides, crops, upstream answers.
        answers: class answers that the second level reads; they come as one vector per visit too.
        visits: slots of the visits that a subject task may read, in order.
        history: number of visit slots of a visit task that also reads earlier visits; 0 for all other tasks.
        visit_fusion: how the visits are joined. A task that reads too few visits to compare them uses `concat`, a
            visit task with a history always `past`.
        width: embedding width.
    """

    slot_index: Tensor

    def __init__(
        self,
        task: Task,
        images: Mapping[str, tuple[int, Sequence[int]]],
        vectors: Sequence[str],
        visits: Sequence[int],
        width: int,
        dropout: float,
        visit_fusion: str,
        input_fusion: str,
        answers: Sequence[str] = (),
        history: int = 0,
    ):
        super().__init__()
        self.subject = task.level == "subject"
        # A buffer moves along to a device; a list would be copied there in every step. It is no part of the weights.
        self.register_buffer("slot_index", torch.tensor(list(visits), dtype=torch.long), persistent=False)
        visit_fusion = visit_fusion if len(visits) >= MIN_FUSION_VISITS[visit_fusion] else "concat"
        self.pairs = MIN_FUSION_VISITS[visit_fusion] > 1
        """Whether images are compared between neighboring visits."""
        embed: dict[str, SourceEmbedding] = {}
        for name, (dims, channels) in images.items():
            if history:
                embed[name] = PastVisits(channels, history, width, dims)
            elif self.subject:
                embed[name] = VISIT_FUSIONS[visit_fusion](channels, len(visits), width, dims)
            else:
                embed[name] = nn.Linear(2 * channels[-1], width)
        for name in (*vectors, *answers):
            if history:
                embed[name] = PastAttention(width, history, width)
            else:
                embed[name] = SideBySideVisits(width, len(visits), width) if self.subject else nn.Identity()
        self.answers = NamedModules({name: embed.pop(name) for name in answers})
        self.embed = NamedModules(embed)
        self.fusion = INPUT_FUSIONS[input_fusion](len(embed), width)
        self.dropout = nn.Dropout(dropout)
        self.head = task.head(width, 0)

    def forward(self, tokens: Mapping[str, Token], day: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Compute the answer from tokens by source and `day [B, V]`.

        Returns `[B, outputs]` (subject) or `[B·V, outputs]` (visit), and the weight of each source, `[B]` or `[B·V]`,
        if the fusion weighs sources.
        """
        fused, by_source = self.fuse_sources(tokens, day)
        return self.answer(fused), by_source

    def answer(self, vector: Tensor) -> Tensor:
        """Compute the answer from what all sources say, `[N, width]`."""
        with disable_autocast(vector):  # rounded scores would tie
            answer: Tensor = self.head(self.dropout(vector.float()))
        return answer

    def embed_answer(self, source: str, token: Token, day: Tensor) -> Tensor:
        """Embed a class answer for the second level as `[N, width]`, zero where it rests on nothing."""
        vector, known = self._embed_source(self.answers[source], token, day)
        return torch.where(known[:, None], vector, 0.0)

    def fuse_sources(self, tokens: Mapping[str, Token], day: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Join the sources as `[N, width]`, with the weight of each if the fusion weighs them."""
        embedded = [self._embed_source(m, tokens[n], day) for n, m in self.embed.items()]
        vectors, known = zip(*embedded, strict=True)
        fused, weights = self.fusion(torch.stack(vectors, 1), torch.stack(known, 1))
        names = [n for n, _ in self.embed.items()]
        by_source = {} if weights is None else dict(zip(names, weights.unbind(1), strict=True))
        return fused, by_source

    def _embed_source(self, embed: SourceEmbedding, token: Token, day: Tensor) -> tuple[Tensor, Tensor]:
        """Embed one source as `[N, width]`, with a flag `[N]` whether it is present."""
        if self.subject:
            maps = [m[:, self.slot_index] for m in token.maps]
            known = token.known[:, self.slot_index]
            visits = maps[0] if isinstance(embed, SideBySideVisits) else maps
            compared = self.pairs and not isinstance(embed, SideBySideVisits)
            # A comparison of visits needs both of a pair: one known visit alone is not enough.
            usable = known[:, 1:] & known[:, :-1] if compared else known
            return embed(visits, known, day[:, self.slot_index]), usable.any(1)
        if isinstance(embed, PastVisits | PastAttention):
            past = find_past_visits(token.known, day).any(2).flatten()
            if isinstance(embed, PastVisits):
                return embed.join_each_visit(token.maps, token.known, day).flatten(0, 1), past
            return embed(token.maps[0], token.known, day).flatten(0, 1), past
        deepest = token.maps[-1].flatten(0, 1)
        pooled = pool_mean_max(deepest) if deepest.dim() > 2 else deepest
        return embed(pooled), token.known.flatten()
