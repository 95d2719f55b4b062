"""Augmentation and reading: cases/s of our loader ÷ cases/s of the MONAI recipe. Wanted: at least 2.

    python benchmarks/augmentation.py [--size N] [--cases N] [--rounds N]

The same synthetic volumes (image and label map). The peer is a CacheDataset and a PersistentDataset with dictionary
transforms of equal effect: the deterministic part is cached, then affine, flips, noise, blur, brightness, contrast,
gamma and low resolution with the same strengths and probabilities; once without and once with elastic deformation.
One process, one thread; all sides take turns; cases per CPU second, so that a busy machine does not matter.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml

from polytask.cohort.cohort import Cohort
from polytask.images.formats import write_image_file
from polytask.images.volume import Grid, Volume
from polytask.plan.plan_schema import (
    AugmentationPlan,
    CropPlan,
    FoldPlan,
    ImagePlan,
    ModelPlan,
    NormalizationPlan,
    Plan,
    SharedPlan,
    TrainingPlan,
)
from polytask.prepare import Loader
from polytask.prepare.store import Store
from polytask.prepare.store_builder import fill_store

MIN_SPEED_RATIO = 2.0
FLIP_CHANCE = 0.5


def main() -> None:
    """Measure and print one JSON document."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=96)
    parser.add_argument("--cases", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        cohort = write_volumes(root / "cohort", options.cases, options.size)
        result: dict[str, Any] = {"wanted": MIN_SPEED_RATIO, "size": options.size}
        for elastic in (0.0, 4.0):
            sides = {"polytask": make_our_epoch(root, cohort, options.size, elastic, options.rounds)}
            sides |= make_monai_epochs(root, cohort, elastic)
            spent = dict.fromkeys(sides, 0.0)
            for side in sides.values():
                side()
            for _ in range(options.rounds):
                for name, side in sides.items():
                    started = time.process_time()
                    side()
                    spent[name] += time.process_time() - started
            rates = {name: round(options.cases * options.rounds / s, 2) for name, s in spent.items()}
            best = max(rate for name, rate in rates.items() if name != "polytask")
            result["with elastic" if elastic else "without elastic"] = {
                "ratio": round(rates["polytask"] / best, 2),
                "cases per CPU second": rates,
            }
        result["ratio"] = min(result["with elastic"]["ratio"], result["without elastic"]["ratio"])
    print(json.dumps(result))


def write_volumes(root: Path, cases: int, size: int) -> Cohort:
    """Write images of noise with a ball in it, and the mask of the ball."""
    root.mkdir()
    header = {
        "polytask": 1,
        "name": "balls",
        "inputs": {"scan": {"kind": "image", "channels": {"ct": "CT"}}},
        "tasks": {"ball": {"kind": "segmentation", "image": "scan", "labels": {"ball": 1}}},
    }
    (root / "cohort.yaml").write_text(yaml.safe_dump(header))
    grid = Grid((size,) * 3, np.eye(4))
    axes = np.ogrid[:size, :size, :size]
    lines = ["subject,scan.ct,ball"]
    for number in range(cases):
        random = np.random.default_rng(number)
        center = random.uniform(0.35, 0.65, 3) * size
        ball = sum((a - c) ** 2 for a, c in zip(axes, center, strict=True)) < (size / 5) ** 2
        image = (random.normal(0, 200, grid.shape) + 500 * ball).astype(np.int16)
        write_image_file(root / f"{number}.nii.gz", Volume(image[None], grid))
        write_image_file(root / f"{number}_ball.nii.gz", Volume(ball[None].astype(np.uint8), grid))
        lines.append(f"s{number},{number}.nii.gz,{number}_ball.nii.gz")
    (root / "cases.csv").write_text("\n".join(lines) + "\n")
    return Cohort.read(root)


def make_our_epoch(root: Path, cohort: Cohort, size: int, elastic: float, rounds: int) -> Callable[[], None]:
    """Make a function that reads one epoch with our loader."""
    image = ImagePlan(
        dims=3, channels={"ct": "CT"}, orientation="RAS", crop=CropPlan(), spacing=(1.0,) * 3, field="whole",
        view=(size,) * 3, view_spacing=(1.0,) * 3, patch=None, patches=1, widths=(8, 16), blocks=(1, 1),
        strides=((1, 1, 1), (2, 2, 2)), foreground=0.0, channel_flags=False, channel_dropout=0.0,
    )  # fmt: skip
    settings = TrainingPlan(
        batch=1,
        epochs=rounds + 1,
        steps_per_epoch=len(cohort.cases),
        precision="float32",
        threads=1,
        workers=0,
    )
    shared = SharedPlan(
        max_visits=1,
        images={"scan": image},
        augmentation=AugmentationPlan(elastic=elastic, flip=(True,) * 3, probability=FLIP_CHANCE),
        model=ModelPlan(),
        training=settings,
        why={},
    )
    rule = NormalizationPlan(rule="image")
    fold = FoldPlan(normalization={"scan": {"ct": [rule]}}, tables={}, tasks={}, why={})
    plan = Plan(cohort=str(cohort.root), digest=cohort.digest, shared=shared, folds={0: fold})
    store = Store(root / "work" / "store")
    fill_store(store, cohort, plan)
    loader = Loader(store, cohort, plan, 0, "train", seed=0, subjects=list(cohort.subjects))
    epochs = iter(range(rounds + 1))

    def epoch() -> None:
        for _ in loader.batches(next(epochs)):
            pass

    return epoch


def make_monai_epochs(root: Path, cohort: Cohort, elastic: float) -> dict[str, Callable[[], None]]:
    """Make a function for each caching data set of MONAI that reads one epoch with the same operations."""
    import monai.transforms as mt
    from monai.data import CacheDataset, DataLoader, PersistentDataset, set_track_meta

    keys, strength = ["image", "label"], AugmentationPlan()
    turn, size = float(np.deg2rad(strength.rotate)), 96
    random: list[Any] = [mt.RandFlipd(keys, prob=0.5, spatial_axis=axis) for axis in range(3)]
    moved = {
        "prob": FLIP_CHANCE,
        "rotate_range": (turn,) * 3,
        "scale_range": (strength.scale,) * 3,
        "translate_range": (strength.translate * size,) * 3,
        "mode": ("bilinear", "nearest"),
        "padding_mode": "zeros",
    }
    if elastic:
        random.append(mt.Rand3DElasticd(keys, sigma_range=(6, 8), magnitude_range=(50, 100), **moved))
    else:
        random.append(mt.RandAffined(keys, **moved))
    random += [
        mt.RandSimulateLowResolutiond("image", prob=FLIP_CHANCE, zoom_range=(strength.low_resolution, 1.0)),
        mt.RandGaussianSmoothd(
            "image",
            prob=FLIP_CHANCE,
            sigma_x=(0.1, strength.blur),
            sigma_y=(0.1, strength.blur),
            sigma_z=(0.1, strength.blur),
        ),
        mt.RandAdjustContrastd(
            "image", prob=FLIP_CHANCE, gamma=(1 / (1 + strength.gamma), 1 + strength.gamma)
        ),
        mt.RandScaleIntensityFixedMeand(
            "image", prob=FLIP_CHANCE, factors=strength.contrast, preserve_range=False
        ),
        mt.RandScaleIntensityd("image", prob=FLIP_CHANCE, factors=strength.brightness),
        mt.RandGaussianNoised("image", prob=FLIP_CHANCE, std=strength.noise),
    ]
    set_track_meta(False)
    fixed = [
        mt.LoadImaged(keys),
        mt.EnsureChannelFirstd(keys, channel_dim="no_channel"),
        mt.NormalizeIntensityd("image"),
    ]
    rows = [
        {"image": str(cohort.path(c.cells["scan.ct"])), "label": str(cohort.path(c.cells["ball"]))}
        for c in cohort.cases
    ]
    chain = mt.Compose([*fixed, *random]).set_random_state(0)
    cache = root / f"persistent{elastic}"
    sets = {
        "CacheDataset": CacheDataset(rows, chain, progress=False),
        "PersistentDataset": PersistentDataset(rows, chain, cache_dir=cache),
    }

    def epoch(data: Any) -> Callable[[], None]:
        loader = DataLoader(data, batch_size=1, num_workers=0)

        def once() -> None:
            for _ in loader:
                pass

        return once

    return {name: epoch(data) for name, data in sets.items()}


if __name__ == "__main__":
    main()
