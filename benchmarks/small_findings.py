"""What crops at full resolution gain where the class is in a finding of a few voxels.

    python benchmarks/small_findings.py [--seeds 3] [--first-seed 0] [--steps 480] [--rows FILE] [--json]
    python benchmarks/small_findings.py --source nsclc --data DIR [--seeds 3] [--steps 480] [--rows FILE] [--json]

`phantom`: each seed makes a cohort of 3D volumes of 28³ voxels. Each has one bright ball, 8 voxels across, anywhere;
inside it the values are even, or blocks of 2³ voxels lie above and below the same mean: that is the class. Duller balls
are no lesions. `nsclc`: volumes of 28³ voxels put together from pieces of real lung CT, with one small tumor or none
(`_pasted_findings.py`); that is the class. The whole view has a third of the resolution: there the texture averages
out, and a tumor is 2 to 5 voxels long. Three arms differ in `roi` alone, at the same number of steps, on the same
fold: `view` reads the view, `attention` also 6 of 8 crops that the class task itself chooses, `task` 2 crops on the
largest parts of the network's own lesion mask, of 4 places in training (what the plan chooses by itself).
Reported: AUC on the held-out part, and the gain over `view`: mean over the seeds with its 95 % interval (Student's t).
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import numpy as np
import numpy.typing as npt
import yaml

from _pasted_findings import write_tumor_cohort

SIZE, LESION_RADIUS, DECOYS = 28, 4.0, 2
HEADER = {
    "polytask": 1,
    "name": "small findings",
    "inputs": {"scan": {"kind": "image", "dims": 3, "channels": {"t1": "MR"}}},
    "tasks": {
        "lesion": {"kind": "segmentation", "image": "scan", "labels": {"lesion": 1}},
        "texture": {"kind": "classification", "classes": ["even", "rough"]},
    },
}
ARMS = {
    "view": "null",
    "attention": "{attention: 6, size: [16, 16, 16]}",
    "task": "{task: lesion, crops: 2, places: 4, size: [16, 16, 16]}",
}
EPOCHS = 8
CLASS_TASKS = {"phantom": "texture", "nsclc": "finding"}
SOURCE_SETTINGS = {
    "phantom": ("images.scan.spacing=[1,1,1]", "images.scan.view_spacing=[3,3,3]"),
    "nsclc": (
        "images.scan.spacing=[2,2,2]",
        "images.scan.view_spacing=[6,6,6]",
        "images.scan.crop.rule=none",
    ),
}
SETTINGS = (
    "images.scan.field=both",
    "images.scan.view=[12,12,12]",
    "images.scan.patch=[16,16,16]",
    "images.scan.patches=1",
    "images.scan.foreground=0.5",
    "images.scan.widths=[8,16,32]",
    "images.scan.blocks=[1,1,1]",
    "images.scan.strides=[[1,1,1],[2,2,2],[2,2,2]]",
    "images.scan.roi=null",
    "augmentation.rotate=0",
    "augmentation.scale=0",
    "augmentation.translate=0",
    "augmentation.elastic=0",
    "augmentation.noise=0",
    "augmentation.blur=0",
    "augmentation.low_resolution=0",
    "model.embedding=32",
    "training.batch=8",
    "training.rate=0.003",
    "training.precision=float32",
    "training.workers=0",
    "training.threads=1",
    "training.patience=0",
    "training.tune_every=4",
)


def draw_volume(rng: np.random.Generator, rough: bool) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Draw a volume and the mask of its lesion, both `[SIZE, SIZE, SIZE]`."""
    places = np.stack(np.mgrid[:SIZE, :SIZE, :SIZE])
    volume, mask = rng.normal(100, 12, (SIZE,) * 3), np.zeros((SIZE,) * 3, bool)
    for number in range(1 + DECOYS):
        center = rng.uniform(LESION_RADIUS + 1, SIZE - LESION_RADIUS - 2, 3)
        ball = np.sqrt(((places - center[:, None, None, None]) ** 2).sum(0)) < LESION_RADIUS
        if number < DECOYS:
            volume[ball] += 40
            continue
        signs = rng.choice([-1.0, 1.0], (SIZE // 2,) * 3).repeat(2, 0).repeat(2, 1).repeat(2, 2)
        signs -= signs[ball].mean()
        # The lesion replaces what lies below it, so that its mean is the same in both classes.
        volume[ball] = (200 + rng.normal(0, 12, volume.shape) + (40 * signs if rough else 0))[ball]
        mask = ball
    return volume, mask


def write_texture_cohort(folder: Path, subjects: int, seed: int) -> Path:
    """Write a cohort, half of each class."""
    from polytask.images.formats import write_image_file
    from polytask.images.volume import Grid, Volume

    folder.mkdir(parents=True)
    (folder / "cohort.yaml").write_text(yaml.safe_dump(HEADER, sort_keys=False))
    rng, grid, lines = (
        np.random.default_rng(seed),
        Grid((SIZE,) * 3, np.eye(4)),
        ["subject,scan.t1,lesion,texture"],
    )
    for number in range(subjects):
        rough = bool(number % 2)
        volume, mask = draw_volume(rng, rough)
        name = f"s{number:03}"
        write_image_file(folder / f"{name}.nii.gz", Volume(np.rint(volume)[None].astype(np.int16), grid))
        write_image_file(folder / f"{name}_mask.nii.gz", Volume(mask[None].astype(np.uint8), grid))
        lines.append(f"{name},{name}.nii.gz,{name}_mask.nii.gz,{('even', 'rough')[rough]}")
    (folder / "cases.csv").write_text("\n".join(lines) + "\n")
    return folder


def measure_arms(
    chosen: argparse.Namespace, seed: int, arms: Sequence[str]
) -> Iterator[tuple[str, dict[str, float]]]:
    """Train arms on a cohort of its own seed; yield (arm, its AUC, Dice of the lesion, and seconds)."""
    from polytask.evaluation import evaluate
    from polytask.plan.work_folder import plan_into
    from polytask.prepare import prepare
    from polytask.training import train

    length = (f"training.epochs={EPOCHS}", f"training.steps_per_epoch={max(1, chosen.steps // EPOCHS)}")
    with tempfile.TemporaryDirectory() as folder:
        cohort, work = Path(folder) / "cohort", Path(folder) / "work"
        if chosen.source == "nsclc":
            write_tumor_cohort(cohort, chosen.data, chosen.subjects, seed)
        else:
            write_texture_cohort(cohort, chosen.subjects, seed)
        settings = (*SETTINGS, *SOURCE_SETTINGS[chosen.source], *length)
        plan_into(cohort, work, folds=3, seed=seed, settings=settings)
        prepare(work)
        for arm in arms:
            started = time.process_time()
            run = train(work, name=arm, seed=seed, device="cpu", overrides=(f"images.scan.roi={ARMS[arm]}",))
            seconds = time.process_time() - started
            metrics = evaluate(run.folder, device="cpu", resamples=100).metrics
            yield (
                arm,
                {
                    "auc": float(metrics[CLASS_TASKS[chosen.source]]["auc"].estimate),
                    "dice": float(metrics["lesion"]["dice"].estimate),
                    "seconds": seconds,
                },
            )


def summarize_gain(values: list[float]) -> dict[str, float]:
    """Return mean and 95 % interval of differences, one per seed, by Student's t."""
    from scipy.stats import t

    if len(values) < 2:
        return {"mean": values[0], "low": float("nan"), "high": float("nan")}
    half = float(t.ppf(0.975, len(values) - 1)) * stdev(values) / len(values) ** 0.5
    return {"mean": mean(values), "low": mean(values) - half, "high": mean(values) + half}


def main() -> None:
    """Measure all seeds and print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument(
        "--first-seed", type=int, default=0, help="the seeds from here on, e.g. to develop on others"
    )
    parser.add_argument("--source", choices=list(CLASS_TASKS), default="phantom")
    parser.add_argument("--data", type=Path, help="folder of the crops of lung CT: images/, masks/")
    parser.add_argument("--subjects", type=int, default=300)
    parser.add_argument("--steps", type=int, default=480)
    parser.add_argument("--arms", default=",".join(ARMS))
    parser.add_argument(
        "--rows", type=Path, help="keep finished arms in this file, and do not train them again"
    )
    parser.add_argument("--json", action="store_true", help="one JSON document instead of lines")
    chosen = parser.parse_args()
    if chosen.source == "nsclc" and not (chosen.data and (chosen.data / "masks").is_dir()):
        parser.error(f"--source nsclc needs --data DIR with images/ and masks/; {chosen.data} has none")
    rows = json.loads(chosen.rows.read_text()) if chosen.rows and chosen.rows.exists() else []
    measured = range(chosen.first_seed, chosen.first_seed + chosen.seeds)
    for seed in measured:
        rows += [{}] * (seed + 1 - len(rows))
        missing = [arm for arm in chosen.arms.split(",") if arm not in rows[seed]]
        for arm, values in measure_arms(chosen, seed, missing) if missing else ():
            rows[seed] = rows[seed] | {arm: values}
            if chosen.rows:
                chosen.rows.write_text(json.dumps(rows))
        if not chosen.json:
            words = [
                f"{a} AUC {v['auc']:.3f} Dice {v['dice']:.2f} {v['seconds']:.0f} s"
                for a, v in rows[seed].items()
            ]
            print(f"seed {seed}: {'; '.join(words)}", flush=True)
    own = [rows[seed] for seed in measured]
    arms = [arm for arm in chosen.arms.split(",") if arm != "view" and "view" in own[0]]
    gains = {
        arm: summarize_gain(
            [row[arm]["auc"] - row["view"]["auc"] for row in own if {"view", arm} <= set(row)]
        )
        for arm in arms
    }
    if chosen.json:
        print(json.dumps({"seeds": own, "gains": gains}, indent=1))
        return
    for arm, gain in gains.items():
        print(f"{arm} over view: {gain['mean']:+.3f} AUC (95 % {gain['low']:+.3f} to {gain['high']:+.3f})")


if __name__ == "__main__":
    main()
