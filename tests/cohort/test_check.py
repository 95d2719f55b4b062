from __future__ import annotations

import gzip
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from polytask.cohort.check import CHECKS, check_cohort
from polytask.cohort.phantom import make_phantom
from polytask.errors import Problem
from polytask.images.formats import write_image_file
from polytask.images.volume import Grid, Volume
from tests.calls import count_calls
from tests.cohort.worlds import SHAPE, World, save

CT, MASK, DOSE, ORGANS = (
    "i/002_baseline_ct.nii.gz",
    "m/002_baseline.nii.gz",
    "d/002_baseline.nii.gz",
    "o/002_baseline.nii.gz",
)


def test_the_world_is_sound(world: World) -> None:
    assert world.problems() == []


@pytest.mark.parametrize(
    ("column", "cell", "code", "word"),
    [
        ("grade", "4", "unknown-class", "'4' is not one of 1, 2, 3"),
        ("smoker", "nver", "unknown-class", "did you mean 'never'"),
        ("marker", "high", "odd-cell", "add the word to `unknown`"),
        ("marker", "1,5", "odd-cell", "number with a decimal point"),
        ("size", "inf", "odd-cell", "not a number"),
        ("os_event", "yes", "odd-event", "1 = event observed"),
        ("os_event", "2", "odd-event", "neither 0 nor 1"),
        ("os_time", "-3", "negative-time", "negative"),
        ("os_time", "", "time-or-event", "os_event is filled, os_time is empty"),
        ("os_event", "", "time-or-event", "os_time is filled, os_event is empty"),
        ("finding.cyst", "yes", "odd-cell", "1 = present"),
        ("tumour_known", "tumour;nodes", "unknown-structure", "did you mean 'node'"),
        ("age", "99", "disagreement", "age is '62', but '99' in row 4"),
        ("visit", "week7", "unknown-visit", "did you mean 'week6'"),
        ("visit", "week6", "duplicate-case", "is already in row"),
        ("split", "test", "disagreement", "split"),
        ("site", "Q", "disagreement", "site"),
        ("day", "100", "visit-order", "day 42 of 'week6' lies before day 100 of 'baseline'"),
        ("scan.ct", "i/none.nii.gz", "missing-file", "correct the path"),
        ("organs.left", "absent", "two-masks", "both filled"),
    ],
)
def test_a_wrong_cell_is_the_one_problem(world: World, column: str, cell: str, code: str, word: str) -> None:
    world.row("002", "week6")["age"] = "62" if column == "age" else ""
    world.row("002")["organs.left"] = world.row("002")["organs.right"] = ""
    world.row("002")[column] = cell
    problem = world.only(code)
    assert problem.level == "error"
    assert word in str(problem)
    assert problem.row in (4, 5)
    assert problem.subject == "002"


def damaged(kind: str, path: Path) -> None:
    if kind == "truncated":
        path.write_bytes(path.read_bytes()[:-40])
    elif kind == "text":
        path.write_text("this is not an image")
    elif kind == "claims":
        head = bytearray(gzip.decompress(path.read_bytes())[:352])
        struct.pack_into("<8h", head, 40, 3, 1500, 1500, 1500, 1, 1, 1, 1)
        struct.pack_into("<2h", head, 70, 64, 64)
        path.write_bytes(gzip.compress(bytes(head)))


@pytest.mark.parametrize("kind", ["truncated", "text", "claims"])
def test_unreadable_and_lying_files(world: World, kind: str) -> None:
    damaged(kind, world.folder / CT)
    problem = world.only("unreadable")
    assert (problem.file, problem.row, problem.subject, problem.column) == (CT, 4, "002", "scan.ct")


def turned() -> np.ndarray:
    affine = np.diag([1.0, 1, 2, 1])
    affine[0, 3] = 5
    return affine


def nan(array: np.ndarray) -> np.ndarray:
    array = array.astype(np.float32)
    array[0, 0, 0] = np.nan
    return array


LABELS = np.zeros(SHAPE, np.uint8)
LABELS[1, 1, 1:3] = 1, 2
OTHER = np.arange(np.prod(SHAPE)).reshape(SHAPE).astype(np.int16)
MANY = np.zeros((2, *SHAPE), np.uint8)
MANY[0, 0, 0, :2], MANY[1, 1] = (1, 3), 1


