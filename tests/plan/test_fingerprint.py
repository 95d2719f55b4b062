"""Measuring: sizes and intensities of known images, test subjects untouched, nothing measured twice."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import numpy.typing as npt
import pytest

from polytask.cohort.cohort import Cohort
from polytask.errors import PolytaskError
from polytask.plan import fingerprint as room
from polytask.plan.fingerprint import make_fingerprint
from polytask.plan.fingerprint_records import Fingerprint

HEADER = """
polytask: 1
name: tiny
inputs:
  scan: {kind: image, align: resample, channels: {ct: CT, mr: MR}}
tasks:
  tumour: {kind: segmentation, image: scan, labels: {tumour: 1, node: 2}, ignore: 9}
  organs: {kind: segmentation, image: scan, structures: [left, right]}
  dose: {kind: dose, image: scan, unit: Gy}
"""
LPS = np.diag([-1.0, -1.5, 3.0, 1.0])


def save(path: Path, array: npt.NDArray[np.generic], affine: npt.NDArray[np.float64] = LPS) -> str:
    """Write a NIfTI, → its name."""
    nib.save(nib.Nifti1Image(array, affine), path)  # type: ignore[attr-defined]
    return path.name


@pytest.fixture
def tiny(tmp_path: Path) -> Cohort:
    """Subject a with everything, b with an image alone, c in the test part with a file that is none."""
    ct = np.full((20, 16, 8), -1000, np.int16)
    ct[4:16, 3:13, 1:7] = 50
    labels = np.zeros(ct.shape, np.uint8)
    labels[5:8, 4:6, 2:4] = 1
    labels[10:12, 8:9, 3:5] = 2
    labels[0, 0, 0] = 9
    structures = np.zeros((*ct.shape, 2), np.uint8)
    structures[4:8, 3:13, 1:7, 0] = 1
    region = np.zeros(ct.shape, np.uint8)
    region[4:16, 3:13, 1:7] = 1
    dose = np.where(region > 0, np.arange(20)[:, None, None], 0).astype(np.float32)
    mr = np.random.default_rng(0).normal(100, 10, (10, 8, 8)).astype(np.float32)
    save(tmp_path / "ct.nii.gz", ct)
    save(tmp_path / "mr.nii.gz", mr, np.diag([-2.0, -3.0, 3.0, 1.0]))
    for name, array in (("lab", labels), ("org", structures), ("reg", region), ("dose", dose)):
        save(tmp_path / f"{name}.nii.gz", array)
    (tmp_path / "bad.nii.gz").write_bytes(b"no image")
    (tmp_path / "cohort.yaml").write_text(HEADER)
    (tmp_path / "cases.csv").write_text(
        "subject,split,scan.ct,scan.mr,tumour,organs,organs_known,dose,dose_region\n"
        "a,train,ct.nii.gz,mr.nii.gz,lab.nii.gz,org.nii.gz,left,dose.nii.gz,reg.nii.gz\n"
        "b,train,ct.nii.gz,,,,,,\n"
        "c,test,bad.nii.gz,,,,,,\n"
    )
    return Cohort.read(tmp_path)


def test_geometry_in_the_stores_axis_order(tiny: Cohort) -> None:
    image = make_fingerprint(tiny).cases["a"].images["scan"]
    assert (image.source_shape, image.source_spacing, image.orientation) == (
        (20, 16, 8),
        (1.0, 1.5, 3.0),
        "LPS",
    )
    assert image.shape == (20, 16, 8)
    assert image.boxes["none"] == ((0, 0, 0), (20, 16, 8))
    assert image.boxes["body"] == ((3, 2, 0), (17, 14, 8)), "turned by 180° about z: 20 − 16 − 1, 16 − 13 − 1"


def test_channels_that_are_there_and_their_intensities(tiny: Cohort) -> None:
    found = make_fingerprint(tiny)
    both, single = found.cases["a"].images["scan"].planes, found.cases["b"].images["scan"].planes
    assert (list(both), list(single)) == (["ct", "mr"], ["ct"])
    foreground = both["ct"][0].foreground
    assert foreground is not None
    assert (foreground.low, foreground.high) == (50, 50), "structures lie in tissue"
    assert foreground.n == 3 * 2 * 2 + 2 * 1 * 2 + 4 * 10 * 6 - 3 * 2 * 2, "the union of what is known"
    mr = both["mr"][0].body
    assert mr is not None
    assert mr.mean == pytest.approx(100, abs=3), "brought to the first channel's grid"


def test_structures_known_absent_and_unknown(tiny: Cohort) -> None:
    voxels = make_fingerprint(tiny).cases["a"].voxels
    assert voxels["tumour"].counts == {"tumour": 12, "node": 4}
    assert voxels["tumour"].totals["none"] == 20 * 16 * 8 - 1, "what is to be ignored does not count"
    assert voxels["tumour"].sizes["tumour"] == (3.0, 3.0, 6.0), "mm"
    assert voxels["organs"].counts == {"left": 240}, "right is not known"
    assert make_fingerprint(tiny).cases["b"].voxels == {}


def test_dose_counts_inside_its_region(tiny: Cohort) -> None:
    dose = make_fingerprint(tiny).cases["a"].voxels["dose"]
    assert dose.totals["none"] == 12 * 10 * 6
    assert (dose.values["none"].low, dose.values["none"].high) == (4, 15)


def test_test_subjects_are_not_opened(tiny: Cohort) -> None:
    assert list(make_fingerprint(tiny).cases) == ["a", "b"]


def test_unchanged_files_are_not_measured_again(
    tiny: Cohort, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = make_fingerprint(tiny)
    first.write(tmp_path)
    measured: list[str] = []
    real = room.measure_case
    monkeypatch.setattr(room, "measure_case", lambda *a: measured.append(a[1].key) or real(*a))
    assert make_fingerprint(tiny, previous=Fingerprint.read(tmp_path)) == first
    assert measured == []
    save(tmp_path / "mr.nii.gz", np.ones((10, 8, 8), np.float32), np.diag([-2.0, -3.0, 3.0, 1.0]))
    make_fingerprint(tiny, previous=first)
    assert measured == ["a"], "only the case whose file changed"


def test_progress_and_jobs_do_not_change_the_result(tiny: Cohort) -> None:
    told: list[tuple[int, int]] = []
    one = make_fingerprint(tiny, jobs=1, progress=lambda done, total, key: told.append((done, total)))
    assert told == [(1, 2), (2, 2)]
    assert make_fingerprint(tiny, jobs=4) == one


def test_interruption_saves_what_is_measured(tiny: Cohort) -> None:
    saved: list[Fingerprint] = []

    def stop(done: int, total: int, key: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make_fingerprint(tiny, jobs=1, progress=stop, save=saved.append)
    assert len(saved) == 1
    assert set(saved[0].cases) <= {"a", "b"}
    assert len(saved[0].cases) >= 1


def test_a_broken_file_is_one_line(tiny: Cohort, tmp_path: Path) -> None:
    (tmp_path / "lab.nii.gz").write_bytes(b"no mask")
    with pytest.raises(PolytaskError, match=r"lab\.nii\.gz"):
        make_fingerprint(tiny)
    (tmp_path / "lab.nii.gz").unlink()
    with pytest.raises(PolytaskError, match=r"lab\.nii\.gz"):
        make_fingerprint(tiny)


def test_a_mask_of_another_size_is_named(tiny: Cohort, tmp_path: Path) -> None:
    text = (tmp_path / "cohort.yaml").read_text().replace("align: resample", "align: strict")
    (tmp_path / "cohort.yaml").write_text(text)
    (tmp_path / "cases.csv").write_text(
        "subject,scan.ct,scan.mr,tumour,organs,dose\na,ct.nii.gz,,mr.nii.gz,,\n"
    )
    with pytest.raises(PolytaskError, match=r"mr\.nii\.gz: size"):
        make_fingerprint(Cohort.read(tmp_path))


def test_a_damaged_fingerprint_is_refused_and_not_used(tmp_path: Path) -> None:
    (tmp_path / "fingerprint.json").write_text('{"version": 1, "cases": {"a": 3}}')
    with pytest.raises(PolytaskError, match="not a readable fingerprint"):
        Fingerprint.read(tmp_path)
    assert Fingerprint.find(tmp_path) is None
