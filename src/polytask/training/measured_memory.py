"""Measures the memory of a training step of a planned network, with random numbers in place of a cohort's images."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from polytask.cohort.header import Header
from polytask.kinds.task_spec import MaskSpec
from polytask.model.network import Network, TaskOutput
from polytask.model.network_inputs import CompleteInputs
from polytask.model.step_bytes import measure_step_bytes
from polytask.plan.plan_schema import Plan
from polytask.prepare.normalization import count_input_planes
from polytask.tasks.heads_and_losses import list_output_levels, make_autocast
from polytask.tasks.target import Target
from polytask.training.assemble import make_network, make_network_spec, make_tasks


def measure_step_memory(plan: Plan, header: Header, device: str = "cpu") -> int:
    """Measure the bytes that a step of the plan's first fold needs beside the parameters (`measure_step_bytes`)."""
    place = torch.device(device)
    fold = plan.folds[min(plan.folds)]
    network = make_network(make_network_spec(plan, fold, header), make_tasks(fold), 0).to(place).train()
    inputs = make_random_inputs(plan, place)
    precision = plan.shared.training.precision
    return measure_step_bytes(network, lambda: _compute_loss(network, inputs, header, precision), place)


def make_random_inputs(plan: Plan, device: torch.device) -> CompleteInputs:
    """Make a batch of random images of the sizes that a plan states."""
    shared = plan.shared
    slots = (shared.training.batch, shared.max_visits)
    whole, patch = {}, {}
    for name, image in shared.images.items():
        planes = count_input_planes(image)
        if image.view is not None:
            whole[name] = torch.randn((*slots, planes, *image.view), device=device)
        if image.patch is not None:
            patch[name] = torch.randn((*slots, image.patches, planes, *image.patch), device=device)
    return CompleteInputs(whole, {}, torch.zeros(slots, device=device), patch)


def _compute_loss(network: Network, inputs: CompleteInputs, header: Header, precision: str) -> Tensor:
    """Compute the sum of the losses: those of masks as in training, a mean square for all other tasks."""
    with make_autocast(precision, inputs.day.device):
        outputs: Mapping[str, TaskOutput] = network(inputs)
    losses = []
    for name, output in outputs.items():
        levels, spec = list_output_levels(output), header.tasks[name]
        if isinstance(spec, MaskSpec):
            target = _make_empty_target(levels[0], spec)
            losses.append(network.tasks[name].criterion()(output, target, [""] * len(levels[0]))[0])
        else:
            losses += [level.float().square().mean() for level in levels]
    return torch.stack(losses).sum()


def _make_empty_target(finest: Tensor, spec: MaskSpec) -> Target:
    """Make a target without any structure for outputs `[N, K, *space]`, known everywhere."""
    space, device = finest.shape[2:], finest.device
    planes = () if spec.exclusive else (len(spec.names),)
    return Target(
        torch.zeros((len(finest), *planes, *space), dtype=torch.uint8, device=device),
        torch.ones((len(finest), len(spec.names)), dtype=torch.bool, device=device),
        torch.ones((len(finest), *space), dtype=torch.bool, device=device),
    )
