"""Chest X-rays with repeated visits as a cohort: image, age, sex → finding, severity, intensive care, death.

    python recipes/covid_cohort.py SOURCE OUT

SOURCE holds `images/` and `labels.csv`; images are named by their path, not copied. What is written, and what is not:

- One frontal image for a patient and day, at most four days, in the order of `offset`; lateral views, further images
  of a day and later days are left out. So are a patient's images without an offset, if other images have one (their
  order is unknown); if no image has one, only the first is used.
- Patients 339 and 340 are the same persons as 285 and 287. A file with the bytes of an earlier one is left out. So are
  the twelve images without a patient: the same person could be in another fold.
- `finding` belongs to the visit: covid, bacterial, other (fungal, other viruses, lipoid) and none. A pneumonia or ARDS
  without a cause is unknown. `severity` is the mean of two raters' Brixia scores, 0 to 18.
- `icu` and `died` belong to the subject and read all visits. Tubes and bedside views can be seen in the images, so
  these tasks describe the course and do not predict it. The projection reveals their answers and is not an input.
  `site` is where the image was published.

A training at 320 × 320 takes hours on a CPU; at 128 × 128 a step was four times as fast. For that, give `polytask plan`

    --set images.chest.spacing=[2.5,2.5] --set images.chest.widths=[16,32,64,128,256]
    --set images.chest.blocks=[1,1,1,1,1] --set images.chest.strides=[[1,1],[2,2],[2,2],[2,2],[2,2]]
"""

from __future__ import annotations

import csv
import hashlib
import sys
from pathlib import Path
from urllib.parse import urlparse

from polytask.cohort.text_table import write_cases_table

VISITS = 4
HEADER = """\
polytask: 1
name: covid
visits: [{visits}]
inputs:
  chest: {kind: image, dims: 2, channels: {xray: XR}}
  clinic:
    kind: table
    columns:
      age: {type: number, level: subject}
      sex: {type: category, level: subject, values: [F, M]}
tasks:
  finding: {kind: classification, classes: [covid, bacterial, other, none]}
  severity: {kind: regression, unit: points}
  icu: {kind: classification, level: subject, classes: ["no", "yes"]}
  died: {kind: classification, level: subject, classes: ["no", "yes"]}
"""
SAME = {"339": "285", "340": "287"}
BACTERIAL = (
    "Bacterial",
    "Chlamydophila",
    "E.Coli",
    "Klebsiella",
    "Legionella",
    "Mycoplasma Bacterial Pneumonia",
    "Streptococcus",
)
FINDING = {
    **{"COVID-19": "covid", "COVID-19, ARDS": "covid", "No Finding": "none"},
    **dict.fromkeys(BACTERIAL, "bacterial"),
    **dict.fromkeys(("Influenza", "Lipoid", "Pneumocystis", "SARS", "Varicella"), "other"),
}
ICU = {"": "", "N": "no", "Y": "yes"}
DIED = {"": "", "N": "yes", "Y": "no"}


def main(source: Path, out: Path) -> None:
    """Write OUT/{cohort.yaml,cases.csv}."""
    patients: dict[str, list[dict[str, str]]] = {}
    seen: set[bytes] = set()
    with (source / "labels.csv").open(encoding="utf-8", newline="") as stream:
        for row in csv.DictReader(stream):
            file = source / "images" / f"{row['image_id']}.png"
            if not row["patientid"] or row["view"] == "L" or not file.is_file():
                continue
            content = hashlib.sha256(file.read_bytes()).digest()
            if content not in seen:
                patient = SAME.get(row["patientid"], row["patientid"])
                patients.setdefault(patient, []).append(row | {"file": str(file.resolve())})
            seen.add(content)
    rows = [
        make_case_row(patient, f"v{number}", row)
        for patient, images in patients.items()
        for number, row in enumerate(select_daily_images(images)[:VISITS], 1)
    ]
    out.mkdir(parents=True, exist_ok=True)
    names = ", ".join(f"v{number}" for number in range(1, VISITS + 1))
    (out / "cohort.yaml").write_text(HEADER.replace("{visits}", names), encoding="utf-8")
    write_cases_table(out / "cases.csv", [*rows[0]], rows)


def select_daily_images(rows: list[dict[str, str]]) -> list[dict[str, str]]:
    """Select a patient's first image of each day, in order; if no day is known, the first image."""
    first: dict[float, dict[str, str]] = {}
    for row in sorted((r for r in rows if r["offset"]), key=lambda r: float(r["offset"])):
        first.setdefault(float(row["offset"]), row)
    return list(first.values()) or rows[:1]


def make_case_row(patient: str, visit: str, row: dict[str, str]) -> dict[str, str]:
    """Make the row of one X-ray."""
    raters = [float(row[f"brixia_{r}_Global"]) for r in "SJ" if row[f"brixia_{r}_Global"]]
    return {
        "subject": patient,
        "visit": visit,
        "day": row["offset"],
        "site": urlparse(row["url"]).netloc,
        "chest.xray": row["file"],
        "age": row["age"],
        "sex": row["sex"],
        "finding": FINDING.get(row["finding"], ""),
        "severity": f"{sum(raters) / len(raters):g}" if raters else "",
        "icu": ICU[row["went_icu"]],
        "died": DIED[row["survival"]],
    }


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
