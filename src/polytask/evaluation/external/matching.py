"""All of one model beside all of another cohort."""

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
    """What a model and a cohort share.

    Args:
        header: the model's. own: the other cohort under its own header.
        inputs, tasks: counterparts. gaps: all that has none.
    """

    header: Header
    own: Cohort
    inputs: MatchedInputs
    tasks: Mapping[str, MatchedTask]
    gaps: tuple[Gap, ...]


def match_words(
    header: Header, asked: Iterable[str], categories: Mapping[str, Sequence[str]], own: Cohort, said: WordMap
) -> Matching:
    """Join by name, and by the mapping file; see `match_inputs` and `match_tasks`."""
    inputs, gaps = match_inputs(header, categories, own, said)
    tasks, more = match_tasks(header, asked, own.header, inputs.images, said)
    return Matching(header, own, inputs, tasks, tuple(g for g in (*gaps, *more) if g))


def draft_gaps(
    header: Header, asked: Iterable[str], categories: Mapping[str, Sequence[str]], own: Cohort
) -> list[Gap]:
    """The gaps a draft has to close: those of whole tasks, inputs, columns and visits, and those that would show inside
    once these have the nearest names."""
    asked = list(asked)
    flat = [g for g in match_words(header, asked, categories, own, WordMap()).gaps if g.section in FLAT]
    near: dict[str, dict[str, str | None]] = {section: {} for section in FLAT}
    for gap in flat:
        near[gap.section] |= {k: v for k, v in proposals(gap).items() if v is not None}
    said = WordMap(tasks=near["tasks"], inputs=near["inputs"], visits=near["visits"], columns=near["columns"])
    inside = [g for g in match_words(header, asked, categories, own, said).gaps if g.section not in FLAT]
    return [*flat, *inside]
