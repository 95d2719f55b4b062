"""Cohorts of any size for `growth.py`, made on the spot: tables, tiny images, very many columns, one large CT."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml

SITES = ("A", "B", "C", "D", "E")
CLASSES = ["low", "middle", "high"]
EMPTY_CELL_SHARE = 0.05
"""Share of cells that are empty."""
TINY_EDGE = 12
"""Pixels of an edge of a tiny image."""


def write_table_cohort(folder: Path, subjects: int, columns: int, seed: int = 0) -> Path:
    """Write a cohort without files: inputs are `columns` numbers and a category; tasks are a class, a number and a
    survival time."""
    random = np.random.default_rng([seed, subjects, columns])
    names = [f"x{k:05d}" for k in range(columns)]
    inputs: dict[str, Any] = {name: {"type": "number"} for name in names}
    inputs["smoker"] = {"type": "category", "values": ["never", "past", "now"]}
    _write_header(folder, {"clinic": {"kind": "table", "columns": inputs}})

    def rows() -> Iterator[list[str]]:
        for number in range(subjects):
            values = random.normal(50, 10, columns)
            known = random.random(columns) >= EMPTY_CELL_SHARE
            cells = [f"{v:.3f}" if k else "" for v, k in zip(values, known, strict=True)]
            risk = (values[0] - 50) / 10
            yield [
                *_make_identity_cells(number),
                *cells,
                str(random.choice(["never", "past", "now"])),
                *_draw_answers(risk, random),
            ]

    _write_rows(folder, [*names, "smoker"], rows())
    return folder


def write_image_cohort(folder: Path, subjects: int, seed: int = 0) -> Path:
    """Write a cohort with one gray PNG of 12 × 12 pixels per subject and the same tasks."""
    from PIL import Image

    random = np.random.default_rng([seed, subjects])
    _write_header(folder, {"scan": {"kind": "image", "dims": 2, "channels": {"gray": "other"}}})
    (folder / "images").mkdir()

    def rows() -> Iterator[list[str]]:
        for number in range(subjects):
            risk = float(random.normal())
            pixels = np.clip(random.normal(120 + 20 * risk, 30, (TINY_EDGE, TINY_EDGE)), 0, 255).astype(
                np.uint8
            )
            name = f"images/{number:06d}.png"
            Image.fromarray(pixels).save(folder / name)
            yield [*_make_identity_cells(number), name, *_draw_answers(risk, random)]

    _write_rows(folder, ["scan.gray"], rows())
    return folder


def write_ct_cohort(folder: Path, shapes: Sequence[tuple[int, int, int]], seed: int = 0) -> Path:
    """Write a cohort with an uncompressed int16 CT for each shape (a body of about 40 HU in air) and a number as task.

    Slices are written one by one, so that this function needs little memory.
    """
    import nibabel

    _write_header(folder, {"scan": {"kind": "image", "channels": {"ct": "CT"}}}, only_number=True)
    rows = []
    for number, shape in enumerate(shapes):
        random = np.random.default_rng([seed, number])
        width, height, depth = shape
        x, y = np.ogrid[:width, :height]
        inside = ((x - width / 2) / (0.4 * width)) ** 2 + ((y - height / 2) / (0.3 * height)) ** 2 < 1
        header: Any = nibabel.Nifti1Header()
        header.set_data_shape(shape)
        header.set_data_dtype(np.int16)
        for place in (header.set_sform, header.set_qform):
            place(np.diag([-0.8, -0.8, 1.0, 1.0]), code=1)
        header.set_xyzt_units("mm")
        header["magic"], header["vox_offset"] = b"n+1", 352
        path = folder / f"ct{number}.nii"
        with path.open("wb") as file:
            file.write(header.binaryblock + bytes(4))
            for _ in range(depth):
                noise = random.integers(-60, 60, (width, height), dtype=np.int16)
                file.write(np.where(inside, 40 + noise, -1000 + noise // 4).astype("<i2").tobytes(order="F"))
        rows.append([*_make_identity_cells(number), path.name, f"{number % 7 + number / 10:.2f}"])
    _write_rows(folder, ["scan.ct"], iter(rows), answers=["score"])
    return folder


def _write_header(folder: Path, inputs: dict[str, Any], only_number: bool = False) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    tasks: dict[str, Any] = {"score": {"kind": "regression"}}
    if not only_number:
        tasks["grade"] = {"kind": "classification", "classes": CLASSES}
        tasks["os"] = {"kind": "survival", "horizons": [365, 1095]}
    header = {"polytask": 1, "name": "growth", "inputs": inputs, "tasks": tasks}
    text = yaml.dump(header, Dumper=getattr(yaml, "CSafeDumper", yaml.SafeDumper), sort_keys=False)
    (folder / "cohort.yaml").write_text(text, encoding="utf-8")


def _write_rows(
    folder: Path, inputs: list[str], rows: Iterator[list[str]], answers: list[str] | None = None
) -> None:
    asked = ["score", "grade", "os_time", "os_event"] if answers is None else answers
    with (folder / "cases.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["subject", "site", *inputs, *asked])
        writer.writerows(rows)


def _make_identity_cells(number: int) -> list[str]:
    return [f"S{number:06d}", SITES[number % len(SITES)]]


def _draw_answers(risk: float, random: np.random.Generator) -> list[str]:
    """Draw a number, a class, a time and an event that depend on the risk; some numbers and classes are unknown."""
    score = f"{10 + 2 * risk + random.normal():.3f}" if random.random() >= EMPTY_CELL_SHARE else ""
    grade = (
        CLASSES[int(np.digitize(risk + random.normal(), [-0.7, 0.7]))]
        if random.random() >= EMPTY_CELL_SHARE
        else ""
    )
    time = f"{float(random.exponential(900 * np.exp(-0.5 * risk))) + 1:.0f}"
    return [score, grade, time, str(int(random.random() < 0.6))]
