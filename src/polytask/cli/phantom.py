"""`polytask phantom`: a synthetic cohort with known truth."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, cast

import typer


def phantom(
    folder: Annotated[Path, typer.Argument(help="New or empty folder for the cohort.")],
    subjects: Annotated[
        int, typer.Option(help="Number of subjects; with 12 or more, every class occurs.")
    ] = 24,
    size: Annotated[int, typer.Option(help="Voxels across the image, 24 or more.")] = 32,
    seed: Annotated[int, typer.Option(help="Random seed; the same seed writes the same bytes.")] = 0,
    dims: Annotated[int, typer.Option(help="Dimensions of the images: 2 (PNG) or 3 (NIfTI).")] = 3,
    visits: Annotated[int, typer.Option(help="Visits per subject; the task `response` needs two.")] = 2,
    sites: Annotated[int, typer.Option(help="Sites that share the subjects, 1 to 4.")] = 2,
    tasks: Annotated[
        str | None, typer.Option(help="Only these tasks, e.g. lesion,grade (or relapse).")
    ] = None,
    slides: Annotated[
        bool, typer.Option("--slides", help="Also write one whole-slide image per subject (biopsy).")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace an earlier phantom.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON document about what was written.")
    ] = False,
) -> None:
    """Write a synthetic cohort with known truth: all task kinds, two sites, unknown cells."""
    import json

    from rich.console import Console
    from rich.progress import Progress, TimeRemainingColumn

    from polytask.cohort.phantom.generator import make_phantom
    from polytask.cohort.phantom.phantom_header import select_phantom_tasks

    chosen_tasks = select_phantom_tasks(
        None if tasks is None else [name.strip() for name in tasks.split(",") if name.strip()], visits
    )
    cases = 0
    with Progress(
        *Progress.get_default_columns()[:-1], TimeRemainingColumn(), console=Console(stderr=True)
    ) as bar:

        def show_progress(done: int, total: int) -> None:
            nonlocal cases
            if not cases:
                bar.add_task(f"writing {folder}")
            cases = total
            bar.update(bar.task_ids[0], completed=done, total=total)

        size_of = cast(Literal[2, 3], dims)
        written = make_phantom(
            folder, subjects, size, seed, size_of, visits, chosen_tasks, sites, force, show_progress, slides
        )
    if as_json:
        print(
            json.dumps(
                {"cohort": str(written), "subjects": subjects, "cases": cases, "tasks": list(chosen_tasks)}
            )
        )
    else:
        print(f"{written}: {subjects} subjects, {cases} cases, tasks {', '.join(chosen_tasks)}")
        print(f"next: polytask check {folder}")
