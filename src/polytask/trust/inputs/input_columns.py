"""Says in `predictions.csv` how strange the inputs of a case are, and why."""

from __future__ import annotations

from collections.abc import Sequence
from math import isnan

import numpy as np

from polytask.array_types import NAN, Floats
from polytask.errors import PolytaskError
from polytask.predict.input_measures import VisitMeasures
from polytask.predict.member import Member
from polytask.trust.inputs.input_trust import RANGE, InputTrust, measure_strangeness
from polytask.trust.inputs.quantity_ranges import describe_excesses
from polytask.trust.inputs.trunk_reference import DISTANCES

P_COLUMN, REASON_COLUMN = "input.ood_p", "input.ood_reason"
MAX_REASONS = 3
"""So many quantities of an input are named that lie outside their ranges."""


class InputColumns:
    """Compares the inputs of new cases with those of held-out ones.

    Args:
        trust: what the model's runs know. members: of the model, in the order of `VisitMeasures.features`.
        place: where it was read, for messages.
    """

    def __init__(self, trust: InputTrust, members: Sequence[Member], place: str):
        self.trust = trust
        numbers = {(m.fold, m.seed): k for k, m in enumerate(members)}
        wanted = {(m.fold, s.seed) for m in trust.members for s in m.seeds}
        if wanted != set(numbers):
            raise PolytaskError(
                f"{place}: inputs of other folds or seeds than the model's; run `polytask trust` again"
            )
        self.numbers = [[numbers[m.fold, s.seed] for s in m.seeds] for m in trust.members]

    def make_cells(self, measures: Sequence[VisitMeasures]) -> dict[str, str]:
        """Make the cells of a row from what was measured at its visits; empty where no input is known."""
        strangeness = self.measure_case(measures)
        visits = [own.visit for own in measures]
        p = self.trust.compare(strangeness, self.trust.find_columns(), visits)
        if isnan(p):
            return {P_COLUMN: "", REASON_COLUMN: ""}
        reasons = self._list_reasons(strangeness, measures, visits) if p <= self.trust.false_alarms else []
        return {P_COLUMN: f"{p:.4g}", REASON_COLUMN: "; ".join(reasons)}

    def measure_case(self, measures: Sequence[VisitMeasures]) -> list[Floats]:
        """Measure how strange the inputs of a case are: of each member `[visits, measures]`."""
        return [self._measure(k, measures) for k in range(len(self.trust.members))]

    def _measure(self, number: int, measures: Sequence[VisitMeasures]) -> Floats:
        """Measure how strange a case is to a member: `[visits, measures]`."""
        member = self.trust.members[number]
        told = np.full((len(self.trust.visits), len(self.trust.measures)), NAN)
        for own in measures:
            if own.visit in self.trust.visits:
                features = [own.features[k] for k in self.numbers[number]]
                told[self.trust.visits.index(own.visit)] = measure_strangeness(
                    own, features, member.seeds, member.ranges, self.trust.measures
                )
        return told

    def _list_reasons(
        self, strangeness: Sequence[Floats], measures: Sequence[VisitMeasures], visits: Sequence[str]
    ) -> list[str]:
        """List why a case is strange: quantities outside their ranges, then images that look strange to the trunk."""
        reasons: list[str] = []
        for own in measures:
            where = f" at {own.visit}" if len(measures) > 1 else ""
            for name, quantities in own.quantities.items():
                # Outside the ranges of all folds: what one of them has seen is not strange.
                told = [describe_excesses(quantities, m.ranges.get(name, {})) for m in self.trust.members]
                if all(told):
                    reasons += [f"{name}{where}: {line}" for line in told[0][:MAX_REASONS]]
        for name in dict.fromkeys(owner for owner, word in self.trust.measures if word != RANGE):
            p = self.trust.compare(strangeness, self.trust.find_columns([name], DISTANCES), visits)
            if p <= self.trust.false_alarms:
                reasons.append(f"{name}: to the network it looks stranger than {1 - p:.0%} of held-out ones")
        return reasons or ["nothing alone, but all measures together"]
