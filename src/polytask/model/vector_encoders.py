"""Inputs that come as vectors: tables, and the patches of slides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from polytask.model.cut import TaskCut
from polytask.model.input_fusion.condition import Condition
from polytask.model.layers import NamedModules
from polytask.model.network_inputs import NetworkInputs
from polytask.model.network_settings import NetworkSpec
from polytask.model.pooled_branch import Token
from polytask.model.roles import TRUNK, ParameterRoles, assign_role, private_role
from polytask.model.slide_encoder import GatedAttention, SlideEncoder
from polytask.model.table_encoder import TableEncoder

TokensByTask = dict[str, dict[str, Token]]
"""Task → source → token."""
SideOutputs = dict[str, dict[str, Tensor]]
"""Task → what the network gives beside its output: `source.NAME` `[N]`, the weight of a source, and `patches.NAME`, the
attention on each patch of a bag, `[B·V, P]` of a visit task and `[B, V, P]` of a subject task."""


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

    def forward(self, inputs: NetworkInputs, there: Mapping[str, Tensor], cut: TaskCut) -> VectorEncoding:
        """Encode the inputs. `there` says for each input in which visits it is known, `[B, V]`."""
        tokens, condition = self.encode_tables(inputs, there, cut)
        side_outputs: SideOutputs = {task: {} for task in self.pooled}
        for name, encoder in self.slides.items():
            known = inputs.bag_known[name] & there[name][..., None]
            shape, flat = known.shape[:2], known.flatten(0, 1)
            patches = encoder(inputs.bags[name].flatten(0, 1), flat)
            for task, leaf in cut(patches, list(self.pooled)).items():
                vector, weights = self.attention[f"{task} {name}"](leaf, flat)
                tokens[task][name] = Token((vector.unflatten(0, shape),), there[name])
                mine = weights.unflatten(0, shape) if self.pooled[task] else weights
                side_outputs[task][f"patches.{name}"] = mine
        return VectorEncoding(tokens, condition, side_outputs)

    def encode_tables(
        self, inputs: NetworkInputs, there: Mapping[str, Tensor], cut: TaskCut
    ) -> tuple[TokensByTask, Condition | None]:
        """Encode the tables: their tokens, and what modulates maps, one row per visit slot `B·V`."""
        tokens: TokensByTask = {task: {} for task in self.pooled}
        rows: list[tuple[dict[str, Tensor], Tensor]] = []
        for name, encoder in self.tables.items():
            shared = encoder(inputs.tables[name], inputs.table_known[name])
            leaves = cut(shared, [*self.pooled, *self.modulated])
            for task in self.pooled:
                tokens[task][name] = Token((leaves[task],), there[name])
            rows.append((leaves, there[name]))
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
