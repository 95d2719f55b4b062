"""NSCLC-Radiomics and -Radiogenomics CT crops as an nnU-Net raw folder with `targets.tsv`.

    python recipes/nsclc_folder.py SOURCE OUT

SOURCE holds `images/`, `masks/` and `labels.csv`. Images and masks are linked, not copied. Five empty masks are left
out (the tumor exists but has no contour, so the mask is unknown, not absent). Stage T is ordinal; survival is in days.
"""

from __future__ import annotations

import csv
import json
import os
import sys
from pathlib import Path

from polytask.cohort.text_table import write_cases_table


def main(source: Path, out: Path) -> None:
    """Write OUT/{imagesTr,labelsTr,dataset.json,targets.tsv}."""
    for name in ("imagesTr", "labelsTr"):
        (out / name).mkdir(parents=True, exist_ok=True)
    rows = []
    with (source / "labels.csv").open(encoding="utf-8", newline="") as stream:
        for row in csv.DictReader(stream):
            case = f"lung_{int(row['PatientID']):03d}"
            name = f"{int(row['PatientID']):03d}.nii.gz"
            replace_link(source / "images" / name, out / "imagesTr" / f"{case}_0000.nii.gz")
            if int(row["mask_voxels"]):
                replace_link(source / "masks" / name, out / "labelsTr" / f"{case}.nii.gz")
            rows.append(
                {
                    "case": case,
                    "site": row["SourceDataset"],
                    "histology": row["histology"],
                    "stage": f"T{row['Tstage']}",
                    "os_time": row["SurvivalTime"],
                    "os_event": row["Event"],
                }
            )
    write_cases_table(out / "targets.tsv", list(rows[0]), rows)
    dataset = {
        "name": "nsclc",
        "channel_names": {"0": "CT"},
        "labels": {"background": 0, "tumour": 1},
        "numTraining": len(rows),
        "file_ending": ".nii.gz",
    }
    (out / "dataset.json").write_text(json.dumps(dataset, indent=1), encoding="utf-8")


def replace_link(source: Path, target: Path) -> None:
    """Make a symbolic link; an old one of that name is replaced."""
    target.unlink(missing_ok=True)
    os.symlink(source.resolve(), target)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
