"""Writes the answers for one subject in words, each with the truth."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from polytask.evaluation.end_to_end import Applicability
from polytask.evaluation.metric_estimates import list_class_names
from polytask.inference.pooled_answers import PooledAnswers
from polytask.kinds import find_answer_form, find_voxel_kind
from polytask.kinds.applicability import NOT_APPLICABLE
from polytask.report.metric_tables import format_number
from polytask.report.report_material import ReportMaterial
from polytask.tasks.task import PooledTask, Task

NOT_KNOWN = "not known"


@dataclass(frozen=True)
class AnswerLine:
    """One answer of the model with the truth.

    Args:
        question: title of the task, with the visit where there are several.
        answer: what the model says. more: how certain it is.
        truth: the known answer.
        right: whether both agree; None where that is no yes-or-no question.
    """

    question: str
    answer: str
    more: str
    truth: str
    right: bool | None = None


def _write_question(material: ReportMaterial, task: str, visit: str) -> str:
    return f"{material.names.task(task)}{f', {visit}' if visit else ''}"


def write_voxel_lines(material: ReportMaterial, task: Task, subject: str) -> list[AnswerLine]:
    """Write one line per visit: the size and overlap of each structure, or the error of a dose or map."""
    cases, area, lines = material.answers.voxel[task.name], material.find_size_unit(task.name), []
    for (who, visit), metrics in zip(cases.ids, cases.metrics, strict=True):
        if who != subject:
            continue
        question = _write_question(material, task.name, visit)
        if find_answer_form(task.kind) == "field":
            unit = getattr(task, "unit", "")
            error = f"mean error {format_number(metrics.get('mae', np.nan))} {unit}".strip()
            lines.append(
                AnswerLine(question, error, "", f"see the {find_voxel_kind(task.kind).noun} pictures below")
            )
            continue
        drawn, overlap, known = [], [], []
        for s in list_class_names(task):
            dice, true = metrics.get(f"dice.{s}", np.nan), metrics.get(f"volume.{s}", np.nan)
            # Without a Dice the structure is unknown in this case, and nothing is said of it.
            if np.isfinite(dice):
                shown = material.names.word(task.name, s)
                # The predicted size is stored as an error against the true one, so the two are added.
                drawn.append(
                    f"{shown} {_format_structure_size(true + metrics.get(f'volume_error.{s}', np.nan), area)}"
                )
                known.append(f"{shown} {_format_structure_size(true, area)}")
                overlap.append(f"{shown} {dice:.2f}")
        if drawn:
            overlap_text = f"overlap with the truth (Dice): {', '.join(overlap)}"
            lines.append(AnswerLine(question, ", ".join(drawn), overlap_text, ", ".join(known)))
    return lines


def _format_structure_size(value: float, unit: str) -> str:
    if not np.isfinite(value):
        return "drawn"
    if unit in ("px", "voxels"):
        return f"{max(value, 0):.0f} {unit}"
    return f"{value:.0f} {unit}" if value >= 100 else f"{max(value, 0):.3g} {unit}"


def write_pooled_line(
    material: ReportMaterial, task: PooledTask, items: PooledAnswers, index: int
) -> AnswerLine:
    """Write item `index` of a task of visits or subjects in words."""
    who, names = items.ids[index], material.names
    question = _write_question(material, task.name, who[1])
    cells = task.columns(items.prediction, index)
    words = list(list_class_names(task))
    known, value = items.known[index], items.value[index]
    if find_answer_form(task.kind) == "time":
        return _write_survival_line(question, task, items, index)
    if find_answer_form(task.kind) == "number":
        unit = str(getattr(task, "unit", ""))
        truth = f"{format_number(float(value))} {unit}".strip() if known else NOT_KNOWN
        return AnswerLine(
            question, f"{format_number(float(items.prediction['value'][index]))} {unit}".strip(), "", truth
        )
    p = {w: float(v) for w, v in zip(words, np.asarray(items.prediction["p"])[index], strict=True)}
    probabilities = ", ".join(f"{names.word(task.name, w)} {100 * v:.0f} %" for w, v in p.items())
    if find_answer_form(task.kind) == "labels":
        answered_labels = [names.word(task.name, w) for w in words if p[w] > 0.5]
        true = [
            names.word(task.name, w)
            for w, v, is_known in zip(words, value, known, strict=True)
            if is_known and v > 0.5
        ]
        unsure = [names.word(task.name, w) for w, is_known in zip(words, known, strict=True) if not is_known]
        truth = ", ".join(true) or "none"
        truth += f" (not known: {', '.join(unsure)})" if unsure and len(unsure) < len(words) else ""
        return AnswerLine(
            question,
            ", ".join(answered_labels) or "none",
            probabilities,
            NOT_KNOWN if len(unsure) == len(words) else truth,
        )
    answer = str(cells.get("", ""))
    truth = names.word(task.name, words[int(value)]) if known else NOT_KNOWN
    right = words[int(value)] == answer if known else None
    return AnswerLine(question, names.word(task.name, answer), probabilities, truth, right)


def write_applicable_line(line: AnswerLine, applies: Applicability, index: int) -> AnswerLine:
    """Write in a line of item `index` that the task does not apply, by the answer or by the truth."""
    answered, truth = bool(applies.answered[index]), int(applies.truth[index])
    if not answered:
        given = f"if it applied: {line.answer}" + (f" ({line.more})" if line.more else "")
        line = replace(line, answer=NOT_APPLICABLE, more=given, right=None if truth < 0 else truth == 0)
    if truth == 0:
        line = replace(line, truth=NOT_APPLICABLE, right=not answered)
    return line


def _write_survival_line(question: str, task: Any, items: PooledAnswers, index: int) -> AnswerLine:
    """Write the probabilities at the horizons, and the rank of the risk among all judged subjects."""
    risk = np.asarray(items.prediction["risk"], np.float64)
    # Risks of survival models have no unit, so only the rank among the judged subjects can be read.
    below = (
        100 * float(np.mean(risk < risk[index]))
        if risk.size > 1 and np.isfinite(risk[index])
        else float("nan")
    )
    unit = f" {task.unit}" if task.unit else ""
    horizon_texts = [
        f"by {h:g}{unit} {100 * float(p):.0f} %"
        for h, p in zip(task.horizons, np.asarray(items.prediction["p"])[index], strict=True)
        if np.isfinite(p)
    ]
    answer = (
        f"event {', '.join(horizon_texts)}"
        if horizon_texts
        else f"risk score {format_number(float(risk[index]))}"
    )
    more = f"risk higher than in {below:.0f} % of the judged subjects" if np.isfinite(below) else ""
    if not items.known[index]:
        return AnswerLine(question, answer, more, NOT_KNOWN)
    time, event = (float(v) for v in items.value[index])
    truth = f"event after {time:g}{unit}" if event > 0 else f"no event in {time:g}{unit} of follow-up"
    return AnswerLine(question, answer, more, truth)
