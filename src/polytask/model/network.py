"""One network for all tasks, written as the data flow: images → sharing → branches → outputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

from torch import Tensor, nn

from polytask.model.cut import Cut, no_cut
from polytask.model.decoder import Decoder
from polytask.model.encoder import EncoderSpec
from polytask.model.heads import PooledBranch, Token, VoxelBranch, VoxelHeads, behind
from polytask.model.inputs import Inputs
from polytask.model.layers import ByName
from polytask.model.order import LINKS, sequence
from polytask.model.roles import JOINT, TRUNK, Roles, owned_by, private, same_role
from polytask.model.sharing import SHARINGS
from polytask.model.table import TableEncoder
from polytask.model.time import DEPTHS
from polytask.tasks.task import Task

Output = Tensor | list[Tensor]


@dataclass(frozen=True)
class NetworkSpec:
    """A point in the model space.

    Args:
        images: topology per image input.
        tables: table input → number of features.
        voxel_image: voxel task → the image input it lives on.
        visits: subject task → the visit slots it may read.
        max_visits: visit slots.
        sharing, time, sources: names in the registries.
        after: task → the tasks whose answers it reads, through a `link`; `stop_gradient` keeps its loss from them.
        decoder: `private`, or `shared` by all voxel tasks of an image.
        deep_supervision: levels below the finest that get a loss too.
        embedding: width of tokens. dropout: in front of pooled heads.
    """

    images: Mapping[str, EncoderSpec]
    tables: Mapping[str, int] = field(default_factory=dict)
    voxel_image: Mapping[str, str] = field(default_factory=dict)
    visits: Mapping[str, Sequence[int]] = field(default_factory=dict)
    max_visits: int = 1
    sharing: str = "hard"
    time: str = "concat"
    sources: str = "concat"
    after: Mapping[str, Sequence[str]] = field(default_factory=dict)
    link: str = "embedding"
    stop_gradient: bool = False
    decoder: str = "private"
    deep_supervision: int = 2
    embedding: int = 128
    dropout: float = 0.1


class Network(nn.Module):
    """Outputs of every task for a batch; see `forward`."""

    def __init__(self, spec: NetworkSpec, tasks: Mapping[str, Task]):
        super().__init__()
        self.spec = spec
        self.tasks = dict(tasks)
        self.voxel = [t for t in tasks if tasks[t].level == "voxel"]
        self.pooled = [t for t in tasks if tasks[t].level != "voxel"]
        self.chain = [t for t in sequence(tasks, spec.after) if t in self.pooled]
        self.blocks = ByName({name: self._block(name) for name in spec.images if self._readers(name)})
        self.tables = ByName(
            {name: TableEncoder(n, spec.embedding) for name, n in spec.tables.items() if self.pooled}
        )
        images = {name: spec.images[name].widths for name in spec.images}
        levels = 1 + spec.deep_supervision
        self.decoders = ByName({})
        branches: dict[str, nn.Module] = {}
        if spec.decoder == "shared":
            for name in spec.images:
                if self._voxel_on(name):
                    decoder = Decoder(spec.images[name].dims, images[name], levels)
                    self.decoders.members[f"@{name}"] = decoder
                    for task in self._voxel_on(name):
                        widths = images[name][: decoder.outputs]
                        branches[task] = VoxelHeads(tasks[task], spec.images[name].dims, widths)
        else:
            for task in self.voxel:
                image = spec.voxel_image[task]
                branches[task] = VoxelBranch(tasks[task], spec.images[image].dims, images[image], levels)
        for task in self.pooled:
            slots = spec.visits.get(task) or range(spec.max_visits)
            branches[task] = PooledBranch(
                tasks[task],
                images,
                list(spec.tables),
                {
                    up: cast(nn.Module, LINKS[spec.link](tasks[up], spec.embedding))
                    for up in spec.after.get(task, ())
                },
                list(slots),
                spec.embedding,
                spec.dropout,
                spec.time,
                spec.sources,
            )
        self.branches = ByName({task: branches[task] for task in tasks})

    def forward(self, inputs: Inputs, cut: Cut = no_cut) -> dict[str, Output]:
        """Outputs by task.

        Voxel tasks: a list (deep supervision, finest first) of `[N, outputs, *space]`, N = the known visits (times
        patches) in order. Visit tasks `[B·V, outputs]`, subject tasks `[B, outputs]`.
        """
        present = inputs.visit_known.flatten()
        outputs: dict[str, Output] = {}
        tokens: dict[str, dict[str, Token]] = {task: {} for task in self.pooled}
        for name, block in self.blocks.items():
            voxel = self._voxel_on(name)
            in_patch = name in inputs.patch
            if in_patch and voxel:
                outputs |= self.voxel_outputs(
                    name, inputs.patch[name].flatten(0, 1)[present].flatten(0, 1), cut
                )
            beside = [] if in_patch else voxel
            if name in inputs.whole and self.pooled + beside:
                pyramids = block(inputs.whole[name].flatten(0, 1)[present], self.pooled + beside, cut)
                outputs |= self._decoded(name, {t: pyramids[t] for t in beside})
                known = inputs.channel_known[name].any(-1) & inputs.visit_known
                for task in self.pooled:
                    depth = DEPTHS[self.spec.time] if self.tasks[task].level == "subject" else 1
                    maps = [cast(Tensor, f) for f in pyramids[task][-depth:]]
                    tokens[task][name] = Token(tuple(_unfold(f, present, known.shape) for f in maps), known)
        for name, encoder in self.tables.items():
            known = inputs.table_known[name]
            shared = encoder(inputs.tables[name], known)
            there = known.any(-1) & inputs.visit_known
            for task, token in cut(shared, self.pooled).items():
                tokens[task][name] = Token((token,), there)
        for task in self.chain:
            for upstream in self.spec.after.get(task, ()):
                tokens[task][behind(upstream)] = self._linked(
                    task, upstream, outputs[upstream], inputs.visit_known
                )
            outputs[task] = self.branches[task](tokens[task], inputs.day)
        return {task: outputs[task] for task in self.tasks if task in outputs}

    def roles(self) -> Roles:
        """Role of every parameter; see `polytask.model.roles`."""
        roles: Roles = {}
        for name, block in self.blocks.items():
            prefix = f"blocks.members.@{name}."
            roles |= {prefix + k: v for k, v in cast("dict[str, str]", block.roles()).items()}  # type: ignore[operator]
        for name, encoder in self.tables.items():
            roles |= same_role(encoder, f"tables.members.@{name}.", TRUNK)
        for name, decoder in self.decoders.items():
            roles |= same_role(decoder, f"decoders.members.@{name}.", owned_by(self._voxel_on(name)))
        for task, branch in self.branches.items():
            roles |= same_role(branch, f"branches.members.@{task}.", private(task))
        if not self.spec.stop_gradient:
            for upstream in {u for ups in self.spec.after.values() for u in ups}:
                roles |= same_role(self.branches[upstream], f"branches.members.@{upstream}.", JOINT)
        return roles

    def voxel_outputs(self, image: str, x: Tensor, cut: Cut = no_cut) -> dict[str, Output]:
        """The voxel tasks alone, on images or patches `[N, C, *space]` of one input."""
        return self._decoded(image, self.blocks[image](x, self._voxel_on(image), cut))

    def _decoded(self, image: str, pyramids: Mapping[str, Sequence[Tensor | None]]) -> dict[str, Output]:
        """Run the voxel branches of one image. A shared decoder runs once for all tasks that see the same maps."""
        shared = dict(self.decoders.items()).get(image)
        if shared is None:
            return {task: self.branches[task](pyramid) for task, pyramid in pyramids.items()}
        decoded: dict[tuple[int, ...], list[Tensor]] = {}
        outputs: dict[str, Output] = {}
        for task, pyramid in pyramids.items():
            maps = tuple(id(level) for level in pyramid)
            if maps not in decoded:
                decoded[maps] = shared(pyramid)
            outputs[task] = self.branches[task](decoded[maps])
        return outputs

    def _linked(self, task: str, upstream: str, output: Output, known: Tensor) -> Token:
        """The upstream answer as a source of `task`: one token per visit."""
        values = cast(Tensor, output).detach() if self.spec.stop_gradient else cast(Tensor, output)
        if self.tasks[upstream].level == "subject":
            values = values[:, None].expand(-1, known.shape[1], -1)
        else:
            values = values.unflatten(0, known.shape)
        return Token((self.branches[task].links[upstream](values),), known)  # type: ignore[operator, index]

    def _voxel_on(self, image: str) -> list[str]:
        return [t for t in self.voxel if self.spec.voxel_image[t] == image]

    def _readers(self, image: str) -> list[str]:
        return self._voxel_on(image) + self.pooled

    def _block(self, image: str) -> nn.Module:
        """The sharing block of one image, told which levels each task reads."""
        spec = self.spec.images[image]
        stages = len(spec.widths)
        needs: dict[str, frozenset[int]] = {}
        for task in self._readers(image):
            depth = DEPTHS[self.spec.time] if self.tasks[task].level == "subject" else 1
            deepest = frozenset(range(stages - depth, stages))
            needs[task] = frozenset(range(stages)) if task in self.voxel else deepest
        return cast(nn.Module, SHARINGS[self.spec.sharing](spec, needs))


def _unfold(maps: Tensor, present: Tensor, shape: Sequence[int]) -> Tensor:
    """`[N, C, *space]` of the known visits → `[B, V, C, *space]`, zero where a visit is not known."""
    if bool(present.all()):
        return maps.reshape(*shape, *maps.shape[1:])
    full = maps.new_zeros((present.numel(), *maps.shape[1:]))
    return full.index_put((present.nonzero()[:, 0],), maps).reshape(*shape, *maps.shape[1:])


def parameter_count(module: nn.Module) -> int:
    """Trainable numbers."""
    return sum(p.numel() for p in module.parameters() if p.requires_grad)


__all__ = ["Network", "NetworkSpec", "Output", "parameter_count"]
