"""Predictions as files: `predictions.csv`, and masks and doses on the grids of the sources."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np

from polytask.cohort import header
from polytask.cohort.cohort import Case, Cohort, Sample
from polytask.errors import PolytaskError
from polytask.images.files import atomic
from polytask.images.formats import ending
from polytask.images.formats import write as write_image
from polytask.images.volume import Volume
from polytask.predict.decided import decided_columns
from polytask.predict.restore import with_label_values
from polytask.tasks.task import Arrays, PooledTask

if TYPE_CHECKING:
    from polytask.predict.predictor import CaseAnswer, Predictor

FLAT = (".png", ".jpg", ".jpeg", ".tif", ".tiff")


def write(
    predictor: Predictor,
    cohort: Cohort,
    out: Path,
    samples: Sequence[Sample] | None = None,
    tta: bool = False,
    probabilities: bool = False,
    overlap: float = 0.5,
    seen: Callable[[CaseAnswer], None] | None = None,
) -> Path:
    """Predict into `out`: `predictions.csv` with a row per case (and per subject for subject tasks), and
    `predictions/TASK/CASE.nii.gz` (2D images: .png, doses .tif). `seen` gets every answer on its way.

    The table is written last: with it, the folder is complete.
    """
    try:
        (out / "predictions").mkdir(parents=True, exist_ok=True)
        (out / "predictions.csv").unlink(missing_ok=True)
    except OSError as error:
        raise PolytaskError(f"{out}: cannot write here ({error.strerror}); choose another folder") from None
    found: dict[tuple[str, str], dict[str, str]] = {}
    for answer in predictor.answers(cohort, samples, tta=tta, probabilities=probabilities, overlap=overlap):
        found.setdefault((answer.subject, answer.visit), {}).update(_row(predictor, cohort, answer, out))
        if seen:
            seen(answer)
    rows = list(found.values())
    columns = list(dict.fromkeys(c for row in rows for c in row))
    with atomic(out / "predictions.csv") as stream:
        text = io.TextIOWrapper(stream, encoding="utf-8", newline="")
        table = csv.DictWriter(text, columns, restval="")
        table.writeheader()
        table.writerows(rows)
        text.detach()
    return out


def _row(predictor: Predictor, cohort: Cohort, answer: CaseAnswer, out: Path) -> dict[str, str]:
    """One line of `predictions.csv`; files of voxel tasks are written on the way."""
    members = predictor.members
    row = {
        "subject": answer.subject,
        "visit": answer.visit,
        "fold": ";".join(dict.fromkeys(str(m.fold) for m in members)),
        "seed": ";".join(dict.fromkeys(str(m.seed) for m in members)),
        "member": str(len(members)) if len(members) > 1 else "",
    }
    for name, arrays in answer.pooled.items():
        task = cast(PooledTask, predictor.tasks[name])
        for suffix, value in task.columns(arrays, 0).items():
            row[f"{name}{suffix}"] = value if isinstance(value, str) else f"{value:.6g}"
        for suffix, decided in decided_columns(task, predictor.decisions, arrays, 0).items():
            row[f"{name}{suffix}"] = decided
        row |= {f"{name}.{k}": f"{v[0]:.4g}" for k, v in arrays.items() if k.startswith("source.")}
        for column, path in _write_attention(name, arrays, answer, out).items():
            row[column] = path.relative_to(out).as_posix()
    for name, volume in answer.voxel.items():
        assert answer.case is not None
        spec = cast("header.Segmentation | header.Dose", cohort.header.tasks[name])
        for column, path in _write_voxel(name, spec, volume, cohort, answer.case, out).items():
            row[column] = path.relative_to(out).as_posix()
        if name in answer.probabilities:
            path = out / "predictions" / name / f"{answer.case.key}.p.nii.gz"
            write_image(path, answer.probabilities[name])
            row[f"{name}.p"] = path.relative_to(out).as_posix()
    return row


def _write_attention(name: str, arrays: Arrays, answer: CaseAnswer, out: Path) -> dict[str, Path]:
    """How much each patch of a slide counted, and where it lies: `TASK.patches.SLIDE` → a file with `attention`
    `[P]` (`[V, P]` of a subject task) and `places` `[P, 2]`."""
    found: dict[str, Path] = {}
    for key in [k for k in arrays if k.startswith("patches.")]:
        slide = key.removeprefix("patches.")
        folder = out / "predictions" / name
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{answer.case.key if answer.case else answer.subject}.{slide}.npz"
        with atomic(path) as stream:
            np.savez(stream, attention=arrays[key][0], places=arrays[f"places.{slide}"][0])
        found[f"{name}.{key}"] = path
    return found


def _write_voxel(
    name: str, spec: header.Segmentation | header.Dose, volume: Volume, cohort: Cohort, case: Case, out: Path
) -> dict[str, Path]:
    """Write an answer in the form in which the cohort would give it → column → file."""
    folder = out / "predictions" / name
    folder.mkdir(parents=True, exist_ok=True)
    flat = _is_flat(cohort, case, spec.image)
    if isinstance(spec, header.Dose):
        path = folder / f"{case.key}{'.tif' if flat else '.nii.gz'}"
        write_image(path, Volume(volume.array.astype(np.float32), volume.grid))
        return {name: path}
    kind = ".png" if flat else ".nii.gz"
    if spec.exclusive:
        path = folder / f"{case.key}{kind}"
        write_image(path, Volume(with_label_values(spec, volume.array), volume.grid))
        return {name: path}
    if not flat:
        path = folder / f"{case.key}{kind}"
        write_image(path, volume)
        return {name: path}
    paths = {f"{name}.{s}": folder / f"{case.key}.{s}{kind}" for s in spec.names}
    for k, path in enumerate(paths.values()):
        write_image(path, Volume(volume.array[k : k + 1], volume.grid))
    return paths


def _is_flat(cohort: Cohort, case: Case, image: str) -> bool:
    """Whether the case's image came as a picture (PNG, JPEG, TIFF)."""
    cells = (case.cells.get(f"{image}.{c}") for c in cohort.header.images[image].channels)
    first = next((c for c in cells if c), "")
    return cohort.header.images[image].dims == 2 and ending(cohort.path(first)) in FLAT
