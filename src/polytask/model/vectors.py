"""Inputs that come as vectors: tables, and the patches of slides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor, nn

from polytask.model.cut import Cut
from polytask.model.heads import Token
from polytask.model.inputs import Inputs
from polytask.model.layers import ByName
from polytask.model.roles import TRUNK, Roles, private, same_role
from polytask.model.slide import GatedAttention, SlideEncoder
from polytask.model.sources.condition import Condition
from polytask.model.spec import NetworkSpec
from polytask.model.table import TableEncoder

Tokens = dict[str, dict[str, Token]]
"""Task → source → token."""
Told = dict[str, dict[str, Tensor]]
"""Task → what the network gives beside its output: `source.NAME` `[N]`, the weight of a source, and `patches.NAME`, the
attention on each patch of a bag, `[B·V, P]` of a visit task and `[B, V, P]` of a subject task."""


class VectorSide(nn.Module):
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
        self.tables = ByName({n: TableEncoder(groups, width) for n, groups in used.items()})
        slides = spec.slides if self.pooled else {}
        self.slides = ByName({n: SlideEncoder(slide, width) for n, slide in slides.items()})
        self.attention = ByName({f"{t} {n}": GatedAttention(width) for t in self.pooled for n in slides})

    def forward(
        self, inputs: Inputs, there: Mapping[str, Tensor], cut: Cut, told: Told | None = None
    ) -> tuple[Tokens, Condition | None]:
        """Encode the inputs: tokens of the pooled tasks by source, and what modulates maps (None without a table)."""
        tokens: Tokens = {task: {} for task in self.pooled}
        condition = self.tabled(inputs, there, cut, tokens)
        for name, encoder in self.slides.items():
            known = inputs.bag_known[name] & there[name][..., None]
            shape, flat = known.shape[:2], known.flatten(0, 1)
            patches = encoder(inputs.bags[name].flatten(0, 1), flat)
            for task, leaf in cut(patches, list(self.pooled)).items():
                vector, weights = self.attention[f"{task} {name}"](leaf, flat)
                tokens[task][name] = Token((vector.unflatten(0, shape),), there[name])
                if told is not None:
                    mine = weights.unflatten(0, shape) if self.pooled[task] else weights
                    told.setdefault(task, {})[f"patches.{name}"] = mine
        return tokens, condition

    def tabled(
        self, inputs: Inputs, there: Mapping[str, Tensor], cut: Cut, tokens: Tokens
    ) -> Condition | None:
        """Put the tokens of the tables into `tokens`; returns what modulates maps, one row per visit slot `B·V`."""
        rows: list[tuple[dict[str, Tensor], Tensor]] = []
        for name, encoder in self.tables.items():
            shared = encoder(inputs.tables[name], inputs.table_known[name])
            leaves = cut(shared, [*self.pooled, *self.modulated])
            for task in tokens:
                tokens[task][name] = Token((leaves[task],), there[name])
            rows.append((leaves, there[name]))
        return Condition.of(rows) if rows else None

    def roles(self) -> Roles:
        """Return the roles: encoders are trunk, an attention is private to its task."""
        roles: Roles = {}
        for part, members in (("tables", self.tables), ("slides", self.slides)):
            for name, encoder in members.items():
                roles |= same_role(encoder, f"{part}.members.@{name}.", TRUNK)
        for key, attention in self.attention.items():
            roles |= same_role(attention, f"attention.members.@{key}.", private(key.split(" ")[0]))
        return roles
