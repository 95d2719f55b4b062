"""Bags of features: the same array from every format, and nothing in a file is run or believed."""

from __future__ import annotations

import pickle
import sys
from collections import OrderedDict
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from polytask.errors import PolytaskError
from polytask.images.bag_files import read_bag
from polytask.images.torch_file import read_torch_file

FEATURES = np.random.default_rng(0).normal(size=(7, 5)).astype(np.float32)
COORDS = np.arange(14, dtype=np.int64).reshape(7, 2) * 512


def write(path: Path, features: Any, coords: Any = None) -> Path:
    """A bag in the format of the ending."""
    named = {"features": features} | ({} if coords is None else {"coords": coords})
    if path.suffix == ".npz":
        np.savez(path, **named)
    elif path.suffix == ".pt":
        torch.save({k: torch.from_numpy(np.asarray(v)) for k, v in named.items()}, path)
    else:
        with h5py.File(path, "w") as file:
            for name, value in named.items():
                file[name] = value
    return path


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
def test_every_format_reads_the_same(tmp_path: Path, kind: type) -> None:
    features = FEATURES.astype(kind)
    bags = [read_bag(write(tmp_path / f"bag{e}", features, COORDS)) for e in (".npz", ".h5", ".hdf5", ".pt")]
    for bag in bags:
        assert bag.features.dtype == (np.float16 if kind is np.float16 else np.float32)
        assert np.array_equal(bag.features, features.astype(bag.features.dtype))
        assert bag.coords is not None
        assert bag.coords.dtype == np.int32
        assert np.array_equal(bag.coords, COORDS)


def test_coords_may_be_missing_and_a_leading_axis_of_one_is_let_go(tmp_path: Path) -> None:
    bag = read_bag(write(tmp_path / "bag.h5", FEATURES[None]))
    assert bag.coords is None
    assert np.array_equal(bag.features, FEATURES)


def test_a_tensor_alone_is_the_features(tmp_path: Path) -> None:
    torch.save(torch.from_numpy(FEATURES), tmp_path / "bag.pt")
    assert np.array_equal(read_bag(tmp_path / "bag.pt").features, FEATURES)


TYPES = [torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.int16, torch.uint8]


@given(
    st.sampled_from(TYPES),
    st.lists(st.integers(0, 5), min_size=1, max_size=3),
    st.booleans(),
    st.integers(0, 3),
)
def test_tensors_are_read_as_torch_reads_them(
    tmp_path_factory: pytest.TempPathFactory, kind: torch.dtype, shape: list[int], turned: bool, skip: int
) -> None:
    path = tmp_path_factory.mktemp("pt") / "x.pt"
    whole = (torch.arange(int(np.prod(shape)) * 4 + skip).reshape(-1) % 100).to(kind)
    view = whole[skip : skip + int(np.prod(shape))].reshape(shape)
    view = view.T if turned and view.dim() == 2 else view
    torch.save(OrderedDict(features=torch.nn.Parameter(view, requires_grad=kind.is_floating_point)), path)
    expected = torch.load(path, weights_only=True)["features"].detach()
    found = read_torch_file(path)["features"]
    assert found.shape == tuple(expected.shape)
    assert np.array_equal(found.astype(np.float64), expected.double().numpy())


class Harmful:
    """Would make a file when it is loaded."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.path,))


def refused(path: Path, words: str) -> None:
    with pytest.raises(PolytaskError, match=words) as found:
        read_bag(path)
    assert "\n" not in str(found.value)
    assert str(found.value).startswith(f"{path}: ")


def test_a_pickle_that_runs_code_is_refused_and_not_run(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    torch.save({"features": torch.zeros(2, 3), "other": Harmful(trace)}, tmp_path / "bag.pt")
    refused(tmp_path / "bag.pt", "no code was run")
    bare = tmp_path / "bare.pt"
    bare.write_bytes(pickle.dumps(Harmful(trace)))
    refused(bare, r"not written by torch\.save")
    np.savez(tmp_path / "bag.npz", features=np.array([Harmful(trace)], object))
    refused(tmp_path / "bag.npz", "cannot be read as npz")
    assert not trace.exists()
    with pytest.raises(Exception, match="weights_only"):  # torch's own guard refuses it too
        torch.load(tmp_path / "bag.pt", weights_only=True)


@pytest.mark.parametrize("ending", [".npz", ".h5", ".pt"])
def test_bags_that_cannot_be(tmp_path: Path, ending: str) -> None:
    odd = FEATURES.copy()
    odd[3, 2] = np.nan
    cases: list[tuple[Any, Any, str]] = [
        (FEATURES[:0], None, "holds no patch"),
        (FEATURES[0], None, "expected numbers \\[patches, width\\]"),
        (odd, None, "NaN or Inf"),
        (FEATURES, COORDS[:3], "`coords` is \\[3, 2\\] for 7 patches"),
        (FEATURES, COORDS * 2.0**40, "not positions on a slide"),
    ]
    for number, (features, coords, words) in enumerate(cases):
        refused(write(tmp_path / f"{number}{ending}", features, coords), words)
    broken = tmp_path / f"broken{ending}"
    broken.write_bytes(b"\x00" * 100)
    refused(broken, "cannot be read|not written by")


def test_names_and_endings(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", feats=FEATURES)
    refused(tmp_path / "x.npz", "holds nothing; expected `features`")
    (tmp_path / "x.csv").write_text("1,2")
    refused(tmp_path / "x.csv", "unknown kind of bag")
    refused(tmp_path / "none.npz", "no such file")


@pytest.mark.parametrize("ending", [".npz", ".h5", ".pt"])
def test_sizes_are_checked_before_memory_is_taken(
    tmp_path: Path, ending: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / f"bag{ending}", np.zeros((2000, 300), np.float32))
    monkeypatch.setenv("POLYTASK_MAX_IMAGE_BYTES", "1000000")
    refused(path, "expected at most 0.0 GB")


def test_a_small_file_cannot_claim_a_large_tensor(tmp_path: Path) -> None:
    path = tmp_path / "bag.pt"
    torch.save({"features": torch.zeros(1, 4).expand(10**9, 4)}, path)
    refused(path, "asks for 16.0 GB")


def test_hdf5_links_to_other_files_are_not_followed(tmp_path: Path) -> None:
    write(tmp_path / "secret.h5", FEATURES)
    with h5py.File(tmp_path / "bag.h5", "w") as file:
        file["features"] = h5py.ExternalLink("secret.h5", "/features")
    refused(tmp_path / "bag.h5", "holds nothing")


def test_hdf5_without_h5py_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "bag.h5", FEATURES)
    monkeypatch.setitem(sys.modules, "h5py", None)
    refused(path, r"pip install 'polytask\[slides\]'")


@given(
    st.sampled_from([".npz", ".h5", ".pt"]),
    st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=4),
    st.floats(0.2, 1),
)
def test_damaged_files_are_read_or_refused_in_one_line(
    tmp_path_factory: pytest.TempPathFactory, ending: str, changes: list[tuple[float, int]], kept: float
) -> None:
    path = write(tmp_path_factory.mktemp("damaged") / f"bag{ending}", FEATURES, COORDS)
    content = bytearray(path.read_bytes())
    for place, value in changes:
        content[int(place * len(content))] = value
    path.write_bytes(content[: max(1, int(kept * len(content)))])
    said = ""
    try:
        assert len(read_bag(path).features)
    except PolytaskError as error:
        said = str(error)
    assert "\n" not in said
