"""Pictures for answers with probabilities: ROC curve, reliability diagram and confusion matrix."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from sklearn.metrics import roc_curve

from polytask.evaluation.answers import Items
from polytask.evaluation.calibration import judge_calibration, reliability
from polytask.evaluation.measure import names_of
from polytask.kinds import answer_form
from polytask.report.drawing import FAINT, INK, Picture, below, colour, figure, folded, nothing, styled, svg
from polytask.report.material import Material
from polytask.tasks.confusion import confusion
from polytask.tasks.ordinal import Ordinal
from polytask.tasks.ranking import auc

Floats = npt.NDArray[np.float64]
SIDE = 3.4
"""Width of a picture on the page, in inches."""


class Question(NamedTuple):
    """A yes/no question within a task: its name, the probability of yes `[n]`, the truth `[n]`, and the subjects."""

    name: str
    p: Floats
    truth: npt.NDArray[np.bool_]
    subjects: Sequence[str] | None = None


def pictures(material: Material, name: str) -> list[Picture]:
    """Draw ROC and reliability and, except for labels, the confusion matrix."""
    task, items, names = material.tasks[name], material.answers.pooled[name], material.names
    asked = [q._replace(name=shown(material, name, q.name)) for q in questions(task, items)]
    words = names.all_words(name, names_of(task))
    title = names.task(name)
    what = {"grade": "each grade or a higher one against the lower ones", "labels": "each label"}
    asked_for = what.get(answer_form(task.kind), "each class against the others")
    roc_note = f"ROC: {asked_for}. AUC: 0.5 is chance, 1 perfect."
    gap_note = (
        "How often it happened (95 % Wilson interval) among cases of like predicted probability; ECE is the mean gap "
        "to the diagonal, on which predictions come true as often as they say, without what chance adds (0: no larger "
        "than chance), with its 95 % interval."
    )
    tall = 3.3 + 0.17 * len(asked)
    found = []
    with styled():
        drawn = figure(SIDE, tall)
        draw_roc(drawn.subplots(), asked)
        found.append(Picture(svg(drawn), f"ROC of {title}", roc_note, width=SIDE))
        drawn = figure(SIDE, tall)
        draw_reliability(drawn.subplots(), asked)
        found.append(Picture(svg(drawn), f"Reliability of {title}", gap_note, width=SIDE))
        if answer_form(task.kind) != "labels":
            drawn = figure(SIDE, 3.3)
            draw_confusion(drawn.subplots(), words, matrix(task, items))
            note = "How often each true answer got each given answer."
            found.append(Picture(svg(drawn), f"Confusion of {title}", note, width=SIDE))
    return found


def shown(material: Material, task: str, question: str) -> str:
    """Replace the class in the name of a question by its title; a question of an ordinal task begins with ≥."""
    word = question.removeprefix("≥ ")
    return question[: len(question) - len(word)] + material.names.word(task, word)


def questions(task: Any, items: Items) -> list[Question]:
    """List the yes/no questions of a task: the positive class, each class against the others, each grade or label."""
    names, found = names_of(task), []
    if not items.ids:
        return []
    p = np.asarray(items.prediction["p"], np.float64)
    who = np.array([subject for subject, _ in items.ids])
    if answer_form(task.kind) == "labels":
        for k, label in enumerate(names):
            known = items.known[:, k]
            found.append(Question(label, p[known, k], items.value[known, k] > 0.5, who[known].tolist()))
        return found
    p, truth, mine = p[items.known], items.value[items.known], who[items.known].tolist()
    if answer_form(task.kind) == "grade":
        return [
            Question(f"≥ {c}", p[:, k:].sum(1), truth >= k, mine) for k, c in enumerate(names[1:], start=1)
        ]
    # With two classes, the second question would be the first one mirrored.
    asked = [(1, names[1])] if len(names) == 2 else list(enumerate(names))
    return [Question(c, p[:, k], truth == k, mine) for k, c in asked]


def matrix(task: Any, items: Items) -> Floats:
    """Count how often each truth (row) got each answer (column), as `[classes, classes]`."""
    count = len(names_of(task))
    if not items.ids:
        return np.zeros((count, count))
    p = np.asarray(items.prediction["p"])[items.known]
    # Grades are chosen by their cut-points, which need not be the most probable class.
    answer = task.grade({"p": p}) if isinstance(task, Ordinal) else p.argmax(1)
    return confusion(items.value[items.known].astype(np.int64), answer, count)


def draw_roc(axes: Any, asked: Sequence[Question]) -> None:
    """Draw one ROC curve per question for which both answers occur."""
    axes.set(title="ROC", xlabel="1 − specificity", ylabel="sensitivity")
    drawn = 0
    for k, q in enumerate(asked):
        if q.truth.any() and not q.truth.all():
            fall_out, hits, _ = roc_curve(q.truth, q.p)
            axes.plot(
                fall_out,
                hits,
                color=colour(k),
                label=f"{folded(q.name)}: {auc(q.p, q.truth):.2f} (n {q.truth.size})",
            )
            drawn += 1
    if not drawn:
        there = any(q.truth.size for q in asked)
        nothing(axes, "not defined: these cases have\nonly one answer" if there else "nothing known here")
        return
    axes.plot([0, 1], [0, 1], color=FAINT, lw=1, ls="--", zorder=1)
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), aspect="equal")
    below(axes, title="AUC", title_fontsize=8)


def draw_reliability(axes: Any, asked: Sequence[Question]) -> None:
    """Draw observed against predicted probability, in bins with about the same number of items."""
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
        axes.plot(
            x,
            y,
            "o-",
            color=colour(k),
            ms=3.5,
            lw=1.2,
            label=f"{folded(q.name)}: {calibration_text(q)}",
        )
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), aspect="equal")
    below(axes, title="ECE", title_fontsize=8)


def calibration_text(asked: Question) -> str:
    """Format the expected calibration error with its interval."""
    found = judge_calibration(asked.p, asked.truth, asked.subjects)
    interval = f" ({found.low:.2f} to {found.high:.2f})" if np.isfinite(found.low) else ""
    return f"{found.estimate:.2f}{interval}"


def draw_confusion(axes: Any, names: Sequence[str], counts: Floats) -> None:
    """Draw the counts of a confusion matrix, shaded by the share of their row."""
    axes.set_title("Confusion")
    if not counts.sum():
        nothing(axes, "nothing known here")
        return
    # A class that never occurs has a row of zeros; 1 avoids dividing by 0.
    share = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    axes.imshow(share, cmap="Blues", vmin=0, vmax=1.15)
    size = 10 if len(names) <= 5 else 7
    for i, j in np.ndindex(*counts.shape):
        ink = "white" if share[i, j] > 0.6 else INK
        axes.text(j, i, f"{counts[i, j]:.0f}", ha="center", va="center", color=ink, fontsize=size)
    turn = 45 if max(map(len, names)) > 7 else 0
    lines = [folded(n, 14) for n in names]
    axes.set_xticks(range(len(names)), lines, rotation=turn, ha="right" if turn else "center")
    axes.set_yticks(range(len(names)), lines)
    axes.set(xlabel="answer", ylabel="truth")
    axes.grid(visible=False)