@pytest.mark.parametrize(
    ("file", "array", "affine", "code", "level", "word"),
    [
        (
            "i/002_baseline_mr.nii.gz",
            np.ones((6, 5, 3), np.int16) * OTHER[:, :, :3],
            None,
            "wrong-shape",
            "error",
            "6×5×3",
        ),
        ("i/002_baseline_mr.nii.gz", OTHER, turned(), "wrong-place", "error", "another position in space"),
        (MASK, LABELS[:, :, :3], None, "wrong-shape", "error", "6×5×4"),
        (MASK, LABELS * np.uint8(7), None, "wrong-label", "error", "7, 14"),
        (MASK, LABELS * np.float32(0.5), None, "wrong-label", "error", "0.5 is not a label"),
        (DOSE, OTHER[:, :4].astype(np.float32), None, "wrong-shape", "error", "6×4×4"),
        (CT, nan(OTHER), None, "not-finite", "error", "NaN"),
        (CT, np.ones(SHAPE, np.int16), None, "constant-image", "warning", "all voxels are equal"),
        (CT, np.stack([OTHER, OTHER]), None, "wrong-channels", "error", "2 channels in one file, expected 1"),
        (ORGANS, LABELS[None], None, "wrong-channels", "error", "1 masks in the file, expected 2"),
        (ORGANS, MANY, None, "wrong-label", "error", "one structure"),
    ],
)
def test_a_wrong_file_is_the_one_problem(
    world: World, file: str, array: np.ndarray, affine: np.ndarray | None, code: str, level: str, word: str
) -> None:
    save(world.folder / file, array, affine)
    problems = [p for p in world.problems() if not (code == "wrong-channels" and p.code == "wrong-label")]
    assert [p.code for p in problems] == [code], problems
    assert (problems[0].level, problems[0].file, problems[0].row) == (level, file, 4)
    assert word in str(problems[0])


def test_channels_on_other_grids_pass_when_they_are_resampled(world: World) -> None:
    world.header["inputs"]["scan"]["align"] = "resample"
    save(world.folder / "i/002_baseline_mr.nii.gz", OTHER[:, :, :3])
    assert world.problems() == []


def test_empty_region(world: World) -> None:
    save(world.folder / "r.nii.gz", np.zeros(SHAPE, np.uint8))
    world.row("002")["dose_region"] = "r.nii.gz"
    assert world.only("empty-region").level == "warning"


def test_same_content_under_two_subjects(world: World) -> None:
    """Found by the voxels: the gzip bytes differ."""
    source = world.folder / CT
    copied = world.folder / "i/003_baseline_ct.nii.gz"
    copied.write_bytes(gzip.compress(gzip.decompress(source.read_bytes()), 1, mtime=7))
    problem = world.only("same-file")
    assert problem.level == "error"
    assert problem.subject == "003"
    assert "002" in problem.message


def test_same_content_at_two_visits_is_a_warning(world: World) -> None:
    world.row("002", "week6")["scan.ct"] = CT
    assert world.only("same-visit-file").level == "warning"


def test_same_mask_file_under_two_subjects(world: World) -> None:
    world.row("003")["tumour"] = MASK
    assert world.only("same-file").column == "tumour"


@pytest.mark.parametrize(("count", "level"), [(0, "error"), (1, "error"), (2, "warning"), (3, None)])
def test_a_class_with_too_few_subjects(world: World, count: int, level: str | None) -> None:
    for row in world.rows:
        if row["grade"] == "3":
            row["grade"] = "3" if row["subject"] in ("003", "006", "009")[:count] else "1"
    for row in world.rows:
        row["grade"] = "3" if row["subject"] == "006" and count > 1 else row["grade"]
    found = world.problems(folds=3)
    assert [(p.code, p.level) for p in found] == ([("rare-class", level)] if level else [])
    assert level is None or "'3'" in found[0].message


def test_test_subjects_do_not_count_for_a_class(world: World) -> None:
    for row in world.rows:
        row["pcr"] = row["pcr"] and ("yes" if row["subject"] in ("001", "012") else "no")
    assert world.only("rare-class").level == "error"


def test_no_event_and_nothing_known(world: World) -> None:
    for row in world.rows:
        row["os_event"] = row["os_event"] and "0"
        row["dose"] = ""
    assert [(p.code, p.column) for p in world.problems()] == [
        ("nothing-known", "dose"),
        ("rare-class", "os_event"),
    ]


def test_constant_and_empty_columns(world: World) -> None:
    for row in world.rows:
        row["marker"], row["smoker"], row["size"] = "1.0", "", "3"
    found = {(p.code, p.column, p.level) for p in world.problems()}
    assert found == {
        ("constant-column", "marker", "warning"),
        ("empty-column", "smoker", "warning"),
        ("constant-column", "size", "error"),
    }


def test_missing_and_unlisted_columns(world: World) -> None:
    for row in world.rows:
        row["Age"], row["note"] = row.pop("age"), "x"
    missing, unlisted = world.problems()
    assert (missing.code, missing.level, missing.column) == ("missing-column", "error", "age")
    assert "did you mean 'Age'" in missing.remedy
    assert (unlisted.code, unlisted.level) == ("unlisted-column", "warning")
    assert "'Age', 'note'" in unlisted.message


