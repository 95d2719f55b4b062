"""Import a JSON list of cases as the Medical Segmentation Decathlon and MONAI write it."""

from __future__ import annotations

from collections.abc import Sequence
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
from polytask.cohort.importers.foreign_words import EMPTY_CELL_WORDS
from polytask.cohort.importers.import_options import parse_sources, parse_stated_tasks, parse_task_words
from polytask.cohort.importers.probe_files import find_mask_labels, probe_image_shape
from polytask.cohort.importers.target_table import TargetOptions, add_targets
from polytask.documents.json_reader import read_json
from polytask.errors import PolytaskError
from polytask.images.formats import find_image_ending
from polytask.images.plane_paths import make_plane_path

DECATHLON_INPUT, DECATHLON_MASK = "image", "mask"
_DECATHLON_KEYS = ("image", "label", "fold", "subject")


@dataclass(frozen=True)
class DecathlonCase:
    """One case of the file. `cells` holds its other keys as text; values that mean unknown are empty."""

    case: str
    part: str
    images: list[Path]
    mask: Path | None
    cells: dict[str, str]
    fold: int | None


def import_decathlon(
    file: str | Path,
    out: str | Path | None = None,
    *,
    tasks: Sequence[str] = (),
    inputs: Sequence[str] = (),
    skip: Sequence[str] = (),
    unknown: Sequence[str] = (),
    units: Sequence[str] = (),
    accept_loss: Sequence[str] = (),
    known: Sequence[str] = (),
    overwrite: bool = False,
) -> ImportedCohort:
    """Write a cohort beside a Decathlon or MONAI list.

    Cases of `training` and `validation` are for training, those of `test` are the test part. `validation`, or a number
    `fold` in the entries, becomes `splits_final.json`. Other keys of an entry are targets, inferred like the columns of
    a table; a `label` that is not a file is one of them, too. `known` (`mask=KEY`) says which structures of a mask are
    drawn: a list of names, or names joined by `;`.
    """
    file = Path(file)
    content = _read_decathlon_file(file)
    draft = CohortDraft(str(content.get("name") or file.stem))
    words = {*EMPTY_CELL_WORDS, *unknown}
    lists = {source.source for source in parse_sources("--known", known)} | {f"{DECATHLON_MASK}_known"}
    items = _parse_decathlon_cases(file, content, words, lists)
    names = (content.get("modality") or content.get("channel_names") or {"0": "image"}).values()
    dims, planes = probe_image_shape(items[0].images[0])
    most = max(len(item.images) for item in items)
    image, numbers = make_image_input(
        [str(n) for n in names], most, dims, planes, file, draft.notes, together=True
    )
    draft.inputs[DECATHLON_INPUT] = image
    # One 4-D file with all channels: each channel becomes a path that names its plane, the file is not copied.
    split = planes > 1 and len(numbers) == planes
    _add_masks(draft, content, [item.mask for item in items if item.mask is not None], dims, file)
    for item in items:
        row: DraftCells = {"subject": item.case, "split": "test" if item.part == "test" else "train"}
        row |= _make_channel_cells(item, numbers, split)
        draft.rows.append(row | ({DECATHLON_MASK: item.mask} if item.mask is not None else {}))
    columns = tuple(dict.fromkeys(k for item in items for k in item.cells))
    if columns:
        rows = tuple({**item.cells, "case": item.case, "subject": item.case} for item in items)
        sheet = ForeignSheet(file, columns, rows, {"subject": "subject"})
        chosen = TargetOptions(
            parse_stated_tasks(tasks),
            tuple(inputs),
            tuple(skip),
            parse_task_words("--unit", units),
            accept_loss,
            parse_sources("--known", known),
        )
        add_targets(draft, sheet, [item.case for item in items], chosen)
    elif tasks or inputs or known:
        raise PolytaskError(
            f"{file}: no entry has a key besides image and label, but --task, --input and --known need one; leave "
            "these options out"
        )
    draft.splits = _list_given_folds(items)
    if draft.splits:
        draft.notes.append(f"splits_final.json: {len(draft.splits)} fold(s) from `validation` or `fold`")
    return draft.write(Path(out) if out is not None else choose_cohort_folder(file), overwrite)


def _read_decathlon_file(file: Path) -> dict[str, Any]:
    """Read the file, or raise if it has no list of training cases."""
    content = read_json(file)
    if isinstance(content, dict) and isinstance(content.get("training"), list) and content["training"]:
        return content
    raise PolytaskError(
        f"{file}: expected a list `training` of {{image, label}}; replace it with a Decathlon file"
    )


