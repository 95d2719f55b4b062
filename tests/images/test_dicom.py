"""DICOM: order and place of slices, real values, and series that are refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import DeflatedExplicitVRLittleEndian, RLELossless, generate_uid

from polytask.errors import PolytaskError
from polytask.images.formats import probe_image_file, read_image_file
from polytask.images.volume import Grid, Volume
from tests.images.dicoms import series
from tests.images.shapes import grid_of, phantom, same_places

RIGHT_HANDED = ["RAS", "LPS", "oblique"]
VOLUME = phantom(grid_of("LPS"))


def _edit(folder: Path, number: int, **tags: object) -> None:
    file = sorted(folder.glob("*.dcm"))[number]
    data = dcmread(file)
    for tag, value in tags.items():
        setattr(data, tag, value)
    data.save_as(file)


def _refused(path: Path, words: str, dims: int = 3) -> None:
    for function in (probe_image_file, read_image_file):
        with pytest.raises(PolytaskError, match=words) as caught:
            function(path, dims)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("direction", RIGHT_HANDED)
@pytest.mark.parametrize("shuffle", [0, 1])
def test_series_lies_where_it_was(tmp_path: Path, direction: str, shuffle: int) -> None:
    volume = phantom(grid_of(direction))
    series(tmp_path, volume, shuffle=shuffle)
    back, info = read_image_file(tmp_path), probe_image_file(tmp_path)
    assert same_places(volume, back)
    assert info.grid.is_same_grid(back.grid)
    assert info.dtype == back.array.dtype == np.int16


@pytest.mark.parametrize("direction", ["PIR", "oblique PIR"])
def test_slices_against_the_normal_are_sorted(tmp_path: Path, direction: str) -> None:
    volume = phantom(grid_of(direction))
    series(tmp_path, volume)
    assert same_places(volume, read_image_file(tmp_path))


@pytest.mark.parametrize("direction", ["LPS", "oblique"])
def test_simpleitk_reads_the_same(tmp_path: Path, direction: str) -> None:
    sitk = pytest.importorskip("SimpleITK")
    series(tmp_path, phantom(grid_of(direction)), shuffle=3)
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(tmp_path)))
    image, ours = reader.Execute(), read_image_file(tmp_path)
    assert (ours.array[0] == sitk.GetArrayFromImage(image).T).all()
    for index in [(0, 0, 0), (6, 8, 4), (3, 1, 2)]:
        place = np.array(image.TransformIndexToPhysicalPoint(index)) * (-1, -1, 1)
        assert place == pytest.approx((ours.grid.affine @ [*index, 1])[:3], abs=1e-4)


def test_rescale(tmp_path: Path) -> None:
    series(tmp_path / "ct", VOLUME, RescaleSlope=2, RescaleIntercept=-1024, BitsStored=12, HighBit=11)
    ct = read_image_file(tmp_path / "ct")
    assert ct.array.dtype == np.int16
    assert same_places(Volume(VOLUME.array * 2 - 1024, VOLUME.grid), ct)
    series(tmp_path / "pet", VOLUME, RescaleSlope=lambda k: 0.5 + k, RescaleIntercept=0.25)
    pet = read_image_file(tmp_path / "pet")
    assert pet.array.dtype == np.float32 == probe_image_file(tmp_path / "pet").dtype
    slopes = 0.5 + np.arange(5)
    assert same_places(Volume((VOLUME.array * slopes + 0.25).astype(np.float32), VOLUME.grid), pet)


def test_monochrome1_is_inverted(tmp_path: Path) -> None:
    tags = {
        "PhotometricInterpretation": "MONOCHROME1",
        "PixelRepresentation": 0,
        "BitsStored": 12,
        "HighBit": 11,
    }
    volume = phantom(grid_of("LPS"), "uint16")
    series(tmp_path, Volume(volume.array.astype(np.int16), volume.grid), **tags)
    assert same_places(Volume(4095 - volume.array.astype(np.int16), volume.grid), read_image_file(tmp_path))


def test_compressed_pixels(tmp_path: Path) -> None:
    series(tmp_path, VOLUME)
    for file in tmp_path.iterdir():
        data = dcmread(file)
        data.compress(RLELossless)
        data.save_as(file)
    assert same_places(VOLUME, read_image_file(tmp_path))


def test_two_series_are_named_and_can_be_chosen(tmp_path: Path) -> None:
    other = Volume(VOLUME.array + 1, VOLUME.grid)
    one, two = series(tmp_path, VOLUME, "a"), series(tmp_path, other, "b")
    for uid in (one, two):
        _refused(tmp_path, uid.replace(".", r"\."))
    _refused(tmp_path, "#SeriesInstanceUID")
    assert same_places(VOLUME, read_image_file(f"{tmp_path}#{one}"))
    assert same_places(other, read_image_file(f"{tmp_path}#{two}"))
    _refused(Path(f"{tmp_path}#1.2.3"), "no such series")


def test_other_files_in_the_folder_are_passed_over(tmp_path: Path) -> None:
    series(tmp_path, VOLUME)
    (tmp_path / "notes.txt").write_text("hello")
    (tmp_path / "LICENSE").write_bytes(b"")
    assert same_places(VOLUME, read_image_file(tmp_path))
    (tmp_path / "x.dcm").write_text("hello")
    _refused(tmp_path, r"x\.dcm: not a DICOM file")


def test_series_that_are_no_stack(tmp_path: Path) -> None:
    series(tmp_path / "hole", phantom(grid_of("LPS", (4, 5, 6))))
    heights = {float(dcmread(f).ImagePositionPatient[2]): f for f in (tmp_path / "hole").iterdir()}
    heights[sorted(heights)[2]].unlink()
    _refused(tmp_path / "hole", "slice is missing")
    series(tmp_path / "twice", VOLUME)
    first = sorted((tmp_path / "twice").iterdir())[0]
    (tmp_path / "twice" / "copy.dcm").write_bytes(first.read_bytes())
    _refused(tmp_path / "twice", "one place")
    series(tmp_path / "scout", VOLUME)
    _edit(tmp_path / "scout", 1, ImageOrientationPatient=[1, 0, 0, 0, 0, -1])
    _refused(tmp_path / "scout", "localiser")
    series(tmp_path / "size", VOLUME)
    _edit(tmp_path / "size", 1, Rows=8)
    _refused(tmp_path / "size", "differ in Rows")
    tilted = VOLUME.grid.affine.copy()
    tilted[1, 2] += 0.5
    series(tmp_path / "tilt", Volume(VOLUME.array, Grid(VOLUME.grid.shape, tilted)))
    _refused(tmp_path / "tilt", "gantry tilt")
    (tmp_path / "empty").mkdir()
    _refused(tmp_path / "empty", "holds no DICOM image")


def test_deflated_syntax_is_refused_unread(tmp_path: Path) -> None:
    series(tmp_path, VOLUME)
    for file in tmp_path.iterdir():
        data = dcmread(file)
        data.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
        data.save_as(file)
    _refused(tmp_path, "deflated transfer syntax")


def test_pixels_that_do_not_fit_the_header(tmp_path: Path) -> None:
    series(tmp_path, VOLUME)
    for number in range(5):
        _edit(tmp_path, number, Rows=20_000, Columns=20_000)
    with pytest.raises(PolytaskError, match=r"20000×20000.*expected at most"):
        read_image_file(tmp_path, limit=10**8)
    with pytest.raises(
        PolytaskError, match="truncated: header claims 800000000 bytes of pixels, but the file is"
    ):
        read_image_file(tmp_path, limit=10**11)


def test_one_file_as_a_2d_image(tmp_path: Path) -> None:
    volume = phantom(grid_of("oblique", (7, 9, 1)))
    series(tmp_path, volume)
    file = next(tmp_path.iterdir())
    back = read_image_file(file, dims=2)
    assert back.array.shape == (1, 9, 7)
    assert (back.array[0] == volume.array[0, :, :, 0].T).all()
    assert same_places(Volume(volume.array[..., 0], Grid((7, 9), volume.grid.affine)), back)
    file.rename(tmp_path / "IM0001")
    assert same_places(back, read_image_file(tmp_path / "IM0001", dims=2))
    series(tmp_path / "many", VOLUME)
    _refused(tmp_path / "many", "expected a 2D image", 2)


def test_radiograph_without_position(tmp_path: Path) -> None:
    series(tmp_path, phantom(grid_of("LPS", (7, 9, 1))))
    file = next(tmp_path.iterdir())
    data = dcmread(file)
    del data.ImagePositionPatient, data.ImageOrientationPatient, data.PixelSpacing
    data.ImagerPixelSpacing = [0.2, 0.1]
    data.save_as(file)
    back = read_image_file(file, dims=2)
    assert back.array.shape == (1, 9, 7)
    assert back.grid.spacing == pytest.approx((0.2, 0.1))


def _frames(volume: Volume, folder: Path) -> Dataset:
    """The whole volume as the frames of one file, without geometry."""
    series(folder, Volume(volume.array[..., :1], Grid((*volume.grid.shape[:2], 1), volume.grid.affine)))
    data = dcmread(next(folder.iterdir()))
    data.NumberOfFrames = volume.grid.shape[2]
    data.PixelData = np.ascontiguousarray(volume.array[0].T).tobytes()
    return data


def test_enhanced_file_with_frames_in_any_order(tmp_path: Path) -> None:
    data = _frames(VOLUME, tmp_path)
    order = [3, 0, 4, 1, 2]
    data.PixelData = np.ascontiguousarray(VOLUME.array[0].T[order]).tobytes()
    shared, plane, pixel, value = Dataset(), Dataset(), Dataset(), Dataset()
    plane.ImageOrientationPatient = data.ImageOrientationPatient
    pixel.PixelSpacing = data.PixelSpacing
    value.RescaleSlope, value.RescaleIntercept = 1, -5
    shared.PlaneOrientationSequence, shared.PixelMeasuresSequence = [plane], [pixel]
    shared.PixelValueTransformationSequence = [value]
    groups, lps = [], np.diag([-1, -1, 1, 1]) @ VOLUME.grid.affine
    for k in order:
        group, position = Dataset(), Dataset()
        position.ImagePositionPatient = [round(float(v), 8) for v in lps[:3, 3] + k * lps[:3, 2]]
        group.PlanePositionSequence = [position]
        groups.append(group)
    data.SharedFunctionalGroupsSequence, data.PerFrameFunctionalGroupsSequence = [shared], groups
    del data.ImagePositionPatient, data.ImageOrientationPatient, data.PixelSpacing
    data.save_as(tmp_path / "s000.dcm")
    back = read_image_file(tmp_path / "s000.dcm")
    assert same_places(Volume(VOLUME.array - 5, VOLUME.grid), Volume(back.array.astype(np.int16), back.grid))


def test_dose_grid(tmp_path: Path) -> None:
    data = _frames(VOLUME, tmp_path)
    data.GridFrameOffsetVector = [k * VOLUME.grid.spacing[2] for k in range(5)]
    data.DoseGridScaling, data.Modality = "0.001", "RTDOSE"
    data.save_as(tmp_path / "s000.dcm")
    back = read_image_file(tmp_path)
    assert back.array.dtype == np.float32
    assert same_places(Volume((VOLUME.array * 0.001).astype(np.float32), VOLUME.grid), back)


def test_frames_without_positions_are_refused(tmp_path: Path) -> None:
    data = _frames(VOLUME, tmp_path)
    del data.ImagePositionPatient
    data.save_as(tmp_path / "s000.dcm")
    _refused(tmp_path, "5 slices without positions")


def test_segmentation_and_lookup_table_are_refused(tmp_path: Path) -> None:
    series(tmp_path / "seg", VOLUME, SOPClassUID="1.2.840.10008.5.1.4.1.1.66.4")
    _refused(tmp_path / "seg", "holds no DICOM image")
    _refused(next((tmp_path / "seg").iterdir()), "segmentation")
    series(tmp_path / "seg", VOLUME, "ct")
    assert same_places(VOLUME, read_image_file(tmp_path / "seg"))
    series(tmp_path / "lut", VOLUME, ModalityLUTSequence=[Dataset()])
    _refused(tmp_path / "lut", "lookup table")


def test_slices_of_two_patients_or_frames_of_reference_are_refused(tmp_path: Path) -> None:
    volume = phantom(grid_of("LPS"), "int16")
    uids = [generate_uid(), generate_uid()]
    series(tmp_path / "ids", volume, PatientID=lambda k: "AB"[k > 1])
    _refused(tmp_path / "ids", "slices of 2 patients by their PatientID")
    series(tmp_path / "frames", volume, FrameOfReferenceUID=lambda k: uids[k == 0])
    _refused(tmp_path / "frames", "2 frames of reference")
    series(tmp_path / "some", volume, PatientID=lambda k: "A" if k else "", FrameOfReferenceUID=uids[0])
    assert (read_image_file(tmp_path / "some").array == volume.array).all()
