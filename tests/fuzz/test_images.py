"""Every image format, mutated by a seed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fuzz.image_kinds import ImageKind, make_kinds
from tests.fuzz.reader_client import ReaderClient, try_mutations

FAST_IMAGE_MUTATIONS, SLOW_IMAGE_MUTATIONS = 120, 3_000


@pytest.fixture(scope="module")
def reader() -> Iterator[ReaderClient]:
    with ReaderClient("images") as found:
        yield found


IMAGE_KIND_NAMES = [
    *(
        "nifti",
        "nifti-gz",
        "nifti-2d",
        "nrrd",
        "nrrd-detached",
        "meta",
        "meta-detached",
        "png",
        "jpeg",
        "tiff",
        "dicom",
    ),
    *("npz", "torch", "hdf5", "slide"),
]


@pytest.fixture(scope="module")
def kinds(tmp_path_factory: pytest.TempPathFactory) -> dict[str, ImageKind]:
    return make_kinds(tmp_path_factory.mktemp("sound"))


def assert_images_read_cleanly(
    reader: ReaderClient, kinds: dict[str, ImageKind], name: str, folder: Path, count: int, seed: int
) -> None:
    if name not in kinds:
        pytest.skip(f"what writes {name} is not installed")
    tally = try_mutations(reader, folder, kinds[name].mutations(count, seed))
    assert tally.bad == []
    assert tally.tried == count
    assert tally.counts["refused"] > count // 20, "the mutations reach something"
    assert tally.counts["read"] > 0, "and not all of them break everything"


@pytest.mark.parametrize("name", IMAGE_KIND_NAMES)
def test_some_hundred_mutations(
    reader: ReaderClient, kinds: dict[str, ImageKind], name: str, tmp_path: Path
) -> None:
    assert_images_read_cleanly(reader, kinds, name, tmp_path, FAST_IMAGE_MUTATIONS, 1)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", IMAGE_KIND_NAMES)
def test_thousands_of_mutations(
    reader: ReaderClient, kinds: dict[str, ImageKind], name: str, tmp_path: Path
) -> None:
    assert_images_read_cleanly(reader, kinds, name, tmp_path, SLOW_IMAGE_MUTATIONS, 2)
