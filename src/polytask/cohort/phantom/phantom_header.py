"""The header of the phantom: its inputs and tasks, as `cohort.yaml` states them, and its columns."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from polytask.cohort.phantom.anatomy import ORGAN_STRUCTURES
from polytask.cohort.phantom.label_cells import GRADE_NAMES, PATTERN_NAMES
from polytask.cohort.phantom.relapse import RELAPSE_TASK
from polytask.cohort.phantom.subject_blocks import FINDING_NAMES
from polytask.errors import PolytaskError, suggest_word

PHANTOM_TASKS = ("lesion", "organs", "dose", "grade", "pattern", "findings", "diameter", "os", "response")
"""The tasks of a phantom that names none, in the order of its columns. `response` needs at least two visits."""
COURSE_TASKS = ("response", RELAPSE_TASK)
"""Tasks about what changes between visits. The last is only written where it is named: its risk is judged at every
visit from the visits so far."""
RELAPSE_HORIZON_DAYS = 180.0


def list_visit_names(visits: int) -> list[str] | None:
    """List the visits in order: baseline, week6, week12, …; None when there is only one visit."""
    return ["baseline", *(f"week{6 * k}" for k in range(1, visits))] if visits > 1 else None


def select_phantom_tasks(tasks: Iterable[str] | None, visits: int) -> tuple[str, ...]:
    """Return the tasks to keep, in their order; None = all of `PHANTOM_TASKS` that the number of visits allows."""
    known = (*PHANTOM_TASKS, RELAPSE_TASK)
    possible = tuple(t for t in known if visits > 1 or t not in COURSE_TASKS)
    wanted = tuple(t for t in possible if t in PHANTOM_TASKS) if tasks is None else tuple(tasks)
    for task in wanted:
        if task not in known:
            raise PolytaskError(
                f"--tasks: no task is called {task!r}; {suggest_word(task, known, 'choose from')}"
            )
        if task not in possible:
            what = "the change between visits" if task == "response" else "judged from visit to visit"
            raise PolytaskError(f"--tasks: {task} is {what}; set --visits to 2 or more")
    if not wanted:
        raise PolytaskError(f"--tasks: no task is chosen; choose from {', '.join(possible)}")
    return tuple(t for t in possible if t in wanted)


def list_channel_names(dims: int) -> tuple[str, str]:
    """Name the two channels. In 2D an X-ray takes the place of the CT, since Hounsfield units do not fit a PNG."""
    return ("ct", "mr") if dims == 3 else ("xr", "mr")


def make_phantom_header(
    dims: int, visits: int, tasks: tuple[str, ...], slides: bool = False
) -> dict[str, Any]:
    """Make the content of `cohort.yaml` as plain dicts and lists."""
    first, second = list_channel_names(dims)
    header: dict[str, Any] = {"polytask": 1, "name": "phantom"}
    if visits > 1:
        header["visits"] = list_visit_names(visits)
    header["inputs"] = {
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
        header["inputs"]["biopsy"] = {"kind": "slide", "patch": 64, "mpp": 1.0}
    declared = _declare_tasks(visits)
    if "organs" not in tasks:
        del declared["dose"]["structures"]
    header["tasks"] = {name: declared[name] for name in tasks}
    return header


def list_phantom_columns(dims: int, visits: int, tasks: tuple[str, ...], slides: bool = False) -> list[str]:
    """List the columns of `cases.csv` in their order."""
    columns = ["subject", *(["visit", "day"] if visits > 1 else []), "site", "split"]
    columns += [f"scan.{name}" for name in list_channel_names(dims)] + ["age", "sex", "marker"]
    columns += ["biopsy"] if slides else []
    own = {
        "lesion": ["lesion", "lesion_known"],
        "organs": ["organs", "organs_known"]
        if dims == 3
        else [f"organs.{name}" for name in ORGAN_STRUCTURES],
        "dose": ["dose", "dose_region"],
        "findings": [f"findings.{name}" for name in FINDING_NAMES],
        "os": ["os_time", "os_event"],
        RELAPSE_TASK: [f"{RELAPSE_TASK}_time", f"{RELAPSE_TASK}_event"],
    }
    own["organs"] = [*own["organs"], "organs_region"]
    return columns + [column for task in tasks for column in own.get(task, [task])]


def _declare_tasks(visits: int) -> dict[str, dict[str, Any]]:
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
            "structures": list(ORGAN_STRUCTURES),
            "mirror": [["kidney_l", "kidney_r"]],
        },
        "dose": {"kind": "dose", "image": "scan", "unit": "Gy", "structures": "organs"},
        "grade": {"kind": "ordinal", "order": list(GRADE_NAMES)},
        "pattern": {"kind": "classification", "classes": list(PATTERN_NAMES)},
        "findings": {"kind": "multilabel", "labels": list(FINDING_NAMES)},
        "diameter": {"kind": "regression", "unit": "mm"},
        "os": {"kind": "survival", "level": "subject", "unit": "days", **origin, "horizons": [365.0, 1095.0]},
        "response": {"kind": "classification", "level": "subject", "classes": ["no", "yes"]},
        RELAPSE_TASK: {
            "kind": "survival",
            "level": "visit",
            "unit": "days",
            "origin": "baseline",
            "landmarks": list_visit_names(visits) or [],
            "horizons": [RELAPSE_HORIZON_DAYS],
        },
    }
