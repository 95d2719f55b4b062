"""Whether the site explains what a task seems to know: the metric over all subjects beside the metric within sites.

A model that only tells hospitals apart has an AUC above ½ wherever hospitals differ in their mix of classes, and ½
within each of them. Only metrics that set cases beside each other can be lifted so (AUC, C, κ, R²); a mean over cases
cannot.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from polytask.evaluation.primary_without import find_primary_without
from polytask.evaluation.result import Estimate
from polytask.evaluation.statistic import Statistic
from polytask.kinds import answer_form
from polytask.plain import plain
from polytask.statistics.draws import Floats, Indices
from polytask.statistics.mean import judge_mean
from polytask.tasks.task import Task

FEWEST = 20
"""Known items, in all sites that count, from which on the difference gets an interval."""
MOST_GROUPS = 300
"""Subjects are left out one by one, in larger sites in so many random groups: a kind of task from elsewhere is judged
again without each."""
NAN = float("nan")


@dataclass(frozen=True)
class SiteMetric:
    """The primary metric at one site. `why` says why it is not defined, or does not count; else it is ""."""

    estimate: float
    n: int
    why: str


@dataclass(frozen=True)
class SiteEffect:
    """One task.

    Args:
        metric: its primary metric. pooled: over the subjects of all sites.
        within: mean over the sites where it is defined, weighted by known items.
        difference: pooled − within.
        sites: by name.
    """

    metric: str
    pooled: float
    within: float
    difference: Estimate
    sites: Mapping[str, SiteMetric]

    @property
    def explains(self) -> bool:
        """Whether the interval of the difference leaves out 0."""
        return self.difference.low > 0 or self.difference.high < 0

    def as_dict(self) -> dict[str, Any]:
        """For JSON; what is not defined is null."""
        found: dict[str, Any] = plain(asdict(self) | {"difference": self.difference._asdict()})
        return found


def find_site_effects(statistic: Statistic, sites: Mapping[str, str]) -> dict[str, SiteEffect]:
    """Every visit or subject task in a cohort with several sites.

    Args:
        statistic: of all subjects. sites: subject → site, "" where unknown; those take no part.
    """
    members: dict[str, list[int]] = {}
    for position, subject in enumerate(statistic.subjects):
        if sites.get(subject):
            members.setdefault(sites[subject], []).append(position)
    places = {site: np.array(rows, np.int64) for site, rows in sorted(members.items())}
    if len(places) < 2:
        return {}
    return {
        name: _site_effect(statistic, name, places)
        for name, task in statistic.tasks.items()
        if task.level != "voxel"
    }


def explain_site_effects(effects: Mapping[str, SiteEffect]) -> tuple[str, ...]:
    """A sentence for every task whose metric the site explains in part."""
    return tuple(
        f"{task}: the site explains part of the answer: {e.metric} is {e.pooled:.2f} over all subjects and "
        f"{e.within:.2f} within a site (difference {e.difference.estimate:.2f}, {e.difference.low:.2f} to "
        f"{e.difference.high:.2f})."
        for task, e in effects.items()
        if e.explains
    )


def _site_effect(statistic: Statistic, name: str, places: Mapping[str, Indices]) -> SiteEffect:
    task = statistic.tasks[name]
    everybody = np.concatenate(list(places.values()))
    whole = statistic.task(name, everybody)
    parts = [k for k in whole if k.startswith(f"{task.primary}.")] or [task.primary]
    groups = {site: _groups(rows) for site, rows in places.items()}
    known = _count_known(statistic, name)
    counts = {site: int(known[rows].sum()) for site, rows in places.items()}
    found: dict[str, Floats] = {}
    left: dict[str, Floats] = {}
    shown: dict[str, SiteMetric] = {}
    for site, rows in places.items():
        own = statistic.task(name, rows)
        values = np.array([own.get(p, NAN) for p in parts])
        without = _find_without(statistic, name, parts, groups[site])
        # A part that one subject decides about says nothing of the site, and would make the jackknife jump.
        stays = np.isfinite(values) & np.isfinite(without).all(0)
        found[site], left[site] = np.where(stays, values, NAN), without
        why = "" if stays.any() else _reason(statistic, task, rows, bool(np.isfinite(values).any()))
        shown[site] = SiteMetric(float(own.get(task.primary, NAN)), counts[site], why)
    pooled, within = _both(_values(statistic, name, parts, everybody), found, counts)
    used = sum(counts[site] for site, values in found.items() if np.isfinite(values).any())
    difference = pooled - within
    low = high = NAN
    if np.isfinite(difference) and used >= FEWEST:
        leave_one_out = []
        every = [(site, k) for site in places for k in range(len(groups[site]))]
        fewer = _find_without(statistic, name, parts, [groups[site][k] for site, k in every])
        for (site, k), values in zip(every, fewer, strict=True):
            at_site = np.where(np.isfinite(found[site]), left[site][k], NAN)
            rest = {**counts, site: counts[site] - int(known[groups[site][k]].sum())}
            mine = _both(values, {**found, site: at_site}, rest)
            leave_one_out.append(mine[0] - mine[1])
        count = len(leave_one_out)
        pseudo = count * difference - (count - 1) * np.array(leave_one_out)
        judged = judge_mean(pseudo) if np.isfinite(pseudo).all() else None
        low, high = (judged.low, judged.high) if judged else (NAN, NAN)
    estimate = Estimate(difference, low, high, used if np.isfinite(difference) else 0)
    return SiteEffect(task.primary, pooled, within, estimate, shown)


def _both(pooled: Floats, found: Mapping[str, Floats], counts: Mapping[str, int]) -> tuple[float, float]:
    """Mean over the metric's parts (classes) that some site defines: over all subjects, and within sites."""
    values = np.stack(list(found.values()))
    weights = np.array([counts[site] for site in found], np.float64)[:, None] * np.isfinite(values)
    total = weights.sum(0)
    there = (total > 0) & np.isfinite(pooled)
    if not there.any():
        return NAN, NAN
    within = (np.where(np.isfinite(values), values, 0.0) * weights).sum(0) / np.maximum(total, 1.0)
    return float(pooled[there].mean()), float(within[there].mean())


