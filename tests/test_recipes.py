"""Recipes on the real data, when they are there: `POLYTASK_DATA`, else `../shared/data` beside the repository.

Each recipe writes a cohort without a problem, points at images instead of copying them, and keeps what its source
warns of: unknown stays empty, targets and their give-aways are no inputs, one person is one subject.
"""

from __future__ import annotations

import csv
import gzip
import os
import subprocess
import sys
from pathlib import Path

import pytest

from polytask.cohort.check import check_cohort
from polytask.cohort.cohort import Cohort
from polytask.errors import Problem
from polytask.evaluation.evaluation_result import Estimate, Evaluation

ROOT = Path(__file__).parents[1]
RECIPES = ROOT / "recipes"
DATA = Path(os.environ.get("POLYTASK_DATA") or ROOT.parent / "shared" / "data")
SOURCES = {"nsclc": "nsclc_ct", "lgg": "lgg_mri", "ispy1": "ispy1", "covid": "covid_cxr"}
VOXELS = {"nsclc": ["tumour"], "lgg": ["tumour"], "ispy1": [], "covid": []}


def script(name: str, *arguments: object) -> str:
    """Run a recipe as a user would; its standard output."""
    command = [sys.executable, str(RECIPES / name), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def source(name: str) -> Path:
    """The recipe's source folder; skips without it."""
    folder = DATA / SOURCES[name]
    if not folder.is_dir():
        pytest.skip(f"{SOURCES[name]} is not here")
    return folder


def built(name: str, out: Path, *options: str) -> tuple[Cohort, list[dict[str, str]], list[Problem]]:
    """The cohort, its rows, and what check says without opening the images."""
    script(f"{name}_cohort.py", source(name), out, *options)
    with (out / "cases.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    return Cohort.read(out), rows, check_cohort(out, images=False)


@pytest.mark.parametrize("name", SOURCES)
def test_cohort_is_sound_and_points_at_its_images(name: str, tmp_path: Path) -> None:
    cohort, rows, problems = built(name, tmp_path / "cohort")
    assert [p for p in problems if p.level == "error"] == []
    assert {p.code for p in problems} <= {"constant-column"}
    assert sorted(p.name for p in (tmp_path / "cohort").iterdir()) == ["cases.csv", "cohort.yaml"]
    columns = [f"{i}.{c}" for i, image in cohort.header.images.items() for c in image.channels] + VOXELS[name]
    paths = [row[c] for row in rows for c in columns if row[c]]
    assert bool(paths) == bool(columns)
    assert all(Path(p).is_relative_to(source(name).resolve()) and Path(p).is_file() for p in paths)


def labels(name: str, file: str = "labels.csv") -> list[dict[str, str]]:
    """The source's own table."""
    with (source(name) / file).open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def test_nsclc_leaves_empty_contours_unknown_and_the_site_outside(tmp_path: Path) -> None:
    cohort, rows, _ = built("nsclc", tmp_path / "plain")
    empty = {f"lung_{int(r['PatientID']):03d}" for r in labels("nsclc") if r["mask_voxels"] == "0"}
    assert {r["subject"] for r in rows if not r["tumour"]} == empty
    assert empty
    assert {"site", "histology", "n_stage"}.isdisjoint(cohort.header.input_columns)
    rich, rows, problems = built("nsclc", tmp_path / "rich", "--radiomics")
    features = set(labels("nsclc", "radiomics.csv")[0]) - {"PatientID"}
    assert set(rich.header.tables["radiomics"].columns) == features
    assert all(row[name] for row in rows for name in features)
    assert [p for p in problems if p.level == "error"] == []


def test_lgg_keeps_what_is_missing_empty_and_hides_the_tumour_code(tmp_path: Path) -> None:
    cohort, rows, _ = built("lgg", tmp_path / "cohort")
    with gzip.open(source("lgg") / "molecular.csv.gz", "rt", encoding="utf-8", newline="") as stream:
        molecules = {row["case_id"].replace("-", "_"): row for row in csv.DictReader(stream)}
    names = cohort.header.tables["molecular"].columns
    assert len(names) == 1590
    for row, label in zip(rows, labels("lgg"), strict=True):
        assert [not row["scan.pre"], not row["scan.post"]] == [
            label[f"{sequence}_missing"] == "True" for sequence in ("pre", "post")
        ]
        theirs = molecules.get(row["subject"], {})
        assert all(row[name] == theirs.get(name, "") for name in names)
        assert (row["os_time"] == "") == (label["survival_months"] == "")
    assert not any("oncotree" in column for column in rows[0])


def test_ispy1_has_four_visits_before_the_answer(tmp_path: Path) -> None:
    cohort, rows, _ = built("ispy1", tmp_path / "cohort")
    theirs = labels("ispy1", "patients.csv")
    sizes = [c for c in theirs[0] if c.startswith("MRI LD")]
    assert sorted(r["mri_ld"] for r in rows if r["mri_ld"]) == sorted(
        r[c] for r in theirs for c in sizes if r[c]
    )
    first = [r for r in rows if r["visit"] == "baseline"]
    assert [r["subject"] for r in first] == [r["SUBJECTID"] for r in theirs]
    assert all((r["pcr"] == "yes") == (r["rcb"] == "0") for r in first if r["pcr"] and r["rcb"])
    assert sum(not r["pcr"] for r in first) == sum(not r["PCR"] for r in theirs)
    assert {"pcr", "rcb", "rfs_time", "rfs_event"}.isdisjoint(cohort.header.input_columns)
    assert cohort.header.tasks["rfs"].model_dump()["visits"] == ["baseline"]


def test_covid_puts_a_person_and_an_image_into_one_subject(tmp_path: Path) -> None:
    cohort, rows, _ = built("covid", tmp_path / "cohort")
    theirs = {r["image_id"]: r for r in labels("covid")}
    files = [Path(r["chest.xray"]) for r in rows]
    assert len({f.read_bytes() for f in files}) == len(files)
    for row, file in zip(rows, files, strict=True):
        label = theirs[file.stem]
        assert row["subject"] == {"339": "285", "340": "287"}.get(label["patientid"], label["patientid"])
        assert row["subject"]
        assert label["view"] != "L"
        two = [label[f"brixia_{rater}_Global"] for rater in "SJ"]
        assert row["severity"] == (f"{(float(two[0]) + float(two[1])) / 2:g}" if all(two) else "")
        assert row["died"] == {"": "", "Y": "no", "N": "yes"}[label["survival"]]
    for cases in cohort.subjects.values():
        assert [c.visit for c in cases] == [f"v{n}" for n in range(1, len(cases) + 1)]
        days = [c.day for c in cases if c.day is not None]
        assert days == sorted(set(days))
        assert len(days) == len(cases) or len(cases) == 1
    assert any(len(cases) == 4 for cases in cohort.subjects.values())


def test_table_of_presets_reads_metric_losses_and_steps(tmp_path: Path) -> None:
    run = tmp_path / "mmdls"
    run.mkdir()
    nothing, known = Estimate(float("nan"), float("nan"), float("nan"), 0), Estimate(0.75, 0.5, 0.9, 30)
    tasks = {
        t: {
            "kind": "classification",
            "level": "visit",
            "primary": "auc",
            "higher": True,
            "unit": "",
            "names": [],
        }
        for t in "ab"
    }
    metrics = {"a": {"auc": known}, "b": {"auc": nothing}}
    skills = {"a": known, "b": nothing}
    counts = {t: {"items": 30, "known": 30, "subjects": 30, "unanswered": 0} for t in "ab"}
    found = Evaluation("mmdls", 0, 0, "hard", "held_out", ("1",), tasks, metrics, {}, skills, known, counts)
    found.write(run / "evaluation.json")
    lines = [f'{{"step": {n}, "network": "a", "loss": {{"a": {1 / n}}}}}' for n in (1, 2, 4)]
    lines.append('{"step": 7, "network": "b", "loss": {"b": null}}')
    (run / "metrics.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (tmp_path / "other").mkdir()
    table = script("preset_table.py", run, tmp_path / "other").splitlines()
    assert table[2] == "| mmdls | a | auc | 0.750 (0.500 to 0.900) | 30 | 1.000 → 0.250 | 11 |"
    assert table[3] == "| mmdls | b | auc | not defined | 0 | not finite in 1 of 1 | 11 |"
    assert table[4].startswith("| mmdls | all | mean skill | 0.750 ")
    assert "polytask evaluate" in table[5]
