"""A model's header and another hospital's cohort, made of words alone: no image is ever opened."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from polytask.cohort.cohort import Cohort
from polytask.cohort.header import Header
from polytask.evaluation.external.cohort_match import CohortMatch, match_cohort
from polytask.evaluation.external.word_map import WordMap, read_word_map

OURS: dict[str, Any] = {
    "polytask": 1,
    "name": "ours",
    "inputs": {
        "scan": {"kind": "image", "channels": {"ct": "CT", "pet": "PET"}},
        "clinic": {
            "kind": "table",
            "columns": {
                "age": {"type": "number", "level": "subject"},
                "smoker": {"type": "category", "values": ["never", "now"]},
            },
        },
    },
    "tasks": {
        "tumour": {"kind": "segmentation", "image": "scan", "labels": {"tumour": 1, "node": 2}},
        "dose": {"kind": "dose", "image": "scan", "unit": "Gy"},
        "histology": {"kind": "classification", "level": "subject", "classes": ["adeno", "squamous"]},
        "pcr": {"kind": "classification", "level": "subject", "classes": ["no", "yes"]},
        "grade": {"kind": "ordinal", "order": ["1", "2", "3"]},
        "size": {"kind": "regression", "unit": "mm"},
        "findings": {"kind": "multilabel", "labels": ["effusion", "nodule"]},
        "os": {"kind": "survival", "unit": "days"},
    },
}
THEIRS: dict[str, Any] = {
    "polytask": 1,
    "name": "theirs",
    "inputs": {
        "scan": {"kind": "image", "channels": {"ct": "CT", "pet": "PET"}, "align": "resample"},
        "history": {
            "kind": "table",
            "columns": {"age": {"type": "number"}, "smoker": {"type": "category"}},
        },
    },
    "tasks": {
        "tumour": {"kind": "segmentation", "image": "scan", "labels": {"tumour": 3, "heart": 4}},
        "dose": {"kind": "dose", "image": "scan", "unit": "Gy"},
        "histology": {
            "kind": "classification", "level": "subject", "classes": ["NOS", "squamous", "adeno"], "column": "type",
        },
        "pcr": {"kind": "classification", "level": "subject", "classes": ["0", "1"]},
        "grade": {"kind": "classification", "classes": ["3.0", "2.0", "1.0"]},
        "size": {"kind": "regression", "unit": "mm"},
        "findings": {"kind": "multilabel", "labels": ["effusion", "nodule"]},
        "os": {"kind": "survival", "unit": "days"},
        "extra": {"kind": "regression"},
    },
}  # fmt: skip
ROWS = (
    {"subject": "a", "site": "X", "scan.ct": "a.nii.gz", "age": "60", "smoker": "never", "tumour": "ma.nii.gz",
     "type": "adeno", "pcr": "1", "grade": "2", "size": "12.5", "findings.effusion": "1", "os_time": "30",
     "os_event": "1", "dose": "da.nii.gz"},
    {"subject": "b", "site": "X", "scan.ct": "b.nii.gz", "smoker": "cigars", "type": "NOS", "pcr": "0", "grade": "3",
     "findings.effusion": "0", "findings.nodule": "1", "tumour": "mb.nii.gz", "tumour_known": "tumour"},
)  # fmt: skip


def cohort_of(
    folder: Path, header: Mapping[str, Any] = THEIRS, rows: Sequence[Mapping[str, str]] = ROWS
) -> Cohort:
    """A cohort of a header and rows."""
    folder.mkdir(parents=True, exist_ok=True)
    columns = list(dict.fromkeys(c for row in rows for c in row))
    with (folder / "cases.csv").open("w", newline="", encoding="utf-8") as stream:
        table = csv.DictWriter(stream, columns, restval="")
        table.writeheader()
        table.writerows(rows)
    return Cohort.from_table(Header.model_validate(header), folder / "cases.csv")


def changed(header: Mapping[str, Any], section: str, **parts: Any) -> dict[str, Any]:
    """A header with other inputs or tasks; None takes one away."""
    merged = {**header[section], **parts}
    return {**header, section: {k: v for k, v in merged.items() if v is not None}}


def said(folder: Path, text: str) -> WordMap:
    """A mapping file."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "mapping.yaml"
    path.write_text(text, encoding="utf-8")
    return read_word_map(path)


def matched(own: Cohort, words: WordMap | None = None, header: Mapping[str, Any] = OURS) -> CohortMatch:
    """The model of `OURS` beside another cohort."""
    ours = Header.model_validate(header)
    categories = {"smoker": ["never", "now"]}
    return match_cohort(ours, list(ours.tasks), categories, own, words or WordMap())
