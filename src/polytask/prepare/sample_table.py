"""What the cohort's table says about the samples of a loader: parsed once and held in arrays, read at every step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from polytask.cohort.cell_values import list_column_values
from polytask.cohort.cohort import Case, Cohort, Sample
from polytask.cohort.read_visits import list_read_visits
from polytask.plan.plan_schema import ColumnPlan
from polytask.prepare.sample_targets import make_pooled_arrays
from polytask.prepare.schema import BatchSchema
from polytask.prepare.slot_assignment import assign_visit_slots
from polytask.prepare.table_encoding import count_column_features, list_encoded_columns
from polytask.tasks.target import Target


@dataclass(frozen=True)
class SampleRow:
    """What the table says about one sample. All tensors have a batch axis of length one.

    Args:
        subject: the subject's id.
        keys: `Case.key` of the visit in each of the V slots, None where padded.
        visits: names of the visits, "" where padded.
        day: float `[1, V]`, days since the first visit.
        targets: visit or subject task → its target `[1, V, …]` or `[1, …]`.
        tables: table input → features and known flags, each `[1, V, F]`.
    """

    subject: str
    keys: tuple[str | None, ...]
    visits: tuple[str, ...]
    day: Tensor
    targets: dict[str, Target]
    tables: dict[str, tuple[Tensor, Tensor]]


class SampleTable:
    """The rows of N samples. It holds arrays and names only, so that copying it to a worker process costs little.

    Args:
        cohort: with the samples' rows; it is not kept.
        samples: in the order of their numbers.
        schema: which tasks and table columns are read.

    Raises:
        PolytaskError: a cell cannot be read.
    """

    def __init__(self, cohort: Cohort, samples: Sequence[Sample], schema: BatchSchema):
        most, read = schema.plan.shared.max_visits, list_read_visits(cohort.header, schema.tasks)
        slots = [assign_visit_slots(cohort, sample, most, read) for sample in samples]
        cases = [row.cases for row in slots]
        self.subjects = [sample.subject for sample in samples]
        self._keys = [tuple(None if case is None else case.key for case in row) for row in cases]
        self._visits = [row.visits for row in slots]
        self._days = np.array([row.day for row in slots], np.float32)
        self._targets = {name: make_pooled_arrays(cohort, name, cases) for name in schema.pooled}
        self._tables = {
            name: ParsedTable(cohort, name, cases, columns) for name, columns in schema.fold.tables.items()
        }

    def __getitem__(self, index: int) -> SampleRow:
        # Copies, because a tensor on the arrays could change them for all later epochs.
        targets = {
            name: Target(*(torch.from_numpy(array[index : index + 1].copy()) for array in arrays))
            for name, arrays in self._targets.items()
        }
        return SampleRow(
            self.subjects[index],
            self._keys[index],
            self._visits[index],
            torch.from_numpy(self._days[index : index + 1].copy()),
            targets,
            {name: table.encode(index) for name, table in self._tables.items()},
        )

    def list_known(self, task: str) -> npt.NDArray[np.bool_]:
        """Say for each sample whether a visit or subject task is known in at least one of its visits: bool `[N]`."""
        _, known = self._targets[task]
        return np.asarray(known.reshape(len(known), -1).any(axis=1), bool)

    def list_shown_classes(self, task: str) -> npt.NDArray[np.int64]:
        """List which sample has which class of a task in at least one visit: pairs (class, sample) `[M, 2]`, sorted."""
        value, known = (array.reshape(len(array), -1) for array in self._targets[task])
        pairs = np.stack([value[known].astype(np.int64), np.nonzero(known)[0]], axis=1)
        return np.unique(pairs, axis=0)


class ParsedTable:
    """One table input of N samples with V visits: scaled numbers, and categories as indices.

    A category is made one-hot only when its sample is read, because a column of many categories would be large.

    Args:
        cohort: with the cells; it is not kept.
        name: the table input.
        cases: the V cases of each sample, None where padded.
        columns: how the fold encodes each column.
    """

    def __init__(
        self,
        cohort: Cohort,
        name: str,
        cases: Sequence[Sequence[Case | None]],
        columns: Mapping[str, ColumnPlan],
    ):
        there = np.array([case is not None for row in cases for case in row], bool)
        filled = [case for row in cases for case in row if case is not None]
        encoded = list_encoded_columns(columns)
        shape = (len(there), len(encoded))
        cells, known = np.zeros(shape, np.float32), np.zeros(shape, bool)
        for place, (column, plan) in enumerate(encoded):
            values, flags = _encode_column(list_column_values(cohort, filled, name, column), plan)
            cells[there, place], known[there, place] = values, flags
        visits = len(cases[0]) if cases else 1
        # Not −1: a table of which the fold keeps no column has no cell to tell the number of samples from.
        self._cells = cells.reshape(len(cases), visits, len(encoded))
        self._known = known.reshape(self._cells.shape)
        self._is_category = np.array([plan.type == "category" for _, plan in encoded], bool)
        self._widths = np.array([count_column_features(plan) for _, plan in encoded], np.int64)
        self._starts = np.cumsum(self._widths) - self._widths

    def encode(self, index: int) -> tuple[Tensor, Tensor]:
        """Encode one sample as features and known flags, each `[1, V, F]`; unknown cells are 0."""
        cells, known = self._cells[index], self._known[index]
        values = np.zeros((1, len(cells), int(self._widths.sum())), np.float32)
        visits, columns = np.nonzero(known)
        categories = self._is_category[columns]
        chosen = cells[visits, columns]
        # A category is the place of its 1 among the features of the column; a number is the feature itself.
        features = self._starts[columns] + np.where(categories, chosen, 0).astype(np.int64)
        values[0, visits, features] = np.where(categories, 1, chosen)
        return torch.from_numpy(values), torch.from_numpy(np.repeat(known, self._widths, axis=1)[None])


def _encode_column(
    values: Sequence[float | str | None], plan: ColumnPlan
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
    """Encode one column as scaled numbers or indices of categories, 0 where unknown; and which are known."""
    if plan.type == "number":
        # An unknown cell (None) becomes NaN, which no cell can hold.
        numbers = np.array(values, np.float64)
        known = ~np.isnan(numbers)
        # A column that is constant in the training part has sd 0; it is only shifted.
        return np.where(known, (numbers - plan.mean) / (plan.sd or 1.0), 0).astype(np.float32), known
    index = {category: place for place, category in enumerate(plan.values)}
    places = np.array([-1 if value is None else index.get(str(value), -1) for value in values], np.int64)
    return np.maximum(places, 0).astype(np.float32), places >= 0
