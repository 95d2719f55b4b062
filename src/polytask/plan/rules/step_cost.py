"""Counts what a training step costs, and how many samples it may have at least and at most."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from polytask.plan.machine import LARGER_BATCH_SECONDS, Machine
from polytask.plan.rules.field_of_view import FieldChoice
from polytask.plan.rules.network_cost import (
    BYTES_PER_PARAMETER,
    PASSES_PER_STEP,
    count_decoder_flops,
    count_encoder_flops,
)
from polytask.plan.rules.shared_facts import SharedFacts
from polytask.plan.rules.sharing_cost import count_input_memory
from polytask.plan.rules.view_readers import find_view_readers, list_view_parts

MIN_BATCH_SAMPLES = {("cpu", 2): 4, ("cpu", 3): 2, ("gpu", 2): 12, ("gpu", 3): 2}
"""(device, dimensions of the largest image input) → smallest batch in samples: enough for a useful gradient. On
a GPU it is that of nnU-Net."""
MAX_BATCH_SAMPLES = {2: 32, 3: 8}
"""Dimensions of an image input → largest batch in samples."""


@dataclass(frozen=True)
class StepCost:
    """What one sample costs in a training step, in FLOP and in bytes of activations; and the bytes of the model."""

    flops: float
    activations: float
    model: float

    def add_cost(self, other: StepCost) -> StepCost:
        """Add the cost of another input."""
        return StepCost(
            self.flops + other.flops, self.activations + other.activations, self.model + other.model
        )

    def seconds(self, batch: int, machine: Machine) -> float:
        """Estimate the time of a training step with this batch, in seconds, to announce it."""
        return batch * self.flops / machine.speed

    def is_quick(self, batch: int, machine: Machine) -> bool:
        """Whether a step with this batch stays below the time limit of larger batches, at the rounded speed."""
        return batch * self.flops / machine.rounded_speed <= LARGER_BATCH_SECONDS[machine.device]

    def fits(self, batch: int, machine: Machine) -> bool:
        """Whether the memory of the machine is enough for this batch."""
        # The model is held once, whatever the batch.
        return batch * self.activations + self.model <= machine.budget


def count_step_cost(
    basis: SharedFacts, fields: Mapping[str, FieldChoice], decoders: Mapping[str, int]
) -> StepCost:
    """Count what one sample costs with these fields and networks."""
    flops = activations = model = 0.0
    machine, visits = basis.machine, len(basis.read_visits)
    for name, field in fields.items():
        flops += PASSES_PER_STEP * visits * field.flops(decoders[name])
        flops += visits * _count_chain_flops(basis, name, field)
        own = count_input_memory(
            basis.cohort.header,
            name,
            basis.model,
            field.topology,
            field,
            machine.precision,
            machine.device,
        )
        activations += visits * own.peak
        model += BYTES_PER_PARAMETER * own.parameters
    return StepCost(flops, activations, model)


def _count_chain_flops(basis: SharedFacts, image: str, field: FieldChoice) -> float:
    """Count what a chain adds to a step of one visit: second networks, and passes that need no backward pass."""
    flops = 0.0
    for size, count, part in list_view_parts(field):
        readers = find_view_readers(basis.cohort.header, image, basis.model, part)
        second = PASSES_PER_STEP * len(readers.seconds) * count_encoder_flops(field.topology, size)
        flops += count * (second + readers.repeats * count_decoder_flops(field.topology, size))
    return flops


def find_smallest_batch(basis: SharedFacts) -> int:
    """Find the number of samples of the smallest batch; a train part that is even smaller is one batch."""
    dims = max((spec.dims for spec in basis.cohort.header.images.values()), default=2)
    kind = "cpu" if basis.machine.device == "cpu" else "gpu"
    return max(1, min(MIN_BATCH_SAMPLES[kind, dims], basis.train))


def find_largest_batch(basis: SharedFacts) -> int:
    """Find the number of samples of the largest batch, whatever the train part."""
    return min((MAX_BATCH_SAMPLES[spec.dims] for spec in basis.cohort.header.images.values()), default=64)
