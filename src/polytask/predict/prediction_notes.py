"""Sentences about unknown inputs: how many cases lack them, and how good the model was without them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import isfinite
from typing import TYPE_CHECKING

from polytask.predict.held_out import METRIC_LABELS, MetricValue, average_metric_values
from polytask.predict.missing_inputs import MissingInput, find_missing_combination
from polytask.tasks.survival import Survival

if TYPE_CHECKING:
    from polytask.predict.predictor import Predictor

SubjectVisit = tuple[str, str]
"""(subject, visit); the visit is "" for the answers about a whole subject."""


def describe_missing_inputs(
    predictor: Predictor, rows: Mapping[SubjectVisit, Sequence[MissingInput]], what: str
) -> list[str]:
    """Write a line for each combination of unknown inputs, and one for each input that is known in part.

    Args:
        rows: what each case (or subject) lacks.
        what: what a row is: "case" or "subject".
    """
    lines, total = [], f"{len(rows)} {what}{'s' * (len(rows) != 1)}"
    groups: dict[tuple[str, ...], int] = {}
    for missing in rows.values():
        if key := find_missing_combination(missing):
            groups[key] = groups.get(key, 0) + 1
    for key, count in groups.items():
        lines.append(
            f"{_name_inputs_and_channels(key)} unknown in {count} of {total}; "
            f"{describe_held_out_metrics(predictor, key)}"
        )
    partly: dict[str, list[MissingInput]] = {}
    for missing in rows.values():
        for m in missing:
            if not m.whole and m.kind == "columns":
                partly.setdefault(m.name, []).append(m)
    for name, inputs in partly.items():
        most = max(len(m.unknown) for m in inputs)
        upto = f"up to {most}" if len({len(m.unknown) for m in inputs}) > 1 else str(most)
        lines.append(
            f"input {name} known in part in {len(inputs)} of {total}: {upto} of {inputs[0].of} columns unknown"
        )
    return lines


def describe_undefined_horizons(predictor: Predictor) -> list[str]:
    """Write a line for each horizon of a survival task at which the model, or a member, gives no probability."""
    lines = []
    for name, task in predictor.tasks.items():
        if not isinstance(task, Survival):
            continue
        for horizon in task.horizons:
            whys = [
                why
                for member in predictor.members
                if isinstance(own := member.tasks[name], Survival) and (why := own.explain_undefined(horizon))
            ]
            if whys:
                unit = f" {task.unit}" if task.unit else ""
                lines.append(f"{name}: no probability at {horizon:g}{unit}: {whys[0]}")
    return lines


def describe_held_out_metrics(predictor: Predictor, key: tuple[str, ...]) -> str:
    """Say how good the model was on its held-out part without these inputs, where that was measured."""
    inputs = {k.partition(".")[0] for k in key}
    tasks = [t for t, read in predictor.model_inputs.tasks.items() if inputs & set(read)]
    parts = []
    for task in tasks:
        figure = _average_hidden_metric(predictor, key, task)
        if figure is not None:
            plain = average_metric_values(
                [m.held_out.plain.get(task) if m.held_out else None for m in predictor.members]
            )
            comparison = f", with {_choose_pronoun(key)} {plain.value:.2f}" if plain is not None else ""
            metric = METRIC_LABELS.get(predictor.tasks[task].primary, predictor.tasks[task].primary)
            parts.append(
                f"{task} {metric} without {_join_with_and(key)}: {figure.value:.2f} (n {figure.n}){comparison}"
            )
    if not parts:
        return "the held-out metrics do not apply"
    left = [t for t in tasks if _average_hidden_metric(predictor, key, t) is None]
    other = f"; of {_join_with_and(left)} the held-out metrics do not apply" if left else ""
    return f"held-out {'; '.join(parts)}{other}"


def _average_hidden_metric(predictor: Predictor, key: tuple[str, ...], task: str) -> MetricValue | None:
    values = []
    for member in predictor.members:
        entries = member.held_out.hidden if member.held_out else {}
        # As sets: an evaluation may have written the same inputs in another order.
        by_set = {frozenset(k): v for k, v in entries.items()}
        values.append(by_set.get(frozenset(key), {}).get(task))
    figure = average_metric_values(values)
    return figure if figure is not None and isfinite(figure.value) else None


def _name_inputs_and_channels(key: Sequence[str]) -> str:
    """Name unknown inputs and channels in words: `input clinic`, `channel scan.mr`, or both."""
    inputs, channels = [k for k in key if "." not in k], [k for k in key if "." in k]
    words = [f"input{'s' * (len(inputs) > 1)} {_join_with_and(inputs)}"] if inputs else []
    words += [f"channel{'s' * (len(channels) > 1)} {_join_with_and(channels)}"] if channels else []
    return " and ".join(words)


def _choose_pronoun(key: Sequence[str]) -> str:
    return "it" if len(key) == 1 else "them"


def _join_with_and(names: Iterable[str]) -> str:
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last
