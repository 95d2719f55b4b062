"""A cohort with a map of either sign, from the plan to the report, through the command line."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from scipy.ndimage import distance_transform_edt
from typer.testing import CliRunner

from polytask.cli import app
from polytask.cohort.phantom import make_phantom

QUICK = (
    *("training.threads=1", "training.epochs=4", "training.steps_per_epoch=10", "training.tune_every=2"),
    *("images.scan.widths=[8,16,16]", "training.batch=4", "model.embedding=16"),
)


def call(*words: object) -> str:
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exit_code == 0, result.output
    return result.stdout


def add_distance_maps(folder: Path) -> int:
    """Add the task `edge`: the distance of each voxel to the border of the lesion in mm, negative inside it."""
    with (folder / "cases.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    count = 0
    for row in rows:
        row["edge"] = ""
        if not row["lesion"]:
            continue
        mask = nib.load(folder / row["lesion"])
        inside = np.asarray(mask.dataobj) > 0
        if not inside.any():
            continue
        spacing = mask.header.get_zooms()[:3]
        distance = distance_transform_edt(~inside, spacing) - distance_transform_edt(inside, spacing)
        row["edge"] = f"edge_{row['subject']}_{row.get('visit', '')}.nii.gz"
        nib.save(nib.Nifti1Image(distance.astype(np.float32), mask.affine), folder / row["edge"])
        count += 1
    with (folder / "cases.csv").open("w", encoding="utf-8", newline="") as stream:
        table = csv.DictWriter(stream, list(rows[0]))
        table.writeheader()
        table.writerows(rows)
    header = (folder / "cohort.yaml").read_text()
    (folder / "cohort.yaml").write_text(
        header.replace("tasks:\n", "tasks:\n  edge: {kind: map, image: scan, unit: mm}\n")
    )
    return count


@pytest.mark.slow
def test_a_distance_map_is_learned_and_shown(tmp_path: Path) -> None:
    cohort = make_phantom(
        tmp_path / "cohort", subjects=18, size=24, dims=3, visits=1, seed=3, tasks=("lesion", "grade")
    )
    assert add_distance_maps(cohort) > 8
    assert "edge" not in call("check", cohort)
    work = tmp_path / "work"
    call("plan", cohort, "-o", work, "--folds", 3, *(w for s in QUICK for w in ("--set", s)))
    call("prepare", work)
    call("train", work, "--name", "one", "--device", "cpu")
    found = json.loads(call("evaluate", work / "runs" / "one", "--resamples", 20, "--json"))
    assert set(found["metrics"]["edge"]) == {"mae", "rmse"}
    assert found["metrics"]["edge"]["rmse"]["estimate"] > found["metrics"]["edge"]["mae"]["estimate"] > 0
    assert found["skill"]["edge"]["estimate"] > 0.2, "it says more than the median of the training maps"
    answers = sorted((work / "runs/one/predictions/edge").glob("*.nii.gz"))
    values = [np.asarray(nib.load(path).dataobj) for path in answers]
    assert {v.dtype for v in values} == {np.dtype(np.float32)}
    assert min(float(np.ptp(v)) for v in values) > 1, "in mm; a constant answer would have no range"
    call("report", work / "runs" / "one", "-o", tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    assert "largest area of large true values" in page
    assert "edge: prediction − truth" in page
    assert "see the map pictures below" in page
