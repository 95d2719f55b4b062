"""Finds steps that were skipped because a number was not finite."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

from polytask.evaluation.doctor.doctor_chart import DoctorChart
from polytask.evaluation.doctor.finding import Finding

# These patterns read the warnings that the training loop writes into the log.
SKIPPED_LOSS_PATTERN = re.compile(r"step \d+: loss of (.+?) is not finite")
SKIPPED_SUBJECTS_PATTERN = re.compile(r"subjects (.+?); step skipped")


def find_skipped_steps(chart: DoctorChart) -> Iterator[Finding]:
    """Steps that were skipped because a loss or gradient was not finite."""
    for course in chart.courses:
        messages = [str(e["skipped"]) for e in course.entries if e.get("skipped")]
        if not messages:
            continue
        named = [
            name for text in messages if (m := SKIPPED_LOSS_PATTERN.search(text)) for name in m[1].split(", ")
        ]
        losses = Counter(name for name in named if name in course.tasks)
        steps = course.steps
        subjects = Counter(
            s for text in messages if (m := SKIPPED_SUBJECTS_PATTERN.search(text)) for s in m[1].split(", ")
        )
        subject, times = subjects.most_common(1)[0] if subjects else ("", 0)
        whose = ", ".join(f"the loss of {t} ({n} times)" for t, n in losses.most_common()) or "the gradient"
        always = (
            f"; subject {subject} was in {times} of them" if times > len(messages) / 2 and times > 1 else ""
        )
        precision = " --set training.precision=float32" if chart.settings.precision != "float32" else ""
        yield Finding(
            "skipped",
            tuple(losses) or course.tasks,
            f"{len(messages)} of {steps} steps were skipped: {whose} was not finite{always}",
            {"skipped": len(messages), "steps": steps, "share": len(messages) / max(1, steps)},
            f"{chart.command}{precision} --set training.rate={chart.lower_learning_rate:.2g}; or look at "
            f"{'subject ' + subject if always else 'these subjects'} with `polytask check`",
        )
