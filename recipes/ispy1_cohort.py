"""I-SPY 1 breast cancer as a cohort without images: tumour size at four MRI visits → response and relapse.

    python recipes/ispy1_cohort.py SOURCE OUT

SOURCE holds `patients.csv`. The longest diameter (mm) is a column of the visit, age and receptors belong to the
subject. All four visits lie before surgery, at which response and residual burden are measured, so both tasks may read
all visits. Both are targets only, and they depend on each other: burden class 0 is complete response. Relapse-free
survival is counted from the start of treatment and reads the first visit alone. The days of the visits are not in the
source. A later visit without a measurement is not written.
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path

from polytask.cohort.text_table import write_cases_table

HEADER = """\
polytask: 1
name: ispy1
visits: [baseline, early, between, before_surgery]
inputs:
  clinic:
    kind: table
    columns:
      mri_ld: {type: number}
      age: {type: number, level: subject}
      er: {type: category, level: subject, values: [negative, positive]}
      pgr: {type: category, level: subject, values: [negative, positive]}
      her2: {type: category, level: subject, values: [negative, positive]}
tasks:
  pcr: {kind: classification, level: subject, classes: ["no", "yes"]}
  rcb: {kind: ordinal, level: subject, order: ["0", "1", "2", "3"]}
  rfs: {kind: survival, level: subject, unit: days, origin: baseline, visits: [baseline], horizons: [730, 1095]}
"""
VISITS = {
    "baseline": "MRI LD Baseline",
    "early": "MRI LD 1-3dAC",
    "between": "MRI LD InterReg",
    "before_surgery": "MRI LD PreSurg",
}
SIGN = {"": "", "0": "negative", "1": "positive"}
ANSWER = {"": "", "0": "no", "1": "yes"}


def main(source: Path, out: Path) -> None:
    """Write OUT/{cohort.yaml,cases.csv}."""
    rows: list[dict[str, str]] = []
    with (source / "patients.csv").open(encoding="utf-8", newline="") as stream:
        for row in csv.DictReader(stream):
            subject = {
                "age": row["age"],
                "er": SIGN[drop_decimals(row["ERpos"])],
                "pgr": SIGN[drop_decimals(row["PgRpos"])],
                "her2": SIGN[drop_decimals(row["Her2MostPos"])],
                "pcr": ANSWER[drop_decimals(row["PCR"])],
                "rcb": drop_decimals(row["RCBClass"]),
                "rfs_time": row["RFS"],
                "rfs_event": drop_decimals(row["rfs_ind"]),
            }
            for visit, column in VISITS.items():
                if row[column] or visit == "baseline":
                    visit_cells = {"subject": row["SUBJECTID"], "visit": visit, "mri_ld": row[column]}
                    rows.append(visit_cells | (subject if visit == "baseline" else {}))
    out.mkdir(parents=True, exist_ok=True)
    (out / "cohort.yaml").write_text(HEADER, encoding="utf-8")
    write_cases_table(out / "cases.csv", [*rows[0]], rows)


def drop_decimals(cell: str) -> str:
    """Drop the decimals of a code such as "1.0"."""
    return cell.removesuffix(".0")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
