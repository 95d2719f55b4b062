"""What differs between two sides' folders: plans, weights, answers, metrics, conclusions."""

from __future__ import annotations

import csv
import hashlib
import json
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from safetensors.numpy import load_file

from tests.frozen.renamed_plan_keys import NEW_PLAN_KEYS

RELATIVE_TOLERANCE = 1e-9
"""Relative difference of two figures that count as equal."""
CLOCK_DEPENDENT_KEYS = {"created", "costs"}
"""Keys whose values depend on the clock and on what else the machine does."""
BUSY_MACHINE_NOTE = "the machine did other work"
"""Beginning of a note that depends on the same."""


def flatten_tree(tree: object, path: str = "") -> Iterator[tuple[str, object]]:
    """(dotted path, leaf) of nested dicts and lists; empty ones are leaves."""
    if isinstance(tree, dict) and tree:
        for key, value in tree.items():
            yield from flatten_tree(value, f"{path}.{key}" if path else str(key))
    elif isinstance(tree, list) and tree:
        for position, value in enumerate(tree):
            yield from flatten_tree(value, f"{path}[{position}]")
    else:
        yield path, tree


def are_close(one: object, other: object) -> bool:
    """Equal, or numbers within `CLOSE`; NaN is equal to NaN."""
    if isinstance(one, float | int) and isinstance(other, float | int) and not isinstance(one, bool):
        if math.isnan(one) and math.isnan(other):
            return True
        return math.isclose(one, other, rel_tol=RELATIVE_TOLERANCE, abs_tol=RELATIVE_TOLERANCE)
    return one == other


def compare_trees(old: object, new: object, what: str) -> list[str]:
    """One line for each leaf that differs or stands on one side only."""
    before, after = dict(flatten_tree(old)), dict(flatten_tree(new))
    steady = [p for p in [*before, *(p for p in after if p not in before)] if not is_clock_dependent(p)]
    found = []
    for path in steady:
        if path not in after or path not in before:
            found.append(f"{what}: {path}: only on the {'old' if path in before else 'new'} side")
        elif not are_close(before[path], after[path]):
            found.append(f"{what}: {path}: {before[path]!r} → {after[path]!r}")
    return found


def is_clock_dependent(path: str) -> bool:
    """Whether a part of a dotted path is one of `UNSTEADY`."""
    return any(part.partition("[")[0] in CLOCK_DEPENDENT_KEYS for part in path.split("."))


def flatten_values(plan: dict[str, Any]) -> dict[str, Any]:
    """The values of a plan by dotted path."""
    return {p: v for p, v in flatten_tree(drop_reasons(plan)) if p}


def rename_plan_keys(plan: dict[str, Any]) -> dict[str, Any]:
    """A plan's values under the keys that the new side writes; reasons are left out."""
    leaves = flatten_values(plan)
    renamed: dict[str, Any] = {}
    for path, value in leaves.items():
        for old, new in NEW_PLAN_KEYS.items():
            pattern = re.escape(old).replace(r"\*", r"(\w+)") + r"(?=[.\[]|$)"
            path = re.sub(rf"^{pattern}", new.replace("*", r"\1"), path)
        renamed[path] = value
    return renamed


TEXT_KEYS = {"why", "reason", "note", "sentence", "too_few"}
"""Keys whose values are sentences."""
TEXT_LIST_KEYS = {"notes", "verdicts"}
"""Keys whose values are lists of sentences."""


def drop_reasons(tree: Any) -> Any:
    """A document without its sentences, which may be worded anew; of a list of sentences the number stays."""
    if isinstance(tree, dict):
        return {
            k: len(v) if k in TEXT_LIST_KEYS and isinstance(v, list) else drop_reasons(v)
            for k, v in tree.items()
            if k not in TEXT_KEYS
        }
    return [drop_reasons(v) for v in tree] if isinstance(tree, list) else tree


def hash_tensors(path: Path) -> dict[str, str]:
    """Name of a tensor → shape, type and hash of its bytes."""
    return {
        name: f"{array.shape} {array.dtype} {hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()[:12]}"
        for name, array in sorted(load_file(path).items())
    }


def read_table(path: Path) -> list[dict[str, str]]:
    """Read the rows of a CSV file."""
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def hash_files(folder: Path) -> dict[str, str]:
    """Path below `folder` → hash, of all files."""
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest()[:12] for p in files}


def read_json(path: Path) -> Any:
    """A JSON document; Python's own reader, so that a fault of ours does not hide here."""
    return json.loads(path.read_text(encoding="utf-8"))


def find_weights(run: Path) -> list[Path]:
    """Files of a run's last weights, below its folder: one, or one for each task's own network."""
    return sorted(p.relative_to(run) for p in (run / "last").rglob("*.safetensors"))


def compare_sides(old: Path, new: Path) -> list[str]:
    """All differences between the two folders of a combination."""
    plans = [yaml.safe_load((side / "work/plan.yaml").read_text(encoding="utf-8")) for side in (old, new)]
    found = compare_trees(rename_plan_keys(plans[0]), flatten_values(plans[1]), "plan.yaml")
    if (old / "study").exists():
        one, other = (read_json(side / "study/conclusions.json") for side in (old, new))
        for conclusions in (one, other):
            notes = conclusions["notes"]
            conclusions["notes"] = [note for note in notes if not note.startswith(BUSY_MACHINE_NOTE)]
        return found + compare_trees(drop_reasons(one), drop_reasons(other), "conclusions")
    weights = [find_weights(side / "work/runs/run") for side in (old, new)]
    found += compare_trees([str(p) for p in weights[0]], [str(p) for p in weights[1]], "weights")
    found += [] if weights[0] else ["weights: none on the old side"]
    for path in weights[0]:
        if path in weights[1]:
            before, after = (hash_tensors(side / "work/runs/run" / path) for side in (old, new))
            found += compare_trees(before, after, str(path))
    evaluation = "work/runs/run/evaluation.json"
    documents = [drop_reasons(read_json(side / evaluation)) for side in (old, new)]
    found += compare_trees(*documents, "evaluation.json")
    return found + compare_answers(old / "predicted", new / "predicted")


def compare_answers(old: Path, new: Path) -> list[str]:
    """Differences of two output folders of `predict`: every cell and every byte of the images."""
    tables = [read_table(side / "predictions.csv") for side in (old, new)]
    found = compare_trees(tables[0], tables[1], "predictions.csv")
    return found + compare_trees(
        hash_files(old / "predictions"), hash_files(new / "predictions"), "predictions/"
    )


def compare_on_old(old: Path, mixed: Path) -> list[str]:
    """Differences when the new side worked in a copy of the old side's folder: trained by its plan, predicted with
    its run and its bundle."""
    run, again = old / "work/runs/run", mixed / "work/runs/again"
    found = [] if find_weights(again) else ["trained by the old plan: no weights"]
    for path in find_weights(again):
        what = f"trained by the old plan: {path}"
        found += compare_trees(hash_tensors(run / path), hash_tensors(again / path), what)
    for way in ("by_run", "by_bundle"):
        found += [f"{way}: {line}" for line in compare_answers(old / "predicted", mixed / way)]
    return found
