from __future__ import annotations

import os
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import yaml

from polytask.cohort.header import Header
from polytask.errors import PolytaskError
from polytask.predict.prediction_inputs import read_inputs, read_plain_folder

ONE = {"scan": {"kind": "image", "channels": {"ct": "CT"}}}
TWO = {"scan": {"kind": "image", "channels": {"t1": "MR", "t2": "MR"}}}


def header(inputs: dict[str, object]) -> Header:
    tasks = {"grade": {"kind": "ordinal", "order": ["a", "b"]}}
    return Header.model_validate({"polytask": 1, "name": "x", "inputs": inputs, "tasks": tasks})


def images(folder: Path, *names: str) -> None:
    for name in names:
        nib.save(nib.Nifti1Image(np.zeros((4, 4, 4), np.int16), np.eye(4)), folder / name)


def test_numbered_endings(tmp_path: Path) -> None:
    images(tmp_path, "a_1_0000.nii.gz", "a_1_0001.nii.gz", "b_0001.nii.gz")
    cohort = read_plain_folder(tmp_path, header(TWO))
    assert {c.subject: dict(c.cells) for c in cohort.cases} == {
        "a_1": {"scan.t1": "a_1_0000.nii.gz", "scan.t2": "a_1_0001.nii.gz"},
        "b": {"scan.t2": "b_0001.nii.gz"},
    }


def test_one_channel_needs_no_ending(tmp_path: Path) -> None:
    images(tmp_path, "a.nii.gz", "b_0000.nii")
    assert [c.subject for c in read_inputs(tmp_path, header(ONE)).cases] == ["a", "b"]


@pytest.mark.parametrize(
    ("names", "inputs", "words"),
    [
        ((), ONE, "no image here"),
        (("a.nii.gz",), TWO, "CASE_0000"),
        (("a_0003.nii.gz",), TWO, "channel 3"),
        (("a_0000.nii.gz", "a.nii"), ONE, "second file"),
        (("a.nii.gz",), {**ONE, "other": ONE["scan"]}, "give a table"),
    ],
)
def test_what_does_not_fit_is_said(
    tmp_path: Path, names: tuple[str, ...], inputs: dict[str, object], words: str
) -> None:
    images(tmp_path, *names)
    with pytest.raises(PolytaskError, match=words):
        read_plain_folder(tmp_path, header(inputs))


def test_a_table_without_the_image_column(tmp_path: Path) -> None:
    (tmp_path / "cases.csv").write_text("subject,scan.pet\n1,a.nii.gz\n")
    with pytest.raises(PolytaskError, match=r"no column scan\.ct"):
        read_inputs(tmp_path / "cases.csv", header(ONE))


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(PolytaskError, match="no such file or folder"):
        read_inputs(tmp_path / "nothing", header(ONE))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_named_pipe_is_named(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(PolytaskError, match="pipe: is a named pipe; expected a cohort, a table or a folder"):
        read_inputs(tmp_path / "pipe", header(ONE))


@pytest.mark.parametrize("known", [["before"], None])
def test_more_visits_than_the_model_was_trained_on_are_refused(
    tmp_path: Path, known: list[str] | None
) -> None:
    images(tmp_path, "a.nii.gz", "b.nii.gz")
    other = header(ONE).model_copy(update={"visits": ["before", "after"]})
    (tmp_path / "cohort.yaml").write_text(yaml.safe_dump(other.model_dump(mode="json", exclude_none=True)))
    (tmp_path / "cases.csv").write_text("subject,visit,scan.ct\na,before,a.nii.gz\na,after,b.nii.gz\n")
    model = header(ONE).model_copy(update={"visits": known})
    with pytest.raises(PolytaskError, match=r"row 3, subject a: visit 'after', but the model was trained on"):
        read_inputs(tmp_path, model)
    assert len(read_inputs(tmp_path, other).cases) == 2
