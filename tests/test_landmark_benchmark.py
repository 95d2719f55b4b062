"""The benchmark of landmark survival on the real patients, when they are there: what it reads, what a network says."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from polytask.cohort.cell_values import pooled_value
from polytask.cohort.check import check_cohort
from polytask.cohort.cohort import Cohort

ROOT = Path(__file__).parents[1]
DATA = Path(os.environ.get("POLYTASK_DATA") or ROOT.parent / "shared" / "data")
PATIENTS = DATA / "survival_tables" / "auton_pbc2.csv"


@pytest.fixture(scope="module")
def benchmark() -> ModuleType:
    """The benchmark as a module; skips without its patients."""
    if not PATIENTS.exists():
        pytest.skip("the patients are not here")
    stated = importlib.util.spec_from_file_location(
        "landmark_survival", ROOT / "benchmarks/landmark_survival.py"
    )
    assert stated is not None
    assert stated.loader is not None
    module = importlib.util.module_from_spec(stated)
    stated.loader.exec_module(module)
    return module


def test_both_models_judge_the_same_patients_over_the_same_times(
    benchmark: ModuleType, tmp_path: Path
) -> None:
    """What the outside model counts from its landmarks is what the cohort counts."""
    patients = benchmark.read_patients(PATIENTS)
    folder = benchmark.write_cohort(patients, tmp_path / "cohort")
    assert [str(p) for p in check_cohort(folder, jobs=1) if p.level == "error"] == []
    cohort = Cohort.read(folder)
    assert len(cohort.subjects) == 312
    for place, visit in enumerate(benchmark.LANDMARKS):
        theirs = {who: (row["time"], row["event"]) for who, row in benchmark.list_at_risk(patients, place)}
        cases = (case for case in cohort.cases if case.visit == visit)
        ours = {c.subject: a for c in cases if (a := pooled_value(cohort, (c,), "death")) is not None}
        assert set(ours) == set(theirs)
        assert np.allclose([ours[who] for who in theirs], list(theirs.values()))


@pytest.mark.slow
def test_the_network_orders_the_patients_at_each_landmark(benchmark: ModuleType, tmp_path: Path) -> None:
    """One fold of three: the mean dynamic AUC of three years is far above chance, as that of the outside model."""
    from polytask.evaluation.evaluation_result import Evaluation

    folder = benchmark.write_cohort(benchmark.read_patients(PATIENTS), tmp_path / "cohort")
    benchmark.predict_by_network(folder, tmp_path / "work", 3, ("training.epochs=20",), 1, only=(0,))
    found = Evaluation.read(tmp_path / "work/runs/fold0-seed0").metrics["death"]
    assert found["auc.T1095"].estimate > 0.75
    assert found["brier.T1095"].estimate < 0.16
