"""Finds tasks that are hardly ever known on the same sample, under a rule that must see them together."""

from __future__ import annotations

from collections.abc import Iterator

from polytask.evaluation.doctor.doctor_chart import DoctorChart
from polytask.evaluation.doctor.finding import Finding

MIN_COMMON_SHARE = 0.5
"""Pairs below this share of steps with a common known sample are reported."""
MIN_STEPS_FOR_PAIRS = 20
"""Fewer steps than this are not judged: two standard errors of a share of one half are 0.22 at this number."""
MAX_LISTED_PAIRS = 3


def find_unrelated_tasks(chart: DoctorChart) -> Iterator[Finding]:
    """Pairs without a common known sample in most steps, while the rule reads gradients at the features."""
    if not chart.reads_gradients or chart.settings.balance.cut != "features":
        return
    for course in chart.courses:
        common = course.common()
        pairs = sorted((share, pair) for pair, share in common.items() if share < MIN_COMMON_SHARE)
        if course.steps < MIN_STEPS_FOR_PAIRS or not pairs:
            continue
        words = ", ".join(f"{a} and {b} {share:.0%}" for share, (a, b) in pairs[:MAX_LISTED_PAIRS])
        rest = f" and {len(pairs) - MAX_LISTED_PAIRS} more pairs" if len(pairs) > MAX_LISTED_PAIRS else ""
        yield Finding(
            "strangers",
            tuple(t for t in course.tasks if any(t in pair for _, pair in pairs)),
            f"{chart.settings.balance.rule} reads gradients at the features, where tasks that share no sample cannot "
            f"show their conflict; share of steps in which both are known on a common sample: {words}{rest}",
            {f"{a} {b}": share for share, (a, b) in pairs} | {"steps": course.steps},
            f"take the gradients at the parameters: {chart.command} --balance {chart.settings.balance.rule} --cut "
            "parameters",
        )