def test_a_column_cannot_be_input_and_target(world: World) -> None:
    world.header["tasks"]["marker"] = {"kind": "regression"}
    assert "input (of 'clinic') and target" in world.only("header").message


def test_survival_that_reads_the_future(world: World) -> None:
    del world.header["tasks"]["os"]["visits"]
    assert world.only("after-origin").level == "warning"
    del world.header["tasks"]["os"]["origin"]
    assert {p.code for p in world.problems()} == {"after-origin", "no-origin"}


def test_masks_without_an_image_and_known_without_a_mask(world: World) -> None:
    world.row("002").update(
        {"scan.ct": "", "scan.mr": "", "tumour": "", "organs": "", "tumour_known": "tumour"}
    )
    found = world.problems()
    assert [(p.code, p.column, p.level) for p in found] == [
        ("known-without-mask", "tumour", "warning"),
        ("mask-without-image", "dose", "warning"),
    ]


def test_a_structure_that_hardly_occurs(world: World) -> None:
    for row in world.rows:
        if row["subject"] not in ("001", "012"):
            save(world.folder / row["tumour"], np.minimum(LABELS, 1).astype(np.uint8))
    problem = world.only("rare-structure")
    assert "'node' in 1 subject outside" in problem.message


def test_all_problems_at_once_errors_first_and_without_images(world: World) -> None:
    world.row("002")["grade"] = "9"
    world.row("003")["scan.ct"] = "none.nii.gz"
    world.rows[0]["extra"] = "x"
    found = world.problems()
    assert [p.code for p in found] == ["unknown-class", "missing-file", "unlisted-column"]
    assert [p.code for p in world.problems(images=False)] == ["unknown-class", "unlisted-column"]


def test_folders_that_are_no_cohort(tmp_path: Path, world: World) -> None:
    assert [p.code for p in check_cohort(tmp_path)] == ["no-header"]
    assert [p.code for p in check_cohort(tmp_path / "none")] == ["no-header"]
    (world.write() / "cases.csv").unlink()
    assert [p.code for p in check_cohort(world.folder)] == ["table"]


def test_each_file_is_read_once_and_progress_is_told(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    from polytask.cohort.checks import image_facts

    read, seen, told = image_facts.read_image_file, [], []

    def counted(path: Path, *rest: Any) -> Any:
        seen.append(path)
        return read(path, *rest)

    monkeypatch.setattr(image_facts, "read_image_file", counted)
    assert world.problems(progress=lambda done, total: told.append((done, total))) == []
    assert len(seen) == len(set(seen)) == 5 * 24
    assert told == [(n, 120) for n in range(121)]


def test_calls_of_a_check_grow_with_files_and_not_with_their_voxels(tmp_path: Path) -> None:
    """Twice as many files, each of more than twice as many voxels, take twice as many calls."""
    few, many = tmp_path / "few", tmp_path / "many"
    make_phantom(few, 6, 24, 0)
    make_phantom(many, 12, 32, 0)
    check_cohort(few)  # modules and caches are there from now on
    found: list[Problem] = []
    calls = [count_calls(lambda: check_cohort(few)), count_calls(lambda: found.extend(check_cohort(many)))]
    assert [p for p in found if p.level == "error"] == []
    files = sum(1 for path in few.rglob("*") if path.is_file())
    assert 10 * files < calls[0] < 1000 * files
    assert calls[1] / calls[0] < 2.2


def test_every_check_has_a_line() -> None:
    assert all(check.__doc__ for check in CHECKS.values())


def test_a_gray_picture_where_the_header_says_color_is_an_error(tmp_path: Path) -> None:
    """`plan` reads three planes of it; a check that says nothing would send a person on."""
    (tmp_path / "cohort.yaml").write_text(
        "polytask: 1\nname: skin\ninputs:\n  photo: {kind: image, dims: 2, channels: {light: RGB}}\n"
        "tasks:\n  size: {kind: regression}\n",
        encoding="utf-8",
    )
    gray = np.random.default_rng(0).integers(0, 255, (1, 8, 8), dtype=np.uint8)
    for k in range(4):
        write_image_file(
            tmp_path / f"p{k}.png",
            Volume(gray if k == 0 else np.concatenate([gray + k] * 3), Grid((8, 8), np.eye(4))),
        )
    rows = "".join(f"s{k},p{k}.png,{k}\n" for k in range(4))
    (tmp_path / "cases.csv").write_text("subject,photo.light,size\n" + rows, encoding="utf-8")
    (found,) = [p for p in check_cohort(tmp_path) if p.code == "wrong-channels"]
    assert (found.level, found.subject) == ("error", "s0")
    assert "1 channels in one file, expected 3" in found.message
    assert "write it as RGB" in found.remedy
