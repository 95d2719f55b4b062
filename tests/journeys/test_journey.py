"""The good way from end to end, in 2D and 3D: evaluate, predict from everything, export."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from polytask.cohort.cell_values import image_paths
from polytask.cohort.cohort import Case, Cohort
from polytask.images.formats import probe_image_file, read_image_file, write_image_file
from polytask.images.volume import Grid, Volume
from tests.journeys.ct_cohort import SHAPE, Journey, keep_first_rows, make_ct_image
from tests.journeys.run_cli import hash_folder_files, polytask, run_successfully

ANSWERS = {
    "lesion": [""],
    "dose": [""],
    "grade": ["", ".p.G1", ".p.G2", ".p.G3"],
    "pattern": ["", ".p.solid", ".p.hollow"],
    "findings": ["", ".p.effusion", ".p.stone", ".p.nodal"],
    "diameter": [""],
    "os": [".risk", ".p.T365", ".p.T1095"],
    "response": ["", ".p.no", ".p.yes"],
}
"""Task → the columns of its answer."""
SUBJECT = ("os", "response")
ORGANS = ("cavity", "kidney_l", "kidney_r", "bladder")


def read_prediction_table(out: Path) -> dict[tuple[str, str], dict[str, str]]:
    with (out / "predictions.csv").open(encoding="utf-8", newline="") as stream:
        return {(row["subject"], row["visit"]): row for row in csv.DictReader(stream)}


def source_grid(cohort: Cohort, case: Case, dims: int) -> Grid | None:
    path = next((p for p in image_paths(cohort, case, "scan").values() if p), None)
    return None if path is None else probe_image_file(path, dims).grid


def assert_same_predictions(one: Path, other: Path) -> None:
    first, second = hash_folder_files(one), hash_folder_files(other)
    assert first.keys() == second.keys()
    assert [p for p in first if first[p] != second[p]] == []


def are_rows_alike(one: dict[str, str], other: dict[str, str]) -> bool:
    """Equal words; numbers to five digits (a batch of another size rounds differently)."""
    numbers = {
        k for k in one if k not in ("subject", "visit") and one[k].replace("-", "").replace(".", "").isdigit()
    }
    return all(
        float(one[k]) == pytest.approx(float(other[k]), rel=1e-4, abs=1e-5)
        if k in numbers
        else one[k] == other[k]
        for k in one
    )


@pytest.fixture(scope="module")
def predicted(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """dims → the cohort as `hard-fold0` predicts it."""
    return {dims: tmp_path_factory.mktemp("predicted") / "out" for dims in (2, 3)}


def predictions(journey: Journey, predicted: dict[int, Path]) -> Path:
    out = predicted[journey.dims]
    if not out.exists():
        run_successfully("predict", journey.run, journey.cohort, "-o", out)
    return out


def test_evaluation_of_the_held_out_part(journey: Journey) -> None:
    said = run_successfully("evaluate", journey.run, "--resamples", 20)
    assert "held out" in said.out
    found = run_successfully("evaluate", journey.run, "--resamples", 20, "--json").json
    assert found == json.loads((journey.run / "evaluation.json").read_text())
    splits = json.loads((journey.work / "splits.json").read_text())
    assert found["subjects"] == splits["folds"][0]["held_out"]
    assert set(found["metrics"]) == {*ANSWERS, "organs"}
    for task, metrics in found["metrics"].items():
        primary = metrics[found["tasks"][task]["primary"]]
        assert set(primary) == {"estimate", "low", "high", "n", "reason"}
    assert set(found["sites"]) == {"A", "B"}
    assert {s for s, _ in read_prediction_table(journey.run)} == set(found["subjects"])
    assert (journey.run / "cases.csv").exists()


def test_evaluation_of_the_test_part_is_counted(journey: Journey) -> None:
    cohort = Cohort.read(journey.cohort)
    for times in (1, 2):
        found = run_successfully("evaluate", journey.run, "--part", "test", "--resamples", 5, "--json").json
        assert found["subjects"] == list(cohort.list_split_subjects("test"))
        assert found["test_touched"] == times
    assert len((journey.work / "test_log.jsonl").read_text().splitlines()) == 2
    assert (journey.run / "test/evaluation.json").exists()


def test_single_networks_are_evaluated_like_one(journey: Journey) -> None:
    run = journey.work / "runs/single"
    for task in ("lesion", "grade", "os"):
        assert (run / "best" / task / "model.safetensors").exists()
        assert (run / "last" / task / "model.safetensors").exists()
    found = run_successfully("evaluate", run, "--resamples", 5, "--json").json
    assert set(found["metrics"]) == {"lesion", "grade", "os"}


def test_predictions_have_the_columns_and_rows_they_should(
    journey: Journey, predicted: dict[int, Path]
) -> None:
    rows = read_prediction_table(predictions(journey, predicted))
    cohort = Cohort.read(journey.cohort)
    assert set(rows) == {(c.subject, c.visit) for c in cohort.cases} | {(s, "") for s in cohort.subjects}
    columns = set(next(iter(rows.values())))
    assert {f"{task}{suffix}" for task, suffixes in ANSWERS.items() for suffix in suffixes} <= columns
    assert {"subject", "visit", "fold", "seed", "member"} <= columns
    for (_, visit), row in rows.items():
        assert (row["fold"], row["seed"], row["member"]) == ("0", "0", "")
        assert all(
            (row[f"{t}.p.{c}"] != "") == (visit == "") for t, c in (("os", "T365"), ("response", "no"))
        )
        if visit:
            chances = [float(row[f"grade{s}"]) for s in ANSWERS["grade"][1:]]
            assert sum(chances) == pytest.approx(1, abs=1e-4)
            median = int(np.searchsorted(np.cumsum(chances), 0.5))
            assert row["grade"] == ("G1", "G2", "G3")[median]


def test_masks_and_doses_lie_on_the_source_grid(journey: Journey, predicted: dict[int, Path]) -> None:
    out = predictions(journey, predicted)
    rows, cohort = read_prediction_table(out), Cohort.read(journey.cohort)
    grids = set()
    for case in cohort.cases:
        row, grid = rows[case.subject, case.visit], source_grid(cohort, case, journey.dims)
        assert grid is not None
        grids.add(np.sign(grid.affine[:3, :3]).tobytes())
        organs = [f"organs.{o}" for o in ORGANS] if journey.dims == 2 else ["organs"]
        for column in ("lesion", "dose", *organs):
            volume = read_image_file(out / row[column], journey.dims)
            assert volume.grid.shape == grid.shape
            np.testing.assert_allclose(volume.grid.affine, grid.affine, atol=1e-4)
            if column == "lesion":
                assert set(np.unique(volume.array)) <= {0, 1, 2}
    assert len(grids) == (2 if journey.dims == 3 else 1), "the sites of the 3D phantom differ in orientation"


def test_an_exported_model_predicts_alone_what_its_run_predicts(
    journey: Journey, predicted: dict[int, Path], tmp_path: Path
) -> None:
    out = predictions(journey, predicted)
    made = run_successfully("export", journey.run, "-o", tmp_path / "first", "--json").json
    assert set(made["files"]) == {"model.safetensors", "model.json", "README.md"}
    shutil.move(tmp_path / "first", tmp_path / "elsewhere")
    hidden = journey.cohort.parent.rename(journey.cohort.parent.with_name("hidden"))
    try:
        run_successfully("predict", tmp_path / "elsewhere", hidden / "cohort", "-o", tmp_path / "out")
    finally:
        hidden.rename(journey.cohort.parent)
    assert_same_predictions(out, tmp_path / "out")


def test_folds_become_one_ensemble(journey: Journey, tmp_path: Path) -> None:
    runs, some = (
        [journey.work / f"runs/hard-fold{k}" for k in (0, 1)],
        keep_first_rows(journey, tmp_path / "some", 3),
    )
    said = run_successfully("predict", *runs, some, "-o", tmp_path / "runs", "--json").json
    assert said["members"] == 2
    found = read_prediction_table(tmp_path / "runs")
    assert {(r["fold"], r["seed"], r["member"]) for r in found.values()} == {("0;1", "0", "2")}
    run_successfully("export", *runs, "-o", tmp_path / "model")
    run_successfully("predict", tmp_path / "model", some, "-o", tmp_path / "bundle")
    assert_same_predictions(tmp_path / "runs", tmp_path / "bundle")
    members = []
    for number, run in enumerate(runs):
        run_successfully("predict", run, some, "-o", tmp_path / f"alone{number}")
        members.append(read_prediction_table(tmp_path / f"alone{number}"))
    for key, row in found.items():
        for column in ("grade.p.G1", "os.p.T365", "diameter"):
            if row[column]:
                mean = np.mean([float(m[key][column]) for m in members])
                assert float(row[column]) == pytest.approx(mean, rel=1e-3)


def test_a_table_elsewhere_predicts_what_the_cohort_does(
    journey: Journey, predicted: dict[int, Path], tmp_path: Path
) -> None:
    with (journey.cohort / "cases.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    kept = [
        c
        for c in rows[0]
        if c.startswith("scan.") or c in ("subject", "visit", "day", "age", "sex", "marker")
    ]
    (tmp_path / "new").mkdir()
    with (tmp_path / "new/patients.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, kept, extrasaction="ignore")
        writer.writeheader()
        for row in rows[:4]:
            paths = {c: str(journey.cohort / row[c]) for c in kept if c.startswith("scan.") and row[c]}
            writer.writerow({**row, **paths})
    run_successfully("predict", journey.run, tmp_path / "new/patients.csv", "-o", tmp_path / "out")
    whole, some = (
        read_prediction_table(predictions(journey, predicted)),
        read_prediction_table(tmp_path / "out"),
    )
    subjects = {r["subject"] for r in rows[:4]}
    complete = {s for s in subjects if all(r in rows[:4] for r in rows if r["subject"] == s)}
    for (subject, visit), row in some.items():
        if visit or subject in complete:
            assert are_rows_alike(row, whole[subject, visit])


def test_mirror_images_and_probabilities(journey: Journey, tmp_path: Path) -> None:
    """A patient and his mirror image get mirrored answers with `--tta`, left and right named as they are."""
    one = keep_first_rows(journey, tmp_path / "one", 1)
    cohort = Cohort.read(one)
    case = cohort.cases[0]
    (one / "turned").mkdir()
    header, line = (one / "cases.csv").read_text().splitlines()
    for path in image_paths(cohort, case, "scan").values():
        assert path is not None
        volume = read_image_file(path, journey.dims)
        side = 1 + int(np.argmax(np.abs(volume.grid.affine[0, : journey.dims])))
        write_image_file(one / "turned" / path.name, Volume(np.flip(volume.array, side).copy(), volume.grid))
    turned = line.replace(f"{case.subject},", "turned,", 1).replace("images/", "turned/")
    (one / "cases.csv").write_text("\n".join([header, line, turned]) + "\n")
    run_successfully(
        "predict", journey.run, one, "-o", tmp_path / "out", "--probabilities", "--tta", "--overlap", 0.25
    )
    rows, grid = read_prediction_table(tmp_path / "out"), source_grid(cohort, case, journey.dims)
    found = [
        {
            t: read_image_file(tmp_path / "out" / rows[s, case.visit][f"{t}.p"], journey.dims)
            for t in ("lesion", "organs")
        }
        for s in (case.subject, "turned")
    ]
    assert grid is not None
    assert all(volume.grid.is_same_grid(grid) for answer in found for volume in answer.values())
    np.testing.assert_allclose(found[0]["lesion"].array.sum(0), 1, atol=2e-3)
    for task, order in (("lesion", [0, 1, 2]), ("organs", [0, 2, 1, 3])):
        mirrored = np.flip(found[1][task].array[order], side)
        np.testing.assert_allclose(mirrored, found[0][task].array, rtol=0, atol=2e-5)
    assert float(np.abs(found[0]["organs"].array[1] - found[0]["organs"].array[2]).max()) > 1e-4
    grades = [float(rows[s, case.visit]["grade.p.G1"]) for s in (case.subject, "turned")]
    assert grades[0] == pytest.approx(grades[1], abs=1e-4)
    run_successfully("predict", journey.run, one, "-o", tmp_path / "plain")
    plain = read_prediction_table(tmp_path / "plain")
    assert "lesion.p" not in next(iter(plain.values()))
    assert plain[case.subject, case.visit]["grade.p.G1"] != rows[case.subject, case.visit]["grade.p.G1"]


def test_a_plain_folder_of_two_channels(deep: Journey, tmp_path: Path) -> None:
    cohort = Cohort.read(deep.cohort)
    case = next(c for c in cohort.cases if all(image_paths(cohort, c, "scan").values()))
    folder = tmp_path / "images"
    folder.mkdir()
    for number, path in enumerate(image_paths(cohort, case, "scan").values()):
        assert path is not None
        shutil.copy(path, folder / f"new_1_{number:04d}.nii.gz")
    (folder / "notes.txt").write_text("no image")
    run_successfully("predict", deep.run, folder, "-o", tmp_path / "out")
    rows, grid = read_prediction_table(tmp_path / "out"), source_grid(cohort, case, 3)
    assert {subject for subject, _ in rows} == {"new_1"}
    assert grid is not None
    row = next(r for r in rows.values() if r["lesion"])
    assert read_image_file(tmp_path / "out" / row["lesion"]).grid.is_same_grid(grid)
    (folder / "new_1_0001.nii.gz").unlink()
    run_successfully("predict", deep.run, folder, "-o", tmp_path / "less")
    shutil.move(folder / "new_1_0000.nii.gz", folder / "new.nii.gz")
    assert "CASE_0000, CASE_0001" in polytask("predict", deep.run, folder, "-o", tmp_path / "no").complaint


@pytest.mark.parametrize("signs", [(1, 1, 1), (-1, -1, 1), (-1, 1, -1)])
def test_a_plain_folder_of_one_channel_in_any_orientation(
    trained_once: Path, tmp_path: Path, signs: tuple[int, int, int]
) -> None:
    volume = make_ct_image(7)
    affine = np.diag([*(s * a for s, a in zip(signs, (2.0, 3.0, 4.0), strict=True)), 1.0])[[1, 0, 2, 3]]
    affine[:3, 3] = (5, 6, 7)
    (tmp_path / "images").mkdir()
    turned = type(volume)(volume.array, Grid(SHAPE, affine))
    write_image_file(tmp_path / "images/a_0000.nii.gz", turned)
    write_image_file(tmp_path / "images/b.nii.gz", turned)
    run_successfully("predict", trained_once / "model", tmp_path / "images", "-o", tmp_path / "out")
    rows = read_prediction_table(tmp_path / "out")
    for subject in ("a", "b"):
        mask = read_image_file(tmp_path / "out" / rows[subject, "baseline"]["mask"])
        assert mask.grid.shape == SHAPE
        np.testing.assert_allclose(mask.grid.affine, affine, atol=1e-5)
    assert rows["a", "baseline"]["grade.p.low"] == rows["b", "baseline"]["grade.p.low"]
