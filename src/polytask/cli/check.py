"""`polytask check`: every problem of a cohort at once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def check(
    folder: Annotated[Path, typer.Argument(help="A cohort: cohort.yaml and cases.csv.")],
    images: Annotated[bool, typer.Option(help="Read every image and mask too.")] = True,
    folds: Annotated[
        int, typer.Option(help="Planned number of folds: classes with fewer subjects get a warning.", min=2)
    ] = 5,
    jobs: Annotated[
        int | None,
        typer.Option(help="Number of threads that read files; default: one per core, at most 8.", min=1),
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Print each problem on its own line.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """List every problem of a cohort, with file, row and remedy. The exit code is 1 if there are errors, else 0.

    More than three problems of one kind become one line with their number and three examples; --all prints each.
    """
    from polytask.cli import print_json
    from polytask.cli.progress_bar import make_transient_bar
    from polytask.cohort.check import check_cohort
    from polytask.cohort.problem_groups import ProblemGroup, group_problems

    with make_transient_bar() as bar:
        line = bar.add_task("check", total=None)
        problems = check_cohort(
            folder, images, folds, jobs, lambda done, total: bar.update(line, completed=done, total=total)
        )
    errors = sum(p.level == "error" for p in problems)
    warnings = len(problems) - errors
    groups = [ProblemGroup((p,)) for p in problems] if every else group_problems(problems)
    if as_json:
        print_json({"errors": errors, "warnings": warnings, "problems": [g.as_dict() for g in groups]})
    else:
        for group in groups:
            print(group)
        print(f"{folder}: {errors} error{'s' * (errors != 1)}, {warnings} warning{'s' * (warnings != 1)}")
        if not errors:
            print(f"next: polytask plan {folder} -o WORK")
    # Warnings alone leave with 0, so that a script may go on with the cohort.
    raise typer.Exit(1 if errors else 0)
