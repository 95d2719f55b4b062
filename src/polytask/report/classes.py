"""Pictures of answers with probabilities: ROC, reliability, confusion."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from sklearn.metrics import roc_curve

from polytask.evaluation.answers import Items
from polytask.evaluation.calibration import judge_calibration, reliability
from polytask.evaluation.measure import names_of
from polytask.report.drawing import FAINT, INK, Picture, colour, figure, nothing, styled, svg
from polytask.report.material import Material
from polytask.tasks.confusion import confusion
from polytask.tasks.ordinal import Ordinal
from polytask.tasks.ranking import auc

Floats = npt.NDArray[np.float64]


class Question(NamedTuple):
    """A yes/no question in an answer: its name, the probability of yes, what was true, and whose items they are."""

    name: str
    p: Floats
    truth: npt.NDArray[np.bool_]
    subjects: Sequence[str] | None = None


def pictures(material: Material, name: str) -> list[Picture]:
    """ROC, reliability and, where one class is right, the confusion."""
    task, items = material.tasks[name], material.answers.pooled[name]
    asked = questions(task, items)
    panels = 2 if task.kind == "multilabel" else 3
    with styled():
        drawn = figure(3.4 * panels, 3.3)
        axes = np.atleast_1d(drawn.subplots(1, panels))
        draw_roc(axes[0], asked)
        draw_reliability(axes[1], asked)
        if panels == 3:
            draw_confusion(axes[2], names_of(task), matrix(task, items))
        what = {"ordinal": "each grade or a higher one against the lower ones", "multilabel": "each label"}
        note = (
            f"ROC: {what.get(task.kind, 'each class against the others')}. Reliability: how often it happened "
            "(95 % Wilson interval) among items of like predicted probability; ECE is the mean gap to the diagonal "
            "without what chance adds (0: no larger than chance), with its 95 % interval."
        )
        alt = f"ROC, reliability{' and confusion' if panels == 3 else ''} of {name}"
        return [Picture(svg(drawn), alt, note, wide=panels == 3)]


def questions(task: Any, items: Items) -> list[Question]:
    """What an answer decides: the positive class, each class against the rest, each threshold, or each label."""
    names, found = names_of(task), []
    if not items.ids:
        return []
    p = np.asarray(items.prediction["p"], np.float64)
    who = np.array([subject for subject, _ in items.ids])
    if task.kind == "multilabel":
        for k, label in enumerate(names):
            known = items.known[:, k]
            found.append(Question(label, p[known, k], items.value[known, k] > 0.5, who[known].tolist()))
        return found
    p, truth, mine = p[items.known], items.value[items.known], who[items.known].tolist()
    if task.kind == "ordinal":
        return [
            Question(f"≥ {c}", p[:, k:].sum(1), truth >= k, mine) for k, c in enumerate(names[1:], start=1)
        ]
    asked = [(1, names[1])] if len(names) == 2 else list(enumerate(names))
    return [Question(c, p[:, k], truth == k, mine) for k, c in asked]


def matrix(task: Any, items: Items) -> Floats:
    """Truth by row, answer by column."""
    count = len(names_of(task))
    if not items.ids:
        return np.zeros((count, count))
    p = np.asarray(items.prediction["p"])[items.known]
    answer = task.grade({"p": p}) if isinstance(task, Ordinal) else p.argmax(1)
    return confusion(items.value[items.known].astype(np.int64), answer, count)


def draw_roc(axes: Any, asked: Sequence[Question]) -> None:
    """One curve a question that both answers occur for."""
    axes.set(title="ROC", xlabel="1 − specificity", ylabel="sensitivity")
    drawn = 0
    for k, q in enumerate(asked):
        if q.truth.any() and not q.truth.all():
            fall_out, hits, _ = roc_curve(q.truth, q.p)
            axes.plot(
                fall_out, hits, color=colour(k), label=f"{q.name}: {auc(q.p, q.truth):.2f} (n {q.truth.size})"
            )
            drawn += 1
    if not drawn:
        nothing(axes, "not defined: the part has\nonly one class" if asked else "nothing known here")
        return
    axes.plot([0, 1], [0, 1], color=FAINT, lw=1, ls="--", zorder=1)
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), aspect="equal")
    axes.legend(loc="lower right", title="AUC", title_fontsize=8, handlelength=1.2)


def draw_reliability(axes: Any, asked: Sequence[Question]) -> None:
    """Observed against predicted, by bins of about equally many items."""
    axes.set(title="Reliability", xlabel="predicted probability", ylabel="observed share")
    known = [q for q in asked if q.truth.size]
    if not known:
        nothing(axes, "nothing known here")
        return
    axes.plot([0, 1], [0, 1], color=FAINT, lw=1, ls="--", zorder=1)
    for k, q in enumerate(asked):
        bins = reliability(q.p, q.truth)
        if not bins:
            continue
        x, y = [b.predicted for b in bins], [b.observed for b in bins]
        error = [[b.observed - b.low for b in bins], [b.high - b.observed for b in bins]]
        axes.errorbar(x, y, np.clip(error, 0, None), fmt="none", ecolor=colour(k), elinewidth=0.8, alpha=0.6)
        axes.plot(x, y, "o-", color=colour(k), ms=3.5, lw=1.2, label=f"{q.name}: {calibration_text(q)}")
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), aspect="equal")
    axes.legend(loc="upper left", title="ECE", title_fontsize=8, handlelength=1.2)


def calibration_text(asked: Question) -> str:
    """Expected calibration error with its interval."""
    found = judge_calibration(asked.p, asked.truth, asked.subjects)
    interval = f" ({found.low:.2f} to {found.high:.2f})" if np.isfinite(found.low) else ""
    return f"{found.estimate:.2f}{interval}"


def draw_confusion(axes: Any, names: Sequence[str], counts: Floats) -> None:
    """Counts, shaded by the share of their row."""
    axes.set_title("Confusion")
    if not counts.sum():
        nothing(axes, "nothing known here")
        return
    share = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    axes.imshow(share, cmap="Blues", vmin=0, vmax=1.15)
    size = 10 if len(names) <= 5 else 7
    for i, j in np.ndindex(*counts.shape):
        ink = "white" if share[i, j] > 0.6 else INK
        axes.text(j, i, f"{counts[i, j]:.0f}", ha="center", va="center", color=ink, fontsize=size)
    turn = 45 if max(map(len, names)) > 7 else 0
    axes.set_xticks(range(len(names)), names, rotation=turn, ha="right" if turn else "center")
    axes.set_yticks(range(len(names)), names)
    axes.set(xlabel="answer", ylabel="truth")
    axes.grid(visible=False)
