"""Finds the folds that say nothing about a task: not trained there, or no held-out subject has a known answer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from polytask.study.conclusions.finished_runs import FinishedRun, GatheredRuns


def list_untested_folds(gathered: GatheredRuns) -> Iterator[str]:
    """List a sentence for each task that some folds cannot test; the comparison rests on the other folds alone."""
    for task in gathered.asked:
        reasons = {
            fold: explain_untested_fold(list(runs.values()), task) for fold, runs in gathered.folds.items()
        }
        untested = [f"fold {fold} ({reason})" for fold, reason in reasons.items() if reason]
        if untested:
            rest = len(reasons) - len(untested)
            yield f"{task} is not testable in {', '.join(untested)}: {rest} of {len(reasons)} folds count for it"


def explain_untested_fold(runs: Sequence[FinishedRun], task: str) -> str:
    """Explain why the runs of a fold say nothing about a task; "" where they do."""
    asked = [run.evaluated for run in runs if task in run.evaluated.tasks]
    sites = sorted({site for run in runs for site in run.evaluated.answers.sites.values()})
    where = f"site {sites[0]}" if len(sites) == 1 and sites[0] else "the held-out part"
    if not asked:
        return f"no training subject outside {where} has a known answer"
    known = any(evaluated.evaluation.counts[task]["known"] for evaluated in asked)
    return "" if known else f"no subject of {where} has a known answer"
