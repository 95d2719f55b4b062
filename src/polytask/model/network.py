"""One network for all tasks, written in the order in which data flow: images → sharing → branches → outputs."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from polytask.model.building_blocks import NamedModules, TaskCut, no_cut
from polytask.model.crop_tokens import make_crop_readers, make_crop_tokens
from polytask.model.input_fusion import INPUT_FUSIONS
from polytask.model.input_fusion.film import make_modulations
from polytask.model.late_decoding import VisitAnswers, answer_late_tasks, collect_answers
from polytask.model.make_branches import make_pooled_branches
from polytask.model.network_inputs import (
    NetworkInputs,
    hide_sources,
    mark_partly_read_rows,
    read_trunk,
    restore_pyramid_rows,
    restore_rows,
    select_known_rows,
    select_separate_tasks,
    take_rows,
)
from polytask.model.network_roles import find_network_roles, find_rate_factors
from polytask.model.network_settings import NetworkSpec
from polytask.model.order import order_tasks
from polytask.model.order.answer_maps import make_handed_down_map
from polytask.model.order.chain import Chain
from polytask.model.order.channel import average_pyramids
from polytask.model.order.logits import make_coarse_logits
from polytask.model.readable_visits import find_partly_read_slots, find_unread_slots, find_visit_slots
from polytask.model.roles import ParameterRoles
from polytask.model.second_level import (
    SecondLevel,
    answer_in_second_level,
    embed_answers,
    group_by_answers,
    list_answer_groups,
)
from polytask.model.shared_trunk import make_blocks, make_stems, name_blocks
from polytask.model.slice_reader import make_slice_attentions, read_slices
from polytask.model.source_encoders import (
    Condition,
    LateView,
    Pyramid,
    SideOutputs,
    TaskOutput,
    VectorEncoders,
    VectorEncoding,
    ViewResult,
    make_image_tokens,
)
from polytask.model.task_branches import VoxelBranch
from polytask.model.trunk_listener import TrunkListener
from polytask.tasks.task import Task


@dataclass(frozen=True)
class NetworkOutput:
    """What a network computes for a batch: the outputs by task (see `Network.forward`) and the side outputs; and the
    answers that `voxel_outputs` needs for voxel tasks that follow visit tasks, one row per visit slot `B·V`."""

    outputs: dict[str, TaskOutput]
    side_outputs: SideOutputs
    answers: VisitAnswers | None = None


class Network(nn.Module):
    """Computes the outputs of every task for a batch; see `forward`."""

    def __init__(self, spec: NetworkSpec, tasks: Mapping[str, Task]):
        super().__init__()
        self.spec = spec
        self.tasks = dict(tasks)
        self.listener: TrunkListener | None = None
        self.voxel = [t for t in tasks if tasks[t].level == "voxel"]
        self.pooled = [t for t in tasks if tasks[t].level != "voxel"]
        self.order = order_tasks(tasks, spec.after)
        self.chain = Chain(spec, tasks)
        self.reads = {
            (t, n): self.chain.find_levels(t, n) for n in spec.images for t in self._list_trunk_readers(n)
        }
        """(task, image) → the levels that the task reads of the image's trunk."""
        self.block_names = name_blocks(spec, self.reads)
        self.blocks = NamedModules(
            make_blocks(spec, self.reads, self.block_names, [*self.voxel, *self.pooled])
        )
        self.stems = NamedModules(make_stems(spec, self.reads, self.block_names, dict(self.blocks.items())))
        self.seconds = NamedModules(self.chain.seconds())
        self.modulates = getattr(INPUT_FUSIONS[spec.input_fusion], "modulates", False) and bool(spec.tables)
        subject = {t: tasks[t].level == "subject" for t in self.pooled}
        self.vectors = VectorEncoders(spec, subject, self.voxel if self.modulates else [])
        readers = [(t, n) for n in spec.images for t in [*self.list_image_tasks(n), *self.pooled]]
        levels = {(t, n): self.chain.find_levels(t, n) for t, n in readers if self.modulates}
        self.films = NamedModules(make_modulations(spec, levels))
        self.voxels = VoxelBranch(
            spec, {t: tasks[t] for t in self.voxel}, self.chain.alone, self.chain.upstream
        )
        self.gates, self.late = NamedModules(self.chain.gates()), self.chain.late
        self.modulations = NamedModules(self.chain.modulations())
        self.slots = find_visit_slots(spec, tasks)
        self.levels = group_by_answers(spec, tasks, self.chain, self.slots)
        """First task of each second level → all its tasks."""
        self.answer_groups = list_answer_groups([t for t in self.order if t in self.pooled], self.levels)
        readers_of_answers = {group[0] for group in self.answer_groups}
        self.embeddings = NamedModules(
            {k: m for k, m in self.chain.embeddings().items() if k.split(" ")[0] in readers_of_answers}
        )
        self.crops = NamedModules(make_crop_readers(spec, tasks, self.pooled))
        self.slices = NamedModules(make_slice_attentions(spec, tasks))
        self.unread = find_unread_slots(self.slots, tasks, spec.max_visits)
        self.partly_read = find_partly_read_slots(self.slots, spec, tasks)
        self.branches = NamedModules(
            make_pooled_branches(spec, tasks, self.chain, self.slots, self.crops.names(), self.levels)
        )
        self.second_levels = NamedModules(
            {t: SecondLevel(len(self.chain.embedded_tasks[t]), spec.embedding) for t in self.levels}
        )

    def forward(self, inputs: NetworkInputs, cut: TaskCut = no_cut) -> dict[str, TaskOutput]:
        """Compute the outputs by task.

        Voxel tasks give a list (deep supervision, finest first) of `[N, outputs, *space]` with N known visits (times
        patches) in order, visit tasks `[B·V, outputs]`, subject tasks `[B, outputs]`."""
        return self.compute_with_side_outputs(inputs, cut).outputs

    def compute_with_side_outputs(
        self, inputs: NetworkInputs, cut: TaskCut = no_cut, elsewhere: Collection[str] = ()
    ) -> NetworkOutput:
        """Compute the outputs by task as `forward` does, and the side outputs (`SideOutputs`).

        Voxel tasks of images in `elsewhere` are left to `voxel_outputs`, except those whose answer a pooled task reads.
        """
        present = select_known_rows(inputs, self.unread)
        rows_read = mark_partly_read_rows(self.partly_read, inputs, self.unread)
        source_known = hide_sources(inputs, self.spec.source_dropout if self.training else 0.0, self.unread)
        outputs, late = dict[str, TaskOutput](), list[tuple[LateView | None, int]]()
        slice_weights: SideOutputs = {}
        vectors: VectorEncoding = self.vectors(inputs, source_known, cut)
        tokens, every = vectors.tokens, vectors.condition
        condition = every.take(present) if every is not None and self.modulates else None
        for name in self.block_names:
            voxel = self.list_image_tasks(name)
            in_patch = name in inputs.patch or name in elsewhere
            if name in inputs.patch and voxel:
                patches = inputs.patch[name].flatten(0, 1)[present]
                repeated = None if condition is None else condition.repeat(patches.shape[1])
                seen = self.run_view(name, patches.flatten(0, 1), voxel, [], repeated, cut)
                outputs, late = outputs | seen.outputs, [*late, (seen.late, patches.shape[1])]
            if name in inputs.whole and self.spec.images[name].slice_axis is not None:
                read = read_slices(self, name, inputs, present, source_known[name], condition, cut)
                tokens = {t: own | read.tokens[t] for t, own in tokens.items()}
                slice_weights = {t: slice_weights.get(t, {}) | w for t, w in read.weights.items()}
                continue
            whole_view = self.chain.list_whole_view_tasks(self.voxel, name) if in_patch else voxel
            if name in inputs.whole and self.pooled + whole_view:
                view = inputs.whole[name].flatten(0, 1)[present]
                # What a voxel task answers itself needs every visit; what it only hands down, those that are read.
                rows = {t: r for t, r in rows_read.items() if in_patch or t not in voxel}
                seen = self.run_view(name, view, whole_view, self.pooled, condition, cut, rows)
                outputs |= {} if in_patch else seen.outputs
                late += [] if in_patch else [(seen.late, 1)]
                image_tokens = make_image_tokens(self, name, seen, present, source_known[name])
                tokens = {t: own | image_tokens.get(t, {}) for t, own in tokens.items()}
            if name in self.crops:
                crop_tokens = make_crop_tokens(
                    self, name, inputs, present, source_known[name], condition, cut
                )
                tokens = {t: own | crop_tokens[t] for t, own in tokens.items()}
        side_outputs: SideOutputs = {}
        # Upstream tasks come first in this order, so that their outputs exist already.
        for group in self.answer_groups:
            reader = group[0]
            if self.chain.embedded_tasks[reader]:
                handed_down = embed_answers(self, reader, outputs, tokens, inputs.visit_known)
                tokens = {**tokens, reader: tokens[reader] | handed_down}
            weights: SideOutputs = {}
            if reader in self.levels:
                answers_by_task, weights = answer_in_second_level(self, group, tokens, inputs.day)
                outputs |= answers_by_task
            else:
                outputs[reader], weights[reader] = self.branches[reader](tokens[reader], inputs.day)
            for task in group:
                of_sources = {f"source.{n}": w for n, w in weights[task].items()}
                side_outputs[task] = vectors.side_outputs[task] | slice_weights.get(task, {}) | of_sources
        answers = collect_answers(self, outputs, tokens) if self.late else None
        for waiting, count in late:
            if waiting is not None and answers is not None:
                outputs |= answer_late_tasks(self, waiting, answers.take(present).repeat(count))
        return NetworkOutput({t: outputs[t] for t in self.tasks if t in outputs}, side_outputs, answers)

    def make_condition(self, inputs: NetworkInputs) -> Condition | None:
        """Compute what modulates the maps, one row per visit slot `B·V`; None where nothing does."""
        if not self.modulates:
            return None
        return self.vectors.encode_tables(inputs, hide_sources(inputs, 0.0), no_cut)[1]

    def voxel_outputs(
        self, image: str, x: Tensor, condition: Condition | None = None, answers: VisitAnswers | None = None
    ) -> dict[str, TaskOutput]:
        """Compute the voxel tasks alone, on images or patches `[N, C, *space]` of one input; `condition` has N rows.

        Those that follow visit tasks are among them where `answers` are given, N rows too."""
        seen = self.run_view(image, x, self.list_image_tasks(image), [], condition, no_cut)
        return seen.outputs | (answer_late_tasks(self, seen.late, answers) if seen.late and answers else {})

    def rates(self) -> dict[str, float]:
        """Return factors on the learning rate, for the parameters whose block asks for one."""
        return find_rate_factors(self)

    def roles(self) -> ParameterRoles:
        """Return the role of every parameter; see `polytask.model.roles`."""
        return find_network_roles(self)

    def run_view(
        self,
        image: str,
        x: Tensor,
        voxel: Sequence[str],
        pooled: Sequence[str],
        condition: Condition | None,
        cut: TaskCut,
        rows: Mapping[str, Tensor] | None = None,
    ) -> ViewResult:
        """Run tasks on one view `[N, …]`.

        `rows` marks for some tasks which of the N rows they read. Where nothing else needs the others, they are not
        computed: pyramids and maps are zero there, and a voxel task answers for its own rows only.
        """
        block = self.blocks[self.block_names[image]]
        separate, branched = getattr(block, "separate", False), getattr(block, "branched", False)
        mapped = [t for t in self.order if self.chain.mapped_tasks[t, image]]
        together = self.chain.joined + (self.voxel if self.spec.decoder != "private" else [])
        rows = select_separate_tasks(rows or {}, mapped, separate or branched, together)
        trunk = [t for t in (*voxel, *pooled) if t not in mapped]
        pyramids, shared = read_trunk(self, image, x, trunk, cut, rows)
        if self.listener is not None:
            every = {t: restore_pyramid_rows(own, rows.get(t), x.shape[0]) for t, own in pyramids.items()}
            self.listener.note(image, every)
        for read_maps in (pyramids, shared):
            read_maps |= {t: self.apply_tables(t, image, p, condition, rows) for t, p in read_maps.items()}
        now = [t for t in voxel if t not in self.late]
        answers = self.voxels({t: pyramids[t] for t in now if t in pyramids}, shared)
        maps, coarse, seconds = dict[str, Tensor](), dict[str, Tensor](), dict[str, Pyramid]()
        stop = self.spec.stop_gradient
        handing = {up for task in (*voxel, *pooled) for up in self.chain.read_maps[task]}
        for task in self.order:
            second, mine = self.chain.second_networks.get((task, image)), rows.get(task)
            if second is not None and task in (*now, *pooled):
                for network, upstream in second:
                    if network not in seconds:
                        handed_down = [take_rows(maps[u], mine) for u in upstream]
                        seconds[network] = self.seconds[network](take_rows(x, mine), handed_down)
                read = average_pyramids([seconds[network] for network, _ in second])
                pyramids[task] = self.apply_tables(task, image, read, condition, rows)
                if task in now:
                    answers |= self.voxels({task: pyramids[task]})
            if task in answers and task in handing:
                handed = make_handed_down_map(self.voxels, task, answers[task], (pyramids, shared), stop)
                maps[task] = restore_rows(handed, mine, x.shape[0])
            if task in answers and task in self.chain.coarse:
                logits = make_coarse_logits(self.voxels.heads[task], answers[task], stop)
                coarse[task] = restore_rows(logits, mine, x.shape[0])
        outputs: dict[str, TaskOutput] = {task: levels for task, (levels, _) in answers.items()}
        whole = {t: restore_pyramid_rows(pyramids[t], rows.get(t), x.shape[0]) for t in pooled}
        late = LateView(image, x, condition, pyramids, maps) if len(now) < len(voxel) else None
        return ViewResult(outputs, whole, maps, coarse, late)

    def apply_tables(
        self, task: str, image: str, pyramid: Pyramid, condition: Condition | None, rows: Mapping[str, Tensor]
    ) -> Pyramid:
        """Modulate the maps of a task by the tables."""
        if condition is None:
            return pyramid
        film, own = self.films[f"{task} {image}"], condition.take(rows.get(task, slice(None)))
        modulated: Pyramid = film(pyramid, own.tokens[task], own.known)
        return modulated

    def list_image_tasks(self, image: str) -> list[str]:
        """List the voxel tasks of an image."""
        return [t for t in self.voxel if self.spec.voxel_image[t] == image]

    def _list_trunk_readers(self, image: str) -> list[str]:
        """List the tasks that read the trunk's pyramid of an image."""
        return [
            t for t in [*self.list_image_tasks(image), *self.pooled] if not self.chain.mapped_tasks[t, image]
        ]


def count_parameters(module: nn.Module) -> int:
    """Count the trainable numbers of a module."""
    return sum(p.numel() for p in module.parameters() if p.requires_grad)


__all__ = ["Network", "NetworkOutput", "NetworkSpec", "SideOutputs", "TaskOutput", "count_parameters"]
