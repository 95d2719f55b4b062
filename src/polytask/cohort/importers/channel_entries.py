"""Turn channel names and label lists of nnU-Net and Decathlon files into header entries."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from polytask.cohort.header import ImageInput
from polytask.cohort.importers.foreign_words import guess_modality, make_clean_name
from polytask.errors import PolytaskError


def make_image_input(
    names: Sequence[str],
    files: int,
    dims: int,
    planes: int,
    where: Path,
    notes: list[str],
    together: bool = False,
) -> tuple[ImageInput, dict[int, str]]:
    """Make the image input. Returns (input, channel number → channel name).

    Args:
        names: the names of the channels in the data set's file.
        files: number of files per case; a single 2D file with three planes is a color image.
        dims: space axes, 2 or 3.
        planes: number of array channels in one file.
        where: the file that is named in errors. notes: gains a line per channel.
        together: whether one file may hold all channels, in the order of their names.
    """
    if files == 1 and dims == 2 and planes in (3, 4) and len(names) in (1, 3):
        notes.append("one color file per case: channel 'rgb' (RGB)")
        return ImageInput(kind="image", dims=2, channels={"rgb": "RGB"}), {0: "rgb"}
    if planes != 1 and not (together and files == 1 and planes == len(names)):
        raise PolytaskError(
            f"{where}: an image holds {planes} channels in one file; expected a file per channel; write them as "
            "case_0000, case_0001, …"
        )
    if files > len(names):
        raise PolytaskError(
            f"{where}: {files} files per case, but {len(names)} channels; expected one file for each channel; correct "
            "the names"
        )
    taken: dict[str, str] = {}
    numbers: dict[int, str] = {}
    for number, name in enumerate(names):
        short = make_clean_name(name).lower()
        short = short if short not in taken else f"{short}_{number}"
        taken[short], numbers[number] = guess_modality(name), short
        plane = f", plane {number} of each file" if planes > 1 else ""
        notes.append(f"channel {number} {name!r}: {short!r} ({taken[short]}){plane}")
    return ImageInput.model_validate({"kind": "image", "dims": dims, "channels": taken}), numbers


def parse_label_entries(labels: dict[str, Any], where: Path) -> tuple[dict[str, int | list[int]], int | None]:
    """Read a label list. Returns (label → value without background, the value to ignore or None).

    Both forms are read: name → value (or a list of values, a region), and the older value → name.
    """
    if all(str(key).isdigit() for key in labels) and all(isinstance(v, str) for v in labels.values()):
        labels = {str(name): int(value) for value, name in labels.items()}
    entries: dict[str, int | list[int]] = {}
    ignore = None
    for name, value in labels.items():
        whole = isinstance(value, int) and not isinstance(value, bool)
        region = isinstance(value, list) and value and all(isinstance(v, int) for v in value)
        if not (whole or region):
            raise PolytaskError(
                f"{where}: label {name!r} has the value {value!r}; expected an integer or a list of integers; "
                "correct it"
            )
        if name == "ignore" and whole:
            ignore = int(value)
        elif value != 0 and value != [0]:
            entries[str(name)] = int(value) if whole else [int(v) for v in value]
    if not entries:
        raise PolytaskError(
            f"{where}: no label besides the background; expected one or more; add them to `labels`"
        )
    return entries, ignore
