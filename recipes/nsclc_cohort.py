"""NSCLC-Radiomics and -Radiogenomics as a cohort: CT and age → tumour mask, histology, T and N stage, survival.

    python recipes/nsclc_cohort.py SOURCE OUT [--radiomics]

SOURCE holds `images/`, `masks/`, `labels.csv` and `radiomics.csv`; images and masks are named by their paths, not
copied. Five empty masks are left out (the tumor exists but has no contour, so the mask is unknown, not absent). The
site is written as `site` and is not an input: survival and the coding of histology differ between sites, so look at
the metrics per site. `--radiomics` adds the 53 features as a table. They were measured inside the reference contour,
so a model that reads them knows something of the mask that it should predict, and needs a contour for every new case.
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path

from polytask.cohort.text_table import write_cases_table

HEADER = """\
polytask: 1
name: nsclc
inputs:
  scan: {kind: image, dims: 3, channels: {ct: CT}}
  clinic:
    kind: table
    columns:
      age: {type: number, level: subject}
{radiomics}tasks:
  tumour: {kind: segmentation, image: scan, labels: {tumour: 1}}
  histology: {kind: classification, level: subject, classes: [adenocarcinoma, squamous, large_cell, nos]}
  t_stage: {kind: ordinal, level: subject, order: [T1, T2, T3, T4]}
  n_stage: {kind: ordinal, level: subject, order: [N0, N1, N2, N3]}
  os: {kind: survival, level: subject, unit: days, horizons: [365, 730, 1095]}
"""


def main(source: Path, out: Path, radiomics: bool = False) -> None:
    """Write OUT/{cohort.yaml,cases.csv}."""
    features = (
        {row.pop("PatientID"): row for row in read_csv_rows(source / "radiomics.csv")} if radiomics else {}
    )
    rows = []
    for row in read_csv_rows(source / "labels.csv"):
        number = row["PatientID"]
        file = f"{int(number):03d}.nii.gz"
        rows.append(
            {
                "subject": f"lung_{int(number):03d}",
                "site": row["SourceDataset"],
                "scan.ct": str((source / "images" / file).resolve()),
                "age": row["age"],
                "tumour": str((source / "masks" / file).resolve()) if int(row["mask_voxels"]) else "",
                "histology": row["histology"],
                "t_stage": f"T{row['Tstage']}",
                "n_stage": f"N{row['Nstage']}",
                "os_time": row["SurvivalTime"],
                "os_event": row["Event"],
                **features.get(number, {}),
            }
        )
    names = list(next(iter(features.values()), {}))
    lines = [f"      {name}: {{type: number, level: subject}}\n" for name in names]
    block = "".join(["  radiomics:\n    kind: table\n    columns:\n", *lines]) if names else ""
    out.mkdir(parents=True, exist_ok=True)
    (out / "cohort.yaml").write_text(HEADER.replace("{radiomics}", block), encoding="utf-8")
    write_cases_table(out / "cases.csv", [*rows[0]], rows)


def read_csv_rows(path: Path) -> list[dict[str, str]]:
    """Read the rows of a CSV file."""
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), "--radiomics" in sys.argv[3:])
