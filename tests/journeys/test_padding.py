"""From end to end with volumes of several sizes, which are padded to the largest of their batch."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
import yaml

from polytask.images.formats import read_image_file
from polytask.plan.plan_schema import Plan
from polytask.training.run import train
from tests.journeys.run_cli import run_successfully
from tests.journeys.scale_cohorts import write_slice_cohort
from tests.journeys.test_scales import compute_dice, find_masks, follow
from tests.training.test_resume import entries, start, wait_for_step, weights

pytestmark = pytest.mark.slow
LENGTHS = [17, 20, 18, 19, 20, 18, 27, 30, 40, 38]


@pytest.fixture(scope="module")
def volumes(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Plan]:
    """Volumes of 17 to 40 slices with a mask, and a class that reads the whole of them."""
    cohort = write_slice_cohort(tmp_path_factory.mktemp("sizes") / "cohort", LENGTHS, (1.0, 1.0, 1.0))
    header = yaml.safe_load((cohort / "cohort.yaml").read_text(encoding="utf-8"))
    header["tasks"]["kind"] = {"kind": "classification", "classes": ["a", "b"]}
    (cohort / "cohort.yaml").write_text(yaml.safe_dump(header), encoding="utf-8")
    first, *rows = (cohort / "cases.csv").read_text(encoding="utf-8").splitlines()
    lines = [f"{first},kind", *(f"{row},{'ab'[number % 2]}" for number, row in enumerate(rows))]
    (cohort / "cases.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return cohort.parent, follow(cohort, "scan", "[8,16,16]", "images.scan.padding=batch")


def read_chances(out: Path) -> dict[str, str]:
    with (out / "predictions.csv").open(encoding="utf-8", newline="") as stream:
        return {row["subject"]: row["kind.p.a"] for row in csv.DictReader(stream)}


def test_masks_of_every_size_come_back_on_their_own_grid(volumes: tuple[Path, Plan]) -> None:
    folder, plan = volumes
    image = plan.shared.images["scan"]
    assert (image.field, image.view, image.padding) == ("whole", (40, 32, 32), "batch")
    masks = find_masks(folder / "work" / "out", "ball")
    for number in (0, 8):
        found = read_image_file(masks[f"p{number:02d}"], 3)
        true = read_image_file(folder / "cohort" / f"m{number}.nii.gz", 3)
        assert found.grid.is_same_grid(true.grid)
        assert compute_dice(found.array > 0, true.array > 0) > 0.7, number


def test_a_case_gets_the_same_answer_alone_and_among_others(
    volumes: tuple[Path, Plan], tmp_path: Path
) -> None:
    folder, _ = volumes
    (tmp_path / "one.csv").write_text(f"subject,scan.t1\np00,{folder / 'cohort' / '0.nii.gz'}\n")
    run_successfully("predict", folder / "work/runs/a", tmp_path / "one.csv", "-o", tmp_path / "out")
    assert read_chances(tmp_path / "out")["p00"] == read_chances(folder / "work" / "out")["p00"]


def test_a_killed_run_goes_on_to_the_same_bits(volumes: tuple[Path, Plan]) -> None:
    work = volumes[0] / "work"
    train(work, name="whole")
    process = start(work, "--name", "cut")
    wait_for_step(work, "cut", process, 10)
    process.kill()
    process.communicate()
    train(work, resume="cut", workers=2)
    assert weights(work, "whole") == weights(work, "cut")
    assert entries(work, "whole") == entries(work, "cut")
