"""Import a raw data set of nnU-Net (v1 or v2): `dataset.json`, `imagesTr`, `labelsTr`, `imagesTs`, `targets.tsv`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from polytask.cohort.header import SegmentationSpec
from polytask.cohort.importers.channel_entries import make_image_input, parse_label_entries
from polytask.cohort.importers.cohort_draft import (
    CohortDraft,
    DraftCells,
    ImportedCohort,
    choose_cohort_folder,
    list_examples,
)
from polytask.cohort.importers.foreign_sheet import ForeignSheet
from polytask.cohort.importers.import_options import parse_sources, parse_stated_tasks, parse_task_words
from polytask.cohort.importers.probe_files import probe_image_shape
from polytask.cohort.importers.read_sheet import read_sheet
from polytask.cohort.importers.target_table import TargetOptions, add_targets
from polytask.cohort.importers.text_form import TextForm
from polytask.cohort.nnunet_splits import NNUNET_SPLITS_FILE as SPLITS
from polytask.documents.json_reader import read_json
from polytask.errors import PolytaskError

NNUNET_INPUT, NNUNET_MASK = "image", "mask"
"""Names of the image input and of the segmentation task in the header."""


@dataclass
class NnunetCase:
    """One case: its files by channel number, its mask (None = unknown), and whether it is from `imagesTs`."""

    case: str
    images: dict[int, Path]
    mask: Path | None
    test: bool


def import_nnunet(
    folder: str | Path,
    out: str | Path | None = None,
    *,
    targets: str | Path | None = None,
    tasks: Sequence[str] = (),
    inputs: Sequence[str] = (),
    skip: Sequence[str] = (),
    unknown: Sequence[str] = (),
    units: Sequence[str] = (),
    accept_loss: Sequence[str] = (),
    known: Sequence[str] = (),
    columns: Mapping[str, str] | None = None,
    form: TextForm = TextForm(),
    overwrite: bool = False,
) -> ImportedCohort:
    """Write a cohort beside an nnU-Net folder.

    Args:
        targets: table of the other tasks; its first column is the case (default: `targets.tsv` or `.csv` in the
            folder).
        tasks: stated tasks, `NAME=KIND[:WORD,WORD][@COLUMN][/LEVEL]`; tasks of other columns are inferred.
        inputs: columns of `targets` that are inputs, not targets.
        skip: columns of `targets` to leave out.
        unknown: further words that mean an empty cell.
        units: `TASK=UNIT`. accept_loss: tasks that may lose more than 5 % of their cells.
        known: `mask=COLUMN` with the names of drawn structures joined by `;`, or `mask=has_*` with a flag for each
            structure; a column `mask_known` is used without being stated.
        columns: subject, visit, day, site, split → column of `targets`.
        form: encoding, separator and decimal sign of `targets`, where they cannot be found automatically.
    """
    folder = Path(folder)
    content, channels = _read_dataset_file(folder / "dataset.json")
    draft = CohortDraft(str(content.get("name") or folder.resolve().name))
    scans = _list_nnunet_cases(folder, content, draft.notes)
    stated_count = content.get("numTraining")
    count = sum(not s.test for s in scans)
    if isinstance(stated_count, int) and stated_count != count:
        draft.notes.append(
            f"dataset.json says numTraining {stated_count}, but there are {count} training cases"
        )
    names = [str(channels[key]) for key in sorted(channels, key=_parse_channel_number)]
    first = next(path for scan in scans for path in scan.images.values())
    dims, planes = probe_image_shape(first)
    files = max(len(scan.images) for scan in scans)
    image, numbers = make_image_input(names, files, dims, planes, folder / "dataset.json", draft.notes)
    draft.inputs[NNUNET_INPUT] = image
    labels, ignore = parse_label_entries(content["labels"], folder / "dataset.json")
    draft.tasks[NNUNET_MASK] = SegmentationSpec.model_validate(
        {"kind": "segmentation", "image": NNUNET_INPUT, "labels": labels, "ignore": ignore}
    )
    draft.notes.append(
        f"task {NNUNET_MASK!r}: labels {labels}" + (f", ignore {ignore}" if ignore is not None else "")
    )
    for scan in scans:
        row: DraftCells = {"subject": scan.case, "split": "test" if scan.test else "train"}
        row |= {f"{NNUNET_INPUT}.{name}": scan.images[n] for n, name in numbers.items() if n in scan.images}
        if scan.mask is not None:
            row[NNUNET_MASK] = scan.mask
        draft.rows.append(row)
    sheet = _read_target_table(folder, targets, unknown, dict(columns or {}), form)
    if sheet is not None:
        chosen = TargetOptions(
            parse_stated_tasks(tasks),
            tuple(inputs),
            tuple(skip),
            parse_task_words("--unit", units),
            accept_loss,
            parse_sources("--known", known),
        )
        add_targets(draft, sheet, [s.case for s in scans], chosen)
    elif tasks or inputs or known:
        raise PolytaskError(
            f"{folder}: no targets.tsv for --task, --input and --known; expected one; name it with --targets"
        )
    if (folder / SPLITS).is_file():
        draft.splits = read_json(folder / SPLITS)
        draft.notes.append(f"{SPLITS} is copied: its `val` becomes held_out")
    return draft.write(Path(out) if out is not None else choose_cohort_folder(folder), overwrite)


def _read_dataset_file(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Read `dataset.json`. Returns (its content, channel number → channel name)."""
    content = read_json(path)
    if not isinstance(content, dict):
        raise PolytaskError(f"{path}: expected keys and values; replace it with nnU-Net's file")
    channels = content.get("channel_names", content.get("modality"))
    if not isinstance(channels, dict) or not isinstance(content.get("labels"), dict):
        raise PolytaskError(f"{path}: expected `channel_names` and `labels`; add them in the form of nnU-Net")
    return content, channels


