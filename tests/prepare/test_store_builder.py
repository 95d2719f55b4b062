import errno
import json
import os
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from threading import Thread

import numpy as np
import pytest

from polytask.cohort.case_loading import mark_similar_keys
from polytask.errors import PolytaskError
from polytask.images.formats import read_image_file, write_image_file
from polytask.images.volume import Volume
from polytask.locks import LockedError, hold_lock
from polytask.plan.plan_file import write_plan
from polytask.prepare import make_case
from polytask.prepare.store import Store
from polytask.prepare.store_builder import fill_store, find_store_lock, prepare, read_plan_cohort
from tests.prepare.worlds import BOTH, filled, image_plan, make_plan, write_cohort


def files(store: Store) -> dict[str, tuple[int, bytes]]:
    return {
        str(p.relative_to(store.folder)): (p.stat().st_ino, p.read_bytes())
        for p in sorted(store.folder.rglob("*"))
        if p.is_file() and p.name != "store.json"
    }


def test_the_store_holds_every_case(tmp_path: Path) -> None:
    cohort, _, store = filled(tmp_path, **BOTH)
    assert store.index["cases"] == [c.key for c in cohort.cases]
    case = store.case("s1@first")
    assert case.image["scan"].shape == (2, 22, 18, 16)
    assert case.whole["scan"].shape == (2, 11, 9, 8)
    assert case.voxel["tumour"].dtype == np.uint8
    assert case.voxel["sides"].shape == (2, 22, 18, 16)
    assert case.voxel["dose"].dtype == np.float32
    assert case.known("sides") == (True, True)
    assert store.case("s5@first").known("sides") == ()
    assert not store.case("s2@first").meta["images"]["scan"]["channel_known"][1]


