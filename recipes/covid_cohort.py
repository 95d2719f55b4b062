"""Chest X-rays with repeated visits as a cohort: image, age, sex → finding, severity, intensive care, death.

    python recipes/covid_cohort.py SOURCE OUT

SOURCE holds `images/` and `labels.csv`; images are pointed at, not copied. What is written, and what is not:

- One frontal image for a patient and day, at most four days, in the order of `offset`; lateral views, further images
  of a day and later days are left out. So are images without an offset beside images with one (they have no place);
  where no image has one, the first stands alone.
- Patients 339 and 340 are 285 and 287 again. A file with the bytes of an earlier one is left out. So are the twelve
  images without a patient: whoever they are may be in another fold.
- `finding` belongs to the visit: covid, bacterial, other (fungal, other viruses, lipoid) and none. A pneumonia or ARDS
  without a cause is unknown. `severity` is the mean of two raters' Brixia scores, 0 to 18.
- `icu` and `died` belong to the subject and read all visits: tubes and bedside views are in sight, so they describe a
  course and do not forecast it. The projection gives them away and is no input. `site` is where it was published.

A plan at 320 × 320 takes hours on a CPU; at 128 × 128 a step was four times as quick. For that, give `polytask plan`

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
        case(patient, f"v{number}", row)
        for patient, found in patients.items()
        for number, row in enumerate(days(found)[:VISITS], 1)
    ]
    out.mkdir(parents=True, exist_ok=True)
    names = ", ".join(f"v{number}" for number in range(1, VISITS + 1))
    (out / "cohort.yaml").write_text(HEADER.replace("{visits}", names), encoding="utf-8")
    write_cases_table(out / "cases.csv", [*rows[0]], rows)


def days(rows: list[dict[str, str]]) -> list[dict[str, str]]:
    """A patient's first image of each day, in order; without any day, the first."""
    first: dict[float, dict[str, str]] = {}
    for row in sorted((r for r in rows if r["offset"]), key=lambda r: float(r["offset"])):
        first.setdefault(float(row["offset"]), row)
    return list(first.values()) or rows[:1]


def case(patient: str, visit: str, row: dict[str, str]) -> dict[str, str]:
    """One X-ray."""
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
