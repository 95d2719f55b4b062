"""What it gains to see less padding: views padded to the batch, and patches of the typical case.

    python benchmarks/padding.py [--seeds 3] [--first 0] [--subjects 150] [--seconds 45] [--scale 1] [--width 8]
        [--batch 2] [--content organs] [--rows FOLDER] [--json]

Each seed makes a cohort of noisy phantoms in volumes like those of the Decathlon's hippocampi: about 36×50×35 voxels,
the largest 48×64×48 (times `--scale`). `--content organs`: the mask is that of kidneys and bladder, in much noise, and
the class is a rim of fluid around the cavity; `lesion`: lesion and nodes, and whether the lesion has a dark core. Arms:

    view, batch      mask and class: views padded to the largest case of the cohort, or to that of the batch
    whole, patch     the mask alone: the padded whole view, or a patch of the typical case (planned)

All arms of a seed get the same processor time of training steps: `--seconds`, at the mean seconds of a step measured in
turns. All networks begin with `--width` channels; their strides are those of the plan of each arm.
Reported: steps per processor second, seconds of a prediction, held-out Dice and AUC of each arm; differences with 95 %
intervals over the seeds (Student's t). `batch` is also predicted with every case padded to the view, as `view` is.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from statistics import mean, median, stdev
from typing import Any

import numpy as np
import yaml

TYPICAL, LARGEST = (36, 50, 35), (48, 64, 48)
SPREADS = (0.11, 0.04)
"""Standard deviation of the logarithm of a size: of all axes together, and of each axis by itself."""
NOISE = {"organs": 250.0, "lesion": 25.0}
"""Content → standard deviation of the noise. Kidneys and fluid are 300 and 500 brighter than what is beside them."""
LABELS = {"organs": {"kidney": 1, "bladder": 2}, "lesion": {"lesion": 1, "node": 2}}
ARMS = {
    "view": ("both", ["images.scan.padding=null"]),
    "batch": ("both", []),
    "whole": ("mask", ["images.scan.field=whole", "images.scan.padding=null"]),
    "patch": ("mask", []),
}
"""Arm → its cohort (`both` tasks or the `mask` alone), and what is set by hand."""
PAIRS = (("batch", "view"), ("patch", "whole"))
TIMED_STEPS = 9


def draw_size(rng: np.random.Generator, number: int, scale: float) -> tuple[int, ...]:
    """Draw the size of a volume; the first one is the largest."""
    factors = np.exp(rng.normal(0, SPREADS[0]) + rng.normal(0, SPREADS[1], 3))
    size = np.array(LARGEST) if number == 0 else np.minimum(np.array(TYPICAL) * factors, LARGEST)
    return tuple(int(n) for n in np.rint(scale * size))


def write_sized_phantoms(
    folder: Path, subjects: int, seed: int, scale: float = 1.0, content: str = "organs"
) -> list[tuple[int, ...]]:
    """Write two cohorts of the same volumes, `both` and `mask`; return the sizes."""
    from polytask.cohort.phantom.anatomy import build_anatomy
    from polytask.cohort.phantom.ellipsoids import Lattice
    from polytask.cohort.phantom.render import (
        Scanner,
        render_channels,
        render_lesion_labels,
        render_organ_masks,
    )
    from polytask.cohort.phantom.subjects import draw_subjects
    from polytask.images.formats import write_image_file
    from polytask.images.volume import Grid, Volume

    rng, sizes, lines = np.random.default_rng([seed, 77]), [], []
    scanner = Scanner("A", (1.0, 0.0, 0.0), (1.0, 0.0, NOISE[content]), False)
    (folder / "files").mkdir(parents=True)
    for number, subject in enumerate(draw_subjects(subjects, seed, 1, 1)):
        anatomy = build_anatomy(subject, 0, 1, seed)
        sizes.append(draw_size(rng, number, scale))
        grid = Grid(sizes[-1], np.eye(4))
        places = [
            ((np.arange(n) + 0.5) / n - 0.5 - shift).astype(np.float32)
            for n, shift in zip(sizes[-1], anatomy.shift, strict=True)
        ]
        lattice = Lattice(grid, tuple(places), (0, 1, 2), 1 / max(sizes[-1]))
        _, mr = render_channels(anatomy, lattice, scanner, rng)
        masks = render_organ_masks(anatomy, lattice)
        labels = np.maximum(np.maximum(masks["kidney_l"], masks["kidney_r"]), 2 * masks["bladder"])
        if content == "lesion":
            labels = render_lesion_labels(anatomy, lattice)
        for kind, array in (("mr", mr), ("mask", labels)):
            write_image_file(folder / "files" / f"{subject.id}_{kind}.nii.gz", Volume(array[None], grid))
        names = [f"../files/{subject.id}_{kind}.nii.gz" for kind in ("mr", "mask")]
        lines.append(
            ",".join(
                [
                    f"s{subject.id}",
                    *names,
                    ("no", "yes")[subject.effusion if content == "organs" else subject.hollow],
                ]
            )
        )
    mask = {"kind": "segmentation", "image": "scan", "labels": LABELS[content]}
    finding = {"kind": "classification", "classes": ["no", "yes"]}
    for name, tasks in (("both", {"mask": mask, "finding": finding}), ("mask", {"mask": mask})):
        header = {
            "polytask": 1,
            "name": "padding",
            "inputs": {"scan": {"kind": "image", "dims": 3, "channels": {"mr": "MR"}}},
            "tasks": tasks,
        }
        (folder / name).mkdir()
        (folder / name / "cohort.yaml").write_text(yaml.safe_dump(header, sort_keys=False))
        last = -1 if name == "mask" else None
        rows = ["subject,scan.mr,mask,finding", *lines]
        text = "\n".join(",".join(row.split(",")[:last]) for row in rows)
        (folder / name / "cases.csv").write_text(text + "\n")
    return sizes


def measure_frames(sizes: list[tuple[int, ...]], multiple: int) -> dict[str, float]:
    """Return batch → mean voxels of the frame of a batch, as a share of the largest case."""
    rng, array = np.random.default_rng(0), np.array(sizes)
    found = {}
    for batch in (1, 2, 4, 8):
        drawn = array[rng.integers(len(array), size=(4000, batch))].max(axis=1)
        found[str(batch)] = float(
            (-(-drawn // multiple) * multiple).prod(axis=1).mean() / np.prod(array.max(0))
        )
    return found


def measure_seed(chosen: argparse.Namespace, seed: int) -> dict[str, Any]:
    """Plan, time and train every arm on the cohorts of one seed."""
    from polytask.plan.plan_schema import Plan
    from polytask.plan.work_folder import plan_into
    from polytask.prepare import prepare
    from polytask.training import train
    from polytask.training.rehearsal import load_rehearsal

    arms = {name: ARMS[name] for name in chosen.arms.split(",")}
    with tempfile.TemporaryDirectory() as folder:
        sizes = write_sized_phantoms(Path(folder), chosen.subjects, seed, chosen.scale, chosen.content)
        works: dict[str, Path] = {}
        measured: dict[str, Any] = {}
        for arm, (cohort, settings) in arms.items():
            works[arm] = Path(folder) / f"work-{arm}"
            # One precision for all: each arm's plan would measure its own.
            fixed = (
                *("training.threads=1", "training.workers=0", "training.precision=bf16"),
                f"training.batch={chosen.batch}",
            )
            plan_into(Path(folder) / cohort, works[arm], folds=3, settings=(*settings, *fixed))
            widths = [
                chosen.width * 2**n for n in range(len(Plan.read(works[arm]).shared.images["scan"].widths))
            ]
            width = f"images.scan.widths={widths}"
            plan_into(Path(folder) / cohort, works[arm], folds=3, settings=(*settings, *fixed, width))
            prepare(works[arm])
            image = Plan.read(works[arm]).shared.images["scan"]
            measured[arm] = {
                "size": image.view or image.patch,
                "padding": image.padding,
                "widths": image.widths,
            }
        rehearsals = {arm: load_rehearsal(work, device="cpu") for arm, work in works.items()}
        batches = {arm: rehearsal.batches(TIMED_STEPS + 1) for arm, rehearsal in rehearsals.items()}
        seconds: dict[str, list[float]] = {arm: [] for arm in arms}
        for turn in range(TIMED_STEPS + 1):
            for arm in arms if turn % 2 else reversed(arms):
                started = time.process_time()
                rehearsals[arm].step(batches[arm][turn])
                seconds[arm].append(time.process_time() - started)
        for arm, work in works.items():
            # The first step imports and allocates. A mean, because batches differ in size.
            step = mean(seconds[arm][1:])
            steps = max(2, round(chosen.seconds / step))
            started = time.process_time()
            run = train(
                work,
                name=arm,
                seed=seed,
                device="cpu",
                overrides=("training.epochs=1", f"training.steps_per_epoch={steps}"),
            )
            used = time.process_time() - started
            measured[arm] |= {"step": step, "steps": steps, "train": used} | score_run(run.folder, work, None)
            if arm == "batch":
                measured["batch to the view"] = score_run(run.folder, work, "view")
        measured["frames"] = measure_frames(sizes, round(8 * chosen.scale))
        measured["filled"] = median(float(np.prod(size)) for size in sizes) / float(np.prod(sizes[0]))
    return measured


def score_run(folder: Path, work: Path, padding: str | None) -> dict[str, float]:
    """Predict the held-out cases of a run; return Dice, AUC and the processor seconds of a case.

    With `padding` = `view`, every case is padded to the view of the plan, whatever its padding is.
    """
    import torch

    from polytask.cohort.cohort import Cohort
    from polytask.cohort.splits import Splits
    from polytask.inference.pooled_answers import PooledCollector
    from polytask.inference.sample_prediction import predict_sample
    from polytask.predict.load_runs import load_runs
    from polytask.prepare.evaluation_sample import full_sample
    from polytask.prepare.store import Store
    from polytask.training.tune_evaluation import (
        average_case_metrics,
        compute_pooled_metrics,
        measure_stored_case,
    )

    model = load_runs([folder])
    member, plan, cpu = model.members[0], model.plan.model_copy(deep=True), torch.device("cpu")
    if padding:
        plan.shared.images["scan"].padding = None
    network = member.networks[0].eval()
    cohort, store = Cohort.read((work / plan.cohort).resolve()), Store(work / "store")
    held_out = Splits.read(work / "splits.json").folds[0].held_out
    pooled, cases, seconds = PooledCollector(cohort, network.tasks), [], []
    for sample in cohort.samples(held_out):
        full = full_sample(store, cohort, sample, plan, member.plan, network.tasks)
        started = time.process_time()
        predictions = predict_sample(network, full, plan, cpu)
        seconds.append(time.process_time() - started)
        pooled.add_sample(full, predictions)
        metrics = measure_stored_case(
            store, full.keys[0], network.tasks["mask"], predictions["mask"][0], (1.0, 1.0, 1.0)
        )
        cases += [metrics] if metrics is not None else []
    found = {"dice": average_case_metrics(cases)["dice"], "predict": mean(seconds), "held_out": len(cases)}
    answers = pooled.stack()
    if "finding" in answers:
        found["auc"] = float(compute_pooled_metrics(network.tasks["finding"], answers["finding"])["auc"])
    return found


def summarize_difference(values: list[float]) -> str:
    """Write mean and 95 % interval of differences, one per seed, by Student's t."""
    from scipy.stats import t

    if len(values) < 2:
        return f"{values[0]:+.3f}"
    half = float(t.ppf(0.975, len(values) - 1)) * stdev(values) / len(values) ** 0.5
    return f"{mean(values):+.3f} ({mean(values) - half:+.3f} to {mean(values) + half:+.3f})"