def _list_nnunet_cases(folder: Path, content: dict[str, Any], notes: list[str]) -> list[NnunetCase]:
    """List all cases: training cases first, then test cases, each sorted by name."""
    ending = str(content.get("file_ending") or ".nii.gz")
    cases: dict[tuple[bool, str], NnunetCase] = {}
    strays: list[str] = []
    for images, masks, test in (("imagesTr", "labelsTr", False), ("imagesTs", "labelsTs", True)):
        pattern = re.compile(r"(?P<case>.+)_(?P<channel>\d{4})" + re.escape(ending))
        for path in sorted((folder / images).glob(f"*{ending}")) if (folder / images).is_dir() else []:
            match = pattern.fullmatch(path.name)
            if match is None:
                strays.append(f"{images}/{path.name}")
                continue
            mask = folder / masks / f"{match['case']}{ending}"
            scan = cases.setdefault(
                (test, match["case"]), NnunetCase(match["case"], {}, mask if mask.is_file() else None, test)
            )
            scan.images[int(match["channel"])] = path
    for case, files in (content["dataset"] if isinstance(content.get("dataset"), dict) else {}).items():
        channel_files = [folder / name for name in files["images"]]
        label = folder / files["label"] if files.get("label") else None
        cases[False, case] = NnunetCase(case, dict(enumerate(channel_files)), label, False)
    if strays:
        notes.append(f"files without the ending _0000{ending} are left out: {list_examples(strays)}")
    if on_both_sides := sorted({c for t, c in cases if t} & {c for t, c in cases if not t}):
        raise PolytaskError(
            f"{folder}: case {on_both_sides[0]} is in imagesTr and in imagesTs; expected different cases; rename one"
        )
    if not any(not test for test, _ in cases):
        raise PolytaskError(
            f"{folder}: no image in imagesTr; expected names like case_0000{ending}; correct "
            "`file_ending` or the folder"
        )
    scans = [cases[key] for key in sorted(cases)]
    known = {scan.mask.name for scan in scans if scan.mask is not None}
    files = sorted((folder / "labelsTr").glob(f"*{ending}")) if (folder / "labelsTr").is_dir() else []
    if lonely := [p.name for p in files if p.name not in known]:
        notes.append(f"{len(lonely)} masks have no image and are left out: {list_examples(lonely)}")
    if blank := [s.case for s in scans if s.mask is None and not s.test]:
        notes.append(f"{len(blank)} training cases have no mask (unknown): {list_examples(blank)}")
    return scans


def _read_target_table(
    folder: Path, path: str | Path | None, unknown: Sequence[str], columns: dict[str, str], form: TextForm
) -> ForeignSheet | None:
    """Read the table of targets, if there is one.

    Its first column is the case. A column `subject` says which cases belong to the same subject.
    """
    places = [Path(path)] if path is not None else [folder / "targets.tsv", folder / "targets.csv"]
    table = next((p for p in places if p.is_file()), None)
    if table is None:
        if path is not None:
            raise PolytaskError(f"{path}: no such file; expected the table of targets; correct --targets")
        return None
    return read_sheet(table, columns, unknown, case=True, form=form)


def _parse_channel_number(key: str) -> int:
    """Parse the number of a channel; as text, "10" would sort before "2"."""
    if not str(key).isdigit():
        raise PolytaskError(
            f"dataset.json: channel {key!r} is not a number; expected 0, 1, …; correct `channel_names`"
        )
    return int(key)