def _values(statistic: Statistic, name: str, parts: Sequence[str], rows: Indices) -> Floats:
    found = statistic.task(name, rows)
    return np.array([found.get(p, NAN) for p in parts])


def _find_without(statistic: Statistic, name: str, parts: Sequence[str], groups: Sequence[Indices]) -> Floats:
    """The parts of the metric on all subjects of the groups but those of each group, `[groups, parts]`."""
    everybody = np.concatenate(groups)
    owner = np.repeat(np.arange(len(groups)), [len(g) for g in groups])
    owner = np.repeat(owner, [len(statistic.places[name][i]) for i in everybody])
    items = statistic.answers.pooled[name].take(statistic.items(name, everybody))
    found = find_primary_without(statistic.tasks[name], items, owner, len(groups))
    if found is not None:
        return np.stack([found.get(p, np.full(len(groups), NAN)) for p in parts], axis=1)
    rest = [np.delete(everybody, np.flatnonzero(np.isin(everybody, g))) for g in groups]
    return np.array([_values(statistic, name, parts, rows) for rows in rest])


def _count_known(statistic: Statistic, name: str) -> Indices:
    """Items with a known truth of each subject `[subjects]`."""
    known = statistic.answers.pooled[name].known
    there = np.asarray(known.reshape(len(known), -1).any(axis=1) if len(known) else known, np.int64)
    return np.array([int(there[rows].sum()) for rows in statistic.places[name]], np.int64)


def _groups(rows: Indices) -> list[Indices]:
    """Who is left out together: one subject, or in larger sites a random group by a fixed seed."""
    if len(rows) <= MOST_GROUPS:
        return [rows[k : k + 1] for k in range(len(rows))]
    return [np.sort(g) for g in np.array_split(np.random.default_rng(0).permutation(rows), MOST_GROUPS)]


def _reason(statistic: Statistic, task: Task, rows: Indices, defined: bool) -> str:
    """Why a site's metric does not count."""
    if defined:
        return "hangs on a single subject"
    index = statistic.items(task.name, rows)
    items = statistic.answers.pooled[task.name].take(index)
    if not items.known.any():
        return "nothing known"
    if answer_form(task.kind) == "time":
        times = items.value[items.known]
        return "no event" if not (times[:, 1] > 0).any() else "no pair of subjects that can be compared"
    return "only one class or value known"
