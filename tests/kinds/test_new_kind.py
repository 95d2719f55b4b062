"""A kind is two files and one line: a copy of the package gets `proportion` so and takes it from import to study."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import polytask
from polytask.images.formats import write_image_file
from polytask.images.volume import Grid, Volume
from tests.frozen.one_side import start_verbs

HERE = Path(__file__).parent
LINE = '    "proportion": ProportionKind(),\n'
IMPORT = "from polytask.kinds.proportion import ProportionKind\n"


def copy_package(root: Path) -> Path:
    """The package with two more files and one more line (and its import).

    Compiled files come along: they belong to the times of the sources, which are copied too.
    """
    source = root / "src" / "polytask"
    shutil.copytree(Path(polytask.__file__).parent, source)
    shutil.copy(HERE / "proportion/in_kinds.py", source / "kinds/proportion.py")
    shutil.copy(HERE / "proportion/in_tasks.py", source / "tasks/proportion.py")
    registry = source / "kinds/__init__.py"
    text = registry.read_text(encoding="utf-8")
    before = "KINDS: dict[str, AnyKind] = {\n"
    assert before in text
    registry.write_text(text.replace(before, IMPORT + before + LINE), encoding="utf-8")
    return root


def write_table(folder: Path, subjects: int = 18) -> Path:
    """Pictures whose brightness is the share, and a table with it; one cell is no share."""
    folder.mkdir()
    random = np.random.default_rng(0)
    rows = [["subject", "photo", "necrosis", "age"]]
    for k in range(subjects):
        share = round(float(random.uniform(0.05, 0.95)), 3)
        pixels = np.clip(random.normal(40 + 160 * share, 10, (3, 24, 24)), 0, 255).astype(np.uint8)
        write_image_file(folder / f"p{k:02d}.png", Volume(pixels, Grid((24, 24), np.eye(4))))
        rows.append([f"p{k:02d}", f"p{k:02d}.png", "" if k == 3 else str(share), str(40 + k)])
    with (folder / "table.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows(rows)
    return folder / "table.csv"


@pytest.fixture(scope="module")
def journey(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("proportion")
    source, table = copy_package(root / "package"), write_table(root / "data")
    quick = ["threads=1", "workers=0", "batch=4", "precision=float32"]
    small = [word for value in quick for word in ("--set", f"training.{value}")]
    small += ["--set", "images.scan.widths=[8,8,16]"]
    commands = [
        ["import", "table", str(table), "-o", "cohort", "--image", "photo=photo", "--input", "age",
         "--task", "necrosis=proportion"],
        ["check", "cohort"],
        ["plan", "cohort", "-o", "work", "--folds", "2", "--memory", "4", *small],
        ["prepare", "work"],
        ["train", "work", "--name", "run", "--steps", "30", "--device", "cpu"],
        ["evaluate", "work/runs/run", "--resamples", "20"],
        ["predict", "work/runs/run", "cohort", "-o", "answers"],
        ["report", "work/runs/run"],
        ["export", "work/runs/run", "-o", "bundle"],
        ["study", "work", "-o", "study", "--folds", "1", "--seeds", "1", "--steps", "2", "--resamples", "20"],
    ]  # fmt: skip
    process = start_verbs(source, root, commands)
    _, told = process.communicate()
    assert process.returncode == 0, told
    return root


def test_every_verb_of_a_journey_takes_it(journey: Path) -> None:
    header = (journey / "cohort/cohort.yaml").read_text(encoding="utf-8")
    assert "kind: proportion" in header
    found = json.loads((journey / "work/runs/run/evaluation.json").read_text(encoding="utf-8"))
    assert found["tasks"]["necrosis"]["kind"] == "proportion"
    assert found["metrics"]["necrosis"]["d2"]["estimate"] is not None
    with (journey / "answers/predictions.csv").open(encoding="utf-8") as stream:
        shares = [float(row["necrosis"]) for row in csv.DictReader(stream)]
    assert len(shares) == 18
    assert all(0 < share < 1 for share in shares)
    page = (journey / "work/runs/run/report.html").read_text(encoding="utf-8")
    assert "proportion, per visit" in page
    assert (journey / "bundle/model.json").exists()
    assert (journey / "study/report.html").exists()


def test_a_cell_that_is_no_share_is_named_and_the_kind_is_listed(journey: Path) -> None:
    cohort = journey / "broken"
    shutil.copytree(journey / "cohort", cohort)
    text = (cohort / "cases.csv").read_text(encoding="utf-8").splitlines()
    column = text[0].split(",").index("necrosis")
    cells = text[1].split(",")
    cells[column] = "1.7"
    (cohort / "cases.csv").write_text(
        "\n".join([text[0], ",".join(cells), *text[2:]]) + "\n", encoding="utf-8"
    )
    environment = {"PYTHONPATH": str(journey / "package/src"), "PATH": ""}
    verb = [sys.executable, "-m", "polytask"]
    told = subprocess.run(
        [*verb, "check", str(cohort)], capture_output=True, text=True, env=environment, check=False
    )
    assert told.returncode == 1
    assert "'1.7' is no share" in told.stdout
    listed = subprocess.run(
        [*verb, "list", "tasks"], capture_output=True, text=True, env=environment, check=True
    )
    assert "proportion" in listed.stdout
