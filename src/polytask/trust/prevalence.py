"""Prevalence: probabilities of one population turned into those of another, whose classes have other frequencies.

If patients of a class look alike everywhere (only the frequencies of the classes differ), then by Bayes' rule

    p'(k | x) ∝ p(k | x) · π'_k / π_k        (Saerens, Latinne and Decaestecker 2002)

with the prevalence π that the probabilities p were made for. Sets that are made class by class need no such shift.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from polytask.array_types import Floats
from polytask.trust.calibrators import PRIOR_WEIGHT, SMALLEST_SHARE

MAX_STEPS = 2_000
SMALLEST_STEP = 1e-8
"""Estimating stops when no share moves by more."""
SMALLEST_PREVALENCE, TINY, LONGEST_JUMP = 1e-12, 1e-300, 1e4
NEWTON_STEPS = 50
SMALLEST_NEWTON_STEP = 1e-5
"""The next step of Newton's method would be about the square of it."""
RESAMPLES = 200
"""Resamples of subjects for the interval of an estimated prevalence."""


class EstimatedPrevalence(NamedTuple):
    """Shares of the classes `[K]` that were estimated from cases without a known truth, with 95 % intervals."""

    shares: Floats
    low: Floats
    high: Floats


def shift_prevalence(p: Floats, made_for: Floats, wanted: Floats) -> Floats:
    """Shift probabilities `[N, K]` that were made for one prevalence `[K]` to another."""
    shares = np.clip(p, SMALLEST_SHARE, None) * (np.asarray(wanted) / np.asarray(made_for))
    return np.asarray(shares / shares.sum(-1, keepdims=True))


def find_implied_prevalence(
    p: Floats, truth: Floats, weights: Floats | None = None, like: Floats | None = None
) -> Floats:
    """Find the prevalence `[K]` that probabilities `[N, K]` imply, from the known truths `[N]` of their cases.

    A network that was trained with balanced classes gives probabilities of a balanced population. The numbers b for
    which q ∝ p · exp(b) makes the truths most likely give probabilities whose mean is the frequency f of each class in
    these cases; so p itself was made for the prevalence f · exp(−b). A weak prior keeps b near 0.

    Args:
        weights: `[N]`, how often each case counts. Every class must have a case that counts.
        like: `[K]`, a prevalence that is about what will be told: the search starts there.
    """
    classes = p.shape[1]
    logits = np.log(np.clip(p, SMALLEST_SHARE, None))
    counts = np.ones(len(p)) if weights is None else weights
    frequencies = np.bincount(truth.astype(np.int64), counts, classes)
    shares = np.maximum(frequencies / frequencies.sum(), SMALLEST_SHARE)
    b = np.zeros(classes) if like is None else np.log(shares) - np.log(like)
    b -= b.mean()
    for _ in range(NEWTON_STEPS):
        q = logits + b
        q = np.exp(q - q.max(1, keepdims=True))
        q /= q.sum(1, keepdims=True)
        own = counts[:, None] * q
        slope = frequencies - own.sum(0) - PRIOR_WEIGHT * b
        curvature = np.diag(own.sum(0)) - own.T @ q + PRIOR_WEIGHT * np.eye(classes)
        # A step of more than 1 could leave the region in which the quadratic is a good picture of the likelihood.
        step = np.linalg.solve(curvature, slope)
        b += step / max(1.0, float(np.abs(step).max()))
        if np.abs(step).max() < SMALLEST_NEWTON_STEP:
            break
    implied = shares * np.exp(-b)
    return np.asarray(implied / implied.sum())


def find_most_likely_prevalence(p: Floats, made_for: Floats, weights: Floats | None = None) -> Floats:
    """Find the prevalence that makes cases without a truth most likely, by expectation and maximization.

    π_k ← mean over the cases of p'(k | x), with p' shifted to the present π, until it is stable (Saerens, Latinne and
    Decaestecker 2002, equation 2.9). The likelihood has one maximum.

    Args:
        p: `[N, K]`, made for the prevalence `made_for`: `[K]`, or `[B, K]` for B searches at once.
        weights: `[B, N]`, how often each case counts in each search; by default once.

    Returns:
        `[K]` or `[B, K]`.
    """
    start = np.atleast_2d(made_for)
    counts = np.ones((len(start), len(p))) if weights is None else weights
    clipped = np.clip(p, SMALLEST_SHARE, None)
    total = counts.sum(1, keepdims=True)

    def move(shares: Floats) -> Floats:
        ratio = shares / start
        return np.asarray(ratio * ((counts / (ratio @ clipped.T)) @ clipped) / total)

    shares = start / start.sum(1, keepdims=True)
    for _ in range(MAX_STEPS):
        # Where classes overlap the steps are many and small, so that two of them are extrapolated (SQUAREM, Varadhan
        # and Roland 2008) before the next one; only the step that follows decides when to stop.
        first = move(shares)
        second = move(first)
        slope, bend = first - shares, second - 2 * first + shares
        reach = np.linalg.norm(slope, axis=1, keepdims=True)
        length = np.clip(
            reach / np.maximum(np.linalg.norm(bend, axis=1, keepdims=True), TINY), 1.0, LONGEST_JUMP
        )
        far = np.maximum(shares + 2 * length * slope + length**2 * bend, SMALLEST_PREVALENCE)
        jumped = move(far / far.sum(1, keepdims=True))
        if np.abs(second - first).max() < SMALLEST_STEP:
            shares = second
            break
        # A jump out of the simplex, or from a point that moves no more, would lead astray.
        shares = np.where(reach > SMALLEST_STEP, jumped, second)
    return np.asarray(shares[0] if np.ndim(made_for) == 1 else shares)


def estimate_prevalence(
    p: Floats,
    subjects: Sequence[str],
    made_for: Floats,
    drawn: Floats | None = None,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> EstimatedPrevalence:
    """Estimate the prevalence of a population from cases without a truth, with intervals over its subjects.

    Args:
        p: `[N, K]`, made for the prevalence `made_for` `[K]`. subjects: `[N]`; the cases of one are drawn together.
        drawn: `[D, K]`: `made_for` as other held-out subjects would have told it; by default it counts as exact.
    """
    shares = find_most_likely_prevalence(p, made_for)
    random = np.random.default_rng(seed)
    _, owner = np.unique(np.asarray(subjects), return_inverse=True)
    people = int(owner.max()) + 1
    times = random.multinomial(people, np.full(people, 1 / people), resamples)
    priors = np.asarray(made_for)[None] if drawn is None or not len(drawn) else drawn
    priors = priors[np.arange(resamples) % len(priors)]
    redrawn = find_most_likely_prevalence(p, priors, times[:, owner].astype(np.float64))
    low, high = np.quantile(redrawn, [0.025, 0.975], axis=0)
    return EstimatedPrevalence(shares, np.minimum(low, shares), np.maximum(high, shares))
