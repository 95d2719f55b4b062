"""The phantom: sound at any size and seed, the same bytes again, and a truth that its files agree with."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from scipy import ndimage

from polytask.cohort.check import check_cohort
from polytask.cohort.cohort import Cohort
from polytask.cohort.phantom import make_phantom
from polytask.cohort.phantom.phantom_header import PHANTOM_TASKS
from polytask.cohort.phantom.subject_blocks import HIDDEN_SUBJECT_CELLS, HIDDEN_VISIT_CELLS
from polytask.cohort.phantom.subjects import draw_subjects
from polytask.cohort.splits import make_splits
from polytask.errors import PolytaskError
from polytask.images import formats
from polytask.images.geometry import orient_to_ras

Dims = Literal[2, 3]


def table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def voxels(root: Path, cell: str, dims: Dims = 3) -> np.ndarray:
    return formats.read_image_file(root / cell, dims).array


def contents(root: Path) -> dict[str, bytes]:
    return {p.relative_to(root).as_posix(): p.read_bytes() for p in sorted(root.rglob("*")) if p.is_file()}


@pytest.fixture(scope="module")
def phantom(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_phantom(tmp_path_factory.mktemp("phantom") / "p", 24, 32, seed=1)


@pytest.mark.parametrize("visits", [1, pytest.param(2, marks=pytest.mark.slow), 3])
@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize(("subjects", "size"), [(12, 24), (13, 32), (30, 24)])
def test_it_is_sound_and_splits(tmp_path: Path, subjects: int, size: int, dims: Dims, visits: int) -> None:
    root = make_phantom(tmp_path / "p", subjects, size, subjects + visits, dims, visits)
    assert [str(p) for p in check_cohort(root, jobs=1) if p.level == "error"] == []
    cohort = Cohort.read(root)
    assert set(cohort.header.tasks) == set(PHANTOM_TASKS) - ({"response"} if visits == 1 else set())
    for folds in (3, 5):  # refuses a division whose train part lacks a class or an event
        assert len(make_splits(cohort, folds).folds) == folds


@pytest.mark.parametrize("seed", [7, 123_456_789])
@pytest.mark.parametrize("sites", [1, 3, 4])
def test_other_sites_and_seeds_are_sound(tmp_path: Path, sites: int, seed: int) -> None:
    root = make_phantom(tmp_path / "p", 12, 24, seed, 2, sites=sites)
    assert [str(p) for p in check_cohort(root, jobs=1) if p.level == "error"] == []
    assert len({row["site"] for row in table(root / "cases.csv")}) == sites


def test_default_has_no_warning_but_of_kidneys_that_are_absent_and_both_sites_can_be_left_out(
    phantom: Path,
) -> None:
    assert {(p.code, p.column[:13]) for p in check_cohort(phantom, jobs=1)} <= {
        ("empty-structure", "organs.kidney")
    }
    assert len(make_splits(Cohort.read(phantom), by="site").folds) == 2


def test_same_call_same_bytes_and_a_subject_does_not_depend_on_how_many_follow(tmp_path: Path) -> None:
    first = contents(make_phantom(tmp_path / "a", 12, 24, seed=4))
    assert contents(make_phantom(tmp_path / "b", 12, 24, seed=4)) == first
    assert contents(make_phantom(tmp_path / "c", 12, 24, seed=5))["cases.csv"] != first["cases.csv"]
    more = contents(make_phantom(tmp_path / "d", 15, 24, seed=4))
    assert {k: v for k, v in first.items() if k.count("/")}.items() <= more.items()
    assert more["cases.csv"].startswith(first["cases.csv"])


def test_a_fifth_is_unknown_in_the_cases_and_nothing_in_the_truth(phantom: Path) -> None:
    people = draw_subjects(600, seed=2, visits=2, sites=2)
    for name in (*HIDDEN_VISIT_CELLS, *HIDDEN_SUBJECT_CELLS):
        share = np.mean([name in s.unknown[0] for s in people])
        assert 0.12 < share < (0.4 if name == "response" else 0.28), (name, share)
    truth, cases = table(phantom / "truth.csv"), table(phantom / "cases.csv")
    assert [row["subject"] for row in truth] == [row["subject"] for row in cases]
    assert all(value for row in truth for name, value in row.items() if name != "scan.mr")
    assert {"scan.mr", "response", "os_time", "lesion", "dose", "age"} <= {
        k for row in cases for k in row if not row[k]
    }
    shared = set(cases[0]) & set(truth[0]) - {"lesion", "organs", "dose"}
    assert all(case[k] in ("", true[k]) for case, true in zip(cases, truth, strict=True) for k in shared)
    both = {row["subject"] for row in cases if row["visit"] == "week6"}
    assert 0 < len({row["subject"] for row in cases} - both) <= 4
    assert all(row["subject"] in both for row in cases if row["response"])


def test_labels_agree_with_the_voxels(phantom: Path) -> None:
    first: dict[str, float] = {}
    for row in table(phantom / "truth.csv"):
        volume = formats.read_image_file(phantom / row["lesion"])
        lesion, voxel = volume.array[0], float(np.prod(volume.grid.spacing))
        diameter = 2 * (((lesion == 1).sum() * voxel) * 3 / (4 * np.pi)) ** (1 / 3)
        assert diameter == pytest.approx(float(row["diameter"]), rel=0.12)
        assert ndimage.label(lesion == 2)[1] == int(row["nodes"])
        assert row["findings.nodal"] == str(int(int(row["nodes"]) >= 2))
        dose = voxels(phantom, row["dose"])[0]
        assert dose[lesion == 1].min() > 50
        assert dose[voxels(phantom, row["organs"])[3] > 0].mean() < 0.5 * dose[lesion == 1].mean()
        if row["visit"] == "week6":
            assert (float(row["diameter"]) / first[row["subject"]] < 0.8) == (row["response"] == "yes")
        first.setdefault(row["subject"], float(row["diameter"]))


def test_sites_differ_in_grid_and_geometry_is_the_same(phantom: Path) -> None:
    orders = set()
    for row in table(phantom / "truth.csv"):
        source = formats.read_image_file(phantom / row["organs"])
        orders.add((row["site"], tuple(np.sign(np.diag(source.grid.affine))[:2]), source.grid.shape))
        cavity, left, right, bladder = orient_to_ras(source).array.astype(bool)
        assert not (left & right).any()
        assert (cavity | ~(left | right)).all(), "kidneys lie within the cavity: structures overlap"
        if left.any() and right.any():
            assert np.argwhere(left)[:, 0].max() < np.argwhere(right)[:, 0].min()
        assert np.argwhere(bladder)[:, 2].max() < np.argwhere(cavity)[:, 2].mean()
    assert orders == {("A", (1, 1), (32, 32, 32)), ("B", (-1, -1), (32, 32, 21))}


def test_what_is_not_known_is_not_drawn(tmp_path: Path) -> None:
    root = make_phantom(tmp_path / "p", 48, 24, seed=2)
    seen: dict[str, int] = {}
    for row, true in zip(table(root / "cases.csv"), table(root / "truth.csv"), strict=True):
        if row["lesion_known"]:
            assert (row["lesion_known"], (voxels(root, row["lesion"]) == 2).any()) == ("lesion", False)
            seen["lesion_known"] = 1
        if row["organs_known"]:
            assert "bladder" not in row["organs_known"].split(";")
            assert not voxels(root, row["organs"])[3].any()
            seen["organs_known"] = 1
        for task in ("organs", "dose"):
            if row[f"{task}_region"]:
                inside = voxels(root, row[f"{task}_region"])[0] > 0
                drawn, whole = voxels(root, row[task]), voxels(root, true[task])
                assert 0 < inside.mean() < 1
                assert not drawn[:, ~inside].any()
                assert (drawn == whole)[0][inside].all()
                seen[task] = 1
        if row["lesion"] and (voxels(root, row["lesion"]) == 255).any():
            seen["ignore"] = 1
            assert not (voxels(root, true["lesion"]) == 255).any()
    assert set(seen) == {"lesion_known", "organs_known", "organs", "dose", "ignore"}


def test_two_dimensions_have_a_file_per_structure_and_absent_kidneys(tmp_path: Path) -> None:
    root = make_phantom(tmp_path / "p", 12, 24, seed=0, dims=2)
    cells = {
        value
        for row in table(root / "cases.csv")
        for name, value in row.items()
        if name.startswith("organs.kidney")
    }
    assert "absent" in cells
    assert {Path(cell).suffix for cell in cells - {"", "absent"}} == {".png"}
    dose = next(row["dose"] for row in table(root / "cases.csv") if row["dose"])
    assert (Path(dose).suffix, voxels(root, dose, 2).dtype) == (".tif", np.float32)


def test_only_some_tasks(tmp_path: Path) -> None:
    root = make_phantom(tmp_path / "p", 12, 24, tasks=("grade", "lesion"), visits=1)
    assert list(Cohort.read(root).header.tasks) == ["lesion", "grade"]
    assert {p.name.split("_")[-1] for p in root.rglob("*.gz")} == {"ct.nii.gz", "mr.nii.gz", "lesion.nii.gz"}
    assert "organs" not in table(root / "truth.csv")[0]
    alone = make_phantom(tmp_path / "q", 12, 24, tasks=["dose"])
    assert [str(p) for p in check_cohort(alone, jobs=1) if p.level == "error"] == []


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda p: make_phantom(p, tasks=["lesoin"]), "did you mean 'lesion'"),
        (lambda p: make_phantom(p, tasks=["response"], visits=1), "two|2 or more"),
        (lambda p: make_phantom(p, tasks=[]), "no task"),
        (lambda p: make_phantom(p, size=8), "size is 8; expected 24"),
        (lambda p: make_phantom(p, subjects=0), "subjects is 0"),
    ],
)
def test_refuses_what_it_cannot_make(tmp_path: Path, call: Callable[[Path], Path], words: str) -> None:
    with pytest.raises(PolytaskError, match=words):
        call(tmp_path / "p")
    assert list(tmp_path.iterdir()) == []


def test_folder_in_the_way(tmp_path: Path) -> None:
    root = tmp_path / "p"
    root.mkdir()
    make_phantom(root, 2, 24, seed=1, dims=2)  # an empty folder is filled
    (root / "notes.txt").write_text("mine")
    with pytest.raises(PolytaskError, match="not empty"):
        make_phantom(root, 3, 24, dims=2)
    make_phantom(root, 3, 24, seed=1, dims=2, force=True)
    assert (root / "notes.txt").read_text() == "mine"
    assert (
        contents(root).keys() - {"notes.txt"}
        == contents(make_phantom(tmp_path / "q", 3, 24, seed=1, dims=2)).keys()
    )
    (root / "truth.csv").unlink()
    with pytest.raises(PolytaskError, match="not a phantom"):
        make_phantom(root, 3, 24, dims=2, force=True)


def test_an_interrupted_call_leaves_nothing(tmp_path: Path) -> None:
    def stop(done: int, total: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make_phantom(tmp_path / "p", 12, 24, dims=2, progress=stop)
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_call_left_goes_with_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", lambda *args, **options: None)  # a kill tidies nothing
        with pytest.raises(KeyboardInterrupt):
            make_phantom(tmp_path / "p", 12, 24, dims=2, progress=lambda done, total: interrupt())
    assert len(list(tmp_path.iterdir())) == 1
    make_phantom(tmp_path / "p", 2, 24, dims=2)
    assert [path.name for path in tmp_path.iterdir()] == ["p"]


def interrupt() -> None:
    raise KeyboardInterrupt


def test_relapse_is_written_where_it_is_named_and_changes_nothing_else(tmp_path: Path) -> None:
    """Its risk shows in the course: the marker falls where the lesion shrinks, and these relapse less often."""
    alone = table(make_phantom(tmp_path / "a", 48, 24, 3, 2, visits=5, tasks=["relapse"]) / "truth.csv")
    beside = make_phantom(tmp_path / "b", 12, 24, 3, 2, visits=5, tasks=["grade", "relapse"])
    plain = make_phantom(tmp_path / "c", 12, 24, 3, 2, visits=5, tasks=["grade"])
    assert [str(p) for p in check_cohort(beside, jobs=1) if p.level == "error"] == []
    kept = [{k: v for k, v in row.items() if "relapse" not in k} for row in table(beside / "cases.csv")]
    assert kept == table(plain / "cases.csv")
    first = [r for r in alone if r["visit"] == "baseline"]
    late = {r["subject"]: float(r["marker"]) for r in alone if r["visit"] == "week24"}
    falling = [late[r["subject"]] < 0.85 * float(r["marker"]) for r in first if r["subject"] in late]
    events = [int(r["relapse_event"]) for r in first if r["subject"] in late]
    rates = [
        np.mean([e for e, f in zip(events, falling, strict=True) if f is kind]) for kind in (True, False)
    ]
    assert rates[0] + 0.25 < rates[1]
    with pytest.raises(
        PolytaskError, match="relapse is judged from visit to visit; set --visits to 2 or more"
    ):
        make_phantom(tmp_path / "d", 12, 24, visits=1, tasks=["relapse"])
