"""Ids and names from a table never lead out of the output folder, nor onto one another."""

from __future__ import annotations

from pathlib import Path

import yaml

from polytask.cohort.text_table import read_text_table
from polytask.images.formats import read_image_file
from polytask.plan.work_folder import plan_into
from polytask.prepare.store_builder import prepare
from polytask.training.run import train
from tests.images.slide_cohorts import write_cohort
from tests.journeys.clinic_cohort import write_table
from tests.journeys.run_cli import hash_folder_files, run_successfully

ODD_NAMES = [
    "../../x",
    "..",
    "a",
    "A",
    "a.p",
    "CON",
    "nul.txt",
    "-rf",
    ".hidden",
    "a.",
    "store.json",
    "中" * 40,
    "b" * 256,
]


def test_odd_ids_stay_in_the_folder_and_apart(clinics: Path, tmp_path: Path) -> None:
    whole = {"scan.ct": "files/01.nii.gz", "age": "61", "marker": "0.3", "smoker": "yes"}
    table = write_table(
        clinics,
        [{"subject": s, **whole, "scan.ct": f"files/{k + 1:02d}.nii.gz"} for k, s in enumerate(ODD_NAMES)],
    )
    place = tmp_path / "deep/down/out"
    place.parent.mkdir(parents=True)
    before = hash_folder_files(tmp_path)
    run_successfully("predict", clinics / "model", table, "-o", place, "--probabilities")
    outside = {k: v for k, v in hash_folder_files(tmp_path).items() if not k.startswith("deep/down/out")}
    assert outside == before
    rows = [row.cells for row in read_text_table(place / "predictions.csv").rows if row.cells["mask"]]
    assert [row["subject"] for row in rows] == ODD_NAMES
    files = [row[c] for row in rows for c in ("mask", "mask.p")]
    assert len({f.lower() for f in files}) == 2 * len(ODD_NAMES)
    assert all(len(Path(f).name.encode()) <= 200 for f in files)
    for row in rows:
        assert read_image_file(place / row["mask"]).array.shape[0] == 1
        assert read_image_file(place / row["mask.p"]).array.shape[0] == 4


def test_a_subject_with_a_slide_writes_nothing_outside(tmp_path: Path) -> None:
    short = ["training.epochs=1", "training.steps_per_epoch=1", "training.threads=1", "model.embedding=16"]
    cohort = write_cohort(tmp_path / "cohort")
    plan_into(cohort, tmp_path / "work", folds=2, settings=short, jobs=1)
    prepare(tmp_path / "work", jobs=1)
    run = train(tmp_path / "work", input_fusion="attention").folder
    table = cohort / "cases.csv"
    table.write_text(table.read_text().replace("s01,", "../../../../x,"))
    out = tmp_path / "deep/down/out"
    before = hash_folder_files(tmp_path)
    run_successfully("predict", run, table, "-o", out)
    wrote = sorted(set(hash_folder_files(tmp_path)) - set(before) - {"deep", "deep/down"})
    assert not [path for path in wrote if not path.startswith("deep/down/out")]
    assert [path for path in wrote if "%2E.%2F..%2F..%2F..%2Fx" in path]


def test_names_of_structures_make_no_folders(tmp_path: Path) -> None:
    """Overlapping structures of a picture are a file each."""
    cohort = tmp_path / "cohort"
    run_successfully("phantom", cohort, "--subjects", 12, "--size", 24, "--dims", 2, "--seed", 3)
    header = yaml.safe_load((cohort / "cohort.yaml").read_text())
    task = next(n for n, t in header["tasks"].items() if t.get("structures") and t["kind"] == "segmentation")
    old = header["tasks"][task]["structures"]
    text = (cohort / "cohort.yaml").read_text()
    for name, new in zip(old, ("GTV/CTV", "../up", "con", "x"), strict=False):
        text = text.replace(name, new)
    (cohort / "cohort.yaml").write_text(text)
    table = (cohort / "cases.csv").read_text()
    for name, new in zip(old, ("GTV/CTV", "../up", "con", "x"), strict=False):
        table = (
            table.replace(f";{name}", f";{new}")
            .replace(f",{name};", f",{new};")
            .replace(f"{task}.{name}", f"{task}.{new}")
        )
    (cohort / "cases.csv").write_text(table)
    quick = (
        "training.epochs=1",
        "training.steps_per_epoch=1",
        "training.threads=1",
        "images.scan.widths=[4,8,8]",
    )
    plan_into(cohort, tmp_path / "work", folds=2, settings=quick, jobs=1)
    prepare(tmp_path / "work", jobs=1)
    run = train(tmp_path / "work", tasks=[task]).folder
    run_successfully("predict", run, cohort, "-o", tmp_path / "out")
    made = [p.relative_to(tmp_path / "out") for p in (tmp_path / "out").rglob("*")]
    assert any("GTV%2FCTV.png" in p.name for p in made)
    assert max(len(p.parts) for p in made) == 3
