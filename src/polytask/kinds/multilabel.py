"""The kind `multilabel`, several yes/no findings with a column each: what header and plan say about them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any, ClassVar, Literal

import numpy as np

from polytask.kinds.cell_readers import PRESENT_MEANING, read_zero_or_one
from polytask.kinds.class_balance import BALANCING_SHARE_LIMIT
from polytask.kinds.class_words import WordSpec
from polytask.kinds.constant_losses import find_multilabel_constant
from polytask.kinds.field_limits import PooledLevel, ShareNumber
from polytask.kinds.kind import (
    AnswerForm,
    Arrays,
    CellParser,
    CellReader,
    MissingInTrain,
    PlanFields,
    PooledFields,
    SkillRule,
    TaskFields,
    TrainNeed,
)
from polytask.kinds.plan_reasons import CONSTANT_LOSS_REASON, PlanReasons, format_share_percent, round_number
from polytask.kinds.task_spec import TaskSpec, WordList

LabelAnswers = tuple[int | None, ...]
"""0, 1 or None (unknown) for each label."""


class MultilabelSpec(WordSpec):
    """Several yes/no findings; the columns are `<task>.<label>` with 0/1/empty."""

    kind: Literal["multilabel"]
    labels: WordList


class MultilabelFields(PooledFields):
    """Fields of a multilabel task in the plan; `tasks/multilabel.py` explains them."""

    lengths: ClassVar[Mapping[str, str]] = {"frequencies": "labels"}

    kind: Literal["multilabel"]
    level: PooledLevel
    labels: list[str]
    frequencies: list[ShareNumber]
    balanced: bool


class MultilabelKind:
    """The kind of task whose answer is one cell with 0 or 1 for each label."""

    name: ClassVar[str] = "multilabel"
    level: ClassVar[Literal["pooled"]] = "pooled"
    spec: ClassVar[type[TaskSpec]] = MultilabelSpec
    fields: ClassVar[type[TaskFields]] = MultilabelFields
    task_class: ClassVar[str] = "polytask.tasks.multilabel:Multilabel"
    answer_form: ClassVar[AnswerForm] = "labels"
    primary: ClassVar[str] = "auc"
    skill_rule: ClassVar[SkillRule] = "rank"
    summary_field: ClassVar[str] = "frequencies"
    nothing_message: ClassVar[str] = "expected at least one of 'labels'"

    def list_columns(self, task: MultilabelSpec, stem: str) -> tuple[str, ...]:
        return tuple(f"{stem}.{label}" for label in task.labels)

    def list_optional_columns(self, task: MultilabelSpec, stem: str) -> tuple[str, ...]:
        return ()

    def list_breaches(
        self, task: MultilabelSpec, others: Mapping[str, TaskSpec], visits: Sequence[str]
    ) -> Iterator[tuple[str, str]]:
        yield from ()

    def list_parsers(self, task: MultilabelSpec, stem: str) -> dict[str, CellParser]:
        return dict.fromkeys(
            self.list_columns(task, stem), partial(read_zero_or_one, meaning=PRESENT_MEANING)
        )

    def list_measured_columns(self, task: MultilabelSpec, stem: str) -> dict[str, CellParser]:
        return {}

    def list_needs(self, task: MultilabelSpec, name: str, stem: str) -> list[TrainNeed]:
        return [
            TrainNeed(
                f"{label}={bit}",
                f"{stem}.{label}",
                f"label {label!r} {state}",
                f"add more such subjects, or remove {label!r} from the header",
            )
            for label in task.labels
            for bit, state in (("1", "present"), ("0", "absent"))
        ]

    def make_spec(self, words: Sequence[str], level: str, unit: str) -> MultilabelSpec:
        return MultilabelSpec.model_validate({"kind": self.name, "labels": list(words), "level": level})

    def read_answer(self, task: MultilabelSpec, stem: str, read: CellReader) -> LabelAnswers | None:
        bits = tuple(read(column, parse) for column, parse in self.list_parsers(task, stem).items())
        return None if all(v is None for v in bits) else bits

    def list_strata(
        self, task: MultilabelSpec, answers: Mapping[str, Sequence[LabelAnswers]]
    ) -> dict[str, set[str]]:
        return {
            subject: {
                f"{label}={bit}"
                for value in values
                for label, bit in zip(task.labels, value, strict=True)
                if bit is not None
            }
            for subject, values in answers.items()
        }

    def make_arrays(self, task: MultilabelSpec, values: Sequence[LabelAnswers | None]) -> Arrays:
        table = np.zeros((len(values), len(task.labels)), np.float32)
        known = np.zeros(table.shape, bool)
        for row, labels in enumerate(values):
            for column, bit in enumerate(labels or ()):
                if bit is not None:
                    table[row, column], known[row, column] = bit, True
        return table, known

    def decide_fields(
        self, task: MultilabelSpec, values: Sequence[LabelAnswers], why: PlanReasons
    ) -> PlanFields:
        frequencies: list[float] = []
        counts: list[int] = []
        for index, label in enumerate(task.labels):
            bits = [value[index] for value in values if value[index] is not None]
            if len(set(bits)) < 2:
                raise MissingInTrain(f"label {label!r} is never {1 if not any(map(bool, bits)) else 0}")
            counts.append(len(bits))
            frequencies.append(round_number(sum(map(bool, bits)) / len(bits), 5))
        # For each label the rarer of yes and no: a finding that nearly everybody has is as unbalanced as a rare one.
        rarest = round_number(min(min(f, 1 - f) for f in frequencies))
        balanced = rarest < BALANCING_SHARE_LIMIT
        words = ", ".join(
            f"{s} {format_share_percent(f)} of {n}"
            for s, f, n in zip(task.labels, frequencies, counts, strict=True)
        )
        why["."] = "labels and level as in the header; primary metric: auc"
        why["frequencies"] = f"known in train: {words}"
        state = "on" if balanced else "off"
        why["balanced"] = (
            f"{state}: the rarest answer has {format_share_percent(rarest)} (limit "
            f"{format_share_percent(BALANCING_SHARE_LIMIT)})"
        )
        why["constant"] = CONSTANT_LOSS_REASON
        return {
            "kind": self.name,
            "level": task.level,
            "applies_when": dict(task.applies_when),
            "labels": list(task.labels),
            "frequencies": frequencies,
            "balanced": balanced,
            "constant": round_number(find_multilabel_constant(frequencies, balanced, counts), 5),
        }

    def find_constant(self, fields: Mapping[str, Any]) -> float | None:
        return find_multilabel_constant(fields["frequencies"], fields["balanced"])
