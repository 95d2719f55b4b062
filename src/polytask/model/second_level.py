"""The second level of a chain: class answers join what a task knows of its inputs, instead of being one input more.

MM-DLS (Wang, Nature Communications 2026): u stands for the inputs of a case, e for the class vectors of each answer;
[u; e; …] passes a layer, and the heads of all survival tasks read the result s.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from polytask.model.network_settings import NetworkSpec
from polytask.model.order.chain import Chain
from polytask.model.source_encoders import TaskOutput
from polytask.model.task_branches import Token, upstream_source
from polytask.tasks.task import Task

if TYPE_CHECKING:
    from polytask.model.network import Network


class SecondLevel(nn.Module):
    """Joins a vector `[N, width]` with those of `answers` class answers, `[N, answers, width]` → `[N, width]`."""

    def __init__(self, answers: int, width: int):
        super().__init__()
        self.layer = nn.Linear((1 + answers) * width, width)

    def forward(self, vector: Tensor, answers: Tensor) -> Tensor:
        """Join the vectors; the shapes are those of the class."""
        joined = torch.cat([vector[:, None], answers.to(vector.dtype)], 1).flatten(1)
        return nn.functional.leaky_relu(self.layer(joined), 0.01)


def group_by_answers(
    spec: NetworkSpec, tasks: Mapping[str, Task], chain: Chain, slots: Mapping[str, Sequence[int]]
) -> dict[str, list[str]]:
    """Group the tasks that read class answers by their second level; its first task names it.

    A level is common to tasks that read the same answers, at the same level and visits, where the plan says `shared`.
    """
    groups: dict[object, list[str]] = {}
    for name, answers in chain.embedded_tasks.items():
        if answers and spec.second_level:
            alike = (tuple(answers), tasks[name].level, tuple(slots.get(name, ())))
            groups.setdefault(alike if spec.second_level == "shared" else name, []).append(name)
    return {group[0]: group for group in groups.values()}


def list_answer_groups(order: Sequence[str], levels: Mapping[str, Sequence[str]]) -> list[list[str]]:
    """List the pooled tasks in the order in which they answer; tasks of one second level answer together."""
    members = {task: list(group) for group in levels.values() for task in group}
    groups: dict[str, list[str]] = {}
    for task in order:
        group = members.get(task, [task])
        groups.setdefault(group[0], group)
    return list(groups.values())


def embed_answers(
    network: Network,
    task: str,
    outputs: Mapping[str, TaskOutput],
    tokens: Mapping[str, Mapping[str, Token]],
    visits: Tensor,
) -> dict[str, Token]:
    """Embed the class answers that a task reads: one token per visit, known where the upstream task has a source.

    Args:
        outputs: the answers so far. tokens: the sources of each task. visits: which are known, `[B, V]`.
    """
    embedded: dict[str, Token] = {}
    for upstream in network.chain.embedded_tasks[task]:
        output = outputs[upstream]
        assert isinstance(output, Tensor), "only voxel tasks answer with lists, and they are never embedded"
        values = output.detach() if network.spec.stop_gradient else output
        known = torch.stack([token.known for token in tokens[upstream].values()]).any(0)
        if network.tasks[upstream].level == "subject":
            values = values[:, None].expand(-1, visits.shape[1], -1)
            read = [known[:, slot] for slot in network.slots[upstream]]
            known = torch.stack(read, 1).any(1, keepdim=True) & visits
        else:
            values = values.unflatten(0, visits.shape)
        vectors = network.embeddings[f"{task} {upstream}"](values)
        embedded[upstream_source(upstream)] = Token((vectors,), known)
    return embedded


def answer_in_second_level(
    network: Network, group: Sequence[str], tokens: Mapping[str, Mapping[str, Token]], day: Tensor
) -> tuple[dict[str, Tensor], dict[str, dict[str, Tensor]]]:
    """Compute the answers of the tasks of one second level, and the weights of the sources of each task.

    Of several tasks in one second level u is the mean: each sees the inputs in its own way, all heads read one s.
    """
    first = group[0]
    fused, weights = {}, {}
    for task in group:
        fused[task], weights[task] = network.branches[task].fuse_sources(tokens[task], day)
    mean = torch.stack(list(fused.values())).mean(0)
    branch = network.branches[first]
    sources = [upstream_source(up) for up in network.chain.embedded_tasks[first]]
    answers = torch.stack([branch.embed_answer(source, tokens[first][source], day) for source in sources], 1)
    vector = network.second_levels[first](mean, answers)
    return {task: network.branches[task].answer(vector) for task in group}, weights
