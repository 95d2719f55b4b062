"""Says which tasks a part cannot test: nobody in it has a known answer, or the fold could not train the task."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def explain_untested_tasks(
    counts: Mapping[str, Mapping[str, Any]], untrained: Mapping[str, str], sites: Mapping[str, str]
) -> tuple[str, ...]:
    """Write a sentence for every task without a result, so that no task is dropped in silence.

    Args:
        counts: judged task → its counts, `known` among them.
        untrained: task that the fold could not train → why (`folds.K.untrained` of the plan).
        sites: subject of the part → its site, "" without one.
    """
    names = sorted(set(sites.values()))
    # One site alone is what leave-one-site-out holds out; then the reader must know which.
    where = f"at site {names[0]}" if len(names) == 1 and names[0] else "here"
    reasons = dict(untrained) | {
        task: f"none of the {len(sites)} subjects has a known answer"
        for task, count in counts.items()
        if not count["known"]
    }
    return tuple(f"{task} is not testable {where}: {reason}." for task, reason in reasons.items())
