"""Finds for which prevalence the calibrated answers of a task were made, as its held-out answers tell."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from polytask.array_types import Floats
from polytask.inference.pooled_answers import PooledAnswers
from polytask.trust.prevalence import find_implied_prevalence

PRIOR_DRAWS = 50
"""How often the held-out subjects are drawn anew, so that an estimated prevalence knows how sure its start is."""


@dataclass(frozen=True)
class ImpliedPrior:
    """The prevalence that the answers to one question imply: of the classes of a task, or of no and yes of a label.

    Args:
        frequencies: `[K]` shares of the known held-out answers. implied: `[K]`, see `find_implied_prevalence`.
        drawn: `[D, K]`, `implied` of held-out subjects that were drawn anew.
        n: known held-out answers.
    """

    frequencies: tuple[float, ...]
    implied: tuple[float, ...]
    drawn: tuple[tuple[float, ...], ...]
    n: int


def fit_implied_priors(answers: PooledAnswers, p: Floats, seed: int = 0) -> tuple[ImpliedPrior | None, ...]:
    """Fit the prior of each question; None where a class has no known answer, so that nothing can be said about it.

    Args:
        answers: the known held-out answers. p: `[N, C]`, their probabilities after calibration.
    """
    subjects = np.array([subject for subject, _ in answers.ids])
    return tuple(
        _fit_implied_prior(own, truth, subjects[known], seed)
        for own, truth, known in list_questions(p, answers)
    )


def list_questions(p: Floats, answers: PooledAnswers) -> Iterator[tuple[Floats, Floats, Any]]:
    """List the questions of a task as (probabilities `[n, K]`, truths `[n]`, which answers are known `[N]`)."""
    if answers.value.ndim == 1:
        yield p[answers.known], answers.value[answers.known], answers.known
        return
    for label in range(p.shape[1]):
        known = answers.known[:, label]
        yes = p[known, label]
        yield np.stack([1 - yes, yes], 1), (answers.value[known, label] > 0.5).astype(np.float64), known


def _fit_implied_prior(p: Floats, truth: Floats, subjects: Any, seed: int) -> ImpliedPrior | None:
    classes = p.shape[1]
    counts = np.bincount(truth.astype(np.int64), minlength=classes)
    if not len(p) or not counts.all():
        return None
    random = np.random.default_rng(seed)
    _, owner = np.unique(subjects, return_inverse=True)
    people, drawn = int(owner.max()) + 1, []
    implied = find_implied_prevalence(p, truth)
    for _ in range(PRIOR_DRAWS):
        times = random.multinomial(people, np.full(people, 1 / people))[owner].astype(np.float64)
        # A draw without a case of some class would say that it does not exist: half a case of each stays.
        times += 0.5 / counts[truth.astype(np.int64)]
        drawn.append(_round_shares(find_implied_prevalence(p, truth, times, implied)))
    shares = _round_shares(counts / counts.sum())
    return ImpliedPrior(shares, _round_shares(implied), tuple(drawn), len(p))


def _round_shares(shares: Floats) -> tuple[float, ...]:
    return tuple(float(f"{share:.6g}") for share in shares)


def parse_implied_priors(entries: Sequence[Mapping[str, Any] | None]) -> tuple[ImpliedPrior | None, ...]:
    """Parse the priors of the questions of a task from their plain form in JSON."""
    return tuple(None if entry is None else _parse_implied_prior(entry) for entry in entries)


def _parse_implied_prior(entry: Mapping[str, Any]) -> ImpliedPrior:
    frequencies, implied = (tuple(map(float, entry[key])) for key in ("frequencies", "implied"))
    drawn = tuple(tuple(map(float, shares)) for shares in entry["drawn"])
    if not all(len(own) == len(frequencies) and min(own) > 0 for own in (frequencies, implied, *drawn)):
        raise ValueError("the shares of the classes do not fit together")
    return ImpliedPrior(frequencies, implied, drawn, int(entry["n"]))
