"""The links of a network's chains: which task reads whose answer, and through what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import nn

from polytask.errors import PolytaskError
from polytask.model.decoders import decodes_at_once
from polytask.model.network_settings import NetworkSpec
from polytask.model.order import VECTOR_LINKS, choose_link, find_late_tasks
from polytask.model.order.answer_maps import UNCERTAINTIES, count_map_planes
from polytask.model.order.channel import ChannelLink
from polytask.model.order.gate import GATE_DEPTH, GateLink
from polytask.model.order.modulation import ModulationLink, make_vector_link
from polytask.model.task_branches import upstream_source
from polytask.model.visit_fusion import find_visit_levels
from polytask.task_chains import find_upstream_tasks
from polytask.tasks.task import Task
from polytask.tasks.task_registry import find_task_form

SecondNetwork = tuple[str, list[str]]
"""The name of a second network, and the upstream tasks whose maps it reads."""


class Chain:
    """The links of all tasks of a network, by task.

    The modules are made here, but the network owns them, under the names `TASK UPSTREAM` or `TASK IMAGE`.
    """

    def __init__(self, spec: NetworkSpec, tasks: Mapping[str, Task]):
        if spec.uncertainty not in UNCERTAINTIES:
            raise PolytaskError(
                f"model.uncertainty: {spec.uncertainty!r} is not known; expected one of {', '.join(UNCERTAINTIES)}"
            )
        self.spec, self.tasks = spec, tasks
        self.links = {
            (task, up): choose_link(tasks[task], tasks[up], spec.link)
            for task, ups in spec.after.items()
            for up in ups
        }
        for task, up in self.links:
            image, other = spec.voxel_image.get(task), spec.voxel_image.get(up)
            if image and other not in (None, image):
                raise PolytaskError(
                    f"model.after: {task!r} is drawn on image {image!r} and {up!r} on {other!r}; voxel tasks can only "
                    "follow each other on one image"
                )
        if spec.uncertainty == "none" and spec.passes:
            raise PolytaskError(
                "model.passes: they say how certain an answer is; choose model.uncertainty too"
            )
        for _, up in self.links:
            if spec.uncertainty == "entropy" and find_task_form(tasks[up]) == "field":
                raise PolytaskError(
                    f"model.uncertainty: entropy needs probabilities, and {up!r} predicts a number per voxel; choose "
                    "variance or none"
                )
        self.visit_levels = {
            name: find_visit_levels(spec.visit_fusion, spec.visit_levels, len(image.widths))
            for name, image in spec.images.items()
        }
        """Image → the levels of its pyramid (0 = finest) that a fusion of visits reads."""
        self.upstream = frozenset(up for (_, up), link in self.links.items() if link in ("gate", "channel"))
        """Voxel tasks whose finest map another task reads."""
        self.coarse = frozenset(up for (_, up), link in self.links.items() if link == "logits")
        """Voxel tasks whose coarse logits another task reads."""
        self.alone = frozenset(t for t, up in self.links if tasks[t].level == "voxel")
        """Voxel tasks with a second network, or maps that an answer changes: their decoder is their own."""
        self.late = find_late_tasks(tasks, spec.after)
        """Voxel tasks that follow a visit task, directly or through others."""
        for image, crops in spec.crops.items():
            if crops.task in self.late:
                raise PolytaskError(
                    f"images.{image}.roi.task: {crops.task!r} chooses the crops that visit and subject tasks read, and "
                    "follows one of them: it would feed itself through its decoder; choose attention, or another task"
                )
        self.embedded_tasks = {task: self._list_by_link(task, *VECTOR_LINKS) for task in tasks}
        """Task → the upstream tasks whose answer it reads as one vector: classes, numbers and risks."""
        self.conditioning_tasks = {
            task: ups for task in tasks if (ups := self._list_by_link(task, "modulation"))
        }
        """Voxel task → the upstream visit tasks whose answers change the maps of its decoder."""
        self.gated_tasks = {task: self._list_by_link(task, "gate") for task in tasks}
        """Task → the upstream tasks that it reads as soft gates."""
        self.compared_tasks = {task: self._list_by_link(task, "logits") for task in tasks}
        """Task → the upstream tasks whose coarse logits it reads as one more map."""
        self.mapped_tasks = {
            (task, image): [up for up in self._list_by_link(task, "channel") if spec.voxel_image[up] == image]
            for task in tasks
            for image in spec.images
        }
        """(task, image) → the upstream tasks on the image that the task reads through a second network."""
        self.second_networks = self._assign_second_networks()
        """(task, image) → the second networks that the task reads there: the name of each, `TASK IMAGE` with its first
        reader or `UPSTREAM IMAGE`, and the upstream tasks whose maps that network reads."""
        names = [name for read in self.second_networks.values() for name, _ in read]
        self.joined = [
            task
            for (task, _), read in self.second_networks.items()
            if any(names.count(name) > 1 for name, _ in read)
        ]
        """Tasks that share a second network with others."""
        self.read_maps = {
            task: [up for up in spec.after.get(task, ()) if up in self.upstream] for task in tasks
        }
        """Task → the upstream tasks whose finest map it reads."""

    def tokens(self, task: str, second_level: bool = False) -> list[str]:
        """List the upstream tasks that are a source of a pooled task as one vector per visit.

        Class answers are none where a second level reads them.
        """
        return [*([] if second_level else self.embedded_tasks[task]), *self.gated_tasks[task]]

    def depth(self, task: str, image: str) -> int:
        """Return how many of the deepest levels of the trunk's pyramid the gates of a task read."""
        return GATE_DEPTH if any(self.spec.voxel_image[up] == image for up in self.gated_tasks[task]) else 0

    def find_levels(self, task: str, image: str) -> frozenset[int]:
        """Find the levels of an image's pyramid that a task reads."""
        stages = len(self.spec.images[image].widths)
        if self.spec.images[image].slice_axis is not None:
            return frozenset({stages - 1})
        level = self.tasks[task].level
        if level == "voxel":
            return frozenset(range(stages))
        if (crops := self.spec.crops.get(image)) and crops.every_stage:
            return frozenset(range(stages))
        read = frozenset(range(max(0, stages - max(1, self.depth(task, image))), stages))
        return read | frozenset(self.visit_levels[image]) if level == "subject" else read

    def describe_map_sources(self, task: str) -> dict[str, tuple[int, list[int]]]:
        """Describe what a pooled task reads as maps: source → its dims and the channels of each level, finest first.

        These are the images, and the coarse logits of upstream tasks.
        """
        described: dict[str, tuple[int, list[int]]] = {}
        for name, image in self.spec.images.items():
            if image.slice_axis is not None:
                continue
            subject = self.tasks[task].level == "subject"
            levels = self.visit_levels[name] if subject else [-1]
            described[name] = (image.dims, [image.widths[level] for level in levels])
        for upstream in self.compared_tasks[task]:
            dims = self.spec.images[self.spec.voxel_image[upstream]].dims
            described[upstream_source(upstream)] = (dims, [self.tasks[upstream].outputs])
        return described

    def list_whole_view_tasks(self, voxel: Sequence[str], image: str) -> list[str]:
        """List the voxel tasks on an image whose answers pooled tasks read: they run on the whole view too."""
        on_image = [t for t in voxel if self.spec.voxel_image[t] == image and t not in self.late]
        pooled = [t for t in self.tasks if self.tasks[t].level != "voxel"]
        upstream = {up for t in pooled for up in find_upstream_tasks(t, self.spec.after) if up in on_image}
        # A common decoder reads the maps of all of them.
        if upstream and decodes_at_once(self.spec.decoder):
            return on_image
        return [t for t in on_image if t in upstream]

    def seconds(self) -> dict[str, nn.Module]:
        """Make the second networks: one for each task that reads maps, one for all that read the same maps, or one for
        each map that is read."""
        made: dict[str, nn.Module] = {}
        for (_, image), read in self.second_networks.items():
            for name, ups in read:
                if name not in made:
                    planes = sum(map(self._count_upstream_planes, ups))
                    made[name] = ChannelLink(planes, self.spec.images[image])
        return made

    def list_second_readers(self, name: str) -> list[str]:
        """List the tasks that read a second network."""
        return [task for (task, _), read in self.second_networks.items() if name in dict(read)]

    def _assign_second_networks(self) -> dict[tuple[str, str], list[SecondNetwork]]:
        assigned: dict[tuple[str, str], list[SecondNetwork]] = {}
        first: dict[object, SecondNetwork] = {}
        for (task, image), ups in self.mapped_tasks.items():
            if ups and self.spec.second_network == "map":
                assigned[task, image] = [(f"{up} {image}", [up]) for up in ups]
            elif ups:
                alike = (image, frozenset(ups)) if self.spec.second_network == "shared" else (image, task)
                assigned[task, image] = [first.setdefault(alike, (f"{task} {image}", ups))]
        return assigned

    def gates(self) -> dict[str, nn.Module]:
        """Make a gate for each map that a pooled task reads."""
        return {
            f"{task} {up}": GateLink(
                self._count_upstream_planes(up),
                self.spec.images[self.spec.voxel_image[up]].widths,
                self.spec.embedding,
            )
            for task in self.tasks
            for up in self.gated_tasks[task]
        }

    def embeddings(self) -> dict[str, nn.Module]:
        """Make a table of class vectors, or a vector for a number, for each answer that a pooled task reads."""
        return {
            f"{task} {up}": make_vector_link(self.tasks[up], self.spec.embedding)
            for task in self.tasks
            for up in self.embedded_tasks[task]
        }

    def modulations(self) -> dict[str, nn.Module]:
        """Make what changes the maps of each voxel task that reads answers of visit tasks."""
        images = self.spec.images
        return {
            task: ModulationLink(
                [self.tasks[up] for up in ups],
                self.spec.embedding,
                images[self.spec.voxel_image[task]].widths,
            )
            for task, ups in self.conditioning_tasks.items()
        }

    def _count_upstream_planes(self, upstream: str) -> int:
        return count_map_planes(self.tasks[upstream], self.spec.uncertainty)

    def _list_by_link(self, task: str, *links: str) -> list[str]:
        return [up for up in self.spec.after.get(task, ()) if self.links[task, up] in links]
