"""Plans the values again that depend on one changed for a single run, from the facts that its work folder keeps."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from polytask.cohort.cohort import Cohort
from polytask.cohort.splits import Splits
from polytask.errors import PolytaskError
from polytask.kinds.plan_reasons import PlanReasons
from polytask.plan.fingerprint_records import Fingerprint
from polytask.plan.machine import Machine
from polytask.plan.machine_file import find_planned_machine
from polytask.plan.plan_schema import FoldPlan, Plan, SharedPlan
from polytask.plan.plan_settings import set_remaining_values
from polytask.plan.planner import decide_shared_part
from polytask.plan.rules.fold_facts import FoldFacts
from polytask.plan.rules.roi_rules import plan_finding_sizes
from polytask.plan.setting_paths import HAND_SET_WORDS, parse_settings

DIVIDED_SECTIONS = ("images", "slides")
"""Sections whose keys are inputs, each a section of its own."""
FINDING_SIZES = "finding_sizes"
MAX_EDIT_ROUNDS = 4
"""A plan whose values differ from those of the rules after this many rounds of keeping them was made otherwise."""


@dataclass(frozen=True)
class PlanningFacts:
    """What a plan was made from, as far as its work folder and itself still say so.

    Args:
        plan: the plan of the work folder.
        machine: the machine that it was made for.
    """

    plan: Plan
    cohort: Cohort
    fingerprint: Fingerprint
    splits: Splits
    machine: Machine

    @classmethod
    def find(cls, work: Path, plan: Plan, cohort_folder: Path) -> PlanningFacts | None:
        """Find the facts of the plan of a work folder; None where one is missing or belongs to another cohort."""
        fingerprint, machine = Fingerprint.find(work), find_planned_machine(work)
        if fingerprint is None or machine is None or not (work / "splits.json").is_file():
            return None
        cohort, splits = Cohort.read(cohort_folder), Splits.read(work / "splits.json")
        measured = all(case.test or case.key in fingerprint.cases for case in cohort.cases)
        if cohort.digest != plan.digest or not measured or set(plan.folds) != set(range(len(splits.folds))):
            return None
        return cls(plan, cohort, fingerprint, splits, machine)

    def list_settings(self) -> list[str] | None:
        """List what was set by hand, by an option or in the file; None where that does not explain the plan."""
        settings = list(_list_noted_settings(self.plan.shared))
        try:
            # A value that somebody wrote into the file stands there without a reason of its own; and beside it stand
            # values that it would have changed, which are then kept by hand too.
            for _ in range(MAX_EDIT_ROUNDS):
                edits = self._list_edits(settings)
                if not edits:
                    return settings
                settings += edits
        except PolytaskError:
            # What was edited holds in the file but contradicts the rules.
            return None
        return None

    def plan_again(self, settings: Sequence[str], machine: Machine | None = None) -> Plan:
        """Return the plan with the shared part planned again around what was set by hand.

        Of the folds only the sizes of findings depend on the shared part.

        Args:
            settings: all values set by hand, e.g. `images.scan.spacing=[2,2]`; of a value set twice the last counts.
            machine: the machine to plan for, if it is another one.
        """
        folds = {number: fold.untrained for number, fold in self.plan.folds.items()}
        by_hand = parse_settings(settings, folds)
        shared, fixed = decide_shared_part(
            self.cohort, self.fingerprint, self.splits, machine or self.machine, by_hand
        )
        planned = self.plan.model_copy(deep=True, update={"shared": shared})
        if shared.images != self.plan.shared.images:
            for number, fold in planned.folds.items():
                train = self.splits.folds[number].train
                facts = FoldFacts(self.cohort, self.fingerprint, number, train, shared.images)
                planned.folds[number] = _measure_findings_again(fold, facts)
        return set_remaining_values(planned, by_hand, fixed.used, fixed.settings)

    def _list_edits(self, settings: Sequence[str]) -> list[str]:
        planned = self.plan_again(settings).shared
        return [
            f"{path}={json.dumps(value)}"
            for path, value in list_shared_values(self.plan.shared)
            if dict(list_shared_values(planned)).get(path) != value
        ]


def list_shared_values(shared: SharedPlan) -> Iterator[tuple[str, Any]]:
    """Yield (path, value as JSON has it) of every value of the shared part that can be set."""
    for section, content in shared.model_dump(mode="json", exclude={"why", "warnings"}).items():
        parts = {section: content}
        if section in DIVIDED_SECTIONS:
            parts = {f"{section}.{name}": part for name, part in content.items()}
        for path, part in parts.items():
            if isinstance(part, Mapping):
                yield from ((f"{path}.{key}", value) for key, value in part.items() if key != "dims")
            else:
                yield path, part


def _list_noted_settings(shared: SharedPlan) -> Iterator[str]:
    """Yield a setting for each value whose reason says that it was set by hand."""
    content = shared.model_dump(mode="json")
    for path, reason in shared.why.items():
        if not reason.startswith(HAND_SET_WORDS):
            continue
        node: Any = content
        for word in path.split("."):
            node = node[int(word)] if isinstance(node, list) else node.get(word)
            if node is None:
                break
        yield f"{path}={json.dumps(node)}"


def _measure_findings_again(fold: FoldPlan, facts: FoldFacts) -> FoldPlan:
    """Return the part of a fold with the sizes of its findings as they are in the views of another shared part."""
    why = PlanReasons()
    sizes = plan_finding_sizes(facts, why)
    others = {path: reason for path, reason in fold.why.items() if path.split(".")[0] != FINDING_SIZES}
    return fold.model_copy(update={"finding_sizes": sizes, "why": {**others, **why.reasons}})
