"""Tests whether the site explains a metric: compares the metric over all subjects with the metric within sites.

A model that only recognizes the hospital has an AUC above ½ wherever hospitals differ in their mix of classes, and ½
within each of them. Only metrics that compare cases with each other can be raised like this (AUC, C, κ, R²); a mean
over cases cannot.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from polytask.array_types import NAN, Floats, Indices
from polytask.evaluation.evaluation_result import Estimate
from polytask.evaluation.part_statistic import PartStatistic
from polytask.evaluation.primary_without_groups import measure_without_groups
from polytask.kinds import find_answer_form
from polytask.plain import make_plain
from polytask.statistics.mean_interval import find_mean_interval
from polytask.tasks.task import Task

MIN_ITEMS_FOR_SITE_EFFECT = 20
"""Fewest known items, in all sites that count, for which the difference gets an interval."""
MAX_SITE_GROUPS = 300
"""Subjects are left out one by one; in a site with more subjects than this, in this many random groups, because a
plugin's kind of task is computed again without each."""


@dataclass(frozen=True)
class SiteMetric:
    """The primary metric at one site. `why` is the reason why it is not defined or does not count, "" otherwise."""

    estimate: float
    n: int
    why: str


@dataclass(frozen=True)
class SiteEffect:
    """How much the site explains the metric of one task.

    Args:
        metric: its primary metric. pooled: the metric over the subjects of all sites.
        within: mean of the metrics of the sites where it is defined, weighted by known items.
        difference: pooled − within.
        sites: name of a site → its metric.
    """

    metric: str
    pooled: float
    within: float
    difference: Estimate
    sites: Mapping[str, SiteMetric]

    @property
    def excludes_zero(self) -> bool:
        """Whether the interval of the difference excludes 0: then the site explains part of the metric."""
        return self.difference.low > 0 or self.difference.high < 0

    def as_dict(self) -> dict[str, Any]:
        """Return the effect as plain dicts for JSON; what is not defined is null."""
        plain_values: dict[str, Any] = make_plain(asdict(self) | {"difference": self.difference._asdict()})
        return plain_values


def find_site_effects(statistic: PartStatistic, sites: Mapping[str, str]) -> dict[str, SiteEffect]:
    """Measure the site effect of every visit or subject task; empty for a cohort with fewer than two sites.

    Args:
        statistic: metrics of all subjects. sites: subject → site; subjects without a site ("") are left out.
    """
    members: dict[str, list[int]] = {}
    for position, subject in enumerate(statistic.subjects):
        if sites.get(subject):
            members.setdefault(sites[subject], []).append(position)
    places = {site: np.array(rows, np.int64) for site, rows in sorted(members.items())}
    if len(places) < 2:
        return {}
    return {
        name: _measure_site_effect(statistic, name, places)
        for name, task in statistic.tasks.items()
        if task.level != "voxel"
    }


def explain_site_effects(effects: Mapping[str, SiteEffect]) -> tuple[str, ...]:
    """Write a sentence for every task whose metric the site explains in part."""
    return tuple(
        f"{task}: the site explains part of the answer: {e.metric} is {e.pooled:.2f} over all subjects and "
        f"{e.within:.2f} within a site (difference {e.difference.estimate:.2f}, {e.difference.low:.2f} to "
        f"{e.difference.high:.2f})."
        for task, e in effects.items()
        if e.excludes_zero
    )