def test_stored_arrays_are_read_only_maps(tmp_path: Path) -> None:
    _, _, store = filled(tmp_path)
    array = store.case("s1@first").image["scan"]
    assert isinstance(array, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        array[0, 0, 0, 0] = 1


def test_images_are_stored_as_they_are_not_normalized(tmp_path: Path) -> None:
    _, _, store = filled(tmp_path)
    array = store.case("s1@first").image["scan"][0]
    assert set(np.unique(array)) == {-1000, 0, 400, 800}


def test_the_source_hashes_are_kept(tmp_path: Path) -> None:
    import hashlib

    cohort, _, store = filled(tmp_path)
    sources = store.case("s1@first").meta["sources"]
    path = str(cohort.root / "s1_first_ct.nii.gz")
    part = hashlib.sha256(Path(path).read_bytes()).digest()
    assert sources[path] == hashlib.sha256(part).hexdigest()
    assert len(sources) == 7


def test_a_second_time_nothing_is_made(tmp_path: Path) -> None:
    cohort, plan, store = filled(tmp_path)
    before = files(store)
    done = fill_store(Store(store.folder), cohort, plan)
    assert (done.made, done.cases) == (0, 9)
    assert files(store) == before


def test_what_only_concerns_reading_makes_nothing_anew(tmp_path: Path) -> None:
    cohort, _, store = filled(tmp_path)
    plan = make_plan(cohort, image_plan(view=(32, 32, 32), channel_dropout=0.5, foreground=0.1))
    assert fill_store(store, cohort, plan).made == 0


def test_another_spacing_makes_all_anew(tmp_path: Path) -> None:
    cohort, _, store = filled(tmp_path)
    plan = make_plan(cohort, image_plan(spacing=(2.0, 2.0, 2.0)))
    assert fill_store(store, cohort, plan).made == 9
    assert store.case("s1@first").image["scan"].shape == (2, 11, 14, 16)


def test_a_changed_file_makes_its_case_anew(tmp_path: Path) -> None:
    cohort, plan, store = filled(tmp_path)
    content = store.content
    path = cohort.root / "s2_second_dose.nii.gz"
    volume = read_image_file(path)
    write_image_file(path, Volume(volume.array * 2, volume.grid))
    done = fill_store(Store(store.folder), cohort, plan)
    assert done.made == 1
    assert store.case("s2@second").voxel["dose"].max() == pytest.approx(120)
    assert done.store.content != content


def test_a_half_written_case_is_made_again(tmp_path: Path) -> None:
    cohort, plan, store = filled(tmp_path)
    before = {k: v[1] for k, v in files(store).items()}
    os.rename(store.folder / "s1@first", store.folder / ".half-s1@first")
    (store.folder / ".half-s1@first" / "meta.json").unlink()
    (store.folder / "s1@second" / "meta.json").write_text("{")
    assert fill_store(store, cohort, plan).made == 2
    assert {k: v[1] for k, v in files(store).items()} == before


def test_one_or_several_at_a_time_give_the_same_bytes(tmp_path: Path) -> None:
    cohort, plan, store = filled(tmp_path)
    other = Store(tmp_path / "other" / "store")
    seen: list[tuple[int, int]] = []
    fill_store(other, cohort, plan, jobs=3, progress=lambda done, total, key: seen.append((done, total)))
    assert seen == [(n, 9) for n in range(1, 10)]
    assert {k: v[1] for k, v in files(other).items()} == {k: v[1] for k, v in files(store).items()}


def test_a_full_disk_leaves_nothing_half_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cohort = write_cohort(tmp_path / "cohort")
    store = Store(tmp_path / "store")
    saved = np.save

    def full(stream, array, **more):
        if "dose" in stream.name and "s2@first" in stream.name:
            raise OSError(errno.ENOSPC, "No space left on device")
        saved(stream, array, **more)

    monkeypatch.setattr(make_case.np, "save", full)
    with pytest.raises(PolytaskError, match=r"disk full; the 7 cases left .* need \d+\.\d MB and") as caught:
        fill_store(store, cohort, make_plan(cohort), jobs=1)
    assert "\n" not in str(caught.value)
    assert not (store.folder / "s2@first").exists()
    assert not list(store.folder.glob(".half-*"))
    assert not (store.folder / "store.json").exists()
    monkeypatch.undo()
    again = fill_store(store, cohort, make_plan(cohort))
    assert again.made in (6, 7)  # one more may have been under way


def test_too_little_free_space_is_seen_before_writing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cohort = write_cohort(tmp_path / "cohort")
    usage = make_case.shutil.disk_usage(tmp_path)
    monkeypatch.setattr(make_case.shutil, "disk_usage", lambda place: usage._replace(free=1000))
    with pytest.raises(PolytaskError, match="disk full"):
        fill_store(Store(tmp_path / "store"), cohort, make_plan(cohort), jobs=1)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    cohort = write_cohort(tmp_path / "cohort")
    (tmp_path / "shut").mkdir(mode=0o500)
    with pytest.raises(PolytaskError, match="shut/store: cannot be written"):
        fill_store(Store(tmp_path / "shut" / "store"), cohort, make_plan(cohort))


def test_a_file_where_the_store_should_be_is_named(tmp_path: Path) -> None:
    cohort = write_cohort(tmp_path / "cohort")
    (tmp_path / "store").write_text("")
    with pytest.raises(PolytaskError, match="store: cannot be written"):
        fill_store(Store(tmp_path / "store"), cohort, make_plan(cohort))


def test_a_plan_of_another_cohort_is_refused(tmp_path: Path) -> None:
    cohort = write_cohort(tmp_path / "cohort")
    plan = make_plan(cohort).model_copy(update={"digest": "0" * 64})
    with pytest.raises(PolytaskError, match="belongs to another cohort"):
        read_plan_cohort(plan, tmp_path)
    assert read_plan_cohort(make_plan(cohort), tmp_path).digest == cohort.digest


def test_a_missing_file_names_the_subject(tmp_path: Path) -> None:
    cohort = write_cohort(tmp_path / "cohort")
    (cohort.root / "s3_second_ct.nii.gz").unlink()
    with pytest.raises(PolytaskError, match=r"subject s3, visit second: .*s3_second_ct"):
        fill_store(Store(tmp_path / "store"), cohort, make_plan(cohort))


def test_a_store_is_not_finished_without_its_index(tmp_path: Path) -> None:
    with pytest.raises(PolytaskError, match="no finished store"):
        _ = Store(tmp_path / "store").index


def test_a_damaged_array_is_named(tmp_path: Path) -> None:
    _, _, store = filled(tmp_path)
    path = store.folder / "s1@first" / "image.scan.npy"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(PolytaskError, match=r"image.scan.npy: cannot be read"):
        store.case("s1@first").prepared("scan")


def test_meta_is_plain_json(tmp_path: Path) -> None:
    _, _, store = filled(tmp_path)
    meta = json.loads((store.folder / "s1@first" / "meta.json").read_text())
    assert meta["images"]["scan"]["source_grid"]["shape"] == [22, 18, 16]
    prepared = store.case("s1@first").prepared("scan")
    assert prepared is not None
    assert prepared.source_grid.is_same_grid(read_image_file(tmp_path / "cohort" / "s1_first_ct.nii.gz").grid)


ODD = [
    "store.json",
    "STORE.JSON",
    "中" * 40,
    "b" * 256,
    "b" * 257,
    ".half-a",
    ".store.lock",
    "../x",
    "CON",
    "a.",
    "A",
]


def test_ids_that_are_no_file_names_stay_ids_and_find_their_case(tmp_path: Path) -> None:
    cohort, plan, store = filled(tmp_path / "plain")
    first = [c for c in cohort.cases if c.visit == cohort.cases[0].visit]
    named = dict(zip([c.subject for c in first], ODD, strict=False))
    cases = mark_similar_keys(
        [replace(c, subject=named[c.subject]) for c in cohort.cases if c.subject in named]
    )
    odd = replace(cohort, cases=tuple(cases))
    done = fill_store(Store(tmp_path / "odd" / "store"), odd, plan)
    assert sorted(p.name for p in (tmp_path / "odd").iterdir()) == ["store"]
    assert len({p.name.lower() for p in done.store.folder.iterdir()}) == len(cases) + 1
    for case in cases:
        stored = done.store.case(case.key)
        assert stored.meta["subject"] == case.subject
        was = next(s for s, o in named.items() if o == case.subject)
        before = store.case(next(c.key for c in cohort.cases if (c.subject, c.visit) == (was, case.visit)))
        assert {n: a.tobytes() for n, a in stored.image.items()} == {
            n: a.tobytes() for n, a in before.image.items()
        }
    assert fill_store(done.store, odd, plan).made == 0


def test_two_commands_do_not_prepare_one_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cohort, plan, store = filled(tmp_path)
    assert store.folder.name == "store"
    work = store.folder.parent
    write_plan(plan, work)
    monkeypatch.setattr("polytask.prepare.store_builder.read_plan_cohort", lambda plan, work: cohort)
    half = store.folder / ".half-s1@first"
    half.mkdir()
    before = files(store)
    said: list[str] = []
    with ExitStack() as stack:
        stack.enter_context(hold_lock(find_store_lock(store), "prepares this store"))
        with pytest.raises(LockedError, match=f"store: process {os.getpid()} on .* prepares this store"):
            prepare(work)
        assert half.is_dir(), "the other one is writing there"
        waiting = Thread(target=prepare, args=(work,), kwargs={"waits": said.append})
        waiting.start()
        while not said:
            pass
        assert half.is_dir()
    waiting.join(60)
    assert not half.exists()
    assert files(store) == before
    assert not find_store_lock(store).exists()
