"""Gives all image inputs the topology that one encoder for all of them needs (`model.trunk: shared`)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from polytask.errors import PolytaskError
from polytask.kinds.plan_reasons import PlanReasons
from polytask.plan.rules.field_of_view import FieldChoice
from polytask.plan.rules.network_cost import Topology
from polytask.plan.shared_trunk import explain_mixed_dimensions

STAGE_VALUES = ("strides", "widths", "blocks", "kernels")
"""Values of an image with an entry for each stage."""


def share_topology(fields: Mapping[str, FieldChoice], why: PlanReasons) -> dict[str, FieldChoice]:
    """Return the fields with the common topology of all image inputs; their sizes stay.

    There are as many stages as the input with the fewest has. Each has the smallest width, number of blocks and
    strides that an input has there, and the largest kernel: so the sizes that were planned for an input are multiples
    of the total stride, and no axis is halved that was too short for it.

    Raises:
        PolytaskError: inputs of different dimensions, or values set by hand that an encoder cannot have in common.
    """
    names = list(fields)
    for name in names[1:]:
        one, other = fields[names[0]].topology.dims, fields[name].topology.dims
        if one != other:
            raise PolytaskError(f"model.trunk: {explain_mixed_dimensions(names[0], one, name, other)}")
    common = join_topologies([field.topology for field in fields.values()])
    shared: dict[str, FieldChoice] = {}
    for name, field in fields.items():
        own, image_why = field.topology, why.at(f"images.{name}")
        for key in STAGE_VALUES:
            planned, joined = _read_stages(own, key), _read_stages(common, key)
            if planned == joined:
                continue
            if image_why.is_fixed(key):
                raise PolytaskError(
                    f"--set {image_why.quote_settings(key)}: with model.trunk=shared the other image inputs need the "
                    f"same {key}; set them for every input, or leave them out"
                )
            image_why[key] = (
                f"common to {', '.join(names)}, which one encoder reads (`model.trunk`): of each stage the "
                f"{'largest kernel' if key == 'kernels' else 'smallest'} of these inputs, and as many stages as the "
                "input with the fewest"
            )
        shared[name] = replace(field, topology=replace(common, planes=own.planes))
    return shared


def join_topologies(topologies: Sequence[Topology]) -> Topology:
    """Join topologies of the same dimensions, stage by stage; the planes are those of the first."""
    stages = min(len(t.strides) for t in topologies)
    every = (3,) * topologies[0].dims
    kernels = [
        _take_each(max, [t.kernels[k] if t.kernels else every for t in topologies]) for k in range(stages)
    ]
    return replace(
        topologies[0],
        widths=tuple(min(t.widths[k] for t in topologies) for k in range(stages)),
        blocks=tuple(min(t.blocks[k] for t in topologies) for k in range(stages)),
        strides=tuple(_take_each(min, [t.strides[k] for t in topologies]) for k in range(stages)),
        kernels=tuple(kernels) if any(kernel != every for kernel in kernels) else (),
    )


def _take_each(choose: Callable[[Iterable[int]], int], values: Sequence[Sequence[int]]) -> tuple[int, ...]:
    return tuple(choose(axis) for axis in zip(*values, strict=True))


def _read_stages(topology: Topology, key: str) -> object:
    value: object = getattr(topology, key)
    return value
