"""Warns of sites and tasks that do not overlap: tasks without a common sample, tasks that only one site has."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

from polytask.cohort.splits import Splits
from polytask.kinds.plan_reasons import join_first_names
from polytask.plan.rules.shared_facts import SharedFacts

MAX_LISTED_PAIRS = 4


def list_site_warnings(basis: SharedFacts, splits: Splits) -> list[str]:
    """List what the sites make impossible, in sentences for the top of the plan's summary; empty where all is well."""
    return [
        *_warn_of_separate_tasks(basis),
        *_warn_of_own_sites(basis),
        *_warn_of_untestable_tasks(basis, splits),
    ]


def _warn_of_separate_tasks(basis: SharedFacts) -> Iterator[str]:
    """Warn of tasks that are never known in the same sample: their conflict cannot be seen at the shared features."""
    known = {name: numbers for name, numbers in basis.known_samples.items() if numbers}
    pairs = [(a, b) for a, b in combinations(known, 2) if not known[a] & known[b]]
    if not pairs:
        return
    every = len(pairs) == len(known) * (len(known) - 1) // 2
    names = join_first_names([f"{a} and {b}" for a, b in pairs], MAX_LISTED_PAIRS)
    which = (
        f"no sample has the answers of two tasks ({names})"
        if every
        else f"no sample has the answers of {names}"
    )
    yield (
        f"{which}: a balancing rule that reads gradients at the shared features sees no conflict between "
        f"{'them' if every else 'these'}; `--set training.balance.cut=parameters` reads them at the shared parameters"
    )


def _warn_of_own_sites(basis: SharedFacts) -> Iterator[str]:
    """Warn of tasks that one site alone has: the task tells the site."""
    sites = basis.sites_by_task
    every = sorted({site for own in sites.values() for site in own})
    lone = {name: next(iter(own)) for name, own in sites.items() if len(own) == 1 and len(every) > 1}
    if not lone:
        return
    words = ", ".join(f"{name} only at {site}" for name, site in lone.items())
    yield (
        f"the task tells the site: of the sites {', '.join(every)}, {words} {'are' if len(lone) > 1 else 'is'} known. "
        "What such a task learns may be the scanner or the patients of its site, and its answers elsewhere cannot be "
        "tested"
    )


def _warn_of_untestable_tasks(basis: SharedFacts, splits: Splits) -> Iterator[str]:
    """Warn, where each fold holds out a site, of the tasks that cannot be tested at a site."""
    if splits.scheme != "site":
        return
    cohort = basis.cohort
    for task, sites in basis.sites_by_task.items():
        parts = []
        for number, fold in enumerate(splits.folds):
            site = ", ".join(sorted({cohort.subjects[subject][0].site for subject in fold.held_out}))
            if sites <= {site}:
                parts.append(f"at {site} (fold {number} trains without it: no other site has its answers)")
            elif site not in sites:
                parts.append(f"at {site} (fold {number} trains it: no subject of {site} has an answer)")
        if parts:
            yield f"leave one site out: {task} cannot be tested {', '.join(parts)}"
