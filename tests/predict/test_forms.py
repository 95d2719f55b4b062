"""A mask that is predicted on a NIfTI image lies where the image lies, for programs that go by sform or by qform."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch

from polytask.cohort.header import SegmentationSpec
from polytask.images.formats import read_image_file, write_image_file
from polytask.plan.plan_schema import CropPlan, ImagePlan
from polytask.predict.source_grid import restore_probabilities, restore_to_source_grid
from polytask.prepare.prepared_image import prepare_image

TASK = SegmentationSpec(kind="segmentation", image="scan", labels={"a": 1})
PLAN = ImagePlan(
    dims=3, channels={"ct": "CT"}, orientation="RAS", crop=CropPlan(rule="nonzero"), spacing=(2.0, 2.0, 2.0),
    field="whole", view=(8, 8, 8), view_spacing=(2.0, 2.0, 2.0),
    patch=None, patches=1, widths=(4,), blocks=(1,), strides=((1, 1, 1),),
    foreground=0.0, channel_flags=False, channel_dropout=0.0,
)  # fmt: skip


@pytest.mark.parametrize(("sform_code", "qform_code"), [(1, 1), (2, 1), (0, 1), (1, 0)])
def test_a_prediction_says_both_places_as_its_source(
    tmp_path: Path, sform_code: int, qform_code: int
) -> None:
    sform = np.array([[0, -1.5, 0, 12], [1.0, 0, 0, -7], [0, 0, 2.0, 5], [0, 0, 0, 1]])
    qform = np.array([[1.0, 0, 0, -30], [0, 1.5, 0, 4], [0, 0, 2.0, 5], [0, 0, 0, 1]])
    voxels = np.zeros((14, 12, 10), np.int16)
    voxels[3:11, 3:9, 2:8] = 100
    image = nib.Nifti1Image(voxels, None)
    image.set_sform(sform, sform_code)
    image.set_qform(qform, qform_code)
    nib.save(image, tmp_path / "ct.nii.gz")
    prepared = prepare_image({"ct": read_image_file(tmp_path / "ct.nii.gz")}, PLAN)
    inside = torch.from_numpy(prepared.image.astype(np.float32) / 100)
    p = torch.stack([1 - inside[0], inside[0]])[None]
    for name, volume in (
        ("mask", restore_to_source_grid(TASK, {"p": p}, prepared.grid, prepared.source_grid)),
        ("p", restore_probabilities(TASK, {"p": p}, prepared.grid, prepared.source_grid)),
    ):
        write_image_file(tmp_path / f"{name}.nii.gz", volume)
        old, new = nib.load(tmp_path / "ct.nii.gz"), nib.load(tmp_path / f"{name}.nii.gz")
        assert [int(new.header[k]) for k in ("sform_code", "qform_code")] == [sform_code, qform_code]
        assert np.allclose(new.affine, old.affine, atol=1e-4)
        assert np.allclose(new.header.get_qform(), old.header.get_qform(), atol=1e-4)
    mask = np.asarray(nib.load(tmp_path / "mask.nii.gz").dataobj)
    overlap = 2 * ((mask > 0) & (voxels > 0)).sum() / ((mask > 0).sum() + (voxels > 0).sum())
    assert overlap > 0.85
