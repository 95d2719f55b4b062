"""Finds a task that hardly moves the shared features."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from polytask.evaluation.doctor.chart import LOOKS, Chart
from polytask.evaluation.doctor.course import Array, Course
from polytask.evaluation.doctor.dead import dead
from polytask.evaluation.doctor.finding import Finding
from polytask.evaluation.doctor.peers import beside, last, middle, peers, pulls

TINY, STILL = 1 / 30, 1 / 10
"""A task starves below the first share of the others' weight × gradient; or below the first share of their weight and
the second of their weighted loss, so that a rule that gives learned tasks more weight starves nobody. In healthy runs
the median weight × gradient of tasks of one level was 1/15 to 17 times the usual one; a weight of 0.01 gives 1/100."""
SOLVED = 0.1
"""A task whose loss is below this has short gradients because it is solved: that look does not count."""
BEHIND = 0.5
"""A task whose loss fell at least this share of the others' fall is not starved, however short its gradient is. Norms
at the features depend on where in a map a task looks (17 times between two voxel tasks of a healthy run)."""
MOST = 2 / 3
"""Share of the looks that must show it, for a finding."""


def starved(chart: Chart) -> Iterator[Finding]:
    """A task that hardly moves the shared features: its weighted loss or gradient is tiny beside the others'."""
    # A dead head is reported once: it would also count as starved.
    gone = {f.tasks[0] for f in dead(chart)}
    for course in chart.courses:
        for k, task in enumerate(course.tasks):
            if task not in gone:
                yield from _of(chart, course, k)


def _of(chart: Chart, course: Course, k: int) -> Iterator[Finding]:
    task = course.tasks[k]
    everyone = [j for j in range(len(course.tasks)) if j != k]
    pull = beside(pulls(course), k, peers(chart, course, k))
    worth = beside(course.weights * course.losses, k, everyone)
    weight = beside(course.weights, k, everyone)
    counts = np.isfinite(worth) & (course.losses[:, k] >= SOLVED)
    if counts.sum() < LOOKS:
        return
    # A weight set by hand to 1 or more is not the light one: then another's is too large.
    by_hand = chart.settings.balance.rule == "fixed" and chart.weight(task) >= 1
    light = (worth < STILL) & (weight < TINY) & (not chart.reads_gradients and not by_hand)
    short = (pull < TINY) & _behind(course, k)
    few, of = int((counts & (light | short)).sum()), int(counts.sum())
    if few < MOST * of:
        return
    if (counts & light).sum() >= MOST * of:
        shown, what = weight, "its weight"
    else:
        shown, what = pull, "its weight × gradient at the cut"
    yield Finding(
        "starved",
        (task,),
        f"{task} hardly moves the shared features: in {few} of {of} looks {what} is under 1/{1 / TINY:.0f} of the "
        f"others' (median {middle(shown[counts]):.2g} of it); its weight is {middle(course.weights[:, k]):.2g}, its "
        f"gradient {_length(course.norms[:, k])}, the others' {_length(np.delete(course.norms, k, axis=1).ravel())}",
        {
            "share": few / of,
            "looks": of,
            "ratio": middle(shown[counts]),
            "weight": middle(course.weights[:, k]),
            "norm": middle(course.norms[:, k]),
        },
        _remedy(chart, task),
    )


def _length(norms: Array) -> str:
    """Format the median gradient norm; a task without weight has none."""
    found = middle(norms)
    return f"{found:.2g}" if np.isfinite(found) else "not taken"


def _behind(course: Course, k: int) -> bool:
    """Whether the loss of task `k` has fallen much less than the others' from 1, the loss of a constant answer."""
    if not len(course.means):
        return False
    falls = [1 - last(course.means[:, j]) for j in range(len(course.tasks))]
    others = middle(np.array([f for j, f in enumerate(falls) if j != k]))
    return bool(others > 0.1 and falls[k] < BEHIND * others)


def _remedy(chart: Chart, task: str) -> str:
    rule = chart.settings.balance.rule
    if rule == "fixed" and chart.weight(task) < 1:
        return (
            f"its weight was set to {chart.weight(task):g}: {chart.command} --set training.weights.{task}=1"
        )
    if rule in ("equal", "fixed"):
        return f"give every task the same pull: {chart.command} --balance imtl_g"
    return f"the rule {rule} leaves it behind: {chart.command} --balance equal, or alone: --tasks {task}"
