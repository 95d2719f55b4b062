"""C, κ and R² of simulated studies: a subject's truth, what a score answers, the metric on many resamples at once.

Each metric follows the package's own (`tests/statistics/test_calibration.py` compares them on repeated subjects),
as sums over subjects or over pairs of them, so that all resamples of all studies are one matrix product. Behind every
truth is a latent value z ~ N(0, 1) of the subject; a training's score is slope × z + noise ~ N(0, v).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import stats

from polytask.statistics.draws import Floats
from polytask.tasks.confusion import quadratic_kappa

CENSORING = 0.6
"""Rate of leaving the study; the event's is e^z. 40 % of subjects are censored."""
CUTS = stats.norm.ppf([0.4, 0.7, 0.9])
"""Of z, for four classes of 40, 30, 20 and 10 %."""
BLOCK = 2**23
"""Numbers in the largest arrays over pairs of subjects (64 MB each)."""
Truth = tuple[Floats, ...]


@dataclass(frozen=True)
class Metric:
    """One metric of the simulation.

    Args:
        observe: (generator, z `[studies, n]`) → what is known of each subject, arrays `[studies, n]`.
        answer: (scores, slope, noise) → answers of the same shape, as a model fitted to that slope and noise gives.
        values: (answers `[studies, seeds, n]`, truth, weights `[resamples, n]`) → `[studies, seeds, resamples]`, NaN
            where not defined.
        population: (slopes of trainings, slope fitted, noise) → the metric over all subjects of each such training.
    """

    observe: Callable[[np.random.Generator, Floats], Truth]
    answer: Callable[[Floats, float, float], Floats]
    values: Callable[[Floats, Truth, Floats], Floats]
    population: Callable[[Floats, float, float], Floats]


def expected(metric: Metric, mean: float, deviation: float, slope: float, noise: float) -> float:
    """The metric over all subjects, averaged over trainings whose slopes are N(mean, deviation²); by quadrature."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(21)
    found = metric.population(mean + deviation * nodes, slope, noise)
    return float(found @ weights / weights.sum())


def _survival(rng: np.random.Generator, z: Floats) -> Truth:
    event = rng.exponential(size=z.shape) * np.exp(-z)
    left = rng.exponential(size=z.shape) / CENSORING
    return np.minimum(event, left), (event <= left).astype(np.float64)


def c_values(risk: Floats, truth: Truth, weights: Floats) -> Floats:
    """Harrell's C: ½ + ½ Σ w_i w_j (pairs ordered right − wrong) / Σ w_i w_j (comparable pairs), over i < j."""
    times, event = truth[0], truth[1] > 0
    first, second = np.triu_indices(times.shape[-1], 1)
    rows = max(len(weights), risk.shape[0] * risk.shape[1])
    size = max(1, BLOCK // rows)
    above, below = np.zeros((*risk.shape[:-1], len(weights))), np.zeros((len(times), 1, len(weights)))
    for start in range(0, len(first), size):
        i, j = first[start : start + size], second[start : start + size]
        tied = times[:, i] == times[:, j]
        sooner = event[:, i] & ((times[:, i] < times[:, j]) | (tied & ~event[:, j]))
        later = event[:, j] & ((times[:, j] < times[:, i]) | (tied & ~event[:, i]))
        sense = sooner.astype(np.float64) - later
        both = (weights[:, i] * weights[:, j]).T
        above += (np.sign(risk[..., i] - risk[..., j]) * sense[:, None]) @ both
        below += ((sooner | later).astype(np.float64) @ both)[:, None]
    return np.asarray(0.5 + 0.5 * above / np.where(below > 0, below, np.nan), np.float64)


def _c_population(slopes: Floats, slope: float, noise: float) -> Floats:
    """An event of i comes first, before j's and before either leaves, with e^zi / (e^zi + e^zj + 2 × censoring)."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(80)
    rate = np.exp(nodes)
    pairs = np.outer(weights, weights) * rate[:, None] / (rate[:, None] + rate + 2 * CENSORING)
    apart = (nodes[:, None] - nodes) / np.sqrt(2 * noise)
    return np.array([(pairs * stats.norm.cdf(g * apart)).sum() / pairs.sum() for g in slopes])


def _classes(_: np.random.Generator, z: Floats) -> Truth:
    return (np.searchsorted(CUTS, z).astype(np.float64),)


def _cut(score: Floats, slope: float, noise: float) -> Floats:
    return np.asarray(np.searchsorted(CUTS, score / np.sqrt(slope**2 + noise)), np.float64)


def kappa_values(answer: Floats, truth: Truth, weights: Floats) -> Floats:
    """1 − Σ w (t − a)² / what it is by chance, n⁻¹ Σ_ij w_i w_j (t_i − a_j)²: sums of whole numbers, hence exact."""
    t = truth[0][:, None]
    n = weights.sum(1)
    wrong, by_t, by_a, t_2, a_2 = (x @ weights.T for x in ((t - answer) ** 2, t, answer, t**2, answer**2))
    chance = n * (t_2 + a_2) - 2 * by_t * by_a
    return np.asarray(1 - n * wrong / np.where(n * t_2 > by_t**2, chance, np.nan), np.float64)


def _kappa_population(slopes: Floats, slope: float, noise: float) -> Floats:
    edges = np.array([-9.0, *CUTS, 9.0])
    cuts = np.array([-np.inf, *CUTS, np.inf]) * np.sqrt(slope**2 + noise)
    x, w = np.polynomial.legendre.leggauss(60)
    half = np.diff(edges)[:, None] / 2
    z = edges[:-1, None] + half * (x + 1)
    density = half * w * stats.norm.pdf(z)
    found = []
    for g in slopes:
        up_to = stats.norm.cdf((cuts - g * z[..., None]) / np.sqrt(noise))
        found.append(quadratic_kappa(np.einsum("cz,czk->ck", density, np.diff(up_to))))
    return np.array(found)


def _shrink(slope: float, noise: float) -> float:
    """Of the least squares answer z from a score."""
    return slope / (slope**2 + noise)


def r2_values(answer: Floats, truth: Truth, weights: Floats) -> Floats:
    """1 − Σ w (t − a)² / Σ w (t − t̄)², t̄ the resample's own mean."""
    t = (truth[0] - truth[0].mean(-1, keepdims=True))[:, None]
    n = weights.sum(1)
    error = ((answer - truth[0][:, None]) ** 2) @ weights.T
    total = (t**2) @ weights.T - (t @ weights.T) ** 2 / n
    return np.asarray(1 - error / np.where(total > 1e-12 * n, total, np.nan), np.float64)


def _r2_population(slopes: Floats, slope: float, noise: float) -> Floats:
    shrink = _shrink(slope, noise)
    return np.asarray(1 - (1 - shrink * slopes) ** 2 - shrink**2 * noise, np.float64)


METRICS = {
    "c": Metric(_survival, lambda score, slope, noise: score, c_values, _c_population),
    "kappa": Metric(_classes, _cut, kappa_values, _kappa_population),
    "r2": Metric(
        lambda rng, z: (z,),
        lambda score, slope, noise: _shrink(slope, noise) * score,
        r2_values,
        _r2_population,
    ),
}
