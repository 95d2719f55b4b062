"""What each member of an ensemble says about a sample, beside the mean of all, and sees of its inputs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from polytask.cohort.cohort import Case, Cohort
from polytask.inference.sample_prediction import Predictions
from polytask.inference.trunk_features import TrunkFeatures
from polytask.kinds import find_answer_form
from polytask.model.network import Network
from polytask.plan.plan_schema import Plan
from polytask.predict.input_measures import InputWatch, VisitMeasures
from polytask.predict.mask_presence import measure_presence
from polytask.prepare.evaluation_sample import CaseSource, FullSample
from polytask.tasks.task import PATCH_KEY_PREFIXES, Arrays, Task


class MemberAnswers:
    """Collects the answers of the members while their mean is made: to visit and subject tasks as they are, and of
    masks how much of each structure there is (`measure_presence`).

    Answers per voxel are left out: kept for every member, they would not fit into memory.

    Args:
        watch: of the inputs; None where nobody asked for it.
    """

    def __init__(self, tasks: Mapping[str, Task], watch: InputWatch | None = None):
        self.watch = watch
        self.measures: list[VisitMeasures] = []
        self.tasks = {n: t for n, t in tasks.items() if t.level != "voxel"}
        self.masks = {n: t for n, t in tasks.items() if find_answer_form(t.kind) == "masks"}
        self.members: list[dict[str, dict[int, Arrays]]] = []

    def add(self, member: int, predictions: Predictions) -> Predictions:
        """Note what a network of a member predicted, and return it unchanged."""
        while len(self.members) <= member:
            self.members.append({})
        for task in self.masks.keys() & predictions.keys():
            self.members[member][task] = {
                slot: measure_presence(self.masks[task], p) for slot, p in predictions[task].items()
            }
        for task in self.tasks.keys() & predictions.keys():
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

    def listen(self, member: int, sample: FullSample, network: Network) -> TrunkFeatures | None:
        """Return a listener for a network of a member; None where nobody asked for it."""
        return self.watch.listen(member, sample, network) if self.watch else None

    def measure_inputs(self, cohort: Cohort, cases: Iterable[Case], source: CaseSource, plan: Plan) -> None:
        """Measure the inputs of the sample, after all networks have predicted it."""
        self.measures = self.watch.measure(cohort, cases, source, plan) if self.watch else []

    def select_measures(self, visit: str | None) -> tuple[VisitMeasures, ...]:
        """Select what was measured at one visit; None: at all visits of the sample."""
        return tuple(own for own in self.measures if visit is None or own.visit == visit)
