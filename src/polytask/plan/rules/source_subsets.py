"""Counts which subsets of the inputs occur in the training samples of a fold."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from polytask.cohort.cohort import Case, Cohort
from polytask.cohort.header import Header, TableInput
from polytask.plan.rules.fold_facts import FoldFacts


def describe_source_subsets(basis: FoldFacts) -> str:
    """Describe how often each subset of the inputs occurs in train. A sample has an input if a cell of it is filled."""
    header = basis.cohort.header
    samples = basis.cohort.samples(basis.train)
    subset_counts = Counter(find_filled_inputs(basis.cohort, [sample.cases for sample in samples]))
    counts = sorted(subset_counts.items(), key=lambda item: (-item[1], -len(item[0]), item[0]))
    words = ", ".join(f"{' + '.join(subset) or 'none'} {count}" for subset, count in counts)
    text = f"inputs of the {len(samples)} training samples: {words}"
    if len(header.inputs) == 1:
        return f"{text}; there is only one input"
    if len([subset for subset in subset_counts if subset]) == 2 ** len(header.inputs) - 1:
        return f"{text}; every combination of inputs occurs"
    return f"{text}; other combinations are learned only from inputs hidden at random (source_dropout)"


def find_filled_inputs(cohort: Cohort, groups: Sequence[Sequence[Case]]) -> list[tuple[str, ...]]:
    """Find the inputs of which a cell is filled, for each group of cases of one subject."""
    header = cohort.header
    columns_by_input: dict[str, list[str]] = {name: [] for name in header.inputs}
    for column, name in header.input_columns.items():
        columns_by_input[name].append(column)
    all_subject_columns = _list_subject_columns(header)
    subject_columns = {
        name: [c for c in columns if c in all_subject_columns] for name, columns in columns_by_input.items()
    }
    return [
        tuple(
            name
            for name in header.inputs
            if _is_any_cell_filled(cases, columns_by_input[name])
            # A subject-level column may be filled at a visit outside the group, so all rows of the subject count.
            or any(
                _is_any_cell_filled(cohort.subjects[case.subject], subject_columns[name])
                for case in cases[:1]
            )
        )
        for cases in groups
    ]


def _is_any_cell_filled(cases: Sequence[Case], columns: Sequence[str]) -> bool:
    """Whether at least one of the cells is filled."""
    return any(column in case.cells for case in cases for column in columns)


def _list_subject_columns(header: Header) -> set[str]:
    """List the columns whose value holds for all visits of a subject, whatever row it stands in."""
    columns: set[str] = set()
    for column, name in header.input_columns.items():
        source = header.inputs[name]
        level = source.columns[column].level if isinstance(source, TableInput) else _read_source_level(source)
        if level == "subject":
            columns.add(column)
    return columns


def _read_source_level(source: object) -> str:
    return str(getattr(source, "level", "visit"))
