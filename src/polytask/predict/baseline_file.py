"""`baselines.json` of a run: the simple models that its network is compared with, and their coefficients."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from polytask.documents.document_errors import convert_content_errors
from polytask.documents.json_reader import read_json_object

BASELINES_FILE = "baselines.json"
REQUIRED_BASELINE_FIELDS = (
    "name",
    "task",
    "kind",
    "method",
    "visits",
    "inputs",
    "features",
    "center",
    "scale",
    "coefficients",
    "n",
)
"""The fields without which a simple model cannot be applied."""


def read_baseline_file(folder: Path) -> dict[str, Any]:
    """Read `plan` (a hash) and `baselines` (simple models) of a run that was evaluated."""
    path = folder / BASELINES_FILE
    what, remedy = "the simple models of a run", "delete it, and evaluate the run again"
    content = read_json_object(path, what, remedy)
    with convert_content_errors(path, what, remedy):
        return {"plan": str(content["plan"]), "baselines": list(check_baselines(content["baselines"]))}


def check_baselines(baselines: Any) -> tuple[Mapping[str, Any], ...]:
    """Return simple models as they were written; ValueError where a field is missing."""
    if not isinstance(baselines, list) or not all(
        isinstance(b, dict) and set(REQUIRED_BASELINE_FIELDS) <= set(b) for b in baselines
    ):
        raise ValueError("simple models without the fields needed to apply them")
    return tuple(baselines)


def read_baselines(folder: Path) -> tuple[Mapping[str, Any], ...]:
    """Read the simple models of a run; an empty tuple before it was evaluated."""
    return tuple(read_baseline_file(folder)["baselines"]) if (folder / BASELINES_FILE).exists() else ()
