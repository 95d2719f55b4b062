"""Hashes of paths that name a part of a file: a plane, a DICOM series."""

from __future__ import annotations

from pathlib import Path

from polytask.images.plane_paths import find_source_file, make_plane_path
from polytask.plan.measure_case import _hash_content
from polytask.prepare.recipe import hash_files


def test_another_plane_is_another_content(tmp_path: Path) -> None:
    file = tmp_path / "a.nii.gz"
    file.write_bytes(b"x")
    paths = [file, make_plane_path(file, 0), make_plane_path(file, 1)]
    assert len({*hash_files(paths, "here").values()}) == 3
    assert len({_hash_content(path) for path in paths}) == 3


def test_a_series_of_a_folder_is_hashed_by_its_files(tmp_path: Path) -> None:
    (tmp_path / "series").mkdir()
    (tmp_path / "series/1.dcm").write_bytes(b"x")
    series = tmp_path / "series#1.2.3"
    assert find_source_file(series) == tmp_path / "series"
    assert (
        hash_files([series], "here")[str(series)]
        == hash_files([tmp_path / "series"], "here")[str(tmp_path / "series")]
    )
    assert _hash_content(series) == _hash_content(tmp_path / "series")
