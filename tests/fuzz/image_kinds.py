"""Small sound files of every image format, and how each of them is mutated."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tifffile
from PIL import Image

from polytask.images.formats import write_image_file
from tests.fuzz.byte_mutations import Rng, mutate_bytes, mutate_png, mutate_text
from tests.fuzz.container_mutations import mutate_dicom, mutate_gzip, mutate_tiff, mutate_zip
from tests.fuzz.reader_client import Mutations
from tests.images.dicoms import series
from tests.images.shapes import grid_of, phantom
from tests.images.slide_worlds import write_pyramid

Mutate = Callable[[bytes, Rng, int, bytes], bytes]


@dataclass(frozen=True)
class ImageKind:
    """An image format, with sound files of it and a way to mutate them.

    Args:
        suffix: of the mutated file. reader: who reads it.
        seeds: sound files. beside: a file the header names, its bytes.
        mutate: how. header: where the header ends.
    """

    suffix: str
    reader: str
    seeds: tuple[bytes, ...]
    mutate: Mutate
    header: int = 0
    beside: tuple[str, bytes] = ("", b"")

    def mutations(self, count: int, seed: int) -> Mutations:
        """Mutations, the same for the same seed."""
        rng = np.random.default_rng(seed)
        for number in range(count):
            raw, other = (self.seeds[int(rng.integers(len(self.seeds)))] for _ in range(2))
            changed = self.mutate(raw, rng, self.header or len(raw), other)
            yield (
                f"{self.suffix} {number}",
                self.reader,
                lambda folder, data=changed: self._write(folder, data),
            )

    def _write(self, folder: Path, data: bytes) -> Path:
        if self.beside[0]:
            (folder / self.beside[0]).write_bytes(self.beside[1])
        path = folder / f"a{self.suffix}"
        path.write_bytes(data)
        return path


def make_kinds(folder: Path) -> dict[str, ImageKind]:
    """Make the image kinds of all formats, by name."""
    volumes = [
        phantom(grid_of("oblique", (5, 4, 3)), "int16", channels=2),
        phantom(grid_of("LPS", (6, 5, 4)), "float32"),
        phantom(grid_of("PIR", (3, 4, 5)), "uint8", channels=3),
    ]
    flat = phantom(grid_of("LPS", (7, 9)), "uint16")

    def written(suffix: str) -> tuple[bytes, ...]:
        return tuple(_write_and_read_bytes(folder / f"w{suffix}", volume) for volume in volumes)

    nrrd, mha = written(".nrrd"), written(".mha")
    head, _, body = nrrd[1].partition(b"\n\n")
    nhdr = head + b"\ndata file: b.bin\n"
    at = mha[1].index(b"LOCAL\n")
    kinds = {
        "nifti": ImageKind(".nii", "image3", written(".nii"), mutate_bytes, 348),
        "nifti-gz": ImageKind(".nii.gz", "image3", written(".nii.gz"), mutate_gzip, 348),
        "nifti-2d": ImageKind(
            ".nii", "image2", (_write_and_read_bytes(folder / "f.nii", flat),), mutate_bytes, 348
        ),
        "nrrd": ImageKind(".nrrd", "image3", nrrd, mutate_text, len(head)),
        "nrrd-detached": ImageKind(".nhdr", "image3", (nhdr,), mutate_text, 0, ("b.bin", body)),
        "meta": ImageKind(".mha", "image3", mha, mutate_text, at),
        "meta-detached": ImageKind(
            ".mhd", "image3", (mha[1][:at] + b"b.bin\n",), mutate_text, 0, ("b.bin", mha[1][at + 6 :])
        ),
        "png": ImageKind(".png", "image2", _make_pictures("PNG"), mutate_png),
        "jpeg": ImageKind(".jpg", "image2", _make_pictures("JPEG"), mutate_bytes),
        "tiff": ImageKind(".tif", "image3", (*written(".tif"), *_make_tiffs()), mutate_tiff),
        "dicom": ImageKind(".dcm", "image3", _make_dicoms(folder), mutate_dicom),
        "npz": ImageKind(".npz", "features", _make_npz(), mutate_zip),
        "torch": ImageKind(".pt", "features", _make_torch_files(), mutate_zip),
        "hdf5": ImageKind(".h5", "features", _make_hdf5(folder), mutate_bytes),
        "slide": ImageKind(".svs", "slide", _make_slides(folder), mutate_tiff),
    }
    return {name: kind for name, kind in kinds.items() if kind.seeds}


def _write_and_read_bytes(path: Path, volume: object) -> bytes:
    write_image_file(path, volume)  # type: ignore[arg-type]
    return path.read_bytes()


def _make_pictures(kind: str) -> tuple[bytes, ...]:
    rng = np.random.default_rng(0)
    found = []
    for shape, mode in (((9, 10, 3), "RGB"), ((8, 9), "L"), ((8, 7), "P" if kind == "PNG" else "L")):
        out = io.BytesIO()
        image = Image.fromarray(rng.integers(0, 255, shape, np.uint8)).convert(mode)
        image.save(out, kind)
        found.append(out.getvalue())
    if kind == "PNG":
        out = io.BytesIO()
        Image.fromarray(rng.integers(0, 60_000, (6, 7)).astype(np.uint16)).save(out, kind)
        found.append(out.getvalue())
    return tuple(found)


def _make_tiffs() -> tuple[bytes, ...]:
    rng = np.random.default_rng(1)
    color, gray = (
        rng.integers(0, 255, (9, 10, 3), np.uint8),
        rng.integers(0, 60_000, (4, 8, 9)).astype(np.uint16),
    )
    ways = [
        (color, {"compression": "zlib"}),
        (color, {"photometric": "rgb", "planarconfig": "contig"}),
        (gray, {"imagej": True, "metadata": {"spacing": 2.5}}),
        (gray, {"bigtiff": True, "tile": (16, 16), "photometric": "minisblack"}),
    ]
    found = []
    for array, options in ways:
        out = io.BytesIO()
        tifffile.imwrite(out, array, **options)
        found.append(out.getvalue())
    for way in ("tiff_lzw", "jpeg", "packbits", "group4"):
        out = io.BytesIO()
        Image.fromarray(color).convert("1" if way == "group4" else "RGB").save(out, "TIFF", compression=way)
        found.append(out.getvalue())
    return tuple(found)


def _make_dicoms(folder: Path) -> tuple[bytes, ...]:
    series(folder / "d1", phantom(grid_of("LPS", (6, 5, 1))))
    series(folder / "d2", phantom(grid_of("oblique", (4, 4, 1))), RescaleSlope=0.5, WindowCenter=[1, 2])
    stack = phantom(grid_of("LPS", (4, 3, 1)))
    many = np.zeros((5, 3, 4), "<i2").tobytes()
    offsets = [float(k) for k in range(5)]
    series(
        folder / "d3",
        stack,
        NumberOfFrames=5,
        GridFrameOffsetVector=offsets,
        PixelData=many,
        DoseGridScaling=0.1,
    )
    return tuple(next((folder / name).iterdir()).read_bytes() for name in ("d1", "d2", "d3"))


def _make_npz() -> tuple[bytes, ...]:
    found = []
    for save in (np.savez, np.savez_compressed):
        out = io.BytesIO()
        save(out, features=np.arange(12, dtype=np.float32).reshape(4, 3), coords=np.zeros((4, 2), np.int64))
        found.append(out.getvalue())
    return tuple(found)


def _make_torch_files() -> tuple[bytes, ...]:
    try:
        import torch
    except ImportError:
        return ()
    found = []
    for content in (
        torch.ones(3, 2),
        {"features": torch.arange(6.0).view(2, 3), "coords": torch.zeros(2, 2).long()},
    ):
        out = io.BytesIO()
        torch.save(content, out)
        found.append(out.getvalue())
    return tuple(found)


def _make_hdf5(folder: Path) -> tuple[bytes, ...]:
    try:
        import h5py
    except ImportError:
        return ()
    with h5py.File(folder / "w.h5", "w") as file:
        file["features"] = np.arange(12, dtype=np.float32).reshape(4, 3)
        file.create_dataset("coords", data=np.zeros((4, 2), np.int32), compression="gzip", chunks=(2, 2))
    return ((folder / "w.h5").read_bytes(),)


def _make_slides(folder: Path) -> tuple[bytes, ...]:
    write_pyramid(folder / "w.svs", 64, 16, {(0, 0)}, scales=(1, 4), tile=16)
    return ((folder / "w.svs").read_bytes(),)
