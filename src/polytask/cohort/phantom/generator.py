"""Write the phantom cohort: a folder that passes every check and has unknown cells, with the full truth beside it."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Literal

import yaml

from polytask.atomic_files import move_into_place
from polytask.cohort.formula_cells import escape_cells
from polytask.cohort.header import Header
from polytask.cohort.phantom.phantom_header import (
    list_phantom_columns,
    make_phantom_header,
    select_phantom_tasks,
)
from polytask.cohort.phantom.render import SCANNERS
from polytask.cohort.phantom.subjects import draw_subjects
from polytask.cohort.phantom.visit import write_phantom_visit
from polytask.cohort.phantom.visit_writer import CellTexts, PhantomSpec
from polytask.errors import PolytaskError
from polytask.leftovers import HALF_WRITTEN_PREFIX
from polytask.locks import hold_lock

PHANTOM_PARTS = ("images", "masks", "slides", "truth", "truth.csv", "cases.csv", "cohort.yaml")
"""Files and folders of a phantom. The header is last: a folder without it is not yet a cohort."""
Progress = Callable[[int, int], None]


def make_phantom(
    folder: str | Path,
    subjects: int = 24,
    size: int = 32,
    seed: int = 0,
    dims: Literal[2, 3] = 3,
    visits: int = 2,
    tasks: Iterable[str] | None = None,
    sites: int = 2,
    force: bool = False,
    progress: Progress | None = None,
    slides: bool = False,
) -> Path:
    """Write a synthetic cohort in which every label can be seen in the image; the same call writes the same bytes.

    With at least 12 subjects and 24 voxels it passes `check`, and each of three folds has cases of every class.

    Args:
        folder: new or empty; with `force` an earlier phantom in it is replaced and other files stay.
        size: number of voxels along each edge of the image.
        visits: number of visits; with 1 there is neither a column `visit` nor the task `response`.
        tasks: the tasks to keep (default: all of `PHANTOM_TASKS`), or these and `relapse`.
        sites: number of sites that share the subjects.
        slides: whether to write whole slides too, whose nuclei show the grade at the first visit.
        progress: called with (cases done, cases in total).

    Returns:
        the folder.
    """
    for name, value, least, most in (
        ("subjects", subjects, 1, 9999),
        ("size", size, 24, 1024),
        ("seed", seed, 0, 2**63),
        ("dims", dims, 2, 3),
        ("visits", visits, 1, 9),
        ("sites", sites, 1, len(SCANNERS)),
    ):
        if not least <= value <= most:
            raise PolytaskError(
                f"phantom: {name} is {value}; expected {least} to {most}; choose another {name}"
            )
    spec = PhantomSpec(size, seed, dims, visits, sites, select_phantom_tasks(tasks, visits), slides)
    folder = Path(folder).absolute()
    try:
        _check_phantom_folder(folder, force)
        folder.parent.mkdir(parents=True, exist_ok=True)
        draft = folder.with_name(f"{HALF_WRITTEN_PREFIX}{folder.name}")
        with hold_lock(folder.with_name(f".{folder.name}.lock"), "makes this phantom", place=folder):
            shutil.rmtree(draft, ignore_errors=True)  # of a command that was killed
            draft.mkdir()
            try:
                _write_phantom(draft, spec, subjects, progress)
                _move_draft_into_place(draft, folder)
            finally:
                shutil.rmtree(draft, ignore_errors=True)
    except OSError as error:
        raise PolytaskError(
            f"{folder}: cannot be written ({error.strerror or error}); expected a writable folder with free space"
        ) from None
    return folder


def _write_phantom(draft: Path, spec: PhantomSpec, count: int, progress: Progress | None) -> None:
    """Write all files of the phantom into the draft folder."""
    people = draw_subjects(count, spec.seed, spec.visits, spec.sites)
    todo = [(s, v) for s in people for v in range(spec.visits) if v not in s.skipped]
    rows: list[tuple[CellTexts, CellTexts]] = []
    for number, (subject, visit) in enumerate(todo, 1):
        rows.append(write_phantom_visit(draft, subject, visit, spec))
        if progress:
            progress(number, len(todo))
    shown = list_phantom_columns(spec.dims, spec.visits, spec.tasks, spec.slides)
    whole = [c for c in shown if not c.endswith(("_known", "_region"))] + ["nodes", "ratio", "hazard"]
    _write_phantom_table(draft / "cases.csv", shown, [row for row, _ in rows])
    _write_phantom_table(draft / "truth.csv", whole, [row for _, row in rows])
    stated = make_phantom_header(spec.dims, spec.visits, spec.tasks, spec.slides)
    # Fail here, while only the draft exists, if the stated header is not valid.
    Header.model_validate(stated)
    text = yaml.safe_dump(stated, sort_keys=False, allow_unicode=True, width=110)
    (draft / "cohort.yaml").write_text(text, encoding="utf-8")


def _write_phantom_table(path: Path, names: list[str], rows: list[CellTexts]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(escape_cells(names))
        writer.writerows(escape_cells(row.get(name, "") for name in names) for row in rows)


def _check_phantom_folder(folder: Path, force: bool) -> None:
    if folder.exists() and not folder.is_dir():
        raise PolytaskError(f"{folder}: is a file; expected a new or empty folder; choose another name")
    inside = {path.name for path in folder.iterdir()} if folder.exists() else set()
    if inside and not force:
        raise PolytaskError(
            f"{folder}: is not empty; expected a new or empty folder; choose another name or --force"
        )
    if inside & set(PHANTOM_PARTS) and not {"truth.csv", "cohort.yaml"} <= inside:
        raise PolytaskError(
            f"{folder}: holds a cohort that is not a phantom; nothing was replaced; choose another name"
        )


def _move_draft_into_place(draft: Path, folder: Path) -> None:
    """Move the finished draft into place: with one rename, or part by part if the folder holds other files."""
    if not folder.exists() or not any(folder.iterdir()):
        if folder.exists():
            folder.rmdir()
        move_into_place(draft, folder)
        return
    # The header goes first and comes back last, so that an interrupted exchange never looks like a whole cohort.
    for part in reversed(PHANTOM_PARTS):
        old = folder / part
        if old.is_dir():
            shutil.rmtree(old)
        else:
            old.unlink(missing_ok=True)
    for part in PHANTOM_PARTS:
        if (draft / part).exists():
            move_into_place(draft / part, folder / part)
