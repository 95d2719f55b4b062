"""Reads the input of `predict`: a cohort folder, a table, or a plain folder of images."""

from __future__ import annotations

import re
from pathlib import Path

from polytask.cohort.case_loading import mark_similar_keys
from polytask.cohort.cohort import Case, Cohort
from polytask.cohort.header import Header
from polytask.documents.special_files import name_special_file
from polytask.errors import PolytaskError
from polytask.images.formats import FORMATS, find_image_ending

CHANNEL_FILE_PATTERN = re.compile(r"^(?P<case>.+)_(?P<channel>\d{4})$")
"""File names of nnU-Net, `CASE_0000`: the last four digits are the number of the channel."""


def read_inputs(source: Path, header: Header) -> Cohort:
    """Read the cases of a cohort folder, a table or a folder of images, under the model's header."""
    if source.is_file():
        return _refuse_absent_columns(Cohort.from_table(header, source), header)
    if kind := name_special_file(source):
        raise PolytaskError(
            f"{source}: is {kind}; expected a cohort, a table or a folder of images; save its content to a file first"
        )
    if not source.is_dir():
        raise PolytaskError(
            f"{source}: no such file or folder; expected a cohort, a table or a folder of images"
        )
    if (source / "cohort.yaml").exists():
        cohort = Cohort.read(source)
        # The new cohort's own header may name other tasks or inputs; only its rows are used.
        under = Cohort(header, cohort.root, cohort.table, cohort.columns, cohort.cases)
        return _refuse_absent_columns(_refuse_unknown_visits(under, header), header)
    return read_plain_folder(source, header)


def read_plain_folder(folder: Path, header: Header) -> Cohort:
    """Read a folder of images as a cohort.

    It holds files `CASE_0000.nii.gz` (channel 0, 1, … in the header's order), or `CASE.nii.gz` when there is one
    channel, or one subfolder with a DICOM series per case.
    """
    if len(header.images) != 1:
        raise PolytaskError(
            f"{folder}: a plain folder can only feed a model with one image input; this one reads "
            f"{', '.join(header.images) or 'none'}: give a table instead"
        )
    name, image = next(iter(header.images.items()))
    channels = list(image.channels)
    cells: dict[str, dict[str, str]] = {}
    for path in sorted(folder.iterdir()):
        ending = find_image_ending(path)
        if ending is None or path.name.startswith("."):
            continue
        stem = path.name if ending == "/" else path.name[: -len(ending)]
        match = CHANNEL_FILE_PATTERN.match(stem)
        case, number = (match["case"], int(match["channel"])) if match else (stem, 0)
        if not match and len(channels) > 1:
            raise PolytaskError(
                f"{path}: the model reads {len(channels)} channels ({', '.join(channels)}); name the files "
                "CASE_0000, CASE_0001, …, or give a table"
            )
        if number >= len(channels):
            raise PolytaskError(f"{path}: channel {number}, but the model reads {len(channels)}")
        column = f"{name}.{channels[number]}"
        if column in cells.setdefault(case, {}):
            raise PolytaskError(f"{path}: a second file for channel {channels[number]} of case {case}")
        cells[case][column] = path.name
    if not cells:
        known = ", ".join(e for e in FORMATS if e != "/")
        raise PolytaskError(f"{folder}: no image here; expected files ending in {known}, or DICOM subfolders")
    cases = [
        Case(
            subject=case,
            visit=(header.visits or [""])[0],
            day=None,
            site="",
            test=False,
            row=0,
            cells=row,
        )
        for case, row in cells.items()
    ]
    columns = tuple(dict.fromkeys(c for row in cells.values() for c in row))
    return Cohort(header, folder, folder / "(folder)", columns, tuple(mark_similar_keys(cases)))


def _refuse_unknown_visits(cohort: Cohort, header: Header) -> Cohort:
    """Refuse visits that the model was not trained on; return the cohort."""
    names = header.visits or []
    first_visits: dict[str, str] = {}
    for case in cohort.cases:
        first = first_visits.setdefault(case.subject, case.visit)
        if (names and case.visit not in names) or (not names and first != case.visit):
            learned = f"visits {', '.join(names)}" if names else "one visit per subject"
            raise PolytaskError(
                f"{cohort.table}, row {case.row}, subject {case.subject}: visit {case.visit!r}, but the model was "
                f"trained on {learned}; leave the row out, or train on a cohort that has it"
            )
    return cohort


def _refuse_absent_columns(cohort: Cohort, header: Header) -> Cohort:
    """Refuse a table without any column of an image input, or of any slide where the model reads no images."""
    for name, image in header.images.items():
        columns = [f"{name}.{c}" for c in image.channels]
        if not any(c in cohort.columns for c in columns):
            raise PolytaskError(
                f"{cohort.table}: no column {' or '.join(columns)}; the model reads image {name!r} from there "
                "(leave its cells empty to predict without it)"
            )
    slides = list(header.slides)
    if slides and not header.images and not any(s in cohort.columns for s in slides):
        raise PolytaskError(
            f"{cohort.table}: no column {' or '.join(slides)}; the model reads slides from there; add the column"
        )
    return cohort
