"""What a guide's reader already has: a phantom and its work folder, an nnU-Net folder, images beside a table."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from polytask.cohort.phantom import make_phantom
from polytask.images.formats import write_image_file
from polytask.images.volume import Grid, Volume
from polytask.plan.work_folder import plan_into
from polytask.prepare.store_builder import prepare

TASKS = ("lesion", "grade", "os", "response")
QUICK = (
    "training.epochs=2",
    "training.steps_per_epoch=2",
    "training.threads=1",
    "training.precision=float32",
    "images.scan.widths=[8,16,16]",
    "model.embedding=16",
)


def phantom(folder: Path, tasks: tuple[str, ...] = TASKS) -> None:
    """`cohort/`: a 2D phantom (with a test part of three subjects), and `new-patients/`: another one."""
    make_phantom(folder / "cohort", 20, 24, 0, 2, 2, tasks, 2)
    make_phantom(folder / "new-patients", 2, 24, 1, 2, 2, tasks, 2)


def prepared(folder: Path) -> None:
    """`cohort/`, `new-patients/` and `work/`, planned with small numbers and prepared."""
    phantom(folder)
    plan_into(folder / "cohort", folder / "work", folds=3, settings=QUICK, jobs=1)
    prepare(folder / "work", jobs=1)


def trained(folder: Path) -> None:
    """The same with the runs `hard` and `single`."""
    from polytask import train

    prepared(folder)
    train(folder / "work", sharing="hard", name="hard")
    train(folder / "work", sharing="single", name="single", match="hard")


def readme(folder: Path) -> None:
    """`my-cohort/` and `new-patients/`."""
    phantom(folder, ("lesion", "grade", "response"))
    (folder / "cohort").rename(folder / "my-cohort")


def nnunet(folder: Path) -> None:
    """`Dataset007_Lung/` as nnU-Net has it, with targets beside it; a Decathlon list; a spreadsheet with images."""
    r = np.random.default_rng(0)
    raw = folder / "Dataset007_Lung"
    cases = [f"lung_{n:03}" for n in range(1, 13)]
    for case in cases:
        _volume(raw / "imagesTr" / f"{case}_0000.nii.gz", r.normal(0, 300, (12, 12, 8)).astype(np.float32))
        mask = np.zeros((12, 12, 8), np.uint8)
        mask[4:8, 4:8, 3:6] = 1
        if case not in cases[-3:]:
            _volume(raw / "labelsTr" / f"{case}.nii.gz", mask)
    for case in ("lung_013", "lung_014"):
        _volume(raw / "imagesTs" / f"{case}_0000.nii.gz", r.normal(0, 300, (12, 12, 8)).astype(np.float32))
    described = {
        "channel_names": {"0": "CT"},
        "labels": {"background": 0, "tumour": 1},
        "numTraining": 12,
        "file_ending": ".nii.gz",
    }
    (raw / "dataset.json").write_text(json.dumps(described), encoding="utf-8")
    grades = ["1", "1", "1", "2", "2", "2", "3", "3", "3", "1", "", "2", "1", ""]
    types = ["adeno", "squamous", "adeno", "squamous", "", "adeno"] * 3
    rows = ["case\tgrade\thistology\tos_months\tos_event\tage"]
    rows += [
        f"{case}\t{grades[k]}\t{types[k]}\t{6 + 3 * k}\t{k % 2}\t{55 + k}"
        for k, case in enumerate([*cases, "lung_013", "lung_014"])
    ]
    (raw / "targets.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    folds = [{"train": [c for k, c in enumerate(cases) if k % 3 != f], "val": cases[f::3]} for f in range(3)]
    (raw / "splits_final.json").write_text(json.dumps(folds), encoding="utf-8")
    listed = {
        "name": "lung",
        "modality": {"0": "CT"},
        "labels": {"0": "background", "1": "tumour"},
        "training": [
            {
                "image": f"Dataset007_Lung/imagesTr/{c}_0000.nii.gz",
                "label": f"Dataset007_Lung/labelsTr/{c}.nii.gz",
                "stage": ("early", "late")[k % 2],
            }
            for k, c in enumerate(cases[:9])
        ],
        "test": [{"image": "Dataset007_Lung/imagesTs/lung_013_0000.nii.gz"}],
    }
    (folder / "list.json").write_text(json.dumps(listed), encoding="utf-8")
    sheet = ["patient,center,type,relapse_days,relapse_event,stage"]
    sheet += [f"{c},{'AB'[k % 2]},{types[k]},{100 + 9 * k},{k % 2},{['early', 'late'][k % 2]}"
              for k, c in enumerate(cases)]  # fmt: skip
    (folder / "spreadsheet.csv").write_text("\n".join(sheet) + "\n", encoding="utf-8")


def images(folder: Path) -> None:
    """`my-cohort/` with images and masks, without header and table."""
    r = np.random.default_rng(0)
    for n in range(1, 7):
        for visit in "ab"[: 1 + n % 2]:
            stem = folder / "my-cohort"
            _volume(
                stem / "images" / f"{n:03}{visit}_ct.nii.gz",
                r.normal(0, 300, (16, 16, 12)).astype(np.float32),
            )
            mask = np.zeros((16, 16, 12), np.uint8)
            mask[5:9, 5:9, 4:7], mask[10:12, 10:12, 4:6] = 1, 2
            _volume(stem / "masks" / f"{n:03}{visit}_tumour.nii.gz", mask)
            organs = np.zeros((2, 16, 16, 12), np.uint8)
            organs[0, 1:5, 6:10, 3:9], organs[1, 11:15, 6:10, 3:9] = 1, 1
            _volume(stem / "masks" / f"{n:03}{visit}_organs.nii.gz", organs)
            _volume(stem / "masks" / f"{n:03}{visit}_dose.nii.gz", 60 * r.random((16, 16, 12), np.float32))


def _volume(path: Path, array: np.ndarray) -> None:
    array = array if array.ndim == 4 else array[None]
    path.parent.mkdir(parents=True, exist_ok=True)
    write_image_file(path, Volume(array, Grid(array.shape[1:], np.diag([1.0, 1.0, 2.0, 1.0]))))


STARTS: dict[str, Callable[..., None]] = {
    f.__name__: f for f in (phantom, prepared, trained, readme, nnunet, images)
}


def built(names: list[str], place: Path) -> Iterator[Path]:
    """The folders of these starts, each built once below `place`."""
    for name in names:
        folder = place / name
        if not folder.exists():
            part = place / f".{name}"
            part.mkdir(parents=True)
            STARTS[name](part)
            part.rename(folder)
        yield folder
