"""Masks that are stored as runs: every cut and every batch is what the dense mask gives, and the store stays itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from polytask.errors import PolytaskError
from polytask.prepare.loader import Loader
from polytask.prepare.make_case import is_case_stored
from polytask.prepare.mask_runs import MaskRuns, encode_mask_runs, parse_mask_form
from polytask.prepare.recipe import hash_files, make_recipe
from polytask.prepare.store import Store
from polytask.prepare.store_builder import fill_store
from tests.prepare.test_loader import same
from tests.prepare.worlds import BOTH, SUBJECTS, filled


def draw_mask(random: np.random.Generator, shape: tuple[int, ...], dtype: type = np.uint8) -> np.ndarray:
    """Smooth labels 0 to 2, in which lines begin, end and change within structures."""
    field = gaussian_filter(random.normal(size=shape), 3)
    return np.digitize(field, np.quantile(field, [0.6, 0.8])).astype(dtype)


def draw_block(random: np.random.Generator, shape: tuple[int, ...]) -> tuple[slice, ...]:
    ends = [sorted(random.integers(0, n + 1, 2).tolist()) for n in shape]
    return tuple(slice(None) if random.random() < 0.2 else slice(*pair) for pair in ends)


@pytest.mark.parametrize("shape", [(40, 60), (19, 17, 33), (3, 12, 20, 44)])
@pytest.mark.parametrize("dtype", [np.uint8, np.bool_])
def test_every_cut_is_that_of_the_array(shape: tuple[int, ...], dtype: type) -> None:
    random = np.random.default_rng(len(shape))
    mask = draw_mask(random, shape, dtype)
    coded = encode_mask_runs(mask)
    assert coded is not None
    assert coded.nbytes < mask.nbytes
    runs = MaskRuns(coded, shape, dtype)
    assert (runs.ndim, runs.shape, runs.dtype) == (mask.ndim, mask.shape, mask.dtype)
    np.testing.assert_array_equal(np.asarray(runs), mask, strict=True)
    for _ in range(60):
        block = draw_block(random, shape[: random.integers(1, len(shape) + 1)])
        np.testing.assert_array_equal(runs[block], mask[block], strict=True)


def test_an_empty_mask_has_no_runs_and_a_full_one_a_run_a_line() -> None:
    for value, lines in ((0, 0), (1, 20)):
        mask = np.full((4, 5, 600), value, np.uint8)
        coded = encode_mask_runs(mask)
        assert coded is not None
        assert len(coded) == lines
        np.testing.assert_array_equal(np.asarray(MaskRuns(coded, mask.shape, np.uint8)), mask)


def test_lines_longer_than_16_bits() -> None:
    mask = np.zeros((2, 70000), np.uint8)
    mask[1, 66000:69000] = 3
    coded = encode_mask_runs(mask)
    assert coded is not None
    cut = (slice(1, 2), slice(65990, 69010))
    np.testing.assert_array_equal(MaskRuns(coded, mask.shape, np.uint8)[cut], mask[cut])


def test_a_mask_of_single_voxels_stays_dense() -> None:
    assert encode_mask_runs(np.indices((8, 8, 8)).sum(0).astype(np.uint8) % 2) is None


def list_mask_files(store: Store) -> set[str]:
    return {p.name.split(".")[0] for p in store.folder.glob("*/*") if p.name.startswith(("voxel", "region"))}


@pytest.mark.parametrize("image", [{}, BOTH])
def test_a_store_of_runs_gives_the_same_tensors(tmp_path: Path, image: dict[str, object]) -> None:
    cohort, plan, dense = filled(tmp_path, **image)
    runs = Store(tmp_path / "runs")
    small = fill_store(runs, cohort, plan, jobs=1, masks="runs")
    assert small.bytes < fill_store(dense, cohort, plan).bytes
    assert runs.index == dense.index
    case, plain = runs.case("s1@first"), dense.case("s1@first")
    for kind in ("voxel", "region"):
        ours, theirs = getattr(case, kind), getattr(plain, kind)
        assert list(ours) == list(theirs)
        assert len(ours) == len(theirs)
        for task in theirs:
            np.testing.assert_array_equal(np.asarray(ours[task]), np.asarray(theirs[task]), strict=True)
    assert isinstance(case.voxel["sides"], MaskRuns)
    assert isinstance(case.region["tumour"], MaskRuns)
    assert not isinstance(case.voxel["dose"], MaskRuns)
    settings = {"part": "train", "seed": 3, "subjects": SUBJECTS}
    with Loader(dense, cohort, plan, 0, **settings) as a, Loader(runs, cohort, plan, 0, **settings) as b:
        pairs = list(zip(a.batches(0), b.batches(0), strict=True))
        assert len(pairs) == 4
        assert all(same(x, y) for x, y in pairs)


def test_prepare_keeps_the_form_that_is_there_and_changes_it_when_asked(tmp_path: Path) -> None:
    cohort, plan, store = filled(tmp_path)
    recipe = make_recipe(cohort, cohort.cases[0], plan)
    hashes = hash_files(recipe.files, recipe.where)
    # A store of before: its cases say nothing of a form, and are dense.
    assert "masks" not in store.case("s1@first").meta
    assert is_case_stored(recipe, store.folder, hashes, "dense")
    assert fill_store(store, cohort, plan, masks="dense").made == 0
    # s5 has no masks: nothing of it changes.
    assert fill_store(store, cohort, plan, masks="runs").made == 7
    assert list_mask_files(store) == {"voxel-runs", "region-runs", "voxel"}
    assert not is_case_stored(recipe, store.folder, hashes, "dense")
    for again in (None, "runs"):
        assert fill_store(store, cohort, plan, masks=again).made == 0
    assert fill_store(store, cohort, plan, masks="dense").made == 7
    assert list_mask_files(store) == {"voxel", "region"}


def test_a_form_that_there_is_not_is_one_line() -> None:
    assert parse_mask_form("runs") == "runs"
    with pytest.raises(PolytaskError, match=r"^--masks zip: expected dense or runs$"):
        parse_mask_form("zip")
