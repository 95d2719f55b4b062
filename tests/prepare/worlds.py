"""A small cohort whose masks are painted into its images, with everything the store has to carry."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import yaml

from polytask.cohort.cohort import Cohort
from polytask.images.formats import write_image_file
from polytask.images.volume import Grid, Volume
from polytask.plan.plan_schema import (
    AugmentationPlan,
    ColumnPlan,
    CropPlan,
    FoldPlan,
    ImagePlan,
    ModelPlan,
    NormalizationPlan,
    Plan,
    SharedPlan,
    TrainingPlan,
)
from polytask.prepare.store import Store
from polytask.prepare.store_builder import fill_store

SHAPE = (22, 18, 16)
SUBJECTS = ("s1", "s2", "s3", "s4", "s5")
HEADER: dict[str, Any] = {
    "polytask": 1,
    "name": "small",
    "visits": ["first", "second"],
    "inputs": {
        "scan": {"kind": "image", "channels": {"ct": "CT", "fl": "MR"}},
        "clinic": {
            "kind": "table",
            "columns": {
                "age": {"type": "number", "level": "subject"},
                "smoker": {"type": "category", "values": ["never", "now"]},
            },
        },
    },
    "tasks": {
        "tumour": {"kind": "segmentation", "image": "scan", "labels": {"core": 2, "rim": 5}, "ignore": 9},
        "sides": {
            "kind": "segmentation",
            "image": "scan",
            "structures": ["lung_l", "lung_r"],
            "mirror": [["lung_l", "lung_r"]],
        },
        "halves": {
            "kind": "segmentation",
            "image": "scan",
            "labels": {"left": 1, "right": 2},
            "mirror": [["left", "right"]],
        },
        "dose": {"kind": "dose", "image": "scan", "unit": "Gy"},
        "grade": {"kind": "ordinal", "level": "visit", "order": ["G1", "G2", "G3"]},
        "size": {"kind": "regression", "level": "visit"},
        "findings": {"kind": "multilabel", "labels": ["a", "b"]},
        "os": {"kind": "survival", "unit": "days"},
        "rare": {"kind": "classification", "level": "subject", "classes": ["no", "yes"]},
    },
}
COLUMNS = [
    *["subject", "visit", "day", "scan.ct", "scan.fl", "age", "smoker"],
    *["tumour", "tumour_region", "sides", "halves", "dose", "grade", "size"],
    *["findings.a", "findings.b", "os_time", "os_event", "rare"],
]


def affine(spacing: tuple[float, float, float] = (1.0, 1.5, 2.0)) -> np.ndarray:
    """Voxels run left, posterior, superior: flipped twice against RAS."""
    matrix = np.diag([-spacing[0], -spacing[1], spacing[2], 1.0])
    matrix[:3, 3] = (30.0, -12.0, 7.0)
    return matrix


def masks(seed: int) -> dict[str, np.ndarray]:
    """Left and right (of the patient) boxes, a tumour of core and rim, a dose."""
    random = np.random.default_rng(seed)
    tumour = np.zeros(SHAPE, np.uint8)
    at = random.integers(5, 9, 3)
    tumour[tuple(slice(a, a + 5) for a in at)] = 5
    tumour[tuple(slice(a + 1, a + 4) for a in at)] = 2
    sides = np.zeros((2, *SHAPE), np.uint8)
    # The array runs to the left, so the patient's left has the high indices.
    sides[0, 14:18, 4:12, 3:10] = 1
    sides[1, 3:7, 4:12, 3:10] = 1
    ramp = np.linspace(0, 60, SHAPE[0])[:, None, None] * np.ones(SHAPE)
    return {"tumour": tumour, "sides": sides, "dose": ramp.astype(np.float32)}


def write_cohort(root: Path, **changes: Any) -> Cohort:
    """Five subjects, two visits (s3 has only the second; s2 lacks `fl`; s5 lacks masks)."""
    root.mkdir(parents=True, exist_ok=True)
    header = {**HEADER, **changes}
    (root / "cohort.yaml").write_text(yaml.safe_dump(header, sort_keys=False))
    grid = Grid(SHAPE, affine())
    lines = [",".join(COLUMNS)]
    for number, subject in enumerate(SUBJECTS):
        for order, visit in enumerate(("first", "second")):
            if subject == "s3" and visit == "first":
                continue
            key = f"{subject}_{visit}"
            found = masks(10 * number + order)
            paint = np.full(SHAPE, -1000.0)
            paint[2:-2, 2:-2, 2:-2] = 0
            paint += 400.0 * found["sides"][0] + 800.0 * found["sides"][1]
            write_image_file(root / f"{key}_ct.nii.gz", Volume(paint[None].astype(np.int16), grid))
            write_image_file(
                root / f"{key}_fl.nii.gz", Volume((found["tumour"][None] * 10.5).astype(np.float32), grid)
            )
            region = np.ones((1, *SHAPE), np.uint8)
            region[:, :, :, 14:] = 0
            halves = found["sides"][0] + 2 * found["sides"][1]
            stored = found["tumour"].copy()
            stored[0, 0, 0] = 9
            write_image_file(root / f"{key}_tumour.nii.gz", Volume(stored[None], grid))
            write_image_file(root / f"{key}_region.nii.gz", Volume(region, grid))
            write_image_file(root / f"{key}_sides.nii.gz", Volume(found["sides"], grid))
            write_image_file(root / f"{key}_halves.nii.gz", Volume(halves[None].astype(np.uint8), grid))
            write_image_file(root / f"{key}_dose.nii.gz", Volume(found["dose"][None], grid))
            masked = subject != "s5"
            row = {
                "subject": subject,
                "visit": visit,
                "day": str(30 * order),
                "scan.ct": f"{key}_ct.nii.gz",
                "scan.fl": "" if subject == "s2" else f"{key}_fl.nii.gz",
                "age": "60" if visit == "second" and subject != "s4" else "",
                "smoker": "now" if number % 2 else "",
                "tumour": f"{key}_tumour.nii.gz" if masked else "",
                "tumour_region": f"{key}_region.nii.gz" if subject == "s1" else "",
                "sides": f"{key}_sides.nii.gz" if masked else "",
                "halves": f"{key}_halves.nii.gz" if masked else "",
                "dose": f"{key}_dose.nii.gz" if masked else "",
                "grade": f"G{1 + number % 3}" if visit == "first" else "",
                "size": str(number + 0.5),
                "findings.a": "1" if number % 2 else "",
                "findings.b": "0",
                "os_time": "100" if visit == "second" else "",
                "os_event": "1" if visit == "second" else "",
                "rare": "yes" if subject == "s4" and visit == "second" else "",
            }
            lines.append(",".join(row[c] for c in COLUMNS))
    (root / "cases.csv").write_text("\n".join(lines) + "\n")
    return Cohort.read(root)


def image_plan(**changes: Any) -> ImagePlan:
    """Whole views at the source's own spacing."""
    values: dict[str, Any] = {
        "dims": 3,
        "channels": {"ct": "CT", "fl": "MR"},
        "orientation": "RAS",
        "crop": CropPlan(),
        "spacing": (1.0, 1.5, 2.0),
        "field": "whole",
        "view": (24, 20, 16),
        "view_spacing": (1.0, 1.5, 2.0),
        "patch": None,
        "patches": 1,
        "widths": (8, 16),
        "blocks": (1, 1),
        "strides": ((1, 1, 1), (2, 2, 2)),
        "foreground": 0.5,
        "channel_flags": True,
        "channel_dropout": 0.0,
    }
    return ImagePlan(**{**values, **changes})


