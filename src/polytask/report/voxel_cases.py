"""Reads a case of a voxel task from its files (image, truth and prediction on one grid), and chooses cases to show."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from polytask.array_types import Mask
from polytask.cohort import header
from polytask.cohort.cell_values import image_paths
from polytask.cohort.cohort import Case, Cohort
from polytask.cohort.text_table import read_text_table
from polytask.errors import PolytaskError
from polytask.evaluation.voxel_truth import VoxelTruth, read_voxel_truth
from polytask.images.formats import read_image_file
from polytask.images.volume import Array, Grid, Volume
from polytask.inference.pooled_answers import CaseId
from polytask.report.report_material import ReportMaterial


@dataclass(frozen=True)
class RankedCase:
    """A case that is shown, with its rank among all cases.

    Args:
        who: subject and visit. word: best, median or worst. value: value of the primary metric.
    """

    who: CaseId
    word: str
    value: float


@dataclass(frozen=True)
class VoxelCase:
    """The arrays of one case of a voxel task.

    Args:
        image: `[C, *space]`, the first channel that exists (three planes for a color image).
        truth: the truth as read from its file. answer: the prediction, in the same form as `truth.value`.
        modality: modality of the channel. physical: whether the file says how large a voxel is.
    """

    image: Array
    grid: Grid
    truth: VoxelTruth
    answer: npt.NDArray[Any]
    modality: str = "other"
    physical: bool = True

    @property
    def has_known_side(self) -> bool:
        """Whether the patient's right is known to be at the left: not on photographs or images without geometry."""
        return self.physical and self.modality != "RGB"


def choose_shown_cases(material: ReportMaterial, name: str) -> list[RankedCase]:
    """Choose the best, the median and the worst case by the primary metric; fewer when there are fewer cases."""
    task, cases = material.tasks[name], material.answers.voxel[name]
    values = cases.column(task.primary)
    # A stable sort, so that ties show the same case every time; cases without a metric are not shown.
    order = [int(i) for i in np.argsort(values, kind="stable") if np.isfinite(values[i])]
    order = order[::-1] if task.higher else order
    words = {1: ("only case",), 2: ("best", "worst")}.get(len(order), ("best", "median", "worst"))
    places = {"only case": 0, "best": 0, "median": len(order) // 2, "worst": len(order) - 1}
    return [
        RankedCase(cases.ids[order[places[w]]], w, float(values[order[places[w]]]))
        for w in words
        if len(order)
    ]


def read_voxel_case(material: ReportMaterial, name: str, who: CaseId) -> VoxelCase:
    """Read image, truth and prediction of one case."""
    cohort = material.cohort
    case = next(c for c in cohort.subjects[who[0]] if c.visit == who[1])
    spec = cohort.header.tasks[name]
    assert isinstance(spec, header.VoxelSpec)
    image, modality, physical = read_first_channel(cohort, case, spec.image)
    truth = read_voxel_truth(cohort, case, name, image.grid)
    if truth is None:
        raise make_gone_case_error(cohort, case, name)
    answer = read_written_prediction(material, name, case, image.grid.dims)
    return VoxelCase(image.array, image.grid, truth, answer, modality, physical)


def read_first_channel(cohort: Cohort, case: Case, input: str) -> tuple[Volume, str, bool]:
    """Read the first existing channel of an image: the volume, its modality, and whether it has a physical scale."""
    spec = cohort.header.images[input]
    channels = [(c, p) for c, p in image_paths(cohort, case, input).items() if p is not None]
    if not channels:
        raise make_gone_case_error(cohort, case, input)
    channel, path = channels[0]
    image = read_image_file(path, dims=spec.dims)
    return image, spec.channels[channel], image.grid.physical


def make_gone_case_error(cohort: Cohort, case: Case, name: str) -> PolytaskError:
    """Make the error for a case that was judged, but whose image or truth is no longer in the table."""
    who = f"{case.subject} {case.visit}".rstrip()
    return PolytaskError(
        f"{cohort.table}: {who} was evaluated but no longer has {name}; "
        "restore the table, or plan, train and evaluate again"
    )


def read_written_prediction(material: ReportMaterial, name: str, case: Case, dims: int) -> npt.NDArray[Any]:
    """Read the written prediction in the form of the truth: labels 0..K `[*space]`, masks `[K, *space]`, or a dose."""
    spec = material.cohort.header.tasks[name]
    assert isinstance(spec, header.VoxelSpec)
    row = _find_prediction_row(material.folder / "predictions.csv", (case.subject, case.visit))
    if isinstance(spec, header.MaskSpec) and row.get(name, "") == "":
        paths = [row.get(f"{name}.{s}", "") for s in spec.names]
        return np.concatenate([_read_prediction_file(material.folder, p, dims) for p in paths]) > 0
    array = _read_prediction_file(material.folder, row.get(name, ""), dims)
    if not isinstance(spec, header.MaskSpec):
        dose: npt.NDArray[Any] = array[0]
        return dose
    if not spec.exclusive:
        return array > 0
    out = np.zeros(array.shape[1:], np.uint8)
    for k, values in enumerate(spec.values.values(), start=1):
        # A file may use any values for its structures; in memory they are 1..K in the order of the header.
        out[np.isin(array[0], values)] = k
    return out


def _find_prediction_row(table: Path, who: CaseId) -> Mapping[str, str]:
    try:
        for row in read_text_table(table).rows:
            if (row.cells["subject"], row.cells["visit"]) == who:
                return dict(row.cells)
    except (PolytaskError, KeyError):
        pass
    raise PolytaskError(f"{table}: no row of subject {who[0]}; run `polytask evaluate` again")


def _read_prediction_file(folder: Path, cell: str, dims: int) -> npt.NDArray[Any]:
    if not cell:
        raise PolytaskError(f"{folder / 'predictions.csv'}: a file is missing; run `polytask evaluate` again")
    return read_image_file(folder / cell, dims=dims).array


def split_structure_masks(value: Array, structures: int) -> list[Mask]:
    """Split labels 0..K `[*space]` or masks `[K, *space]` into one mask per structure."""
    # Only booleans are masks: labels whose first axis has K positions by chance are integers.
    if value.ndim and value.shape[0] == structures and value.dtype == np.bool_:
        return [np.asarray(v, bool) for v in value]
    return [np.asarray(value == k + 1) for k in range(structures)]