def format_arm(rows: list[dict[str, Any]], arm: str) -> str:
    """Write the means of one arm over the seeds."""
    own = [row[arm] for row in rows]

    def average(key: str) -> float:
        return mean(float(row[key]) for row in own)

    auc = f", AUC {average('auc'):.3f}" if "auc" in own[0] else ""
    quality = f"Dice {average('dice'):.3f}{auc}, {average('predict'):.3f} s a case"
    if "step" not in own[0]:
        return quality
    first = own[0]
    kind = f"{'×'.join(map(str, first['size']))}{' at most' if first['padding'] else ''}"
    return (
        f"{kind}, widths {first['widths'][0]}–{first['widths'][-1]}: {1 / average('step'):.2f} steps/s, "
        f"{average('steps'):.0f} steps in {average('train'):.0f} s; {quality}"
    )


def list_differences(rows: list[dict[str, Any]], one: str, other: str) -> Mapping[str, str]:
    """Write how two arms differ over the seeds."""
    keys = [key for key in ("dice", "auc") if key in rows[0][one]]
    found = {key: summarize_difference([row[one][key] - row[other][key] for row in rows]) for key in keys}
    if "step" in rows[0][one]:
        found["steps"] = "× " + ", ".join(f"{row[other]['step'] / row[one]['step']:.2f}" for row in rows)
    found["cases"] = "× " + ", ".join(f"{row[other]['predict'] / row[one]['predict']:.2f}" for row in rows)
    return found


