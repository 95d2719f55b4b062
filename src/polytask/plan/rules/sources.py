"""Which subsets of the inputs a fold's training samples hold."""

from __future__ import annotations

from collections import Counter

from polytask.cohort.header import Header, TableInput
from polytask.plan.rules.fold import FoldBasis


def source_subsets(basis: FoldBasis) -> str:
    """How often each subset of the inputs occurs in train. An input is there when a cell of it is filled at a visit."""
    header = basis.cohort.header
    owner = header.input_columns
    lasting = _of_subjects(header)
    samples = basis.cohort.samples(basis.train)
    seen: Counter[tuple[str, ...]] = Counter()
    for sample in samples:
        there = {owner[c] for case in sample.cases for c in case.cells if c in owner}
        there |= {
            owner[c] for case in basis.cohort.subjects[sample.subject] for c in case.cells if c in lasting
        }
        seen[tuple(name for name in header.inputs if name in there)] += 1
    counts = sorted(seen.items(), key=lambda item: (-item[1], -len(item[0]), item[0]))
    words = ", ".join(f"{' + '.join(subset) or 'none'} {count}" for subset, count in counts)
    text = f"seen in train: {words} of {len(samples)} samples"
    if len(header.inputs) == 1:
        return f"{text}; there is one input"
    if len([subset for subset in seen if subset]) == 2 ** len(header.inputs) - 1:
        return f"{text}; that is every subset"
    return f"{text}; every other subset is predicted by masking (source_dropout shows them in training)"


def _of_subjects(header: Header) -> set[str]:
    """Columns that hold for all visits of a subject, on whichever row they stand."""
    found: set[str] = set()
    for column, name in header.input_columns.items():
        source = header.inputs[name]
        level = source.columns[column].level if isinstance(source, TableInput) else _level(source)
        if level == "subject":
            found.add(column)
    return found


def _level(source: object) -> str:
    return str(getattr(source, "level", "visit"))