def _parse_decathlon_cases(
    file: Path, content: dict[str, Any], unknown: set[str], lists: set[str]
) -> list[DecathlonCase]:
    """Parse the cases of all three parts of the file; raises if two have the same name."""
    items = [
        _parse_decathlon_case(file, part, entry, unknown, lists)
        for part in ("training", "validation", "test")
        for entry in content.get(part) or []
    ]
    ids = [item.case for item in items]
    if len(set(ids)) < len(ids):
        twice = next(i for i in ids if ids.count(i) > 1)
        raise PolytaskError(
            f"{file}: two cases are called {twice!r}; expected different names; add a key `subject` to tell them "
            "apart"
        )
    return items


def _make_channel_cells(item: DecathlonCase, numbers: dict[int, str], split: bool) -> DraftCells:
    """Make the cells of the image channels; with `split` each one names a plane of the only file."""
    if split:
        return {
            f"{DECATHLON_INPUT}.{name}": make_plane_path(item.images[0], n) for n, name in numbers.items()
        }
    return {
        f"{DECATHLON_INPUT}.{name}": item.images[n] for n, name in numbers.items() if n < len(item.images)
    }


def _parse_decathlon_case(
    file: Path, part: str, entry: Any, unknown: set[str], lists: set[str]
) -> DecathlonCase:
    """Parse one entry of the file; a bare path or list of paths is an image without a mask.

    Args:
        part: `training`, `validation` or `test`.
        unknown: words that mean an unknown value.
        lists: keys whose value may be a list of names; they are joined by `;`.
    """
    entry = {"image": entry} if isinstance(entry, str | list) else entry
    image = entry.get("image") if isinstance(entry, dict) else None
    listed = image if isinstance(image, list) else [image]
    if not listed or not all(isinstance(p, str) and p for p in listed):
        raise PolytaskError(
            f"{file}: an entry of `{part}` has no `image`; expected {{image, label}}; correct {str(entry)[:80]}"
        )
    images = [file.parent / str(p) for p in listed]
    label = entry.get("label")
    mask = file.parent / label if isinstance(label, str) and find_image_ending(label) is not None else None
    entry = {k: ";".join(map(str, v)) if k in lists and isinstance(v, list) else v for k, v in entry.items()}
    cells = {
        k: _format_json_cell(v)
        for k, v in entry.items()
        if k not in _DECATHLON_KEYS and not isinstance(v, list | dict)
    }
    if mask is None and label is not None:
        cells["label"] = _format_json_cell(label)
    cells = {k: "" if v in unknown else v for k, v in cells.items()}
    fold = entry.get("fold")
    return DecathlonCase(
        str(entry.get("subject") or _make_case_name(images[0])),
        part,
        images,
        mask,
        cells,
        fold if isinstance(fold, int) else None,
    )


def _add_masks(draft: CohortDraft, content: dict[str, Any], masks: list[Path], dims: int, file: Path) -> None:
    """Add the segmentation task, with the labels of the file or else those found in the first masks."""
    if not masks:
        return
    if isinstance(content.get("labels"), dict):
        labels, ignore = parse_label_entries(content["labels"], file)
    else:
        labels, ignore = {f"label_{v}": v for v in find_mask_labels(masks, dims)}, None
        draft.notes.append(f"`labels` is missing: the first masks hold {list_examples(labels.values())}")
    draft.tasks[DECATHLON_MASK] = SegmentationSpec.model_validate(
        {"kind": "segmentation", "image": DECATHLON_INPUT, "labels": labels, "ignore": ignore}
    )
    draft.notes.append(f"task {DECATHLON_MASK!r}: labels {labels}")


def _list_given_folds(items: list[DecathlonCase]) -> list[dict[str, list[str]]] | None:
    """List the folds that the file holds, as nnU-Net writes them; None if it holds none."""
    train = [item for item in items if item.part == "training"]
    val = [item.case for item in items if item.part == "validation"]
    if val:
        return [{"train": [item.case for item in train], "val": val}]
    if any(item.fold is None for item in train):
        return None
    return [
        {
            "train": [item.case for item in train if item.fold != fold],
            "val": [item.case for item in train if item.fold == fold],
        }
        for fold in sorted({item.fold for item in train if item.fold is not None})
    ]


def _format_json_cell(value: Any) -> str:
    if value is None:
        return ""
    # bool before str(): "True" is not a label, while 1 and 0 are read as yes and no.
    return str(int(value)) if isinstance(value, bool) else str(value)


def _make_case_name(path: Path) -> str:
    return (
        path.name.removesuffix(path.name[-len(find_image_ending(path) or "") :])
        if find_image_ending(path)
        else path.name
    )
