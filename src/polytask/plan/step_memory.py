"""Predicts the memory of a training step from a plan, also one that was changed by hand or by a preset."""

from __future__ import annotations

from dataclasses import dataclass

from polytask.cohort.header import Header, ImageInput
from polytask.cohort.read_visits import list_read_visits
from polytask.kinds.task_spec import MaskSpec, VoxelSpec
from polytask.plan.plan_schema import ImagePlan, Plan
from polytask.plan.rules.network_cost import (
    Topology,
    count_activation_bytes,
    count_kept_bytes,
    count_parameters,
)

COPY_BYTES = 2
"""Bytes of the bf16 copy of a weight that autocast makes for a step."""


@dataclass(frozen=True)
class StepMemory:
    """The predicted bytes of one training step.

    Args:
        kept: what autograd keeps for the backward pass, without the parameters.
        peak: that, what exists only for a moment, and on a GPU a margin; without parameters, gradients and optimizer.
    """

    kept: float
    peak: float


def predict_step_memory(plan: Plan, header: Header, device: str = "cpu") -> StepMemory:
    """Predict the memory of a step with the batch of the plan.

    Counted are the images, which need nearly all of it: their encoders (one for each task under `single`), decoders
    and the losses of the masks. Other sharing blocks than `hard` and `single` and the second networks of a chain come
    on top.

    Args:
        plan: the plan.
        header: the header of its cohort.
        device: `cpu`, `cuda` or `mps`.
    """
    kept = peak = 0.0
    precision = plan.shared.training.precision
    # Visits that no task reads are not computed.
    visits = min(plan.shared.max_visits, len(list_read_visits(header)))
    for name, spec in header.images.items():
        image = plan.shared.images[name]
        topology = make_plan_topology(image, spec)
        voxel = [t for t in header.tasks.values() if isinstance(t, VoxelSpec) and t.image == name]
        pooled = sum(not isinstance(t, VoxelSpec) for t in header.tasks.values())
        decoders = len(voxel) if plan.shared.model.decoder == "private" else min(1, len(voxel))
        masks = sum(len(t.names) if isinstance(t, MaskSpec) else 1 for t in voxel)
        apart = plan.shared.model.sharing == "single"
        views = []
        if image.patch is None and image.view is not None:
            views = [(image.view, 1, decoders, len(voxel) + pooled)]
        elif image.patch is not None:
            views = [(image.patch, image.patches, decoders, len(voxel))]
            views += [(image.view, 1, 0, pooled)] if image.view is not None else []
        for size, count, heads, readers in views:
            # Further encoders keep what one without decoders keeps.
            further = (readers - 1) * count_kept_bytes(topology, size, 0, precision) if apart else 0.0
            samples = plan.shared.training.batch * visits * count
            kept += samples * (count_kept_bytes(topology, size, heads, precision, masks) + further)
            peak += samples * (
                count_activation_bytes(topology, size, heads, precision, device, masks) + further
            )
        if precision == "bf16":
            encoders = len(voxel) + pooled if apart else 1
            weights = count_parameters(topology, decoders) + (encoders - 1) * count_parameters(topology, 0)
            kept, peak = kept + COPY_BYTES * weights, peak + COPY_BYTES * weights
    return StepMemory(kept, peak)


def make_plan_topology(image: ImagePlan, spec: ImageInput) -> Topology:
    """Return the network of an image input as a plan describes it."""
    planes = spec.planes + (len(spec.channels) if image.channel_flags else 0)
    return Topology(image.dims, planes, image.widths, image.blocks, image.strides, image.kernels or ())