def main() -> None:
    """Measure all seeds and print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--subjects", type=int, default=150)
    parser.add_argument("--seconds", type=float, default=45)
    parser.add_argument("--scale", type=float, default=1.0, help="of the edges of the volumes")
    parser.add_argument("--content", choices=list(LABELS), default="organs")
    parser.add_argument("--width", type=int, default=8)
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--arms", default=",".join(ARMS))
    parser.add_argument(
        "--rows", type=Path, help="keep finished seeds in this folder, and do not train them again"
    )
    parser.add_argument("--json", action="store_true", help="one JSON document instead of lines")
    chosen = parser.parse_args()
    rows = []
    for seed in range(chosen.first, chosen.first + chosen.seeds):
        kept = chosen.rows / f"seed-{seed}.json" if chosen.rows else None
        rows.append(json.loads(kept.read_text()) if kept and kept.exists() else measure_seed(chosen, seed))
        if kept:
            kept.parent.mkdir(parents=True, exist_ok=True)
            kept.write_text(json.dumps(rows[-1]))
    if chosen.json:
        print(json.dumps(rows, indent=1))
        return
    print(
        f"the median case fills {mean(row['filled'] for row in rows):.0%} of the largest; {len(rows)} seeds"
    )
    frames = {batch: mean(row["frames"][batch] for row in rows) for batch in rows[0]["frames"]}
    told = ", ".join(f"batch {batch} {share:.2f}" for batch, share in frames.items())
    print(f"mean frame of a step as a share of it: {told}")
    for arm in (name for name in rows[0] if name not in ("filled", "frames")):
        print(f"{arm}: {format_arm(rows, arm)}")
    pairs = [*PAIRS, ("batch to the view", "batch")]
    for one, other in pairs:
        if one in rows[0] and other in rows[0]:
            words = [f"{key} {text}" for key, text in list_differences(rows, one, other).items()]
            print(f"{one} − {other}: {'; '.join(words)}")


if __name__ == "__main__":
    main()
