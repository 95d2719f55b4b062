"""Masks, doses, probabilities and attention as files, in the form in which a cohort would give them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import cast

import numpy as np

from polytask.cohort import header
from polytask.cohort.cohort import Case, Cohort
from polytask.images.file_names import FileNames
from polytask.images.formats import find_image_ending
from polytask.images.formats import write_image_file as write_image
from polytask.images.safe_files import write_atomically
from polytask.images.volume import Volume
from polytask.predict.case_answer import CaseAnswer
from polytask.predict.source_grid import map_to_label_values
from polytask.tasks.task import Arrays

UNCERTAINTY_MAP = "u"
"""Column after the task's name of a map that says how unsure the answer is, and ending of its file."""
PICTURE_ENDINGS = (".png", ".jpg", ".jpeg", ".tif", ".tiff")
"""Endings of pictures: the answers about them are written as pictures too."""


class AnswerFileWriter:
    """Writes the files of answers below `OUT/predictions`, a folder for each task, every name unique there."""

    def __init__(self, out: Path, cohort: Cohort):
        self.out, self.cohort = out, cohort
        # Ids and names are written by people: as they are, they could lead out of the folder or onto one another.
        self._folders = FileNames()
        self._names: dict[str, FileNames] = {}

    def write(self, answer: CaseAnswer) -> dict[str, str]:
        """Write the files of one case or subject; return column of `predictions.csv` → path below OUT."""
        paths: dict[str, Path] = {}
        for name, arrays in answer.pooled.items():
            paths |= self._write_attention(name, arrays, answer)
        for name, volume in answer.voxel.items():
            assert answer.case is not None
            paths |= self._write_voxel(name, volume, answer.case)
            if name in answer.probabilities:
                path = self._path(name, answer, ending=".p.nii.gz")
                write_image(path, answer.probabilities[name])
                paths[f"{name}.p"] = path
        return {column: path.relative_to(self.out).as_posix() for column, path in paths.items()}

    def write_more(self, answer: CaseAnswer, made: Iterable[tuple[str, str, Volume]]) -> dict[str, str]:
        """Write further files of an answer (task, column after the task's name, volume) → column → path below OUT.

        On a picture, masks of several structures get a file each, as those of the answer itself do.
        """
        paths: dict[str, Path] = {}
        for name, column, volume in made:
            assert answer.case is not None
            spec = self.cohort.header.tasks[name]
            assert isinstance(spec, header.VoxelSpec)
            flat = is_picture_case(self.cohort, answer.case, spec.image)
            if column == UNCERTAINTY_MAP:
                paths |= self._write_map(name, answer, volume, ".tif" if flat else ".nii.gz")
                continue
            planes = spec.names if flat and isinstance(spec, header.MaskSpec) else ()
            ending = ".nii.gz" if not flat else ".png" if planes else ".tif"
            if len(planes) > 1:
                for k, structure in enumerate(planes):
                    path = self._path(name, answer, f"{structure}.{column}", ending)
                    write_image(path, Volume(volume.array[k : k + 1], volume.grid))
                    paths[f"{name}.{column}.{structure}"] = path
                continue
            path = self._path(name, answer, column, ending)
            write_image(path, volume)
            paths[f"{name}.{column}"] = path
        return {column: path.relative_to(self.out).as_posix() for column, path in paths.items()}

    def _write_map(self, name: str, answer: CaseAnswer, volume: Volume, kind: str) -> dict[str, Path]:
        """Write a map beside the answer: `CASE.u.nii.gz`; a TIFF holds one plane, so that structures get one each."""
        column = f"{name}.{UNCERTAINTY_MAP}"
        if kind != ".tif" or len(volume.array) == 1:
            path = self._path(name, answer, ending=f".{UNCERTAINTY_MAP}{kind}")
            write_image(path, volume)
            return {f"{column}.map": path}
        spec = self.cohort.header.tasks[name]
        assert isinstance(spec, header.MaskSpec)
        paths = {}
        for k, structure in enumerate(spec.names):
            path = self._path(name, answer, structure, f".{UNCERTAINTY_MAP}{kind}")
            write_image(path, Volume(volume.array[k : k + 1], volume.grid))
            paths[f"{column}.map.{structure}"] = path
        return paths

    def _path(self, task: str, who: CaseAnswer | Case, detail: str = "", ending: str = "") -> Path:
        parts = (who.subject, who.visit) if who.visit else (who.subject,)
        names = self._names.setdefault(task, FileNames())
        folder = self.out / "predictions" / self._folders.make(task)
        folder.mkdir(parents=True, exist_ok=True)
        return folder / names.make(*parts, detail=detail, ending=ending)

    def _write_attention(self, name: str, arrays: Arrays, answer: CaseAnswer) -> dict[str, Path]:
        """Write how much each patch of a slide counted, and where it lies; return column `TASK.patches.SLIDE` → file.

        A file has `attention` `[P]` (`[V, P]` of a subject task) and `places` `[P, 2]`. Of a volume that is read slice
        by slice it has the attention on the slices alone; the column is `TASK.slices.IMAGE`.
        """
        paths: dict[str, Path] = {}
        for key in [k for k in arrays if k.startswith("patches.")]:
            slide = key.removeprefix("patches.")
            path = self._path(name, answer, slide, ".npz")
            with write_atomically(path) as stream:
                np.savez(stream, attention=arrays[key][0], places=arrays[f"places.{slide}"][0])
            paths[f"{name}.{key}"] = path
        for key in [k for k in arrays if k.startswith("slices.")]:
            path = self._path(name, answer, f"{key.removeprefix('slices.')}.slices", ".npz")
            with write_atomically(path) as stream:
                np.savez(stream, attention=arrays[key][0])
            paths[f"{name}.{key}"] = path
        return paths

    def _write_voxel(self, name: str, volume: Volume, case: Case) -> dict[str, Path]:
        """Write a mask or a dose; on a picture, overlapping structures get a file each."""
        spec = cast("header.VoxelSpec", self.cohort.header.tasks[name])
        flat = is_picture_case(self.cohort, case, spec.image)
        if not isinstance(spec, header.MaskSpec):
            path = self._path(name, case, ending=".tif" if flat else ".nii.gz")
            write_image(path, Volume(volume.array.astype(np.float32), volume.grid))
            return {name: path}
        kind = ".png" if flat else ".nii.gz"
        if spec.exclusive or not flat:
            array = map_to_label_values(spec, volume.array) if spec.exclusive else volume.array
            path = self._path(name, case, ending=kind)
            write_image(path, Volume(array, volume.grid))
            return {name: path}
        # A PNG holds one value per pixel, so it cannot hold structures that overlap; NIfTI has a plane for each.
        paths = {f"{name}.{s}": self._path(name, case, s, kind) for s in spec.names}
        for k, path in enumerate(paths.values()):
            write_image(path, Volume(volume.array[k : k + 1], volume.grid))
        return paths


def is_picture_case(cohort: Cohort, case: Case, image: str) -> bool:
    """Whether the case's image came as a picture (PNG, JPEG, TIFF)."""
    cells = (case.cells.get(f"{image}.{c}") for c in cohort.header.images[image].channels)
    first = next((c for c in cells if c), "")
    return cohort.header.images[image].dims == 2 and find_image_ending(cohort.path(first)) in PICTURE_ENDINGS
