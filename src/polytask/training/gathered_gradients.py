"""What is computed from the tasks' gradients of a batch: their Gramian, one gradient for the step, and a comparison of
the two cuts. With several processes each of these is over the gradients of all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import sqrt

import numpy as np
import torch
from torch import Tensor

from polytask.balance.gradient_sites import GradientSite
from polytask.balance.leaves import TaskGradients, compute_gramian, merge_weighted
from polytask.balance.rule import Array, CombiningRule, Rule, RuleInput, RuleMemory
from polytask.training.distributed import World


def sum_gramian(
    world: World, site: GradientSite, gradients: list[TaskGradients], tasks: Sequence[str]
) -> Array:
    """Compute the Gramian `[T, T]` of the gradients of all processes."""
    measured = site.measured(gradients)
    if world.size > 1 and not site.additive:
        return compute_gramian(_sum_over_processes(world, measured), tasks).cpu().double().numpy()
    return world.total(compute_gramian(measured, tasks).to(world.device)).cpu().double().numpy()


def _sum_over_processes(world: World, gradients: list[TaskGradients]) -> list[TaskGradients]:
    """Sum the gradients over all processes."""
    return [{task: world.total(gradient) for task, gradient in by_task.items()} for by_task in gradients]


def merge_task_gradients(
    world: World,
    site: GradientSite,
    gradients: list[TaskGradients],
    weights: Mapping[str, float],
    rule: Rule | None,
    seed: Sequence[int],
) -> list[Tensor | None]:
    """Merge the tasks' gradients to one for each shared tensor; those of parameters are summed over processes
    afterwards.

    Weights do not depend on that order. A rule that combines element by element does: at parameters it needs the
    gradients of all processes together. At features other processes have other samples, which are other elements
    with other draws.

    Args:
        weights: task → weight of its gradient.
        rule: the rule that reads the gradients in this step, if one does.
        seed: numbers that belong to this batch of this step: a resumed run draws the same.
    """
    if not isinstance(rule, CombiningRule):
        return [merge_weighted(by_task, weights, rule, None) for by_task in gradients]
    draw = np.random.default_rng([*seed, 1, world.rank if site.additive else 0])
    generator = torch.Generator(world.device).manual_seed(int(draw.integers(2**62)))
    if world.size == 1 or site.additive:
        return [merge_weighted(by_task, weights, rule, generator) for by_task in gradients]
    sums = _sum_over_processes(world, gradients)
    whole = (merge_weighted(by_task, weights, rule, generator) for by_task in sums)
    # All processes hold the same sum already and will be summed once more.
    return [None if gradient is None else gradient / world.size for gradient in whole]


def compare_cuts(
    rule: Rule, memory: RuleMemory, batch: RuleInput, weights: Array, trunk: Array, seed: Sequence[int]
) -> float | None:
    """Compute the cosine between the trunk's steps under the two cuts, on the samples of this process.

    Returns None where it is not defined.

    Args:
        batch: what the rule was given, with the Gramian at the features. weights: what it answered `[K]`.
        trunk: the Gramian at the parameters `[K, K]`.
        seed: as in `merge_task_gradients`.
    """
    if not np.isfinite(trunk).all():
        return None
    draw = np.random.default_rng(list(seed))
    other, _ = rule.weigh(RuleInput(batch.present, batch.losses, trunk, batch.epoch, draw), memory)
    length = sqrt(max(float((weights @ trunk @ weights) * (other @ trunk @ other)), 0.0))
    return float(weights @ trunk @ other) / length if length > 0 else None
