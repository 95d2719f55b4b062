"""Applies another prevalence to new answers: sets and intervals stay as they are, probabilities are shifted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from polytask.array_types import Floats
from polytask.errors import PolytaskError
from polytask.evaluation.metric_estimates import list_class_names
from polytask.plain import write_plain_json
from polytask.predict.output_folder import PREVALENCE_FILE
from polytask.tasks.task import Arrays
from polytask.trust.apply_trust import TrustedColumns, calibrate_members, make_probability_cells
from polytask.trust.implied_priors import ImpliedPrior
from polytask.trust.prevalence import EstimatedPrevalence, estimate_prevalence, shift_prevalence
from polytask.trust.prevalence_request import PrevalenceRequest

if TYPE_CHECKING:
    from polytask.predict.case_answer import CaseAnswer
    from polytask.predict.write_outputs import RowsByCase

MIN_CASES = 100
"""Fewest cases from which a prevalence is estimated."""


@dataclass(frozen=True)
class AppliedPrevalence:
    """The prevalence that the probabilities of one question were shifted to.

    Args:
        words: its classes, of a label no and yes. start: their shares among `n` held-out answers.
        shares: to which they were shifted. low, high: 95 % interval of an estimate; empty for a stated prevalence.
        cases, subjects: that an estimate rests on; 0 for a stated one.
    """

    words: tuple[str, ...]
    start: tuple[float, ...]
    n: int
    shares: tuple[float, ...]
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()
    cases: int = 0
    subjects: int = 0


class ShiftedColumns:
    """Makes the cells that `TrustedColumns` makes, and shifts the probabilities once all cases are answered.

    The answers of each fold are first moved from the prevalence that they imply to that of all held-out answers, and
    averaged; then they are shifted on.

    Args:
        requests: what is wanted. place: where the promises were read, for messages.
    """

    def __init__(self, trusted: TrustedColumns, requests: Sequence[PrevalenceRequest], place: Path):
        self.trusted, self.requests = trusted, list(requests)
        self.priors = {r.question: _find_priors(trusted, r, place) for r in requests}
        self.told: dict[str, list[tuple[tuple[str, str], Floats, Arrays]]] = {r.task: [] for r in requests}
        self.applied: dict[str, AppliedPrevalence] = {}

    def refuse_too_few(self, cases: int, subjects: int) -> None:
        """Refuse to estimate a prevalence from fewer than 100 cases, before anything is predicted."""
        for request in self.requests:
            count = subjects if self.trusted.tasks[request.task].level == "subject" else cases
            if request.shares is None and count < MIN_CASES:
                raise PolytaskError(describe_shortage(request, count))

    def make_cells(self, answer: CaseAnswer) -> dict[str, str]:
        """Make the cells of one answer as yet without a shift, and keep its probabilities."""
        for name, kept in self.told.items():
            if name in answer.pooled:
                own = self.trusted.average_members(answer, name)
                members = calibrate_members(own, self.trusted.trust.tasks[name])
                kept.append(((answer.subject, answer.visit), np.stack(members)[:, 0], answer.pooled[name]))
        return self.trusted.make_cells(answer)

    def revise_rows(self, rows: RowsByCase) -> None:
        """Replace the answers and probabilities of the tasks whose prevalence was asked for."""
        for name, kept in self.told.items():
            if not kept:
                continue
            members = np.stack([p for _, p, _ in kept], 1)
            subjects, p = [subject for (subject, _), _, _ in kept], members.mean(0)
            for request in self.requests:
                if request.task == name:
                    p = self._shift_question(request, members, p, subjects)
            for (who, _, answer), own in zip(kept, p, strict=True):
                rows[who] |= make_probability_cells(self.trusted.tasks[name], answer, own[None])

    def _shift_question(
        self, request: PrevalenceRequest, members: Floats, p: Floats, subjects: Sequence[str]
    ) -> Floats:
        """Shift one question in the probabilities `[N, C]` whose members `[M, N, C]` gave them."""
        words, column = list(list_class_names(self.trusted.tasks[request.task])), None
        if request.label:
            column = words.index(request.label)
            members = np.stack([1 - members[..., column], members[..., column]], -1)
            words = ["no", "yes"]
        priors = self.priors[request.question]
        start = np.average([own.frequencies for own in priors], axis=0, weights=[own.n for own in priors])
        moved = np.mean(
            [
                shift_prevalence(told, np.array(own.implied), start)
                for told, own in zip(members, priors, strict=True)
            ],
            axis=0,
        )
        estimated = None
        if request.shares is None:
            if len(moved) < MIN_CASES:
                raise PolytaskError(describe_shortage(request, len(moved)))
            estimated = estimate_prevalence(moved, subjects, start, redraw_start(start, priors))
        shares = np.array(request.shares) if estimated is None else estimated.shares
        # A class that no case seems to have keeps the smallest share that can still be told.
        shares = np.clip(shares, 1e-6, None) / np.clip(shares, 1e-6, None).sum()
        self.applied[request.question] = _describe_shift(words, start, priors, shares, estimated, subjects)
        shifted = shift_prevalence(moved, start, shares)
        if column is None:
            return shifted
        p = p.copy()
        p[:, column] = shifted[:, 1]
        return p

    def write_record(self, out: Path) -> None:
        """Write what was shifted into the folder of a prediction."""
        write_plain_json(
            out / PREVALENCE_FILE,
            {"polytask": 1, "questions": {question: vars(own) for question, own in self.applied.items()}},
        )


def redraw_start(start: Floats, priors: Sequence[ImpliedPrior]) -> Floats:
    """Return `[D, K]`: the prevalence that averaged answers were made for, had other held-out subjects been seen.

    Answers that were moved with `implied` instead of one that was drawn are off by their ratio; over folds these ratios
    are averaged, because the answers are.
    """
    ratios = np.mean([np.log(np.array(own.drawn)) - np.log(own.implied) for own in priors], axis=0)
    drawn = start * np.exp(ratios)
    return np.asarray(drawn / drawn.sum(1, keepdims=True))


def describe_shift(question: str, own: AppliedPrevalence) -> str:
    """Say in one sentence what the probabilities of a question were shifted to."""
    # Of two classes the share of the last one says all.
    shown = range(len(own.words)) if len(own.words) > 2 else [1]
    text = ", ".join(
        f"{own.words[k]} {own.shares[k]:.1%}"
        + (f" (95 % interval {own.low[k]:.1%} to {own.high[k]:.1%})" if own.low else "")
        for k in shown
    )
    start = ", ".join(f"{own.words[k]} {own.start[k]:.1%}" for k in shown)
    how = f"estimated from {own.cases} cases of {own.subjects} subjects" if own.low else "stated"
    return (
        f"{question}: probabilities are for a prevalence of {text}, {how}; among {own.n} held-out answers it was "
        f"{start}; sets are the same for any prevalence"
    )


def describe_shortage(request: PrevalenceRequest, count: int) -> str:
    """Say that there are too few cases to estimate a prevalence."""
    return (
        f"--prevalence {request.question}=estimate: {count} cases, at least {MIN_CASES} are needed; state the "
        f"prevalence, e.g. {request.question}={'CLASS:0.08,…' if not request.label else '0.08'}"
    )


def merge_requests(
    stored: Sequence[PrevalenceRequest], asked: Sequence[PrevalenceRequest]
) -> list[PrevalenceRequest]:
    """Merge what a model was exported for with what a person asks for, who is right about the same question."""
    return list({r.question: r for r in (*stored, *asked)}.values())


def _find_priors(trusted: TrustedColumns, request: PrevalenceRequest, place: Path) -> list[ImpliedPrior]:
    """Find the prior of a question in each member, or raise in one line why there is none."""
    if request.task not in trusted.tasks:
        raise PolytaskError(
            f"{place}: {request.task}: nothing is calibrated, so no prevalence can be applied"
        )
    words = list(list_class_names(trusted.tasks[request.task]))
    number, priors = words.index(request.label) if request.label else 0, []
    for own in trusted.trust.tasks[request.task]:
        if not own.priors:
            raise PolytaskError(
                f"{place}: written before a prevalence could be applied; run `polytask trust` again"
            )
        prior = own.priors[number]
        if prior is None:
            raise PolytaskError(
                f"{place}: {request.question}: the held-out answers lack a class, so nothing says how often it was "
                "answered; no prevalence can be applied"
            )
        priors.append(prior)
    return priors


def _describe_shift(
    words: Sequence[str],
    start: Floats,
    priors: Sequence[ImpliedPrior],
    shares: Floats,
    estimated: EstimatedPrevalence | None,
    subjects: Sequence[str],
) -> AppliedPrevalence:
    told: dict[str, Any] = {}
    if estimated is not None:
        told = {
            "low": tuple(estimated.low.tolist()),
            "high": tuple(estimated.high.tolist()),
            "cases": len(subjects),
            "subjects": len(set(subjects)),
        }
    count = sum(own.n for own in priors)
    return AppliedPrevalence(tuple(words), tuple(start.tolist()), count, tuple(shares.tolist()), **told)
