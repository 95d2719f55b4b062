"""Memory of a training step: what a plan predicts, against what a step of the planned network really needs.

    python benchmarks/models.py [--device cpu|cuda] [--json]

Thirty-three settings: 2D and 3D, masks alone and beside grades, patches beside a view, two visits, float32 and bf16,
every sharing block, transformer encoders, chains with a second network, a gate and coarse logits, common decoders,
strided first stages, a volume read slice by slice, and two images read by one encoder.
On a CPU the prediction of what autograd keeps is held against the bytes of the saved tensors: 0.90 to 1.10 × of it. On
CUDA the prediction of the whole step, with its margin, is held against `max_memory_allocated`: at least 1 × of it.
Without a GPU `--device cuda` says so and measures nothing.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from polytask.cohort.cohort import Case, Cohort
from polytask.cohort.header import Header
from polytask.cohort.splits import Fold, Splits
from polytask.plan.fingerprint_records import CaseRecord, Fingerprint, ImageRecord, PlaneRecord, VoxelRecord
from polytask.plan.machine import GIB, Machine
from polytask.plan.plan_schema import Plan
from polytask.plan.plan_settings import set_values
from polytask.plan.planner import make_plan
from polytask.plan.presets import apply_preset
from polytask.plan.quantile_sketch import QUANTILE_COUNT, ValueSummary
from polytask.plan.step_memory import predict_step_memory

SUBJECTS = 12
MASK = {"kind": "segmentation", "image": "scan", "labels": {"tumor": 1}}
ORGANS = {"kind": "segmentation", "image": "scan", "structures": ["liver", "spleen"]}
GRADE = {"kind": "ordinal", "order": ["G1", "G2", "G3"]}
RESPONSE = {"kind": "classification", "level": "subject", "classes": ["no", "yes"]}
MASK_AND_GRADES = {"mask": MASK, "grade": GRADE, "state": {**RESPONSE, "level": "visit"}}
GPU = Machine(16, 128 * GIB, "cuda", 24 * GIB, "bf16", 3.0)
LAPTOP = Machine(2, 24 * GIB)


@dataclass(frozen=True)
class MemorySetting:
    """One setting: the size of the images, the tasks, and what is changed in the plan."""

    name: str
    size: tuple[int, ...]
    tasks: Mapping[str, Mapping[str, Any]]
    changes: Sequence[str] = ()
    machine: Machine = LAPTOP
    preset: str = ""
    visits: Sequence[str] = field(default=())
    images: Sequence[str] = ("scan",)


STRIDED = (
    "images.scan.strides=[[2,2,2],[2,2,2],[2,2,2]]",
    "images.scan.widths=[32,64,128]",
    "images.scan.blocks=[1,1,1]",
)

SETTINGS = (
    MemorySetting("2D mask, batch 3", (160, 128), {"mask": MASK}, ["training.batch=3"]),
    MemorySetting("2D grade, bf16, GPU's network", (64, 64), {"grade": GRADE}, machine=GPU),
    MemorySetting("3D mask and grade", (48, 40, 32), {"mask": MASK, "grade": GRADE}),
    MemorySetting(
        "3D mask, GPU's network",
        (32, 32, 32),
        {"mask": MASK},
        ["training.batch=2", "training.precision=float32"],
        GPU,
    ),
    MemorySetting(
        "3D patches and view",
        (64, 64, 48),
        {"mask": MASK, "grade": GRADE},
        [
            "images.scan.field=both",
            "images.scan.view=[32,32,32]",
            "images.scan.view_spacing=[2,2,2]",
            "images.scan.patch=[32,48,32]",
            "images.scan.patches=2",
            "images.scan.strides=[[1,1,1],[2,2,2],[2,2,2],[2,2,2]]",
            "images.scan.widths=[16,32,64,128]",
            "images.scan.blocks=[1,1,1,1]",
        ],
    ),
    MemorySetting(
        "3D masks and response, two visits", (32, 32, 32), {"mask": MASK, "response": RESPONSE}, visits=("a", "b")
    ),
    MemorySetting(
        "3D two masks and grade, preset parallel", (32, 40, 32), {"mask": MASK, "organs": ORGANS, "grade": GRADE},
        preset="parallel",
    ),
    MemorySetting(
        "3D mask and grade, preset single", (32, 40, 32), {"mask": MASK, "grade": GRADE}, preset="single"
    ),
    MemorySetting("3D preset cross_stitch", (32, 32, 32), MASK_AND_GRADES, preset="cross_stitch"),
    MemorySetting("3D preset nddr", (32, 32, 32), MASK_AND_GRADES, preset="nddr"),
    MemorySetting("3D preset mmoe", (32, 32, 32), MASK_AND_GRADES, preset="mmoe"),
    MemorySetting("3D preset ple", (32, 32, 32), MASK_AND_GRADES, preset="ple"),
    MemorySetting("3D preset task_film", (32, 32, 32), MASK_AND_GRADES, preset="task_film"),
    MemorySetting("3D preset mtan_light", (32, 32, 32), MASK_AND_GRADES, preset="mtan_light"),
    MemorySetting(
        "3D mtan, paper form, bf16",
        (32, 32, 32),
        {"mask": MASK, "grade": GRADE},
        ["model.sharing=mtan", "model.form=paper", "training.precision=bf16"],
    ),
    MemorySetting("3D preset task_tokens", (32, 32, 32), MASK_AND_GRADES, preset="task_tokens"),
    MemorySetting("3D preset mtmedformer", (32, 32, 32), MASK_AND_GRADES, preset="mtmedformer"),
    MemorySetting(
        "2D preset mtmedformer, bf16, size no multiple of a window",
        (144, 112),
        MASK_AND_GRADES,
        ["training.precision=bf16"],
        preset="mtmedformer",
    ),
    MemorySetting(
        "3D mtan with a Swin encoder, strided first stage",
        (48, 40, 32),
        MASK_AND_GRADES,
        [*STRIDED, "model.encoder=swin"],
        preset="mtan_light",
    ),
    MemorySetting("3D chain of preset cascaded", (32, 32, 32), MASK_AND_GRADES, preset="cascaded"),
    MemorySetting(
        "3D chain with passes through a gate",
        (32, 32, 32),
        MASK_AND_GRADES,
        ["model.after.grade=[mask]", "model.uncertainty=variance", "model.passes=4"],
    ),
    MemorySetting(
        "3D mask, then grade, then other masks",
        (32, 32, 32),
        {"mask": MASK, "grade": GRADE, "organs": ORGANS},
        ["model.after.grade=[mask]", "model.after.organs=[grade]", "model.decoder=attention"],
    ),
    MemorySetting("3D chain of preset hybrid (ctan)", (32, 32, 32), MASK_AND_GRADES, preset="hybrid"),
    MemorySetting(
        "3D chain of two masks",
        (32, 32, 32),
        {"mask": MASK, "organs": ORGANS},
        ["model.after.organs=[mask]"],
    ),
    MemorySetting(
        "3D two masks, common decoder with attention",
        (32, 32, 32),
        {"mask": MASK, "organs": ORGANS},
        ["model.decoder=attention"],
    ),
    MemorySetting(
        "3D two masks and grade, preset padnet",
        (32, 32, 32),
        {"mask": MASK, "organs": ORGANS, "grade": GRADE},
        preset="padnet",
    ),
    MemorySetting("3D two masks and grade, preset mtan", (32, 32, 32), MASK_AND_GRADES, preset="mtan"),
    MemorySetting("3D mask and grade, strided first stage", (48, 40, 32), {"mask": MASK, "grade": GRADE}, STRIDED),
    MemorySetting(
        "3D preset rpnet, two visits",
        (32, 32, 32),
        {"mask": MASK, "response": RESPONSE},
        preset="rpnet",
        visits=("a", "b"),
    ),
    MemorySetting(
        "3D grades, slice by slice",
        (48, 40, 32),
        {"grade": GRADE, "state": {**RESPONSE, "level": "visit"}},
        ["images.scan.trunk=slices"],
    ),
    MemorySetting(
        "3D masks on two images and a grade, one encoder",
        (32, 32, 32),
        {"mask": MASK, "organs": {**ORGANS, "image": "pet"}, "grade": GRADE},
        ["model.trunk=shared"],
        images=("scan", "pet"),
    ),
    MemorySetting(
        "3D masks on two images and a grade, one encoder, ctan_light, bf16",
        (32, 32, 32),
        {"mask": MASK, "organs": {**ORGANS, "image": "pet"}, "grade": GRADE},
        ["model.trunk=shared", "model.sharing=ctan", "training.precision=bf16"],
        images=("scan", "pet"),
    ),
    MemorySetting(
        "3D two masks, strided, common decoder with attention",
        (32, 32, 32),
        {"mask": MASK, "organs": ORGANS},
        [*STRIDED, "model.decoder=attention"],
    ),
)  # fmt: skip


def make_setting_plan(setting: MemorySetting) -> tuple[Plan, Header]:
    """Make the plan of a setting, for a cohort that has a header and measurements, but no files."""
    scan: dict[str, Any] = {"kind": "image", "channels": {"mr": "MR"}, "dims": len(setting.size)}
    inputs = dict.fromkeys(setting.images, scan)
    content = {"polytask": 1, "name": "memory", "inputs": inputs, "tasks": setting.tasks}
    if setting.visits:
        content["visits"] = list(setting.visits)
    header = Header.model_validate(content)
    cases, records = [], {}
    for number in range(SUBJECTS):
        subject = f"s{number:02d}"
        for visit in setting.visits or ("",):
            cells = {
                **{f"{name}.mr": f"{name}.nii.gz" for name in setting.images},
                "grade": f"G{1 + number % 3}",
                "response": ["no", "yes"][number % 2],
                "state": ["no", "yes"][number % 2],
            }
            cells |= {n: f"{n}.nii.gz" for n, t in setting.tasks.items() if "image" in t}
            if "organs" in setting.tasks:
                cells |= {f"organs.{s}": f"{s}.nii.gz" for s in ORGANS["structures"]}
            case = Case(subject, visit, site="A", test=False, row=len(cases) + 2, cells=cells)
            cases.append(case)
            records[case.key] = _make_case_record(subject, setting)
    cohort = Cohort(header, Path("nowhere"), Path("nowhere/cases.csv"), (), tuple(cases))
    names = cohort.list_split_subjects("train")
    splits = Splits((Fold(names[:-3], names[-3:-2], names[-2:]),), "subject", 0)
    plan = make_plan(cohort, Fingerprint(cases=records), splits, machine=setting.machine)
    if setting.preset:
        plan = apply_preset(plan, setting.preset, header)
    return set_values(plan, setting.changes), header


def _make_case_record(subject: str, setting: MemorySetting) -> CaseRecord:
    """Make the measurements of a case whose masks cover 50 of 1000 voxels."""
    values = ValueSummary(
        n=1000, mean=50.0, variance=800.0, low=0.0, high=100.0, quantiles=[50.0] * QUANTILE_COUNT
    )
    size, zero = setting.size, (0,) * len(setting.size)
    image = ImageRecord(
        source_shape=size,
        source_spacing=(1.0,) * len(size),
        orientation="RAS"[: len(size)],
        shape=size,
        spacing=(1.0,) * len(size),
        boxes={"none": (zero, size), "nonzero": (zero, size), "body": (zero, size)},
        zeros=0.0,
        planes={"mr": [PlaneRecord(body=values, foreground=values)]},
    )
    voxels = {}
    for name, task in setting.tasks.items():
        structures = list(task.get("labels", task.get("structures", ()))) if "image" in task else []
        if structures:
            voxels[name] = VoxelRecord(
                counts=dict.fromkeys(structures, 50),
                totals={"none": 1000, "nonzero": 1000, "body": 1000},
                sizes={s: (10.0,) * len(size) for s in structures},
            )
    return CaseRecord(digest="0", subject=subject, images=dict.fromkeys(setting.images, image), voxels=voxels)


def compare_memory(setting: MemorySetting, device: str) -> tuple[float, int]:
    """Return the predicted and the measured bytes of a step."""
    from polytask.training.measured_memory import measure_step_memory

    plan, header = make_setting_plan(setting)
    predicted = predict_step_memory(plan, header, device)
    return (predicted.peak if device == "cuda" else predicted.kept), measure_step_memory(plan, header, device)


def main() -> None:
    """Compare every setting and print a line for each."""
    import torch

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--json", action="store_true", help="one JSON document instead of lines")
    chosen = parser.parse_args()
    if chosen.device == "cuda" and not torch.cuda.is_available():
        print("this machine has no CUDA device: nothing was measured")
        sys.exit(2)
    least, most = (1.0, float("inf")) if chosen.device == "cuda" else (0.9, 1.1)
    rows = []
    for setting in SETTINGS:
        predicted, measured = compare_memory(setting, chosen.device)
        ratio = round(predicted / measured, 3)
        rows.append(
            {"setting": setting.name, "predicted": round(predicted), "measured": measured, "ratio": ratio}
        )
        if not chosen.json:
            words = f"{predicted / 2**20:.1f} MiB predicted, {measured / 2**20:.1f} MiB measured"
            print(f"{setting.name}: {words}: {ratio:.3f}; {'ok' if least <= ratio <= most else 'MISSED'}")
    if chosen.json:
        print(json.dumps({"device": chosen.device, "settings": rows}, indent=1))
    sys.exit(any(not least <= row["ratio"] <= most for row in rows))


if __name__ == "__main__":
    main()
