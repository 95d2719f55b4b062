"""A small cohort that reads two inputs, a CT and a table, so that one of them can be unknown."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import yaml

from polytask.images.formats import write_image_file
from polytask.images.volume import Volume
from tests.journeys.ct_cohort import HEADER, make_ct_image, make_label_image, make_quick_settings, write_rows
from tests.journeys.run_cli import run_successfully

COLUMNS = ("subject", "scan.ct", "age", "marker", "smoker", "mask", "grade", "os_time", "os_event")
CLINIC = {
    "kind": "table",
    "columns": {
        "age": {"type": "number"},
        "marker": {"type": "number"},
        "smoker": {"type": "category", "values": ["no", "yes"]},
    },
}


def make_ct_volume(seed: int) -> Volume:
    """Air, and soft tissue in the middle."""
    found = make_ct_image(seed)
    values = np.full(found.array.shape, -1000, np.int16)
    values[:, 2:10, 2:8, 1:7] = found.array[:, 2:10, 2:8, 1:7] - 60
    return Volume(values, found.grid)


def write_clinic_cohort(folder: Path, subjects: int = 16) -> Path:
    """Write the cohort, one visit a subject; the table of the last two is empty."""
    (folder / "files").mkdir(parents=True)
    header = {k: v for k, v in HEADER.items() if k != "visits"}
    header["inputs"] = {**HEADER["inputs"], "clinic": CLINIC}  # type: ignore[dict-item]
    rows = []
    for k in range(1, subjects + 1):
        write_image_file(folder / f"files/{k:02d}.nii.gz", make_ct_volume(k))
        write_image_file(folder / f"files/{k:02d}_mask.nii.gz", make_label_image(k))
        cells = [str(50 + 3 * k % 17), str(k % 2 + 0.1 * (k % 5)), ("no", "yes")[k % 2]]
        cells = ["", "", ""] if k > subjects - 2 else cells
        files = [f"files/{k:02d}.nii.gz", *cells, f"files/{k:02d}_mask.nii.gz"]
        rows.append([f"{k:02d}", *files, ("low", "high")[k % 2], str(100 * k), str(int(k % 3 > 0))])
    write_rows(folder, rows, COLUMNS)
    (folder / "cohort.yaml").write_text(yaml.safe_dump(header, sort_keys=False))
    return folder


def train_with_clinic(folder: Path) -> Path:
    """`cohort`, `work` with the run `a`, evaluated and with its `trust.json`, and the exported `model`."""
    write_clinic_cohort(folder / "cohort")
    run_successfully("plan", folder / "cohort", "-o", folder / "work", "--folds", 2, *make_quick_settings())
    run_successfully("prepare", folder / "work")
    run_successfully("train", folder / "work", "--name", "a")
    run_successfully("evaluate", folder / "work/runs/a", "--resamples", 20)
    run_successfully("trust", folder / "work/runs/a", "--level", 0.7)
    run_successfully("export", folder / "work/runs/a", "-o", folder / "model")
    return folder


def write_table(folder: Path, rows: list[dict[str, str]]) -> Path:
    """A table of new cases whose images are those of `01`, `02`, … in `folder/cohort`."""
    columns = list(dict.fromkeys(c for row in rows for c in row))
    lines = [",".join(columns), *(",".join(row.get(c, "") for c in columns) for row in rows)]
    path = folder / "cohort" / "new.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def write_rows_without_clinic(folder: Path) -> Path:
    """The cohort's own table with the cells of the table input empty."""
    header, *lines = (folder / "cohort/cases.csv").read_text().splitlines()
    path = folder / "cohort" / "without.csv"
    rows = [line.split(",") for line in lines]
    places = [header.split(",").index(c) for c in CLINIC["columns"]]  # type: ignore[attr-defined]
    emptied = [",".join("" if k in places else cell for k, cell in enumerate(row)) for row in rows]
    path.write_text("\n".join([header, *emptied]) + "\n")
    return path