def _measure_site_effect(statistic: PartStatistic, name: str, places: Mapping[str, Indices]) -> SiteEffect:
    task = statistic.tasks[name]
    everybody = np.concatenate(list(places.values()))
    whole = statistic.task(name, everybody)
    # A mean over classes is split into its classes: a site that lacks one class still counts for the others.
    parts = [k for k in whole if k.startswith(f"{task.primary}.")] or [task.primary]
    groups = {site: _list_left_out_groups(rows) for site, rows in places.items()}
    known = _count_known_items(statistic, name)
    counts = {site: int(known[rows].sum()) for site, rows in places.items()}
    site_parts: dict[str, Floats] = {}
    left_out_parts: dict[str, Floats] = {}
    site_metrics: dict[str, SiteMetric] = {}
    for site, rows in places.items():
        own = statistic.task(name, rows)
        values = np.array([own.get(p, NAN) for p in parts])
        without = _compute_parts_without(statistic, name, parts, groups[site])
        # A part that is defined only thanks to one subject tells nothing about the site, and the jackknife would jump.
        is_stable = np.isfinite(values) & np.isfinite(without).all(0)
        site_parts[site], left_out_parts[site] = np.where(is_stable, values, NAN), without
        why = (
            ""
            if is_stable.any()
            else _explain_uncounted_site(statistic, task, rows, bool(np.isfinite(values).any()))
        )
        site_metrics[site] = SiteMetric(float(own.get(task.primary, NAN)), counts[site], why)
    pooled, within = _average_parts(
        _compute_metric_parts(statistic, name, parts, everybody), site_parts, counts
    )
    used = sum(counts[site] for site, values in site_parts.items() if np.isfinite(values).any())
    difference = pooled - within
    low = high = NAN
    if np.isfinite(difference) and used >= MIN_ITEMS_FOR_SITE_EFFECT:
        leave_one_out = []
        every = [(site, k) for site in places for k in range(len(groups[site]))]
        fewer = _compute_parts_without(statistic, name, parts, [groups[site][k] for site, k in every])
        for (site, k), values in zip(every, fewer, strict=True):
            at_site = np.where(np.isfinite(site_parts[site]), left_out_parts[site][k], NAN)
            # The left-out subjects must not weigh their site in the mean within sites either.
            remaining_counts = {**counts, site: counts[site] - int(known[groups[site][k]].sum())}
            averages = _average_parts(values, {**site_parts, site: at_site}, remaining_counts)
            leave_one_out.append(averages[0] - averages[1])
        count = len(leave_one_out)
        # Jackknife pseudo-values; one that is not defined makes the interval undefined.
        pseudo = count * difference - (count - 1) * np.array(leave_one_out)
        judged = find_mean_interval(pseudo) if np.isfinite(pseudo).all() else None
        low, high = (judged.low, judged.high) if judged else (NAN, NAN)
    estimate = Estimate(difference, low, high, used if np.isfinite(difference) else 0)
    return SiteEffect(task.primary, pooled, within, estimate, site_metrics)


def _average_parts(
    pooled: Floats, site_parts: Mapping[str, Floats], counts: Mapping[str, int]
) -> tuple[float, float]:
    """Return (metric over all subjects, metric within sites): means over the classes that at least one site defines."""
    values = np.stack(list(site_parts.values()))
    weights = np.array([counts[site] for site in site_parts], np.float64)[:, None] * np.isfinite(values)
    total = weights.sum(0)
    defined = (total > 0) & np.isfinite(pooled)
    if not defined.any():
        return NAN, NAN
    within = (np.where(np.isfinite(values), values, 0.0) * weights).sum(0) / np.maximum(total, 1.0)
    return float(pooled[defined].mean()), float(within[defined].mean())


def _compute_metric_parts(statistic: PartStatistic, name: str, parts: Sequence[str], rows: Indices) -> Floats:
    metrics = statistic.task(name, rows)
    return np.array([metrics.get(p, NAN) for p in parts])


def _compute_parts_without(
    statistic: PartStatistic, name: str, parts: Sequence[str], groups: Sequence[Indices]
) -> Floats:
    """Compute the parts of the metric on the subjects of all groups except each one in turn: `[groups, parts]`."""
    everybody = np.concatenate(groups)
    # Twice: from groups to their subjects, then from subjects to their items.
    owner = np.repeat(np.arange(len(groups)), [len(g) for g in groups])
    owner = np.repeat(owner, [len(statistic.places[name][i]) for i in everybody])
    items = statistic.answers.pooled[name].take(statistic.items(name, everybody))
    parts_without = measure_without_groups(statistic.tasks[name], items, owner, len(groups))
    if parts_without is not None:
        return np.stack([parts_without.get(p, np.full(len(groups), NAN)) for p in parts], axis=1)
    remaining_rows = [np.delete(everybody, np.flatnonzero(np.isin(everybody, g))) for g in groups]
    return np.array([_compute_metric_parts(statistic, name, parts, rows) for rows in remaining_rows])


def _count_known_items(statistic: PartStatistic, name: str) -> Indices:
    """Count the items with a known truth of each subject `[subjects]`."""
    known = statistic.answers.pooled[name].known
    has_known = np.asarray(known.reshape(len(known), -1).any(axis=1) if len(known) else known, np.int64)
    return np.array([int(has_known[rows].sum()) for rows in statistic.places[name]], np.int64)


def _list_left_out_groups(rows: Indices) -> list[Indices]:
    """List who is left out together: one subject each, or in larger sites a random group (fixed seed)."""
    if len(rows) <= MAX_SITE_GROUPS:
        return [rows[k : k + 1] for k in range(len(rows))]
    return [np.sort(g) for g in np.array_split(np.random.default_rng(0).permutation(rows), MAX_SITE_GROUPS)]


def _explain_uncounted_site(statistic: PartStatistic, task: Task, rows: Indices, defined: bool) -> str:
    """Explain why the metric of a site does not count."""
    if defined:
        return "depends on a single subject"
    index = statistic.items(task.name, rows)
    items = statistic.answers.pooled[task.name].take(index)
    if not items.known.any():
        return "nothing known"
    if find_answer_form(task.kind) == "time":
        times = items.value[items.known]
        return "no event" if not (times[:, 1] > 0).any() else "no pair of subjects that can be compared"
    return "only one class or value known"