def make_plan(
    cohort: Cohort,
    image: ImagePlan | None = None,
    augmentation: AugmentationPlan | None = None,
    **training: Any,
) -> Plan:
    """A plan for the small cohort."""
    settings: dict[str, Any] = {
        "batch": 2,
        "epochs": 2,
        "steps_per_epoch": 4,
        "precision": "float32",
        "threads": 1,
        "workers": 0,
    }
    rules = {
        "ct": [NormalizationPlan(rule="fixed", lower=-1000, upper=900, mean=0, sd=100)],
        "fl": [NormalizationPlan(rule="image", nonzero=True)],
    }
    fold = FoldPlan(
        normalization={"scan": rules},
        tables={
            "clinic": {
                "age": ColumnPlan(type="number", mean=50, sd=10),
                "smoker": ColumnPlan(type="category", values=["never", "now"]),
            }
        },
        tasks={},
        why={},
    )
    shared = SharedPlan(
        max_visits=2,
        images={"scan": image or image_plan()},
        augmentation=augmentation or AugmentationPlan(elastic=2.0, flip=(True, True, True), probability=0.7),
        model=ModelPlan(),
        training=TrainingPlan(**{**settings, **training}),
        why={},
    )
    return Plan(cohort=str(cohort.root), digest=cohort.digest, shared=shared, folds={0: fold})


BOTH: dict[str, Any] = {
    "field": "both",
    "view": (12, 12, 8),
    "view_spacing": (2.0, 3.0, 4.0),
    "patch": (8, 8, 8),
    "patches": 2,
}


def filled(root: Path, **image: Any) -> tuple[Cohort, Plan, Store]:
    """Cohort, plan and finished store below `root`."""
    cohort = write_cohort(root / "cohort")
    plan = make_plan(cohort, image_plan(**image))
    store = Store(root / "work" / "store")
    fill_store(store, cohort, plan, jobs=1)
    return cohort, plan, store
