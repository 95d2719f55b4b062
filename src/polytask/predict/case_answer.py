"""The answers to one case or subject, as a `Predictor` gives them."""

from __future__ import annotations

from dataclasses import dataclass, field

from polytask.cohort.cohort import Case
from polytask.images.volume import Volume
from polytask.predict.input_measures import VisitMeasures
from polytask.predict.source_grid import GriddedPrediction
from polytask.tasks.task import Arrays


@dataclass(frozen=True)
class CaseAnswer:
    """What was predicted for one case (or, `case` None, for the whole subject).

    Args:
        subject, visit: who was predicted; visit is "" for subject tasks.
        pooled: task → decoded arrays with a leading axis of 1.
        voxel: task → answer on the source grid.
        probabilities: segmentation task → probabilities on the source grid, where they were asked for.
        not_finite: tasks whose answer is no finite number; it is left out everywhere else.
        members: of each member task → decoded arrays with a leading axis of 1, as in `pooled`; of masks how much of
            each structure there is (`measure_presence`).
        measures: of the inputs at this visit (about the subject: at all visits), where `Predictor.watches_inputs`.
        computed: voxel task → what the model computed, on its own grid.
    """

    subject: str
    visit: str
    case: Case | None
    pooled: dict[str, Arrays]
    voxel: dict[str, Volume]
    probabilities: dict[str, Volume]
    not_finite: tuple[str, ...] = ()
    members: tuple[dict[str, Arrays], ...] = ()
    measures: tuple[VisitMeasures, ...] = ()
    computed: dict[str, GriddedPrediction] = field(default_factory=dict)
