"""Slides in a header, a table and a check."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from polytask.cohort.cell_values import slide_path
from polytask.cohort.check import check_cohort
from polytask.cohort.cohort import Cohort
from polytask.cohort.header import SlideInput
from polytask.cohort.header_file import load_header, read_header, write_header
from polytask.cohort.phantom.biopsy import has_biopsy, paint_biopsy
from polytask.cohort.phantom.generator import make_phantom
from polytask.cohort.phantom.subjects import draw_subjects
from polytask.errors import Problem
from polytask.images.slide_patches import PatchSpec, find_tissue_patches
from polytask.images.slides import open_slide
from tests.images.slide_cohorts import HEADER, WIDTH, write_cohort
from tests.images.slide_worlds import write_pyramid
from tests.images.test_bag_files import write


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_cohort(tmp_path_factory.mktemp("slides") / "cohort")


@pytest.fixture
def folder(sound: Path, tmp_path: Path) -> Path:
    """A cohort to spoil."""
    return Path(shutil.copytree(sound, tmp_path / "cohort"))


def problems(folder: Path, **options: Any) -> list[Problem]:
    return check_cohort(folder, **{"folds": 2, "jobs": 2, **options})


def changed(folder: Path, cell: str, into: str) -> Path:
    """One cell of the table written anew."""
    table = folder / "cases.csv"
    text = table.read_text()
    assert cell in text
    table.write_text(text.replace(cell, into, 1))
    return folder


def test_a_sound_cohort_of_slides_has_no_problem(sound: Path) -> None:
    assert problems(sound) == []


def test_cells_are_found_at_their_level(sound: Path) -> None:
    cohort = Cohort.read(sound)
    first, second = cohort.subjects["s01"]
    assert slide_path(cohort, first, "biopsy") == sound / "s01.tif"
    assert slide_path(cohort, second, "biopsy") is None
    assert slide_path(cohort, first, "bag") == slide_path(cohort, second, "bag") == sound / "s01.h5"
    assert slide_path(cohort, cohort.subjects["s05"][0], "bag") is None


def test_the_header_round_trips(sound: Path, tmp_path: Path) -> None:
    header = read_header(sound / "cohort.yaml")
    assert header.slides["bag"] == SlideInput(kind="slide", level="subject", features=WIDTH)
    assert [s.resolution for s in header.slides.values()] == [1.0, 1.0]
    write_header(header, tmp_path / "cohort.yaml")
    assert read_header(tmp_path / "cohort.yaml") == header


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"mpp": 1.0, "downsample": 4}, "both set the resolution of a patch"),
        ({"features": 512, "patch": 128}, "is not cut into patches"),
        ({"patch": 5000}, "less than or equal to 1024"),
        ({"patches": 5}, "unknown key 'patches'; did you mean 'patch'"),
        ({"kind": "slides"}, "unknown kind 'slides'; did you mean 'slide'"),
    ],
)
def test_a_header_that_does_not_fit(tmp_path: Path, spec: dict[str, Any], words: str) -> None:
    header = {**HEADER, "inputs": {"biopsy": {"kind": "slide", **spec}}}
    (tmp_path / "cohort.yaml").write_text(yaml.safe_dump(header))
    found, lines = load_header(tmp_path / "cohort.yaml")
    assert found is None
    assert words in f"{lines[0].message}; {lines[0].remedy}"


def test_a_column_cannot_be_slide_and_number(tmp_path: Path) -> None:
    table = {"kind": "table", "columns": {"biopsy": {"type": "number"}}}
    (tmp_path / "cohort.yaml").write_text(
        yaml.safe_dump({**HEADER, "inputs": {**HEADER["inputs"], "clinic": table}})
    )
    _, lines = load_header(tmp_path / "cohort.yaml")
    assert [p.message for p in lines] == ["inputs.clinic: column 'biopsy' is also a slide input"]


def only(folder: Path, code: str) -> str:
    """The one problem, as a line."""
    found = problems(folder)
    assert [p.code for p in found] == [code], "\n".join(map(str, found))
    return f"{found[0].file}: {found[0].message}; {found[0].remedy}"


def test_files_that_are_not_there_or_cannot_be_read(folder: Path) -> None:
    (folder / "s01.tif").unlink()
    assert only(folder, "missing-file").startswith("s01.tif: biopsy: no such file")
    (folder / "s01.tif").write_bytes(b"no tiff")
    assert "cannot be read as a slide" in only(folder, "unreadable")


def test_a_slide_without_tissue(folder: Path) -> None:
    write_pyramid(folder / "s01.tif", 256, 64, set(), (1, 2), tile=64)
    assert "no patch with enough tissue" in only(folder, "no-tissue")


def test_bags_that_do_not_fit(folder: Path) -> None:
    write(folder / "s01.h5", np.zeros((0, WIDTH), np.float32))
    assert "holds no patch" in only(folder, "unreadable")
    write(folder / "s01.h5", np.ones((4, WIDTH + 2), np.float32))
    assert "7 features per patch, but the header says 5" in only(folder, "wrong-width")


def test_bags_and_slides_are_told_apart(folder: Path) -> None:
    assert "say `features: WIDTH` in the header" in only(changed(folder, "s01.tif", "s04.h5"), "unreadable")


def test_one_slide_under_two_subjects(folder: Path) -> None:
    assert "of subject 's01'" in only(changed(folder, "s02.tif", "s01.tif"), "same-file")


def test_rows_of_a_subject_must_agree(folder: Path) -> None:
    table = folder / "cases.csv"
    table.write_text(
        table.read_text().replace("s01,first,train,s01.tif,,", "s01,first,train,s01.tif,s02.pt,")
    )
    assert {p.code for p in problems(folder, images=False)} == {"disagreement"}


def test_the_phantom_has_slides_when_asked(tmp_path: Path) -> None:
    asked = {"subjects": 12, "size": 24, "dims": 2, "tasks": ["grade"]}
    one = make_phantom(tmp_path / "one", slides=True, **asked)  # type: ignore[arg-type]
    two = make_phantom(tmp_path / "two", slides=True, **asked)  # type: ignore[arg-type]
    cohort = Cohort.read(one)
    assert [p for p in check_cohort(one, folds=3) if p.level == "error"] == []
    files = sorted(p.name for p in (one / "slides").iterdir())
    assert len(files) == 10  # two of twelve have none
    assert all((one / "slides" / f).read_bytes() == (two / "slides" / f).read_bytes() for f in files)
    assert sum("biopsy" in case.cells for case in cohort.cases) == 10
    with open_slide(one / "slides" / files[0]) as slide:
        assert [v.width for v in slide.levels] == [1024, 512, 256]
        assert slide.mpp == pytest.approx(1.0)
        assert len(find_tissue_patches(slide, PatchSpec(64, 1.0, None, 0.5))) > 20


def test_nuclei_tell_the_grade() -> None:
    people = draw_subjects(12, 0, 2, 2)
    assert sum(has_biopsy(s, 0) for s in people) == 10
    by_size = sorted(people, key=lambda s: s.radius)
    dark = []
    for subject in (*by_size[:2], *by_size[-2:]):
        image = paint_biopsy(subject, np.random.default_rng(subject.index)).astype(int)
        tissue = image.max(axis=2) - image.min(axis=2) > 20
        dark.append(float((image[..., 1] < 130)[tissue].mean()))
    assert max(dark[:2]) < 0.5 * min(dark[2:])


def test_a_phantom_without_slides_names_none(tmp_path: Path) -> None:
    root = make_phantom(tmp_path / "p", 2, 24, dims=2, tasks=["grade"])
    assert "biopsy" not in (root / "cohort.yaml").read_text() + (root / "cases.csv").read_text()
    assert not (root / "slides").exists()
