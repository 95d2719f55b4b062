"""DICOM series written by pydicom, for the tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

from polytask.images.volume import Volume


def series(
    folder: Path, volume: Volume, name: str = "s", shuffle: int = 0, uid: str = "", **tags: Any
) -> str:
    """One CT file per slice of a volume (columns, rows, slices), int16 stored values. Returns the series UID."""
    folder.mkdir(parents=True, exist_ok=True)
    lps = np.diag([-1.0, -1, 1, 1]) @ volume.grid.affine
    spacing, uid = volume.grid.spacing, uid or generate_uid()
    count = volume.grid.shape[2]
    order = np.random.default_rng(shuffle).permutation(count)
    for k in range(count):
        data = Dataset()
        data.file_meta = FileMetaDataset()
        data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        data.file_meta.MediaStorageSOPClassUID = data.SOPClassUID = CTImageStorage
        data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID = generate_uid()
        data.SeriesInstanceUID, data.Modality = uid, "CT"
        data.Rows, data.Columns = volume.grid.shape[1], volume.grid.shape[0]
        data.PixelSpacing = [spacing[1], spacing[0]]
        data.SliceThickness = spacing[2]
        data.ImageOrientationPatient = [
            round(float(v), 12) for v in (*lps[:3, 0] / spacing[0], *lps[:3, 1] / spacing[1])
        ]
        data.ImagePositionPatient = [round(float(v), 10) for v in lps[:3, 3] + k * lps[:3, 2]]
        data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
        data.BitsAllocated = data.BitsStored = 16
        data.HighBit, data.PixelRepresentation = 15, 1
        data.RescaleSlope, data.RescaleIntercept = 1, 0
        data.PixelData = np.ascontiguousarray(volume.array[0, :, :, k].T.astype("<i2")).tobytes()
        for tag, value in tags.items():
            setattr(data, tag, value(k) if callable(value) else value)
        data.save_as(folder / f"{name}{order[k]:03d}.dcm", enforce_file_format=True)
    return str(uid)
