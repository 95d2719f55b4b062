"""What runs know about ordinary inputs: the features and ranges of training, and how strange held-out cases were."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from polytask.array_types import NAN, Floats
from polytask.predict.input_measures import VisitMeasures
from polytask.trust.conformal import find_score_rank
from polytask.trust.inputs.quantity_ranges import QuantityRange, measure_excess
from polytask.trust.inputs.strangeness_ranks import compute_strangeness_p
from polytask.trust.inputs.trunk_reference import DISTANCES, TrunkReference

RANGE = "range"
"""Name of the measure of the input checks: how far a quantity lies outside what training showed."""
Measure = tuple[str, str]
"""(input, name of the measure: `RANGE` or one of `DISTANCES`)."""


@dataclass(frozen=True)
class SeedReference:
    """What one run of a fold saw in training: image input → features."""

    seed: int
    images: dict[str, TrunkReference]


@dataclass(frozen=True)
class InputCheck:
    """What halves of the held-out subjects saw that fitted nothing: how many ordinary ones would be flagged.

    Args:
        alarms: of each measure, and under "" of all of them together, (mean, standard deviation) over the splits.
        n: subjects.
    """

    alarms: dict[str, tuple[float, float]]
    n: int


@dataclass(frozen=True)
class InputMember:
    """What the runs of one fold know about ordinary inputs.

    Args:
        fold: its number. seeds: one for each of its runs; their measures are averaged.
        ranges: input → quantity → its range in training.
        held_out: measures of the held-out subjects `[n, visits, measures]`, NaN where something is not known.
        trained: how many training subjects were looked at.
    """

    fold: int
    seeds: tuple[SeedReference, ...]
    ranges: dict[str, dict[str, QuantityRange]]
    held_out: Floats
    trained: int = 0
    check: InputCheck | None = None


@dataclass(frozen=True)
class InputTrust:
    """What runs of one plan know about ordinary inputs together.

    Args:
        false_alarms: share of ordinary cases that may be flagged.
        visits, measures: what the axes of `InputMember.held_out` stand for.
        members: one for each fold. without: input → why nothing is said about it.
        cap, seed: how many training subjects of a fold were drawn at most, and with which seed.
    """

    false_alarms: float
    visits: tuple[str, ...]
    measures: tuple[Measure, ...]
    members: tuple[InputMember, ...]
    without: dict[str, str] = field(default_factory=dict)
    cap: int = 0
    seed: int = 0

    def find_columns(
        self, inputs: Sequence[str] | None = None, names: Sequence[str] | None = None
    ) -> list[int]:
        """Find the places of the measures of some inputs, or of some names; of all by default."""
        return [
            j
            for j, (owner, name) in enumerate(self.measures)
            if (inputs is None or owner in inputs) and (names is None or name in names)
        ]

    def compare(self, strangeness: Sequence[Floats], columns: Sequence[int], visits: Sequence[str]) -> float:
        """Compute the p-value of a new case by some measures at some visits; NaN where nothing of it is known.

        Args:
            strangeness: of each member the measures `[visits, measures]` of the new case.
        """
        rows = [self.visits.index(v) for v in visits if v in self.visits]
        new = [own[np.ix_(rows, columns)].reshape(-1) for own in strangeness]
        known = [m.held_out[:, rows][:, :, columns].reshape(len(m.held_out), -1) for m in self.members]
        return compute_strangeness_p(new, known)

    def find_threshold(self, member: int, column: int) -> float:
        """Find the conformal quantile of a measure: larger values are flagged. Infinite where too few are known."""
        values = self.members[member].held_out[:, :, column]
        known = np.sort(values[~np.isnan(values)])
        rank = find_score_rank(len(known), self.false_alarms)
        return float(known[rank - 1]) if 0 < rank <= len(known) else float("inf")

    def count_known(self, column: int) -> list[int]:
        """Count of each member the held-out subjects of which a measure is known."""
        return [int((~np.isnan(m.held_out[:, :, column])).any(1).sum()) for m in self.members]


def measure_strangeness(
    measured: VisitMeasures,
    features: Sequence[Mapping[str, Floats]],
    seeds: Sequence[SeedReference],
    ranges: Mapping[str, Mapping[str, QuantityRange]],
    measures: Sequence[Measure],
) -> Floats:
    """Measure how strange the inputs of a visit are to one member → `[measures]`, NaN where something is not known.

    Args:
        features: of each seed the features of the visit's images.
    """
    told: dict[Measure, list[float]] = {}
    for name, quantities in measured.quantities.items():
        if name in ranges:
            told[name, RANGE] = [measure_excess(quantities, ranges[name])]
    for reference, own in zip(seeds, features, strict=True):
        for image, vector in own.items():
            trained = reference.images.get(image)
            # An image far larger than the view is computed in windows, where the trunk gives other maps.
            if trained is not None and trained.vectors.shape[1] == len(vector) and np.isfinite(vector).all():
                for word, value in trained.measure(vector).items():
                    told.setdefault((image, word), []).append(value)
    return np.array([float(np.mean(told[m])) if m in told else NAN for m in measures])


def list_measures(seeds: Sequence[SeedReference], ranges: Mapping[str, object]) -> tuple[Measure, ...]:
    """List the measures that a member has of its inputs."""
    images = {name: own for reference in seeds for name, own in reference.images.items()}
    found: list[Measure] = [(name, RANGE) for name in ranges]
    for name, own in images.items():
        found += [(name, word) for word in DISTANCES if word != "relative" or own.classes]
    return tuple(sorted(found))
