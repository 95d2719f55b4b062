"""Collects what is known about the inputs of a sample while it is predicted, to tell strange inputs from ordinary ones.

Quantities are measured before a network reads anything; features are what the trunk of each member computes of an
image, taken from the pass that makes the predictions. Without an `InputWatch` nothing of it is computed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from polytask.array_types import Floats
from polytask.cohort.cohort import Case, Cohort
from polytask.inference.trunk_features import TrunkFeatures
from polytask.model.network import Network
from polytask.plan.plan_schema import Plan
from polytask.predict.input_quantities import Quantities, measure_cells, measure_image
from polytask.prepare.evaluation_sample import CaseSource, FullSample


@dataclass(frozen=True)
class VisitMeasures:
    """What was measured of the inputs at one visit of a subject.

    Args:
        visit: "" where the cohort has none.
        quantities: known input → what was measured of it, see `input_quantities`.
        features: of each member image input → pooled features of its trunk `[d]`.
        classes: task → known class; read where trust is fitted only.
    """

    subject: str
    visit: str
    quantities: dict[str, Quantities]
    features: tuple[dict[str, Floats], ...]
    classes: dict[str, int] = field(default_factory=dict)


class InputWatch:
    """Watches the inputs of one sample while the networks of all members predict it."""

    def __init__(self) -> None:
        self._heard: list[tuple[int, FullSample, TrunkFeatures]] = []

    def listen(self, member: int, sample: FullSample, network: Network) -> TrunkFeatures:
        """Return a listener for a network of a member, and keep what it hears."""
        listener = TrunkFeatures(whole=bool(network.pooled))
        self._heard.append((member, sample, listener))
        return listener

    def measure(
        self, cohort: Cohort, cases: Iterable[Case], source: CaseSource, plan: Plan
    ) -> list[VisitMeasures]:
        """Measure the inputs of those cases that the networks read, and join what these said about them."""
        read = {key for _, sample, _ in self._heard for key in sample.keys}
        members = 1 + max((member for member, _, _ in self._heard), default=-1)
        by_key: dict[str, list[dict[str, list[Floats]]]] = {}
        for member, sample, listener in self._heard:
            for (image, slot), vector in listener.list_vectors().items():
                key = sample.keys[slot]
                # A visit without the image is computed as zeros.
                if key is not None and sample.images[image][slot] is not None:
                    own = by_key.setdefault(key, [{} for _ in range(members)])
                    own[member].setdefault(image, []).append(vector)
        measures = []
        for case in (c for c in cases if c.key in read):
            quantities = {name: measure_cells(cohort, case, name) for name in cohort.header.tables}
            for name, planned in plan.shared.images.items():
                prepared = source.case(case.key).prepared(name)
                quantities[name] = {} if prepared is None else measure_image(prepared, planned)
            vectors = by_key.get(case.key, [{} for _ in range(members)])
            features = tuple({name: np.concatenate(v) for name, v in own.items()} for own in vectors)
            known = {name: measured for name, measured in quantities.items() if measured}
            measures.append(VisitMeasures(case.subject, case.visit, known, features))
        return measures
