"""Checks before a prediction: files that cannot be read are found before the first answer is written."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from polytask.cohort.cell_values import image_paths, slide_path
from polytask.cohort.cohort import Case, Cohort
from polytask.cohort.header import ImageInput
from polytask.errors import PolytaskError
from polytask.images.bag_files import find_bag_reader
from polytask.images.formats import probe_image_file
from polytask.images.slides import open_slide
from polytask.plan.plan_schema import ImagePlan, Plan
from polytask.prepare.finding_places import ensure_place_columns, parse_place_cell


def ensure_inputs_readable(cohort: Cohort, plan: Plan) -> None:
    """Refuse images and slides that cannot be read, and images that lack a channel which was never missing in training.

    A case without any file of an image is accepted where the model reads other inputs. Only headers are read. The error
    is one line: the first problem, and the number of cases that have one.
    """
    ensure_place_columns(cohort, plan.shared.images)
    # Only the first problem of each case: the generator is not run further, which saves reading its other files.
    problems = [
        problem for case in cohort.cases if (problem := next(_find_case_problems(cohort, case, plan), ""))
    ]
    if problems:
        more = f" ({len(problems)} cases have such a problem)" if len(problems) > 1 else ""
        raise PolytaskError(f"{problems[0]}{more}")


def _find_case_problems(cohort: Cohort, case: Case, plan: Plan) -> Iterator[str]:
    row = f"{cohort.table}, row {case.row}, " if case.row else ""
    where = f"{row}subject {case.subject}" + (f", visit {case.visit}" if case.visit else "")
    for name, image in cohort.header.images.items():
        paths = image_paths(cohort, case, name)
        missing = [channel for channel, path in paths.items() if path is None]
        absent = len(missing) == len(paths) and len(cohort.header.inputs) > 1
        if missing and not absent and not plan.shared.images[name].channel_flags:
            yield (
                f"{where}: channel {name}.{missing[0]} is missing, but every training case had it; give its file, or "
                "train with cases that lack it"
            )
        present = [p for p in paths.values() if p is not None]
        yield from _find_unreadable_images(where, image, present)
        yield from _find_bad_places(cohort, case, plan.shared.images[name], present, f"{where}, {name}")
    for name, slide in cohort.header.slides.items():
        if (path := slide_path(cohort, case, name)) is not None:
            try:
                if slide.features is not None:
                    find_bag_reader(path)
                else:
                    with open_slide(path):
                        pass
            except PolytaskError as error:
                yield f"{where}: {error}"


def _find_bad_places(
    cohort: Cohort, case: Case, image: ImagePlan, paths: list[Path], where: str
) -> Iterator[str]:
    """Yield what is wrong with the cell that says where findings lie, if the plan reads one."""
    column = image.roi.column if image.roi else None
    cell = case.cells.get(column) if column else None
    if image.roi and cell and paths:
        try:
            grid = probe_image_file(paths[0], image.dims).grid
            parse_place_cell(cell, cohort.path(cell) or Path(cell), grid, image.roi.count, where)
        except PolytaskError as error:
            yield str(error)


def _find_unreadable_images(where: str, image: ImageInput, paths: list[Path]) -> Iterator[str]:
    for path in paths:
        try:
            probe_image_file(path, image.dims)
        except PolytaskError as error:
            yield f"{where}: {error}"
