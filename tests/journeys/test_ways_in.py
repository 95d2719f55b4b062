"""Other people's data and other folds, through to an evaluation; what every verb says as JSON and as help."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from polytask.cli import VERBS
from polytask.images.formats import write_image_file
from polytask.registries import REGISTRIES, list_members
from tests.journeys.ct_cohort import make_ct_image, make_label_image, make_quick_settings, write_small_cohort
from tests.journeys.run_cli import run_successfully


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    """A raw data set of nnU-Net: two channels, three labels, `targets.tsv`, its own folds, a test image."""
    folder = tmp_path / "Dataset007_Rectum"
    for place in ("imagesTr", "labelsTr", "imagesTs"):
        (folder / place).mkdir(parents=True)
    lines = ["case\tgrade\tmonths\tevent\tage\tnote"]
    for k in range(1, 9):
        for channel in (0, 1):
            write_image_file(
                folder / f"imagesTr/rec_{k:02d}_{channel:04d}.nii.gz", make_ct_image(10 * k + channel)
            )
        write_image_file(folder / f"labelsTr/rec_{k:02d}.nii.gz", make_label_image(k))
        grade, event = ("G1", "G2")[k % 2] if k != 5 else "", int(k % 3 > 0)
        lines.append(f"rec_{k:02d}\t{grade}\t{3 * k}\t{event}\t{50 + k}\tnone")
    for channel in (0, 1):
        write_image_file(folder / f"imagesTs/rec_99_{channel:04d}.nii.gz", make_ct_image(990 + channel))
    content = {
        "channel_names": {"0": "CT", "1": "PET"},
        "labels": {"background": 0, "tumour": 1, "node": 2, "vessel": 3},
        "numTraining": 8,
        "file_ending": ".nii.gz",
    }
    (folder / "dataset.json").write_text(json.dumps(content))
    (folder / "targets.tsv").write_text("\n".join(lines) + "\n")
    names = [f"rec_{k:02d}" for k in range(1, 9)]
    folds = [
        {"train": [n for n in names if n not in names[k : k + 2]], "val": names[k : k + 2]} for k in (0, 4)
    ]
    (folder / "splits_final.json").write_text(json.dumps(folds))
    return folder


def test_an_nnunet_folder_goes_all_the_way(raw: Path, tmp_path: Path) -> None:
    cohort, work = tmp_path / "cohort", tmp_path / "work"
    words = ("--task", "os=survival:months,event", "--input", "age", "--skip", "note")
    told = run_successfully("import", "nnunet", raw, "-o", cohort, *words, "--json").json
    assert told["cohort"] == str(cohort)
    assert not [p for p in cohort.rglob("*") if p.name.endswith(".nii.gz")], "images stay where they are"
    run_successfully("check", cohort)
    splits = raw / "splits_final.json"
    planned = run_successfully(
        "plan", cohort, "-o", work, "--splits", splits, *make_quick_settings(image="image"), "--json"
    ).json
    assert set(planned["tasks"]) == {"mask", "grade", "os"}
    written = json.loads((work / "splits.json").read_text())
    assert [f["held_out"] for f in written["folds"]] == [["rec_01", "rec_02"], ["rec_05", "rec_06"]]
    assert written["scheme"] == "nnunet"
    run_successfully("prepare", work)
    run_successfully("train", work, "--name", "a")
    found = run_successfully("evaluate", work / "runs/a", "--resamples", 5, "--json").json
    assert found["subjects"] == ["rec_01", "rec_02"]
    run_successfully("predict", work / "runs/a", raw / "imagesTs", "-o", tmp_path / "out")
    assert (tmp_path / "out/predictions/mask/rec_99.nii.gz").exists()


def test_one_site_is_left_out_at_a_time(cohort: Path, tmp_path: Path) -> None:
    planned = run_successfully(
        "plan", cohort, "-o", tmp_path / "w", "--split-by", "site", *make_quick_settings(), "--json"
    ).json
    assert len(planned["folds"]) == 2
    splits = json.loads((tmp_path / "w/splits.json").read_text())
    assert splits["scheme"] == "site"
    held = [set(fold["held_out"]) for fold in splits["folds"]]
    assert held == [{"02", "04", "06"}, {"01", "03", "05", "07"}], "08 is in the test part"


def test_every_reporting_verb_prints_one_json_document(tmp_path: Path) -> None:
    cohort, work = write_small_cohort(tmp_path / "c"), tmp_path / "w"
    run = work / "runs/a"
    for words in (
        ("phantom", tmp_path / "p", "--subjects", 3, "--size", 24, "--dims", 2),
        ("check", cohort),
        ("import", "table", cohort / "cases.csv", "-o", tmp_path / "t", "--image", "scan.ct:CT=scan.ct"),
        ("plan", cohort, "-o", work, "--folds", 2, *make_quick_settings()),
        ("prepare", work),
        ("train", work, "--name", "a"),
        ("evaluate", run, "--resamples", 5),
        ("predict", run, cohort, "-o", tmp_path / "out"),
        ("export", run, "-o", tmp_path / "m"),
        ("report", run),
        ("list",),
    ):
        said = run_successfully(*words, "--json")
        assert said.json, words
        assert said.out.lstrip()[0] in "{[", words
        assert "Warning" not in said.err, words


def test_list_names_every_registry_and_member() -> None:
    found = run_successfully("list", "--json").json
    assert found == {name: list_members(name) for name in REGISTRIES}
    assert {"tasks", "formats", "importers", "checks", "sharing", "visit_fusion", "input_fusion"} <= set(
        found
    )
    assert {"hard", "single"} <= set(found["sharing"])
    assert len(found["tasks"]) == 9


def test_help_of_every_verb_is_quick_and_useful() -> None:
    """Runs in one fresh interpreter, because it counts which modules were loaded."""
    verbs = [[v] for v in VERBS if v != "import"] + [["import", k] for k in ("nnunet", "decathlon", "table")]
    code = f"""
import sys
from polytask.cli import main
for words in {verbs!r}:
    sys.argv = ["polytask", *words, "--help"]
    try:
        main()
    except SystemExit as end:
        assert not end.code, words
assert not {{"torch", "nibabel", "pydicom", "scipy", "monai", "pandas", "matplotlib"}} & set(sys.modules)
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.count("Usage: polytask ") == len(verbs)
    assert "Traceback" not in ended.stderr
