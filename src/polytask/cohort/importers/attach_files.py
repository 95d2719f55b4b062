"""Add the images, masks, doses and regions of a foreign table to a draft: as inputs, tasks and cells."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from polytask.cohort.header import DoseSpec, ImageInput, MaskSpec, Modality, SegmentationSpec, VoxelSpec
from polytask.cohort.importers.cohort_draft import CohortDraft, list_examples
from polytask.cohort.importers.column_notes import ColumnNote
from polytask.cohort.importers.drawn_structures import read_drawn_structures, write_drawn_structures
from polytask.cohort.importers.file_options import FileOptions
from polytask.cohort.importers.foreign_sheet import ForeignSheet
from polytask.cohort.importers.foreign_words import guess_modality, make_clean_name
from polytask.cohort.importers.guess_files import guess_file_columns
from polytask.cohort.importers.import_options import FileSource
from polytask.cohort.importers.imported_tasks import ImportedTasks
from polytask.cohort.importers.locate_files import locate_row_files, require_existing_files
from polytask.cohort.importers.probe_files import find_mask_labels, probe_image_shape
from polytask.cohort.importers.side_pairs import find_side_pairs
from polytask.errors import PolytaskError, suggest_word
from polytask.images.plane_paths import make_plane_path


def attach_files(
    draft: CohortDraft, sheet: ForeignSheet, root: Path, imported: ImportedTasks, stated: FileOptions
) -> None:
    """Put paths of files into the rows of a draft, and their inputs and tasks into its header.

    Args:
        root: folder to which paths are relative.
        stated: options about files; columns of files that nobody stated are added to it.
    """
    # Order matters: a mask needs the image on which it lies, a dose the masks of its DVH, a region its task.
    guess_file_columns(sheet, imported, stated)
    imported.used |= {word for word in stated.columns if "{" not in word}
    image, dims = _add_image_inputs(draft, sheet, root, stated)
    if not image and stated.columns:
        remedy = "add --image scan.CHANNEL=COLUMN"
        raise PolytaskError(
            f"{sheet.path}: masks or doses, but no image; expected the image on which they lie; {remedy}"
        )
    for source in stated.masks:
        name, paths = make_clean_name(source.name), locate_row_files(sheet, source, root, draft.notes)
        task, text = _make_mask_task(
            name, image, dims, require_existing_files(sheet, source, paths, root), stated
        )
        draft.tasks[name] = task
        _add_task_note(draft, "segmentation", f"task {name!r}: {text}, from {source.source!r}")
        _set_column_paths(draft, name, paths)
    for source in stated.doses:
        name = make_clean_name(source.name)
        draft.tasks[name] = _make_dose_task(draft, sheet, name, image, stated)
        _set_column_paths(draft, name, locate_row_files(sheet, source, root, draft.notes))
    for source in stated.regions:
        name = _find_owner_task(draft, source, "--region", VoxelSpec)
        region = FileSource(f"{name}_region", source.source)
        _set_column_paths(draft, region.name, locate_row_files(sheet, region, root, draft.notes))
        _add_task_note(draft, "region", f"task {name!r}: counts only inside the region of {source.source!r}")
    for source in stated.known:
        name = _find_owner_task(draft, source, "--known", MaskSpec)
        mask = draft.tasks[name]
        assert isinstance(mask, MaskSpec)
        write_drawn_structures(draft.rows, name, read_drawn_structures(sheet, source, mask, imported))
        _add_task_note(draft, "known", f"task {name!r}: which structures are drawn, from {source.source!r}")


def _add_image_inputs(
    draft: CohortDraft, sheet: ForeignSheet, root: Path, stated: FileOptions
) -> tuple[str, int]:
    """Add the image inputs. Returns name and dims of the first one, on which masks and doses lie."""
    channels: dict[str, dict[str, str]] = {}
    dims: dict[str, int] = {}
    for source in stated.images:
        place, _, stated_modality = source.name.partition(":")
        owner, _, channel = place.rpartition(".")
        owner, channel = make_clean_name(owner or "scan"), make_clean_name(channel)
        paths = locate_row_files(sheet, source, root, draft.notes)
        dims[owner], planes = probe_image_shape(require_existing_files(sheet, source, paths, root)[0])
        # Only the first file is opened: opening all files of a large cohort takes long, and `check` does it later.
        guess = "RGB" if planes in (3, 4) and dims[owner] == 2 else guess_modality(channel)
        channels.setdefault(owner, {})[channel] = stated_modality or guess
        _add_task_note(
            draft,
            "image",
            f"image {owner!r}, channel {channel!r}: {channels[owner][channel]}, {dims[owner]}D, files of "
            f"{source.source!r}",
        )
        _set_column_paths(draft, f"{owner}.{channel}", paths)
    mirrored: dict[str, list[tuple[str, str]]] = {}
    for group in stated.contours:
        source = FileSource(f"{group.input}.{group.names[0]}", group.source)
        paths = locate_row_files(sheet, source, root, draft.notes)
        own, planes = probe_image_shape(require_existing_files(sheet, source, paths, root)[0])
        if planes != len(group.names):
            raise PolytaskError(
                f"--contours {group.input}={group.source}: the file holds {planes} planes, but {len(group.names)} "
                "names are given; expected a name for each plane, in order; correct the names"
            )
        dims.setdefault(group.input, own)
        for plane, name in enumerate(group.names):
            channels.setdefault(group.input, {})[name] = "mask"
            _set_column_paths(
                draft,
                f"{group.input}.{name}",
                [None if p is None else make_plane_path(p, plane) for p in paths],
            )
        pairs = find_side_pairs(group.names)
        mirrored.setdefault(group.input, []).extend(pairs)
        text = (
            f"channels {list_examples(group.names)}: the planes of {group.source!r}, each a "
            f"mask{_describe_side_pairs(pairs)}"
        )
        _add_task_note(draft, "image", f"image {group.input!r}, {text}")
    known = get_args(Modality)
    for owner, modalities in channels.items():
        if wrong := [m for m in modalities.values() if m not in known]:
            raise PolytaskError(
                f"--image {owner}: unknown modality {wrong[0]!r}; expected how the image was acquired; "
                f"use {', '.join(known[:-1])} or {known[-1]}"
            )
        pairs = mirrored.get(owner, [])
        content = {"kind": "image", "dims": dims[owner], "channels": modalities, "mirror": pairs}
        draft.inputs[owner] = ImageInput.model_validate(content)
    owner = next(iter(channels), "")
    return owner, dims.get(owner, 3)


def _make_mask_task(
    name: str, image: str, dims: int, existing: Sequence[Path], stated: FileOptions
) -> tuple[SegmentationSpec, str]:
    """Make the segmentation task of a mask, with labels or structures as stated or as found in the first masks.

    Returns:
        (task, description for a note).
    """
    labels, structures = stated.labels.get(name), stated.structures.get(name)
    how = "stated"
    if structures is None and labels is None:
        planes = probe_image_shape(existing[0])[1]
        if planes > 1:
            raise PolytaskError(
                f"--mask {name}: {existing[0].name} holds {planes} masks; expected the name of each, in order; add "
                f"--structures {name}=NAME,NAME"
            )
        values = find_mask_labels(existing, dims)
        if not values:
            remedy = f"add --labels {name}=NAME:VALUE"
            raise PolytaskError(f"--mask {name}: the masks are all empty; expected labels; {remedy}")
        labels = {name: values[0]} if len(values) == 1 else {f"{name}_{v}": v for v in values}
        how = f"found in the first masks; --labels {name}=NAME:VALUE names them"
    pairs = find_side_pairs(list(labels or structures or []))
    content = {
        "kind": "segmentation",
        "image": image,
        "labels": labels,
        "structures": structures,
        "mirror": pairs,
    }
    what = f"labels {labels}" if labels is not None else f"structures {', '.join(structures or [])}"
    return SegmentationSpec.model_validate(content), f"{what} ({how}{_describe_side_pairs(pairs)})"


def _describe_side_pairs(pairs: Sequence[tuple[str, str]]) -> str:
    """Describe for a note which structures are mirror images of each other; "" if there are none."""
    examples = list_examples([f"{a}/{b}" for a, b in pairs])
    return f"; {examples} change places when an image is flipped" if pairs else ""


def _make_dose_task(
    draft: CohortDraft, sheet: ForeignSheet, name: str, image: str, stated: FileOptions
) -> DoseSpec:
    """Make a dose task with its unit and the mask task whose structures give its dose-volume histogram (DVH).

    If no mask task is stated, the only one with structures on the same image is taken.
    """
    drawn = {k: t for k, t in draft.tasks.items() if isinstance(t, MaskSpec) and t.image == image}
    masks = list(drawn)
    overlapping = [k for k, t in drawn.items() if t.structures]
    dvh = make_clean_name(stated.dvh[name]) if name in stated.dvh else ""
    if dvh and dvh not in masks:
        raise PolytaskError(f"--dvh {name}={dvh}: no mask has this name; {suggest_word(dvh, masks)}")
    how = "stated" if dvh else "the only mask with structures"
    if not dvh and len(overlapping) == 1:
        dvh = overlapping[0]
    unit = stated.units.get(name, "")
    unit_text = f"in {unit}" if unit else f"without a unit (--unit {name}=Gy states it)"
    over = f", DVH over {dvh!r} ({how})" if dvh else f", no DVH (--dvh {name}=MASK names its structures)"
    _add_task_note(draft, "dose", f"task {name!r}: dose on {image!r} {unit_text}{over}")
    return DoseSpec(kind="dose", image=image, unit=unit, structures=dvh or None)


def _find_owner_task(draft: CohortDraft, source: FileSource, flag: str, form: type[VoxelSpec]) -> str:
    """Find the task to which a region or a list of known structures belongs, or raise if there is none."""
    name = make_clean_name(source.name)
    fitting = [k for k, task in draft.tasks.items() if isinstance(task, form)]
    if name not in fitting:
        what = "mask" if form is MaskSpec else "mask or dose"
        raise PolytaskError(f"{flag} {name}: no {what} has this name; use one of {list_examples(fitting)}")
    return name


def _add_task_note(draft: CohortDraft, why: str, line: str) -> None:
    draft.column_notes.append(ColumnNote("task", why, line))


def _set_column_paths(draft: CohortDraft, column: str, paths: Sequence[Path | None]) -> None:
    for row, path in zip(draft.rows, paths, strict=True):
        if path is not None:
            row[column] = path


def note_rows_without_image(draft: CohortDraft) -> None:
    """Note which rows have no image of any channel. With a single channel there is a note about them already."""
    columns = [f"{n}.{c}" for n, i in draft.inputs.items() if isinstance(i, ImageInput) for c in i.channels]
    bare = [row["subject"] for row in draft.rows if not any(c in row for c in columns)]
    if bare and len(columns) > 1:
        draft.notes.append(
            f"{len(bare)} rows have no image of any channel: {list_examples(dict.fromkeys(bare))}"
        )
