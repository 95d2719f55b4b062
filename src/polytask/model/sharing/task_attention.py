"""Soft attention along one shared encoder, with a branch per task: what `mtan` and `ctan` have in common."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

from torch import Tensor, nn
from torch.nn.functional import interpolate, max_pool2d, max_pool3d

from polytask.model.building_blocks import (
    ConvNormAct,
    Encoder,
    EncoderSpec,
    LevelModules,
    MeanPool,
    NamedModules,
    TaskCut,
    make_norm,
)
from polytask.model.convolutions import shrink_initial_weights
from polytask.model.roles import TRUNK, ParameterRoles, assign_role
from polytask.tasks.heads_and_losses import Pointwise

ATTENTION_FORMS = ("light", "paper")
MAX_POOL = {2: max_pool2d, 3: max_pool3d}
OPEN_MASK_BIAS = 2.0
"""Masks start at sigmoid(2) = 0.88 almost everywhere: close to hard sharing, and the sigmoid still has a slope."""
ExchangeMaps = Callable[[int, dict[str, Tensor]], dict[str, Tensor]]
"""(level, task → its attended map) → task → the map with which it continues."""


def squeeze_width(channels: int) -> int:
    """Return the number of channels after squeezing: a quarter of them."""
    return max(4, channels // 4)


class Mask(nn.Module):
    """How much of every channel a task takes at every position: `[N, C, *space]` between 0 and 1.

    A 1×1 convolution of the shared map and one of what the task brings from the level above are added (which equals one
    convolution of both side by side). Then follow a norm, an activation, a 1×1 convolution and a sigmoid.
    """

    def __init__(self, channels: int, below: int, hidden: int, normed: bool):
        super().__init__()
        self.shared = Pointwise(channels, hidden)
        self.brought = Pointwise(below, hidden) if below else None
        self.hidden = nn.Sequential(make_norm(hidden), nn.LeakyReLU(0.01, inplace=True))
        self.out = Pointwise(hidden, channels, bias=not normed)
        self.norm = make_norm(channels) if normed else nn.Identity()
        if isinstance(self.norm, nn.GroupNorm):
            # A norm comes last here: its scale and shift decide how the mask starts, not the weights before
            # it.
            nn.init.constant_(self.norm.weight, 0.1)
            nn.init.constant_(self.norm.bias, OPEN_MASK_BIAS)
        elif self.out.bias is not None:
            shrink_initial_weights(self.out, 0.25)
            nn.init.constant_(self.out.bias, OPEN_MASK_BIAS)

    def forward(self, shared: Tensor, brought: Tensor | None) -> Tensor:
        """Make a mask from `[N, C, *space]` and `[N, below, *space]` (None at the first level) → `[N, C, *space]`."""
        hidden = self.shared(shared)
        if self.brought is not None and brought is not None:
            hidden = hidden + self.brought(brought)
        mask: Tensor = self.norm(self.out(self.hidden(hidden))).sigmoid()
        return mask


class AttentionPath(nn.Module):
    """Shared encoder, masks per task and level, and what a task brings from one level to the next.

    `paper`: masks are as wide as the level and have its resolution. Between levels the task has its own 3×3(×3)
    convolution and max-pooling (or, when `strided`, a stride in the convolution).

    `light`: masks go through a quarter of the channels. Between levels there is mean-pooling and the 1×1 convolution of
    the next mask. One linear map is enough, because the maps of a task influence the next level only through its mask.

    At level 0 full-resolution maps would take most of the time, so `light` works there *on demand*: masks and what goes
    on have the resolution of level 1. Only for tasks whose head reads level 0, the mask is enlarged and applied to the
    full shared map. Such a mask is as coarse as a window of voxels, but the features under it stay sharp.

    The cut lies in front of every tensor that a branch reads: the last and first maps of a stage, or their pooled
    copies.
    """

    def __init__(
        self, spec: EncoderSpec, needs: Mapping[str, frozenset[int]], form: str, strided: bool = False
    ):
        super().__init__()
        light = form == "light"
        widths, strides, kernels = spec.widths, spec.strides[1:], spec.stage_kernels
        self.dims, self.strided = spec.dims, strided
        self.needs = dict(needs)
        self.encoder = Encoder(spec)
        self.strides = strides
        demand = light and bool(strides) and any(s > 1 for s in strides[0])
        self.shrink = MeanPool(strides[0]) if demand else None
        below = (0, *widths[:-1]) if light else (0, *widths[1:])
        self.masks = LevelModules(
            NamedModules({t: Mask(c, b, squeeze_width(c) if light else c, normed=not light) for t in needs})
            for c, b in zip(widths, below, strict=True)
        )
        self.pools = nn.ModuleList(MeanPool(s) for s in strides) if light else None
        self.refine = LevelModules(
            NamedModules(
                {
                    t: ConvNormAct(spec.dims, c, n, s if strided else 1, after if strided else before)
                    for t in needs
                }
                if not light
                else {}
            )
            for (c, n), s, (before, after) in zip(pairwise(widths), strides, pairwise(kernels), strict=True)
        )

    def forward(
        self,
        x: Tensor,
        branches: Sequence[str],
        asked: Sequence[str],
        cut: TaskCut,
        exchange: ExchangeMaps,
        unmasked: dict[str, list[Tensor | None]] | None = None,
        rows: Mapping[str, Tensor] | None = None,
    ) -> dict[str, list[Tensor | None]]:
        """Turn `[N, planes, *space]` into a pyramid for each task asked for; `branches` are the tasks that are
        computed. Into `unmasked` go, for each task asked for, the shared maps before its masks. Tasks in `rows` read
        those of the N rows only; an `exchange` between branches needs all of them."""
        pyramids: dict[str, list[Tensor | None]] = {t: [] for t in asked}
        if not asked:
            return pyramids
        brought: dict[str, Tensor] = {}
        for level, stage in enumerate(self.encoder.stages):
            early, x = stage(x)
            readers = [t for t in asked if level in self.needs[t]]
            shrink = self.shrink if level == 0 else None
            full = take_task_rows(cut(x, readers), rows) if shrink and readers else {}
            last = take_task_rows(cut(shrink(x) if shrink else x, branches), rows)
            # A stage of one block has the same first and last map: a second leaf would split its gradient in
            # two.
            first = (
                last
                if early is x
                else take_task_rows(cut(shrink(early) if shrink else early, branches), rows)
            )
            masks = {t: self.masks.at(level)[t](first[t], brought.get(t)) for t in branches}
            taken = exchange(level, {t: masks[t] * last[t] for t in branches})
            for task in asked:
                answer = apply_coarse_mask(full[task], masks[task]) if task in full else taken[task]
                pyramids[task].append(answer if task in readers else None)
                if unmasked is not None:
                    unmasked.setdefault(task, []).append(
                        full.get(task, last[task]) if task in readers else None
                    )
            if level < len(self.strides):
                brought = {t: self._carry_to_next_level(level, t, taken[t]) for t in branches}
        return pyramids

    def roles(self, prefix: str, role: Callable[[str], str]) -> ParameterRoles:
        """Return the roles: the encoder is trunk, what belongs to a task has `role(task)`."""
        roles = assign_role(self.encoder, f"{prefix}encoder.", TRUNK)
        parts: dict[str, LevelModules[NamedModules[Any]]] = {"masks": self.masks, "refine": self.refine}
        for kind, levels in parts.items():
            for level, members in enumerate(levels):
                for task, module in members.items():
                    roles |= assign_role(module, f"{prefix}{kind}.{level}.members.@{task}.", role(task))
        return roles

    def _carry_to_next_level(self, level: int, task: str, x: Tensor) -> Tensor:
        """Compute what a task brings to the next level, at the resolution of that level."""
        if self.pools is not None:
            smaller: Tensor = x if level == 0 and self.shrink is not None else self.pools[level](x)
            return smaller
        stride = self.strides[level]
        refined: Tensor = self.refine.at(level)[task](x)
        if self.strided or max(stride) == 1:
            return refined
        return MAX_POOL[self.dims](refined, stride, stride, ceil_mode=True)


def take_task_rows(maps: Mapping[str, Tensor], rows: Mapping[str, Tensor] | None) -> dict[str, Tensor]:
    """Take for each task those of the N rows of its map that it reads: all of them where nothing is said."""
    return {task: own[rows[task]] if rows and task in rows else own for task, own in maps.items()}


def apply_coarse_mask(shared: Tensor, mask: Tensor) -> Tensor:
    """Enlarge a coarse mask and apply it to a map: `[N, C, *space], [N, C, *coarse] → [N, C, *space]`."""
    return shared * interpolate(mask, size=shared.shape[2:], mode="nearest")
