"""Builds the tasks and the network that a plan describes: the only place that turns plan values into objects."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import torch

from polytask.cohort.header import Header, PooledSpec, VoxelSpec
from polytask.cohort.read_visits import list_history_tasks, list_joined_visits
from polytask.errors import PolytaskError
from polytask.model.building_blocks import EncoderSpec
from polytask.model.crop_reader import CropSpec
from polytask.model.network import Network
from polytask.model.network_settings import NetworkSpec
from polytask.model.slide_encoder import SlideSpec
from polytask.model.visit_fusion import MIN_FUSION_VISITS
from polytask.plan.plan_schema import FoldPlan, ImagePlan, Plan
from polytask.plan.roi_plan import choose_fold_roi
from polytask.plan.slice_trunk import drop_axis, find_slice_axis
from polytask.prepare.normalization import count_flag_planes, count_input_planes
from polytask.prepare.slot_assignment import count_visit_slots
from polytask.prepare.table_encoding import count_group_features
from polytask.tasks import make_task
from polytask.tasks.task import Task


def make_tasks(
    fold: FoldPlan, only: Iterable[str] | None = None, extra: Mapping[str, Mapping[str, Any]] | None = None
) -> dict[str, Task]:
    """Build the tasks of a fold, or only those that are named.

    `extra` adds fields by task that are known only after training, such as a baseline hazard.
    """
    names = list(fold.tasks) if only is None else [n for n in fold.tasks if n in set(only)]
    return {name: make_task(name, {**fold.tasks[name], **(extra or {}).get(name, {})}) for name in names}


def make_network_spec(plan: Plan, fold: FoldPlan, header: Header) -> NetworkSpec:
    """Translate a plan and a header into the settings of one network."""
    images = {
        name: _make_encoder_spec(image, plan.shared.model.encoder)
        for name, image in plan.shared.images.items()
    }
    tables = {name: count_group_features(columns) for name, columns in fold.tables.items()}
    slots = {v: i for i, v in enumerate(header.visits or [])}
    model = plan.shared.model
    require_compared_visits(model.visit_fusion, header)
    return NetworkSpec(
        images=images,
        tables=tables,
        slides={
            n: SlideSpec(s.features, s.widths, *zip(*[(r.mean, r.sd) for r in fold.slides[n]], strict=True))
            for n, s in plan.shared.slides.items()
        },
        crops=_make_crop_specs(plan, fold, header),
        voxel_image={n: t.image for n, t in header.tasks.items() if isinstance(t, VoxelSpec)},
        visits={
            n: [slots[v] for v in t.visits]
            for n, t in header.tasks.items()
            if isinstance(t, PooledSpec) and t.visits and slots
        },
        history=frozenset(list_history_tasks(header)),
        max_visits=count_visit_slots(header, plan.shared.max_visits),
        trunk=model.trunk or "",
        sharing=model.sharing,
        form=model.form,
        visit_fusion=model.visit_fusion,
        visit_levels=model.visit_levels or (),
        input_fusion=model.input_fusion,
        source_dropout=model.source_dropout,
        after=model.after,
        link=model.link,
        second_level=model.second_level or "",
        second_network=model.second_network or "",
        uncertainty=model.uncertainty,
        passes=model.passes or 0,
        stop_gradient=model.stop_gradient,
        decoder=model.decoder,
        deep_supervision=model.deep_supervision,
        embedding=model.embedding,
        dropout=model.dropout,
    )


def _make_encoder_spec(image: ImagePlan, encoder: str | None) -> EncoderSpec:
    """Translate the topology of an image; of a volume that is read slice by slice it is that of a slice."""
    axis = find_slice_axis(image)
    return EncoderSpec(
        image.dims if axis is None else image.dims - 1,
        count_input_planes(image),
        image.widths,
        image.blocks,
        drop_axis(image.strides, axis),
        drop_axis(image.kernels or (), axis),
        axis,
        encoder or "residual",
    )


def _make_crop_specs(plan: Plan, fold: FoldPlan, header: Header) -> dict[str, CropSpec]:
    """Translate what the fold reads of `roi` of every image; the masks that choose crops must lie on that image."""
    crops: dict[str, CropSpec] = {}
    for name, image in plan.shared.images.items():
        roi = choose_fold_roi(image, fold.finding_sizes.get(name, {}))
        if roi is None:
            continue
        chooser = header.tasks.get(roi.task or "")
        if isinstance(chooser, VoxelSpec) and chooser.image != name:
            raise PolytaskError(
                f"images.{name}.roi.task: the masks of {roi.task!r} lie on image {chooser.image!r}; choose a "
                f"task with masks on {name!r}, or attention"
            )
        flags = count_flag_planes(image) if roi.surroundings else 0
        crops[name] = CropSpec(roi.count, roi.task, roi.stages == "every", roi.surroundings, flags)
    return crops


def require_compared_visits(visit_fusion: str, header: Header) -> None:
    """Raise if a fusion compares visits and no subject task of the cohort reads enough of them.

    A network for only some of the tasks is not refused: a task that reads too few visits joins them by `concat`.
    """
    least = MIN_FUSION_VISITS[visit_fusion]
    most = max((len(list_joined_visits(header, name)) for name in header.tasks), default=0)
    if least > 1 and most < least:
        raise PolytaskError(
            f"model.visit_fusion: {visit_fusion!r} compares {least} visits, and no subject task reads so many; "
            "name more `visits` in cohort.yaml, or choose concat"
        )


def make_network(spec: NetworkSpec, tasks: Mapping[str, Task], seed: int) -> Network:
    """Build a network whose initial weights depend on the seed alone.

    A chain keeps only the links between `tasks`; links to tasks outside this network are dropped. Crops that such a
    task would choose are chosen by attention.
    """
    after = {t: [u for u in upstream if u in tasks] for t, upstream in spec.after.items() if t in tasks}
    crops = {
        n: c if c.task in tasks else replace(c, task=None, surroundings=False) for n, c in spec.crops.items()
    }
    # The global generator is restored, so that building a network changes nobody else's random numbers.
    state = torch.random.get_rng_state()
    torch.manual_seed(seed)
    network = Network(replace(spec, after=after, crops=crops), tasks)
    torch.random.set_rng_state(state)
    return network
