"""CTAN-style: tasks with attention over one encoder that read each other's maps.

After Kim, Purdie, McIntosh, *Cross-Task Attention Network*, MICCAI 2023 Workshops. Neither its code nor its full text
was available. Two ideas are certain: tasks from voxel to image level exchange by attention in the encoder, and in a
bottleneck. Reconstructed are the form of the masks (those of MTAN), of the exchange (own map plus a function of the
others' maps), of the token attention, and all widths, norms and initial values.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import torch
from torch import Tensor, nn

from polytask.model.building_blocks import ConvNormAct, EncoderSpec, NamedModules, TaskCut, make_norm
from polytask.model.convolutions import shrink_initial_weights
from polytask.model.roles import ParameterRoles, assign_role, choose_owner_role
from polytask.model.sharing.task_attention import (
    ATTENTION_FORMS,
    AttentionPath,
    squeeze_width,
)
from polytask.model.sharing.token_attention import CrossTaskAttention
from polytask.tasks.heads_and_losses import Pointwise


class LowRankExchange(nn.Module):
    """The own map plus a low-rank function of the sum of what the other tasks give, with 1×1 convolutions."""

    def __init__(self, channels: int, tasks: Sequence[str]):
        super().__init__()
        rank = squeeze_width(channels)
        self.give = NamedModules({t: Pointwise(channels, rank) for t in tasks})
        self.take = NamedModules(
            {t: nn.Sequential(make_norm(rank), nn.LeakyReLU(0.01), Pointwise(rank, channels)) for t in tasks}
        )
        for _, take in self.take.items():
            last = take[-1]
            assert isinstance(last, Pointwise)
            shrink_initial_weights(last, 0.1)

    def forward(self, maps: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Exchange the maps of all tasks: task → `[N, C, *space]`, before and after."""
        messages = {t: give(maps[t]) for t, give in self.give.items()}
        others = {t: [g for other, g in messages.items() if other != t] for t in messages}
        return {t: maps[t] + take(sum(others[t][1:], others[t][0])) for t, take in self.take.items()}


class FullExchange(nn.Module):
    """The own map plus a 3×3(×3) convolution, norm and activation of the other maps side by side."""

    def __init__(self, dims: int, channels: int, tasks: Sequence[str], kernel: Sequence[int] | None = None):
        super().__init__()
        others = (len(tasks) - 1) * channels
        self.take = NamedModules({t: ConvNormAct(dims, others, channels, kernel=kernel) for t in tasks})
        for _, take in self.take.items():
            nn.init.constant_(take[1].get_parameter("weight"), 0.1)

    def forward(self, maps: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Exchange the maps of all tasks: task → `[N, C, *space]`, before and after."""
        names = [t for t, _ in self.take.items()]
        return {
            t: maps[t] + take(torch.cat([maps[u] for u in names if u != t], 1))
            for t, take in self.take.items()
        }


class CTAN(nn.Module):
    """CTAN-style: cross-task attention in encoder stages and in a token bottleneck (after Kim et al. 2023).

    At each stage every task masks the shared map as in MTAN and adds a function of the other tasks' masked maps. At the
    deepest level the positions of each task attend to one another, and then to those of the other tasks.

    Light form: rank C/4, attention of half the channels, and level 0 on demand (see `AttentionPath`): the exchange
    there has the resolution of level 1 and reaches heads through the levels below. Paper form: 3×3(×3) convolutions at
    every resolution, attention of all channels. With one task there is no exchange, only self-attention.

    Answers depend on all tasks that the block was built with. So all branches are computed, whichever tasks are asked
    for, and the answer of a task is always the same.
    """

    forms = ATTENTION_FORMS

    def __init__(self, spec: EncoderSpec, needs: Mapping[str, frozenset[int]], form: str = "light"):
        super().__init__()
        self.needs = dict(needs)
        self.channels = spec.widths
        self.tasks = tuple(sorted(needs))
        self.interacts = len(needs) > 1
        self.path = AttentionPath(spec, needs, form, strided=True)
        light, deepest = form == "light", spec.widths[-1]
        self.exchanges = nn.ModuleList(
            LowRankExchange(c, self.tasks) if light else FullExchange(spec.dims, c, self.tasks, k)
            for c, k in zip(spec.widths, spec.stage_kernels, strict=True)
            if self.interacts
        )
        inner, hidden = (deepest // 2, deepest) if light else (deepest, 4 * deepest)
        self.meeting = CrossTaskAttention(deepest, self.tasks, inner, hidden)

    def forward(self, x: Tensor, tasks: Sequence[str], cut: TaskCut) -> dict[str, list[Tensor | None]]:
        """Compute one pyramid per task from `[N, planes, *space]`."""
        pyramids: dict[str, list[Tensor | None]] = self.path(
            x, self.tasks, tasks, cut, partial(self._exchange_maps, tuple(tasks))
        )
        return pyramids

    def roles(self) -> ParameterRoles:
        """Return the roles: the encoder is trunk, what comes before an exchange is joint, what comes after the last is
        private."""
        role = choose_owner_role(self.tasks)
        roles = self.path.roles("path.", lambda _: role)
        return roles | assign_role(self.exchanges, "exchanges.", role) | self.meeting.roles("meeting.")

    def _exchange_maps(self, asked: Sequence[str], level: int, maps: dict[str, Tensor]) -> dict[str, Tensor]:
        """Add what the other tasks give to each map; at the deepest level the tasks meet in token attention."""
        told = self.exchanges[level](maps) if self.interacts else maps
        if level < len(self.channels) - 1:
            return dict(told)
        return dict(self.meeting(told, asked))
