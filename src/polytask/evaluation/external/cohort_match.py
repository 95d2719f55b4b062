"""Matches everything that a model reads and answers with everything that another cohort has."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from polytask.cohort.cohort import Cohort
from polytask.cohort.header import Header
from polytask.evaluation.external.mapping_draft import propose_counterparts
from polytask.evaluation.external.match_inputs import MatchedInputs, match_inputs
from polytask.evaluation.external.match_tasks import MatchedTask, match_tasks
from polytask.evaluation.external.word_gaps import WordGap
from polytask.evaluation.external.word_map import FLAT_SECTIONS, WordMap


@dataclass(frozen=True)
class CohortMatch:
    """What a model and another cohort share.

    Args:
        header: header of the model. own: the other cohort with its own header.
        inputs, tasks: their counterparts. gaps: everything without a counterpart.
    """

    header: Header
    own: Cohort
    inputs: MatchedInputs
    tasks: Mapping[str, MatchedTask]
    gaps: tuple[WordGap, ...]


def match_cohort(
    header: Header,
    model_tasks: Iterable[str],
    categories: Mapping[str, Sequence[str]],
    other_cohort: Cohort,
    word_map: WordMap,
) -> CohortMatch:
    """Match a model and a cohort by names and by the mapping file; see `match_inputs` and `match_tasks`."""
    inputs, gaps = match_inputs(header, categories, other_cohort, word_map)
    tasks, more = match_tasks(header, model_tasks, other_cohort.header, inputs.images, word_map)
    return CohortMatch(header, other_cohort, inputs, tasks, tuple(g for g in (*gaps, *more) if g))


def list_draft_gaps(
    header: Header, model_tasks: Iterable[str], categories: Mapping[str, Sequence[str]], other_cohort: Cohort
) -> list[WordGap]:
    """List the gaps that a draft has to close: those of whole tasks, inputs, columns and visits, and those inside them
    that show once these are paired with the nearest names."""
    model_tasks = list(model_tasks)
    # Classes of a task are compared only when the task itself has a counterpart, so the nearest names are assumed for
    # whole tasks first, in this draft only.
    flat = [
        g
        for g in match_cohort(header, model_tasks, categories, other_cohort, WordMap()).gaps
        if g.section in FLAT_SECTIONS
    ]
    near: dict[str, dict[str, str | None]] = {section: {} for section in FLAT_SECTIONS}
    for gap in flat:
        near[gap.section] |= {k: v for k, v in propose_counterparts(gap).items() if v is not None}
    nearest_words = WordMap(
        tasks=near["tasks"], inputs=near["inputs"], visits=near["visits"], columns=near["columns"]
    )
    inside = [
        g
        for g in match_cohort(header, model_tasks, categories, other_cohort, nearest_words).gaps
        if g.section not in FLAT_SECTIONS
    ]
    return [*flat, *inside]
