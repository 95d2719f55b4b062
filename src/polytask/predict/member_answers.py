"""What each member of an ensemble says about a sample, beside the mean of all."""

from __future__ import annotations

from collections.abc import Collection

from polytask.inference.sample_prediction import Predictions
from polytask.tasks.task import PATCH_KEY_PREFIXES, Arrays


class MemberAnswers:
    """Collects the answers of the members to visit and subject tasks while their mean is made.

    Answers per voxel are left out: kept for every member, they would not fit into memory.
    """

    def __init__(self, tasks: Collection[str]):
        self.tasks = tasks
        self.members: list[dict[str, dict[int, Arrays]]] = []

    def add(self, member: int, predictions: Predictions) -> Predictions:
        """Note what a network of a member predicted, and return it unchanged."""
        while len(self.members) <= member:
            self.members.append({})
        for task in self.tasks & predictions.keys():
            self.members[member][task] = {
                slot: {k: v.numpy() for k, v in p.items() if not k.startswith(PATCH_KEY_PREFIXES)}
                for slot, p in predictions[task].items()
            }
        return predictions

    def select_slot(self, slot: int) -> tuple[dict[str, Arrays], ...]:
        """Select the answers about one visit (or the subject, slot -1): of each member task → decoded arrays."""
        return tuple(
            {task: by_slot[slot] for task, by_slot in own.items() if slot in by_slot} for own in self.members
        )
