"""Makes what pooled tasks read of each source: tables and patches of slides encoded, and tokens of image maps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor, nn

from polytask.model.building_blocks import NamedModules, TaskCut
from polytask.model.network_inputs import NetworkInputs, restore_visits
from polytask.model.network_settings import NetworkSpec
from polytask.model.roles import TRUNK, ParameterRoles, assign_role, private_role
from polytask.model.slide_encoder import GatedAttention, SlideEncoder
from polytask.model.task_branches import Token, upstream_source

if TYPE_CHECKING:
    from polytask.model.network import Network

MIN_HIDDEN_UNITS, MAX_HIDDEN_UNITS = 8, 32
"""Fewest and most hidden units for one group of columns."""
TaskOutput = Tensor | list[Tensor]
Pyramid = list[Tensor | None]
TokensByTask = dict[str, dict[str, Token]]
"""Task → source → token."""
SideOutputs = dict[str, dict[str, Tensor]]
"""Task → what the network returns in addition to its output: `source.NAME` `[N]`, the weight of a source, and
`patches.NAME`, the attention on each patch of a bag, `[B·V, P]` of a visit task and `[B, V, P]` of a subject task."""


class LateView(NamedTuple):
    """What voxel tasks that follow visit tasks need of a view `[N, …]`: the image and its `condition`, the pyramids of
    the trunk, and what other voxel tasks hand down."""

    image: str
    x: Tensor
    condition: Condition | None
    pyramids: dict[str, Pyramid]
    maps: dict[str, Tensor]


class ViewResult(NamedTuple):
    """What tasks compute of one view, by task.

    Args:
        outputs: of voxel tasks. pyramids: of pooled tasks.
        maps: what upstream voxel tasks hand down. coarse: their coarse logits, where a task reads these.
        late: where voxel tasks of the view wait for answers.
    """

    outputs: dict[str, TaskOutput]
    pyramids: dict[str, Pyramid]
    maps: dict[str, Tensor]
    coarse: dict[str, Tensor]
    late: LateView | None = None


@dataclass(frozen=True)
class VectorEncoding:
    """What the vectors of a batch become.

    Args:
        tokens: of the pooled tasks, by source.
        condition: what modulates maps, one row per visit slot `B·V`; None without a table.
        side_outputs: the attention on patches, `patches.NAME`; empty without a slide.
    """

    tokens: TokensByTask
    condition: Condition | None
    side_outputs: SideOutputs


class VectorEncoders(nn.Module):
    """Encoders of tables and slides, shared by all tasks, and an attention over patches for each pooled task.

    Args:
        pooled: visit and subject tasks; True for a subject task.
        modulated: voxel tasks whose maps the tables modulate.
    """

    def __init__(self, spec: NetworkSpec, pooled: Mapping[str, bool], modulated: Sequence[str]):
        super().__init__()
        self.pooled, self.modulated = dict(pooled), list(modulated)
        width = spec.embedding
        used = spec.tables if self.pooled or self.modulated else {}
        self.tables = NamedModules({n: TableEncoder(groups, width) for n, groups in used.items()})
        slides = spec.slides if self.pooled else {}
        self.slides = NamedModules({n: SlideEncoder(slide, width) for n, slide in slides.items()})
        self.attention = NamedModules(
            {f"{t} {n}": GatedAttention(width) for t in self.pooled for n in slides}
        )

    def forward(
        self, inputs: NetworkInputs, source_known: Mapping[str, Tensor], cut: TaskCut
    ) -> VectorEncoding:
        """Encode the inputs. `source_known` says for each input in which visits it is known, `[B, V]`."""
        tokens, condition = self.encode_tables(inputs, source_known, cut)
        side_outputs: SideOutputs = {task: {} for task in self.pooled}
        for name, encoder in self.slides.items():
            known = inputs.bag_known[name] & source_known[name][..., None]
            shape, flat = known.shape[:2], known.flatten(0, 1)
            patches = encoder(inputs.bags[name].flatten(0, 1), flat)
            for task, leaf in cut(patches, list(self.pooled)).items():
                vector, weights = self.attention[f"{task} {name}"](leaf, flat)
                tokens[task][name] = Token((vector.unflatten(0, shape),), source_known[name])
                patch_weights = weights.unflatten(0, shape) if self.pooled[task] else weights
                side_outputs[task][f"patches.{name}"] = patch_weights
        return VectorEncoding(tokens, condition, side_outputs)

    def encode_tables(
        self, inputs: NetworkInputs, source_known: Mapping[str, Tensor], cut: TaskCut
    ) -> tuple[TokensByTask, Condition | None]:
        """Encode the tables: their tokens, and what modulates maps, one row per visit slot `B·V`."""
        tokens: TokensByTask = {task: {} for task in self.pooled}
        rows: list[tuple[dict[str, Tensor], Tensor]] = []
        for name, encoder in self.tables.items():
            shared = encoder(inputs.tables[name], inputs.table_known[name])
            leaves = cut(shared, [*self.pooled, *self.modulated])
            for task in self.pooled:
                tokens[task][name] = Token((leaves[task],), source_known[name])
            rows.append((leaves, source_known[name]))
        return tokens, Condition.of(rows) if rows else None

    def roles(self) -> ParameterRoles:
        """Return the roles: encoders are trunk, an attention is private to its task."""
        roles: ParameterRoles = {}
        for part, members in (("tables", self.tables), ("slides", self.slides)):
            for name, encoder in members.items():
                roles |= assign_role(encoder, f"{part}.members.@{name}.", TRUNK)
        for key, attention in self.attention.items():
            roles |= assign_role(attention, f"attention.members.@{key}.", private_role(key.split(" ")[0]))
        return roles


class TableEncoder(nn.Module):
    """Turns columns into one token per visit: self-normalizing layers (Klambauer, NeurIPS 2017) over values and flags.

    `[B, V, F], [B, V, F] → [B, V, width]`; an unknown cell is 0 with flag 0. SELU and weights of variance 1/inputs keep
    activations near mean 0 and variance 1 without a norm, so that no case of a batch sees another. A category comes as
    one feature per value. The first layer multiplies it by a matrix, which equals looking up a learned vector per value
    (an embedding); unknown values have vectors of their own through the flags.

    Args:
        groups: number of features of each group, in their order. One group: two layers over all columns. Several
            groups: two small layers per group that see no other group (`GroupedLayers`), then one layer over all. So a
            thousand molecular columns do not drown a dozen others, and a column costs 8 to 32 weights instead of
            `width`.
        dropout: AlphaDropout after each activation, which keeps mean and variance as they are.
    """

    def __init__(self, groups: int | Sequence[int], width: int, dropout: float = 0.0):
        super().__init__()
        sizes = [groups] if isinstance(groups, int) else [size for size in groups if size > 0]
        self.empty = not sum(sizes)
        drop = [nn.AlphaDropout(dropout)] if dropout else []
        layers: list[nn.Module] = []
        if len(sizes) > 1:
            self.groups: GroupedLayers | None = GroupedLayers(sizes, width, dropout)
            layers = [nn.Linear(self.groups.outputs, width), nn.SELU(), *drop]
        else:
            self.groups = None
            layers = [nn.Linear(2 * max(1, sum(sizes)), width), nn.SELU(), *drop]
            layers += [nn.Linear(width, width), nn.SELU(), *drop]
        self.layers = nn.Sequential(*layers)
        for layer in self.layers:
            if isinstance(layer, nn.Linear):
                nn.init.normal_(layer.weight, std=1 / sqrt(layer.in_features))
                nn.init.zeros_(layer.bias)

    def forward(self, values: Tensor, known: Tensor) -> Tensor:
        """Encode values and flags; the shapes are those of the class."""
        flags, known_values = known.to(values.dtype), torch.where(known, values, 0.0)
        if self.empty:
            flags = known_values = values.new_zeros((*values.shape[:-1], 1))
        if self.groups is not None:
            token: Tensor = self.layers(self.groups(known_values, flags))
        else:
            token = self.layers(torch.cat([known_values, flags], dim=-1))
        return token


class GroupedLayers(nn.Module):
    """A small self-normalizing MLP per group of features, all in one batched product.

    `[..., F], [..., F] → [..., groups × hidden]`. Groups of unequal size are padded for the product only. There is one
    row of weights per feature and one per flag; a padded position reads a row of zeros that is no parameter.
    """

    def __init__(self, sizes: Sequence[int], width: int, dropout: float = 0.0):
        super().__init__()
        features, count = sum(sizes), len(sizes)
        hidden = min(MAX_HIDDEN_UNITS, max(MIN_HIDDEN_UNITS, 2 * width // count))
        self.outputs = count * hidden
        place = torch.full((count, max(sizes)), features)
        for group, size in enumerate(sizes):
            start = sum(sizes[:group])
            place[group, :size] = torch.arange(start, start + size)
        # Made from the sizes, not learned: not part of the weights.
        self.register_buffer("place", place, persistent=False)
        spread = torch.tensor([1 / sqrt(2 * size) for size in sizes for _ in range(size)])
        self.values = nn.Parameter(torch.randn(features, hidden) * spread[:, None])
        self.flags = nn.Parameter(torch.randn(features, hidden) * spread[:, None])
        self.bias = nn.Parameter(torch.zeros(count, hidden))
        self.second = nn.Parameter(torch.randn(count, hidden, hidden) / sqrt(hidden))
        self.second_bias = nn.Parameter(torch.zeros(count, hidden))
        self.activation = nn.SELU()
        self.dropout = nn.AlphaDropout(dropout) if dropout else nn.Identity()

    def forward(self, values: Tensor, flags: Tensor) -> Tensor:
        """Run the small networks of all groups; the shapes are those of the class. `values` are 0 where `flags` are."""
        first = (
            self._multiply_by_group(values, self.values)
            + self._multiply_by_group(flags, self.flags)
            + self.bias
        )
        hidden = self.dropout(self.activation(first))
        second = torch.einsum("...gh,ghk->...gk", hidden, self.second) + self.second_bias
        return torch.flatten(self.dropout(self.activation(second)), -2)

    def _multiply_by_group(self, x: Tensor, weight: Tensor) -> Tensor:
        """Multiply `[..., F]` by a row of weights per feature `[F, hidden]` → `[..., groups, hidden]`."""
        place = self.get_buffer("place")
        padded = nn.functional.pad(x, (0, 1))[..., place]
        rows = nn.functional.pad(weight, (0, 0, 0, 1))[place]
        return torch.einsum("...gf,gfh->...gh", padded, rows)


@dataclass(frozen=True)
class Condition:
    """What modulates the maps: tokens of the tables by task `[N, S, width]`, and which of the S are known `[N, S]`."""

    tokens: dict[str, Tensor]
    known: Tensor

    @classmethod
    def of(cls, tables: Sequence[tuple[dict[str, Tensor], Tensor]]) -> Condition:
        """Collect the tokens by task `[B, V, width]` and known `[B, V]` of each table; N = B·V."""
        tasks = tables[0][0]
        tokens = {t: torch.stack([by_task[t] for by_task, _ in tables], 2).flatten(0, 1) for t in tasks}
        return cls(tokens, torch.stack([known for _, known in tables], 2).flatten(0, 1))

    def take(self, rows: Tensor | slice) -> Condition:
        """Select some rows, by a mask or indices `[N]` or by a slice."""
        return Condition({t: v[rows] for t, v in self.tokens.items()}, self.known[rows])

    def repeat(self, count: int) -> Condition:
        """Repeat every row `count` times, for the patches of an image."""
        tokens = {t: v.repeat_interleave(count, 0) for t, v in self.tokens.items()}
        return Condition(tokens, self.known.repeat_interleave(count, 0))


def make_image_tokens(
    network: Network, image: str, seen: ViewResult, present: Tensor | slice, known: Tensor
) -> TokensByTask:
    """Make the tokens of an image for every pooled task that read the view; `known [B, V]` says where the image is."""
    tokens: TokensByTask = {}
    chain = network.chain
    for task, pyramid in seen.pyramids.items():
        subject = network.tasks[task].level == "subject"
        levels = chain.visit_levels[image] if subject else [len(pyramid) - 1]
        maps = [m for level in levels if (m := pyramid[level]) is not None]
        tokens[task] = {image: Token(tuple(restore_visits(m, present, known.shape) for m in maps), known)}
        for upstream in chain.gated_tasks[task]:
            if upstream in seen.maps:
                gate = network.gates[f"{task} {upstream}"]
                token = gate(seen.maps[upstream], [f for f in pyramid if f is not None])
                tokens[task][upstream_source(upstream)] = Token(
                    (restore_visits(token, present, known.shape),), known
                )
        for upstream in chain.compared_tasks[task]:
            if upstream in seen.coarse:
                logits = restore_visits(seen.coarse[upstream], present, known.shape)
                tokens[task][upstream_source(upstream)] = Token((logits,), known)
    return tokens
