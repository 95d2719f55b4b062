"""Pictures for answers with probabilities: ROC curve, reliability diagram and confusion matrix."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from sklearn.metrics import roc_curve

from polytask.array_types import Floats
from polytask.evaluation.calibration_error import bin_by_probability, estimate_calibration_error
from polytask.evaluation.metric_estimates import list_class_names
from polytask.inference.pooled_answers import PooledAnswers
from polytask.kinds import find_answer_form
from polytask.kinds.ordinal import find_median_grades
from polytask.report.drawing import (
    FAINT_INK,
    INK,
    Picture,
    create_figure,
    draw_empty_panel,
    draw_legend_below,
    encode_svg,
    pick_palette_color,
    use_report_style,
    wrap_label,
)
from polytask.report.report_material import ReportMaterial
from polytask.tasks.confusion import build_confusion_matrix
from polytask.tasks.ranking import compute_auc

CLASS_PICTURE_INCHES = 3.4
"""Width of a picture on the page, in inches."""


class BinaryQuestion(NamedTuple):
    """A yes/no question within a task: its name, the probability of yes `[n]`, the truth `[n]`, and the subjects."""

    name: str
    p: Floats
    truth: npt.NDArray[np.bool_]
    subjects: Sequence[str] | None = None


def make_class_pictures(material: ReportMaterial, name: str) -> list[Picture]:
    """Draw ROC and reliability and, except for labels, the confusion matrix."""
    task, items, names = material.tasks[name], material.answers.pooled[name], material.names
    questions = [
        q._replace(name=title_question(material, name, q.name)) for q in list_binary_questions(task, items)
    ]
    words = names.all_words(name, list_class_names(task))
    title = names.task(name)
    what = {"grade": "each grade or a higher one against the lower ones", "labels": "each label"}
    asked = what.get(find_answer_form(task.kind), "each class against the others")
    roc_note = f"ROC: {asked}. AUC: 0.5 is chance, 1 perfect."
    gap_note = (
        "Observed share (95 % Wilson interval) in groups of cases with similar predicted probability. On the diagonal, "
        "predictions come true as often as they say. ECE: the mean distance to the diagonal minus what chance adds (0: "
        "no larger than by chance), with its 95 % interval."
    )
    tall = 3.3 + 0.17 * len(questions)
    pictures = []
    with use_report_style():
        drawn = create_figure(CLASS_PICTURE_INCHES, tall)
        draw_roc(drawn.subplots(), questions)
        pictures.append(Picture(encode_svg(drawn), f"ROC of {title}", roc_note, width=CLASS_PICTURE_INCHES))
        drawn = create_figure(CLASS_PICTURE_INCHES, tall)
        draw_reliability(drawn.subplots(), questions)
        pictures.append(
            Picture(encode_svg(drawn), f"Reliability of {title}", gap_note, width=CLASS_PICTURE_INCHES)
        )
        if find_answer_form(task.kind) != "labels":
            drawn = create_figure(CLASS_PICTURE_INCHES, 3.3)
            draw_confusion(drawn.subplots(), words, count_confusion(task, items))
            note = "How often each true answer got each given answer."
            pictures.append(
                Picture(encode_svg(drawn), f"Confusion of {title}", note, width=CLASS_PICTURE_INCHES)
            )
    return pictures


def title_question(material: ReportMaterial, task: str, question: str) -> str:
    """Replace the class in the name of a question by its title; a question of an ordinal task begins with ≥."""
    word = question.removeprefix("≥ ")
    return question[: len(question) - len(word)] + material.names.word(task, word)


def list_binary_questions(task: Any, items: PooledAnswers) -> list[BinaryQuestion]:
    """List the yes/no questions of a task: the positive class, each class against the others, each grade or label."""
    names, questions = list_class_names(task), []
    if not items.ids:
        return []
    p = np.asarray(items.prediction["p"], np.float64)
    who = np.array([subject for subject, _ in items.ids])
    if find_answer_form(task.kind) == "labels":
        for k, label in enumerate(names):
            known = items.known[:, k]
            questions.append(
                BinaryQuestion(label, p[known, k], items.value[known, k] > 0.5, who[known].tolist())
            )
        return questions
    p, truth, subjects = p[items.known], items.value[items.known], who[items.known].tolist()
    if find_answer_form(task.kind) == "grade":
        return [
            BinaryQuestion(f"≥ {c}", p[:, k:].sum(1), truth >= k, subjects)
            for k, c in enumerate(names[1:], start=1)
        ]
    # With two classes, the second question would be the first one mirrored.
    chosen_classes = [(1, names[1])] if len(names) == 2 else list(enumerate(names))
    return [BinaryQuestion(c, p[:, k], truth == k, subjects) for k, c in chosen_classes]


def count_confusion(task: Any, items: PooledAnswers) -> Floats:
    """Count how often each truth (row) got each answer (column), as `[classes, classes]`."""
    count = len(list_class_names(task))
    if not items.ids:
        return np.zeros((count, count))
    p = np.asarray(items.prediction["p"])[items.known]
    # Grades are chosen by their cut-points, which need not be the most probable class.
    answer = find_median_grades(p) if find_answer_form(task.kind) == "grade" else p.argmax(1)
    return build_confusion_matrix(items.value[items.known].astype(np.int64), answer, count)


def draw_roc(axes: Any, yes_no_questions: Sequence[BinaryQuestion]) -> None:
    """Draw one ROC curve per question for which both answers occur."""
    axes.set(title="ROC", xlabel="1 − specificity", ylabel="sensitivity")
    drawn = 0
    for k, q in enumerate(yes_no_questions):
        if q.truth.any() and not q.truth.all():
            fall_out, hits, _ = roc_curve(q.truth, q.p)
            axes.plot(
                fall_out,
                hits,
                color=pick_palette_color(k),
                label=f"{wrap_label(q.name)}: {compute_auc(q.p, q.truth):.2f} (n {q.truth.size})",
            )
            drawn += 1
    if not drawn:
        has_known_items = any(q.truth.size for q in yes_no_questions)
        draw_empty_panel(
            axes,
            "not defined: these cases have\nonly one answer" if has_known_items else "nothing known here",
        )
        return
    axes.plot([0, 1], [0, 1], color=FAINT_INK, lw=1, ls="--", zorder=1)
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), aspect="equal")
    draw_legend_below(axes, title="AUC", title_fontsize=8)


def draw_reliability(axes: Any, yes_no_questions: Sequence[BinaryQuestion]) -> None:
    """Draw observed against predicted probability, in bins with about the same number of items."""
    axes.set(title="Reliability", xlabel="predicted probability", ylabel="observed share")
    known = [q for q in yes_no_questions if q.truth.size]
    if not known:
        draw_empty_panel(axes, "nothing known here")
        return
    axes.plot([0, 1], [0, 1], color=FAINT_INK, lw=1, ls="--", zorder=1)
    for k, q in enumerate(yes_no_questions):
        bins = bin_by_probability(q.p, q.truth)
        if not bins:
            continue
        x, y = [b.predicted for b in bins], [b.observed for b in bins]
        error = [[b.observed - b.low for b in bins], [b.high - b.observed for b in bins]]
        axes.errorbar(
            x, y, np.clip(error, 0, None), fmt="none", ecolor=pick_palette_color(k), elinewidth=0.8, alpha=0.6
        )
        axes.plot(
            x,
            y,
            "o-",
            color=pick_palette_color(k),
            ms=3.5,
            lw=1.2,
            label=f"{wrap_label(q.name)}: {format_calibration_error(q)}",
        )
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), aspect="equal")
    draw_legend_below(axes, title="ECE", title_fontsize=8)


def format_calibration_error(question: BinaryQuestion) -> str:
    """Format the expected calibration error with its interval."""
    error = estimate_calibration_error(question.p, question.truth, question.subjects)
    interval = f" ({error.low:.2f} to {error.high:.2f})" if np.isfinite(error.low) else ""
    return f"{error.estimate:.2f}{interval}"


def draw_confusion(axes: Any, names: Sequence[str], counts: Floats) -> None:
    """Draw the counts of a confusion matrix, shaded by the share of their row."""
    axes.set_title("Confusion")
    if not counts.sum():
        draw_empty_panel(axes, "nothing known here")
        return
    # A class that never occurs has a row of zeros; 1 avoids dividing by 0.
    share = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    axes.imshow(share, cmap="Blues", vmin=0, vmax=1.15)
    size = 10 if len(names) <= 5 else 7
    for i, j in np.ndindex(*counts.shape):
        ink = "white" if share[i, j] > 0.6 else INK
        axes.text(j, i, f"{counts[i, j]:.0f}", ha="center", va="center", color=ink, fontsize=size)
    turn = 45 if max(map(len, names)) > 7 else 0
    lines = [wrap_label(n, 14) for n in names]
    axes.set_xticks(range(len(names)), lines, rotation=turn, ha="right" if turn else "center")
    axes.set_yticks(range(len(names)), lines)
    axes.set(xlabel="answer", ylabel="truth")
    axes.grid(visible=False)
