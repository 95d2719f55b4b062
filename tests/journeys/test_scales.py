"""From end to end where sizes matter: photos and stacks of mixed sizes, thick slices, and a few very long cases."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from polytask.images.formats import read_image_file
from polytask.model.network import Network
from polytask.plan.plan_schema import Plan
from polytask.predict.predictor import Predictor
from tests.journeys.run_cli import run_successfully
from tests.journeys.scale_cohorts import write_photo_cohort, write_slice_cohort, write_stack_cohort

SHAPES = [(45, 60)] * 9 + [(120, 160), (60, 45)]
LENGTHS = [10] * 10 + [22]


def follow(cohort: Path, image: str, widths: str, *changes: str) -> Plan:
    """Plan, prepare, train a few steps and predict into `work/out` beside the cohort; return the plan."""
    work = cohort.parent / "work"
    quick = [
        *("training.threads=1", "training.workers=0", "training.precision=float32", "training.rate=0.01"),
        *("training.epochs=6", "training.steps_per_epoch=5", "training.tune_every=6", "training.warmup=1"),
        *(f"images.{image}.widths={widths}", *changes),
    ]
    run_successfully("plan", cohort, "-o", work, "--folds", 2, *(w for q in quick for w in ("--set", q)))
    run_successfully("prepare", work)
    run_successfully("train", work, "--name", "a")
    run_successfully("predict", work / "runs" / "a", cohort, "-o", work / "out")
    return Plan.read(work)


def find_masks(out: Path, task: str) -> dict[str, Path]:
    with (out / "predictions.csv").open(encoding="utf-8", newline="") as stream:
        return {row["subject"]: out / row[task] for row in csv.DictReader(stream)}


def compute_dice(found: np.ndarray, true: np.ndarray) -> float:
    return float(2 * (found & true).sum() / max(1, found.sum() + true.sum()))


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Plan]:
    """Eleven photos; one is huge, one upright."""
    cohort = write_photo_cohort(tmp_path_factory.mktemp("photos") / "cohort", SHAPES)
    return cohort.parent, follow(cohort, "photo", "[8,16,16,16]")


def test_masks_of_photos_come_back_on_the_pixels_of_each_file(photos: tuple[Path, Plan]) -> None:
    """A lesion that is bright is found in the small, the huge and the upright photo, at its place."""
    folder, plan = photos
    image = plan.shared.images["photo"]
    assert (image.field, image.resize, image.spacing) == ("whole", (45, 60), (1.0, 1.0))
    masks = find_masks(folder / "work" / "out", "lesion")
    assert len(masks) == len(SHAPES)
    dice = {}
    for number, shape in enumerate(SHAPES):
        found = np.asarray(Image.open(masks[f"p{number:02d}"]))
        true = np.asarray(Image.open(folder / "cohort" / f"m{number}.png"))
        assert found.shape == shape
        dice[number] = compute_dice(found > 0, true > 0)
    assert min(dice.values()) > 0.7, dice


def test_a_photo_of_any_size_is_read_as_the_others(photos: tuple[Path, Plan], tmp_path: Path) -> None:
    """The same picture at three times the pixels gets nearly the same answer."""
    folder, _ = photos
    new = tmp_path / "new"
    new.mkdir()
    small = Image.open(folder / "cohort" / "0.png")
    small.save(new / "small.png")
    small.resize((180, 135), Image.Resampling.BICUBIC).save(new / "large.png")
    (new / "cases.csv").write_text("subject,photo.rgb\nsmall,small.png\nlarge,large.png\n", encoding="utf-8")
    said = run_successfully("predict", folder / "work/runs/a", new / "cases.csv", "-o", tmp_path / "out")
    assert "worthless" not in said.err, "no warning about the scale"
    with (tmp_path / "out" / "predictions.csv").open(encoding="utf-8", newline="") as stream:
        chance = {row["subject"]: float(row["place.p.top"]) for row in csv.DictReader(stream)}
    assert chance["large"] == pytest.approx(chance["small"], abs=0.05)


def test_stacks_without_a_scale_are_brought_to_one_size(tmp_path: Path) -> None:
    """One has twice the voxels of the others along every axis; its mask comes back on its own voxels."""
    cohort = write_stack_cohort(tmp_path / "cohort", [(16, 24, 16)] * 6 + [(32, 48, 32)])
    image = follow(cohort, "scan", "[8,8]").shared.images["scan"]
    assert (image.unit, image.resize, image.view) == ("px", (24, 16, 16), (24, 16, 16))
    masks = find_masks(tmp_path / "work" / "out", "ball")
    for number, shape in ((0, (16, 24, 16)), (6, (32, 48, 32))):
        found = read_image_file(masks[f"p{number:02d}"], 3)
        true = read_image_file(cohort / f"m{number}.tif", 3)
        assert found.grid.shape == true.grid.shape == shape
        assert compute_dice(found.array > 0, true.array > 0) > 0.7, number


@pytest.fixture(scope="module")
def slices(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Plan]:
    """Slices of 4 mm with pixels of 0.5 mm; one scan is more than twice as long as the others."""
    cohort = write_slice_cohort(tmp_path_factory.mktemp("slices") / "cohort", LENGTHS, (4.0, 0.5, 0.5))
    return cohort.parent, follow(cohort, "scan", "[8,8,16,16,16]")


def test_thick_slices_get_flat_kernels(slices: tuple[Path, Plan]) -> None:
    folder, plan = slices
    image = plan.shared.images["scan"]
    assert image.kernels is not None
    assert image.kernels[0] == (1, 3, 3)
    (network,) = Predictor.load(folder / "work" / "runs" / "a").members[0].networks
    shapes = find_stage_kernels(network)
    assert shapes[0] == {(1, 3, 3)}
    assert shapes == [{kernel} for kernel in image.kernels]


def test_a_very_long_scan_trains_through_windows_and_is_predicted_whole(slices: tuple[Path, Plan]) -> None:
    folder, plan = slices
    view = plan.shared.images["scan"].view
    assert view is not None
    assert view[0] < LENGTHS[-1]
    assert "1 of 11 are longer, up to 22×32×32" in plan.shared.why["images.scan.view"]
    masks = find_masks(folder / "work" / "out", "ball")
    for number in (0, 10):
        found = read_image_file(masks[f"p{number:02d}"], 3)
        true = read_image_file(folder / "cohort" / f"m{number}.nii.gz", 3)
        assert found.grid.is_same_grid(true.grid)
        assert compute_dice(found.array > 0, true.array > 0) > 0.7, number


def test_a_plan_without_kernels_has_cubes(slices: tuple[Path, Plan], tmp_path: Path) -> None:
    """As earlier versions wrote it: without the keys."""
    folder, _ = slices
    path = folder / "work" / "plan.yaml"
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    image = content["shared"]["images"]["scan"]
    del image["kernels"], image["resize"], content["shared"]["augmentation"]["flip_2d"]
    (tmp_path / "plan.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    old = Plan.read(tmp_path / "plan.yaml").shared
    assert (old.images["scan"].kernels, old.images["scan"].resize, old.augmentation.flip_2d) == (None,) * 3


def find_stage_kernels(network: Network) -> list[set[tuple[int, ...]]]:
    """Find the kernels of each stage of the encoder, without 1×1×1."""
    found: dict[int, set[tuple[int, ...]]] = {}
    for name, parameter in network.named_parameters():
        if ".stages." in name and parameter.dim() == 5 and max(parameter.shape[2:]) > 1:
            stage = int(name.split(".stages.")[1].split(".")[0])
            found.setdefault(stage, set()).add(tuple(parameter.shape[2:]))
    return [found[stage] for stage in sorted(found)]
