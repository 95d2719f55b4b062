"""The header of the phantom: its inputs and tasks, as `cohort.yaml` states them, and its columns."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from polytask.cohort.phantom.anatomy import STRUCTURES
from polytask.cohort.phantom.blocks import FINDINGS
from polytask.cohort.phantom.labels import ORDER, PATTERNS
from polytask.errors import PolytaskError, nearest

TASKS = ("lesion", "organs", "dose", "grade", "pattern", "findings", "diameter", "os", "response")
"""Every task of the phantom, in the order of its columns. `response` needs at least two visits."""


def names(visits: int) -> list[str] | None:
    """List the visits in order: baseline, week6, week12, …; None when there is only one visit."""
    return ["baseline", *(f"week{6 * k}" for k in range(1, visits))] if visits > 1 else None


def select(tasks: Iterable[str] | None, visits: int) -> tuple[str, ...]:
    """Return the tasks to keep, in the order of `PHANTOM_TASKS`; None = all that the number of visits allows."""
    possible = tuple(t for t in TASKS if visits > 1 or t != "response")
    wanted = possible if tasks is None else tuple(tasks)
    for task in wanted:
        if task not in TASKS:
            raise PolytaskError(f"--tasks: no task is called {task!r}; {nearest(task, TASKS, 'choose from')}")
        if task not in possible:
            raise PolytaskError("--tasks: response is the change between visits; ask for --visits 2 or more")
    if not wanted:
        raise PolytaskError(f"--tasks: no task is left; choose from {', '.join(possible)}")
    return tuple(t for t in possible if t in wanted)


def channel_names(dims: int) -> tuple[str, str]:
    """Name the two channels. In 2D an X-ray takes the place of the CT, since Hounsfield units do not fit a PNG."""
    return ("ct", "mr") if dims == 3 else ("xr", "mr")


def header(dims: int, visits: int, tasks: tuple[str, ...], slides: bool = False) -> dict[str, Any]:
    """Make the content of `cohort.yaml` as plain dicts and lists."""
    first, second = channel_names(dims)
    found: dict[str, Any] = {"polytask": 1, "name": "phantom"}
    if visits > 1:
        found["visits"] = names(visits)
    found["inputs"] = {
        "scan": {"kind": "image", "dims": dims, "channels": {first: first.upper(), second: second.upper()}},
        "clinic": {
            "kind": "table",
            "columns": {
                "age": {"type": "number", "level": "subject"},
                "sex": {"type": "category", "level": "subject", "values": ["female", "male"]},
                "marker": {"type": "number"},
            },
        },
    }
    if slides:
        found["inputs"]["biopsy"] = {"kind": "slide", "patch": 64, "mpp": 1.0}
    declared = _declared(visits)
    if "organs" not in tasks:
        del declared["dose"]["structures"]
    found["tasks"] = {name: declared[name] for name in tasks}
    return found


def columns(dims: int, visits: int, tasks: tuple[str, ...], slides: bool = False) -> list[str]:
    """List the columns of `cases.csv` in their order."""
    found = ["subject", *(["visit", "day"] if visits > 1 else []), "site", "split"]
    found += [f"scan.{name}" for name in channel_names(dims)] + ["age", "sex", "marker"]
    found += ["biopsy"] if slides else []
    own = {
        "lesion": ["lesion", "lesion_known"],
        "organs": ["organs", "organs_known"] if dims == 3 else [f"organs.{name}" for name in STRUCTURES],
        "dose": ["dose", "dose_region"],
        "findings": [f"findings.{name}" for name in FINDINGS],
        "os": ["os_time", "os_event"],
    }
    own["organs"] = [*own["organs"], "organs_region"]
    return found + [column for task in tasks for column in own.get(task, [task])]


def _declared(visits: int) -> dict[str, dict[str, Any]]:
    """Return the header entry of every task."""
    # Survival counts from baseline and reads only that visit: a later one would show who was still alive then.
    origin = {"origin": "baseline", "visits": ["baseline"]} if visits > 1 else {}
    return {
        "lesion": {
            "kind": "segmentation",
            "image": "scan",
            "labels": {"lesion": 1, "node": 2},
            "ignore": 255,
        },
        "organs": {
            "kind": "segmentation",
            "image": "scan",
            "structures": list(STRUCTURES),
            "mirror": [["kidney_l", "kidney_r"]],
        },
        "dose": {"kind": "dose", "image": "scan", "unit": "Gy", "structures": "organs"},
        "grade": {"kind": "ordinal", "order": list(ORDER)},
        "pattern": {"kind": "classification", "classes": list(PATTERNS)},
        "findings": {"kind": "multilabel", "labels": list(FINDINGS)},
        "diameter": {"kind": "regression", "unit": "mm"},
        "os": {"kind": "survival", "level": "subject", "unit": "days", **origin, "horizons": [365.0, 1095.0]},
        "response": {"kind": "classification", "level": "subject", "classes": ["no", "yes"]},
    }
