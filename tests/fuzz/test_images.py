"""Every image format, mutated by a seed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fuzz.parent import Reader, try_mutations
from tests.fuzz.pictures import Kind, make_kinds

FEW, MANY = 200, 3_000


@pytest.fixture(scope="module")
def reader() -> Iterator[Reader]:
    with Reader("images") as found:
        yield found


NAMES = [
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
def kinds(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Kind]:
    return make_kinds(tmp_path_factory.mktemp("sound"))


def check(reader: Reader, kinds: dict[str, Kind], name: str, folder: Path, count: int, seed: int) -> None:
    if name not in kinds:
        pytest.skip(f"what writes {name} is not installed")
    tally = try_mutations(reader, folder, kinds[name].mutations(count, seed))
    assert tally.bad == []
    assert tally.tried == count
    assert tally.counts["refused"] > count // 20, "the mutations reach something"
    assert tally.counts["read"] > 0, "and not all of them break everything"


@pytest.mark.parametrize("name", NAMES)
def test_some_hundred_mutations(reader: Reader, kinds: dict[str, Kind], name: str, tmp_path: Path) -> None:
    check(reader, kinds, name, tmp_path, FEW, 1)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", NAMES)
def test_thousands_of_mutations(reader: Reader, kinds: dict[str, Kind], name: str, tmp_path: Path) -> None:
    check(reader, kinds, name, tmp_path, MANY, 2)
