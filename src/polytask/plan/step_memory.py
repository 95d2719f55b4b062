"""Predicts the memory of a training step from a plan, also one that was changed by hand or by a preset."""

from __future__ import annotations

from dataclasses import dataclass

from polytask.cohort.header import Header, ImageInput
from polytask.cohort.read_visits import list_read_visits
from polytask.plan.plan_schema import ImagePlan, Plan
from polytask.plan.rules.network_cost import BYTES_PER_PARAMETER, COPY_BYTES, Topology
from polytask.plan.rules.sharing_cost import count_input_memory
from polytask.plan.slice_trunk import find_slice_axis, flatten_topology


@dataclass(frozen=True)
class StepMemory:
    """The predicted bytes of one training step.

    Args:
        kept: what autograd keeps for the backward pass, without the parameters.
        peak: that, what exists only for a moment, and on a GPU a margin; without parameters, gradients and optimizer.
        model: parameters, gradients and what the optimizer stores for them.
    """

    kept: float
    peak: float
    model: float


def predict_step_memory(plan: Plan, header: Header, device: str = "cpu") -> StepMemory:
    """Predict the memory of a step with the batch of the plan, in one network for all tasks of the header.

    Counted are the images, which need nearly all of it: encoders, the sharing block, decoders, second networks of a
    chain, and the losses of the masks. Slides, tables, crops and heads come on top.

    Args:
        plan: the plan.
        header: the header of its cohort, or a copy with the tasks of one network.
        device: `cpu`, `cuda` or `mps`.
    """
    kept = peak = model = 0.0
    precision = plan.shared.training.precision
    # Visits that no task reads are not computed.
    visits = min(plan.shared.max_visits, len(list_read_visits(header)))
    for name, spec in header.images.items():
        image, shared = plan.shared.images[name], plan.shared
        topology = make_plan_topology(image, spec, shared.model.encoder)
        own = count_input_memory(header, name, shared.model, topology, image, precision, device)
        samples = shared.training.batch * visits
        copies = COPY_BYTES * own.parameters if precision == "bf16" else 0
        kept, peak = kept + samples * own.kept + copies, peak + samples * own.peak + copies
        model += BYTES_PER_PARAMETER * own.parameters
    return StepMemory(kept, peak, model)


def make_plan_topology(image: ImagePlan, spec: ImageInput, encoder: str | None = None) -> Topology:
    """Return the network of an image input as a plan describes it; `encoder` is what its model says."""
    planes = spec.planes + (len(spec.channels) if image.channel_flags else 0)
    sizes = (image.widths, image.blocks, image.strides, image.kernels or ())
    topology = Topology(image.dims, planes, *sizes, encoder or "residual")
    return flatten_topology(topology, find_slice_axis(image))
