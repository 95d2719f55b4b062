"""TCGA low-grade glioma as a cohort: three MR sequences, age, gender and molecules → mask, grade, type, survival.

    python recipes/lgg_cohort.py SOURCE OUT

SOURCE holds a folder per patient with `flair`, `mask` and, where they were acquired, `pre` and `post`; `labels.csv`;
`molecular.csv.gz` (1,590 numbers a patient: expression, copy number, mutation). Images are named by their path, not
copied. A sequence that was not acquired and a patient without molecules are empty cells. `oncotree_code` reveals the
grade and is not written. Survival is the current follow-up; four patients have only an older one without a time, so
theirs is unknown. `site` is the hospital in the TCGA barcode.
"""

from __future__ import annotations

import csv
import gzip
import sys
from pathlib import Path

from polytask.cohort.text_table import write_cases_table

HEADER = """\
polytask: 1
name: lgg
inputs:
  scan: {kind: image, dims: 3, channels: {pre: MR, flair: MR, post: MR}}
  clinic:
    kind: table
    columns:
      age: {type: number, level: subject}
      gender: {type: category, level: subject, values: [female, male]}
  molecular:
    kind: table
    columns:
{molecular}tasks:
  tumour: {kind: segmentation, image: scan, labels: {tumour: 1}}
  grade: {kind: ordinal, level: subject, order: [G2, G3]}
  histology: {kind: classification, level: subject, classes: [astrocytoma, oligoastrocytoma, oligodendroglioma]}
  os: {kind: survival, level: subject, unit: months, horizons: [12, 24, 36]}
"""
GENDER = {"1": "female", "2": "male"}
GRADE = {"1": "G2", "2": "G3"}
HISTOLOGY = {"1": "astrocytoma", "2": "oligoastrocytoma", "3": "oligodendroglioma"}


def main(source: Path, out: Path) -> None:
    """Write OUT/{cohort.yaml,cases.csv}."""
    with gzip.open(source / "molecular.csv.gz", "rt", encoding="utf-8", newline="") as stream:
        molecules = {row.pop("case_id"): row for row in csv.DictReader(stream)}
    with (source / "labels.csv").open(encoding="utf-8", newline="") as stream:
        rows = [
            make_case_row(source, row) | molecules.get(row["case_id"], {}) for row in csv.DictReader(stream)
        ]
    names = list(next(iter(molecules.values())))
    lines = "".join(f"      {name}: {{type: number, level: subject}}\n" for name in names)
    out.mkdir(parents=True, exist_ok=True)
    (out / "cohort.yaml").write_text(HEADER.replace("{molecular}", lines), encoding="utf-8")
    write_cases_table(out / "cases.csv", list(dict.fromkeys(c for row in rows for c in row)), rows)


def make_case_row(source: Path, row: dict[str, str]) -> dict[str, str]:
    """Make the row of one patient, without the molecular columns."""
    folder = source / row["Patient"]
    files = {name: folder / f"{name}.nii.gz" for name in ("pre", "flair", "post", "mask")}
    paths = {name: str(file.resolve()) if file.is_file() else "" for name, file in files.items()}
    return {
        "subject": row["Patient"],
        "site": row["Patient"].split("_")[1],
        "scan.pre": paths["pre"],
        "scan.flair": paths["flair"],
        "scan.post": paths["post"],
        "age": row["age_at_initial_pathologic"],
        "gender": translate_code(GENDER, row["gender"]),
        "tumour": paths["mask"],
        "grade": translate_code(GRADE, row["neoplasm_histologic_grade"]),
        "histology": translate_code(HISTOLOGY, row["histological_type"]),
        "os_time": row["survival_months"],
        "os_event": row["event"].removesuffix(".0"),
    }


def translate_code(words: dict[str, str], code: str) -> str:
    """Translate a code such as "2.0" to its word; empty stays empty."""
    return words[code.removesuffix(".0")] if code else ""


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
