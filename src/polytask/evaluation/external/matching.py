"""Matches everything that a model reads and answers with everything that another cohort has."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from polytask.cohort.cohort import Cohort
from polytask.cohort.header import Header
from polytask.evaluation.external.draft import proposals
from polytask.evaluation.external.gaps import Gap
from polytask.evaluation.external.match_inputs import MatchedInputs, match_inputs
from polytask.evaluation.external.match_tasks import MatchedTask, match_tasks
from polytask.evaluation.external.word_map import FLAT, WordMap


@dataclass(frozen=True)
class Matching:
    """What a model and another cohort share.

    Args:
        header: header of the model. own: the other cohort with its own header.
        inputs, tasks: their counterparts. gaps: everything without a counterpart.
    """

    header: Header
    own: Cohort
    inputs: MatchedInputs
    tasks: Mapping[str, MatchedTask]
    gaps: tuple[Gap, ...]


def match_words(
    header: Header, asked: Iterable[str], categories: Mapping[str, Sequence[str]], own: Cohort, said: WordMap
) -> Matching:
    """Match a model and a cohort by names and by the mapping file; see `match_inputs` and `match_tasks`."""
    inputs, gaps = match_inputs(header, categories, own, said)
    tasks, more = match_tasks(header, asked, own.header, inputs.images, said)
    return Matching(header, own, inputs, tasks, tuple(g for g in (*gaps, *more) if g))


def draft_gaps(
    header: Header, asked: Iterable[str], categories: Mapping[str, Sequence[str]], own: Cohort
) -> list[Gap]:
    """List the gaps that a draft has to close: those of whole tasks, inputs, columns and visits, and those inside them
    that show once these are paired with the nearest names."""
    asked = list(asked)
    # Classes of a task are compared only when the task itself has a counterpart, so the nearest names are assumed for
    # whole tasks first, in this draft only.
    flat = [g for g in match_words(header, asked, categories, own, WordMap()).gaps if g.section in FLAT]
    near: dict[str, dict[str, str | None]] = {section: {} for section in FLAT}
    for gap in flat:
        near[gap.section] |= {k: v for k, v in proposals(gap).items() if v is not None}
    said = WordMap(tasks=near["tasks"], inputs=near["inputs"], visits=near["visits"], columns=near["columns"])
    inside = [g for g in match_words(header, asked, categories, own, said).gaps if g.section not in FLAT]
    return [*flat, *inside]
