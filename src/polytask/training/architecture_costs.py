"""Counts what architectures cost with the sizes of a plan: operations, memory, parameters; no numbers are computed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from polytask.cohort.header import Header
from polytask.model.network import count_parameters
from polytask.plan.model_plan import ModelPlan
from polytask.plan.plan_schema import Plan
from polytask.plan.step_memory import predict_step_memory
from polytask.training.assemble import make_network, make_network_spec, make_tasks
from polytask.training.measured_memory import make_random_inputs
from polytask.training.run_record import assign_networks


@dataclass(frozen=True)
class ArchitectureCost:
    """The cost of a training step of one sample: FLOP of a forward pass, bytes, and number of parameters.

    With several networks, operations and parameters are those of all; the bytes are those of the largest, because
    networks are trained one after another.
    """

    flops: float
    memory: float
    parameters: float

    def divide_by(self, other: ArchitectureCost) -> ArchitectureCost:
        """Divide each cost by that of another architecture."""
        return ArchitectureCost(
            self.flops / other.flops, self.memory / other.memory, self.parameters / other.parameters
        )


def count_architecture_cost(
    plan: Plan, header: Header, model: ModelPlan, fold: int = 0, trained: Sequence[str] | None = None
) -> ArchitectureCost:
    """Count the cost of an architecture for the images of a cohort, with the sizes of a plan. Nothing is computed:
    tensors have shapes only. `trained` are the tasks, by default all that the fold can train."""
    trial = plan.model_copy(deep=True)
    trial.shared.model, trial.shared.training.batch = model, 1
    place, part = torch.device("meta"), trial.folds[fold]
    flops = memory = parameters = 0.0
    for tasks in assign_networks(
        list(part.tasks if trained is None else trained), model.sharing, model.after, model.groups
    ).values():
        own = header.model_copy(update={"tasks": {t: header.tasks[t] for t in tasks}})
        made = {t: task for t, task in make_tasks(part).items() if t in tasks}
        # Tables, bags and crops come on top of every architecture alike.
        spec = replace(make_network_spec(trial, part, header), tables={}, slides={}, crops={})
        with place:
            network = make_network(spec, made, 0).to(place)
        with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH), torch.no_grad():
            network(make_random_inputs(trial, place))
        need = predict_step_memory(trial, own)
        flops += counter.get_total_flops()
        memory = max(memory, need.kept + need.model)
        parameters += count_parameters(network)
    return ArchitectureCost(flops, memory, parameters)
