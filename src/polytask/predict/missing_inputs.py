"""Inputs of a case that are missing as a whole or in part; they are named beside every answer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from polytask.cohort.cell_values import column_value, image_paths, slide_path
from polytask.cohort.cohort import Case, Cohort, Sample
from polytask.cohort.header import Header, VoxelSpec
from polytask.model.input_fusion import INPUT_FUSIONS
from polytask.plan.plan_schema import ColumnPlan, FoldPlan, Plan
from polytask.prepare.slot_assignment import assign_visit_slots

if TYPE_CHECKING:
    from polytask.predict.predictor import Predictor


@dataclass(frozen=True)
class MissingInput:
    """One input that is not known, or only in part.

    Args:
        name: name of the input.
        unknown: its channels or columns that are not known (of a slide: its own name).
        of: the number of channels or columns that the model reads.
        kind: whether `unknown` are channels, columns or the slide.
    """

    name: str
    unknown: tuple[str, ...]
    of: int
    kind: Literal["channels", "columns", "slide"]

    @property
    def whole(self) -> bool:
        """Whether the input is missing as a whole: none of its channels or columns is known."""
        return len(self.unknown) == self.of

    @property
    def keys(self) -> tuple[str, ...]:
        """How held-out metrics name it: the input, or each unknown channel; columns alone have no name there."""
        if self.whole:
            return (self.name,)
        return tuple(f"{self.name}.{c}" for c in self.unknown) if self.kind == "channels" else ()

    def __str__(self) -> str:
        return self.name if self.whole else f"{self.name}({len(self.unknown)} of {self.of} {self.kind})"


@dataclass(frozen=True)
class ModelInputs:
    """The inputs, channels and columns that a model reads.

    Args:
        tasks: task → the inputs its answer is computed from, in the header's order.
        columns: table input → its columns that any member reads → the values a category may have (None: a number).
        plan, header: plan and header of the model.
    """

    tasks: dict[str, tuple[str, ...]]
    columns: dict[str, dict[str, frozenset[str] | None]]
    plan: Plan
    header: Header

    @classmethod
    def of(cls, predictor: Predictor) -> ModelInputs:
        """Collect what a run, an ensemble or an exported model reads."""
        plan, header = predictor.plan, predictor.header
        folds = [m.plan for m in predictor.members]
        available = {*plan.shared.images, *plan.shared.slides, *(n for f in folds for n in f.tables)}
        tasks = {
            name: tuple(n for n in header.inputs if n in read and n in available)
            for name, read in list_inputs_by_task(plan, header, predictor.tasks).items()
        }
        return cls(tasks, _collect_columns(folds), plan, header)

    def missing(self, cohort: Cohort, cases: Sequence[Case], tasks: Iterable[str]) -> list[MissingInput]:
        """List the inputs of `tasks` that are unknown, or unknown in part, at all of these cases of one subject."""
        wanted = {name for task in tasks for name in self.tasks[task]}
        states = [self._missing(cohort, cases, n) for n in self.header.inputs if n in wanted]
        return [m for m in states if m is not None and m.unknown]

    def find_missing_in_sample(
        self, cohort: Cohort, sample: Sample, case: Case | None, tasks: Sequence[str]
    ) -> list[MissingInput]:
        """List the missing inputs for one row of `predictions.csv`: that of a case, or (`case` None) of the subject."""
        if not any(self.tasks[task] for task in tasks):
            return []
        if case is not None:
            return self.missing(cohort, (case,), tasks)
        # Only visits that have a slot are read: a later one, however complete, does not help the answer.
        slots = assign_visit_slots(cohort, sample, self.plan.shared.max_visits)
        return self.missing(cohort, [c for c in slots.cases if c is not None], tasks)

    def _missing(self, cohort: Cohort, cases: Sequence[Case], name: str) -> MissingInput | None:
        if name in self.plan.shared.slides:
            has_slide = any(slide_path(cohort, case, name) is not None for case in cases)
            return MissingInput(name, () if has_slide else (name,), 1, "slide")
        if name in self.plan.shared.images:
            channels = list(self.plan.shared.images[name].channels)
            known = {c for case in cases for c, path in image_paths(cohort, case, name).items() if path}
            return MissingInput(name, tuple(c for c in channels if c not in known), len(channels), "channels")
        columns = self.columns.get(name, {})
        unknown = [
            column
            for column, values in columns.items()
            if not any(_is_cell_known(cohort, case, name, column, values) for case in cases)
        ]
        return MissingInput(name, tuple(unknown), len(columns), "columns") if columns else None


def list_inputs_by_task(plan: Plan, header: Header, tasks: Iterable[str]) -> dict[str, set[str]]:
    """Find task → the inputs its answer is computed from, also through the tasks before it in a chain."""
    modulates = getattr(INPUT_FUSIONS[plan.shared.model.input_fusion], "modulates", False)
    inputs_by_task: dict[str, set[str]] = {}
    for name in tasks:
        visited: set[str] = set()
        # A walk up the chain; two ways may lead to the same task, which `visited` keeps from being read twice.
        ways, read = [name], set()
        while ways:
            task = ways.pop()
            visited.add(task)
            spec = header.tasks[task]
            if isinstance(spec, VoxelSpec):
                read |= {spec.image, *(header.tables if modulates else ())}
            else:
                read |= set(header.inputs)
            ways += [t for t in plan.shared.model.after.get(task, []) if t not in visited]
        inputs_by_task[name] = read
    return inputs_by_task


def _collect_columns(folds: Sequence[FoldPlan]) -> dict[str, dict[str, frozenset[str] | None]]:
    columns_by_table: dict[str, dict[str, frozenset[str] | None]] = {}
    for fold in folds:
        for table, columns in fold.tables.items():
            merged = columns_by_table.setdefault(table, {})
            # Folds may have seen different categories: a value counts as known when any member learned it.
            for name, column in columns.items():
                merged[name] = _merge_category_values(column, merged.get(name))
    return columns_by_table


def _merge_category_values(column: ColumnPlan, before: frozenset[str] | None) -> frozenset[str] | None:
    return (before or frozenset()) | set(column.values) if column.type == "category" else None


def _is_cell_known(
    cohort: Cohort, case: Case, table: str, column: str, values: frozenset[str] | None
) -> bool:
    cell = column_value(cohort, (case,), table, column)
    return cell is not None and (values is None or str(cell) in values)


def format_missing_inputs(missing: Iterable[MissingInput]) -> str:
    """Format the cell `inputs_missing` of `predictions.csv`."""
    return ";".join(map(str, missing))


def find_missing_combination(missing: Iterable[MissingInput]) -> tuple[str, ...]:
    """Find the key of held-out metrics: the inputs and channels of which nothing is known."""
    return tuple(key for m in missing for key in m.keys)


def count_missing_inputs(rows: Mapping[tuple[str, str], Sequence[MissingInput]]) -> dict[str, int]:
    """Count, for each input or channel, the rows in which nothing of it is known."""
    counts: dict[str, int] = {}
    for missing in rows.values():
        for key in find_missing_combination(missing):
            counts[key] = counts.get(key, 0) + 1
    return counts
