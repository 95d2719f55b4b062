"""What an evaluation asks of those who know what a model promises: to look at every answer, and to judge at the end."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from polytask.evaluation.part_answers import PartAnswers
    from polytask.predict.case_answer import CaseAnswer
    from polytask.predict.predictor import Predictor


class PromiseProbe(Protocol):
    """Looks at the answers while they are predicted; what the members say is not kept elsewhere."""

    def __call__(self, answer: CaseAnswer) -> None:
        """Note what the members say about one case."""

    def judge(self, answers: PartAnswers) -> dict[str, Any]:
        """Judge whether the promises held, given all answers with their truth."""


MakeProbe = Callable[["Predictor"], PromiseProbe | None]
"""Makes the probe of a model; None where it promises nothing."""
