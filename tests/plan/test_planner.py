"""The whole plan: reasons for every value, and nothing learned from subjects who must not teach."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from polytask.cohort.cohort import Cohort
from polytask.cohort.splits import Splits
from polytask.errors import PolytaskError
from polytask.plan.fingerprint import make_fingerprint
from polytask.plan.fingerprint_records import Fingerprint
from polytask.plan.plan_file import render_plan
from polytask.plan.plan_schema import FoldPlan, Plan
from polytask.plan.planner import make_plan
from tests.plan.worlds import LAPTOP, SERVER, cohort_of, graded, header, one_fold, prints


def leaves(value: Any, path: str = "") -> Iterator[str]:
    """Dotted paths of everything below a section but its reasons."""
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            if (path, key) != ("", "why"):
                yield from leaves(inner, f"{path}.{key}" if path else str(key))
    else:
        yield path


def unexplained(section: dict[str, Any], depth: int) -> list[str]:
    """Leaves of which neither they nor a section around them (of at least `depth` names) has a reason."""
    missing = []
    for leaf in leaves(section):
        parts = leaf.split(".")
        around = [".".join(parts[:n]) for n in range(min(depth, len(parts)), len(parts) + 1)]
        if not any(section["why"].get(place) for place in around):
            missing.append(leaf)
    return missing


def test_every_shared_value_has_its_own_reason(phantom_plan: Plan) -> None:
    shared = phantom_plan.shared.model_dump(mode="json")
    assert [leaf for leaf in unexplained(shared, 99) if not leaf.startswith("images.scan.c")] == []
    assert unexplained(shared, 3) == []


def test_every_value_of_a_fold_has_a_reason(phantom_plan: Plan) -> None:
    for fold in phantom_plan.folds.values():
        section = fold.model_dump(mode="json")
        assert unexplained(section, 2) == []
        for name in section["tasks"]:
            assert "primary metric" in section["why"][f"tasks.{name}"]


def test_every_reason_is_of_a_value(phantom_plan: Plan) -> None:
    for section in (phantom_plan.shared, *phantom_plan.folds.values()):
        content = section.model_dump(mode="json")
        known = {".".join(p.split(".")[:n]) for p in leaves(content) for n in range(1, p.count(".") + 2)}
        assert set(content["why"]) - known - {"sources"} == set(), (
            "which inputs were seen together is no value"
        )


def test_a_gpu_plan_has_reasons_too(
    phantom: Cohort, phantom_print: Fingerprint, phantom_splits: Splits
) -> None:
    plan = make_plan(phantom, phantom_print, phantom_splits, machine=SERVER)
    assert unexplained(plan.shared.model_dump(mode="json"), 3) == []
    assert "cuda" in plan.shared.why["training.batch"]


@pytest.fixture
def copy(phantom_folder: Path, tmp_path: Path) -> Path:
    """A phantom to spoil."""
    return Path(shutil.copytree(phantom_folder, tmp_path / "copy"))


def spoil(folder: Path, subjects: set[str], cells: bool = True) -> int:
    """Change every voxel, number, class, time and event of these subjects; → files changed."""
    with (folder / "cases.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    other = {"G1": "G3", "G2": "G1", "G3": "G2", "no": "yes", "yes": "no", "solid": "hollow", "hollow": "solid",
             "0": "1", "1": "0", "female": "male", "male": "female"}  # fmt: skip
    changed = 0
    for row in rows:
        if row["subject"] not in subjects:
            continue
        for column, cell in row.items():
            if cell.endswith(".nii.gz"):
                image = nib.load(folder / cell)  # type: ignore[attr-defined]
                array = np.asarray(image.dataobj)  # type: ignore[attr-defined]
                spoilt = np.roll(array, 2, axis=0)[::-1]
                spoilt = spoilt + 7 if column.startswith("scan.") else spoilt
                nib.save(nib.Nifti1Image(spoilt.astype(array.dtype), image.affine), folder / cell)  # type: ignore[attr-defined]
                changed += 1
            elif cells and column not in ("subject", "visit", "site", "split", "day"):
                row[column] = other.get(cell) or (
                    f"{float(cell) * 1.7 + 3:.0f}" if cell[:1].isdigit() else cell
                )
    with (folder / "cases.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return changed


def texts(folder: Path, splits: Splits) -> tuple[str, list[str]]:
    """`plan.yaml` without folder and digest, and its folds each."""
    cohort = Cohort.read(folder)
    plan = make_plan(cohort, make_fingerprint(cohort), splits, machine=LAPTOP)

    def text(folds: dict[int, FoldPlan]) -> str:
        return render_plan(plan.model_copy(update={"folds": folds, "cohort": "x", "digest": "x"}), folder)

    return text(plan.folds), [text({0: fold}).split("# For each fold")[1] for fold in plan.folds.values()]


def test_held_out_subjects_change_no_byte_of_their_fold(copy: Path, phantom_splits: Splits) -> None:
    fold = phantom_splits.folds[1]
    alone = Splits((fold,), "subject", 0)
    before = texts(copy, alone)[1]
    assert spoil(copy, {*fold.held_out, *fold.tune}) > 10
    assert texts(copy, alone)[1] == before


def test_training_voxels_do_change_the_fold(copy: Path, phantom_splits: Splits) -> None:
    before = texts(copy, phantom_splits)[1]
    fold = phantom_splits.folds[1]
    spoil(copy, set(fold.held_out), cells=False)
    after = texts(copy, phantom_splits)[1]
    teaches = [bool(set(fold.held_out) & set(f.train)) for f in phantom_splits.folds]
    assert [a != b for a, b in zip(after, before, strict=True)] == teaches
    assert any(teaches)


def test_held_out_voxels_alone_change_no_byte_of_the_shared_part_but_sizes(
    copy: Path, phantom_splits: Splits
) -> None:
    before, _ = texts(copy, phantom_splits)
    spoil(copy, set(phantom_splits.folds[0].held_out), cells=False)
    after, _ = texts(copy, phantom_splits)
    shared = [text.split("# For each fold")[0] for text in (before, after)]
    assert shared[0] == shared[1]


def test_test_subjects_change_no_byte_of_the_plan(
    copy: Path, phantom: Cohort, phantom_splits: Splits
) -> None:
    before, _ = texts(copy, phantom_splits)
    assert spoil(copy, set(phantom.list_split_subjects("test"))) > 5
    assert texts(copy, phantom_splits)[0] == before


def test_a_plan_is_the_same_twice(phantom: Cohort, phantom_splits: Splits, phantom_plan: Plan) -> None:
    again = make_plan(phantom, make_fingerprint(phantom, jobs=3), phantom_splits, machine=LAPTOP)
    assert again == phantom_plan


def test_a_cohort_without_tasks_is_refused() -> None:
    cohort = cohort_of(header(tasks={}), graded(12))
    with pytest.raises(PolytaskError, match="names no task"):
        make_plan(cohort, prints([(24, 24, 24)] * 12), one_fold(cohort), machine=LAPTOP)


def test_a_fingerprint_of_fewer_cases_is_refused() -> None:
    cohort = cohort_of(header(), graded(12))
    with pytest.raises(PolytaskError, match="case s11 is not in it"):
        make_plan(cohort, prints([(24, 24, 24)] * 11), one_fold(cohort), machine=LAPTOP)


def test_importing_the_room_loads_no_torch() -> None:
    import subprocess
    import sys

    names = "p.Plan, p.make_plan, p.write_plan, p.plan_into"
    code = f"import sys, polytask.plan as p; {names}; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
