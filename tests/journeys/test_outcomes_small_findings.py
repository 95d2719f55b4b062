"""The cohorts on which the gain of crops is measured: nothing but the finding gives the class away."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import numpy as np
import pytest

from polytask.cohort.cohort import Cohort

ROOT = Path(__file__).parents[2]
BENCHMARKS = ROOT / "benchmarks"
DATA = Path(os.environ.get("POLYTASK_DATA") or ROOT.parent / "shared" / "data") / "nsclc_ct"


def test_pieces_with_and_without_a_tumor_are_blended_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    from _pasted_findings import SIZE, list_free_corners, paste_volume

    rng, mask = np.random.default_rng(0), np.zeros((46, 46, 46), bool)
    mask[20:29, 18:26, 22:30] = True
    assert {(0, 0, 0), (30, 30, 30), (4, 30, 0)} <= set(list_free_corners(mask))
    assert (10, 12, 12) not in list_free_corners(mask)
    for ill in (True, False):
        flat, pasted = paste_volume(rng, np.full(mask.shape, -700.0), mask, ill)
        assert flat.shape == (SIZE,) * 3
        np.testing.assert_allclose(flat, -700, err_msg="no border shows in what is even")
        assert pasted.sum() == (mask.sum() if ill else 0)
        shown, _ = paste_volume(rng, mask.astype(float), mask, ill)
        assert (shown.max() > 0.9) == ill
        assert (shown.max() > 0) == ill, "all other pieces are free of tumor"


def test_a_patient_has_volumes_of_both_classes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    if not DATA.is_dir():
        pytest.skip(f"{DATA} is not there")
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    from _pasted_findings import write_tumor_cohort

    cohort = write_tumor_cohort(tmp_path / "cohort", DATA, 2, 0)
    assert len(Cohort.read(cohort).cases) == 8
    with (cohort / "cases.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    for subject in {row["subject"] for row in rows}:
        assert sorted(r["finding"] for r in rows if r["subject"] == subject) == ["no", "no", "yes", "yes"]
